"""A fold costs no digits that TensorFlow has: hostile numbers, from files of several kinds to three engines."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("tensorflow")

import tensorflow as tf

import exporter
from tests.e2e.engines import ENGINES
from tests.e2e.hostile_numbers import MODELS, Model

pytestmark = [pytest.mark.slow, pytest.mark.tensorflow]

WORSE = 4.0
"""How many times larger than TensorFlow's own an error may be."""

ULPS = 24 * 2.0**-23
"""The error that is nothing to speak of."""


def _computed(model: Model, dtype: Any) -> Any:
    def given(array: Any) -> Any:
        return tf.constant(array, dtype if array.dtype.kind == "f" else None)

    feeds = {name: given(array) for name, array in model.feeds.items()}
    return np.asarray(model.build(tf, lambda array: tf.constant(np.asarray(array, np.float32), dtype), feeds))


def _saved_model(model: Model, folder: Path, batch: int | None) -> Path:
    specs = [tf.TensorSpec([batch, *each.shape[1:]], each.dtype, name=name) for name, each in model.feeds.items()]

    @tf.function(input_signature=specs)  # type: ignore[untyped-decorator]
    def serve(*inputs: Any) -> Any:
        given = dict(zip(model.feeds, inputs, strict=True))
        return {"y": model.build(tf, lambda array: tf.constant(np.asarray(array, np.float32)), given)}

    tf.saved_model.save(tf.Module(), str(folder / "saved"), signatures=serve.get_concrete_function())
    return folder / "saved"


def _checkpoint(model: Model, folder: Path, batch: int | None) -> Path:
    v1 = tf.compat.v1
    with tf.Graph().as_default(), v1.Session() as session:
        feeds = {name: v1.placeholder(a.dtype, [batch, *a.shape[1:]], name=name) for name, a in model.feeds.items()}
        tf.identity(model.build(tf, lambda array: v1.Variable(np.asarray(array, np.float32)), feeds), name="y")
        v1.get_variable("unused", [1])
        session.run(v1.global_variables_initializer())
        v1.train.Saver().save(session, str(folder / "model.ckpt"))
    return folder / "model.ckpt"


def _frozen(model: Model, folder: Path, batch: int | None) -> Path:
    with tf.Graph().as_default() as graph:
        v1 = tf.compat.v1
        feeds = {name: v1.placeholder(a.dtype, [batch, *a.shape[1:]], name=name) for name, a in model.feeds.items()}
        tf.identity(model.build(tf, lambda array: tf.constant(np.asarray(array, np.float32)), feeds), name="y")
    (folder / "frozen.pb").write_bytes(graph.as_graph_def().SerializeToString())
    return folder / "frozen.pb"


_FORMS: dict[str, Callable[[Model, Path, int | None], Path]] = {
    "SavedModel": _saved_model,
    "checkpoint": _checkpoint,
    "frozen": _frozen,
}
_SIZES = (None, 3)


def _error(found: Any, truth: Any) -> float:
    return float(np.abs(np.asarray(found, np.float64) - truth).max() / np.abs(truth).max())


def _params() -> list[tuple[str, str, int | None]]:
    """Each model in two kinds of files, one with an open batch and one with a fixed one."""
    forms = list(_FORMS)
    return [
        (name, forms[(number + turn) % len(forms)], size)
        for number, name in enumerate(MODELS)
        for turn, size in enumerate(_SIZES)
    ]


@pytest.mark.parametrize(("name", "form", "batch"), _params())
def test_no_digits_are_lost(name: str, form: str, batch: int | None, tmp_path: Path) -> None:
    """In onnxruntime with its optimisations off and on, and in the NumPy runtime."""
    model = MODELS[name]
    truth = _computed(model, tf.float64)
    allowed = max(WORSE * _error(_computed(model, tf.float32), truth), ULPS)
    out = tmp_path / "model.onnx"
    report = exporter.export(_FORMS[form](model, tmp_path, batch), out)
    (output,) = report.outputs
    feeds = {spec.name: model.feeds[spec.name.removeprefix("serving_default_")] for spec in report.inputs}
    for engine, run in ENGINES.items():
        assert _error(run(out, feeds, [output.name])[output.name], truth) <= allowed, engine


@pytest.mark.parametrize("name", MODELS)
def test_tensorflow_has_digits_to_lose(name: str) -> None:
    """Its own error is below 2.5e-5, so that a fold which loses them is noticed."""
    model = MODELS[name]
    truth = _computed(model, tf.float64)
    assert np.isfinite(truth).all()
    assert WORSE * _error(_computed(model, tf.float32), truth) < 1e-4
