"""Inputs of the inference function: signatures, placeholders, data sets, values given by the user, lookup tables."""
