"""Masks on their way through functional models, against Keras 2 and 3."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from tests.unit.lower_keras.oracle import Case, check, parameters

pytestmark = [pytest.mark.tensorflow, pytest.mark.filterwarnings("ignore:Layer .*does not support masking")]

_WORDS = np.array([[2, 3, 0, 1, 0], [4, 0, 5, 1, 3], [0, 0, 0, 0, 0]], np.int32)
_OTHERS = np.array([[1, 0, 4, 0, 2], [2, 2, 0, 0, 1], [0, 1, 3, 0, 0]], np.int32)
_SERIES = np.round(np.random.default_rng(0).normal(size=(3, 5, 3)) * (_WORDS != 0)[..., None], 3).astype(np.float32)

_Build = Callable[..., Any]


def _pair(build: _Build) -> _Build:
    """What is made of two masked embeddings."""

    def made(keras: Any, x: Any, y: Any) -> Any:
        first, second = (keras.layers.Embedding(6, 4, mask_zero=True) for _ in range(2))
        return build(keras.layers, first(x), second(y))

    return made


def _half(build: _Build) -> _Build:
    """What is made of a masked embedding and one without a mask."""

    def made(keras: Any, x: Any, y: Any) -> Any:
        first, second = (keras.layers.Embedding(6, 4, mask_zero=masks) for masks in (True, False))
        return build(keras.layers, first(x), second(y))

    return made


def _merged(name: str, **options: Any) -> _Build:
    """The merge itself, and an LSTM that reads its mask."""

    def made(layers: Any, x: Any, y: Any) -> Any:
        z = getattr(layers, name)(**options)([x, y])
        return [z, layers.LSTM(3)(z)]

    return made


def _joined_in_time(keras: Any, x: Any) -> Any:
    """A masked series and one of a single feature without a mask, one after the other."""
    layers = keras.layers
    masked = layers.Masking()(x)
    first = layers.Dense(1)(masked)
    z = layers.Concatenate(axis=1)([first, layers.Conv1D(1, 1)(x)])
    return layers.LSTM(3)(z)


def _beside_attention(keras: Any, x: Any) -> Any:
    """Attention, which takes its inputs' masks away in Keras 3, and what else uses its input."""
    layers = keras.layers
    y = layers.Dense(3)(layers.Masking()(x))
    z = layers.MultiHeadAttention(2, 2)(y, y)
    return [layers.Multiply()([y, z]), layers.Maximum()([z, y])]


def _inside(keras: Any, x: Any) -> Any:
    """A model within the model that is given a mask, and reads it."""
    layers = keras.layers
    start = keras.Input((None, 4))
    inner = keras.Model(start, [layers.LSTM(3)(start), layers.Multiply()([start, layers.Dense(4)(start)])])
    return inner(layers.Embedding(6, 4, mask_zero=True)(x))


def _given(keras: Any, x: Any, y: Any) -> Any:
    """A mask given by name, in place of the one that the tensor has."""
    layers = keras.layers
    mask = keras.ops.not_equal(y, 0) if keras.__version__.startswith("3") else y > 0
    return layers.GRU(3)(layers.Embedding(6, 4, mask_zero=True)(x), mask=mask)


def _handed_on(name: str) -> _Build:
    """A layer that hands masks on in one version of Keras at least."""

    def made(keras: Any, x: Any) -> Any:
        layers = keras.layers
        options = {"scale": 2.0} if name == "Rescaling" else {}
        return layers.LSTM(3)(getattr(layers, name)(**options)(layers.Masking()(x)))

    return made


def _timed(keras: Any, x: Any) -> Any:
    """Steps that are series of their own, each with a mask."""
    layers = keras.layers
    inner = keras.Sequential([keras.Input((5, 3)), layers.Masking(), layers.LSTM(2)])
    return layers.TimeDistributed(inner)(x)


def _recurrent(name: str, **options: bool) -> _Build:
    """Steps whose results are zero where they are masked, and their states."""

    def made(keras: Any, x: Any) -> Any:
        layer = getattr(keras.layers, name)(3, zero_output_for_mask=True, return_state=True, **options)
        return list(layer(keras.layers.Embedding(6, 3, mask_zero=True)(x)))

    return made


def _continued(keras: Any, x: Any) -> Any:
    """Layers that go on from states: Keras 3 hands them no mask, but the next layer has it."""
    layers = keras.layers
    y = layers.Masking()(x)
    _, *states = layers.LSTM(3, return_state=True)(y)
    one = layers.LSTM(3, return_sequences=True)(y, initial_state=states)
    both = layers.Bidirectional(layers.LSTM(3, return_sequences=True))(y, initial_state=[*states, *states])
    return [one, both, layers.GRU(2)(one)]


def _both_ways(keras: Any, x: Any) -> Any:
    layers = keras.layers
    inner = layers.LSTM(3, return_sequences=True, unroll=True)
    return layers.Bidirectional(inner)(layers.Embedding(6, 3, mask_zero=True)(x))


def _deviation(keras: Any, x: Any) -> Any:
    """Layers over open axes that have no weights along them."""
    y = keras.layers.LayerNormalization(axis=1, scale=False, center=False)(x)
    return keras.layers.Dense(2)(keras.ops.std(y, axis=1)) if keras.__version__.startswith("3") else y


_UNROLLED = {"go_backwards": True, "unroll": True, "return_sequences": True}
_NAMES = ("Add", "Average", "Maximum", "Minimum", "Multiply", "Subtract")
_OPEN, _FIXED = [(None,), (None,)], [(5,), (5,)]
_BOTH = [_WORDS, _OTHERS]

CASES = [
    *(Case(name, _pair(_merged(name)), _OPEN, feeds=_BOTH) for name in _NAMES),
    *(Case(f"{name}-half", _half(_merged(name)), _FIXED, feeds=_BOTH) for name in ("Add", "Minimum", "Multiply")),
    Case("Concatenate", _pair(_merged("Concatenate")), _OPEN, feeds=_BOTH),
    Case("Concatenate-half", _half(_merged("Concatenate")), _OPEN, feeds=_BOTH),
    Case("Concatenate-time", _pair(_merged("Concatenate", axis=1)), _OPEN, feeds=_BOTH),
    Case("Concatenate-time-half", _half(_merged("Concatenate", axis=1)), _OPEN, majors=[3], feeds=_BOTH),
    Case("Concatenate-single", _joined_in_time, [(None, 3)], feeds=[_SERIES]),
    Case("attention", _beside_attention, [(None, 3)], feeds=[_SERIES]),
    Case("model", _inside, [(None,)], feeds=[_WORDS]),
    Case("given", _given, _OPEN, feeds=_BOTH),
    *(Case(name, _handed_on(name), [(None, 3)], feeds=[_SERIES]) for name in ("Identity", "Rescaling")),
    Case("zeros-last", _recurrent("LSTM"), [(None,)], feeds=[_WORDS]),
    Case("zeros-last-backwards", _recurrent("GRU", go_backwards=True), [(None,)], feeds=[_WORDS]),
    Case("zeros-unrolled", _recurrent("SimpleRNN", **_UNROLLED), [(5,)], feeds=[_WORDS]),
    Case("continued", _continued, [(None, 3)], feeds=[_SERIES]),
    Case("both-unrolled", _both_ways, [(5,)], feeds=[_WORDS]),
    Case("open-axis", _deviation, [(None, 3)]),
    Case("TimeDistributed", _timed, [(2, 5, 3)], feeds=[np.stack([_SERIES, _SERIES[:, ::-1]], 1)]),
]


@pytest.mark.parametrize(("case", "major"), parameters(CASES))
def test_same_as_keras(case: Case, major: int) -> None:
    """Merges, attention, models and layers around layers carry masks, and use them, as Keras does."""
    check(case, major)
