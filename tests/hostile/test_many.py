"""Graphs of very many small things: linear work, and the numbers that TensorFlow's definition gives."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import runtime
from exporter.api import export
from exporter.formats.tf_protos import GraphDef
from exporter.inference.findings import Findings
from exporter.report.decisions import Choice, Reason

_FLOAT, _INT = 1, 3


def _with_input(*sizes: int, dtype: int = _FLOAT) -> GraphDef:
    graph = GraphDef()
    node = graph.node.add(name="x", op="Placeholder")
    node.attr["dtype"].type = dtype
    for size in sizes:
        node.attr["shape"].shape.dim.add(size=size)
    return graph


def _add(graph: GraphDef, name: str, op: str, *inputs: str, dtype: int = _FLOAT) -> None:
    node = graph.node.add(name=name, op=op, input=inputs)
    node.attr["T"].type = dtype


def _exported(graph: GraphDef, folder: Path) -> runtime.Net:
    path = folder / "m.pb"
    path.write_bytes(graph.SerializeToString())
    export(path, folder / "m.onnx")
    return runtime.load(folder / "m.npz")


@pytest.mark.parametrize(("count", "most"), [(3, 3), (32, 32), (33, 3), (1200, 50)])
@pytest.mark.parametrize("dtype", [_FLOAT, _INT])
def test_many_summands_are_added_in_groups(count: int, most: int, dtype: int, tmp_path: Path) -> None:
    """Few operators, for floats; ONNX's `Sum` has no integers."""
    graph = _with_input(2, 4, dtype=dtype)
    for number, op in enumerate(("Abs", "Neg", "Sign")):
        _add(graph, f"{number}", op, "x", dtype=dtype)
    _add(graph, "sum", "AddN", *(str(number % 3) for number in range(count)), dtype=dtype)
    graph.node[-1].attr["N"].i = count
    net = _exported(graph, tmp_path)
    x = np.array([[1, -2, 3, 4], [-5, 0, 7, 8]], np.float32 if dtype == _FLOAT else np.int32)
    parts = [np.abs(x), -x, np.sign(x)]
    np.testing.assert_allclose(net(x), sum(parts[number % 3] for number in range(count)), rtol=1e-5)
    if dtype == _FLOAT:
        assert len(net.steps({"x": x})) <= 3 + most


def test_a_decision_is_noted_once_in_little_time() -> None:
    """However many there are of other subjects: a list that is searched for each took minutes."""
    findings = Findings()
    for _ in range(2):
        for number in range(20_000):
            findings.decide("output", f"o{number}", Choice.OUTPUT, Reason.FORWARD_END)
    findings.decide("output", "o5", Choice.SET_ASIDE, Reason.UNUSED_NOISE)
    assert len(findings.decisions) == 20_001
