"""Cells of recurrent layers that are one op, and whole layers of them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import onnx_ir as ir

from exporter.lower.tf.context import NodeContext, OpFunction
from exporter.lower.tf.lists import same_number
from exporter.lower.tf.vectors import as_int64, scalar

__all__ = ["OPS"]


def _product(ctx: NodeContext, x: ir.Value, h: ir.Value, weights: ir.Value, bias: ir.Value) -> ir.Value:
    """[x, h] weights + bias."""
    op_type = "Dense" if ctx.is_constant(weights) else "MatMul"
    return ctx.op("Add", ctx.op(op_type, ctx.op("Concat", x, h, axis=1), weights), bias)


def _parts(ctx: NodeContext, gates: ir.Value, count: int) -> Sequence[ir.Value]:
    return ctx.builder.op_n("Split", count, gates, axis=1, num_outputs=count)


def _lstm_step(
    ctx: NodeContext, x: ir.Value, c: ir.Value, h: ir.Value, weights: Sequence[ir.Value], order: str
) -> tuple[ir.Value, ...]:
    """One step of an LSTM: i, cs, f, o, ci, co and h, each [batch, units].

    Args:
        ctx: The node.
        x: The input [batch, features].
        c: The cell state before.
        h: The output before.
        weights: Matrix, peepholes of input, forget and output gate, bias.
        order: In which order the matrix has its gates: `i`, `c`, `f`, `o`.
    """
    matrix, peep_i, peep_f, peep_o, bias = weights
    gates = dict(zip(order, _parts(ctx, _product(ctx, x, h, matrix, bias), 4), strict=True))
    peephole = ctx.flag("use_peephole", False)
    forget = ctx.number("forget_bias", 0.0 if order == "ifco" else 1.0)
    if forget:
        gates["f"] = ctx.op("Add", gates["f"], ctx.scalar(forget, gates["f"]))
    if peephole:
        gates["i"] = ctx.op("Add", gates["i"], ctx.op("Mul", c, peep_i))
        gates["f"] = ctx.op("Add", gates["f"], ctx.op("Mul", c, peep_f))
    i, f, new = ctx.op("Sigmoid", gates["i"]), ctx.op("Sigmoid", gates["f"]), ctx.op("Tanh", gates["c"])
    state = ctx.op("Add", ctx.op("Mul", new, i), ctx.op("Mul", c, f))
    clip = ctx.number("cell_clip", 0.0 if order == "ifco" else 3.0)
    if clip > 0:
        state = ctx.op("Clip", state, ctx.scalar(-clip, state), ctx.scalar(clip, state))
    if peephole:
        gates["o"] = ctx.op("Add", gates["o"], ctx.op("Mul", state, peep_o))
    o, out = ctx.op("Sigmoid", gates["o"]), ctx.op("Tanh", state)
    return i, state, f, o, new, out, ctx.op("Mul", out, o)


def lstm_cell(ctx: NodeContext) -> tuple[ir.Value, ...]:
    """`LSTMBlockCell`: gates in the order i, c, f, o."""
    x, c, h, *weights = ctx.inputs
    return _lstm_step(ctx, x, c, h, weights, "icfo")


def gru_cell(ctx: NodeContext) -> tuple[ir.Value, ...]:
    """`GRUBlockCell`: r, u, c and h = (1 - u) c + u h, where c sees h only as far as r lets it."""
    x, h, gate_weights, weights, gate_bias, bias = ctx.inputs
    r, u = _parts(ctx, ctx.op("Sigmoid", _product(ctx, x, h, gate_weights, gate_bias)), 2)
    c = ctx.op("Tanh", _product(ctx, x, ctx.op("Mul", h, r), weights, bias))
    fresh = ctx.op("Mul", ctx.op("Sub", ctx.scalar(1, u), u), c)
    return r, u, c, ctx.op("Add", fresh, ctx.op("Mul", u, h))


def _lstm_layer(order: str) -> OpFunction:
    """`BlockLSTM`, `BlockLSTMV2`: every step of x [time, batch, features]; zeros from `seq_len_max` on."""

    def layer(ctx: NodeContext) -> tuple[ir.Value, ...]:
        most, x, c, h, *weights = ctx.inputs
        builder, name, kind = ctx.builder, ctx.node.name, ctx.dtype(x)
        dims = ctx.shape(x)
        going = ctx.const(np.array(True))
        with builder.body(f"{name}/body") as body, builder.source(name):
            number = builder.body_input(f"{name}/step", ir.DataType.INT64, ())
            builder.body_input(f"{name}/going", ir.DataType.BOOL, ())
            states = [
                builder.body_input(f"{name}/{what}", kind, ctx.shape(before)) for what, before in (("c", c), ("h", h))
            ]
            step = ctx.op("Gather", x, number, axis=0)
            if dims is not None:
                step = ctx.ranked(step, 2)
            found = _lstm_step(ctx, step, states[0], states[1], weights, order)
            builder.body_outputs([going, found[1], found[6], *found])
        trips = scalar(ctx, ctx.op("Shape", x, start=0, end=1))
        results = builder.loop(trips, going, [c, h], body)[2:]
        if same_number(builder, trips, most):
            return tuple(results)
        steps = ctx.op("Range", ctx.int64(0), trips, ctx.int64(1))
        there = ctx.op("Unsqueeze", ctx.op("Less", steps, scalar(ctx, as_int64(ctx, most))), ctx.int64([1, 2]))
        return tuple(ctx.op("Where", there, result, ctx.scalar(0, result)) for result in results)

    return layer


OPS: dict[str, OpFunction] = {
    "BlockLSTM": _lstm_layer("icfo"),
    "BlockLSTMV2": _lstm_layer("ifco"),
    "GRUBlockCell": gru_cell,
    "LSTMBlockCell": lstm_cell,
}
