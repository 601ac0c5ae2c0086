"""Inputs for a model that say something about it: drawn at random, but always the same."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx_ir as ir

from exporter.errors import UsageError
from exporter.ir.edit import constant_array

__all__ = ["InputSpec", "feed_shapes", "nudged", "random_feeds", "specs_of"]

Array = npt.NDArray[Any]

_SPACE, _LENGTH = 96, 16
_PASSES_PIXELS = frozenset({"Cast", "Identity", "Transpose", "Reshape", "Squeeze", "Unsqueeze"})
_PASSES_INDICES = _PASSES_PIXELS | {"Clip", "Concat", "Flatten", "Slice", "Split"}


@dataclass(frozen=True)
class InputSpec:
    """What may be fed.

    Attributes:
        name: The input's name.
        dtype: Its element type.
        shape: Its sizes; a str is the name of one that is open, None one without a name.
        indices: For integers that count something, how many of it there are.
        pixels: Whether 0 to 255 is what the model expects, since it scales its input down itself.
    """

    name: str
    dtype: np.dtype[Any]
    shape: tuple[int | str | None, ...]
    indices: int | None = None
    pixels: bool = False


def specs_of(model: ir.Model) -> tuple[InputSpec, ...]:
    """The inputs of a model, with what its ops tell of the values that are meant."""
    return tuple(_spec(value) for value in model.graph.inputs)


def random_feeds(
    specs: Iterable[InputSpec], *, batch: int = 3, seed: int = 0, sizes: Mapping[str, int] | None = None
) -> dict[str, Array]:
    """An array for each input: normal numbers, pixels or indices, of the shapes of `feed_shapes`.

    Args:
        specs: The inputs.
        batch: The size of a first axis that is open.
        seed: Another seed gives other numbers; the same one gives the same in every version of NumPy.
        sizes: Sizes by name that are chosen otherwise.

    Raises:
        UsageError: There are no random numbers of an input's type, as for strings.
    """
    known = tuple(specs)
    shapes = feed_shapes(known, batch=batch, sizes=sizes)
    random = np.random.RandomState(seed)
    return {spec.name: _draw(spec, shapes[spec.name], random) for spec in known}


def feed_shapes(
    specs: Iterable[InputSpec], *, batch: int = 3, sizes: Mapping[str, int] | None = None
) -> dict[str, tuple[int, ...]]:
    """A shape for each input: an open size is `batch` if it is the first, 96 in images, else 16; one name, one size."""
    chosen = dict(sizes or {})
    return {spec.name: _shape(spec, batch, chosen) for spec in specs}


def nudged(feeds: Mapping[str, Array], seed: int = 0) -> dict[str, Array]:
    """The same inputs with each float one unit in the last place up or down."""
    random = np.random.RandomState(seed)
    result = {}
    for name, array in feeds.items():
        if array.dtype.kind == "f":
            towards = np.where(random.randint(0, 2, array.shape) == 1, np.inf, -np.inf).astype(array.dtype)
            array = np.nextafter(array, towards)
        result[name] = array
    return result


def _spec(value: ir.Value) -> InputSpec:
    if value.shape is None:
        raise UsageError(f"the rank of input {value.name} is not known", hint="Give values for it with --data")
    shape = tuple(dim if isinstance(dim, int) else dim.value for dim in value.shape.dims)
    dtype = np.dtype(np.float32 if value.dtype is None else value.dtype.numpy())
    indices = min(_limits(value), default=None) if dtype.kind in "iu" else None
    return InputSpec(str(value.name), dtype, shape, indices, _scales_down(value))


def _reached(value: ir.Value, passing: frozenset[str]) -> Iterator[tuple[ir.Node, int]]:
    """The uses of a value, also behind ops that only pass it on."""
    pending, seen = [value], {value}
    while pending:
        for node, index in pending.pop().uses():
            yield node, index
            if node.op_type in passing and node.outputs[0] not in seen:
                seen.update(node.outputs)
                pending.extend(node.outputs)


def _limits(value: ir.Value) -> Iterator[int]:
    """How many entries the tables have that a value points into."""
    for node, index in _reached(value, _PASSES_INDICES):
        if index != 1 and node.op_type != "OneHot":
            continue
        table = node.inputs[0]
        if node.op_type == "Gather" and table is not None and table.shape is not None:
            size = table.shape[node.attributes.get_int("axis", 0) or 0]
            if isinstance(size, int):
                yield size
        elif node.op_type == "OneHot" and index == 0:
            depth = constant_array(node.inputs[1])
            if depth is not None:
                yield int(depth.reshape(-1)[0])


def _scales_down(value: ir.Value) -> bool:
    """Whether the model divides an input by a large number, or takes one away from it."""
    for node, index in _reached(value, _PASSES_PIXELS):
        other = node.inputs[1] if index == 0 and len(node.inputs) > 1 else None
        array = constant_array(other) if node.op_type in {"Mul", "Div", "Sub"} else None
        if array is None or not array.size or array.size > 4096:
            continue
        size = float(np.max(np.abs(np.asarray(array, np.float64))))
        if size > 16 if node.op_type != "Mul" else 0 < size < 1 / 16:
            return True
    return False


def _shape(spec: InputSpec, batch: int, sizes: dict[str, int]) -> tuple[int, ...]:
    shape = []
    for axis, size in enumerate(spec.shape):
        if not isinstance(size, int):
            default = batch if axis == 0 else _SPACE if len(spec.shape) > 3 else _LENGTH
            size = default if size is None else sizes.setdefault(size, default)
        shape.append(size)
    return tuple(shape)


def _draw(spec: InputSpec, shape: tuple[int, ...], random: np.random.RandomState) -> Array:
    kind = "f" if spec.dtype.name == "bfloat16" else spec.dtype.kind
    if kind == "b":
        return random.randint(0, 2, shape).astype(np.bool_)
    if kind in "iu":
        top = spec.indices or (256 if spec.dtype == np.uint8 or spec.pixels else 10)
        return random.randint(0, top, shape).astype(spec.dtype)
    if kind == "f":
        drawn = random.uniform(0, 255, shape) if spec.pixels else random.standard_normal(shape)
        return np.asarray(drawn).astype(spec.dtype)
    raise UsageError(f"no random values for input {spec.name} of type {spec.dtype}", hint="Give some with --data")
