"""Computes a model, or the constants in it, with `runtime.kernels`, in a float type of choice."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from math import prod
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx_ir as ir

from exporter.errors import CorruptError, LimitError, UnsupportedError, UsageError
from exporter.ir.edit import subgraphs
from exporter.ir.order import is_as_written
from exporter.ir.text import array_of
from runtime.budget import Budget, Limits, Meter, TooMuchError
from runtime.engine.kernels import KERNELS
from runtime.errors import FAILURES
from runtime.kernels.control import complete

__all__ = ["MADE_OF", "Call", "Constants", "attributes_of", "evaluate", "evaluate_node"]

_Array = npt.NDArray[Any]
_DType = npt.DTypeLike

Call = Callable[[ir.Node, list[_Array | None], Callable[[list[_Array | None]], tuple[_Array, ...]]], tuple[_Array, ...]]
"""What stands between a node and its kernel."""


def evaluate(
    model: ir.Model,
    feeds: Mapping[str, npt.ArrayLike],
    *,
    dtype: _DType = np.float64,
    see: Callable[[ir.Value, _Array], None] | None = None,
    meter: Meter | None = None,
    call: Call | None = None,
) -> dict[str, _Array]:
    """The model's outputs by name, with every float (inputs, weights, casts, results) in `dtype`.

    Intermediate results are freed as soon as nothing needs them any more.

    Args:
        model: It is run as it is.
        feeds: An array for each input.
        dtype: The float type.
        see: Called with every result of a node outside of subgraphs, in the order of the nodes.
        meter: What operations are counted by, those of several runs on inputs that were made up, if not by what the
            model stores and is fed.
        call: Called for every node outside of subgraphs with its inputs and with what computes its results of such, and
            returns its results.

    Raises:
        UsageError: An input isn't fed.
        ValueError: It would take more than what the model stores and is fed allow, see `runtime.budget`; this and what
            else NumPy makes of tensors that don't go together is in `runtime.errors.FAILURES`.
    """
    graph = model.graph
    stored = sum(value.const_value.nbytes for value in graph.initializers.values() if value.const_value is not None)
    known: dict[ir.Value, _Array] = {}
    for value in graph.inputs:
        if value.name is None or value.name not in feeds:
            raise UsageError(f"no value for input {value.name}")
        if value.dtype is None:
            known[value] = _in_type(np.asarray(feeds[value.name]), dtype)
        else:
            wanted = dtype if value.dtype.is_floating_point() else value.dtype.numpy()
            known[value] = np.asarray(feeds[value.name], wanted)
    fed = sum(array.nbytes for array in known.values())
    budget = Budget(stored + (fed if meter is None else min(fed, _MOST_FED)), meter=meter)
    budget.meter.spend(_PER_BYTE_FED * fed)
    return {
        str(output.name): array
        for output, array in zip(graph.outputs, _run(graph, known, np.dtype(dtype), budget, see, call), strict=True)
    }


_MOST_FED = 1 << 23
"""Bytes of inputs that count for the memory of runs that share a meter: they are made up, as large as it takes."""

_STEP = 1 << 19
"""Operations that running a subgraph once counts as, whatever is in it: setting it up takes some time."""

_PER_BYTE_FED = 32
"""Operations that making up a byte of input and looking at it counts as."""


def evaluate_node(node: ir.Node, inputs: list[_Array | None], dtype: _DType | None = np.float64) -> tuple[_Array, ...]:
    """The results of one node without subgraphs on these arrays."""
    return KERNELS[node.op_type](inputs, attributes_of(node, dtype))


def attributes_of(node: ir.Node, dtype: _DType | None = None) -> dict[str, Any]:
    """A node's attributes as plain Python values; floats in tensors, and the float type of a cast, become `dtype`."""
    attributes: dict[str, Any] = {}
    for name, attribute in node.attributes.items():
        value = attribute.value
        if attribute.type == ir.AttributeType.TENSOR:
            array = value.numpy()
            attributes[name] = array if dtype is None else _in_type(array, dtype)
        elif name in {"to", "dtype"} and dtype is not None and ir.DataType(int(value)).is_floating_point():
            attributes[name] = ir.DataType.from_numpy(np.dtype(dtype)).value
        else:
            attributes[name] = list(value) if isinstance(value, tuple) else value
    return attributes


class Constants:
    """What nothing but initializers determine, computed in one float type and never rounded in between.

    Args:
        dtype: The float type to compute in; None for the type that each is stored in.
    """

    def __init__(self, dtype: _DType | None = np.float64) -> None:
        self._dtype = None if dtype is None else np.dtype(dtype)
        self._constant: dict[ir.Value, bool] = {}
        self._arrays: dict[ir.Value, _Array] = {}
        self._largest: dict[ir.Value, int] = {}
        self._made: dict[ir.Node, tuple[int, bool]] = {}
        self._meter = Meter(_FREE_OPERATIONS)

    def is_constant(self, value: ir.Value | None) -> bool:
        """Whether all that a value depends on are initializers, and it isn't larger than what these allow."""
        if value is None:
            return False
        pending = [value]
        while pending:
            current = pending[-1]
            if current in self._constant:
                pending.pop()
                continue
            node = current.producer()
            unknown = [] if node is None else [v for v in node.inputs if v is not None and v not in self._constant]
            if unknown:
                pending.extend(unknown)
            else:
                self._constant[current] = self._decide(current)
                pending.pop()
        return self._constant[value]

    def made_of(self, value: ir.Value) -> int:
        """Bytes of the largest tensor that a constant is made of, as it was stored in the source."""
        return self._largest[value] if self.is_constant(value) else 0

    def array(self, value: ir.Value) -> _Array:
        """The value of a constant, kept for the next call. UsageError if it isn't one."""
        if value not in self._arrays:
            self._arrays[value] = self.compute(value)
        return self._arrays[value]

    def compute(self, value: ir.Value) -> _Array:
        """The value of a constant, without keeping it: for large ones. LimitError if it takes too much."""
        if not self.is_constant(value):
            raise UsageError(f"{value.name} is not a constant")
        needed = _producers(value, self._arrays)
        uses = Counter(v for node in needed for v in node.inputs if v is not None)
        known: dict[ir.Value, _Array] = {}

        def fetch(v: ir.Value) -> _Array:
            found = self._arrays.get(v)
            if found is None:
                found = known.get(v)
            return _initial(v, self._dtype) if found is None else found

        for node in needed:
            inputs = [None if v is None else fetch(v) for v in node.inputs]
            largest = max(self._largest.get(output, 0) for output in node.outputs)
            budget = Budget(limits=Limits(2 * _FREE + _PER_BYTE * largest), meter=self._meter)
            results = _computed(node, inputs, self._dtype, budget)
            known.update(zip(node.outputs, results, strict=False))
            for v in node.inputs:
                if v is not None:
                    uses[v] -= 1
                    if not uses[v] and v is not value:
                        known.pop(v, None)
        return fetch(value)

    def _decide(self, value: ir.Value) -> bool:
        node = value.producer()
        if node is None:
            stored = 0 if value.const_value is None else value.const_value.nbytes
            self._largest[value] = value.meta.get(MADE_OF, stored)
            self._meter.left += _OPERATIONS_PER_BYTE * self._largest[value]
            return value.is_initializer() and not value.is_graph_input() and value.const_value is not None
        if node not in self._made:
            largest = max((self._largest[v] for v in node.inputs if v is not None), default=0)
            constant = (
                node.op_type in KERNELS
                and all(v is None or self._constant[v] for v in node.inputs)
                and not any(attribute.type in _SUBGRAPHS for attribute in node.attributes.values())
                and _bytes_made(node) <= _FREE + _PER_BYTE * largest
            )
            self._made[node] = largest, constant
        self._largest[value], constant = self._made[node]
        return constant


MADE_OF = "made_of"
"""Entry of the `meta` of what was folded, its `Constants.made_of`: folding again allows no more than folding once."""

_FREE = 1 << 27
"""Bytes that a constant may take whatever it is made of."""

_PER_BYTE = 16
"""Bytes more that it may take for each byte of the largest tensor that it is made of."""


_FREE_OPERATIONS = 1 << 32
"""Operations that all constants together may take to compute, whatever they are made of: a second or two."""

_OPERATIONS_PER_BYTE = 256
"""Operations more for each byte of what they are made of."""


def _bytes_made(node: ir.Node) -> int:
    """Bytes of a node's results as far as their shapes are known."""
    shapes = [(output.shape, output.dtype) for output in node.outputs]
    return sum(
        prod(dim if isinstance(dim, int) else 1 for dim in shape.dims) * dtype.numpy().itemsize
        for shape, dtype in shapes
        if shape is not None and dtype is not None
    )


_SUBGRAPHS = (ir.AttributeType.GRAPH, ir.AttributeType.GRAPHS)


def _producers(value: ir.Value, known: Mapping[ir.Value, _Array]) -> list[ir.Node]:
    """The nodes that compute a value, in order, up to what is known already."""
    order: list[ir.Node] = []
    seen: set[ir.Node] = set()
    pending: list[tuple[ir.Value, bool]] = [(value, False)]
    while pending:
        current, done = pending.pop()
        node = current.producer()
        if node is None or node in seen or current in known:
            continue
        if done:
            seen.add(node)
            order.append(node)
        else:
            pending.append((current, True))
            pending.extend((v, False) for v in node.inputs if v is not None)
    return order


def _initial(value: ir.Value, dtype: np.dtype[Any] | None) -> _Array:
    assert value.const_value is not None
    array = array_of(value.const_value)
    return array if dtype is None else _in_type(array, dtype)


def _in_type(array: _Array, dtype: _DType) -> _Array:
    """Floats of any width (bfloat16 too, which NumPy doesn't know as a float) in `dtype`; the rest as it is."""
    is_float = array.dtype.kind == "f" or ir.DataType.from_numpy(array.dtype).is_floating_point()
    return array.astype(dtype, copy=False) if is_float else array


def _run(
    graph: ir.Graph,
    known: dict[ir.Value, _Array],
    dtype: np.dtype[Any],
    budget: Budget,
    see: Callable[[ir.Value, _Array], None] | None = None,
    call: Call | None = None,
) -> list[_Array]:
    """A graph's outputs; `known` holds its inputs and, for a subgraph, what it sees of the graph around it."""
    nodes = list(graph)
    uses = Counter(value for node in nodes for value in node.inputs if value is not None)
    uses.update(graph.outputs)
    # what a subgraph reads is never counted down to 0
    uses.update({value for node in nodes for inner in subgraphs(node) for value in _read_in(inner)} & uses.keys())
    held = 0

    def fetch(value: ir.Value) -> _Array:
        if value not in known and value.const_value is None:
            raise ValueError(f"there is no result {value.name}: its node gives fewer for these inputs")
        return known[value] if value in known else _initial(value, dtype)

    for node in nodes:
        if node.op_type not in KERNELS:
            raise UnsupportedError(f"node {node.name} has the op {node.op_type}, which has no kernel")
        attributes = attributes_of(node, dtype) if node.attributes else {}
        for name, value in attributes.items():
            if isinstance(value, ir.Graph):
                attributes[name] = _body(value, known, dtype, budget)
        matrix = _large_matrix(node, dtype, known) if call is None else None
        inputs = [None if v is None else fetch(v) if v is not matrix else _initial(v, None) for v in node.inputs]
        compute = partial(_results, node, attributes, dtype, budget, held)
        results = compute(inputs) if call is None else call(node, inputs, compute)
        if node.op_type == "Loop":
            results = complete(results, len(node.outputs))
        held += sum(map(_own_bytes, results))
        for result, array in zip(node.outputs, results, strict=False):
            known[result] = array
            if see is not None:
                see(result, array)
        for value in node.inputs:
            if value is not None:
                uses[value] -= 1
                if not uses[value] and value in known:
                    held -= 0 if value.producer() is None else _own_bytes(known[value])
                    del known[value]
    return [fetch(value) for value in graph.outputs]


def _results(
    node: ir.Node,
    attributes: dict[str, Any],
    dtype: np.dtype[Any],
    budget: Budget,
    held: int,
    inputs: list[_Array | None],
) -> tuple[_Array, ...]:
    budget.check(node.op_type, inputs, attributes, held)
    if node.op_type == "Dense" and inputs[0] is not None and inputs[1] is not None and inputs[1].dtype != dtype:
        return (_dense_in_blocks(inputs[0], inputs[1], inputs[2] if len(inputs) > 2 else None),)
    if not is_as_written(node):
        return KERNELS[node.op_type](inputs, attributes)
    given = [
        array
        if array is None or value is None or value.dtype is None
        else array.astype(value.dtype.numpy(), copy=False)
        for value, array in zip(node.inputs, inputs, strict=True)
    ]
    return tuple(_in_type(result, dtype) for result in evaluate_node(node, given, None))


def _large_matrix(node: ir.Node, dtype: np.dtype[Any], known: Mapping[ir.Value, _Array]) -> ir.Value | None:
    """The large matrix that a node multiplies by, if it is of a narrower type than the run's: it isn't widened then."""
    matrix = node.inputs[1] if node.op_type == "Dense" and len(node.inputs) > 1 else None
    tensor = None if matrix is None or matrix in known else matrix.const_value
    if tensor is None or tensor.dtype != ir.DataType.FLOAT or dtype != np.float64 or tensor.size < _LARGE:
        return None
    return None if is_as_written(node) else matrix


_LARGE, _BLOCK = 1 << 22, 1 << 20


def _dense_in_blocks(x: _Array, kernel: _Array, bias: _Array | None) -> _Array:
    """The kernel `Dense` where the matrix is of a narrower type: a wide copy of all of it would take longer."""
    rows = x.reshape(-1, x.shape[-1])
    step = max(_BLOCK // kernel.shape[1], 1)
    y = np.zeros((len(rows), kernel.shape[1]), x.dtype)
    for start in range(0, len(kernel), step):
        y += rows[:, start : start + step] @ kernel[start : start + step].astype(x.dtype)
    if bias is not None:
        y += bias
    return y.reshape(*x.shape[:-1], kernel.shape[1])


def _computed(node: ir.Node, inputs: list[_Array | None], dtype: _DType | None, budget: Budget) -> tuple[_Array, ...]:
    """A node's results; what its kernel makes of tensors that don't go together is the file's fault."""
    try:
        budget.check(node.op_type, inputs, attributes_of(node))
        return evaluate_node(node, inputs, dtype)
    except TooMuchError as error:
        raise LimitError(f"computing a constant takes too much: {error.reason}", where=(f"node {node.name}",)) from None
    except FAILURES as error:
        shapes = ", ".join("none" if x is None else str(list(x.shape)) for x in inputs)
        reason = str(error) or type(error).__name__
        raise CorruptError(f"{node.op_type} can't work on {shapes}: {reason}", where=(f"node {node.name}",)) from error


def _own_bytes(array: _Array) -> int:
    """The memory of an array that isn't a part of another."""
    return array.nbytes if array.base is None else 0


def _read_in(graph: ir.Graph) -> Iterator[ir.Value]:
    """All values that a subgraph and those in it read."""
    yield from graph.outputs
    for node in graph:
        yield from (value for value in node.inputs if value is not None)
        for inner in subgraphs(node):
            yield from _read_in(inner)


def _body(
    graph: ir.Graph, around: Mapping[ir.Value, _Array], dtype: np.dtype[Any], budget: Budget
) -> Callable[..., tuple[_Array, ...]]:
    def body(*inputs: _Array) -> tuple[_Array, ...]:
        budget.step()
        budget.meter.spend(_STEP)
        return tuple(_run(graph, {**around, **dict(zip(graph.inputs, inputs, strict=True))}, dtype, budget))

    return body
