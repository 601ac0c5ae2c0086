"""Prefixes of checkpoints: what the names of all of its files begin with."""

from __future__ import annotations

import os
from pathlib import Path

__all__ = ["prefix_of"]

_PLAIN: type[Path] = type(Path())


class _Bare(_PLAIN):  # type: ignore[misc, valid-type]
    """A directory with its slash: the prefix of `run/.index` and `run/.meta`."""

    def __str__(self) -> str:
        return f"{super().__str__()}{os.sep}"

    @property
    def name(self) -> str:
        return ""

    @property
    def parent(self) -> Path:
        return Path(super().__str__())


def prefix_of(text: str) -> Path:
    """The prefix of that text, which may end with a slash: then the files are called `.index`, `.meta` and so on."""
    return _Bare(text) if text.endswith(("/", os.sep)) else Path(text)
