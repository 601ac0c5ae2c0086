"""Recurrent layers with and without masks, in every direction, against Keras 2 and 3."""

from __future__ import annotations

import importlib
import json
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from exporter.ir.evaluate import evaluate
from exporter.lower.keras.driver import lower_keras
from exporter.sources.keras_config import read_model
from exporter.sources.keras_legacy import map_legacy
from tests.unit.lower_keras.oracle import Case, check, keras_of, parameters, relative_error
from tests.unit.stores import MemoryStore

__all__ = ["CASES"]

pytestmark = pytest.mark.tensorflow

_STEPS = (6, 3)
_WORDS = np.array([[0, 3, 0, 1, 2, 0], [4, 2, 5, 1, 0, 0], [0, 0, 0, 0, 0, 0], [1, 2, 3, 1, 2, 3]], np.int32)


def _layer(name: str, *args: Any, **kwargs: Any) -> Callable[..., Any]:
    return lambda keras, x: getattr(keras.layers, name)(*args, **kwargs)(x)


def _both(name: str, merge_mode: str | None = "concat", **kwargs: Any) -> Callable[..., Any]:
    return lambda keras, x: keras.layers.Bidirectional(getattr(keras.layers, name)(4, **kwargs), merge_mode)(x)


def _masked(build: Callable[..., Any]) -> Callable[..., Any]:
    return lambda keras, x: build(keras, keras.layers.Embedding(6, 3, mask_zero=True)(x))


def _cells(keras: Any, x: Any) -> Any:
    layers = keras.layers
    return layers.RNN([layers.LSTMCell(4), layers.GRUCell(3), layers.SimpleRNNCell(2)], return_sequences=True)(x)


def _encoder_decoder(keras: Any, x: Any) -> Any:
    _, h, c = keras.layers.LSTM(4, return_state=True)(x)
    return keras.layers.LSTM(4, return_sequences=True)(x, initial_state=[h, c])


ONE_WAY = [
    *[
        Case(f"{name}-{tag}", _layer(name, 4, **kwargs), [_STEPS])
        for name in ("LSTM", "GRU", "SimpleRNN")
        for tag, kwargs in (
            ("last", {}),
            ("sequence", {"return_sequences": True}),
            ("states", {"return_sequences": True, "return_state": True}),
            ("backwards", {"return_sequences": True, "go_backwards": True, "use_bias": False}),
            ("backwards-last", {"go_backwards": True, "activation": "relu"}),
        )
    ],
    Case("GRU-reset-before", _layer("GRU", 4, reset_after=False), [_STEPS]),
    Case("LSTM-hard", _layer("LSTM", 4, recurrent_activation="hard_sigmoid", activation="elu"), [_STEPS]),
    Case("LSTM-linear", _layer("LSTM", 4, activation="linear", recurrent_activation="softsign"), [_STEPS]),
    Case("LSTM-unknown", _layer("LSTM", 4, return_sequences=True), [(None, 3)]),
    Case("LSTM-initial-states", _encoder_decoder, [_STEPS]),
    Case("RNN-cell", lambda k, x: k.layers.RNN(k.layers.GRUCell(4))(x), [_STEPS]),
    Case("RNN-cells", _cells, [_STEPS]),
]

BOTH_WAYS = [
    *[
        Case(f"Bidirectional-{name}-{mode}", _both(name, mode, return_sequences=True), [_STEPS])
        for name in ("LSTM", "GRU")
        for mode in ("concat", "sum", "mul", "ave", None)
    ],
    Case("Bidirectional-last", _both("LSTM"), [_STEPS]),
    Case("Bidirectional-states", _both("GRU", return_state=True, return_sequences=True), [_STEPS]),
]

MASKED = [
    Case(f"masked-{name}", _masked(build), [(None,)], feeds=[_WORDS])
    for name, build in {
        "LSTM": _layer("LSTM", 4),
        "LSTM-sequence": _layer("LSTM", 4, return_sequences=True),
        "GRU-sequence": _layer("GRU", 4, return_sequences=True),
        "GRU-backwards": _layer("GRU", 4, return_sequences=True, go_backwards=True),
        "SimpleRNN": _layer("SimpleRNN", 4),
        "two": lambda k, x: k.layers.GRU(4)(k.layers.LSTM(4, return_sequences=True)(x)),
        "both": _both("LSTM"),
        "both-sequence": _both("GRU", return_sequences=True),
        "average": _layer("GlobalAveragePooling1D"),
        "dense": lambda k, x: k.layers.LSTM(3)(k.layers.Dropout(0.5)(k.layers.Dense(4)(x))),
        "time": lambda k, x: k.layers.LSTM(3)(k.layers.TimeDistributed(k.layers.Dense(4))(x)),
        "dropped": lambda k, x: k.layers.LSTM(3)(k.layers.Dense(4, activation="tanh")(x)),
    }.items()
    if name != "average"
]

MASKING = [
    Case(
        "Masking",
        lambda k, x: k.layers.LSTM(4, return_sequences=True)(k.layers.Masking(2.0)(x)),
        [(4, 2)],
        feeds=[np.array([[[2, 2], [2, 1], [0, 0], [2, 2]], [[1, 3], [2, 2], [2, 2], [4, 5]]], np.float32)],
    ),
    Case(
        "masked-average",
        _masked(_layer("GlobalAveragePooling1D")),
        [(6,)],
        feeds=[_WORDS[[0, 1, 3]]],
    ),
]

TIME = [
    Case("TimeDistributed-Dense", lambda k, x: k.layers.TimeDistributed(k.layers.Dense(4))(x), [_STEPS]),
    Case("TimeDistributed-unknown", lambda k, x: k.layers.TimeDistributed(k.layers.Dense(4))(x), [(None, 3)]),
    Case("TimeDistributed-Conv", lambda k, x: k.layers.TimeDistributed(k.layers.Conv2D(4, 3))(x), [(3, 5, 6, 2)]),
    Case(
        "TimeDistributed-model",
        lambda k, x: k.layers.TimeDistributed(
            k.Sequential([k.Input((5, 6, 2)), k.layers.Conv2D(4, 3), k.layers.BatchNormalization(), k.layers.Flatten()])
        )(x),
        [(3, 5, 6, 2)],
    ),
]


CONVOLUTIONAL = [
    Case("ConvLSTM1D", _layer("ConvLSTM1D", 3, 2, return_sequences=True), [(4, 6, 2)]),
    Case("ConvLSTM2D", _layer("ConvLSTM2D", 3, 3, padding="same", return_state=True), [(3, 5, 6, 2)]),
    Case(
        "ConvLSTM2D-strided",
        _layer("ConvLSTM2D", 3, (3, 2), strides=2, go_backwards=True, return_sequences=True, use_bias=False),
        [(3, 7, 6, 2)],
    ),
    Case("ConvLSTM3D", _layer("ConvLSTM3D", 2, 2, padding="same", return_sequences=True), [(2, 3, 4, 3, 2)]),
    Case("ConvLSTM2D-dilated", _layer("ConvLSTM2D", 3, 2, dilation_rate=2), [(3, 7, 6, 2)]),
]


def _converted(name: str) -> tuple[Any, Any]:
    """A layer of the GPU library as a configuration, and the CPU's with the weights that Keras makes of its own."""
    keras = keras_of(2)
    hdf5_format = importlib.import_module("tf_keras.src.saving.legacy.hdf5_format")
    plain = getattr(keras.layers, name)
    options = {"reset_after": True} if name == "GRU" else {}
    model = keras.Sequential([keras.Input(_STEPS), plain(4, return_sequences=True, name="r", **options)])
    gates = 4 if name == "LSTM" else 3
    rng = np.random.default_rng(0)
    stored = [rng.normal(size=shape).astype(np.float32) for shape in ((3, 4 * gates), (4, 4 * gates), (8 * gates,))]
    model.layers[0].set_weights(hdf5_format.preprocess_weights_for_loading(model.layers[0], stored))
    return model, stored


@pytest.mark.parametrize("name", ["GRU", "LSTM"])
def test_layers_of_the_gpu_library(name: str) -> None:
    """CuDNNLSTM and CuDNNGRU mean what Keras makes of their weights when it loads them into LSTM and GRU."""
    model, stored = _converted(name)
    document = json.loads(model.to_json())
    document["config"]["layers"][-1]["class_name"] = f"CuDNN{name}"
    read = read_model(document)
    keys = ["r/kernel", "r/recurrent_kernel", "r/bias"]
    weights = map_legacy(
        read, {"r": dict(zip(keys, keys, strict=True))}, MemoryStore(dict(zip(keys, stored, strict=True)))
    )
    lowered = lower_keras(read, weights, name="s").model
    x = np.random.default_rng(1).normal(size=(2, *_STEPS)).astype(np.float32)
    (found,) = evaluate(lowered, {str(lowered.graph.inputs[0].name): x}, dtype=np.float32).values()
    expected = np.asarray(model(x))
    assert relative_error(found, expected) < 1e-5
    assert relative_error(np.flip(found, -1), expected) > 1e-2


CASES = [*CONVOLUTIONAL, *ONE_WAY, *BOTH_WAYS, *MASKED, *MASKING, *TIME]


@pytest.mark.parametrize(("case", "major"), parameters(CASES))
def test_same_as_keras(case: Case, major: int) -> None:
    """A recurrent layer gives what Keras gives, whatever is masked."""
    check(case, major)
