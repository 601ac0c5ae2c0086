"""Transposed convolutions of one, two and three dimensions."""

from __future__ import annotations

from functools import partial

import onnx_ir as ir

from exporter.lower.keras.activations import activate
from exporter.lower.keras.context import LayerContext, Lower

__all__ = ["LAYERS"]


def conv_transpose(ctx: LayerContext, *, rank: int) -> ir.Value:
    """Kernel [*k, filters, C]; the size is what TensorFlow's gradient of a convolution makes it."""
    settings = ctx.settings
    x = ctx.ops.to_last(ctx.x) if ctx.channels_first else ctx.x
    size, filters = settings.integers("kernel_size", rank), settings.integer("filters")
    strides, dilations = settings.integers("strides", rank, 1), settings.integers("dilation_rate", rank, 1)
    same = settings.choice("padding", {"valid": False, "same": True}, "valid")
    extra = None if settings.raw("output_padding") is None else settings.integers("output_padding", rank)
    axes = [
        _padding(
            dilations[axis] * (size[axis] - 1) + 1, strides[axis], None if extra is None else extra[axis], same=same
        )
        for axis in range(rank)
    ]
    kernel = ctx.weight("kernel", (*size, filters, ctx.channels(x)))
    bias = ctx.weight("bias", (filters,)) if settings.flag("use_bias", True) else None
    y = ctx.ops(
        "ConvTranspose",
        x,
        kernel,
        bias,
        strides=strides,
        dilations=dilations,
        pads=[*[begin for begin, _, _ in axes], *[end for _, end, _ in axes]],
        output_padding=[more for _, _, more in axes],
    )
    return activate(ctx, ctx.ops.to_first(y) if ctx.channels_first else y, settings.raw("activation"))


def _padding(extent: int, stride: int, extra: int | None, *, same: bool) -> tuple[int, int, int]:
    """What is cut at the beginning and the end, and added at the end, of stride * (size - 1) + extent.

    Keras says how long the result is; with `same`, half of what is too much is cut at the beginning.
    """
    if same:
        wanted = stride if extra is None else extent % 2 + extra
    else:
        wanted = max(extent, stride) if extra is None else extent + extra
    surplus = extent - wanted
    begin = max(surplus, 0) // 2 if same else 0
    return begin, max(surplus - begin, 0), max(begin - surplus, 0)


LAYERS: dict[str, Lower] = {
    "Conv1DTranspose": partial(conv_transpose, rank=1),
    "Conv2DTranspose": partial(conv_transpose, rank=2),
    "Conv3DTranspose": partial(conv_transpose, rank=3),
    "Convolution1DTranspose": partial(conv_transpose, rank=1),
    "Convolution2DTranspose": partial(conv_transpose, rank=2),
    "Convolution3DTranspose": partial(conv_transpose, rank=3),
}
