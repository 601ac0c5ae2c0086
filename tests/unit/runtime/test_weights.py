"""Plain weights are dropped once they are packed, and read again when another shape needs them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import runtime
from runtime.engine.weights import Weights
from tests.unit.runtime.executors import compiled
from tests.unit.runtime.make_bundle import document, members, node, pack

RANDOM = np.random.default_rng(0)
W: Any = np.asarray(RANDOM.standard_normal((3, 3, 64, 64)), np.float32)
LARGE, SMALL = (np.asarray(RANDOM.standard_normal((1, n, n, 64)), np.float32) for n in (28, 1))


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """A convolution that is done by Winograd on large images, and directly on a single pixel."""
    plan = document(
        nodes=[node("Conv", ["x", "w"], ["y"], pads=[1, 1, 1, 1])],
        inputs=[{"name": "x", "dtype": "float32", "shape": ["N", "H", "W", 64]}],
        outputs=[{"name": "y", "dtype": "float32", "shape": None}],
    )
    path = tmp_path / "model.npz"
    path.write_bytes(pack(members(plan, w=W)))
    return path


def test_packed_weights_replace_plain_ones(model: Path) -> None:
    """They aren't kept beside them; a shape that needs the plain ones gets them from the file."""
    net, plain = runtime.load(model), runtime.load(model, accuracy="plain")
    for x in (LARGE, SMALL, LARGE):
        expected = np.asarray(plain(x))
        assert np.abs(np.asarray(net(x)) - expected).max() <= 1e-5 * np.abs(expected).max()
    weights = compiled(net).bundle.weights
    assert isinstance(weights, Weights)
    assert "w" not in weights._arrays
    assert "w" in plain.arrays


def test_a_file_that_has_changed_is_an_error(model: Path) -> None:
    """Where something else of it is needed; what was packed goes on working."""
    net = runtime.load(model)
    expected = net(LARGE)
    data = bytearray(model.read_bytes())
    where = data.find(W.tobytes()[:64])
    data[where] ^= 1
    model.write_bytes(bytes(data))
    np.testing.assert_array_equal(net(LARGE), expected)
    with pytest.raises(runtime.BundleError, match="has changed since it was loaded"):
        net(SMALL)
    model.unlink()
    with pytest.raises(runtime.BundleError, match="has changed since it was loaded"):
        net(SMALL)
