"""An export notices its own mistakes: planted ones in the product are found, taken back, and reported."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from unittest import mock

import numpy as np
import onnx_ir as ir
import pytest

import exporter
import runtime
from exporter.errors import ParityError
from exporter.ir.evaluate import Constants
from exporter.passes import pipeline
from exporter.passes.affine import collect, linear
from exporter.passes.affine.affine_map import Affine, Array
from exporter.passes.affine.weighted import Weighted
from exporter.verify.model_files import verify_model

SAMPLES = Path(__file__).parents[2] / "sample_ckpts"
SAMPLE = SAMPLES / "autoencoder"


def _export(folder: Path, *, check: bool = True, source: Path = SAMPLE) -> tuple[exporter.Report, float]:
    """The report, and how far the bundle is from TensorFlow's recorded outputs."""
    report = exporter.export(source, folder / "model.onnx", check=check)
    recorded = np.load(source / "recorded.npz")
    net = runtime.load(folder / "model.npz")
    found = net.run({value.name: recorded[f"input/{value.name}"] for value in net.inputs})
    errors = [
        float(np.abs(array - recorded[f"output/{name}"]).max() / np.abs(recorded[f"output/{name}"]).max())
        for name, array in found.items()
    ]
    return report, max(errors)


def test_an_export_says_that_it_was_checked(tmp_path: Path) -> None:
    """With the number of examples; nothing is taken back where nothing is wrong."""
    report, error = _export(tmp_path)
    assert report.check is not None
    assert report.check.left_out is None and report.check.taken_back == ()
    assert report.check.examples > 0 and report.check.share < 1
    assert error < 1e-5


def test_the_check_can_be_left_out(tmp_path: Path) -> None:
    """The files are the same, byte for byte."""
    for name, check in (("with", True), ("without", False)):
        (tmp_path / name).mkdir()
        report, _ = _export(tmp_path / name, check=check)
        assert report.check is not None
        assert report.check.left_out == (None if check else "asked for")
    for file in ("model.onnx", "model.npz"):
        assert (tmp_path / "with" / file).read_bytes() == (tmp_path / "without" / file).read_bytes()


def _batch_norm(formula: Callable[[Array, Array, Array, Array, float], tuple[Array, Array]], only: str = "") -> object:
    """Makes the fold of batch norms (whose names contain `only`) compute scale and shift like that."""
    right = collect._batch_normalization

    def wrong(node: ir.Node, constants: Constants) -> tuple[int, Affine] | None:
        found = right(node, constants)
        if found is None or only not in collect.source_of(node):
            return found
        gamma, beta, mean, variance = (constants.array(v) for v in node.inputs[1:5] if v is not None)
        scale, shift = formula(gamma, beta, mean, variance, node.attributes["epsilon"].as_float())
        return 0, Affine.of(scale, shift, found[1].rank)

    return mock.patch.object(collect, "_batch_normalization", wrong)


def _outside(gamma: Array, beta: Array, mean: Array, variance: Array, epsilon: float) -> tuple[Array, Array]:
    scale = gamma / (np.sqrt(variance) + epsilon)
    return scale, beta - mean * scale


def _swapped(gamma: Array, beta: Array, mean: Array, variance: Array, epsilon: float) -> tuple[Array, Array]:
    scale = gamma / np.sqrt(variance + epsilon)
    return scale, mean - beta * scale


def _no_shift(gamma: Array, beta: Array, mean: Array, variance: Array, epsilon: float) -> tuple[Array, Array]:
    return gamma / np.sqrt(variance + epsilon), np.zeros_like(beta)


def _other_axis() -> object:
    """The scale of the output put on the kernel's other channels, as far as there are as many."""

    def factor(op: Weighted, shape: tuple[int, ...], si: Array, so: Array) -> Array:
        wrong = np.resize(so.reshape(-1), shape[-2]).reshape(-1, 1)
        return np.asarray(right[op.node.op_type].factor(op, shape, si, np.ones_like(so)) * wrong)

    right = {op_type: linear.LINEAR[op_type] for op_type in ("Conv", "Dense")}
    broken = {op_type: replace(op, factor=factor) for op_type, op in right.items()}
    return mock.patch.dict(linear.LINEAR, broken)


FAULTS: dict[str, Callable[[], object]] = {
    "epsilon outside of the root": lambda: _batch_norm(_outside),
    "mean and beta swapped": lambda: _batch_norm(_swapped),
    "shift dropped": lambda: _batch_norm(_no_shift),
    "another axis": _other_axis,
}


@pytest.mark.parametrize("fault", FAULTS)
def test_wrong_folds_are_taken_back(fault: str, tmp_path: Path) -> None:
    """The files are right, and the report names what isn't folded; without the check the numbers are wrong."""
    with FAULTS[fault]():  # type: ignore[attr-defined]
        _, unchecked = _export(tmp_path, check=False)
        report, error = _export(tmp_path)
    assert unchecked > 1e-4
    assert report.check is not None and report.check.taken_back
    assert error < 1e-5


def test_only_what_is_wrong_is_taken_back(tmp_path: Path) -> None:
    """One batch norm of several is; the others are folded as ever."""
    right, _ = _export(tmp_path)
    wrong = right.folds[1].source
    with _batch_norm(_outside, only=wrong):  # type: ignore[attr-defined]
        report, error = _export(tmp_path)
    assert report.check is not None and report.check.taken_back == (wrong,)
    assert [fold for fold in report.folds if fold.reason is None] == [f for f in right.folds if f.source != wrong]
    assert error < 1e-5


def _negated(model: ir.Model) -> None:
    """A pass with a mistake in it."""
    for node in model.graph:
        if node.op_type == "Sigmoid":
            node.op_type = "Tanh"


def test_a_mistake_beyond_folding_takes_all_folds_back(tmp_path: Path) -> None:
    """In the passes that run only when something is folded."""
    with mock.patch.object(pipeline, "merge_clips", _negated):
        report, error = _export(tmp_path)
    assert report.check is not None and len(report.check.taken_back) >= len(report.batch_norms)
    assert error < 1e-5


def test_a_mistake_in_every_pass_is_an_error_and_nothing_is_written(tmp_path: Path) -> None:
    """Exit status 1."""
    with mock.patch.object(pipeline, "AFTER", (_negated, *pipeline.AFTER)):
        with pytest.raises(ParityError, match="even without folds") as caught:
            _export(tmp_path)
        assert caught.value.exit_code == 1
        assert not list(tmp_path.iterdir())
        _export(tmp_path, check=False)


@pytest.mark.parametrize("only", ["", "all but one"])
def test_verification_knows_what_was_taken_back(only: str, tmp_path: Path) -> None:
    """The files say it, so that layers and batch norms are looked for in the model as it was exported."""
    right, _ = _export(tmp_path)
    with _batch_norm(_outside, only=right.folds[1].source if only else ""):  # type: ignore[attr-defined]
        _export(tmp_path)
        verdict = verify_model(tmp_path / "model.onnx", against=right.source, sites=True)
    assert verdict, verdict.lines()
    assert verdict.sites
    assert all(site.tensor is not None for site in verdict.sites) or only
