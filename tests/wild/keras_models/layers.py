"""The layers that random models are made of: for each, what it takes and random legal options."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

__all__ = ["KINDS", "MASKED", "TIMED", "Kind"]

_Draw = Callable[[random.Random], dict[str, Any]]


@dataclass(frozen=True)
class Kind:
    """A class of `keras.layers`, or a way to use several.

    Attributes:
        ranks: The ranks of tensors that it takes, the batch counted; 0 for integers of rank 2.
        draw: Draws its options.
        count: How many tensors it joins; 1 for a layer of one input.
        alike: Whether those have to be of one shape.
        majors: The versions of Keras that have it.
        weight: How often it is drawn, among the others.
    """

    ranks: tuple[int, ...]
    draw: _Draw
    count: int = 1
    majors: tuple[int, ...] = (2, 3)
    weight: int = 2
    alike: bool = True


_PLAIN = ["linear", "relu", "tanh", "sigmoid", "elu", "selu", "softplus", "softsign", "swish", "gelu", "exponential"]
_MORE = [*_PLAIN, "hard_sigmoid", "softmax", "relu6", "mish", "log_softmax", "silu", "leaky_relu"]
_GATES = ["tanh", "relu", "sigmoid", "linear", "softsign"]


def _none(_: random.Random) -> dict[str, Any]:
    return {}


def _some(**choices: list[Any]) -> _Draw:
    """Each option, or its default, at random."""

    def draw(rng: random.Random) -> dict[str, Any]:
        return {key: rng.choice(values) for key, values in choices.items() if rng.random() < 0.6}

    return draw


def _with(first: _Draw, second: _Draw) -> _Draw:
    return lambda rng: {**first(rng), **second(rng)}


def _conv(rng: random.Random) -> dict[str, Any]:
    options: dict[str, Any] = {"filters": rng.choice([2, 3, 4, 8]), "kernel_size": rng.choice([1, 2, 3, 5])}
    options["padding"] = rng.choice(["same", "same", "valid"])
    way = rng.choice(["strides", "dilation_rate", None, None])
    if way is not None:
        options[way] = 2
    if rng.random() < 0.15:
        options["groups"] = 2
    return options | _finish(rng)


def _finish(rng: random.Random) -> dict[str, Any]:
    return _some(use_bias=[False, True], activation=_PLAIN)(rng)


def _causal(rng: random.Random) -> dict[str, Any]:
    options = _conv(rng)
    return options | ({"padding": "causal"} if rng.random() < 0.3 else {})


def _depthwise(rng: random.Random) -> dict[str, Any]:
    options = {"kernel_size": rng.choice([1, 2, 3]), "padding": rng.choice(["same", "valid"])}
    return options | _some(depth_multiplier=[1, 2, 3], strides=[1, 2])(rng) | _finish(rng)


def _separable(rng: random.Random) -> dict[str, Any]:
    return {"filters": rng.choice([2, 4, 5])} | _depthwise(rng)


def _transposed(rng: random.Random) -> dict[str, Any]:
    options = {"filters": rng.choice([2, 3, 4]), "kernel_size": rng.choice([2, 3, 4])}
    options["strides"] = rng.choice([1, 2, 3])
    return options | {"padding": rng.choice(["same", "valid"])} | _finish(rng)


def _pool(rng: random.Random) -> dict[str, Any]:
    return {"pool_size": rng.choice([1, 2, 3])} | _some(strides=[1, 2, 3], padding=["same", "valid"])(rng)


def _recurrent(rng: random.Random) -> dict[str, Any]:
    options: dict[str, Any] = {"units": rng.choice([2, 3, 5]), "return_sequences": rng.random() < 0.6}
    return options | _some(
        activation=_GATES,
        use_bias=[True, False],
        go_backwards=[True, False],
        return_state=[True, False],
        zero_output_for_mask=[True, False],
        unroll=[False, False, True],
    )(rng)


def _gated(rng: random.Random) -> dict[str, Any]:
    return _recurrent(rng) | _some(recurrent_activation=["sigmoid", "hard_sigmoid", "tanh"])(rng)


def _gru(rng: random.Random) -> dict[str, Any]:
    return _gated(rng) | _some(reset_after=[True, False])(rng)


def _around(rng: random.Random) -> dict[str, Any]:
    inner = rng.choice(["LSTM", "GRU", "SimpleRNN"])
    return {"inner": inner, "options": _recurrent(rng)} | _some(merge_mode=["concat", "sum", "mul", "ave"])(rng)


def _cells(rng: random.Random) -> dict[str, Any]:
    """Cells one on the other, in one `RNN`."""
    kinds = ["LSTMCell", "GRUCell", "SimpleRNNCell"]
    cells = [[rng.choice(kinds), rng.choice([2, 3, 4])] for _ in range(rng.choice([1, 2, 2, 3]))]
    options = {"return_sequences": rng.random() < 0.6}
    more = _some(go_backwards=[True], return_state=[True], zero_output_for_mask=[True])
    return {"cells": cells, "options": options | more(rng)}


def _handed_on(rng: random.Random) -> dict[str, Any]:
    """A layer whose last states begin another."""
    inner = rng.choice(["LSTM", "GRU", "SimpleRNN"])
    return {"inner": inner, "units": rng.choice([2, 3]), "return_sequences": rng.random() < 0.6}


def _conv_lstm(rng: random.Random) -> dict[str, Any]:
    options: dict[str, Any] = {"filters": rng.choice([2, 3]), "kernel_size": rng.choice([1, 2, 3])}
    options["return_sequences"] = rng.random() < 0.6
    return options | _some(padding=["same", "valid"], strides=[1, 2], use_bias=[False], go_backwards=[True])(rng)


def _batch_norm(rng: random.Random) -> dict[str, Any]:
    return _some(scale=[False], center=[False], epsilon=[1e-3, 1e-5, 1e-1], axis=[-1, -1, 1])(rng)


def _reshape(rng: random.Random) -> dict[str, Any]:
    return {"target_shape": rng.choice([[-1, 2], [2, -1], [-1, 1], [-1, 4, 1], [-1], [1, 2, -1]])}


def _slice(rng: random.Random) -> dict[str, Any]:
    return {"start": rng.choice([0, 1, -2]), "step": rng.choice([1, 1, 2, -1]), "axis": rng.choice([1, -1])}


def _attention_heads(rng: random.Random) -> dict[str, Any]:
    options = {"num_heads": rng.choice([1, 2, 3]), "key_dim": rng.choice([2, 4])}
    more = _some(value_dim=[3], use_bias=[False], dropout=[0.5], output_shape=[6])
    return options | more(rng) | _some(causal=[True], count=[3], scores=[True])(rng)


def _grouped_heads(rng: random.Random) -> dict[str, Any]:
    options = {"head_dim": rng.choice([2, 4]), "num_query_heads": 4, "num_key_value_heads": rng.choice([1, 2, 4])}
    return options | _some(use_bias=[False], dropout=[0.5], causal=[True], count=[3])(rng)


_ANY = (2, 3, 4, 5)
TIMED = ["Dense", "Flatten", "Conv", "BatchNorm", "LSTM", "Masked", "Bidirectional", "Model"]
"""What `TimeDistributed` is put around."""

KINDS: Mapping[str, Kind] = {
    "Activation": Kind(_ANY, lambda rng: {"activation": rng.choice(_MORE)}, weight=4),
    "AdditiveAttention": Kind((3,), _some(use_scale=[False, True]), count=2, alike=False),
    "Add": Kind(_ANY, _none, count=2, weight=5),
    "Attention": Kind(
        (3,),
        _some(use_scale=[True], score_mode=["dot", "concat"], causal=[True], count=[3], scores=[True]),
        count=2,
        alike=False,
    ),
    "Average": Kind(_ANY, _none, count=3),
    "AveragePooling1D": Kind((3,), _pool),
    "AveragePooling2D": Kind((4,), _pool),
    "AveragePooling3D": Kind((5,), _pool),
    "BatchNormalization": Kind(_ANY, _batch_norm, weight=8),
    "Bidirectional": Kind((3,), _around, weight=3),
    "CenterCrop": Kind((4,), lambda rng: {"height": rng.choice([2, 3, 4]), "width": rng.choice([2, 3])}, weight=1),
    "Concatenate": Kind(_ANY, _some(axis=[-1, 1]), count=2, weight=6),
    "Conv1D": Kind((3,), _causal, weight=5),
    "Conv1DTranspose": Kind((3,), _transposed),
    "Conv2D": Kind((4,), _conv, weight=10),
    "Conv2DTranspose": Kind((4,), _transposed, weight=3),
    "Conv3D": Kind((5,), _conv, weight=4),
    "Conv3DTranspose": Kind((5,), _transposed, weight=1),
    "ConvLSTM1D": Kind((4,), _conv_lstm),
    "ConvLSTM2D": Kind((5,), _conv_lstm),
    "Cropping1D": Kind((3,), _some(cropping=[1, [1, 0]])),
    "Cropping2D": Kind((4,), _some(cropping=[1, [[0, 1], [1, 0]]])),
    "Cropping3D": Kind((5,), _some(cropping=[1])),
    "Dense": Kind(_ANY, lambda rng: {"units": rng.choice([1, 2, 3, 6])} | _finish(rng), weight=8),
    "DepthwiseConv1D": Kind((3,), _depthwise),
    "DepthwiseConv2D": Kind((4,), _depthwise, weight=3),
    "Dot": Kind((2, 3), lambda rng: {"axes": rng.choice([-1, 1])} | _some(normalize=[True])(rng), count=2, weight=1),
    "Dropout": Kind(_ANY, lambda rng: {"rate": 0.5}),
    "ELU": Kind(_ANY, _some(alpha=[0.3, 1.0])),
    "Embedding": Kind((0,), lambda rng: {"input_dim": 9, "output_dim": 4} | _some(mask_zero=[True])(rng), weight=30),
    "EinsumDense": Kind((3,), lambda rng: {"equation": "abc,cd->abd", "output_shape": [None, 5], "bias_axes": "d"}),
    "Flatten": Kind(_ANY, _none, weight=3),
    "GRU": Kind((3,), _gru, weight=3),
    "GaussianNoise": Kind(_ANY, lambda rng: {"stddev": 1.0}, weight=1),
    "GlobalAveragePooling1D": Kind((3,), _some(keepdims=[True]), weight=3),
    "GlobalAveragePooling2D": Kind((4,), _some(keepdims=[True]), weight=3),
    "GlobalAveragePooling3D": Kind((5,), _some(keepdims=[True])),
    "GlobalMaxPooling1D": Kind((3,), _some(keepdims=[True])),
    "GlobalMaxPooling2D": Kind((4,), _some(keepdims=[True])),
    "GlobalMaxPooling3D": Kind((5,), _none, weight=1),
    "GroupQueryAttention": Kind((3,), _grouped_heads, count=2, majors=(3,), alike=False),
    "GroupNormalization": Kind((3, 4), lambda rng: {"groups": rng.choice([1, 2, -1])}),
    "LSTM": Kind((3,), _gated, weight=4),
    "LayerNormalization": Kind(_ANY, _some(scale=[False], center=[False], epsilon=[1e-3, 1e-6], axis=[-1, 1])),
    "LeakyReLU": Kind(_ANY, _none),
    "Masking": Kind((3, 3, 4), _some(mask_value=[0.0, 1.0]), weight=4),
    "MaxPooling1D": Kind((3,), _pool),
    "MaxPooling2D": Kind((4,), _pool, weight=3),
    "MaxPooling3D": Kind((5,), _pool),
    "Maximum": Kind(_ANY, _none, count=2),
    "Minimum": Kind(_ANY, _none, count=2),
    "MultiHeadAttention": Kind((3,), _attention_heads, count=2, weight=3, alike=False),
    "Multiply": Kind(_ANY, _none, count=2, weight=3),
    "PReLU": Kind((2, 4), _some(shared_axes=[[1, 2]])),
    "Permute": Kind((3, 4), lambda rng: {"dims": None}),
    "RandomFlip": Kind((4,), _none, weight=1),
    "ReLU": Kind(_ANY, _some(max_value=[6.0, 1.0], negative_slope=[0.1], threshold=[0.5])),
    "RepeatVector": Kind((2,), lambda rng: {"n": rng.choice([1, 3])}, weight=3),
    "Rescaling": Kind(_ANY, lambda rng: {"scale": rng.choice([2.0, 1 / 255]), "offset": rng.choice([0.0, -1.0])}),
    "Reshape": Kind(_ANY, _reshape, weight=4),
    "Resizing": Kind((4,), lambda rng: {"height": 5, "width": 7} | _some(interpolation=["nearest", "bilinear"])(rng)),
    "RNN": Kind((3,), _cells),
    "RMSNormalization": Kind(_ANY, _none, majors=(3,), weight=1),
    "SeparableConv1D": Kind((3,), _separable),
    "SeparableConv2D": Kind((4,), _separable, weight=3),
    "SimpleRNN": Kind((3,), _recurrent),
    "Slice": Kind(_ANY, _slice, weight=3),
    "Softmax": Kind(_ANY, _some(axis=[-1, 1])),
    "SpatialDropout1D": Kind((3,), lambda rng: {"rate": 0.4}, weight=1),
    "SpectralNormalization": Kind((2, 4), _none, majors=(3,), weight=1),
    "Subtract": Kind(_ANY, _none, count=2),
    "TimeDistributed": Kind((3, 4, 5), lambda rng: {"inner": rng.choice(TIMED)}),
    "UnitNormalization": Kind(_ANY, _some(axis=[-1, 1]), weight=1),
    "UpSampling1D": Kind((3,), _some(size=[1, 2, 3])),
    "UpSampling2D": Kind((4,), _some(size=[2, 3], interpolation=["nearest", "bilinear"]), weight=4),
    "UpSampling3D": Kind((5,), _some(size=[2])),
    "ZeroPadding1D": Kind((3,), _some(padding=[1, 2])),
    "ZeroPadding2D": Kind((4,), _some(padding=[1, [[0, 1], [2, 0]]]), weight=3),
    "ZeroPadding3D": Kind((5,), _some(padding=[1])),
    "arithmetic": Kind(
        _ANY, lambda rng: {"way": rng.choice(["+", "-", "*", "/", "r-", "**"]), "by": rng.choice([2, 0.5])}, weight=4
    ),
    "far": Kind(_ANY, lambda rng: {"by": rng.choice([1e3, -1e9, 1e5])}, weight=1),
    "reduced": Kind(
        (3, 4), lambda rng: {"way": rng.choice(["mean", "sum", "max", "std"]), "axis": rng.choice([1, -1])}, weight=3
    ),
    "handed_on": Kind((3,), _handed_on, count=2, weight=1, alike=False),
    "masked": Kind((3,), lambda rng: {"inner": rng.choice(["LSTM", "GRU", "GlobalAveragePooling1D"])}, weight=1),
    "masked_softmax": Kind((2, 3), _some(axis=[-1, 1]), weight=1),
    "joined": Kind(_ANY, lambda rng: {"way": rng.choice(["+", "-", "*"])}, count=2, weight=4),
}
"""What is drawn, by the layer's class; small letters for operations between layers."""

MASKED: Mapping[str, int] = {
    "Activation": 2,
    "Add": 4,
    "AdditiveAttention": 2,
    "Attention": 4,
    "Average": 2,
    "BatchNormalization": 2,
    "Bidirectional": 5,
    "Concatenate": 7,
    "Conv1D": 2,
    "Dense": 4,
    "Dot": 2,
    "Dropout": 2,
    "Flatten": 2,
    "GRU": 4,
    "GlobalAveragePooling1D": 4,
    "GlobalMaxPooling1D": 1,
    "GroupQueryAttention": 3,
    "LSTM": 5,
    "LayerNormalization": 3,
    "Masking": 3,
    "Maximum": 2,
    "Minimum": 1,
    "MultiHeadAttention": 5,
    "Multiply": 4,
    "Permute": 1,
    "RNN": 4,
    "RepeatVector": 2,
    "Reshape": 2,
    "SimpleRNN": 3,
    "Slice": 2,
    "Softmax": 2,
    "SpatialDropout1D": 1,
    "Subtract": 2,
    "TimeDistributed": 4,
    "UpSampling1D": 1,
    "ZeroPadding1D": 1,
    "arithmetic": 2,
    "handed_on": 3,
    "joined": 3,
    "masked": 3,
    "masked_softmax": 2,
    "reduced": 2,
}
"""How often each kind is drawn where masks are what it is about."""
