"""Conditions of which only the side that is taken is computed, as ONNX's `If`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import onnx_ir as ir

from exporter.inference.model import Branches
from exporter.ir.dims import UNKNOWN, Dims, same_dim
from exporter.lower.loop_form import Driver
from exporter.lower.tf.context import RefusalError
from exporter.lower.tf.list_ops import list_of
from exporter.lower.tf.lists import Operand, TensorList, merged_dims, same_number, tensor_of
from exporter.sources.graph import Node, Ref

__all__ = ["lower_condition", "same_dims"]


def same_dims(a: Dims | None, b: Dims | None) -> bool:
    """Whether two shapes are certainly equal."""
    if a is None or b is None or len(a) != len(b):
        return False
    return all(same_dim(p, q) for p, q in zip(a, b, strict=True))


def lower_condition(driver: Driver, node: Node) -> tuple[Operand, ...] | None:
    """What the taken side gives; None if a node of either can't be lowered.

    Raises:
        RefusalError: The sides give what can't be one result.
    """
    branches: Branches = node.attribute("branches")
    predicate = driver.operand(node.inputs[0])
    if not isinstance(predicate, ir.Value):
        raise RefusalError("a TensorArray decides about it")
    known = driver.builder.elements(predicate)
    if known is not None and known.size == 1 and known.dtype != object:
        nodes, wanted = (branches.then, branches.if_true) if known.any() else (branches.otherwise, branches.if_false)
        found = driver.compute(nodes, {}, wanted)
        return None if found is None else tuple(found)
    return _Condition(driver, node.name, branches).lower(_as_bool(driver, predicate))


def _as_bool(driver: Driver, predicate: ir.Value) -> ir.Value:
    """A number counts as true if it isn't 0."""
    if predicate.dtype == ir.DataType.BOOL:
        return predicate
    if predicate.dtype == ir.DataType.STRING:
        return driver.builder.op(
            "Not", driver.builder.op("Equal", predicate, driver.builder.constant(np.array("", object)))
        )
    return driver.builder.op("Cast", predicate, to=ir.DataType.BOOL.value)


class _Condition:
    def __init__(self, driver: Driver, name: str, branches: Branches) -> None:
        self.driver = driver
        self.builder = driver.builder
        self.name = name
        self.branches = branches

    def lower(self, predicate: ir.Value) -> tuple[Operand, ...] | None:
        then = self._side("then", self.branches.then, self.branches.if_true)
        otherwise = self._side("else", self.branches.otherwise, self.branches.if_false)
        if then is None or otherwise is None:
            return None
        pairs = list(zip(then[1], otherwise[1], strict=True))
        values = [(_held(a), _held(b)) for a, b in zip(then[0].outputs, otherwise[0].outputs, strict=True)]
        if any(a.dtype != b.dtype for a, b in values):
            raise RefusalError("its sides are of different element types")
        dims = [self._dims(pair, *both) for pair, both in zip(pairs, values, strict=True)]
        types = [a.dtype for a, _ in values]
        results = self.builder.either(predicate, then[0], otherwise[0], list(zip(types, dims, strict=True)))
        return tuple(self._result(a, b, value) for (a, b), value in zip(pairs, results, strict=True))

    def _dims(self, pair: tuple[Operand, Operand], then: ir.Value, otherwise: ir.Value) -> Dims | None:
        """What is known of the shape of a result; all elements of a list have one."""
        a, b = pair
        common = _common(self.builder.shape(then), self.builder.shape(otherwise))
        if not isinstance(a, TensorList) or not isinstance(b, TensorList):
            return common
        element = merged_dims(a.element, b.element)
        return common if element is None else (UNKNOWN if common is None else common[0], *element)

    def _side(self, name: str, nodes: Sequence[Node], wanted: Sequence[Ref]) -> tuple[ir.Graph, list[Operand]] | None:
        """A side as a subgraph without inputs, and what its results are."""
        with self.builder.body(f"{self.name}/{name}") as graph, self.builder.source(self.name):
            found = self.driver.compute(nodes, {}, wanted)
            if found is None:
                return None
            self.builder.body_outputs([tensor_of(self.builder, x) if isinstance(x, TensorList) else x for x in found])
        return graph, found

    def _result(self, then: Operand, otherwise: Operand, value: ir.Value) -> Operand:
        """A result of either side as what both are."""
        if not isinstance(then, TensorList) and not isinstance(otherwise, TensorList):
            return value
        if not isinstance(then, TensorList) or not isinstance(otherwise, TensorList):
            raise RefusalError("one of its sides gives a TensorArray, and the other a tensor")
        if then.grows or otherwise.grows or not same_number(self.builder, then.size, otherwise.size):
            element = merged_dims(then.element, otherwise.element)
            return replace(list_of(self.builder, value), element=element, grows=then.grows or otherwise.grows)
        return replace(then, element=merged_dims(then.element, otherwise.element), whole=value)


def _held(value: ir.Value | None) -> ir.Value:
    assert value is not None
    return value


def _common(a: Dims | None, b: Dims | None) -> Dims | None:
    """What is true of both shapes."""
    if a is None or b is None or len(a) != len(b):
        return None
    return tuple(p if same_dim(p, q) else UNKNOWN for p, q in zip(a, b, strict=True))
