"""What an op function is given: the node, its inputs already lowered, and the builder to lower it with."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx_ir as ir

from exporter.ir.builder import Builder
from exporter.ir.dims import UNKNOWN, Dims, to_shape
from exporter.ir.edit import constant_array
from exporter.ir.order import AS_WRITTEN
from exporter.lower.tf.batch import Batch
from exporter.lower.tf.dtypes import dtype_of_number
from exporter.sources.graph import Node
from exporter.sources.model import Variable

__all__ = ["Lowered", "Memory", "NodeContext", "OpFunction", "RefusalError", "SpaceToBatch", "merge"]

MOST_OUTPUTS = 65536

_Array = npt.NDArray[Any]

Lowered = ir.Value | tuple[ir.Value, ...]
"""The values of a node's outputs; those past the end of the tuple have no translation."""


class RefusalError(Exception):
    """A node can't be lowered; the message says what about it, as in `padding is 'CIRCULAR'`."""


@dataclass(frozen=True, slots=True)
class SpaceToBatch:
    """What a `SpaceToBatchND` was made of: the input, the block shape and the paddings [M, 2]."""

    x: ir.Value
    block: tuple[int, ...]
    paddings: ir.Value


@dataclass
class Memory:
    """What is remembered across nodes.

    Attributes:
        space_to_batch: Results of `SpaceToBatchND`, for the `BatchToSpaceND` that undoes it.
        constant: Whether only initializers determine a value.
        batch: The batch that the graph was written for, where it is to be open.
    """

    space_to_batch: dict[ir.Value, SpaceToBatch] = field(default_factory=dict)
    constant: dict[ir.Value, bool] = field(default_factory=dict)
    batch: Batch | None = None


@dataclass(frozen=True, slots=True)
class NodeContext:
    """One TensorFlow node about to be lowered.

    Attributes:
        builder: Appends to the IR graph; the node's name is its current source.
        node: The TensorFlow node.
        inputs: The lowered values of its inputs.
        variable: The variable behind a variable node.
        batch_norm: The name of the batch norm behind a batch norm node.
        memory: What is remembered across nodes.
    """

    builder: Builder
    node: Node
    inputs: tuple[ir.Value, ...]
    variable: Variable | None
    batch_norm: str | None
    memory: Memory

    def first(self, count: int) -> NodeContext:
        """The same node with only its first inputs."""
        return replace(self, inputs=self.inputs[:count])

    def op(self, op_type: str, *inputs: ir.Value | None, **attributes: Any) -> ir.Value:
        """Appends a node with one output."""
        return self.builder.op(op_type, *inputs, **attributes)

    def as_written(self) -> AbstractContextManager[None]:
        """Nodes made inside are computed in this order and in their own type, whatever is folded around them."""
        return self.builder.source(self.node.name, **{AS_WRITTEN: "1"})

    def const(self, array: npt.ArrayLike) -> ir.Value:
        """A constant, named after the node."""
        return self.builder.constant(array)

    def int64(self, numbers: int | Sequence[int] | Sequence[Sequence[int]]) -> ir.Value:
        """An int64 scalar, vector or matrix."""
        return self.builder.constant(np.array(numbers, np.int64))

    def scalar(self, number: float, like: ir.Value) -> ir.Value:
        """A scalar constant in the element type of a value."""
        return self.builder.constant(np.asarray(number, self.numpy_dtype(like)))

    def shape(self, value: ir.Value) -> Dims | None:
        """The dimensions of a value; None for an unknown rank."""
        return self.builder.shape(value)

    def sizes(self, value: ir.Value) -> tuple[int, ...] | None:
        """The dimensions of a value; None unless all are known numbers."""
        dims = self.builder.shape(value)
        if dims is None:
            return None
        known = tuple(dim for dim in dims if isinstance(dim, int))
        return known if len(known) == len(dims) else None

    def rank(self, value: ir.Value) -> int:
        """The rank of a value; refused where it isn't known."""
        dims = self.builder.shape(value)
        if dims is None:
            raise RefusalError("the rank of its input is not known")
        return len(dims)

    def dtype(self, value: ir.Value) -> ir.DataType:
        """The element type of a value; refused where it isn't known."""
        if value.dtype is None:
            raise RefusalError("the element type of its input is not known")
        return value.dtype

    def numpy_dtype(self, value: ir.Value) -> np.dtype[Any]:
        """The element type of a value in NumPy's terms."""
        return np.dtype(self.dtype(value).numpy())

    def ranked(self, value: ir.Value, rank: int) -> ir.Value:
        """The value, whose rank the op implies; refused where it is known to be another."""
        if value.shape is None:
            value.shape = to_shape((UNKNOWN,) * rank)
        elif len(value.shape) != rank:
            raise RefusalError(f"its input has rank {len(value.shape)}, expected {rank}")
        return value

    def is_constant(self, value: ir.Value) -> bool:
        """Whether only initializers determine the value, as they do a weight that is reshaped or transposed."""
        known = self.memory.constant
        pending = [value]
        while pending:
            current = pending[-1]
            missing = [v for v in _sources(current) if v not in known]
            if missing:
                pending.extend(missing)
                continue
            sources = list(_sources(current))
            known[current] = all(known[v] for v in sources) if sources else current.is_initializer()
            pending.pop()
        return known[value]

    def constant(self, index: int) -> _Array | None:
        """The contents of an input where they are known now; never those with symbols in them."""
        value = self.inputs[index]
        found = self.builder.elements(value)
        if found is not None:
            return None if found.dtype == object else found
        return constant_array(value)

    def ints(self, index: int) -> list[int] | None:
        """The contents of an integer input as a list, where they are known now."""
        return self.ints_of(self.inputs[index])

    def ints_of(self, value: ir.Value) -> list[int] | None:
        """The contents of an integer value as a list, where they are known now."""
        found = self.builder.elements(value)
        if found is None or found.dtype == object:
            return None
        return [int(item) for item in found.reshape(-1)]

    def fixed_ints(self, index: int, what: str) -> list[int]:
        """The contents of an integer input; refused where they depend on what the model is given."""
        found = self.ints(index)
        if found is None:
            raise RefusalError(f"{what} depends on the model's inputs")
        return found

    def fixed_int(self, index: int, what: str) -> int:
        """A single integer input; refused where it depends on what the model is given."""
        found = self.fixed_ints(index, what)
        if len(found) != 1:
            raise RefusalError(f"{what} has {len(found)} elements, expected 1")
        return found[0]

    def attribute(self, name: str, default: Any = None) -> Any:
        """An attribute of the node; refused where it is missing and there is no default."""
        value = self.node.attribute(name, default)
        if value is None:
            raise RefusalError(f"attribute {name} is missing")
        return value

    def integer(self, name: str, default: int | None = None) -> int:
        """An integer attribute."""
        return int(self._typed(name, default, int))

    def count(self, name: str) -> int:
        """An integer attribute that says how many outputs there are; refused where it can't be meant."""
        number = self.integer(name)
        if not 1 <= number <= MOST_OUTPUTS:
            raise RefusalError(f"{name} is {number}, expected 1 to {MOST_OUTPUTS}")
        return number

    def number(self, name: str, default: float | None = None) -> float:
        """A float attribute."""
        return float(self._typed(name, default, int | float))

    def flag(self, name: str, default: bool | None = None) -> bool:
        """A bool attribute."""
        return bool(self.attribute(name, default))

    def text(self, name: str, default: str | None = None) -> str:
        """A string attribute."""
        value = self._typed(name, default, bytes | str)
        return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)

    def texts(self, name: str) -> list[str]:
        """An attribute that is a list of strings."""
        found = self._typed(name, (), tuple | list)
        if not all(isinstance(item, bytes) for item in found):
            raise RefusalError(f"attribute {name} is {found!r}")
        return [item.decode("utf-8", "replace") for item in found]

    def integers(self, name: str, default: tuple[int, ...] | None = None) -> list[int]:
        """An attribute that is a list of integers."""
        found = self._typed(name, default, tuple | list)
        if not all(isinstance(item, int) for item in found):
            raise RefusalError(f"attribute {name} is {found!r}")
        return list(found)

    def _typed(self, name: str, default: Any, kind: Any) -> Any:
        value = self.attribute(name, default)
        if not isinstance(value, kind):
            raise RefusalError(f"attribute {name} is {value!r}")
        return value

    def element_type(self, name: str, default: int | None = None) -> ir.DataType:
        """An attribute that is an element type; refused for one that the IR doesn't have."""
        number = self.integer(name, default)
        found = dtype_of_number(number)
        if found is None:
            raise RefusalError(f"{name} is TensorFlow's element type {number}")
        return found


OpFunction = Callable[[NodeContext], Lowered]


def _sources(value: ir.Value) -> Iterator[ir.Value]:
    producer = value.producer()
    return iter(()) if producer is None else (v for v in producer.inputs if v is not None)


def merge(*tables: dict[str, OpFunction]) -> dict[str, OpFunction]:
    """One table of all; an op type in two of them is a mistake in this package."""
    merged: dict[str, OpFunction] = {}
    for table in tables:
        twice = merged.keys() & table.keys()
        if twice:
            raise ValueError(f"two functions for {', '.join(sorted(twice))}")
        merged.update(table)
    return merged
