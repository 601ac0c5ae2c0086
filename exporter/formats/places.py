"""Saying where an error is while it passes on its way up."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from exporter.errors import ExportError

__all__ = ["within"]


@contextlib.contextmanager
def within(*places: str) -> Iterator[None]:
    """Errors from inside get these places, widest first, before their own; none is named twice."""
    try:
        yield
    except ExportError as error:
        error.where = (*places, *(place for place in error.where if place not in places))
        raise
