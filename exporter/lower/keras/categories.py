"""Preprocessing of numbers into categories and of categories into vectors."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import onnx_ir as ir

from exporter.lower.keras.context import LayerContext, Lower
from exporter.lower.keras.dtypes import FLOATS

__all__ = ["LAYERS"]


def discretization(ctx: LayerContext) -> ir.Value:
    """The number of boundaries that are not above x: its bin; or that number as a vector."""
    bounds = ctx.settings.raw("bin_boundaries")
    if not isinstance(bounds, list | tuple) or not bounds:
        return ctx.refuse("bin boundaries that aren't in the configuration")
    ops, mode = ctx.ops, ctx.settings.text("output_mode", "int")
    x = ops.unsqueeze(ops.cast(ctx.x, ir.DataType.FLOAT), -1)
    limits = ops.builder.constant(np.array(bounds, np.float32), f"{ctx.name}/bin_boundaries")
    reached = ops.cast(ops("GreaterOrEqual", x, limits), ir.DataType.INT64)
    index = ops.reduce("ReduceSum", reached, [-1], keepdims=False)
    if mode != "int":
        return _encoded(ctx, index, mode, len(bounds) + 1)
    return index if ctx.dtype is ir.DataType.INT64 else ops.cast(index, ir.DataType.INT32)


def category_encoding(ctx: LayerContext) -> ir.Value:
    """One-hot vectors of single indices, multi-hot ones or counts of several, in the layer's float type."""
    if ctx.argument("count_weights", 1) is not None:
        return ctx.refuse("weights of the counts")
    return _encoded(ctx, ctx.x, ctx.settings.text("output_mode", "multi_hot"), ctx.settings.integer("num_tokens"))


def _encoded(ctx: LayerContext, index: ir.Value, mode: str, depth: int) -> ir.Value:
    """Indices along the last axis as vectors of that length; what is outside of it is in none of them."""
    if ctx.settings.raw("sparse") or mode not in ("one_hot", "multi_hot", "count"):
        return ctx.refuse("sparse results" if ctx.settings.raw("sparse") else f"output_mode {mode!r}")
    ops, kind = ctx.ops, ctx.dtype if ctx.dtype in FLOATS else ir.DataType.FLOAT
    wide = ops.unsqueeze(ops.cast(index, ir.DataType.INT64), -1)
    vectors = ops.cast(ops("Equal", wide, ops.ints(*range(depth))), kind)
    if ops.rank(index) == 1:
        return vectors
    if mode == "one_hot":
        return ops.squeeze(vectors, -2) if ops.size(index, -1) == 1 else vectors
    return ops.reduce("ReduceMax" if mode == "multi_hot" else "ReduceSum", vectors, [-2], keepdims=False)


def integer_lookup(ctx: LayerContext) -> ir.Value:
    """The place of a number in the vocabulary, after one for the mask and one for all that isn't in it."""
    tokens = _vocabulary(ctx)
    ops, mode = ctx.ops, ctx.settings.text("output_mode", "int")
    mask = ctx.settings.raw("mask_token")
    others = ctx.settings.integer("num_oov_indices", 1)
    first = 0 if mask is None or mode != "int" else 1
    specials = [*([mask] if first else []), *[ctx.settings.integer("oov_token", -1)] * others]
    if tokens[: len(specials)] == specials:
        tokens = tokens[len(specials) :]
    x = ops.cast(ctx.x, ir.DataType.INT64)
    if ctx.settings.flag("invert", False):
        return _inverted(ctx, x, [*specials, *tokens])
    if others != 1:
        return ctx.refuse("none or several indices for what isn't in the vocabulary, chosen by a hash of its text")
    equal = ops.cast(ops("Equal", ops.unsqueeze(x, -1), ops.ints(*tokens)), ir.DataType.INT64)
    places = ops.ints(*range(1, len(tokens) + 1))
    index = ops.reduce("ReduceSum", ops("Mul", equal, places), [-1], keepdims=False)
    if first:
        masked = ops("Equal", x, ops.builder.constant(np.array(mask, np.int64)))
        index = ops("Where", masked, ops.scalar(0, index), ops("Add", index, ops.scalar(first, index)))
    return index if mode == "int" else _encoded(ctx, index, mode, len(tokens) + 1)


_MOST_TOKENS = 1 << 16


def _vocabulary(ctx: LayerContext) -> list[int]:
    """The numbers in the configuration; those that were learned by `adapt` are stored elsewhere, or nowhere."""
    given = ctx.settings.raw("vocabulary")
    given = given["config"] if isinstance(given, Mapping) and "config" in given else given
    given = given["value"] if isinstance(given, Mapping) and "value" in given else given
    if not isinstance(given, list | tuple) or not given:
        return ctx.refuse("a vocabulary that isn't in the configuration")
    if not all(type(token) is int for token in given) or len(given) > _MOST_TOKENS:
        return ctx.refuse(f"a vocabulary of anything but integers, at most {_MOST_TOKENS}")
    return list(given)


def _inverted(ctx: LayerContext, x: ir.Value, tokens: list[int]) -> ir.Value:
    """The number at each place; outside of them that for what isn't in the vocabulary."""
    ops = ctx.ops
    inside = ops("And", ops("GreaterOrEqual", x, ops.scalar(0, x)), ops("Less", x, ops.scalar(len(tokens), x)))
    found = ops("Gather", ops.ints(*tokens), ops("Where", inside, x, ops.scalar(0, x)), axis=0)
    return ops("Where", inside, found, ops.scalar(ctx.settings.integer("oov_token", -1), x))


LAYERS: dict[str, Lower] = {
    "CategoryEncoding": category_encoding,
    "Discretization": discretization,
    "IntegerLookup": integer_lookup,
}
