"""Builds an IR model node by node; knows each value's dtype and shape, and the contents of small integer tensors."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx_ir as ir

from exporter.ir import edit, elements, shapes
from exporter.ir.dims import UNKNOWN, Dim, Dims, dims_of, product, same_dim, to_shape
from exporter.ir.elements import Elements
from exporter.ir.known import Known, Result, ShapeError
from exporter.ir.ops import CHANNELS_LAST, ML, ML_OPSET, OPSET, domain_of
from exporter.ir.text import tensor_of
from exporter.ir.unique_names import UniqueNames
from runtime.attributes import problem
from runtime.cost import cost
from runtime.kernels import KERNELS

__all__ = ["Builder"]

_Array = npt.NDArray[Any]

_STORED_SPLATS = 1 << 26
"""Bytes up to which constants of equal elements are stored, all together."""

_LARGEST_ELEMENTS = 1024

_LARGEST_RESULT = 1 << 20
"""Bytes that computing with known elements may make."""

_MOST_OUTPUTS = 1 << 16

_MOST_SCALES = 8
"""Small float vectors may be the scales of a Resize, which its shape follows from."""

_GROWING = frozenset({"ConstantOfShape", "Expand", "Pad", "Range", "Resize", "Tile"})
"""Ops whose results can be of any size, however small their inputs are: looked at before they are computed."""


class Builder:
    """Appends nodes to one graph.

    Small integer and bool tensors, and scalars, that can be computed from known shapes and constants are computed at
    once and become constants. Weights never are: the model that comes out is the unfolded one.

    Args:
        name: The graph's name.
    """

    def __init__(self, name: str) -> None:
        self.graph = ir.Graph([], [], nodes=[], opset_imports={"": OPSET, CHANNELS_LAST: 1, ML: ML_OPSET}, name=name)
        self._into = [self.graph]
        self._names_before: dict[ir.Graph, frozenset[str]] = {}
        self._elements: dict[ir.Value, Elements] = {}
        self._splats = 0
        self._floats: dict[ir.Value, Elements] = {}
        self._constants: dict[tuple[str, tuple[int, ...], bytes], ir.Value] = {}
        self._names = UniqueNames()
        self._source = name
        self._metadata: dict[str, str] = {}

    def input(self, name: str, dtype: ir.DataType, shape: Iterable[object] | None) -> ir.Value:
        """A graph input; in `shape` a str names a symbolic dimension, None is an unknown one; None alone: any rank."""
        dims = None if shape is None else dims_of(shape)
        value = ir.Value(name=self._unique(name), shape=to_shape(dims), type=ir.TensorType(dtype))
        self.graph.inputs.append(value)
        return value

    def weight(self, name: str, dtype: ir.DataType, shape: Sequence[int], read: Callable[[], _Array]) -> ir.Value:
        """An initializer whose array `read` fetches when it is needed, once."""
        unique = self._unique(name)

        def load() -> ir.Tensor[Any]:
            return ir.Tensor(read(), dtype=dtype, name=unique)

        tensor = ir.LazyTensor(load, dtype=dtype, shape=ir.Shape(shape), cache=True, name=unique)
        value = ir.Value(name=unique, shape=ir.Shape(shape), type=ir.TensorType(dtype), const_value=tensor)
        self.graph.register_initializer(value)
        return value

    def constant(self, array: npt.ArrayLike, name: str | None = None) -> ir.Value:
        """An initializer with this array; equal small ones are made once.

        Where arrays that repeat one element get large, they become an `Expand` of it, which nobody has to store.
        """
        plain = np.asarray(array)
        if plain.size > 1 and not any(plain.strides) and self._splats + plain.nbytes > _STORED_SPLATS:
            sizes = self.constant(np.array(plain.shape, np.int64))
            return self.op("Expand", self.constant(np.full(1, plain.flat[0], plain.dtype)), sizes)
        self._splats += 0 if any(plain.strides) else plain.nbytes
        content = repr(plain.tolist()).encode() if plain.dtype == object else plain.tobytes()
        key = (str(plain.dtype), plain.shape, content) if plain.size <= _LARGEST_ELEMENTS else None
        if key is not None and key in self._constants:
            return self._constants[key]
        unique = self._unique(name or f"{self._source}/const")
        tensor = tensor_of(plain, unique)
        value = ir.Value(name=unique, shape=ir.Shape(plain.shape), type=ir.TensorType(tensor.dtype), const_value=tensor)
        self.graph.register_initializer(value)
        if key is not None:
            self._constants[key] = value
        if plain.dtype != object and plain.size <= _LARGEST_ELEMENTS and (plain.dtype.kind in "iub" or plain.size == 1):
            self._elements[value] = plain
        elif plain.size <= _MOST_SCALES and plain.dtype.kind == "f":
            self._floats[value] = plain
        return value

    @contextmanager
    def source(self, name: str, **metadata: str) -> Iterator[None]:
        """Names what the nodes made inside come from; `metadata` goes onto each of them, as `batch_norm="bn1"`."""
        before = self._source, self._metadata
        self._source, self._metadata = name, metadata
        try:
            yield
        finally:
            self._source, self._metadata = before

    def op(self, op_type: str, *inputs: ir.Value | None, **attributes: Any) -> ir.Value:
        """One node with one output. ShapeError where the inputs don't go together."""
        return self.op_n(op_type, 1, *inputs, **attributes)[0]

    def op_n(self, op_type: str, outputs: int, *inputs: ir.Value | None, **attributes: Any) -> tuple[ir.Value, ...]:
        """One node with several outputs. ShapeError for more of them than any op can be meant to have."""
        if outputs > _MOST_OUTPUTS:
            raise ShapeError(f"{op_type} with {outputs} results")
        if op_type == "Reshape" and not attributes.get("allowzero"):
            inputs = (inputs[0], self._static_shape(inputs[0], inputs[1]))
        known = [None if v is None else Known(v.dtype, self.shape(v), self._elements.get(v)) for v in inputs]
        results = shapes.infer(op_type, self._with_floats(inputs, known), attributes, outputs)
        constant = self._evaluate(op_type, known, attributes, results[0][1])
        if constant is not None:
            return tuple(self.constant(array) for array in constant)
        found = self._symbolic(op_type, known, attributes)
        dtype = results[0][0]
        if found is not None and found.dtype != object and outputs == 1 and dtype is not None:
            return (self.constant(found.astype(dtype.numpy())),)
        if op_type in KERNELS and (wrong := problem(op_type, attributes)) is not None:
            raise ShapeError(wrong)
        values = self._append(op_type, inputs, attributes, results)
        if found is not None:
            self._elements[values[0]] = found
        return values

    def elements(self, value: ir.Value) -> Elements | None:
        """What is known of the contents of a small tensor: numbers, or an object array with `SymbolicDim` in it."""
        return self._elements.get(value)

    def shape(self, value: ir.Value) -> Dims | None:
        """The dimensions of a value; None where not even the rank is known."""
        return None if value.shape is None else tuple(value.shape.dims)

    @contextmanager
    def body(self, name: str) -> Iterator[ir.Graph]:
        """A subgraph that nodes go into until the end of the block; constants and weights stay in the graph around."""
        graph = ir.Graph([], [], nodes=[], name=name)
        self._names_before[graph] = frozenset(self._names)
        self._into.append(graph)
        try:
            yield graph
        finally:
            self._into.pop()

    def discard(self, graph: ir.Graph) -> None:
        """Gives up a subgraph, which no node must have yet; its names are free again."""
        edit.disconnect(graph)
        self._names = UniqueNames({*self._names_before.pop(graph), *map(str, self.graph.initializers)})

    def body_input(self, name: str, dtype: ir.DataType | None, dims: Dims | None) -> ir.Value:
        """An input of the subgraph that is being built."""
        type_ = None if dtype is None else ir.TensorType(dtype)
        value = ir.Value(name=self._unique(name), shape=to_shape(dims), type=type_)
        self._into[-1].inputs.append(value)
        return value

    def body_outputs(self, values: Iterable[ir.Value]) -> None:
        """The outputs of the subgraph that is being built; what others made, or is there twice, as an Identity."""
        graph = self._into[-1]
        for value in values:
            producer = value.producer()
            if producer is None or producer.graph is not graph or value in graph.outputs:
                value = self._append("Identity", [value], {}, [(value.dtype, self.shape(value))])[0]
            graph.outputs.append(value)

    def loop(
        self, trips: ir.Value | None, going: ir.Value, initial: Sequence[ir.Value], body: ir.Graph
    ) -> tuple[ir.Value, ...]:
        """An ONNX `Loop`: the last values of the loop variables, then what each step gives, stacked.

        Args:
            trips: How many steps there are at most, an int64 scalar.
            going: Whether there is a first step, a bool scalar.
            initial: The loop variables before the first step.
            body: (step, going, *variables) -> (going, *variables, *scans).
        """
        count = len(initial)
        results = [(value.dtype, self.shape(value)) for value in body.inputs[2:]]
        for scan in body.outputs[1 + count :]:
            dims = self.shape(scan)
            results.append((scan.dtype, None if dims is None else (UNKNOWN, *dims)))
        return self._append("Loop", [trips, going, *initial], {"body": body}, results)

    def either(
        self, condition: ir.Value, then: ir.Graph, otherwise: ir.Graph, results: Sequence[Result]
    ) -> tuple[ir.Value, ...]:
        """An ONNX `If`: what one of two subgraphs without inputs gives; only that one is computed.

        Args:
            condition: Which, a bool of one element.
            then: The first.
            otherwise: The second, with as many outputs.
            results: The types and shapes of the results, as far as both agree.
        """
        return self._append("If", [condition], {"then_branch": then, "else_branch": otherwise}, results)

    def size(self, dim: Dim) -> ir.Value | None:
        """A dimension as an int64 vector of one element; None if no tensor in reach is known to have it."""
        if isinstance(dim, int):
            return self.constant(np.array([dim], np.int64))
        for value in self._visible_values():
            for axis, other in enumerate(self.shape(value) or ()):
                if same_dim(other, dim):
                    return self.op("Shape", value, start=axis, end=axis + 1)
        return None

    def rename(self, value: ir.Value, name: str) -> None:
        """Gives a node's result a name of its own, made unique if it is taken."""
        if value.name != name:
            self._names.discard(value.name or "")
            value.name = self._unique(name)

    def finish(self, outputs: Mapping[str, ir.Value]) -> ir.Model:
        """The model with these outputs; what they don't need is removed."""
        holders = {str(value.name): value for value in (*self.graph.initializers.values(), *self._visible_values())}
        for name, value in outputs.items():
            if value.producer() is None or value.is_graph_output():
                # an input, a constant or what is an output already gets an Identity, to have a name of its own
                with self.source(name):
                    results = [(value.dtype, self.shape(value))]
                    value = self._append("Identity", [value], {}, results)[0]
            holder = holders.get(name)
            if holder is not None and holder is not value:
                holder.name = self._unique(f"{name}/inner")
                holders[holder.name] = holder
                self._names.discard(name)
            holders.pop(str(value.name), None)
            value.name, holders[name] = name, value
            self.graph.outputs.append(value)
        model = ir.Model(self.graph, ir_version=8)
        edit.remove_dead(model)
        edit.check(model)
        return model

    def _visible_values(self) -> Iterator[ir.Value]:
        for graph in self._into:
            yield from graph.inputs
            for node in graph:
                yield from node.outputs

    def _with_floats(self, inputs: Sequence[ir.Value | None], known: list[Known | None]) -> list[Known | None]:
        """Shapes may follow from small float constants too; no value is computed from them, as weights are such."""
        if not any(value in self._floats for value in inputs):
            return known
        return [
            Known(k.dtype, k.shape, self._floats[value]) if k is not None and value in self._floats else k
            for value, k in zip(inputs, known, strict=True)
        ]

    def _evaluate(
        self, op_type: str, known: Sequence[Known | None], attributes: Mapping[str, Any], sizes: Dims | None
    ) -> tuple[_Array, ...] | None:
        """The results of an op on known small tensors; `sizes` is the shape of the first."""
        if op_type == "Shape" and known[0] is not None and known[0].shape is not None:
            start, end = attributes.get("start", 0), attributes.get("end")
            dims = elements.of_shape(known[0].shape[start:end])
            return None if dims.dtype == object else (dims,)
        arrays = [None if k is None else k.elements for k in known]
        if not known or any(k is not None and k.elements is None for k in known) or op_type not in KERNELS:
            return None
        if any(array is not None and array.dtype == object for array in arrays):
            return None
        count = UNKNOWN if sizes is None else product(sizes)
        if op_type in _GROWING and not (isinstance(count, int) and count <= _LARGEST_ELEMENTS):
            return None
        if cost(op_type, arrays, attributes)[0] > _LARGEST_RESULT:
            return None
        results = KERNELS[op_type](arrays, attributes)
        small = all(result.size <= _LARGEST_ELEMENTS for result in results)
        return tuple(np.asarray(result) for result in results) if small else None

    def _static_shape(self, x: ir.Value | None, wanted: ir.Value | None) -> ir.Value | None:
        """A shape with symbols as a constant with 0 (as in the input) and -1 (what is left), if that says it all."""
        found = None if wanted is None else self._elements.get(wanted)
        dims = None if x is None else self.shape(x)
        if found is None or found.dtype != object or dims is None:
            return wanted
        items = list(found)
        for i, item in enumerate(items):
            if i < len(dims) and isinstance(item, ir.SymbolicDim) and same_dim(item, dims[i]):
                items[i] = 0
        left = [i for i, item in enumerate(items) if isinstance(item, ir.SymbolicDim)]
        if len(left) > 1 or (left and -1 in items):
            return wanted
        for i in left:
            items[i] = -1
        return self.constant(np.array(items, np.int64))

    def _symbolic(self, op_type: str, known: Sequence[Known | None], attributes: Mapping[str, Any]) -> Elements | None:
        """What is known of the result of an op on elements with symbols; plain numbers where the symbols cancel out."""
        if op_type == "Shape":
            if known[0] is None or known[0].shape is None:
                return None
            return elements.of_shape(known[0].shape[attributes.get("start", 0) : attributes.get("end")])
        found = elements.symbolic(op_type, [None if k is None else k.elements for k in known], attributes)
        return found if found is not None and found.size <= _LARGEST_ELEMENTS else None

    def _append(
        self,
        op_type: str,
        inputs: Sequence[ir.Value | None],
        attributes: Mapping[str, Any],
        results: Sequence[Result],
    ) -> tuple[ir.Value, ...]:
        told: dict[str, Any] = {}
        for name, value in attributes.items():
            if isinstance(value, np.ndarray):
                told[name] = ir.tensor(value)
            elif isinstance(value, list | tuple) and all(type(item) is int for item in value):
                told[name] = ir.AttrInt64s(name, value)  # onnx-ir takes its time over lists
            else:
                told[name] = value
        node = ir.node(
            op_type,
            inputs,
            told,
            domain=domain_of(op_type),
            num_outputs=len(results),
            metadata_props={"source": self._source, **self._metadata},
        )
        node.name = self._unique(f"{self._source}/{op_type}", among="node ")
        for output, (dtype, dims) in zip(node.outputs, results, strict=True):
            output.name = self._unique(f"{self._source}/{op_type}")
            output.shape = to_shape(dims)
            output.type = None if dtype is None else ir.TensorType(dtype)
        self._into[-1].append(node)
        return tuple(node.outputs)

    def _unique(self, name: str, *, among: str = "") -> str:
        """The name, with the suffix _1, _2, ... where it is taken."""
        return self._names.take(among + name)[len(among) :]
