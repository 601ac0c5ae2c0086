"""Whether an operator's attributes are of the types that its function says, and in the ranges that make sense."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from runtime.kernels import KERNELS

__all__ = ["problem"]

_LARGEST = (1 << 31) - 1
_MOST_RANK = 64

_Test = Callable[[Any], bool]


def problem(op: str, attributes: Mapping[str, Any]) -> str | None:
    """What is wrong with an attribute of a known operator, as `strides is [0, 1], ...`; None if nothing is."""
    types = KERNELS[op].__wrapped__.__annotations__  # type: ignore[attr-defined]
    for name, value in attributes.items():
        expected = types[name]
        kind = expected.replace(" | None", "")
        if not _TYPES[kind](value):
            return f"{name} is {str(value)[:100]}, expected {_WORDS.get(kind, kind)}"
        if name in _RANGES:
            words, test = _RANGES[name]
            numbers = value if isinstance(value, (list, tuple)) else [value]
            if not all(map(test, numbers)):
                return f"{name} is {str(value)[:100]}, expected {words}"
    return _geometry(attributes)


def _geometry(attributes: Mapping[str, Any]) -> str | None:
    """One number for each spatial axis, two in pads."""
    ranks = {name: len(attributes[name]) for name in _PER_AXIS if attributes.get(name)}
    if attributes.get("pads"):
        ranks["half of pads"] = -(-len(attributes["pads"]) // 2)
    if len(set(ranks.values())) > 1 or len(attributes.get("pads") or ()) % 2:
        return f"{', '.join(ranks)} are for different numbers of axes"
    return None


_PER_AXIS = ("dilations", "kernel_shape", "output_padding", "strides")


def _is_int(value: Any) -> bool:
    return isinstance(value, (int, np.integer)) and not isinstance(value, bool) and abs(int(value)) <= _LARGEST


def _is_int64(value: Any) -> bool:
    return isinstance(value, (int, np.integer)) and not isinstance(value, bool) and -(1 << 63) <= int(value) < 1 << 63


def _is_float(value: Any) -> bool:
    return isinstance(value, (int, float, np.number)) and not isinstance(value, bool)


def _is_text(value: Any) -> bool:
    return isinstance(value, str)


def _each(test: _Test) -> _Test:
    return lambda value: isinstance(value, (list, tuple)) and all(map(test, value))


_TYPES: dict[str, _Test] = {
    "Array": lambda value: isinstance(value, np.ndarray),
    "Body": lambda value: hasattr(value, "nodes") or callable(value),
    "Int64": _is_int64,
    "Sequence[Int64]": _each(_is_int64),
    "Sequence[float]": _each(_is_float),
    "Sequence[int]": _each(_is_int),
    "Sequence[str]": _each(_is_text),
    "bool": _is_int,
    "float": _is_float,
    "int": _is_int,
    "list[int]": _each(_is_int),
    "str": _is_text,
}
"""A test for each type that a kernel's function may have in its signature."""

_WORDS = {
    "Array": "an array",
    "Body": "a graph",
    "Int64": "an int64",
    "Sequence[Int64]": "a list of int64",
    "Sequence[float]": "a list of numbers",
    "Sequence[int]": f"a list of integers up to {_LARGEST}",
    "Sequence[str]": "a list of strings",
    "bool": "0 or 1",
    "float": "a number",
    "int": f"an integer up to {_LARGEST}",
    "list[int]": f"a list of integers up to {_LARGEST}",
    "str": "a string",
}

_POSITIVE: tuple[str, _Test] = ("at least 1", lambda value: value >= 1)
_NATURAL: tuple[str, _Test] = ("at least 0", lambda value: value >= 0)
_FLAG: tuple[str, _Test] = ("0 or 1", lambda value: value in (0, 1))
_AXIS: tuple[str, _Test] = (
    f"an axis from {-_MOST_RANK} to {_MOST_RANK}",
    lambda value: -_MOST_RANK <= value <= _MOST_RANK,
)

_RANGES: dict[str, tuple[str, _Test]] = {
    **dict.fromkeys(
        ("blocksize", "dilations", "group", "hidden_size", "kernel_shape", "num_outputs", "size", "strides"), _POSITIVE
    ),
    **dict.fromkeys(("batch_dims", "num_scan_inputs", "output_padding", "pads", "perm"), _NATURAL),
    **dict.fromkeys(
        (
            "allowzero",
            "antialias",
            "count_include_pad",
            "detect_negative",
            "detect_positive",
            "exclude_outside",
            "exclusive",
            "fmod",
            "input_forget",
            "keepdims",
            "largest",
            "layout",
            "linear_before_reset",
            "noop_with_empty_axes",
            "reverse",
            "saturate",
            "scan_input_directions",
            "scan_output_directions",
            "select_last_index",
            "sorted",
            "transA",
            "transB",
            "upper",
        ),
        _FLAG,
    ),
    **dict.fromkeys(
        ("axes", "axis", "batch_axis", "scan_input_axes", "scan_output_axes", "time_axis"),
        _AXIS,
    ),
}
"""What the numbers of an attribute may be, by its name."""
