"""Keras models in every kind of file, and every layer there is a translation for, from end to end."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import exporter
from exporter.passes.pipeline import run as run_passes
from exporter.targets.onnx_file import onnx_model, onnx_writers
from tests.e2e.blocked import exported_alike
from tests.e2e.engines import ENGINES, onnx_session
from tests.unit.lower_keras import (
    test_keras_attention,
    test_keras_convolution,
    test_keras_layers,
    test_keras_operations,
    test_keras_recurrent,
)
from tests.unit.lower_keras.oracle import Case, lower, outputs_of, relative_error
from tests.unit.sources.test_keras_files import WAYS, mixed_model

pytestmark = [
    pytest.mark.slow,
    pytest.mark.tensorflow,
    pytest.mark.filterwarnings("ignore::UserWarning", "ignore::DeprecationWarning"),
]

_NOISE = 256 * 2.0**-23

_THEMES = {
    "attention": test_keras_attention.CASES,
    "convolutions": test_keras_convolution.CASES,
    "layers": test_keras_layers.CASES,
    "operations": test_keras_operations.CASES,
    "recurrent": test_keras_recurrent.CASES,
}


@pytest.mark.parametrize("way", WAYS)
def test_every_kind_of_file(way: str, tmp_path: Path) -> None:
    """Export from the file gives Keras's numbers in every engine, and where Keras can't be imported the same bytes."""
    major, save = WAYS[way]
    model = mixed_model(major)
    source, graph = save(model, tmp_path)
    out = tmp_path / "out.onnx"
    report = exporter.export(source, out, graph=graph)
    assert len(report.batch_norms) == 3
    x = np.random.default_rng(0).normal(0, 1, (2, 8, 8, 3)).astype(np.float32)
    expected = np.asarray(model(x, training=False))
    (name,) = [output.name for output in report.outputs]
    for run in ENGINES.values():
        found = run(out, {"image": x}, [name])[name]
        assert relative_error(found, expected) <= _NOISE
        assert relative_error(found * np.float32(1 + 1e-3), expected) > _NOISE
    assert exported_alike(out, source, graph=graph)


def _error(case: Case, major: int, path: Path) -> float:
    model, feeds = case.model(major), case.arrays()
    lowered = lower(model).model
    run_passes(lowered)
    for file, write in onnx_writers(onnx_model(lowered, opset=17, input_layout="nhwc"), path).items():
        write(file)
    session = onnx_session(path, optimised=True)
    names = [value.name for value in session.get_inputs()]
    found: list[Any] = session.run(None, dict(zip(names, feeds, strict=True)))
    expected = outputs_of(model, feeds)
    return max(relative_error(a, b) for a, b in zip(found, expected, strict=True))


@pytest.mark.parametrize("theme", _THEMES)
def test_every_layer_in_onnxruntime(theme: str, tmp_path: Path) -> None:
    """Each layer's network, folded and written as ONNX, computes in onnxruntime what Keras computes."""
    wrong = {}
    for case in _THEMES[theme]:
        error = _error(case, max(case.majors), tmp_path / "model.onnx")
        if error > _NOISE:
            wrong[case.name] = error
    assert not wrong
