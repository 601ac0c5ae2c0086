"""Attention without projections: by dot products, and additive."""

from __future__ import annotations

from functools import partial

import numpy as np
import onnx_ir as ir

from exporter.lower.keras.activation_layers import masked_softmax
from exporter.lower.keras.context import LayerContext, Lower, Tensor
from exporter.lower.keras.ops import Ops
from exporter.sources.keras_model import flatten

__all__ = ["LAYERS", "causal_mask"]


def attention(ctx: LayerContext, *, additive: bool) -> tuple[Tensor, ...]:
    """The values weighted by the softmax of scores of query[N, T, D] against key[N, S, D]."""
    ops, tensors = ctx.ops, ctx.tensors
    if len(tensors) not in (2, 3):
        return ctx.refuse(f"it is called with {len(tensors)} tensors, expected query, value and maybe key")
    query, value = tensors[0].value, tensors[1].value
    key = tensors[2].value if len(tensors) == 3 else value
    scores = _sums(ctx, query, key) if additive else _scores(ctx, query, key)
    query_mask, value_mask = _masks(ctx)
    hidden = None if value_mask is None else ops.unsqueeze(value_mask, 1)
    if ctx.argument("use_causal_mask", 9) or ctx.settings.flag("causal", False):
        hidden = ops.all_of(hidden, causal_mask(ops, ops.size(scores, 1), ops.size(scores, 2)))
    weights = masked_softmax(ctx, scores, hidden, [-1], zeros=False)
    y = ops("MatMul", weights, value)
    if query_mask is not None:
        y = ops("Mul", y, ops.cast(ops.unsqueeze(query_mask, -1), ops.dtype(y)))
    result = Tensor(y, query_mask)
    return (result, Tensor(weights)) if ctx.argument("return_attention_scores", 9) else (result,)


def _scores(ctx: LayerContext, query: ir.Value, key: ir.Value) -> ir.Value:
    mode = ctx.settings.text("score_mode", "dot")
    if mode == "concat":
        spread = _spread(ctx, query, key)
        if ctx.settings.flag("use_scale", False):
            spread = ctx.ops("Mul", spread, ctx.weight("scale", ()))
        total = ctx.ops.reduce("ReduceSum", ctx.ops("Tanh", spread), [-1], keepdims=False)
        return ctx.ops("Mul", total, ctx.weight("concat_score_weight", ()))
    if mode != "dot":
        return ctx.refuse(f"score_mode {mode!r}")
    scores = ctx.ops("MatMul", query, ctx.ops.transpose(key, [0, 2, 1]))
    return ctx.ops("Mul", scores, ctx.weight("scale", ())) if ctx.settings.flag("use_scale", False) else scores


def _sums(ctx: LayerContext, query: ir.Value, key: ir.Value) -> ir.Value:
    """The sum of scale * tanh(q + k) for each pair of steps."""
    spread = ctx.ops("Tanh", _spread(ctx, query, key))
    if ctx.settings.flag("use_scale", True):
        spread = ctx.ops("Mul", spread, ctx.weight("scale", (ctx.channels(query),)))
    return ctx.ops.reduce("ReduceSum", spread, [-1], keepdims=False)


def _spread(ctx: LayerContext, query: ir.Value, key: ir.Value) -> ir.Value:
    return ctx.ops("Add", ctx.ops.unsqueeze(query, 2), ctx.ops.unsqueeze(key, 1))


def _masks(ctx: LayerContext) -> tuple[ir.Value | None, ir.Value | None]:
    """The masks of query and value: given as a list, or carried by the tensors."""
    given = ctx.argument("mask", 1)
    if given is not None:
        masks = [leaf.value if isinstance(leaf, Tensor) else None for leaf in flatten(given)]
        return (masks[0], masks[1]) if len(masks) > 1 else (masks[0], None)
    return ctx.tensors[0].mask, ctx.tensors[1].mask


def causal_mask(ops: Ops, queries: int | ir.Value, keys: int | ir.Value) -> ir.Value:
    """[1, T, S]: true where the key's step is not after the query's."""
    if isinstance(queries, int) and isinstance(keys, int):
        return ops.builder.constant(np.tri(queries, keys, dtype=np.bool_)[None])
    rows, columns = (ops.squeeze(ops.vector([size]), 0) for size in (queries, keys))
    zero, one = (ops.builder.constant(np.array(n, np.int64)) for n in (0, 1))
    steps = ops.unsqueeze(ops("Range", zero, rows, one), 1)
    return ops.unsqueeze(ops("GreaterOrEqual", steps, ops.unsqueeze(ops("Range", zero, columns, one), 0)), 0)


LAYERS: dict[str, Lower] = {
    "AdditiveAttention": partial(attention, additive=True),
    "Attention": partial(attention, additive=False),
}
