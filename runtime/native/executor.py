"""Runs a bundle by the library that was compiled for it, and by the engine what that doesn't fit."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from threading import Lock, Thread
from typing import Any

import numpy as np

from runtime.bundle import Bundle, read, read_digest
from runtime.engine.times import Times, timed
from runtime.executor import Executor
from runtime.kernels.base import Array
from runtime.native.cache import first_unsafe, folder_for
from runtime.native.library import CODE, FACTS, WEIGHTS, Library, open_library

__all__ = ["Native", "native_for"]


def native_for(
    source: str | os.PathLike[str], otherwise: Callable[[], Executor], threads: int | None = None
) -> Native | None:
    """Return what runs a bundle natively; None where nothing was built for it and this processor, or isn't trusted.

    Args:
        source: The bundle's path.
        otherwise: Makes what runs it else.
        threads: How many a call with several examples may use; the default is one for each processor, 4 at most.

    Raises:
        BundleError: The bundle can't be used.
    """
    digest = read_digest(source)
    folder = folder_for(digest)
    if folder is None or not folder.is_dir():
        return None
    if any(first_unsafe(folder / name) is not None for name in (CODE, WEIGHTS, FACTS)):
        return None
    bundle = read(source)
    if bundle.digest != digest:
        return None
    try:
        library = open_library(folder)
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None
    fits = len(library.inputs) == len(bundle.inputs) and len(library.outputs) == len(bundle.outputs)
    return Native(bundle, library, otherwise, threads or min(4, os.cpu_count() or 1)) if fits else None


class Native:
    """Computes the outputs of a bundle by a library, where the inputs have the sizes that it was compiled for.

    Attributes:
        bundle: What is computed.
        library: What computes it.
    """

    def __init__(self, bundle: Bundle, library: Library, otherwise: Callable[[], Executor], threads: int = 1) -> None:
        self.bundle = bundle
        self.library = library
        self._otherwise = otherwise
        self._threads = threads
        self._other: Executor | None = None
        self._lock = Lock()
        self._rooms: list[Array] = []

    def accepts(self, arrays: Sequence[Any]) -> bool:
        """Return whether the library takes arrays of these shapes and types."""
        return all(type(x) is np.ndarray for x in arrays) and self._count(arrays) is not None

    def run(self, arrays: Sequence[Array]) -> list[Array]:
        """Return the outputs, in order, for the inputs, in order, in arrays of the caller's own."""
        count = self._count(arrays)
        if count is None:
            return self._engine().run(arrays)
        given = [np.asarray(x, order="C") for x in arrays]
        one = zip(self.library.outputs, self.library.output_types)
        made = [np.empty(shape if count == 1 else (count, *shape[1:]), kind) for shape, kind in one]
        shares, outside = min(self._threads, count), list[int]()
        others = [
            Thread(
                target=self._examples,
                args=(given, made, count * i // shares, count * (i + 1) // shares, count, outside),
            )
            for i in range(1, shares)
        ]
        for thread in others:
            thread.start()
        self._examples(given, made, 0, count // shares, count, outside)
        for thread in others:
            thread.join()
        return self._engine().run(arrays) if outside else made  # which says what is wrong with an index

    def timed(self, arrays: Sequence[Array]) -> Times:
        """Run once by the engine, which can tell its steps apart, and return how long each took."""
        return timed(self._engine(), arrays)

    def _count(self, arrays: Sequence[Array]) -> int | None:
        """Return how many examples these inputs are; None if the library doesn't take them."""
        sizes = self.library.inputs
        if len(arrays) != len(sizes) or any(x.dtype != kind for x, kind in zip(arrays, self.library.input_types)):
            return None
        if all(x.shape == shape for x, shape in zip(arrays, sizes)):
            return 1
        counts = {x.shape[0] if x.ndim else 0 for x in arrays}
        alike = len(counts) == 1 and all(x.shape[1:] == shape[1:] for x, shape in zip(arrays, sizes))
        return counts.pop() or None if self.library.batched and alike else None

    def _examples(
        self, given: Sequence[Array], made: Sequence[Array], first: int, last: int, count: int, outside: list[int]
    ) -> None:
        """Compute the examples from the first to before the last; add to `outside` those with an index that is."""
        with self._lock:
            room = self._rooms.pop() if self._rooms else self.library.room()
        steps = [[x.ctypes.data, x.nbytes // count] for x in (*given, *made)]
        for i in range(first, last):
            places = [begin + i * step for begin, step in steps]
            if not self.library.run(places[: len(given)], places[len(given) :], room):
                outside.append(i)
        with self._lock:
            self._rooms.append(room)

    def _engine(self) -> Executor:
        with self._lock:
            if self._other is None:
                self._other = self._otherwise()
            return self._other
