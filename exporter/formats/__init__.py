"""Bytes to plain records and back; nothing here knows of graphs."""
