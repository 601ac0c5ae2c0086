"""Attention by several heads, each with its own projections; also with fewer heads for keys and values."""

from __future__ import annotations

from dataclasses import dataclass
from math import sqrt

import onnx_ir as ir

from exporter.lower.keras.activation_layers import masked_softmax
from exporter.lower.keras.attention import causal_mask
from exporter.lower.keras.context import LayerContext, Lower, Tensor

__all__ = ["LAYERS"]


@dataclass(frozen=True, slots=True)
class _Heads:
    """How many heads there are for queries, and for keys and values; how long their vectors are."""

    queries: int
    keys: int
    key_size: int
    value_size: int


def multi_head_attention(ctx: LayerContext) -> tuple[Tensor, ...]:
    """softmax(q k / sqrt(size)) v per head; the heads' results projected to the output."""
    heads = ctx.settings.integer("num_heads")
    size = ctx.settings.integer("key_dim")
    results = _attend(ctx, _Heads(heads, heads, size, ctx.settings.integer("value_dim", size)))
    if ctx.major >= 3:
        _take_masks(ctx)
    return results


def _take_masks(ctx: LayerContext) -> None:
    """Keras 3 takes the masks away from the tensors that it is given: a residual connection beside it has none."""
    for name, position in (("query", 0), ("value", 1), ("key", 2)):
        given = ctx.argument(name, position)
        if isinstance(given, Tensor):
            given.mask = None


def grouped_query_attention(ctx: LayerContext) -> tuple[Tensor, ...]:
    """The same with each key and value head serving several query heads."""
    size = ctx.settings.integer("head_dim")
    heads, shared = ctx.settings.integer("num_query_heads"), ctx.settings.integer("num_key_value_heads")
    if shared < 1 or heads % shared:
        return ctx.refuse(f"{shared} key heads don't divide {heads} query heads")
    return _attend(ctx, _Heads(heads, shared, size, size))


def _attend(ctx: LayerContext, heads: _Heads) -> tuple[Tensor, ...]:
    for setting in ("use_gate", "sliding_window", "quantization_config"):
        ctx.settings.refuse(setting)
    ops = ctx.ops
    query, value = _given(ctx, "query", 0), _given(ctx, "value", 1)
    key = _given(ctx, "key", 2) if isinstance(ctx.argument("key", 2), Tensor) else value
    if any(ops.rank(each.value) != 3 for each in (query, value, key)):
        return ctx.refuse("inputs that aren't of rank 3")
    q = _projected(ctx, "query", query.value, heads.queries, heads.key_size)
    k = _projected(ctx, "key", key.value, heads.keys, heads.key_size)
    v = _projected(ctx, "value", value.value, heads.keys, heads.value_size)
    k, v = _repeated(ctx, k, heads), _repeated(ctx, v, heads)
    q = ops.compute("Mul", q, 1 / sqrt(heads.key_size))
    scores = ops("MatMul", ops.transpose(q, [0, 2, 1, 3]), ops.transpose(k, [0, 2, 3, 1]))
    mask = _mask(ctx, query, value, key, scores)
    wants_scores = bool(ctx.argument("return_attention_scores", 4))
    zeros = ctx.major >= 3 and (ctx.settings.number("dropout", 0.0) > 0 or wants_scores)
    weights = masked_softmax(ctx, scores, mask, [-1], zeros=zeros)
    mixed = ops.transpose(ops("MatMul", weights, ops.transpose(v, [0, 2, 1, 3])), [0, 2, 1, 3])
    result = Tensor(_output(ctx, mixed, ctx.channels(query.value), heads), query.mask)
    return (result, Tensor(weights)) if wants_scores else (result,)


def _given(ctx: LayerContext, name: str, position: int) -> Tensor:
    given = ctx.argument(name, position)
    return given if isinstance(given, Tensor) else ctx.refuse(f"it is called without {name}")


def _projected(ctx: LayerContext, name: str, x: ir.Value, heads: int, size: int) -> ir.Value:
    """x[N, T, D] as [N, T, heads, size], by a kernel [D, heads, size]."""
    ops, features = ctx.ops, ctx.channels(x)
    kernel = ops.reshape(ctx.weight(f"{name}_dense/kernel", (features, heads, size)), [features, heads * size])
    bias = None
    if ctx.settings.flag("use_bias", True):
        bias = ops.reshape(ctx.weight(f"{name}_dense/bias", (heads, size)), [heads * size])
    y = ops("Dense", x, kernel, bias)
    return ops.reshape(y, [0, ops.size(y, 1) if isinstance(ops.size(y, 1), int) else -1, heads, size])


def _repeated(ctx: LayerContext, x: ir.Value, heads: _Heads) -> ir.Value:
    """[N, S, keys, size] with each head as often as there are query heads for it."""
    if heads.keys == heads.queries:
        return x
    ops, times = ctx.ops, heads.queries // heads.keys
    spread = ops("Tile", ops.unsqueeze(x, 3), ops.ints(1, 1, 1, times, 1))
    steps = ops.size(x, 1)
    return ops.reshape(spread, [0, steps if isinstance(steps, int) else -1, heads.queries, ctx.channels(x)])


def _mask(ctx: LayerContext, query: Tensor, value: Tensor, key: Tensor, scores: ir.Value) -> ir.Value | None:
    """What each query may see, [N or 1, 1, T or 1, S]: the masks of all three, the one given, and the causal one."""
    ops = ctx.ops
    rows = _named_mask(ctx, "query_mask", query)
    columns = ops.all_of(_named_mask(ctx, "value_mask", value), _named_mask(ctx, "key_mask", key))
    seen = ops.all_of(
        None if rows is None else ops.unsqueeze(rows, 2), None if columns is None else ops.unsqueeze(columns, 1)
    )
    if ctx.argument("use_causal_mask", 9):
        seen = ops.all_of(seen, causal_mask(ops, ops.size(scores, 2), ops.size(scores, 3)))
    given = ctx.argument("attention_mask", 9)
    if isinstance(given, Tensor):
        seen = ops.all_of(seen, ops.cast(given.value, ir.DataType.BOOL))
    if seen is None:
        return None
    return ops.unsqueeze(seen, 1) if ops.rank(seen) == 3 else seen


def _named_mask(ctx: LayerContext, name: str, tensor: Tensor) -> ir.Value | None:
    given = ctx.argument(name, 9)
    return given.value if isinstance(given, Tensor) else tensor.mask


def _output(ctx: LayerContext, mixed: ir.Value, features: int, heads: _Heads) -> ir.Value:
    """[N, T, heads, size] projected by a kernel [heads, size, output]."""
    ops = ctx.ops
    wanted = ctx.settings.raw("output_shape")
    sizes = [features] if wanted is None else list(wanted) if isinstance(wanted, list | tuple) else [wanted]
    if len(sizes) != 1 or type(sizes[0]) is not int:
        return ctx.refuse(f"output_shape {wanted!r}")
    inner = heads.queries * heads.value_size
    kernel = ctx.weight("output_dense/kernel", (heads.queries, heads.value_size, sizes[0]))
    bias = ctx.weight("output_dense/bias", (sizes[0],)) if ctx.settings.flag("use_bias", True) else None
    steps = ops.size(mixed, 1)
    flat = ops.reshape(mixed, [0, steps if isinstance(steps, int) else -1, inner])
    return ops("Dense", flat, ops.reshape(kernel, [inner, sizes[0]]), bias)


LAYERS: dict[str, Lower] = {
    "GroupQueryAttention": grouped_query_attention,
    "GroupedQueryAttention": grouped_query_attention,
    "MultiHeadAttention": multi_head_attention,
}
