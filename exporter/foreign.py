"""What libraries raise on foreign data, as errors of the input; what our own code raises stays a bug.

The two are told apart by where an exception comes from: a type that a library defines, a frame of a library or of the
runtime's kernels (which compute with what a file says), or a call from our code into C, as into NumPy. A `raise` in our
own code that isn't an `ExportError`, a failed assertion, a missing key or attribute is a bug.
"""

from __future__ import annotations

import dis
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType

from exporter.errors import CorruptError, ExportError, LimitError

__all__ = ["is_from_library", "on_foreign_data"]

_OWN = str(Path(__file__).parent)
_COMPUTING = (ArithmeticError, ValueError)
"""What arithmetic, NumPy and struct raise for what can't be; other types that come out of our own code are bugs."""


@contextmanager
def on_foreign_data(stage: str) -> Iterator[None]:
    """Makes errors of the input out of what libraries raise; also a decorator.

    Args:
        stage: What is done, for people: `reading it`.

    Raises:
        LimitError: For a MemoryError or RecursionError.
        CorruptError: For another exception that comes from a library; the original is its cause, and a note on it.
    """
    try:
        yield
    except ExportError:
        raise
    except (MemoryError, RecursionError) as error:
        what = "more memory than there is" if isinstance(error, MemoryError) else "deeper nesting than can be followed"
        raise _noted(LimitError(f"{stage} takes {what}"), error) from error
    except Exception as error:
        if not _is_foreign(error):
            raise
        text = " ".join(str(error).split())[:300]
        raise _noted(CorruptError(f"{stage} fails: its contents can't be meant: {text}"), error) from error


def is_from_library(error: BaseException) -> bool:
    """Whether a library has raised this, be it because of a file or of the machine; what our own code raises is ours.

    For calls into another program that runs a model by itself, as TensorFlow does, whose errors are of all kinds.
    """
    last = _innermost(error)
    raised_by_us = last is None or last.tb_frame.f_code.co_filename.startswith(_OWN)
    return _is_of_library_type(error) or not raised_by_us


def _is_of_library_type(error: BaseException) -> bool:
    module = type(error).__module__
    return module not in ("builtins", "exporter") and not module.startswith("exporter.")


def _innermost(error: BaseException) -> TracebackType | None:
    """The frame whose code has raised an exception; None if it was never raised."""
    last = error.__traceback__
    while last is not None and last.tb_next is not None:
        last = last.tb_next
    return last


def _noted(ours: ExportError, original: Exception) -> ExportError:
    ours.add_note(f"{type(original).__module__}.{type(original).__name__}: {str(original)[:1000]}")
    return ours


def _is_foreign(error: Exception) -> bool:
    """Whether an exception comes from a library, or from C that our code called."""
    if isinstance(error, OSError | ImportError):  # the machine's, not the data's
        return False
    if _is_of_library_type(error):
        return True
    last = _innermost(error)
    if last is None:
        return False
    if not last.tb_frame.f_code.co_filename.startswith(_OWN):
        return True
    raised_by_itself = dis.opname[last.tb_frame.f_code.co_code[last.tb_lasti]] in ("RAISE_VARARGS", "RERAISE")
    return isinstance(error, _COMPUTING) and not raised_by_itself
