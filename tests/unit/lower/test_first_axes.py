"""Inputs share the batch only where something in the graph says so."""

from __future__ import annotations

from typing import Any

import onnx_ir as ir
import pytest

from exporter.inference.model import InferenceModel, Input, Output
from exporter.lower.batches import lower_batched
from exporter.sources.graph import Graph, Node, Ref

FLOAT, INT32 = 1, 3


def _model(nodes: list[Node], shapes: dict[str, tuple[int | None, ...]], types: dict[str, int]) -> InferenceModel:
    return InferenceModel(
        graph=Graph({node.name: node for node in nodes}),
        inputs=tuple(Input(name, Ref(name), types.get(name, FLOAT), shape) for name, shape in shapes.items()),
        outputs=(Output("y", Ref("y")),),
        variables={},
        batch_norms={},
    )


def _const(name: str, value: Any, number: int = INT32) -> Node:
    return Node(name, "Const", (), (), {"value": value, "dtype": number})


def _node(op: str, *inputs: str, **attributes: Any) -> Node:
    return Node("y", op, tuple(Ref(name) for name in inputs), (), attributes)


CASES: dict[str, tuple[list[Node], dict[str, tuple[int | None, ...]], dict[str, int], list[str]]] = {
    "sum": ([_node("AddV2", "a", "b")], {"a": (None, 3), "b": (None, 3)}, {}, ["N", "N"]),
    "sum of open shapes": ([_node("AddV2", "a", "b")], {"a": (None, None), "b": (None, None)}, {}, ["N", "b_dim0"]),
    "joined open shapes": (
        [_const("axis", ir.tensor([1]).numpy()[0]), _node("ConcatV2", "a", "b", "axis", N=2)],
        {"a": (None, None), "b": (None, None)},
        {},
        ["N", "N"],
    ),
    "product": ([_node("MatMul", "a", "b")], {"a": (None, 3), "b": (None, 4)}, {}, ["N", "b_dim0"]),
    "lookup": (
        [_const("axis", ir.tensor([0]).numpy()[0]), _node("GatherV2", "a", "b", "axis")],
        {"a": (None, 3), "b": (None,)},
        {"b": INT32},
        ["N", "b_dim0"],
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_first_axes(name: str) -> None:
    """Added, they are one batch unless any of their axes may be 1; a matrix and a factor, a table and places not."""
    nodes, shapes, types, expected = CASES[name]
    lowered, held = lower_batched(_model(nodes, shapes, types), name="model")
    assert held is None
    assert [str(value.shape[0]) for value in lowered.graph.inputs if value.shape is not None] == expected
