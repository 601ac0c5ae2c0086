"""Spectrograms by convolution: the waves that sound is compared with are stored as weights."""

from __future__ import annotations

import onnx_ir as ir

from exporter.ir.gaps import without_last_gap
from exporter.lower.keras.context import LayerContext, Lower
from exporter.lower.keras.windows import padding_attributes

__all__ = ["LAYERS"]

_EPSILON = 1e-7
_MODES = frozenset({"imag", "log", "magnitude", "psd", "real", "stft"})


def stft_spectrogram(ctx: LayerContext) -> ir.Value:
    """x[N, T, C] at each step and frequency: one part of the transform, both, their power or its root's logarithm."""
    ops, mode = ctx.ops, ctx.settings.text("mode", "log")
    if mode not in _MODES:
        return ctx.refuse(f"mode {mode!r}")
    if mode in ("real", "imag"):
        return _arranged(ctx, _compared(ctx, mode))
    real, imaginary = _compared(ctx, "real"), _compared(ctx, "imag")
    if mode == "stft":
        return _arranged(ctx, ops.concat([real, imaginary], -1))
    power = ops("Add", ops("Mul", real, real), ops("Mul", imaginary, imaginary))
    if mode == "psd":
        inner = ops.slice(power, 3, 1, -1)
        return _arranged(ctx, ops("Add", power, ops.pad(inner, [0, 0, 0, 1], [0, 0, 0, 1])))
    y = _arranged(ctx, ops("Sqrt", ops("Max", power, ops.scalar(_EPSILON, power))))
    return y if mode == "magnitude" else ops("Log", ops("Max", y, ops.scalar(_EPSILON, y)))


def _compared(ctx: LayerContext, part: str) -> ir.Value:
    """Each channel convolved with the waves of one part, [N, C, steps, frequencies]."""
    ops = ctx.ops
    x = ctx.x if ctx.channels_first else ops.transpose(ctx.x, [0, 2, 1])
    channels, steps = ctx.channels(x, 1), ops.size(x, 2)
    length = ctx.settings.integer("frame_length", 256)
    stride = ctx.settings.integer("frame_step", length // 2)
    frequencies = ctx.settings.integer("fft_length", 1 << (length - 1).bit_length()) // 2 + 1
    row = ops.reshape(x, [-1, steps, 1])
    padding = ctx.settings.choice("padding", {"valid": "valid", "same": "same"}, "valid")
    pads = padding_attributes(ops, row, padding, [length], [stride], [1])
    kernel = ctx.weight(f"{part}_kernel", (length, 1, frequencies))
    row = without_last_gap(ops.builder, row, [length], [stride]) if "auto_pad" in pads else row
    y = ops("Conv", row, kernel, None, strides=[stride], **pads)
    return ops.reshape(y, [-1, channels, ops.size(y, 1), frequencies])


def _arranged(ctx: LayerContext, y: ir.Value) -> ir.Value:
    """[N, C, steps, frequencies] as the layer gives it: channels first or last, beside the frequencies or with them."""
    ops = ctx.ops
    channels, frequencies = ctx.channels(y, 1), ctx.channels(y, 3)
    if ctx.settings.flag("expand_dims", False):
        return y if ctx.channels_first else ops.transpose(y, [0, 2, 3, 1])
    steps = ops.size(y, 2)
    batch = -1 if isinstance(steps, int) else 0
    if ctx.channels_first:
        return ops.reshape(ops.transpose(y, [0, 1, 3, 2]), [batch, channels * frequencies, steps])
    return ops.reshape(ops.transpose(y, [0, 2, 1, 3]), [batch, steps, channels * frequencies])


LAYERS: dict[str, Lower] = {"STFTSpectrogram": stft_spectrogram}
