"""LSTMs whose products are convolutions, unrolled: the number of steps has to be known."""

from __future__ import annotations

from functools import partial

import onnx_ir as ir

from exporter.lower.keras.activations import activate
from exporter.lower.keras.context import LayerContext, Lower, Tensor
from exporter.lower.keras.convolution import convolve

__all__ = ["LAYERS"]


def conv_lstm(ctx: LayerContext, *, rank: int) -> tuple[Tensor, ...]:
    """x[N, T, *space, C]; gates i, f, c, o from a convolution of each step and one of the last result, from zeros."""
    if ctx.mask is not None or len(ctx.xs) > 1 or ctx.argument("initial_state", 1) is not None:
        return ctx.refuse("masks or states to begin with")
    gates = _input_gates(ctx, rank)
    backwards = ctx.settings.flag("go_backwards", False)
    h, c, results = None, None, []
    for gate in reversed(gates) if backwards else gates:
        h, c = _step(ctx, rank, gate, h, c)
        results.append(h)
    assert h is not None and c is not None
    if ctx.settings.flag("return_sequences", False):
        y = ctx.ops.concat([ctx.ops.unsqueeze(_outward(ctx, result), 1) for result in results], 1)
    else:
        y = _outward(ctx, h)
    states = [_outward(ctx, state) for state in (h, c)] if ctx.settings.flag("return_state", False) else []
    return (Tensor(y), *(Tensor(state) for state in states))


def _outward(ctx: LayerContext, x: ir.Value) -> ir.Value:
    return ctx.ops.to_first(x) if ctx.channels_first else x


def _input_gates(ctx: LayerContext, rank: int) -> tuple[ir.Value, ...]:
    """What the input says to the gates at each step, [N, *out, 4 * filters]: one convolution over all steps."""
    ops, filters = ctx.ops, ctx.settings.integer("filters")
    x = ops.move_axis(ctx.x, 2, -1) if ctx.channels_first else ctx.x
    steps, channels = ctx.channels(x, 1), ctx.channels(x)
    space = [ctx.channels(x, axis + 2) for axis in range(rank)]
    size = ctx.settings.integers("kernel_size", rank)
    kernel = ctx.weight("cell/kernel", (*size, channels, 4 * filters))
    bias = ctx.weight("cell/bias", (4 * filters,)) if ctx.settings.flag("use_bias", True) else None
    y = convolve(ctx, ops.reshape(x, [-1, *space, channels]), kernel, bias, size=size, group=1)
    out = [ctx.channels(y, axis + 1) for axis in range(rank)]
    y = ops.reshape(y, [-1, steps, *out, 4 * filters])
    return tuple(ops.squeeze(part, 1) for part in ops.split(y, [1] * steps, 1))


def _step(
    ctx: LayerContext, rank: int, gates: ir.Value, h: ir.Value | None, c: ir.Value | None
) -> tuple[ir.Value, ir.Value]:
    """c = f c + i g; h = o act(c)."""
    ops, filters = ctx.ops, ctx.settings.integer("filters")
    size = ctx.settings.integers("kernel_size", rank)
    if h is not None:
        kernel = ctx.weight("cell/recurrent_kernel", (*size, filters, 4 * filters))
        reach = [n - 1 for n in size]
        pads = [*[n // 2 for n in reach], *[n - n // 2 for n in reach]]
        gates = ops("Add", gates, ops("Conv", h, kernel, None, pads=pads))
    parts = ops.split(gates, [filters] * 4, -1)
    inner, outer = ctx.settings.raw("recurrent_activation", "hard_sigmoid"), ctx.settings.raw("activation", "tanh")
    i, f, o = (activate(ctx, parts[gate], inner) for gate in (0, 1, 3))
    new = ops("Mul", i, activate(ctx, parts[2], outer))
    c = new if c is None else ops("Add", ops("Mul", f, c), new)
    return ops("Mul", o, activate(ctx, c, outer)), c


LAYERS: dict[str, Lower] = {f"ConvLSTM{rank}D": partial(conv_lstm, rank=rank) for rank in (1, 2, 3)}
