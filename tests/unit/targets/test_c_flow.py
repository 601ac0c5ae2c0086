"""Loops, conditions and indices in C: what is known when the program is written, and what it tells when it runs."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from exporter.errors import UnsupportedError
from exporter.targets.c_program.folder import c_files
from exporter.targets.npz_bundle import ModelPlan
from runtime import Probe
from tests.unit.runtime.test_kernels_onnxruntime import f32
from tests.unit.targets.c_builds import SANITIZED, built, needs, written
from tests.unit.targets.programs import one_node


def _node(op: str, inputs: list[str], outputs: list[str], **attributes: Any) -> dict[str, Any]:
    return {"op": op, "name": outputs[0], "inputs": inputs, "outputs": outputs, "attributes": attributes}


def _graph(inputs: list[str], nodes: list[dict[str, Any]], outputs: list[str]) -> dict[str, Any]:
    return {"graph": {"inputs": inputs, "nodes": nodes, "outputs": outputs}}


def flow() -> ModelPlan:
    """Three rounds of s = s + x * step, each shown; then a condition on the sum, whose sides read what is outside."""
    body = _graph(
        ["step", "going", "s"],
        [
            _node("Cast", ["step"], ["number"], to=1),
            _node("Mul", ["x", "number"], ["more"]),
            _node("Add", ["s", "more"], ["next"]),
            _node("Identity", ["going"], ["again"]),
        ],
        ["again", "next", "more"],
    )
    negative = _graph([], [_node("Neg", ["last"], ["a"])], ["a"])
    positive = _graph([], [_node("Sigmoid", ["last"], ["gate"]), _node("Mul", ["gate", "last"], ["b"])], ["b"])
    nodes = [
        _node("Loop", ["count", "", "x"], ["last", "rows"], body=body),
        _node("ReduceSum", ["last"], ["total"], keepdims=0),
        _node("Less", ["total", "zero"], ["is_negative"]),
        _node("If", ["is_negative"], ["y"], then_branch=negative, else_branch=positive),
    ]
    arrays: dict[str, Any] = {"count": np.array(3), "zero": np.array(0, np.float32)}
    outputs = [{"name": name, "dtype": "float32", "shape": None} for name in ("y", "rows")]
    return ModelPlan([{"name": "x", "dtype": "float32", "shape": [1, 21]}], outputs, nodes, arrays, {})


@needs("cc", "make")
def test_loops_and_conditions(tmp_path: Path) -> None:
    """What the tool computes for inputs of either sign is what NumPy computes."""
    folder = written(c_files(flow(), "net"), tmp_path / "net_c")
    for target in ("test", "net_run"):
        done = built(folder, f"CFLAGS={SANITIZED}", target=target)
        assert done.returncode == 0, done.stdout + done.stderr
    for sign in (1, -1):
        x = np.abs(f32(1, 21)) * np.float32(sign)
        np.save(tmp_path / "x.npy", x)
        made = [tmp_path / "y.npy", tmp_path / "rows.npy"]
        subprocess.run([folder / "net_run", tmp_path / "x.npy", "-o", *made], check=True)
        last = 4 * x.astype(np.float64)
        np.testing.assert_allclose(np.load(made[0]), -last if sign < 0 else last / (1 + np.exp(-last)), rtol=1e-6)
        np.testing.assert_allclose(np.load(made[1]), np.stack([0 * x, x, 2 * x]), rtol=1e-6)


def test_loops_whose_length_depends_on_the_input() -> None:
    """They are refused, by name."""
    plan = flow()
    counted = [_node("ReduceSum", ["x"], ["sum"], keepdims=0), _node("Cast", ["sum"], ["steps"], to=7)]
    loop = {**plan.nodes[0], "inputs": ["steps", "", "x"]}
    with pytest.raises(UnsupportedError, match="loop last depends on the input"):
        c_files(plan._replace(nodes=[*counted, loop, *plan.nodes[1:]]), "net")


def test_sizes_that_depend_on_the_input() -> None:
    """An op whose sizes an example can't tell is refused, whatever they are for the example."""
    given = [f32(1, 3), np.array([2, 3])]
    probe = Probe({"x0": given[0], "x1": given[1]}, {}, {})
    with pytest.raises(UnsupportedError, match="Expand in this form"):
        c_files(one_node("Expand", given, {}, 1), "net", [probe])


@needs("cc", "make")
def test_an_index_outside_its_tensor(tmp_path: Path) -> None:
    """The tool says so and writes nothing; nothing outside the table is read; negative ones count from the end."""
    plan = one_node("Gather", [f32(5, 3), np.array([1, -1], np.int64)], {}, 1, constant=[0])
    folder = written(c_files(plan, "net"), tmp_path / "net_c")
    done = built(folder, f"CFLAGS={SANITIZED}", target="net_run")
    assert done.returncode == 0, done.stdout + done.stderr
    table, made = f32(5, 3), tmp_path / "y.npy"
    for ids, status in (([-5, 4], 0), ([0, 5], 3), ([-6, 0], 3), ([2**40, 0], 3)):
        made.unlink(missing_ok=True)
        np.save(tmp_path / "ids.npy", np.array(ids))
        command = [str(folder / "net_run"), str(tmp_path / "ids.npy"), "-o", str(made)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == status, done.stderr
        assert made.exists() == (status == 0)
        if status == 0:
            np.testing.assert_array_equal(np.load(made), table[ids])
        else:
            assert "outside" in done.stderr


@needs("cc", "make")
def test_a_value_that_is_given_out_and_read_with_zeros_around(tmp_path: Path) -> None:
    """The output is a copy, of what the layer has made."""
    nodes = [
        _node("Conv", ["x", "a"], ["y1"], pads=[1, 1, 1, 1]),
        _node("Conv", ["y1", "b"], ["y2"], pads=[1, 1, 1, 1]),
    ]
    arrays: dict[str, Any] = {"a": f32(3, 3, 2, 5), "b": f32(3, 3, 5, 4)}
    outputs = [{"name": name, "dtype": "float32", "shape": None} for name in ("y1", "y2")]
    plan = ModelPlan([{"name": "x", "dtype": "float32", "shape": [1, 6, 5, 2]}], outputs, nodes, arrays, {})
    done = built(written(c_files(plan, "net"), tmp_path / "net_c"), f"CFLAGS={SANITIZED}")
    assert done.returncode == 0, done.stdout + done.stderr
