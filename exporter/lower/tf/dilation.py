"""`SpaceToBatchND` and `BatchToSpaceND`, between which TensorFlow puts a convolution to dilate it.

For block shape r and paddings p, the input [N, s, ...] padded to s' = s + p goes to [r N, s' / r, ...]: batch entry
q N + n holds every r-th position of input n, from q on. The way back cuts off the crops c. A convolution of stride 1
without padding between the two is one with dilation r and padding p - c, of the input itself.
"""

from __future__ import annotations

from collections.abc import Sequence

import onnx_ir as ir

from exporter.ir.dims import normal
from exporter.ir.evaluate import attributes_of
from exporter.ir.ops import is_op
from exporter.lower.tf.context import NodeContext, OpFunction, RefusalError, SpaceToBatch
from exporter.lower.tf.pads import onnx_pads
from exporter.lower.tf.vectors import as_int64, dim_value, join

__all__ = ["OPS"]


def space_to_batch(ctx: NodeContext) -> ir.Value:
    """`SpaceToBatchND`; what it was made of is remembered for the way back."""
    x, _, paddings = ctx.inputs
    block = tuple(ctx.fixed_ints(1, "its block shape"))
    padded = _padded(ctx, x, paddings, len(block))
    rank = ctx.rank(x)
    sizes = [dim_value(ctx, padded, axis) for axis in range(rank)]
    split: list[int | ir.Value] = [sizes[0]]
    for axis, step in enumerate(block, start=1):
        split += [_divided(ctx, sizes[axis], step), step]
    rest = sizes[len(block) + 1 :]
    apart = ctx.op("Reshape", padded, join(ctx, [*split, *rest]))
    blocks = range(2, 2 * len(block) + 1, 2)
    order = [*blocks, 0, *(axis - 1 for axis in blocks), *range(2 * len(block) + 1, len(split) + len(rest))]
    moved = ctx.op("Transpose", apart, perm=order)
    y = ctx.op("Reshape", moved, join(ctx, [-1, *split[1::2], *rest]))
    ctx.memory.space_to_batch[y] = SpaceToBatch(x, block, paddings)
    return y


def _divided(ctx: NodeContext, size: int | ir.Value, step: int) -> int | ir.Value:
    if isinstance(size, ir.Value):
        return ctx.op("Div", size, ctx.int64([step]))
    if size % step:
        raise RefusalError(f"{size} is no multiple of its block of {step}")
    return size // step


def _padded(ctx: NodeContext, x: ir.Value, paddings: ir.Value, count: int) -> ir.Value:
    """x with zeros around the axes 1 to count."""
    rest = ctx.rank(x) - 1 - count
    numbers = as_int64(ctx, paddings)
    rows = [ctx.int64([[0, 0]]), numbers, *([ctx.int64([[0, 0]] * rest)] if rest else [])]
    return ctx.op("Pad", x, onnx_pads(ctx, ctx.op("Concat", *rows, axis=0)), mode="constant")


def batch_to_space(ctx: NodeContext) -> ir.Value:
    """`BatchToSpaceND`: the end of a dilated convolution where it is one."""
    block = tuple(ctx.fixed_ints(1, "its block shape"))
    chain = _chain(ctx, block)
    if chain is not None:
        nodes, begin = chain
        return _dilated(ctx, nodes, begin)
    return _cropped(ctx, _back(ctx, ctx.inputs[0], block), ctx.inputs[2], len(block))


def _back(ctx: NodeContext, x: ir.Value, block: Sequence[int]) -> ir.Value:
    count, rank = len(block), ctx.rank(x)
    sizes = [dim_value(ctx, x, axis) for axis in range(rank)]
    apart = ctx.op("Reshape", x, join(ctx, [*block, -1, *sizes[1:]]))
    pairs = [axis for i in range(count) for axis in (count + 1 + i, i)]
    moved = ctx.op("Transpose", apart, perm=[count, *pairs, *range(2 * count + 1, count + rank)])
    grown: list[int | ir.Value] = [
        size * step if isinstance(size, int) else ctx.op("Mul", size, ctx.int64([step]))
        for size, step in zip(sizes[1:], block, strict=False)
    ]
    return ctx.op("Reshape", moved, join(ctx, [-1, *grown, *sizes[count + 1 :]]))


def _cropped(ctx: NodeContext, x: ir.Value, crops: ir.Value, count: int) -> ir.Value:
    """x without crops[i, 0] at the beginning and crops[i, 1] at the end of axis i + 1."""
    known = ctx.builder.elements(crops)
    if known is not None and not known.any():
        return x
    numbers = as_int64(ctx, crops)
    starts, cut = (ctx.op("Gather", numbers, ctx.int64(column), axis=1) for column in (0, 1))
    ends = ctx.op("Sub", join(ctx, [dim_value(ctx, x, axis) for axis in range(1, count + 1)]), cut)
    return ctx.op("Slice", x, starts, ends, ctx.int64(list(range(1, count + 1))))


def _chain(ctx: NodeContext, block: tuple[int, ...]) -> tuple[list[ir.Node], SpaceToBatch] | None:
    """The nodes since the `SpaceToBatchND` of the same block shape, if one plain convolution is all they do."""
    nodes: list[ir.Node] = []
    value = ctx.inputs[0]
    while value not in ctx.memory.space_to_batch:
        node = value.producer()
        before = None if node is None else node.inputs[0]
        if node is None or before is None or not is_op(node, "Conv", "Transpose", "Unsqueeze", "Squeeze"):
            return None
        nodes.insert(0, node)
        value = before
    begin = ctx.memory.space_to_batch[value]
    convolutions = [node for node in nodes if is_op(node, "Conv")]
    if len(convolutions) != 1 or not _is_plain(convolutions[0]) or begin.block != block:
        return None
    return (nodes, begin) if _space(ctx, nodes, begin) is not None else None


def _is_plain(node: ir.Node) -> bool:
    attributes = attributes_of(node)
    return (
        set(attributes.get("strides", [1])) == {1}
        and set(attributes.get("dilations", [1])) == {1}
        and set(attributes.get("pads", [0])) == {0}
        and "auto_pad" not in attributes
    )


def _space(ctx: NodeContext, nodes: Sequence[ir.Node], begin: SpaceToBatch) -> list[int] | None:
    """For each spatial axis of the convolution the axis of the input that it is, 0 for an added one.

    None where an axis that is cut in blocks is no spatial one.
    """
    axes = list(range(ctx.rank(begin.x)))
    for node in nodes:
        if is_op(node, "Conv"):
            space = axes[1:-1]
            cut = [axis for axis, step in enumerate(begin.block, start=1) if step != 1]
            return space if set(cut) <= set(space) else None
        attributes = attributes_of(node)
        if is_op(node, "Transpose"):
            axes = [axes[axis] for axis in attributes["perm"]]
            continue
        known = ctx.builder.elements(node.inputs[1]) if len(node.inputs) > 1 and node.inputs[1] else None
        if not is_op(node, "Unsqueeze") or known is None or known.size != 1:
            return None
        place = int(known.reshape(-1)[0])
        axes.insert(place % (len(axes) + 1), 0)
    return None


def _dilated(ctx: NodeContext, nodes: Sequence[ir.Node], begin: SpaceToBatch) -> ir.Value:
    """The same nodes on the input itself, the convolution dilated; what isn't known of the padding stays around it."""
    space = _space(ctx, nodes, begin)
    assert space is not None
    pads = _pads(ctx, begin, space)
    x = begin.x if pads is not None else _padded(ctx, begin.x, begin.paddings, len(begin.block))
    dilations = [begin.block[axis - 1] if 0 < axis <= len(begin.block) else 1 for axis in space]
    for node in nodes:
        attributes = attributes_of(node)
        if is_op(node, "Conv"):
            attributes |= {"dilations": dilations, "pads": pads or [0] * (2 * len(space))}
        with ctx.builder.source(node.metadata_props["source"]):
            x = ctx.op(node.op_type, x, *node.inputs[1:], **attributes)
    return x if pads is not None else _cropped(ctx, x, ctx.inputs[2], len(begin.block))


def _pads(ctx: NodeContext, begin: SpaceToBatch, space: Sequence[int]) -> list[int] | None:
    """Paddings less crops as begins and ends of the convolution's axes; None where they aren't known or don't fit."""
    paddings, crops = ctx.builder.elements(begin.paddings), ctx.builder.elements(ctx.inputs[2])
    if paddings is None or crops is None:
        return None
    left: dict[tuple[int, int], int] = {}
    for row, (more, less) in enumerate(zip(paddings, crops, strict=True)):
        for side in (0, 1):
            difference = normal(more[side] - less[side])
            if isinstance(difference, ir.SymbolicDim):
                return None
            left[row + 1, side] = int(difference)
    if any(number < 0 or (number and axis not in space) for (axis, _), number in left.items()):
        return None
    return [left.get((axis, side), 0) for side in (0, 1) for axis in space]


OPS: dict[str, OpFunction] = {"BatchToSpaceND": batch_to_space, "SpaceToBatchND": space_to_batch}
