"""The command line: options, progress, and reports as text for a terminal or a pipe."""
