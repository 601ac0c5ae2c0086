"""Layers that do next to nothing at inference: dropout, noise, augmentation, masks, a scale."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from exporter.lower.keras.context import LayerContext, Lower, Tensor

__all__ = ["LAYERS"]

_NAMES = (
    "ActivityRegularization",
    "AlphaDropout",
    "AugMix",
    "CutMix",
    "Dropout",
    "Equalization",
    "GaussianDropout",
    "GaussianNoise",
    "Identity",
    "MaxNumBoundingBoxes",
    "MixUp",
    "RandAugment",
    "RandomBrightness",
    "RandomColorDegeneration",
    "RandomColorJitter",
    "RandomContrast",
    "RandomElasticTransform",
    "RandomErasing",
    "RandomFlip",
    "RandomGaussianBlur",
    "RandomGrayscale",
    "RandomHeight",
    "RandomHue",
    "RandomInvert",
    "RandomPerspective",
    "RandomPosterization",
    "RandomRotation",
    "RandomSaturation",
    "RandomSharpness",
    "RandomShear",
    "RandomTranslation",
    "RandomWidth",
    "RandomZoom",
    "Solarization",
    "SpatialDropout1D",
    "SpatialDropout2D",
    "SpatialDropout3D",
    "StochasticDepth",
)


_CASTING = ("Aug", "Cut", "Mix", "Rand", "Solarization")


def identity(ctx: LayerContext) -> Tensor:
    """x; refused where the call makes randomness part of the model. `Identity` of Keras 2 drops its mask."""
    _refuse_randomness(ctx)
    return Tensor(ctx.x) if ctx.major < 3 and ctx.layer.class_name == "Identity" else ctx.tensors[0]


def layer_scale(ctx: LayerContext) -> ir.Value:
    """x * gamma over the channels: ConvNeXt's own layer."""
    return ctx.ops("Mul", ctx.x, ctx.weight("gamma", (ctx.settings.integer("projection_dim"),)))


def augmentation(ctx: LayerContext) -> ir.Value:
    """x, in the float type that augmentation layers give."""
    _refuse_randomness(ctx)
    return ctx.ops.cast(ctx.x, ctx.dtype)


def _refuse_randomness(ctx: LayerContext) -> None:
    """Keras 2 keeps training=True of a call at inference; Keras 3 overrules it."""
    if ctx.major < 3 and ctx.kwargs.get("training") is True and ctx.layer.class_name != "Identity":
        ctx.refuse("it is called with training=True, so randomness is part of the model")


def masking(ctx: LayerContext) -> Tensor:
    """Steps whose features all have the mask value are masked, and set to 0."""
    ops = ctx.ops
    value = ctx.settings.number("mask_value", 0.0)
    differs = ops.cast(ops("Not", ops("Equal", ctx.x, ops.scalar(value, ctx.x))), ir.DataType.INT32)
    zero = ops.builder.constant(np.array(0, np.int32))
    kept = ops("Greater", ops.reduce("ReduceMax", differs, [-1], keepdims=True), zero)
    return Tensor(ops("Where", kept, ctx.x, ops.scalar(0, ctx.x)), ops.squeeze(kept, -1))


LAYERS: dict[str, Lower] = {
    **{name: augmentation if name.startswith(_CASTING) else identity for name in _NAMES},
    "LayerScale": layer_scale,
    "Masking": masking,
}
