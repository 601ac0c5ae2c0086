"""Shapes that a graph notes for its results: refused where TensorFlow refuses them, and nowhere else."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from exporter.errors import CorruptError
from exporter.formats.tf_protos import GraphDef
from exporter.sources.graph_def import read_graph

_FLOAT = 1
_CASES: list[tuple[str, list[int], list[int], bool]] = [
    ("Const", [2], [2], True),
    ("Const", [2], [-1], True),
    ("Const", [2], [3], False),
    ("Const", [2], [2, 1], False),
    ("Const", [], [2], False),
    ("Placeholder", [-1, 4], [8, 4], True),
    ("Placeholder", [-1, 4], [-1, 5], False),
    ("Placeholder", [-1, 4], [4], False),
    ("VariableV2", [3, 4], [3, 4], True),
    ("VariableV2", [3, 4], [4, 3], False),
]


def _node(graph: Any, name: str, op: str, *inputs: str, noted: list[int] | None = None) -> Any:
    node = graph.node.add(name=name, op=op, input=inputs)
    if noted is not None:
        shape = node.attr["_output_shapes"].list.shape.add()
        for size in noted:
            shape.dim.add(size=size)
    return node


def _graph(op: str, own: list[int], noted: list[int], behind: list[str]) -> GraphDef:
    """A node with a shape of its own, then ops that keep it, of which the last notes one."""
    graph = GraphDef()
    node = _node(graph, "x", op, noted=None if behind else noted)
    node.attr["dtype"].type = _FLOAT
    shape = node.attr["shape"].shape
    if op == "Const":
        del node.attr["shape"]
        node.attr["value"].tensor.dtype = _FLOAT
        node.attr["value"].tensor.float_val.append(1.0)
        shape = node.attr["value"].tensor.tensor_shape
    for size in own:
        shape.dim.add(size=size)
    for number, kind in enumerate(behind):
        last = number == len(behind) - 1
        inner = _node(graph, f"n{number}", kind, f"n{number - 1}" if number else "x", noted=noted if last else None)
        inner.attr["T"].type = _FLOAT
    return graph


@pytest.mark.parametrize(("op", "own", "noted", "good"), _CASES)
@pytest.mark.parametrize("behind", [[], ["Relu"], ["Identity", "Tanh"]], ids=str)
def test_shapes_that_contradict_the_graph_are_refused(
    op: str, own: list[int], noted: list[int], good: bool, behind: list[str]
) -> None:
    """By the node itself, or by what comes before it."""
    graph = _graph(op, own, noted, behind)
    if good:
        assert read_graph(graph)
        return
    with pytest.raises(CorruptError, match="noted as"):
        read_graph(graph)


@pytest.mark.tensorflow
@pytest.mark.parametrize("behind", [[], ["Relu"]], ids=str)
def test_tensorflow_refuses_the_same(behind: list[str], tmp_path: Path) -> None:
    """What `import_graph_def` makes of each of these graphs."""
    import tensorflow as tf

    for op, own, noted, good in _CASES:
        graph = _graph(op, own, noted, behind if op != "VariableV2" else [])
        message = tf.compat.v1.GraphDef.FromString(graph.SerializeToString())
        message.versions.producer = 2000
        try:
            with tf.Graph().as_default():
                tf.graph_util.import_graph_def(message, name="")
            accepted = True
        except ValueError as error:
            assert "_output_shapes" in str(error), (op, own, noted)
            accepted = False
        assert accepted == good, (op, own, noted)
