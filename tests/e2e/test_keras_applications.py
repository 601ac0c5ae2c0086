"""The networks of `keras.applications`, with random weights and statistics, from .h5 and .keras to three engines."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import exporter
from tests.bench.applications import SIZES, network
from tests.e2e.engines import ENGINES
from tests.unit.lower_keras.oracle import keras_of, relative_error

pytestmark = [
    pytest.mark.slow,
    pytest.mark.tensorflow,
    pytest.mark.filterwarnings("ignore::UserWarning", "ignore::DeprecationWarning"),
]

_NOISE = 1024 * 2.0**-23
"""Networks of a hundred layers: their float32 results differ by this much from one order of summation to another."""


@pytest.mark.parametrize("major", [2, 3])
@pytest.mark.parametrize("name", SIZES)
def test_application(name: str, major: int, tmp_path: Path) -> None:
    """Both files give Keras's numbers in every engine, and equal ONNX; the share of batch norms folded is printed."""
    model = network(name, keras_of(major))
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
