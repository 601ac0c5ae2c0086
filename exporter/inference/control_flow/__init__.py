"""Conditions and loops of all forms that TensorFlow has for them."""
