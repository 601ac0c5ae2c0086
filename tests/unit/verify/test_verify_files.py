"""Exported files are compared with the truth: honest noise passes, planted mistakes don't, whatever the truth is."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import onnx_ir as ir
import pytest

from exporter.errors import CorruptError, MissingError, UsageError
from exporter.ir.builder import Builder
from exporter.ir.evaluate import evaluate
from exporter.passes.pipeline import run
from exporter.targets.atomic import write_files
from exporter.targets.layout.standard import InputLayout
from exporter.targets.npz_bundle import write_bundle
from exporter.targets.onnx_file import onnx_model, onnx_writers
from exporter.verify.files import verify_files
from exporter.verify.probes import probes
from exporter.verify.references.truth import Computed, Recorded, UnfoldedModel, recorded_in_bundle
from exporter.verify.references.unfolded_model import Reference

FLOAT = ir.DataType.FLOAT
EPSILON = 1e-3
ENGINES = ["onnxruntime, as written", "onnxruntime, optimised", "NumPy runtime"]

Weights = dict[str, Any]


def _weights() -> Weights:
    random = np.random.default_rng(5)
    draw = {
        "kernel": random.standard_normal((3, 3, 3, 8)) * 0.3,
        "gamma": random.uniform(0.5, 2, 8),
        "beta": random.standard_normal(8),
        "mean": random.standard_normal(8),
        "variance": random.uniform(0.05, 2, 8),
        "matrix": random.standard_normal((8, 5)),
    }
    return {name: array.astype(np.float32) for name, array in draw.items()}


def _unfolded(weights: Weights, *, labels: bool = False) -> ir.Model:
    """Convolution, batch norm, relu, global average, dense, softmax, and if wanted the label."""
    b = Builder("net")
    w = {name: b.weight(name, FLOAT, array.shape, partial(np.asarray, array)) for name, array in weights.items()}
    y = b.op("Conv", b.input("x", FLOAT, ("N", 8, 8, 3)), w["kernel"], None, pads=[1, 1, 1, 1])
    with b.source("bn", batch_norm="bn"):
        y = b.op("BatchNormalization", y, w["gamma"], w["beta"], w["mean"], w["variance"], epsilon=EPSILON)
    y = b.op("ReduceMean", b.op("Relu", y), b.constant(np.array([1, 2])), keepdims=0)
    logits = b.op("Dense", y, w["matrix"], None)
    outputs = {"p": b.op("Softmax", logits)}
    if labels:
        outputs["label"] = b.op("Cast", b.op("ArgMax", logits, axis=1, keepdims=0), to=ir.DataType.INT32.value)
    return b.finish(outputs)


def _export(
    folder: Path, model: ir.Model, *, input_layout: InputLayout = "nhwc", with_probes: bool = False
) -> tuple[Path, Path]:
    """Both files of a model, which is folded on the way."""
    made = probes(model) if with_probes else ()
    run(model)
    onnx, npz = folder / "m.onnx", folder / "m.npz"
    standard = onnx_model(model, input_layout=input_layout)
    write_files({**onnx_writers(standard, onnx), npz: partial(write_bundle, model, probes=made)})
    return onnx, npz


def _epsilon_outside_the_root(weights: Weights) -> Weights:
    """`gamma / (sqrt(variance) + epsilon)`, as scales that the right formula turns into these."""
    wrong = np.sqrt(weights["variance"] + EPSILON) / (np.sqrt(weights["variance"]) + EPSILON)
    return {**weights, "gamma": (weights["gamma"] * wrong).astype(np.float32)}


def _swapped_channels(weights: Weights) -> Weights:
    order = [1, 0, 2, 3, 4, 5, 6, 7]
    return {**weights, "gamma": weights["gamma"][order]}


def _no_beta(weights: Weights) -> Weights:
    return {**weights, "beta": weights["beta"] * np.float32(0.999)}


def _one_weight(weights: Weights) -> Weights:
    kernel = weights["kernel"].copy()
    kernel[0, 0, 0, 0] *= np.float32(1.01)
    return {**weights, "kernel": kernel}


MISTAKES: list[Callable[[Weights], Weights]] = [_epsilon_outside_the_root, _swapped_channels, _no_beta, _one_weight]


@pytest.mark.parametrize("input_layout", ["nhwc", "nchw"])
def test_a_right_export_passes(tmp_path: Path, input_layout: InputLayout) -> None:
    """All three engines, both outputs, whichever layout the ONNX file's input has."""
    weights = _weights()
    onnx, npz = _export(tmp_path, _unfolded(weights, labels=True), input_layout=input_layout)
    verdict = verify_files(onnx, npz, UnfoldedModel(_unfolded(weights, labels=True)))
    assert verdict.ok, verdict.lines()
    assert [(c.engine, c.output) for c in verdict.checks] == [(e, o) for e in ENGINES for o in ("p", "label")]
    assert verdict.runs == 2
    assert all(check.limit < 1e-4 for check in verdict.checks)
    assert [check.limit for check in verdict.checks if check.output == "label"] == [0, 0, 0]


@pytest.mark.parametrize("mistake", MISTAKES, ids=lambda mistake: mistake.__name__.strip("_"))
def test_planted_mistakes_are_caught(tmp_path: Path, mistake: Callable[[Weights], Weights]) -> None:
    """By every engine, far beyond the limit."""
    onnx, npz = _export(tmp_path, _unfolded(mistake(_weights())))
    verdict = verify_files(onnx, npz, UnfoldedModel(_unfolded(_weights())))
    assert not verdict.ok
    assert [check.ok for check in verdict.checks] == [False] * 3
    assert all(check.error > 2 * check.limit for check in verdict.checks)


def test_a_mistake_in_one_file_is_blamed_on_that(tmp_path: Path) -> None:
    """The bundle is right, the ONNX file isn't."""
    weights = _weights()
    _, npz = _export(tmp_path, _unfolded(weights))
    (tmp_path / "wrong").mkdir()
    onnx, _ = _export(tmp_path / "wrong", _unfolded(_swapped_channels(weights)))
    verdict = verify_files(onnx, npz, UnfoldedModel(_unfolded(weights)))
    assert [check.ok for check in verdict.checks] == [False, False, True]


def test_recorded_outputs_as_truth(tmp_path: Path) -> None:
    """Inputs and outputs of the user's, in float32: noise is how far a nudge of the inputs goes."""
    weights = _weights()
    onnx, npz = _export(tmp_path, _unfolded(weights, labels=True))
    x = np.random.default_rng(0).standard_normal((4, 8, 8, 3)).astype(np.float32)
    p = evaluate(_unfolded(weights), {"x": x}, dtype=np.float32)["p"]
    verdict = verify_files(onnx, npz, Recorded([Reference({"x": x}, {"p": p})]))
    assert verdict.ok, verdict.lines()
    assert verdict.skipped == ("label",)
    assert "one unit in the last place" in verdict.noise
    p[2, 1] += 1e-4
    assert not verify_files(onnx, npz, Recorded([Reference({"x": x}, {"p": p})])).ok


@pytest.mark.parametrize("mistake", MISTAKES, ids=lambda mistake: mistake.__name__.strip("_"))
def test_the_bundles_own_probes_as_truth(tmp_path: Path, mistake: Callable[[Weights], Weights]) -> None:
    """They were made before folding; a wrong bundle that carries them doesn't pass, nor does an ONNX file beside it."""
    right = _unfolded(_weights())
    onnx, npz = _export(tmp_path, _unfolded(_weights()), with_probes=True)
    verdict = verify_files(onnx, npz, recorded_in_bundle(npz))
    assert verdict.ok, verdict.lines()
    wrong = _unfolded(mistake(_weights()))
    run(wrong)
    write_files({npz: partial(write_bundle, wrong, probes=probes(right))})
    assert [c.ok for c in verify_files(onnx, npz, recorded_in_bundle(npz)).checks] == [True, True, False]


def test_outputs_computed_elsewhere_as_truth(tmp_path: Path) -> None:
    """As by TensorFlow: random inputs go to the function that is given."""
    weights = _weights()
    onnx, npz = _export(tmp_path, _unfolded(weights))
    source = _unfolded(weights)
    truth = Computed(lambda feeds: evaluate(source, feeds, dtype=np.float32), source)
    verdict = verify_files(onnx, npz, truth)
    assert verdict.ok, verdict.lines()
    assert verdict.truth == "TensorFlow's outputs"


def test_given_inputs_are_used(tmp_path: Path) -> None:
    """One run, of any batch size."""
    weights = _weights()
    onnx, npz = _export(tmp_path, _unfolded(weights))
    data = {"x": np.zeros((1, 8, 8, 3), np.float32)}
    verdict = verify_files(onnx, npz, UnfoldedModel(_unfolded(weights)), data)
    assert verdict.ok, verdict.lines()
    assert verdict.runs == 1


def test_labels_that_noise_decides_are_excused(tmp_path: Path) -> None:
    """Two equal columns of the matrix: which of them wins is no mistake; the wrong class is one."""
    weights = _weights()
    weights["matrix"][:, 3] = weights["matrix"][:, 1]
    onnx, npz = _export(tmp_path, _unfolded(weights, labels=True))
    swapped = {**weights, "matrix": weights["matrix"][:, [0, 3, 2, 1, 4]] * np.float32(1 + 2**-23)}
    verdict = verify_files(onnx, npz, UnfoldedModel(_unfolded(swapped, labels=True)))
    assert verdict.ok, verdict.lines()
    wrong = {**weights, "matrix": weights["matrix"][:, [1, 0, 2, 3, 4]]}
    verdict = verify_files(onnx, npz, UnfoldedModel(_unfolded(wrong, labels=True)))
    assert not any(check.ok for check in verdict.checks if check.output == "label")


def test_an_engine_that_cannot_run_is_not_a_pass(tmp_path: Path) -> None:
    """The others are checked all the same, and the verdict isn't good."""
    weights = _weights()
    _, npz = _export(tmp_path, _unfolded(weights))
    broken = tmp_path / "broken.onnx"
    broken.write_bytes(b"nonsense")
    verdict = verify_files(broken, npz, UnfoldedModel(_unfolded(weights)))
    assert [check.ok for check in verdict.checks] == [True]
    assert len(verdict.problems) == 2
    assert not verdict.ok
    assert verdict.problems[0].startswith("onnxruntime, as written can't load broken.onnx")
    npz.write_bytes(b"nonsense")
    assert not verify_files(None, npz, UnfoldedModel(_unfolded(weights))).ok
    with pytest.raises(CorruptError):
        recorded_in_bundle(npz)


def test_nothing_compared_is_not_a_pass(tmp_path: Path) -> None:
    """No files; an output of another name; a bundle without probes."""
    weights = _weights()
    onnx, npz = _export(tmp_path, _unfolded(weights))
    assert not verify_files(None, None, UnfoldedModel(_unfolded(weights))).ok
    x = np.zeros((1, 8, 8, 3), np.float32)
    assert not verify_files(onnx, npz, Recorded([Reference({"x": x}, {})])).ok
    with pytest.raises(UsageError, match="the model has no output probabilities, only p"):
        verify_files(onnx, npz, Recorded([Reference({"x": x}, {"probabilities": x})]))
    with pytest.raises(MissingError, match="holds no recorded outputs"):
        recorded_in_bundle(npz)


def test_the_verdict_speaks(tmp_path: Path) -> None:
    """As JSON and as lines: the truth, what it can't find, every check."""
    onnx, npz = _export(tmp_path, _unfolded(_swapped_channels(_weights())))
    verdict = verify_files(onnx, npz, UnfoldedModel(_unfolded(_weights())))
    plain = json.loads(json.dumps(verdict.to_json(), allow_nan=False))
    assert plain["ok"] is False
    assert [check["ok"] for check in plain["checks"]] == [False] * 3
    assert plain["checks"][0].keys() == {"engine", "output", "error", "noise", "limit", "ok"}
    text = "\n".join(verdict.lines())
    assert text.count("OFF") == 3
    assert "Compared with the unfolded model, computed in float64, 2 runs." in text
    assert "can't find mistakes made before folding" in text
