"""Boxes of objects, of which those are dropped that overlap better ones."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from exporter.lower.tf.context import NodeContext, OpFunction, RefusalError
from exporter.lower.tf.vectors import as_int64, cast, dim_value, join, scalar, vector

__all__ = ["OPS"]


def _chosen(ctx: NodeContext, iou: ir.Value, lowest: ir.Value | None) -> ir.Value:
    """The numbers [m], int64, of the chosen ones of boxes [n, 4] with scores [n]."""
    boxes, scores, most = ctx.inputs[:3]
    found = ctx.op(
        "NonMaxSuppression",
        ctx.op("Unsqueeze", cast(ctx, boxes, ir.DataType.FLOAT), ctx.int64([0])),
        ctx.op("Unsqueeze", cast(ctx, scores, ir.DataType.FLOAT), ctx.int64([0, 1])),
        as_int64(ctx, vector(ctx, most)),
        vector(ctx, cast(ctx, iou, ir.DataType.FLOAT)),
        *(() if lowest is None else (vector(ctx, cast(ctx, lowest, ir.DataType.FLOAT)),)),
    )
    return ctx.op("Squeeze", ctx.op("Slice", found, ctx.int64([2]), ctx.int64([3]), ctx.int64([1])), ctx.int64([1]))


def suppress(ctx: NodeContext) -> ir.Value:
    """`NonMaxSuppression`, V2 and V3: the first has the IoU threshold as an attribute, the last one for scores."""
    if ctx.node.op == "NonMaxSuppression":
        iou, lowest = ctx.const(np.float32(ctx.number("iou_threshold", 0.5))), None
    else:
        iou, lowest = ctx.inputs[3], ctx.inputs[4] if len(ctx.inputs) > 4 else None
    return cast(ctx, _chosen(ctx, iou, lowest), ir.DataType.INT32)


def _padded(ctx: NodeContext, numbers: ir.Value) -> tuple[ir.Value, ir.Value]:
    """The numbers, with zeros up to the most there may be if that is asked for, and how many there are."""
    count = ctx.op("Shape", numbers)
    if ctx.flag("pad_to_max_output_size", False):
        missing = ctx.op("Sub", as_int64(ctx, vector(ctx, ctx.inputs[2])), count)
        pads = ctx.op("Concat", ctx.int64([0]), missing, axis=0)
        numbers = ctx.op("Pad", numbers, pads, ctx.scalar(0, numbers))
    return numbers, cast(ctx, scalar(ctx, count), ir.DataType.INT32)


def suppress_v4(ctx: NodeContext) -> tuple[ir.Value, ...]:
    """`NonMaxSuppressionV4`: the numbers and how many of them count."""
    numbers, count = _padded(ctx, _chosen(ctx, ctx.inputs[3], ctx.inputs[4]))
    return cast(ctx, numbers, ir.DataType.INT32), count


def suppress_v5(ctx: NodeContext) -> tuple[ir.Value, ...]:
    """`NonMaxSuppressionV5`: the numbers, their scores, how many of them count; no scores that fade."""
    sigma = ctx.constant(5)
    if sigma is None or np.any(sigma != 0):
        raise RefusalError("soft_nms_sigma is not known to be 0")
    found = _chosen(ctx, ctx.inputs[3], ctx.inputs[4])
    scores = ctx.op("Gather", ctx.inputs[1], found, axis=0)
    numbers, count = _padded(ctx, found)
    return cast(ctx, numbers, ir.DataType.INT32), _padded(ctx, scores)[0], count


def _chosen_of_each(ctx: NodeContext, scores: ir.Value, count: ir.Value, *, shared: bool) -> ir.Value:
    """Image, class and box [m, 3] by scores [b, c, n]; with boxes of their own, image and class are one number."""
    boxes, _, each, _, iou, lowest = ctx.inputs
    if shared:
        boxes = ctx.op("Squeeze", boxes, ctx.int64([2]))
    else:
        by_class = ctx.op("Transpose", boxes, perm=[0, 2, 1, 3])
        boxes = ctx.op("Reshape", by_class, ctx.op("Concat", ctx.int64([-1]), count, ctx.int64([4]), axis=0))
        scores = ctx.op("Reshape", scores, ctx.op("Concat", ctx.int64([-1, 1]), count, axis=0))
    limits = (vector(ctx, iou), vector(ctx, lowest))
    return ctx.op("NonMaxSuppression", boxes, scores, as_int64(ctx, vector(ctx, each)), *limits)


def combined(ctx: NodeContext) -> tuple[ir.Value, ...]:
    """`CombinedNonMaxSuppression`: per image the best boxes [b, n, q, 4] of all classes, with scores [b, n, c].

    q is 1, for all classes, or c. Gives boxes, scores and classes, 0 where there are fewer, and how many there are.
    """
    boxes, scores, each, total = ctx.inputs[:4]
    own = dim_value(ctx, boxes, 2)
    if not isinstance(own, int):
        raise RefusalError("whether classes have boxes of their own is not known")
    batch, count, kinds = (join(ctx, [dim_value(ctx, scores, axis)]) for axis in range(3))
    by_class = ctx.op("Transpose", scores, perm=[0, 2, 1])
    found = _chosen_of_each(ctx, by_class, count, shared=own == 1)
    if own != 1:
        first, last = (ctx.op("Slice", found, ctx.int64([i]), ctx.int64([i + 1]), ctx.int64([1])) for i in (0, 2))
        found = ctx.op("Concat", ctx.op("Div", first, kinds), ctx.op("Mod", first, kinds), last, axis=1)
    nothing = ctx.op("Expand", ctx.scalar(-np.inf, scores), ctx.op("Shape", by_class))
    kept = ctx.op("ScatterND", nothing, found, ctx.op("GatherND", by_class, found))
    flat = ctx.op("Reshape", kept, ctx.op("Concat", batch, ctx.int64([-1]), axis=0))
    wanted = as_int64(ctx, vector(ctx, total))
    if ctx.flag("pad_per_class", False):
        wanted = ctx.op("Min", wanted, ctx.op("Mul", as_int64(ctx, vector(ctx, each)), kinds))
    room = ctx.op("Pad", flat, ctx.op("Concat", ctx.int64([0, 0, 0]), wanted, axis=0), ctx.scalar(-np.inf, scores))
    values, places = ctx.builder.op_n("TopK", 2, room, wanted, axis=1)
    real = ctx.op("Greater", values, ctx.scalar(-np.inf, scores))
    places = ctx.op("Where", real, places, ctx.int64(0))
    classes, box = ctx.op("Div", places, count), ctx.op("Mod", places, count)
    row = ctx.op("Unsqueeze", ctx.op("Range", ctx.int64(0), scalar(ctx, batch), ctx.int64(1)), ctx.int64([1]))
    parts = [ctx.op("Add", row, ctx.op("Mul", box, ctx.int64(0))), box]
    parts.append(classes if own != 1 else ctx.op("Mul", box, ctx.int64(0)))
    index = ctx.op("Concat", *(ctx.op("Unsqueeze", part, ctx.int64([2])) for part in parts), axis=2)
    chosen = ctx.op("GatherND", boxes, index)
    if ctx.flag("clip_boxes", True):
        chosen = ctx.op("Clip", chosen, ctx.scalar(0, chosen), ctx.scalar(1, chosen))
    zero = ctx.scalar(0, scores)
    return (
        ctx.op("Where", ctx.op("Unsqueeze", real, ctx.int64([2])), chosen, zero),
        ctx.op("Where", real, values, zero),
        ctx.op("Where", real, cast(ctx, classes, ir.DataType.FLOAT), zero),
        ctx.op("ReduceSum", cast(ctx, real, ir.DataType.INT32), ctx.int64([1]), keepdims=0),
    )


OPS: dict[str, OpFunction] = {
    "CombinedNonMaxSuppression": combined,
    "NonMaxSuppression": suppress,
    "NonMaxSuppressionV2": suppress,
    "NonMaxSuppressionV3": suppress,
    "NonMaxSuppressionV4": suppress_v4,
    "NonMaxSuppressionV5": suppress_v5,
}
