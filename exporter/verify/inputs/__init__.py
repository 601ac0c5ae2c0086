"""Inputs that exercise a model: sizes, roles, statistics and draws."""
