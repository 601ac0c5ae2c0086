"""The networks of `keras.applications`, with random weights and statistics, from .h5 and .keras to three engines."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import exporter
from tests.e2e.engines import ENGINES
from tests.unit.lower_keras.oracle import keras_of, relative_error

pytestmark = [
    pytest.mark.slow,
    pytest.mark.tensorflow,
    pytest.mark.filterwarnings("ignore::UserWarning", "ignore::DeprecationWarning"),
]

_NOISE = 1024 * 2.0**-23
"""Networks of a hundred layers: their float32 results differ by this much from one order of summation to another."""

_SIZES = {
    "ConvNeXtTiny": 32,
    "DenseNet121": 32,
    "EfficientNetB0": 32,
    "InceptionV3": 75,
    "MobileNetV2": 32,
    "MobileNetV3Small": 32,
    "NASNetMobile": 32,
    "ResNet50V2": 32,
    "Xception": 71,
}


def _network(name: str, major: int) -> Any:
    size = _SIZES[name]
    make = getattr(keras_of(major).applications, name)
    model = make(weights=None, input_shape=(size, size, 3), classes=10, classifier_activation=None)
    rng = np.random.default_rng(0)
    for weight in model.weights:
        shape = tuple(weight.shape)
        ranges = {
            "variance": (0.5, 2),
            "mean": (-0.5, 0.5),
            "beta": (-0.3, 0.3),
            "gamma": (0.5, 1.5),
            "bias": (-0.2, 0.2),
        }
        found = [limits for part, limits in ranges.items() if part in getattr(weight, "path", weight.name)]
        if found:
            weight.assign(rng.uniform(*found[0], shape).astype(np.float32))
    return model


@pytest.mark.parametrize("major", [2, 3])
@pytest.mark.parametrize("name", _SIZES)
def test_application(name: str, major: int, tmp_path: Path) -> None:
    """Both files give Keras's numbers in every engine, and equal ONNX; the share of batch norms folded is printed."""
    model = _network(name, major)
    x = np.random.default_rng(1).uniform(0, 1, (2, *model.input_shape[1:])).astype(np.float32)
    expected = np.asarray(model(x, training=False))
    for suffix in (".h5", ".keras"):
        source, out = tmp_path / f"model{suffix}", tmp_path / f"out{suffix}.onnx"
        model.save(source)
        report = exporter.export(source, out)
        folded = sum(1 for norm in report.batch_norms if (fold := report.fold_of(norm.name)) and fold.reason is None)
        print(f"{name} (Keras {major}, {suffix}): {folded} of {len(report.batch_norms)} batch norms folded")
        output = report.outputs[0].name
        for run in ENGINES.values():
            found = run(out, {report.inputs[0].name: x}, [output])[output]
            assert relative_error(found, expected) <= _NOISE
            assert relative_error(np.flip(found, axis=-1), expected) > _NOISE
