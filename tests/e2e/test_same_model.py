"""One model saved in five ways: equal numbers, equal bytes where the graph is equal, without Keras or TensorFlow."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnxruntime
import pytest

from tests.cli.test_cli_processes import run_blocked

pytestmark = [pytest.mark.slow, pytest.mark.tensorflow]

_MAKE = """
import sys
import numpy as np
import tensorflow as tf
from tests.e2e.tensorflow_kinds import network, randomise

folder = sys.argv[1]
model = network()
randomise(model)
model.save(f"{folder}/model.h5")
model.save(f"{folder}/model.keras")
model.save_weights(f"{folder}/model.weights.h5")
model.save_weights(f"{folder}/weights", save_format="tf")
tf.saved_model.save(model, f"{folder}/saved")
open(f"{folder}/model.json", "w").write(model.to_json())
x = np.random.default_rng(0).standard_normal((2, 12, 12, 3)).astype(np.float32)
np.savez(f"{folder}/data.npz", x=x, y=model(x, training=False).numpy())
"""

WAYS = {
    "h5": ["model.h5"],
    "keras": ["model.keras"],
    "weights_h5": ["model.weights.h5", "--graph", "model.json"],
    "checkpoint": ["weights", "--graph", "model.json"],
    "saved_model": ["saved"],
}


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The model in five ways, and each way's export, made where TensorFlow and Keras can't be imported."""
    folder = tmp_path_factory.mktemp("same")
    environment = {**os.environ, "TF_USE_LEGACY_KERAS": "1", "TF_CPP_MIN_LOG_LEVEL": "3"}
    subprocess.run([sys.executable, "-c", _MAKE, str(folder)], env=environment, capture_output=True, check=True)
    commands = [["export", *source, "-o", f"{way}.onnx"] for way, source in WAYS.items()]
    statuses, _ = run_blocked(*commands, cwd=folder)
    assert statuses == [0] * len(WAYS)
    return folder


@pytest.mark.parametrize("way", WAYS)
def test_numbers_are_equal(saved: Path, way: str) -> None:
    """Each of the five computes what Keras computes at inference, to a few roundings of the largest output."""
    with np.load(saved / "data.npz") as data:
        x, y = data["x"], data["y"]
    session = onnxruntime.InferenceSession(saved / f"{way}.onnx", providers=["CPUExecutionProvider"])
    found = session.run(None, {session.get_inputs()[0].name: x})[0]
    assert np.abs(found - y).max() <= 64 * 2.0**-24 * np.abs(y).max()
    assert np.abs(found * np.float32(1.0001) - y).max() > 64 * 2.0**-24 * np.abs(y).max()


@pytest.mark.parametrize("way", ["keras", "weights_h5", "checkpoint"])
def test_equal_graphs_give_equal_bytes(saved: Path, way: str) -> None:
    """The four that a Keras configuration describes become one and the same ONNX file."""
    assert (saved / f"{way}.onnx").read_bytes() == (saved / "h5.onnx").read_bytes()
