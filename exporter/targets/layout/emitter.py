"""Builds the ONNX graph: knows which tensors exist in which order, and adds a Transpose where another is needed."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx_ir as ir

from exporter.ir.dims import Dim
from exporter.ir.ops import ML, domain_of
from exporter.ir.unique_names import UniqueNames
from exporter.targets.call import Call, Spec
from exporter.targets.layout.axes import Order, identity, moves_only_ones, sizes_of
from exporter.targets.narrow_types import widened
from exporter.targets.older_opsets import rule_for

__all__ = ["Emitter", "new_value", "stored_dims"]

_Array = npt.NDArray[Any]


class Emitter:
    """A graph that grows node by node.

    Args:
        outputs: The values of the IR that are the graph's outputs; their names are kept for them.
        opset: The opset in whose way ops are written.
        around: The emitter of the graph around this one, if this is a subgraph.

    Attributes:
        shapes: The Shape of values of this graph, where there is one already.
    """

    def __init__(self, outputs: Iterable[ir.Value], opset: int, around: Emitter | None = None) -> None:
        self.opset = opset
        self.nodes: list[ir.Node] = []
        self.inputs: list[ir.Value] = []
        self.initializers: list[ir.Value] = [] if around is None else around.initializers
        self.shapes: dict[ir.Value, ir.Value] = {}
        self._around = around
        self._stored: dict[ir.Value, dict[Order, ir.Value]] = {}
        self._names: UniqueNames = UniqueNames() if around is None else around._names
        self._constants: dict[Hashable, ir.Value] = {} if around is None else around._constants
        self._outputs = {value: self.unique(value.name or "output") for value in outputs}

    def unique(self, name: str) -> str:
        """The name, with the suffix _1, _2, ... where it is taken."""
        return self._names.take(name)

    def unique_node(self, name: str) -> str:
        """The same for the name of a node; nodes and values don't get into each other's way."""
        return self.unique(f"node {name}").removeprefix("node ")

    # What is there

    def give(self, old: ir.Value, order: Order, new: ir.Value) -> None:
        """Notes that a value of the IR exists, stored in this order."""
        self._stored.setdefault(old, {})[order] = new

    def take(self, old: ir.Value | None, order: Order | None = None) -> ir.Value | None:
        """A value of the IR in an order, if need be by a Transpose; without an order, as it is there."""
        if old is None:
            return None
        if old.is_initializer():
            return self.constant(old) if order is None or order == identity(len(order)) else self.transposed(old, order)
        if old not in self._stored and self._around is not None:
            own = _own_order(old)
            return self._in_order(old, own, self._around.take(old, own), order)
        held = self._stored[old]
        first = next(iter(held))
        if order == () and first:  # the IR's order, of a value whose rank the IR doesn't know
            order = identity(len(first))
        return held[order] if order in held else self._in_order(old, first, held[first], order)

    def stored_order(self, old: ir.Value) -> Order:
        """The order that a value was first stored in."""
        return next(iter(self._stored[old]), ()) if old in self._stored else _own_order(old)

    def _in_order(self, old: ir.Value, before: Order, new: ir.Value | None, order: Order | None) -> ir.Value | None:
        if order is None or new is None or (before or identity(len(order))) == order:
            return new
        dims = stored_dims(old, order)
        if new.shape is None and new in self.inputs:
            new.shape = ir.Shape([None] * len(order))
        name = self.name_for(old, order)
        if dims is not None and moves_only_ones(old, before, order):
            sizes = [dim if isinstance(dim, int) else -1 for dim in dims]
            if sizes.count(-1) <= 1:
                moved = self.emit("Reshape", [new, self.ints(sizes)], {}, [(name, old.dtype, dims)])[0]
                self.give(old, order, moved)
                return moved
        perm = [before.index(axis) for axis in order] if before else list(order)
        moved = self.emit("Transpose", [new], {"perm": perm}, [(name, old.dtype, dims)])[0]
        self.give(old, order, moved)
        return moved

    def name_for(self, old: ir.Value, order: Order) -> str:
        """A name for a value in an order: its own for the first, or, if it is an output, for the IR's order."""
        own = self._outputs.get(old)
        if own is not None:
            free = order == identity(len(order)) and not any(v.name == own for v in self._stored.get(old, {}).values())
            return own if free else self.unique(f"{own}/transposed")
        name = old.name or "value"
        return self.unique(name if old not in self._stored else f"{name}/transposed")

    # What is added

    def emit(
        self,
        op_type: str,
        inputs: Sequence[ir.Value | None],
        attributes: Mapping[str, Any],
        outputs: Sequence[Spec],
        *,
        name: str | None = None,
    ) -> Sequence[ir.Value]:
        """Adds an op of the standard domain, in the way of the graph's opset, with outputs of these names and types."""
        call = Call(op_type, inputs, attributes, outputs, name or f"{outputs[0][0]}/{op_type}")
        found = widened(self, call)
        if found is not None:
            return found
        rule = rule_for(op_type, self.opset)
        return self.append(call) if rule is None else rule(self, call)

    def append(self, call: Call) -> Sequence[ir.Value]:
        """Adds a node as it is."""
        inputs = list(call.inputs)
        while inputs and inputs[-1] is None:
            inputs.pop()
        values = [new_value(*output) for output in call.outputs]
        attributes = dict(sorted(call.attributes.items()))
        domain = ML if domain_of(call.op_type) == ML else ""
        name = self.unique_node(call.name)
        node = ir.node(call.op_type, inputs, attributes, domain=domain, outputs=values, name=name)
        self.nodes.append(node)
        return values

    def step(self, call: Call, op_type: str, *inputs: ir.Value | None, **attributes: Any) -> ir.Value:
        """Adds an op on the way to the outputs of `call`, of the dtype of its first input, or what a Where chooses."""
        name = self.unique(f"{call.outputs[0][0]}/{op_type.lower()}")
        data = inputs[1:] if op_type == "Where" else inputs
        first = next((value for value in data if value is not None), None)
        dtype = ir.DataType(attributes["to"]) if op_type == "Cast" else None if first is None else first.dtype
        dtype = ir.DataType.INT64 if op_type == "Shape" else dtype
        return self.emit(op_type, inputs, attributes, [(name, dtype, None)])[0]

    def last(self, call: Call, op_type: str, *inputs: ir.Value | None, **attributes: Any) -> Sequence[ir.Value]:
        """Adds the op that gives the outputs of `call`; of the same type as that, it is final."""
        if op_type == call.op_type:
            return self.append(Call(op_type, inputs, attributes, call.outputs, call.name))
        return self.emit(op_type, inputs, attributes, call.outputs, name=call.name)

    def input(self, old: ir.Value, order: Order) -> None:
        """A graph input, its axes in this order."""
        new = new_value(self.unique(old.name or "input"), old.dtype, stored_dims(old, order))
        self.inputs.append(new)
        self.give(old, order, new)

    def output(self, old: ir.Value) -> ir.Value:
        """A graph output under the name that it has in the IR."""
        new, name = self.take(old, _own_order(old)), self._outputs[old]
        assert new is not None
        if new.name != name:
            new = self.emit("Identity", [new], {}, [(name, old.dtype, stored_dims(old, _own_order(old)))])[0]
        return new

    # Constants

    def ints(self, numbers: Sequence[int]) -> ir.Value:
        """A constant int64 vector."""
        return self.array(np.array(numbers, np.int64), "_".join(["const", *map(str, numbers)]).replace("-", "m"))

    def scalar(self, number: float, like: ir.Value | None) -> ir.Value:
        """A constant number of the dtype of another value."""
        dtype = ir.DataType.FLOAT if like is None or like.dtype is None else like.dtype
        return self.array(np.array(number, dtype.numpy()), f"const_{number:.6g}")

    def array(self, array: _Array, name: str) -> ir.Value:
        """A small constant; equal ones are stored once."""
        key = (str(array.dtype), array.shape, array.tobytes())
        if key not in self._constants:
            unique = self.unique(name)
            tensor = ir.tensor(array, name=unique)
            self._constants[key] = self._register(unique, tensor)
        return self._constants[key]

    def constant(self, old: ir.Value) -> ir.Value:
        """An initializer of the IR as it is; the array is shared with the IR."""
        key = (old, "as it is")
        if key not in self._constants:
            assert old.const_value is not None
            self._constants[key] = self._register(self.unique(old.name or "constant"), old.const_value)
        return self._constants[key]

    def changed(
        self, old: ir.Value, what: Hashable, shape: Sequence[int], change: Callable[[_Array], _Array]
    ) -> ir.Value:
        """An initializer of the IR as `change` makes it when it is needed; what has the same key is stored once."""
        key = (old, what)
        if key not in self._constants:
            tensor, name = old.const_value, self.unique(old.name or "constant")
            assert tensor is not None

            def load() -> ir.TensorProtocol:
                array = change(tensor.numpy())
                if tensor.dtype == ir.DataType.STRING:
                    return ir.StringTensor(array, shape=ir.Shape(array.shape), name=name)
                return ir.Tensor(array, dtype=tensor.dtype, name=name)

            lazy = ir.LazyTensor(load, dtype=tensor.dtype, shape=ir.Shape(shape), name=name)
            self._constants[key] = self._register(name, lazy)
        return self._constants[key]

    def transposed(self, old: ir.Value, order: Sequence[int]) -> ir.Value:
        """An initializer with its axes in another order."""
        perm = tuple(order)
        if old.shape is None or perm == identity(len(perm)):
            return self.constant(old)
        sizes = sizes_of(old)
        shape = [sizes[axis] for axis in perm]
        return self.changed(old, ("order", perm), shape, lambda array: array.transpose(perm))

    def _register(self, name: str, tensor: ir.TensorProtocol) -> ir.Value:
        shape = ir.Shape(tensor.shape.numpy())
        value = ir.Value(name=name, shape=shape, type=ir.TensorType(tensor.dtype), const_value=tensor)
        self.initializers.append(value)
        return value


def stored_dims(old: ir.Value, order: Order) -> list[Dim] | None:
    """The dimensions of a value stored in this order."""
    return None if old.shape is None else [old.shape.dims[axis] for axis in order]


def new_value(name: str, dtype: ir.DataType | None, dims: Sequence[Dim] | None) -> ir.Value:
    """A value that nothing produces yet."""
    shape = None if dims is None else ir.Shape(dims)
    return ir.Value(name=name, shape=shape, type=None if dtype is None else ir.TensorType(dtype))


def _own_order(old: ir.Value) -> Order:
    return identity(0 if old.shape is None else len(old.shape))
