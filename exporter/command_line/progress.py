"""What is done at the moment, shown on a terminal and nowhere else."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager

from exporter.verify.allowance import listening

__all__ = ["shown_progress"]


@contextmanager
def shown_progress(*, wanted: bool = True) -> Iterator[None]:
    """A line on standard error that names the stage and vanishes in the end; nothing where that is no terminal."""
    if not wanted or not sys.stderr.isatty():
        yield
        return
    from rich.console import Console  # takes a while

    with Console(stderr=True).status("verifying") as status, listening(lambda text: status.update(text)):
        yield
