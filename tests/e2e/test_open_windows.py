"""Windows that leave gaps between them, over images of every size."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import exporter
from tests.e2e.engines import ENGINES
from tests.unit.lower_keras.oracle import keras_of, outputs_of, randomise, relative_error

pytestmark = [pytest.mark.tensorflow, pytest.mark.filterwarnings("ignore")]  # Keras's own


def _model() -> Any:
    """Kernels of 1 to 3 pixels every 2 to 5 pixels, with the padding that divides what is missing between both ends."""
    layers, image = keras_of(3).layers, keras_of(3).Input((None, None, 2), name="image")
    same: dict[str, Any] = {"padding": "same"}
    outputs = [
        layers.Conv2D(3, 2, strides=4, **same)(image),
        layers.Conv2D(3, (1, 3), strides=5, **same)(image),
        layers.DepthwiseConv2D(2, strides=3, **same)(image),
        layers.MaxPooling2D(1, strides=2, **same)(image),
        layers.MaxPooling2D((2, 3), strides=(5, 4), **same)(image),
        layers.AveragePooling2D(2, strides=4, **same)(image),
    ]
    model = keras_of(3).Model(image, outputs)
    randomise(model)
    return model


@pytest.mark.parametrize("kind", ["keras", "saved_model"])
def test_gaps_between_windows(kind: str, tmp_path: Path) -> None:
    """The same numbers as Keras in each engine, whatever is left over at the end of an axis."""
    model, source = _model(), tmp_path / "model.keras"
    if kind == "keras":
        model.save(source)
    else:
        source = tmp_path / "saved"
        model.export(str(source), verbose=False)
    report = exporter.export(source, tmp_path / "m.onnx")
    names, rng = [spec.name for spec in report.outputs], np.random.default_rng(0)
    for height, width in zip(range(1, 13), (7, 1, 10, 4, 12, 2, 9, 5, 11, 3, 8, 6), strict=True):
        x = rng.normal(1, 1, (2, height, width, 2)).astype(np.float32)
        expected = outputs_of(model, [x])
        for engine, run in ENGINES.items():
            found = run(tmp_path / "m.onnx", {report.inputs[0].name: x}, names)
            for name, right in zip(names, expected, strict=True):
                assert relative_error(found[name], right) < 1e-5, (engine, name, x.shape)
