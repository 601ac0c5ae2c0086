"""Matrices [N, features] between flattening reshapes and dense layers, whose features may come in another order.

`Reshape [N, H, W, C] -> [N, H * W * C]` after a convolution is free in the layout of the convolution, if the rows of
the matrix of the dense layer that follows are permuted once and for all; and so are the columns of one before a reshape
to [N, H, W, C]. Between them there may be what treats all features alike, or has one parameter for each.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from math import prod
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx_ir as ir

from exporter.ir.ops import is_op
from exporter.targets.layout.axes import Order
from exporter.targets.layout.reshapes import is_flatten, is_unflatten
from exporter.targets.layout.ties import ELEMENTWISE, rank_of

__all__ = ["Features", "Permutation", "permutation", "same"]

Permutation = npt.NDArray[np.int64]


def permutation(sizes: Iterable[int], order: Order) -> Permutation | None:
    """Where feature j of [N, *sizes] stored in `order`, and then flattened, comes from; None if from j itself.

    Args:
        sizes: The sizes after the batch, as the IR has them.
        order: The order in which the tensor is stored, the batch first.
    """
    shape = tuple(sizes)
    if [i for i in order[1:] if shape[i - 1] != 1] == [i for i in range(1, len(order)) if shape[i - 1] != 1]:
        return None
    return np.arange(prod(shape)).reshape(shape).transpose([i - 1 for i in order[1:]]).reshape(-1)


def same(a: Permutation | None, b: Permutation | None) -> bool:
    """Whether two permutations, or none, are the same."""
    return a is b or (a is not None and b is not None and np.array_equal(a, b))


@dataclass
class _Group:
    """Matrices that share their features, and so have to have the same permutation."""

    possible: bool = True
    proposed: list[Permutation | None] = field(default_factory=list)

    def agreed(self) -> Permutation | None:
        """The permutation that all proposals are, else None."""
        if not self.proposed or not self.possible:
            return None
        first, *others = self.proposed
        return first if all(same(first, other) for other in others) else None


class Features:
    """The groups of matrices in a graph."""

    def __init__(self) -> None:
        self._groups: dict[ir.Value, _Group] = {}

    def can_permute(self, value: ir.Value | None) -> bool:
        """Whether the features of this matrix may be put in another order."""
        return value is not None and self._group(value).possible

    def propose(self, value: ir.Value, order: Permutation | None) -> None:
        """Asks for an order of the features of a matrix; nothing changes if somebody else asks for another."""
        self._group(value).proposed.append(order)

    def of(self, value: ir.Value | None) -> Permutation | None:
        """Where the features of a matrix come from; None if they are where they were."""
        group = None if value is None else self._groups.get(value)
        return None if group is None else group.agreed()

    def _group(self, value: ir.Value) -> _Group:
        if value not in self._groups:
            _Search(self._groups).run(value)
        return self._groups[value]


class _Search:
    """Collects the group of a matrix."""

    def __init__(self, groups: dict[ir.Value, _Group]) -> None:
        self.groups = groups
        self.group = _Group()
        self.pending: list[ir.Value] = []

    def run(self, value: ir.Value) -> None:
        self.join(value)
        while self.pending:
            current = self.pending.pop()
            self.group.possible &= self.is_made_well(current) and self.is_used_well(current)

    def join(self, value: ir.Value | None) -> None:
        if value is not None and value not in self.groups:
            self.groups[value] = self.group
            self.pending.append(value)

    def is_made_well(self, value: ir.Value) -> bool:
        node = value.producer()
        if node is None:
            return False
        return is_flatten(node) or _is_dense(node) or self.passes(node)

    def is_used_well(self, value: ir.Value) -> bool:
        users = [node for node, _ in value.uses()]
        if value.is_graph_output() or any(node.graph is not value.graph for node in users):
            return False
        return all(self.is_user(node, value) for node in users)

    def is_user(self, node: ir.Node, value: ir.Value) -> bool:
        if node.op_type in {"Shape", "Size"} or (_is_dense(node) and node.inputs[0] is value):
            return True
        return (is_unflatten(node) and node.inputs[0] is value) or self.passes(node)

    def passes(self, node: ir.Node) -> bool:
        """Whether an op leaves features apart; then its matrices join the group."""
        output = node.outputs[0]
        if rank_of(output) != 2 or len(node.outputs) != 1:
            return False
        if is_op(node, "BatchNormalization"):
            if not all(value is None or value.is_initializer() for value in node.inputs[1:]):
                return False
            self.join(node.inputs[0])
        elif node.op_type not in ELEMENTWISE or not all(self.is_operand(value, output) for value in node.inputs):
            return False
        self.join(output)
        return True

    def is_operand(self, value: ir.Value | None, output: ir.Value) -> bool:
        if value is None or (value.is_initializer() and value.shape is not None):
            return True
        if value.shape is None or output.shape is None:
            return False
        if not len(value.shape) or value.shape[-1] == 1:
            return output.shape[-1] != 1
        if rank_of(value) != 2 or value.shape[-1] != output.shape[-1]:
            return False
        self.join(value)
        return True


def _is_dense(node: ir.Node) -> bool:
    """On a matrix, by constants."""
    parameters: list[Any] = [value for value in node.inputs[1:] if value is not None]
    return is_op(node, "Dense") and rank_of(node.inputs[0]) == 2 and all(v.is_initializer() for v in parameters)
