"""The numbers that people posted with their checkpoints come out of every way to run the exported files."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest

import exporter
import runtime
from tests.cli.terminal import SAMPLES, Terminal

_BN = "layer_0/bn/batchnorm/add_1"
_ONE = "hidden1/batch_normalization/batchnorm/add_1"

Arrays = dict[str, np.ndarray[Any, Any]]


def _by_command(terminal: Terminal, model: str, inputs: Arrays) -> Arrays:
    np.savez("in.npz", **inputs)  # type: ignore[arg-type]  # its keyword allow_pickle is no array
    assert terminal("run", model, "in.npz", "-o", "out.npz").status == 0
    with np.load("out.npz") as outputs:
        return dict(outputs)


def _by_session(terminal: Terminal, model: str, inputs: Arrays) -> Arrays:
    session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
    names = [output.name for output in session.get_outputs()]
    return dict(zip(names, session.run(names, inputs), strict=True))


_WAYS: dict[str, tuple[str, Callable[[Terminal, str, Arrays], Arrays]]] = {
    "onnxruntime": ("model.onnx", _by_session),
    "runtime": ("model.npz", lambda _, model, inputs: runtime.load(model).run(inputs)),
    "exporter.run, ONNX": ("model.onnx", lambda _, model, inputs: exporter.run(model, inputs)),
    "exporter.run, bundle": ("model.npz", lambda _, model, inputs: exporter.run(model, inputs)),
    "the command, ONNX": ("model.onnx", _by_command),
    "the command, bundle": ("model.npz", _by_command),
}


@pytest.mark.parametrize("way", _WAYS)
@pytest.mark.parametrize("sample", ["handmade", "handmade_v2"])
def test_the_handmade_batch_norm(terminal: Terminal, sample: str, way: str) -> None:
    """Neuron 1 of layer 0 is 0.30664611 behind its batch norm; 0.543057 with epsilon outside of the root."""
    assert terminal("export", SAMPLES / sample, "-o", "model.onnx", "--output", _BN).status == 0
    with np.load(SAMPLES / sample / "recorded.npz") as recorded:
        inputs = {"tf_x": recorded["input/tf_x"]}
    model, run = _WAYS[way]
    found = run(terminal, model, inputs)[_BN]
    # A root of 26.5 and a shift of 2.36, both rounded to float32: 2.4e-7 apart at most.
    assert found[0, 1] == pytest.approx(0.30664611, abs=5e-7)


@pytest.mark.parametrize("way", _WAYS)
def test_the_one_neuron(terminal: Terminal, way: str) -> None:
    """x = 0 and 1 give -0.40697935 and 1.215785."""
    assert terminal("export", SAMPLES / "one_neuron", "-o", "model.onnx", "--output", _ONE).status == 0
    model, run = _WAYS[way]
    found = run(terminal, model, {"Placeholder": np.array([[0.0], [1.0]], np.float32)})[_ONE]
    np.testing.assert_allclose(found[:, 0], [-0.40697935, 1.215785], rtol=0, atol=1.2e-7)


def test_both_files_are_named_by_path_objects_too(tmp_path: Path) -> None:
    """The functions take `Path` and `str`, and write the same bytes."""
    for name, source in (("a", SAMPLES / "one_neuron"), ("b", str(SAMPLES / "one_neuron"))):
        out = tmp_path / f"{name}.onnx"
        exporter.export(source, out if name == "a" else str(out))
    assert (tmp_path / "a.onnx").read_bytes() == (tmp_path / "b.onnx").read_bytes()
    assert (tmp_path / "a.npz").read_bytes() == (tmp_path / "b.npz").read_bytes()
