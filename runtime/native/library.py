"""A compiled bundle: a shared library, the weights as it wants them, and what it takes and gives."""

from __future__ import annotations

import ctypes
import json
import mmap
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from runtime.kernels.base import Array

__all__ = ["CODE", "FACTS", "WEIGHTS", "Library", "open_library"]

CODE, WEIGHTS, FACTS = "net.so", "net.bin", "net.json"
"""The files of a library."""

_ALIGNMENT = 64


class _Weights(ctypes.Structure):
    """What the library calls its weights."""

    _fields_ = [("data", ctypes.c_void_p)]


class Library(NamedTuple):
    """A library that is loaded.

    Attributes:
        inputs, outputs: Shapes of what a call takes and gives.
        input_types, output_types: The element types.
        arena: Bytes of working memory for a call.
        batched: Whether the first axis of each counts examples, which are computed one by one.
        weights: What the library was told of the weights, which stay in `content`.
        content: The file of the weights.
        call: Its function.
    """

    inputs: Sequence[tuple[int, ...]]
    outputs: Sequence[tuple[int, ...]]
    input_types: Sequence[Any]
    output_types: Sequence[Any]
    arena: int
    batched: bool
    weights: _Weights
    content: Any
    call: Any

    def room(self) -> Array:
        """Return working memory for one call at a time."""
        block = np.empty(self.arena + _ALIGNMENT, np.uint8)
        first = -block.ctypes.data % _ALIGNMENT
        return block[first : first + self.arena]

    def run(self, inputs: Sequence[int], outputs: Sequence[int], room: Array) -> bool:
        """Compute one example between addresses, while other threads go on; False if an index is outside its tensor."""
        return int(self.call(ctypes.byref(self.weights), *inputs, *outputs, room.ctypes.data)) == 0


def open_library(folder: Path) -> Library:
    """Load the library in a folder, which has to be trusted.

    Raises:
        OSError, ValueError, KeyError, TypeError, AttributeError: It isn't whole.
    """
    facts = json.loads((folder / FACTS).read_text(encoding="utf-8"))
    code = ctypes.CDLL(str(folder / CODE))
    with (folder / WEIGHTS).open("rb") as file:
        content = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    weights, bytes_ = _Weights(), np.frombuffer(content, np.uint8)
    code.net_load.argtypes = [ctypes.c_void_p, ctypes.c_void_p, ctypes.c_size_t]
    if code.net_load(ctypes.byref(weights), bytes_.ctypes.data, bytes_.size):
        raise ValueError("the weights are those of another library")
    inputs, outputs = (tuple(tuple(map(int, shape)) for shape in facts[key]) for key in ("inputs", "outputs"))
    code.net_run.argtypes = [ctypes.c_void_p] * (len(inputs) + len(outputs) + 2)
    code.net_run.restype = ctypes.c_int
    given, made = ([np.dtype(name) for name in facts[key]] for key in ("input_types", "output_types"))
    return Library(
        inputs, outputs, given, made, int(facts["arena"]), bool(facts["batched"]), weights, bytes_, code.net_run
    )
