"""Networks of a device's size on emulated boards, with exactly the arena that the header says."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from exporter.errors import UsageError
from exporter.targets.c_program.folder import c_files
from exporter.targets.npz_bundle import ModelPlan
from exporter.verify.boards import BOARDS, run_on
from exporter.verify.model_files import verify_model
from tests.unit.runtime.test_kernels_onnxruntime import f32, i64
from tests.unit.targets.c_builds import needs, written

pytestmark = needs("arm-none-eabi-gcc", "qemu-system-arm")


def digits() -> ModelPlan:
    """28 x 28 pixels, two convolutions with pools, two dense layers."""
    pads: dict[str, Any] = {"pads": [1, 1, 1, 1]}
    pool = {"kernel_shape": [2, 2], "strides": [2, 2]}
    arrays = {"a": f32(3, 3, 1, 8), "b": f32(3, 3, 8, 16), "s": i64(1, 784), "c": f32(784, 32), "d": f32(32, 10)}
    steps: list[tuple[str, list[str], dict[str, Any]]] = [
        ("Conv", ["x", "a"], pads),
        ("Relu", ["y1"], {}),
        ("MaxPool", ["y2"], pool),
        ("Conv", ["y3", "b"], pads),
        ("Relu", ["y4"], {}),
        ("MaxPool", ["y5"], pool),
        ("Reshape", ["y6", "s"], {}),
        ("Dense", ["y7", "c"], {}),
        ("Relu", ["y8"], {}),
        ("Dense", ["y9", "d"], {}),
        ("Softmax", ["y10"], {"axis": -1}),
    ]
    return _plan([1, 28, 28, 1], arrays, steps)


def keywords() -> ModelPlan:
    """49 x 10 coefficients of speech, a convolution, depthwise and pointwise ones, a mean and a dense layer."""
    arrays: dict[str, Any] = {"a": f32(10, 4, 1, 32), "axes": i64(1, 2), "d": f32(32, 12)}
    steps: list[tuple[str, list[str], dict[str, Any]]] = [
        ("Conv", ["x", "a"], {"auto_pad": "SAME_UPPER", "strides": [2, 2]}),
        ("Relu", ["y1"], {}),
    ]
    for i in range(3):
        arrays |= {f"b{i}": f32(3, 3, 1, 32, seed=i), f"c{i}": f32(1, 1, 32, 32, seed=i, scale=0.2)}
        n = len(steps)
        steps += [
            ("Conv", [f"y{n}", f"b{i}"], {"pads": [1, 1, 1, 1], "group": 32}),
            ("Relu", [f"y{n + 1}"], {}),
            ("Conv", [f"y{n + 2}", f"c{i}"], {}),
            ("Relu", [f"y{n + 3}"], {}),
        ]
    n = len(steps)
    steps += [("ReduceMean", [f"y{n}", "axes"], {"keepdims": 0}), ("Dense", [f"y{n + 1}", "d"], {})]
    return _plan([1, 49, 10, 1], arrays, steps)


def _plan(shape: list[int], arrays: Any, steps: list[tuple[str, list[str], dict[str, Any]]]) -> ModelPlan:
    nodes = [
        {"op": op, "name": f"y{i}", "inputs": inputs, "outputs": [f"y{i}"], "attributes": attributes}
        for i, (op, inputs, attributes) in enumerate(steps, 1)
    ]
    x = {"name": "x", "dtype": "float32", "shape": shape}
    y = {"name": f"y{len(steps)}", "dtype": "float32", "shape": None}
    return ModelPlan([x], [y], nodes, arrays, {})


NETWORKS = {"digits": digits, "keywords": keywords}


_WARNINGS = ["-Wall", "-Wextra", "-Wpedantic", "-Wconversion", "-Werror"]


@pytest.mark.parametrize("network", NETWORKS)
@pytest.mark.parametrize("board", BOARDS)
def test_a_board_gives_the_stored_outputs(board: str, network: str, tmp_path: Path) -> None:
    """The stored example comes out, and nothing is written beside the arena."""
    folder = written(c_files(NETWORKS[network](), "net"), tmp_path / "net_c")
    done = run_on(BOARDS[board], folder, _WARNINGS)
    assert done.returncode == 0, done.stdout + done.stderr


def test_a_board_tells_a_planted_error(tmp_path: Path) -> None:
    """A changed sum makes the test on the board fail, too."""
    files = c_files(digits(), "net")
    wrong = files["net.c"].replace(b"/= sum", b"/= sum + 1.0f")
    assert wrong != files["net.c"]
    done = run_on(BOARDS["M4F"], written({**files, "net.c": wrong}, tmp_path / "net_c"))
    assert done.returncode == 1, done.stdout + done.stderr


def test_verify_runs_a_program_on_a_board(tmp_path: Path) -> None:
    """Good as it was written, off with a planted error, and a program that is too large is no verdict."""
    files = c_files(digits(), "net")
    good = verify_model(written(files, tmp_path / "net_c"), board="M4F")
    assert good.state == "good", good.problems
    assert [check.output for check in good.checks] == ["y11"]
    wrong = files["net.c"].replace(b"/= sum", b"/= sum + 1.0f")
    assert verify_model(written({**files, "net.c": wrong}, tmp_path / "off_c"), board="M4F").state == "off"
    large = files["net_test.c"].replace(b"#define GUARD 64", b"#define GUARD 9000000")
    none = verify_model(written({**files, "net_test.c": large}, tmp_path / "large_c"), board="M4F")
    assert none.state == "none" and "can't be built" in none.problems[0]


def test_a_board_that_isnt_known(tmp_path: Path) -> None:
    """Wrong usage, with those that are."""
    with pytest.raises(UsageError, match="M9"):
        verify_model(written(c_files(digits(), "net"), tmp_path / "net_c"), board="M9")
