"""The model as formulas."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import runtime
from runtime.__main__ import main
from tests.unit.runtime.make_bundle import document, members, node, pack

KERNEL = np.ones((3, 3, 2, 4), np.float32)
PLAN = document(
    nodes=[
        node("Conv", ["x", "conv/kernel", "conv/bias"], ["h"], strides=[2, 2], pads=[1, 1, 1, 1], group=1),
        node("Relu", ["h"], ["r"]),
        node("Reshape", ["r", "shape"], ["f"]),
        node("Dense", ["f", "dense/kernel"], ["y"]),
    ],
    inputs=[{"name": "x", "dtype": "float32", "shape": ["N", 4, 4, 2]}],
    outputs=[{"name": "y", "dtype": "float32", "shape": ["N", 3]}],
)
ARRAYS = {
    "conv/kernel": KERNEL,
    "conv/bias": np.ones(4, np.float32),
    "shape": np.array([-1, 16]),
    "dense/kernel": np.ones((16, 3), np.float32),
}


@pytest.fixture
def model(tmp_path: Path) -> Path:
    path = tmp_path / "model.npz"
    path.write_bytes(pack(members(PLAN, **ARRAYS)))
    return path


def test_each_operator_is_a_formula_with_the_arrays_names(model: Path) -> None:
    """Kernels with their shapes, attributes that change something, small vectors as numbers."""
    assert [step.formula for step in runtime.load(model).steps()] == [
        "h = conv(x, conv/kernel [3, 3, 2, 4], strides=[2, 2], pads=[1, 1, 1, 1]) + conv/bias",
        "r = relu(h)",
        "f = reshape(r, [-1, 16])",
        "y = f @ dense/kernel [16, 3]",
    ]


@pytest.mark.parametrize("batch", [1, 5])
def test_shapes_and_costs_are_those_of_the_inputs(model: Path, batch: int) -> None:
    """Multiply-adds of a direct product, counted by hand, and what the results take."""
    steps = runtime.load(model).steps({"x": np.zeros((batch, 4, 4, 2), np.float32)})
    assert [step.shapes for step in steps] == [
        ((batch, 2, 2, 4),),
        ((batch, 2, 2, 4),),
        ((batch, 16),),
        ((batch, 3),),
    ]
    assert [step.multiply_adds for step in steps] == [batch * 16 * 18, 0, 0, batch * 16 * 3]
    assert [step.nbytes for step in steps] == [batch * size * 4 for size in (16, 16, 16, 3)]


def test_the_command_prints_the_table(model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """For the sizes of given inputs, too; the last line is the sum."""
    np.save(tmp_path / "in.npy", np.zeros((2, 4, 4, 2), np.float32))
    for inputs, total in (([], 336), ([str(tmp_path / "in.npy")], 672)):
        assert main(["describe", str(model), *inputs]) == 0
        lines = capsys.readouterr().out.splitlines()
        assert len(lines) == 6
        assert lines[-1].split()[0] == str(total)


def test_inputs_that_do_not_fit_are_refused(model: Path) -> None:
    """As in a run."""
    with pytest.raises(runtime.InputError, match="no input is called"):
        runtime.load(model).steps({"z": np.zeros(1)})


def test_a_net_says_what_it_is(model: Path) -> None:
    """In one line, with its inputs and outputs; the arrays are there by name."""
    net = runtime.load(model)
    assert repr(net) == "<Net of 4 operators; in x: float32 [N, 4, 4, 2]; out y: float32 [N, 3]>"
    assert set(net.arrays) == set(ARRAYS)


def test_bytes_and_open_files_load_as_paths_do(model: Path) -> None:
    """With the same numbers; tuning, which writes beside the model, takes paths alone."""
    x = np.ones((1, 4, 4, 2), np.float32)
    expected = runtime.load(model)(x)
    content = model.read_bytes()
    np.testing.assert_array_equal(runtime.load(content)(x), expected)
    with model.open("rb") as file:
        np.testing.assert_array_equal(runtime.load(file)(x), expected)
    with pytest.raises(ValueError, match="path of a file"):
        runtime.load(content, tune=True)
    with pytest.raises(runtime.BundleError, match="the bundle: "):
        runtime.load(content[:-30])
