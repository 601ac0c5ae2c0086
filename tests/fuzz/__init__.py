"""Structure-aware fuzzing of everything that reads a file: `python -m tests.fuzz --seconds N [--format F]`."""
