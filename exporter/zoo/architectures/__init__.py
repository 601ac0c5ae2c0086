"""Published networks, one family per file."""
