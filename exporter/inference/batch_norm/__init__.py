"""Batch norms written as arithmetic, and the moving statistics that belong to them."""
