"""Standard output and error that take any text, and may go away."""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress

__all__ = ["lenient_streams", "telling"]


def lenient_streams() -> None:
    """Lets text degrade to escapes where a terminal hasn't got its characters; closed streams swallow it."""
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is None:
            setattr(sys, name, open(os.devnull, "w", encoding="utf-8"))  # noqa: PTH123, SIM115 - for as long as the process
        elif isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


@contextmanager
def telling() -> Iterator[None]:
    """For what is only told, after the work is done: that nobody can hear it, as behind a closed pipe, is no failure.

    Where standard output can't be written to, standard error says so, but for a pipe that nobody reads any more, as of
    `head`; and nothing more goes to standard output.
    """
    try:
        yield
        sys.stdout.flush()
    except OSError as error:
        with suppress(OSError, ValueError):
            if not isinstance(error, BrokenPipeError):
                print(f"ckpt2onnx: standard output: {error.strerror or error}", file=sys.stderr)
        with suppress(OSError, ValueError, AttributeError):
            null = os.open(os.devnull, os.O_WRONLY)
            os.dup2(null, sys.stdout.fileno())
            os.close(null)
