"""Layers of cuDNN, which TensorFlow runs on GPUs alone, are what Keras's layers are with the same weights."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx_ir as ir
import onnxruntime
import pytest

from exporter.errors import UnsupportedError
from exporter.targets.onnx_file import onnx_model
from tests.unit.lower.handmade import const, lower, node
from tests.unit.lower.oracle import run

pytestmark = pytest.mark.tensorflow

FEATURES, UNITS, STEPS, BATCH, DEPTH = 3, 4, 5, 2, 2
ORDER = {"lstm": (0, 1, 2, 3), "gru": (1, 0, 2), "rnn_tanh": (0,), "rnn_relu": (0,)}
"""Where cuDNN's gates are among those of Keras."""


def _cell(mode: str) -> Any:
    """A layer that gives all steps and its states."""
    import keras

    options = {"return_sequences": True, "return_state": True}
    if mode == "lstm":
        return keras.layers.LSTM(UNITS, **options)
    if mode == "gru":
        return keras.layers.GRU(UNITS, reset_after=True, **options)
    return keras.layers.SimpleRNN(UNITS, activation=mode.removeprefix("rnn_"), **options)


def _case(mode: str, ways: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray, list[np.ndarray], list[np.ndarray]]:
    """Parameters as one vector, an input [batch, steps, features], the states before, and what comes out."""
    random = np.random.default_rng(seed)
    gates = len(ORDER[mode])
    states = 2 if mode == "lstm" else 1

    def draw(*shape: int) -> np.ndarray:
        return (random.standard_normal(shape) * 0.5).astype(np.float32)

    given = [draw(DEPTH * ways, BATCH, UNITS) for _ in range(2)]
    x = y = draw(BATCH, STEPS, FEATURES)
    matrices: list[np.ndarray] = []
    biases: list[np.ndarray] = []
    after: list[list[np.ndarray]] = [[], []]
    for layer in range(DEPTH):
        sides = []
        for way in range(ways):
            kernel, recurrent = draw(y.shape[-1], gates * UNITS), draw(UNITS, gates * UNITS)
            both = draw(2, gates * UNITS)
            for matrix in (kernel, recurrent):
                parts = np.split(matrix, gates, 1)
                matrices += [parts[gate].T.reshape(-1) for gate in ORDER[mode]]
            for bias in both:
                biases += [np.split(bias, gates)[gate] for gate in ORDER[mode]]
            before = [state[layer * ways + way] for state in given[:states]]
            cell = _cell(mode)
            cell.build(y.shape)
            cell.set_weights([kernel, recurrent, both if mode == "gru" else both.sum(0)])
            steps, *last = (np.asarray(each) for each in cell(y[:, :: 1 - 2 * way], initial_state=before))
            sides.append(steps[:, :: 1 - 2 * way])
            for found, state in zip(after, last, strict=False):
                found.append(state)
        y = np.concatenate(sides, -1)
    outputs = [y.transpose(1, 0, 2), *(np.stack(found) for found in after[:states])]
    return np.concatenate([*matrices, *biases]), x, given, outputs


def _lowered(mode: str, ways: int, params: np.ndarray, feeds: dict[str, np.ndarray], **attributes: Any) -> ir.Model:
    version = "CudnnRNNV3" if "time_major" in attributes else "CudnnRNN"
    lengths = ["lengths"] if version == "CudnnRNNV3" else []
    direction = "bidirectional" if ways == 2 else "unidirectional"
    nodes = [
        const("params", params),
        node("rnn", version, "x", "h", "c", "params", *lengths, T=1, rnn_mode=mode, direction=direction, **attributes),
    ]
    return lower(nodes, feeds, ["rnn", "rnn:1", "rnn:2"][: 3 if mode == "lstm" else 2])


def _compare(model: ir.Model, feeds: dict[str, np.ndarray], expected: list[np.ndarray]) -> None:
    """In NumPy and onnxruntime."""
    proto = ir.serde.serialize_model(onnx_model(model, opset=17))
    session = onnxruntime.InferenceSession(proto.SerializeToString(), providers=["CPUExecutionProvider"])
    known = {entry.name for entry in session.get_inputs()}
    outside = session.run(None, {name: array for name, array in feeds.items() if name in known})
    for found in (list(run(model, feeds).values()), outside):
        for array, wanted in zip(found, expected, strict=True):
            np.testing.assert_allclose(array, wanted, atol=2e-6)


@pytest.mark.parametrize("ways", [1, 2])
@pytest.mark.parametrize("mode", sorted(ORDER))
def test_layers_are_keras_layers(mode: str, ways: int) -> None:
    """Two layers, in one direction and both, from given states: every step and the states at the end."""
    params, x, (h, c), expected = _case(mode, ways)
    feeds = {"x": x.transpose(1, 0, 2).copy(), "h": h, "c": c}
    model = _lowered(mode, ways, params, feeds)
    _compare(model, feeds, expected)
    wrong = [array + np.float32(1e-3) for array in expected]
    with pytest.raises(AssertionError):
        _compare(model, feeds, wrong)


def test_batch_major_with_lengths() -> None:
    """`CudnnRNNV3` with the batch first is the same; past the end of a sequence there are zeros."""
    params, x, (h, c), expected = _case("lstm", 1)
    lengths = np.array([STEPS, STEPS], np.int32)
    feeds = {"x": x, "h": h.transpose(1, 0, 2).copy(), "c": c.transpose(1, 0, 2).copy(), "lengths": lengths}
    model = _lowered("lstm", 1, params, feeds, time_major=False)
    swapped = [array.transpose(1, 0, 2) for array in expected]
    _compare(model, feeds, swapped)
    shorter = {**feeds, "lengths": np.array([STEPS, 2], np.int32)}
    steps = run(model, shorter)["rnn"]
    np.testing.assert_array_equal(steps[1, 2:], 0)
    np.testing.assert_allclose(steps[0], swapped[0][0], atol=2e-6)


def test_inputs_without_weights_are_refused() -> None:
    """`skip_input` is refused by name."""
    params, x, (h, c), _ = _case("gru", 1)
    feeds = {"x": x.transpose(1, 0, 2).copy(), "h": h, "c": c}
    with pytest.raises(UnsupportedError, match="no weights"):
        _lowered("gru", 1, params, feeds, input_mode="skip_input")
