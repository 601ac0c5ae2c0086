"""The graph under edit, and questions to it that several stages ask."""
