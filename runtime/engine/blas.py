"""How many threads NumPy's matrix products take: one, while a program that has its own is running.

OpenBLAS and MKL are asked through the library that NumPy is linked with; others can't be told after they were loaded.
"""

from __future__ import annotations

import os
from _thread import allocate_lock  # `threading` takes 5 ms to import
from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np

__all__ = ["ONE_THREAD", "core", "describe"]

_NAMES = (
    ("scipy_openblas_get_num_threads64_", "scipy_openblas_set_num_threads64_"),
    ("openblas_get_num_threads64_", "openblas_set_num_threads64_"),
    ("scipy_openblas_get_num_threads", "scipy_openblas_set_num_threads"),
    ("openblas_get_num_threads", "openblas_set_num_threads"),
    ("MKL_Get_Max_Threads", "MKL_Set_Num_Threads"),
)


_CORES = (
    "scipy_openblas_get_corename64_",
    "openblas_get_corename64_",
    "scipy_openblas_get_corename",
    "openblas_get_corename",
)


@cache
def core() -> bytes:
    """OpenBLAS's name of the processor that its kernels are for; empty if it is another library."""
    library = _library()
    name = next((name for name in _CORES if hasattr(library, name)), None)
    if name is None:
        return b""
    import ctypes

    function = getattr(library, name)
    function.restype = ctypes.c_char_p
    return bytes(function() or b"")


@cache
def _library() -> Any:
    """NumPy's extension with all that it is linked with; None where there is no such thing."""
    try:
        import ctypes

        return ctypes.PyDLL(_extension().__file__)  # its calls are too short to be worth letting go of Python's lock
    except (ImportError, OSError, AttributeError, TypeError):
        return None


@cache
def _functions() -> tuple[Callable[[], int], Callable[[int], Any]] | None:
    """How to get and set the number, None where there is no way."""
    library = _library()
    for getter, setter in _NAMES:
        if hasattr(library, getter) and hasattr(library, setter):
            return getattr(library, getter), getattr(library, setter)
    return None


def _extension() -> Any:
    if np.__version__.startswith("1."):  # some of which have a `_core` that is there for pickles alone
        from numpy.core import _multiarray_umath as extension
    else:
        from numpy._core import _multiarray_umath as extension  # type: ignore[attr-defined, no-redef]
    return extension


def describe() -> str:
    """The BLAS that NumPy was built with, for telling machines apart."""
    config: Any = getattr(np, "__config__", None)
    try:
        found = config.show(mode="dicts")["Build Dependencies"]["blas"]
        return f"{found.get('name')} {found.get('version')}"
    except (AttributeError, TypeError, KeyError):  # NumPy before 1.25 only prints
        return "unknown"


class _OneThread:
    """One thread for every product of the process between the first `with` that is entered and the last one left."""

    def __init__(self) -> None:
        self.forget()

    def forget(self) -> None:
        """As if nobody had entered; for a fork's child, in which nobody has."""
        self._lock = allocate_lock()
        self._inside = 0
        self._before = 1

    def __enter__(self) -> None:
        self.enter()

    def __exit__(self, *_: object) -> None:
        self.leave()

    def enter(self) -> None:
        """What `with` does first."""
        functions = _functions()
        if functions is not None:
            with self._lock:
                self._inside += 1
                if self._inside == 1:
                    self._before = functions[0]()
                    if self._before != 1:
                        functions[1](1)

    def leave(self) -> None:
        """What `with` does last."""
        functions = _functions()
        if functions is not None:
            with self._lock:
                self._inside -= 1
                if not self._inside and self._before != 1:
                    functions[1](self._before)

    def others(self) -> int | None:
        """How many threads products take outside of it; None where nobody can tell."""
        functions = _functions()
        if functions is None:
            return None
        with self._lock:
            return self._before if self._inside else functions[0]()


ONE_THREAD = _OneThread()
"""The context for running; shared by all programs, may be entered by several threads."""

if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=ONE_THREAD.forget)
