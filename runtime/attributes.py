"""Whether an operator's attributes are of the types that its function says, and in the ranges that make sense."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from runtime.kernels import KERNELS

__all__ = ["problem"]

_LARGEST = (1 << 31) - 1
_MOST_RANK = 64

_Test = tuple[str, Callable[[Any], bool]]
"""What a value is expected to be, in words and as a function."""


def problem(op: str, attributes: Mapping[str, Any]) -> str | None:
    """What is wrong with an attribute of a known operator, as `strides is [0, 1], ...`; None if nothing is."""
    types = KERNELS[op].__wrapped__.__annotations__  # type: ignore[attr-defined]
    for name, value in attributes.items():
        kind, is_list = _element(types[name])
        if is_list and not isinstance(value, (list, tuple)):
            return f"{name} is {str(value)[:100]}, expected a list"
        for expected, test in filter(None, (_TYPES[kind], _RANGES.get(name))):
            if not all(map(test, value if is_list else [value])):
                return f"{name} is {str(value)[:100]}, expected {expected}{' in each place' * is_list}"
    return _geometry(attributes)


def _element(annotation: str) -> tuple[str, bool]:
    """The type of an attribute, or of what it is a list of, and whether it is a list."""
    name, _, inner = annotation.partition(" |")[0].partition("[")
    return inner.rstrip("]") or name, bool(inner)


def _geometry(attributes: Mapping[str, Any]) -> str | None:
    """One number for each spatial axis, two in pads."""
    per_axis = ("dilations", "kernel_shape", "output_padding", "strides")
    ranks = {name: len(attributes[name]) for name in per_axis if attributes.get(name)}
    if attributes.get("pads"):
        ranks["half of pads"] = -(-len(attributes["pads"]) // 2)
    if len(set(ranks.values())) > 1 or len(attributes.get("pads") or ()) % 2:
        return f"{', '.join(ranks)} are for different numbers of axes"
    return None


def _integer(least: int, most: int) -> Callable[[Any], bool]:
    return lambda value: (
        isinstance(value, (int, np.integer)) and not isinstance(value, bool) and least <= int(value) <= most
    )


_TYPES: dict[str, _Test] = {
    "Array": ("an array", lambda value: isinstance(value, np.ndarray)),
    "Body": ("a graph", lambda value: hasattr(value, "nodes") or callable(value)),
    "Int64": ("an int64", _integer(-(1 << 63), (1 << 63) - 1)),
    "float": ("a number", lambda value: isinstance(value, (int, float, np.number)) and not isinstance(value, bool)),
    "int": (f"an integer up to {_LARGEST}", _integer(-_LARGEST, _LARGEST)),
    "str": ("a string", lambda value: isinstance(value, str)),
}
"""A test for each type that a kernel's function may have in its signature."""

_AXES = "axes axis batch_axis scan_input_axes scan_output_axes time_axis"
_NATURAL = "batch_dims num_scan_inputs output_padding pads perm"
_POSITIVE = "blocksize dilations group hidden_size kernel_shape num_outputs size strides"
_FLAGS = (
    "allowzero antialias count_include_pad detect_negative detect_positive exclude_outside exclusive fmod input_forget "
    "keepdims largest layout linear_before_reset noop_with_empty_axes reverse saturate scan_input_directions "
    "scan_output_directions select_last_index sorted transA transB upper"
)
_RANGES: dict[str, _Test] = {
    name: (words, _integer(least, most))
    for names, words, least, most in (
        (_AXES, f"an axis from {-_MOST_RANK} to {_MOST_RANK}", -_MOST_RANK, _MOST_RANK),
        (_NATURAL, "at least 0", 0, _LARGEST),
        (_POSITIVE, "at least 1", 1, _LARGEST),
        (_FLAGS, "0 or 1", 0, 1),
    )
    for name in names.split()
}
"""What the numbers of an attribute may be, by its name."""
