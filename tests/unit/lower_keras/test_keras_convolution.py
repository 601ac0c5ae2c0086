"""Convolutions and pools of every kind, against Keras 2 and 3."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.unit.lower_keras.oracle import Case, check, parameters

__all__ = ["CASES"]

pytestmark = pytest.mark.tensorflow


def _layer(name: str, *args: Any, **kwargs: Any) -> Callable[..., Any]:
    return lambda keras, x: getattr(keras.layers, name)(*args, **kwargs)(x)


def _case(
    layer: str, shape: tuple[int | None, ...], *args: Any, tag: str = "", majors: Any = (2, 3), **kw: Any
) -> Case:
    return Case(f"{layer}{tag}", _layer(layer, *args, **kw), [shape], majors=majors)


_IMAGE = (9, 8, 4)
_ANY = (None, None, 4)
_VOLUME = (5, 6, 5, 2)

CONVOLUTIONS = [
    _case("Conv1D", (9, 3), 5, 3),
    _case("Conv1D", (9, 3), 5, 3, padding="causal", dilation_rate=2, tag="-causal"),
    _case("Conv1D", (9, 3), 5, 4, padding="same", strides=2, tag="-same"),
    _case("Conv1D", (None, 3), 5, 4, padding="same", strides=2, tag="-unknown"),
    _case("Conv2D", _IMAGE, 5, 3, activation="relu"),
    _case("Conv2D", _IMAGE, 6, (3, 2), strides=(2, 1), padding="same", tag="-same"),
    _case("Conv2D", _IMAGE, 6, 3, dilation_rate=(2, 1), padding="same", use_bias=False, tag="-dilated"),
    _case("Conv2D", _IMAGE, 6, 3, groups=2, tag="-grouped"),
    _case("Conv2D", _ANY, 6, 3, strides=2, padding="same", tag="-unknown"),
    _case("Conv3D", _VOLUME, 3, 2, padding="same", strides=2),
    _case("DepthwiseConv1D", (9, 3), 3, depth_multiplier=2),
    _case("DepthwiseConv2D", _IMAGE, 3, depth_multiplier=2, padding="same"),
    _case("DepthwiseConv2D", _IMAGE, 3, strides=2, padding="same", use_bias=False, tag="-strided"),
    _case("DepthwiseConv2D", _IMAGE, 2, dilation_rate=2, tag="-dilated"),
    _case("SeparableConv1D", (9, 3), 5, 3, padding="same", depth_multiplier=2),
    _case("SeparableConv2D", _IMAGE, 5, 3, strides=2, depth_multiplier=3),
    _case("SeparableConv2D", _IMAGE, 5, 3, padding="same", dilation_rate=2, activation="tanh", tag="-dilated"),
]

TRANSPOSED = [
    _case("Conv1DTranspose", (6, 3), 4, 3, strides=2, padding="same"),
    _case("Conv1DTranspose", (6, 3), 4, 3, strides=3, padding="valid", output_padding=1, tag="-padded"),
    _case("Conv2DTranspose", _IMAGE, 3, 3),
    _case("Conv2DTranspose", _IMAGE, 3, 2, strides=3, tag="-gaps"),
    _case("Conv2DTranspose", _IMAGE, 3, 2, strides=3, padding="same", tag="-same-gaps"),
    _case("Conv2DTranspose", _IMAGE, 3, 5, strides=2, padding="same", use_bias=False, tag="-same"),
    _case("Conv2DTranspose", _IMAGE, 3, 4, strides=1, padding="same", tag="-even"),
    _case("Conv2DTranspose", _IMAGE, 3, 3, strides=2, padding="same", output_padding=1, tag="-padded"),
    _case("Conv2DTranspose", _IMAGE, 3, 3, strides=2, padding="same", output_padding=0, tag="-unpadded"),
    _case("Conv2DTranspose", _IMAGE, 3, 3, dilation_rate=2, padding="same", tag="-dilated"),
    _case("Conv2DTranspose", _ANY, 3, 3, strides=2, padding="same", tag="-unknown"),
    _case("Conv3DTranspose", _VOLUME, 3, 3, strides=2, padding="same"),
    _case("Conv3DTranspose", _VOLUME, 3, 2, strides=2, tag="-valid"),
]

POOLS = [
    *[
        _case(f"{kind}Pooling{rank}D", shape, padding=padding, pool_size=3, strides=2, tag=f"-{padding}")
        for kind in ("Max", "Average")
        for rank, shape in ((1, (9, 3)), (2, _IMAGE), (3, _VOLUME))
        for padding in ("valid", "same")
    ],
    _case("AveragePooling2D", _ANY, 3, strides=2, padding="same", tag="-unknown"),
    _case("MaxPooling2D", _IMAGE),
    *[
        _case(f"Global{kind}Pooling{rank}D", shape, keepdims=keepdims, tag="-keepdims" if keepdims else "")
        for kind in ("Max", "Average")
        for rank, shape in ((1, (9, 3)), (2, _ANY), (3, _VOLUME))
        for keepdims in (False, True)
    ],
    *[
        _case(f"Adaptive{kind}Pooling{rank}D", (*(8, 6, 4)[:rank], 3), (4, 3, 2)[:rank], majors=(3,))
        for kind in ("Max", "Average")
        for rank in (1, 2, 3)
    ],
]


PADDED = [
    Case("padded-max", lambda k, x: k.layers.MaxPooling2D(3, 2)(k.layers.ZeroPadding2D(1)(x - 5.0)), [_IMAGE]),
    Case("padded-mean", lambda k, x: k.layers.AveragePooling2D(3, 2)(k.layers.ZeroPadding2D(1)(x)), [_IMAGE]),
    Case("padded-conv", lambda k, x: k.layers.Conv2D(4, 3, 2)(k.layers.ZeroPadding2D(((0, 1), (1, 0)))(x)), [_IMAGE]),
]

CASES = [*PADDED, *CONVOLUTIONS, *TRANSPOSED, *POOLS]


@pytest.mark.parametrize(("case", "major"), parameters(CASES))
def test_same_as_keras(case: Case, major: int) -> None:
    """A convolution or pool gives what Keras gives."""
    check(case, major)
