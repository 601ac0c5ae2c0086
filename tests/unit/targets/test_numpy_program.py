"""The NumPy program: every operator gives what the runtime's kernel gives, and the text is clean."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import onnx_ir as ir
import pytest

import runtime
from exporter.ir.builder import Builder
from exporter.targets.npz_bundle import ModelPlan, write_bundle
from exporter.targets.numpy_program.library import function_of, reserved
from exporter.targets.numpy_program.program import write_program
from runtime import Probe
from runtime.kernels import KERNELS
from runtime.kernels.text import OPS as TEXT
from tests.unit.runtime.test_kernels_onnxruntime import CASES, Case, f32, i64
from tests.unit.targets.programs import evaluated, namespace, one_node, source

X = f32(2, 7, 6, 4)
GEOMETRY = {"strides": [2, 1], "pads": [1, 0, 2, 1], "dilations": [1, 1]}
CHANNELS_LAST = [
    Case("Conv", [X, f32(3, 2, 4, 5), f32(5)], GEOMETRY),
    Case("Conv", [X, f32(3, 2, 4, 5)], {"auto_pad": "SAME_UPPER", "dilations": [2, 1]}),
    Case("Conv", [X, f32(3, 2, 1, 4), f32(4)], {**GEOMETRY, "group": 4}),
    Case("Conv", [X, f32(3, 2, 2, 6)], {**GEOMETRY, "group": 2}),
    Case("Conv", [f32(2, 9, 3), f32(3, 3, 5)], {"pads": [1, 1]}),
    Case("ConvTranspose", [X, f32(3, 2, 5, 4), f32(5)], {"strides": [2, 2], "pads": [1, 0, 0, 1]}),
    Case("Dense", [f32(3, 2, 4), f32(4, 6), f32(6)]),
    Case("MaxPool", [X], {"kernel_shape": [3, 2], **GEOMETRY}),
    Case("MaxPool", [f32(1, 9, 2)], {"kernel_shape": [2], "strides": [2]}),
    Case("AveragePool", [X], {"kernel_shape": [3, 2], "strides": [2, 1], "pads": [1, 0, 2, 1]}),
    Case("AveragePool", [X], {"kernel_shape": [3, 2], "pads": [1, 0, 2, 1], "count_include_pad": 1}),
    Case("LRN", [X], {"size": 3}),
    Case("BatchNormalization", [X, f32(4), f32(4), f32(4), np.abs(f32(4))], {"epsilon": 1e-3}),
    Case("DepthToSpace", [X], {"blocksize": 2}),
    Case("SpaceToDepth", [f32(1, 4, 6, 2)], {"blocksize": 2}),
    Case("LSTM", [f32(5, 2, 3), f32(1, 16, 3), f32(1, 16, 4), f32(1, 32)], {}, outputs=3),
    Case("GRU", [f32(5, 2, 3), f32(2, 12, 3), f32(2, 12, 4)], {"direction": "bidirectional"}, outputs=2),
    Case("Resize", [X, None, None, i64(2, 9, 4, 4)], {"mode": "linear"}),
    Case("Relu", [X.astype(np.float16)]),
    Case("Dense", [X.astype(np.float16), f32(4, 6).astype(np.float16)]),
    Case("TopK", [f32(3, 8), i64(3)], {}, outputs=2),
]
ALL = [*CASES, *CHANNELS_LAST]


@pytest.mark.parametrize("stored", [False, True], ids=["given", "stored"])
@pytest.mark.parametrize("case", ALL, ids=str)
def test_operators_give_what_the_kernels_give(case: Case, stored: bool) -> None:
    """For inputs that are given and for such that are stored: the same type, shape and, but for rounding, numbers."""
    constant = range(1, len(case.inputs)) if stored else []
    plan = one_node(case.op, case.inputs, case.attributes, case.outputs, constant)
    expected = KERNELS[case.op](list(case.inputs), case.attributes)[: case.outputs]
    found = evaluated(plan, case.inputs)
    assert len(found) == case.outputs
    for a, b in zip(found, expected, strict=True):
        assert (a.dtype, a.shape) == (b.dtype, b.shape)
        wide = np.finfo(b.dtype).eps if b.dtype.kind == "f" else 0
        largest = np.max(np.abs(b[np.isfinite(b)].astype(np.float64)), initial=0) if b.dtype.kind == "f" else 0
        np.testing.assert_allclose(a, b, rtol=0, atol=64 * wide * largest)


def test_every_operator_has_a_function() -> None:
    """What the runtime can run can be written, but for work on strings, which is refused."""
    written = KERNELS.keys() - {"If", "Loop", "Scan"} - TEXT.keys()
    missing = {op for op in written if function_of(op) not in reserved()}
    assert not missing


def control_flow(nodes: list[dict[str, Any]], inputs: list[str], outputs: list[str], **arrays: Any) -> ModelPlan:
    """A plan of these nodes; inputs are float64 scalars."""
    described = [{"name": name, "dtype": "float64", "shape": None} for name in inputs]
    results = [{"name": name, "dtype": "float64", "shape": None} for name in outputs]
    types = {name: (array.dtype.name, array.shape) for name, array in arrays.items()}
    return ModelPlan(described, results, nodes, arrays, types)


def node(op: str, inputs: list[str], outputs: list[str], **attributes: Any) -> dict[str, Any]:
    return {"op": op, "name": op, "inputs": inputs, "outputs": outputs, "attributes": attributes}


def graph(inputs: list[str], nodes: list[dict[str, Any]], outputs: list[str]) -> dict[str, Any]:
    return {"graph": {"inputs": inputs, "nodes": nodes, "outputs": outputs}}


def test_a_counted_loop_is_a_for() -> None:
    """The state doubles three times, each step's is stacked; no steps leave the state and stack nothing."""
    body = graph(["i", "c", "s"], [node("Add", ["s", "s"], ["t"])], ["c", "t", "s"])
    loop = node("Loop", ["n", "", "x"], ["last", "all"], body=body)
    text = source(control_flow([loop], ["n", "x"], ["last", "all"]))
    assert "    for step in range(int(n)):" in text
    run = namespace(text)["run"]
    last, steps = run(3.0, 1.5)
    assert last == 12.0
    assert steps.tolist() == [1.5, 3.0, 6.0]
    last, steps = run(0.0, 1.5)
    assert last == 1.5
    assert steps.shape == (0,)


def test_a_conditional_loop_is_a_while() -> None:
    """The body's first output says whether to go on; the count ends it, too."""
    nodes = [node("Add", ["s", "s"], ["t"]), node("Less", ["t", "limit"], ["go"])]
    body = graph(["i", "c", "s"], nodes, ["go", "t"])
    loop = node("Loop", ["n", "", "x"], ["y"], body=body)
    text = source(control_flow([loop], ["n", "x", "limit"], ["y"]))
    assert "    while going and step < int(n):" in text
    run = namespace(text)["run"]
    assert run(100.0, 1.0, 10.0) == 16
    assert run(2.0, 1.0, 10.0) == 4


def test_a_condition_is_an_if() -> None:
    """Only the chosen branch runs; both see the values around them."""
    branches = [graph([], [node(op, ["x", "w"], [op])], [op]) for op in ("Add", "Mul")]
    chosen = node("If", ["c"], ["y"], then_branch=branches[0], else_branch=branches[1])
    run = namespace(source(control_flow([chosen], ["c", "x", "w"], ["y"])))["run"]
    assert run(1.0, 3.0, 4.0) == 7
    assert run(0.0, 3.0, 4.0) == 12


def test_a_scan_goes_over_slices() -> None:
    """A running sum over the columns, from the end."""
    body = graph(["s", "v"], [node("Add", ["s", "v"], ["t"])], ["t", "t"])
    attributes: dict[str, Any] = {"num_scan_inputs": 1, "scan_input_axes": [1], "scan_input_directions": [1]}
    scan = node("Scan", ["start", "x"], ["last", "all"], body=body, **attributes)
    run = namespace(source(control_flow([scan], ["start", "x"], ["last", "all"])))["run"]
    last, steps = run(np.zeros(2), np.array([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]]))
    assert last.tolist() == [6, 15]
    assert steps.tolist() == [[3, 6], [5, 11], [6, 15]]


def network() -> ir.Model:
    """A convolution, an activation, a mean, a dense layer and a softmax, under names that Python has for itself."""
    b = Builder("model")
    x = b.input("input", ir.DataType.FLOAT, ("N", 6, 6, 3))
    y = b.op("Relu", b.op("Conv", x, weight(b, "class/kernel", 3, 3, 3, 8), weight(b, "class/bias", 8)))
    y = b.op("ReduceMean", y, b.constant(np.array([1, 2], np.int64)), keepdims=0)
    y = b.op("Softmax", b.op("Dense", y, weight(b, "conv2d", 8, 5), weight(b, "np", 5)), axis=-1)
    return b.finish({"sum": y})


def weight(b: Builder, name: str, *shape: int) -> Any:
    values = f32(*shape)
    return b.weight(name, ir.DataType.FLOAT, shape, lambda: values)


def written(folder: Path, *, embed: bool = False) -> tuple[Path, Any, Any]:
    """A program and its bundle, with an example; its input and output, too."""
    x = f32(2, 6, 6, 3)
    write_bundle(network(), folder / "net.npz")
    y = runtime.load(folder / "net.npz").run({"input": x})["sum"]
    probes = (Probe({"input": x}, {"sum": y}, {"sum": 1e-6}),)
    write_bundle(network(), folder / "net.npz", probes=probes)
    write_program(network(), folder / "net.py", name="net", probes=probes, embed=embed)
    return folder / "net.py", x, y


def called(*arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False, cwd="/")


@pytest.mark.parametrize("embed", [False, True])
def test_it_runs_from_the_command_line(tmp_path: Path, embed: bool) -> None:
    """Arrays by name go in and come out; the stored example is good; a changed weight isn't."""
    path, x, y = written(tmp_path, embed=embed)
    np.savez(tmp_path / "in.npz", input=x)
    assert called(path, tmp_path / "in.npz", "-o", tmp_path / "out.npz").returncode == 0
    with np.load(tmp_path / "out.npz") as out:
        np.testing.assert_allclose(out["sum"], y, rtol=0, atol=1e-6)
    assert called(path, "--check").returncode == 0
    text = path.read_text()
    path.write_text(text.replace("return np.asarray(", "return np.asarray(1.001 * "))
    assert called(path, "--check").returncode == 1
    if embed:
        return
    (tmp_path / "net.npz").unlink()
    gone = called(path, "--check")
    assert gone.returncode == 3
    assert "Traceback" not in gone.stderr


def test_wrong_inputs_are_refused(tmp_path: Path) -> None:
    """A wrong call is 2; a missing file, a missing array or another shape is 3 and one line."""
    path, x, _ = written(tmp_path)
    assert called(path).returncode == 2
    np.savez(tmp_path / "other.npz", other=x)
    np.savez(tmp_path / "shape.npz", input=x[:, 1:])
    for name in ("none.npz", "other.npz", "shape.npz"):
        refused = called(path, tmp_path / name, "-o", tmp_path / "out.npz")
        assert refused.returncode == 3
        assert len(refused.stderr.strip().splitlines()) == 1
    assert not (tmp_path / "out.npz").exists()


def test_it_imports_numpy_and_the_standard_library(tmp_path: Path) -> None:
    """At the top there is NumPy alone for a plain network; the command line uses the standard library."""
    path, _, _ = written(tmp_path)
    tree = ast.parse(path.read_text())
    top = [alias.name for node in tree.body if isinstance(node, ast.Import) for alias in node.names]
    assert top == ["numpy"]
    imported = [node for node in ast.walk(tree) if isinstance(node, ast.Import)]
    names = {alias.name for statement in imported for alias in statement.names}
    assert names - sys.stdlib_module_names == {"numpy"}


RULES = ["--line-length=120", "--target-version=py39", "--isolated"]


def test_the_text_is_clean(tmp_path: Path) -> None:
    """ruff has nothing to say, of a plain network and of every operator's function; nor has the formatter."""
    path, _, _ = written(tmp_path)
    for number, case in enumerate({case.op: case for case in ALL}.values()):
        plan = one_node(case.op, case.inputs, case.attributes, case.outputs)
        (tmp_path / f"op_{number}.py").write_text(source(plan))
    files = sorted(tmp_path.glob("*.py"))
    checked = called("-m", "ruff", "check", "--select=E,F,W,I,B,UP,SIM,C4,PIE", *RULES, *files)
    assert checked.returncode == 0, checked.stdout
    formatted = called("-m", "ruff", "format", "--diff", *RULES, path)
    assert formatted.returncode == 0, formatted.stdout


@pytest.mark.slow
def test_the_types_are_right(tmp_path: Path) -> None:
    """mypy has nothing to say of a plain network."""
    pytest.importorskip("mypy")
    path, _, _ = written(tmp_path)
    typed = called("-m", "mypy", "--strict", "--config-file=", f"--cache-dir={tmp_path}", path)
    assert typed.returncode == 0, typed.stdout


def test_the_same_model_gives_the_same_text(tmp_path: Path) -> None:
    """Neither the time nor the run shows in it."""
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        written(tmp_path / folder)
    assert (tmp_path / "a/net.py").read_bytes() == (tmp_path / "b/net.py").read_bytes()
