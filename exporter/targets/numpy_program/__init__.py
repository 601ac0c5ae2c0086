"""A model as a Python file that needs NumPy alone and that a person reads: `program.write_program`."""
