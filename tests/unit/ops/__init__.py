"""One file for each op that shows how ops are added: the same numbers everywhere."""
