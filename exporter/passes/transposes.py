"""Removes pairs of transposes, moving them towards each other.

A network written in NCHW arrives as Transpose, channels-last op, Transpose for every convolution. Each Transpose back
to channels first sinks through the ops after it, until it meets one to channels last and both vanish, or reaches the
end of the network. What is left are Transposes to channels last, which rise towards the inputs in the same way.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import prod

import numpy as np
import onnx_ir as ir

from exporter.ir import edit
from exporter.ir.dims import Dim
from exporter.ir.evaluate import Constants
from exporter.ir.ops import is_op
from exporter.ir.opset import record_of
from exporter.passes.naming import Namer
from exporter.passes.permute import is_permutable, permuted_parameters

__all__ = ["move_transposes"]


def move_transposes(model: ir.Model) -> None:
    """One Transpose at each border of the network at the most, none inside; the numbers stay the same."""
    if not any(is_op(node, "Transpose") for node in model.graph):
        return
    mover = _Mover(model.graph)
    for node in list(model.graph):
        mover.sink(node)
    edit.remove_dead(model)
    mover = _Mover(model.graph)
    for node in reversed(list(model.graph)):
        if is_op(node, "Transpose"):
            mover.rise(node)
    edit.remove_dead(model)


def _to_channels_first(rank: int) -> list[int]:
    return [0, rank - 1, *range(1, rank - 1)]


def _to_channels_last(rank: int) -> list[int]:
    return [0, *range(2, rank), 1]


def _perm(node: ir.Node) -> list[int]:
    value = node.inputs[0]
    if "perm" in node.attributes:
        return list(node.attributes["perm"].as_ints())
    return list(range(len(value.shape)))[::-1] if value is not None and value.shape is not None else []


def _inverse(perm: Sequence[int]) -> list[int]:
    return [int(i) for i in np.argsort(perm)]


class _Mover:
    def __init__(self, graph: ir.Graph) -> None:
        self._graph = graph
        self._namer = Namer(graph)
        self._constants = Constants()

    def sink(self, node: ir.Node) -> None:
        """Joins a Transpose with one before it; lets another op change places with the Transposes before it."""
        if is_op(node, "Transpose"):
            self._join(node)
        elif is_op(node, "Reshape", "Flatten"):
            self._reshape(node)
        elif node.op_type == "Squeeze" or record_of(node.op_type).reduces:
            self._drop_axes(node)
        else:
            self._sink_through(node)

    def rise(self, node: ir.Node) -> None:
        """Lets a Transpose to channels last change places with the ops before it, if that takes it to an input."""
        perm = _perm(node)
        if len(perm) < 4 or perm != _to_channels_last(len(perm)) or not self._comes_from_input(node, len(perm)):
            return
        above: ir.Node | None = node
        while above is not None and above.inputs[0] is not None and above.inputs[0].producer() is not None:
            above = self._rise_once(above, perm)

    def _comes_from_input(self, node: ir.Node, rank: int) -> bool:
        """Whether only ops of one tensor, that nobody else reads, are between an input of the model and a node."""
        value = node.inputs[0]
        while value is not None and (before := value.producer()) is not None:
            index = self._only_variable(before)
            if index is None or len(value.uses()) > 1 or value.is_graph_output() or _rank(value) != rank:
                return False
            value = before.inputs[index]
        return value is not None and value.is_graph_input() and _rank(value) == rank

    def _only_variable(self, node: ir.Node) -> int | None:
        """Which input of an op on one tensor is that tensor."""
        if not is_permutable(node) or node.op_type == "Concat" or len(node.outputs) > 1:
            return None
        given = [i for i, value in enumerate(node.inputs) if value is not None]
        variable = [i for i in given if not self._constants.is_constant(node.inputs[i])]
        return variable[0] if len(variable) == 1 and (variable[0] == 0 or _broadcasts(node)) else None

    def _rise_once(self, node: ir.Node, perm: Sequence[int]) -> ir.Node | None:
        """Transpose(op(x)) as op(Transpose(x)); returns the new Transpose, or None if it can't be."""
        before = None if node.inputs[0] is None else node.inputs[0].producer()
        index = None if before is None else self._only_variable(before)
        if before is None or index is None:
            return None
        inputs: dict[int, ir.Value] = {}
        for i, value in enumerate(before.inputs if _broadcasts(before) else before.inputs[:1]):
            if i != index:
                operand = self._operand(before, value, len(perm))
                if operand is None:
                    return None
                inputs[i] = operand
        source = before.inputs[index]
        assert source is not None
        inputs[index] = self._transpose(source, perm, before)
        new = self._permuted(before, _inverse(perm), inputs)
        if new is None:
            return None
        edit.replace(self._graph, node.outputs[0], new.outputs[0])
        self._graph.remove([node, before], safe=True)
        return inputs[index].producer()

    def _join(self, node: ir.Node) -> None:
        """Two Transposes as one, or none."""
        x = node.inputs[0]
        before = None if x is None else x.producer()
        if before is None or not is_op(before, "Transpose"):
            return
        source = before.inputs[0]
        assert source is not None
        first, second = _perm(before), _perm(node)
        joined = [first[axis] for axis in second]
        if joined == sorted(joined):
            edit.replace(self._graph, node.outputs[0], source)
        else:
            node.replace_input_with(0, source)
            node.attributes["perm"] = ir.AttrInt64s("perm", joined)

    def _source(self, value: ir.Value | None) -> tuple[ir.Value, list[int]] | None:
        """Where a value comes from, if it is one that was transposed back to channels first."""
        node = None if value is None else value.producer()
        if node is None or not is_op(node, "Transpose") or node.inputs[0] is None:
            return None
        perm = _perm(node)
        return (node.inputs[0], perm) if len(perm) > 2 and perm == _to_channels_first(len(perm)) else None

    def _sink_through(self, node: ir.Node) -> None:
        sources = {i: found for i, v in enumerate(node.inputs) if (found := self._source(v)) is not None}
        if 0 not in sources and not (sources and _broadcasts(node)):
            return
        ranks = {len(perm) for _, perm in sources.values()}
        rank = max(ranks)
        if len(ranks) > 1 or any(_rank(output) != rank for output in node.outputs):
            return
        several = _broadcasts(node) or node.op_type == "Concat"
        inputs: dict[int, ir.Value] = {}
        for index, value in enumerate(node.inputs if several else node.inputs[:1]):
            moved = sources[index][0] if index in sources else self._operand(node, value, rank)
            if moved is None:
                return
            inputs[index] = moved
        order = _to_channels_first(rank)
        new = self._permuted(node, order, inputs)
        if new is None:
            return
        for old, output in zip(node.outputs, new.outputs, strict=True):
            edit.replace(self._graph, old, self._transpose(output, order, node))

    def _operand(self, node: ir.Node, value: ir.Value | None, rank: int) -> ir.Value | None:
        """An operand that isn't transposed, made so: a constant, or a tensor of one pixel; None for a larger one."""
        if value is None or value.shape is None:
            return None
        dims = list(value.shape.dims)
        if all(dim == 1 for dim in dims):
            return value if _broadcasts(node) and len(dims) <= 1 else self._aligned(node, value, rank)
        if self._constants.is_constant(value):
            return self._aligned(node, value, rank)
        one_pixel = len(dims) == rank and all(dim == 1 for dim in dims[2:])
        return self._transpose(value, _to_channels_last(rank), node) if one_pixel else None

    def _aligned(self, node: ir.Node, value: ir.Value, rank: int) -> ir.Value | None:
        """A constant that broadcasts to channels first, as one that broadcasts to channels last."""
        assert value.shape is not None
        dims = list(value.shape.dims)
        if len(dims) > rank or not all(isinstance(dim, int) for dim in dims):
            return None
        if len(dims) < rank:
            full = [1] * (rank - len(dims)) + dims
            target = self._namer.constant(f"{value.name}/shape", np.array(full, np.int64))
            value = self._insert("Reshape", [value, target], {}, full, value, node)
        return self._transpose(value, _to_channels_last(rank), node)

    def _permuted(self, node: ir.Node, order: Sequence[int], inputs: dict[int, ir.Value]) -> ir.Node | None:
        """The same op before `node`, on data whose axis a is axis order[a]; its results have their axes moved alike."""
        changed = permuted_parameters(node, order, self._namer)
        if changed is None:
            return None
        parameters, attributes = changed
        operands = list(node.inputs)
        for index, value in {**inputs, **parameters}.items():
            operands += [None] * (index + 1 - len(operands))
            operands[index] = value
        kept = {name: attribute for name, attribute in node.attributes.items() if name not in attributes}
        new = ir.Node(
            node.domain,
            node.op_type,
            operands,
            [*kept.values(), *(ir.AttrInt64(name, value) for name, value in attributes.items())],
            num_outputs=len(node.outputs),
            name=self._namer.node(str(node.name)),
            metadata_props=dict(node.metadata_props),
        )
        self._graph.insert_before(node, new)
        back = _inverse(order)
        for old, output in zip(node.outputs, new.outputs, strict=True):
            output.name, output.type = self._namer.value(str(old.name)), old.type
            output.shape = _permuted_shape(old, back)
        return new

    def _transpose(self, value: ir.Value, perm: Sequence[int], near: ir.Node) -> ir.Value:
        """value with other axes, inserted where `near` can use it, and after its producer."""
        shape = _permuted_shape(value, perm)
        return self._insert("Transpose", [value], {"perm": list(perm)}, shape, value, near)

    def _insert(
        self,
        op_type: str,
        inputs: Sequence[ir.Value],
        attributes: dict[str, list[int]],
        shape: ir.Shape | Sequence[Dim] | None,
        like: ir.Value,
        near: ir.Node,
    ) -> ir.Value:
        metadata = {"source": near.metadata_props["source"]} if "source" in near.metadata_props else {}
        name = self._namer.node(f"{near.name}/{op_type}")
        node = ir.node(op_type, inputs, attributes, name=name, metadata_props=metadata)
        self._graph.insert_before(near, node)
        output = node.outputs[0]
        output.name = self._namer.value(f"{like.name}/{op_type}")
        output.type = like.type
        output.shape = shape if shape is None or isinstance(shape, ir.Shape) else ir.Shape(shape)
        return output

    def _reshape(self, node: ir.Node) -> None:
        """A reshape after a Transpose that only moves axes of size 1 needs no Transpose."""
        found = self._source(node.inputs[0])
        if found is None:
            return
        source, perm = found
        if source.shape is None:
            return
        moved = [axis for axis in perm if source.shape[axis] != 1]
        shape = np.zeros(0) if node.op_type == "Flatten" else edit.constant_array(node.inputs[1])
        if moved == sorted(moved) and shape is not None and 0 not in shape.reshape(-1)[1:]:
            node.replace_input_with(0, source)
        else:
            self._flatten(node, source, perm)

    def _flatten(self, node: ir.Node, source: ir.Value, perm: list[int]) -> None:
        """Flattened in channels-first order for dense layers only: their rows are put into channels-last order."""
        y = node.outputs[0]
        if y.shape is None or len(y.shape) != 2 or y.is_graph_output() or source.shape is None:
            return
        sizes = [size for axis in perm[1:] if isinstance(size := source.shape[axis], int)]
        users = [user for user, _ in y.uses()]
        if len(sizes) < len(perm) - 1 or y.shape[1] != prod(sizes):
            return
        kernels = [self._dense_kernel(user, y) for user in users]
        if not users or any(kernel is None for kernel in kernels):
            return
        for user, kernel in zip(users, kernels, strict=True):
            assert kernel is not None
            user.replace_input_with(1, self._reordered_rows(user, kernel, sizes))
        node.replace_input_with(0, source)

    def _dense_kernel(self, user: ir.Node, x: ir.Value) -> ir.Value | None:
        if not is_op(user, "Dense", "MatMul") or user.graph is not self._graph or user.inputs[0] is not x:
            return None
        kernel = user.inputs[1]
        if kernel is None or kernel.shape is None or len(kernel.shape) != 2 or not self._constants.is_constant(kernel):
            return None
        return kernel

    def _reordered_rows(self, user: ir.Node, kernel: ir.Value, sizes: list[int]) -> ir.Value:
        """W[(C, H, W), O] as W[(H, W, C), O]."""
        assert kernel.shape is not None
        columns = kernel.shape[1]
        apart = [*sizes, columns]
        perm = [*range(1, len(sizes)), 0, len(sizes)]
        shape = self._namer.constant(f"{kernel.name}/apart", np.array(apart, np.int64))
        value = self._insert("Reshape", [kernel, shape], {}, apart, kernel, user)
        value = self._transpose(value, perm, user)
        flat = self._namer.constant(f"{kernel.name}/shape", np.array([-1, columns], np.int64))
        return self._insert("Reshape", [value, flat], {}, list(kernel.shape.dims), kernel, user)

    def _drop_axes(self, node: ir.Node) -> None:
        """ReduceMean without keepdims, Squeeze: the axes that stay often are in order afterwards."""
        found = self._source(node.inputs[0])
        if found is None:
            return
        source, perm = found
        axes = edit.constant_array(node.inputs[1]) if len(node.inputs) > 1 else None
        keeps = "keepdims" not in node.attributes or node.attributes["keepdims"].as_int() == 1
        if node.op_type != "Squeeze" and keeps:
            self._sink_through(node)
            return
        if axes is None:
            return
        dropped = sorted(perm[int(axis) % len(perm)] for axis in axes.reshape(-1))
        left = [axis for axis in perm if axis not in dropped]
        if left != sorted(left):
            return
        old = node.inputs[1]
        name = str(old.name) if old is not None else f"{node.name}/axes"
        node.replace_input_with(0, source)
        node.replace_input_with(1, self._namer.constant(name, np.array(dropped, np.int64)))


def _broadcasts(node: ir.Node) -> bool:
    return record_of(node.op_type).elementwise == "several"


def _rank(value: ir.Value) -> int | None:
    return None if value.shape is None else len(value.shape)


def _permuted_shape(value: ir.Value, perm: Sequence[int]) -> ir.Shape | None:
    return None if value.shape is None else ir.Shape([value.shape[axis] for axis in perm])
