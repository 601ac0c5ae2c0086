"""Every layer and operation in front of a convolution, a dense layer and a concatenation, at open sizes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from tests.unit.lower_keras import (
    test_keras_attention,
    test_keras_convolution,
    test_keras_layers,
    test_keras_operations,
    test_keras_recurrent,
)
from tests.unit.lower_keras.oracle import Case, check, error_of, keras_of, leaves, outputs_of, parameters, randomise

pytestmark = pytest.mark.tensorflow

_IMAGE = (None, None, 3)
_X = [np.random.default_rng(0).normal(0, 1, (2, 6, 8, 3)).astype(np.float32)]
_FILM = [np.random.default_rng(0).normal(0, 1, (2, 4, 5, 6, 3)).astype(np.float32)]


def _convolved(keras: Any, y: Any) -> Any:
    return keras.layers.Conv2D(4, 3, padding="same")(y)


def _film(keras: Any, **options: Any) -> Any:
    return keras.layers.ConvLSTM2D(4, 3, padding="same", return_sequences=True, **options)


CASES = [
    Case(
        "UpSampling2D",
        lambda k, x: _convolved(k, k.layers.UpSampling2D((2, 3))(x)),
        [_IMAGE],
        feeds=_X,
    ),
    Case(
        "UpSampling2D-fixed",
        lambda k, x: k.layers.Dense(2)(k.layers.Flatten()(k.layers.UpSampling2D(2, interpolation="bilinear")(x))),
        [(6, 8, 3)],
        feeds=_X,
    ),
    Case("Resizing", lambda k, x: _convolved(k, k.layers.Resizing(5, 7)(x)), [_IMAGE], feeds=_X),
    Case(
        "CenterCrop",
        lambda k, x: k.layers.Dense(2)(k.layers.Flatten()(k.layers.CenterCrop(3, 4)(x))),
        [_IMAGE],
        feeds=_X,
    ),
    Case("CenterCrop-larger", lambda k, x: _convolved(k, k.layers.CenterCrop(9, 4)(x)), [(6, 8, 3)], feeds=_X),
    Case("RandomCrop", lambda k, x: _convolved(k, k.layers.RandomCrop(3, 5)(x)), [_IMAGE], majors=(2,), feeds=_X),
    Case(
        "ConvLSTM2D-stack",
        lambda k, x: k.layers.Conv3D(2, 3, padding="same")(_film(k)(k.layers.BatchNormalization()(_film(k)(x)))),
        [(None, 5, 6, 3)],
        feeds=_FILM,
    ),
    Case(
        "ConvLSTM2D-backwards",
        lambda k, x: k.layers.ConvLSTM2D(4, 3, go_backwards=True, return_state=True)(x),
        [(None, 5, 6, 3)],
        feeds=_FILM,
    ),
    Case(
        "ConvLSTM2D-states",
        lambda k, x: _film(k)(x, initial_state=_film(k, return_state=True)(x)[1:]),
        [(4, 5, 6, 3)],
        feeds=_FILM,
    ),
]


@pytest.mark.parametrize(("case", "major"), parameters(CASES))
@pytest.mark.filterwarnings("ignore")  # Keras's own
def test_sizes_follow_through(case: Case, major: int) -> None:
    """Layers whose result's size follows from constants or is known only at run time, with what needs it behind."""
    check(case, major)


def _followed(keras: Any, y: Any) -> Iterator[Any]:
    """What is behind a tensor: whatever Keras itself can put there."""
    shape = tuple(y.shape)
    if not str(getattr(y.dtype, "name", y.dtype)).startswith("float") or len(shape) < 2 or shape[-1] is None:
        return
    layers = keras.layers
    yield layers.Dense(3)(y)
    yield layers.Dense(2)(layers.Concatenate()([y, layers.Activation("tanh")(y)]))
    if 3 <= len(shape) <= 5:
        size = 3 if all(each is None or each > 2 for each in shape[1:-1]) else 1
        yield getattr(layers, f"Conv{len(shape) - 2}D")(3, size, padding="same")(y)
    if all(each is not None for each in shape[1:]):
        yield layers.Dense(2)(layers.Flatten()(y))


def _opened(case: Case, keras: Any) -> Any:
    """The network of a case, all sizes open but the last, and followers; None where Keras can't build or run one."""
    feeds = case.arrays()
    shapes = [
        tuple(None if axis < len(shape) - 1 else size for axis, size in enumerate(shape)) for shape in case.shapes
    ]
    try:
        inputs = [keras.Input(shape, dtype=feed.dtype.name) for shape, feed in zip(shapes, feeds, strict=True)]
        outputs = [each for leaf in leaves(case.build(keras, *inputs)) for each in _followed(keras, leaf)]
        if not outputs:
            return None
        model = keras.Model(inputs if len(inputs) > 1 else inputs[0], outputs)
        outputs_of(model, feeds)
    except Exception:  # noqa: BLE001 - whatever Keras says of a layer that needs a size
        return None
    randomise(model)
    return model


_NEED_SIZES = ("Adaptive",)
"""Layers that run at one size alone: TensorFlow's kernels of them need it when the graph is made."""


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # Keras's own
@pytest.mark.parametrize(
    "theme",
    [test_keras_attention, test_keras_convolution, test_keras_layers, test_keras_operations, test_keras_recurrent],
    ids=lambda theme: theme.__name__.rpartition("_")[2],
)
def test_whatever_keras_can_put_behind_a_layer(theme: Any) -> None:
    """Each case of the other tests at open sizes, in front of a convolution, dense layers and a concatenation."""
    wrong, tried = [], 0
    for case in theme.CASES:
        if case.name.startswith(_NEED_SIZES):
            continue
        model = _opened(case, keras_of(case.majors[-1]))
        if model is None:
            continue
        tried += 1
        error = error_of(model, case.arrays())
        if not error <= 2 * case.units * float(np.finfo(np.float32).eps):
            wrong.append(f"{case.name}: {error:.3g}")
    assert not wrong
    assert tried >= len(theme.CASES) // 3
