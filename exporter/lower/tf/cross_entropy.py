"""Cross entropies of softmaxes, with their gradients."""

from __future__ import annotations

import onnx_ir as ir

from exporter.lower.tf.context import NodeContext, OpFunction
from exporter.lower.tf.vectors import as_int64, cast, dim_value, join, scalar

__all__ = ["OPS"]


def dense(ctx: NodeContext) -> tuple[ir.Value, ...]:
    """`SoftmaxCrossEntropyWithLogits`: -sum(labels log softmax(logits)) of each row, and softmax(logits) - labels."""
    logits, labels = ctx.inputs
    logarithms = ctx.op("LogSoftmax", logits, axis=-1)
    total = ctx.op("ReduceSum", ctx.op("Mul", labels, logarithms), ctx.int64([-1]), keepdims=0)
    return ctx.op("Neg", total), ctx.op("Sub", ctx.op("Exp", logarithms), labels)


def sparse(ctx: NodeContext) -> tuple[ir.Value, ...]:
    """`SparseSoftmaxCrossEntropyWithLogits`: the label of each row is the number of a class."""
    logits, labels = ctx.inputs
    logarithms = ctx.op("LogSoftmax", logits, axis=-1)
    column = ctx.op("Unsqueeze", as_int64(ctx, labels), ctx.int64([1]))
    loss = ctx.op("Neg", ctx.op("Squeeze", ctx.op("GatherElements", logarithms, column, axis=1), ctx.int64([1])))
    places = ctx.op("Range", ctx.int64(0), scalar(ctx, join(ctx, [dim_value(ctx, logits, 1)])), ctx.int64(1))
    hot = cast(ctx, ctx.op("Equal", column, places), ctx.dtype(logits))
    return loss, ctx.op("Sub", ctx.op("Exp", logarithms), hot)


OPS: dict[str, OpFunction] = {
    "SoftmaxCrossEntropyWithLogits": dense,
    "SparseSoftmaxCrossEntropyWithLogits": sparse,
}
