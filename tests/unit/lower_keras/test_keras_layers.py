"""Layers without a window: dense, normalisation, activation, merging, shapes, images, against Keras 2 and 3."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest

from tests.unit.lower_keras.oracle import Case, check, parameters

__all__ = ["CASES"]

pytestmark = pytest.mark.tensorflow

_IMAGE = (6, 8, 4)


def _layer(name: str, *args: Any, **kwargs: Any) -> Callable[..., Any]:
    return lambda keras, *xs: getattr(keras.layers, name)(*args, **kwargs)(xs[0] if len(xs) == 1 else list(xs))


def _case(
    layer: str,
    shape: Sequence[int | None],
    *args: Any,
    tag: str = "",
    majors: Sequence[int] = (2, 3),
    units: float = 64,
    **kwargs: Any,
) -> Case:
    return Case(f"{layer}{tag}", _layer(layer, *args, **kwargs), [shape], majors=majors, units=units)


DENSE = [
    _case("Dense", (5,), 3),
    _case("Dense", (None, 5), 3, use_bias=False, activation="sigmoid", tag="-steps"),
    _case("EinsumDense", (5, 4), "abc,cd->abd", output_shape=(None, 7), bias_axes="d"),
    _case("EinsumDense", (5, 4), "abc,cde->abde", output_shape=(None, 2, 3), bias_axes="de", tag="-heads"),
    _case("EinsumDense", (2, 5, 4), "...bc,bcd->...bd", output_shape=(5, 3), bias_axes="bd", tag="-ellipsis"),
    _case("EinsumDense", (5, 4), "abc,cd->abd", output_shape=(None, 7), tag="-plain"),
    Case("Embedding", _layer("Embedding", 11, 3), [(4,)], feeds=[np.array([[0, 3, 10, 1], [2, 2, 5, 0]], np.int32)]),
    Case("Embedding-float", _layer("Embedding", 11, 3), [(2,)], feeds=[np.array([[0, 3], [10, 1]], np.float32)]),
]


def _tied(keras: Any, x: Any, *, tie: bool = True, cap: float | None = None) -> Any:
    table = keras.layers.ReversibleEmbedding(11, 3, tie_weights=tie, logit_soft_cap=cap)
    return table(keras.layers.Dense(3)(table(x)), reverse=True)


_WORDS = np.array([[0, 3, 10, 1], [2, 2, 5, 0]], np.int32)

REVERSIBLE = [
    Case("ReversibleEmbedding", _tied, [(4,)], majors=(3,), feeds=[_WORDS]),
    Case("ReversibleEmbedding-own", lambda k, x: _tied(k, x, tie=False, cap=2.0), [(4,)], majors=(3,), feeds=[_WORDS]),
]

NORMALISATIONS = [
    _case("BatchNormalization", _IMAGE),
    _case("BatchNormalization", (5,), scale=False, tag="-unscaled"),
    _case("BatchNormalization", (5,), center=False, epsilon=0.1, tag="-uncentred"),
    _case("BatchNormalization", (5,), scale=False, center=False, tag="-bare"),
    _case("BatchNormalization", _IMAGE, axis=1, tag="-axis1"),
    _case("BatchNormalization", _IMAGE, axis=2, tag="-axis2"),
    _case("BatchNormalization", (5, 3, 4, 2), tag="-volume"),
    _case("BatchNormalization", (5,), renorm=True, tag="-renorm"),
    _case("BatchNormalization", (5,), synchronized=True, tag="-synchronized", majors=(3,)),
    Case("BatchNormalization-training", lambda k, x: k.layers.BatchNormalization()(x, training=True), [(5,)]),
    Case(
        "SyncBatchNormalization", lambda k, x: k.layers.experimental.SyncBatchNormalization()(x), [_IMAGE], majors=(2,)
    ),
    Case(
        "SpectralNormalization", lambda k, x: k.layers.SpectralNormalization(k.layers.Dense(4))(x), [(5,)], majors=(3,)
    ),
    Case(
        "SpectralNormalization-conv",
        lambda k, x: k.layers.SpectralNormalization(k.layers.Conv2D(4, 3))(x),
        [_IMAGE],
        majors=(3,),
    ),
    _case("LayerNormalization", _IMAGE),
    _case("LayerNormalization", _IMAGE, axis=[2, 3], scale=False, tag="-trailing"),
    _case("LayerNormalization", _IMAGE, axis=[1, 3], center=False, tag="-apart"),
    _case("LayerNormalization", _IMAGE, axis=1, tag="-one"),
    _case("LayerNormalization", (None, 4), tag="-unknown"),
    _case("GroupNormalization", _IMAGE, groups=2),
    _case("GroupNormalization", _IMAGE, groups=-1, scale=False, tag="-instance"),
    _case("GroupNormalization", (6, 4), groups=3, axis=1, tag="-axis1"),
    _case("GroupNormalization", (None, None, 4), groups=2, center=False, tag="-unknown"),
    _case("UnitNormalization", _IMAGE),
    _case("UnitNormalization", _IMAGE, axis=[1, 2], tag="-axes"),
    _case("RMSNormalization", _IMAGE, majors=(3,)),
    _case("RMSNormalization", _IMAGE, axis=[2, 3], majors=(3,), tag="-axes"),
    _case("Normalization", _IMAGE),
    _case("Normalization", _IMAGE, axis=None, tag="-scalar"),
    _case("Normalization", _IMAGE, axis=[1, 3], tag="-axes"),
    _case("Normalization", (3,), mean=[1.0, 2.0, 3.0], variance=[2.0, 4.0, 0.5], tag="-given"),
    _case("Normalization", _IMAGE, axis=None, mean=1.5, variance=4.0, tag="-given-scalar"),
    _case("Normalization", (3,), mean=1.0, variance=2.0, invert=True, tag="-inverse"),
]

_FUNCTIONS = "elu exponential gelu hard_sigmoid linear mish relu selu sigmoid softmax softplus softsign swish tanh"
_FUNCTIONS_3 = (
    "celu glu hard_shrink hard_silu hard_swish hard_tanh leaky_relu log_sigmoid log_softmax relu6 silu soft_shrink "
    "sparse_plus sparse_sigmoid sparsemax squareplus tanh_shrink"
)

ACTIVATIONS = [
    *[_case("Activation", (6,), name, tag=f"-{name}") for name in _FUNCTIONS.split()],
    *[_case("Activation", (6,), name, tag=f"-{name}", majors=(3,)) for name in _FUNCTIONS_3.split()],
    _case("ReLU", (6,)),
    _case("ReLU", (6,), max_value=1.0, tag="-max"),
    _case("ReLU", (6,), max_value=0.5, negative_slope=0.1, tag="-slope"),
    _case("ReLU", (6,), threshold=0.3, negative_slope=0.2, max_value=1.0, tag="-threshold"),
    _case("LeakyReLU", (6,)),
    _case("PReLU", _IMAGE),
    _case("PReLU", _IMAGE, shared_axes=[1, 2], tag="-shared"),
    _case("ELU", (6,), alpha=0.7),
    _case("Softmax", _IMAGE),
    _case("Softmax", _IMAGE, axis=[1, 2], tag="-axes"),
    _case("ThresholdedReLU", (6,), 0.4, majors=(2,)),
    Case("layer-as-activation", lambda k, x: k.layers.Dense(3, activation=k.layers.LeakyReLU(0.1))(x), [(4,)]),
]

MERGES = [
    *[
        Case(name, _layer(name), [(4, 3), (4, 3), (4, 3)])
        for name in ("Add", "Multiply", "Average", "Maximum", "Minimum", "Concatenate")
    ],
    Case("Subtract", _layer("Subtract"), [(4, 3), (4, 3)]),
    Case("Add-ranks", _layer("Add"), [(4, 3), (3,)]),
    Case("Concatenate-axis", _layer("Concatenate", axis=1), [(4, 3), (2, 3)]),
    Case("Dot", _layer("Dot", axes=1), [(4,), (4,)]),
    Case("Dot-normalised", _layer("Dot", axes=(1, 2), normalize=True), [(4, 3), (5, 4)]),
    Case("Dot-mixed", _layer("Dot", axes=(2, 1)), [(4, 3), (3,)]),
]

SHAPES = [
    _case("Reshape", _IMAGE, (8, 24)),
    _case("Reshape", _IMAGE, (-1, 4), tag="-rest"),
    _case("Reshape", (None, 4), (-1, 2, 2), tag="-unknown"),
    _case("Flatten", _IMAGE),
    _case("Flatten", (None, 4), tag="-unknown"),
    _case("Flatten", (), tag="-scalar"),
    _case("Permute", _IMAGE, (3, 1, 2)),
    _case("RepeatVector", (4,), 3),
    _case("ZeroPadding1D", (5, 2), (1, 2)),
    _case("ZeroPadding2D", _IMAGE, ((1, 0), (2, 3))),
    _case("ZeroPadding2D", _IMAGE, 2, tag="-number"),
    _case("ZeroPadding3D", (3, 4, 5, 2), (1, 0, 2)),
    _case("Cropping1D", (5, 2), (1, 2)),
    _case("Cropping2D", (None, None, 3), ((1, 0), (2, 1)), tag="-unknown"),
    _case("Cropping3D", (5, 4, 5, 2), 1),
    _case("UpSampling1D", (5, 2), 3),
    _case("UpSampling2D", _IMAGE, (2, 3)),
    _case("UpSampling2D", _IMAGE, 2, interpolation="bilinear", tag="-bilinear"),
    _case("UpSampling2D", _IMAGE, 2, interpolation="bicubic", tag="-bicubic"),
    _case("UpSampling2D", (None, None, 3), 2, interpolation="bilinear", tag="-unknown"),
    _case("UpSampling3D", (2, 3, 4, 2), 2),
]

_AUGMENTATIONS: list[tuple[str, tuple[Any, ...], tuple[int, ...]]] = [
    ("AugMix", (), (3,)),
    ("CutMix", (), (3,)),
    ("MaxNumBoundingBoxes", (5,), (3,)),
    ("MixUp", (), (3,)),
    ("RandAugment", (), (3,)),
    ("RandomBrightness", (0.2,), (3,)),
    ("RandomColorJitter", (), (3,)),
    ("RandomElasticTransform", (), (3,)),
    ("RandomErasing", (), (3,)),
    ("RandomGaussianBlur", (), (3,)),
    ("RandomGrayscale", (), (3,)),
    ("RandomHeight", (0.1,), (2,)),
    ("RandomHue", (0.2,), (3,)),
    ("RandomInvert", (), (3,)),
    ("RandomPerspective", (), (3,)),
    ("RandomPosterization", (4,), (3,)),
    ("RandomSaturation", (0.2,), (3,)),
    ("RandomSharpness", (0.2,), (3,)),
    ("RandomShear", (0.1, 0.1), (3,)),
    ("RandomTranslation", (0.1, 0.1), (2, 3)),
    ("RandomWidth", (0.1,), (2,)),
    ("Solarization", (0.2, 0.2), (3,)),
]
"""What does nothing at inference: name, arguments, versions of Keras."""

_FLAT = np.random.default_rng(0).uniform(0, 255, (2, *_IMAGE)).astype(np.float32)
_FLAT[0, :, :, 1] = 7


def _pipeline(keras: Any, x: Any) -> Any:
    layers = keras.layers
    return layers.Pipeline([layers.Rescaling(0.5), layers.RandomFlip(), layers.CenterCrop(3, 5)])(x)


IMAGES = [
    _case("Rescaling", _IMAGE, 1 / 127.5, offset=-1.0),
    _case("Rescaling", (6, 8, 3), [0.1, 0.2, 0.3], offset=[1.0, 2.0, 3.0], tag="-channels"),
    _case("Resizing", _IMAGE, 9, 5),
    _case("Resizing", _IMAGE, 4, 13, interpolation="nearest", tag="-nearest"),
    _case("Resizing", _IMAGE, 12, 16, interpolation="bicubic", tag="-bicubic"),
    _case("Resizing", (None, None, 3), 7, 9, tag="-unknown"),
    _case("CenterCrop", _IMAGE, 3, 5),
    *[_case(name, _IMAGE, *args, majors=majors) for name, args, majors in _AUGMENTATIONS],
    _case("RandomColorDegeneration", (6, 8, 3), 0.2, majors=(3,)),
    _case("RandomCrop", _IMAGE, 3, 5),
    _case("RandomCrop", _IMAGE, 9, 5, tag="-larger"),
    _case("AutoContrast", _IMAGE, majors=(3,)),
    _case("AutoContrast", _IMAGE, value_range=(-1, 3), majors=(3,), tag="-range"),
    Case("AutoContrast-flat", _layer("AutoContrast"), [_IMAGE], majors=(3,), feeds=[_FLAT]),
    Case("Pipeline", _pipeline, [_IMAGE], majors=(3,)),
    _case("RandomFlip", _IMAGE),
    _case("RandomRotation", _IMAGE, 0.1),
    _case("RandomContrast", _IMAGE, 0.1),
    _case("RandomZoom", _IMAGE, 0.1),
]

_TOKENS = np.array([[0, 3, 1, 1], [2, 2, 4, 0]], np.int32)

_NUMBERS = np.array([[7, 0, 5, 12], [-3, -1, 12, 12]], np.int64)
_PLACES = np.array([[0, 1, 2, 1], [2, 0, 0, 2]], np.int64)

_LOOKUPS: list[tuple[str, list[int], dict[str, Any]]] = [
    ("", [7, 12, -3], {}),
    ("-mask", [7, 12, -3], {"mask_token": 0}),
    ("-whole", [0, -1, 7, 12], {"mask_token": 0}),
    ("-counts", [7, 12, -3], {"output_mode": "count"}),
    ("-hot", [7, 12, -3], {"output_mode": "multi_hot", "mask_token": 0}),
]

CATEGORIES = [
    _case("Discretization", _IMAGE, bin_boundaries=[-1.0, 0.0, 0.5]),
    _case("Discretization", (4,), bin_boundaries=[-1.0, 0.0, 0.5], output_mode="multi_hot", tag="-hot"),
    *[
        Case(f"IntegerLookup{tag}", _layer("IntegerLookup", vocabulary=words, **kwargs), [(4,)], feeds=[_NUMBERS])
        for tag, words, kwargs in _LOOKUPS
    ],
    Case("IntegerLookup-inverse", _layer("IntegerLookup", vocabulary=[7, 12], invert=True), [(4,)], feeds=[_PLACES]),
    *[
        Case(f"CategoryEncoding-{mode}", _layer("CategoryEncoding", 5, output_mode=mode), [(4,)], feeds=[_TOKENS])
        for mode in ("multi_hot", "count")
    ],
    Case(
        "CategoryEncoding-one_hot",
        _layer("CategoryEncoding", 5, output_mode="one_hot"),
        [(1,)],
        feeds=[_TOKENS[:, :1]],
    ),
]

NOISE = [
    _case("Dropout", (5,), 0.5),
    _case("SpatialDropout2D", _IMAGE, 0.5),
    _case("SpatialDropout1D", (5, 3), 0.5),
    _case("SpatialDropout3D", (3, 4, 5, 2), 0.5),
    _case("GaussianNoise", (5,), 0.5),
    _case("GaussianDropout", (5,), 0.5),
    _case("AlphaDropout", (5,), 0.5),
    _case("ActivityRegularization", (5,), l2=0.1),
    _case("Identity", (5,)),
]


LOCAL = [
    _case("LocallyConnected1D", (7, 3), 4, 2, strides=2, majors=(2,), activation="relu"),
    _case("LocallyConnected2D", _IMAGE, 5, (2, 3), strides=(1, 2), majors=(2,)),
    _case("LocallyConnected2D", _IMAGE, 5, 3, use_bias=False, majors=(2,), tag="-bare"),
]

_SOUND: dict[str, Any] = {"frame_length": 8, "frame_step": 3, "fft_length": 16, "window": None}

SOUND = [
    *[
        _case("STFTSpectrogram", (20, 2), mode=mode, **_SOUND, majors=(3,), tag=f"-{mode}")
        for mode in ("log", "magnitude", "psd", "real", "imag", "stft")
    ],
    _case("STFTSpectrogram", (20, 2), mode="psd", padding="same", expand_dims=True, **_SOUND, majors=(3,), tag="-axes"),
    _case("STFTSpectrogram", (40, 1), frame_length=10, window=None, majors=(3,), tag="-defaults"),
]

CASES = [
    *SOUND,
    *DENSE,
    *REVERSIBLE,
    *LOCAL,
    *NORMALISATIONS,
    *ACTIVATIONS,
    *MERGES,
    *SHAPES,
    *IMAGES,
    *CATEGORIES,
    *NOISE,
]


@pytest.mark.parametrize(("case", "major"), parameters(CASES))
def test_same_as_keras(case: Case, major: int) -> None:
    """A layer gives what Keras gives."""
    check(case, major)
