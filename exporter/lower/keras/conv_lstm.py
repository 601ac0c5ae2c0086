"""LSTMs whose products are convolutions: unrolled where the number of steps is known, else a loop."""

from __future__ import annotations

from functools import partial

import numpy as np
import onnx_ir as ir

from exporter.lower.keras.activations import activate
from exporter.lower.keras.context import LayerContext, Lower, Tensor
from exporter.lower.keras.convolution import convolve
from exporter.sources.keras_model import flatten

__all__ = ["LAYERS"]


def conv_lstm(ctx: LayerContext, *, rank: int) -> tuple[Tensor, ...]:
    """x[N, T, *space, C]; gates i, f, c, o from a convolution of each step and one of the last result."""
    ops, mask = ctx.ops, ctx.mask
    sequence, *beside = ctx.xs
    given = [leaf.value for leaf in flatten(ctx.argument("initial_state", 1)) if isinstance(leaf, Tensor)]
    initial = [ops.to_last(state) if ctx.channels_first else state for state in beside or given]
    if len(initial) not in (0, 2):
        return ctx.refuse(f"{len(initial)} states to begin with, expected two")
    gates = _input_gates(ctx, rank, sequence)
    backwards = ctx.settings.flag("go_backwards", False)
    if mask is None and not initial and isinstance(ops.size(gates, 1), int):
        results, h, c = _unrolled(ctx, rank, gates, backwards=backwards)
    else:
        results, h, c = _looped(ctx, rank, gates, mask, initial, backwards=backwards)
    wants_all = ctx.settings.flag("return_sequences", False)
    y = _outward(ctx, results, channel_axis=2) if wants_all else _outward(ctx, h)
    states = [_outward(ctx, state) for state in (h, c)] if ctx.settings.flag("return_state", False) else []
    return (Tensor(y, mask if wants_all else None), *(Tensor(state) for state in states))


def _outward(ctx: LayerContext, x: ir.Value, channel_axis: int = 1) -> ir.Value:
    return ctx.ops.move_axis(x, -1, channel_axis) if ctx.channels_first else x


def _input_gates(ctx: LayerContext, rank: int, x: ir.Value) -> ir.Value:
    """What the input says to the gates at each step, [N, T, *out, 4 * filters]: one convolution over all steps."""
    ops, filters = ctx.ops, ctx.settings.integer("filters")
    x = ops.move_axis(x, 2, -1) if ctx.channels_first else x
    batch, steps, *space = [ops.size(x, axis) for axis in range(rank + 2)]
    channels = ctx.channels(x)
    size = ctx.settings.integers("kernel_size", rank)
    kernel = ctx.weight("cell/kernel", (*size, channels, 4 * filters))
    bias = ctx.weight("cell/bias", (4 * filters,)) if ctx.settings.flag("use_bias", True) else None
    y = convolve(ctx, ops.reshape(x, [-1, *space, channels]), kernel, bias, size=size, group=1)
    out = [ops.size(y, axis + 1) for axis in range(rank)]
    known = all(isinstance(each, int) for each in (steps, *out))
    return ops.reshape(y, [-1 if known else batch, steps, *out, 4 * filters])


def _unrolled(ctx: LayerContext, rank: int, gates: ir.Value, *, backwards: bool) -> tuple[ir.Value, ir.Value, ir.Value]:
    """From zeros, step after step: the results at the steps of the run, the last one, and the last cell state."""
    ops, steps = ctx.ops, ctx.channels(gates, 1)
    parts = [ops.squeeze(part, 1) for part in ops.split(gates, [1] * steps, 1)]
    h, c, results = None, None, []
    for part in reversed(parts) if backwards else parts:
        h, c = _step(ctx, rank, part, h, c)
        results.append(h)
    assert h is not None and c is not None
    wants_all = ctx.settings.flag("return_sequences", False)
    return ops.concat([ops.unsqueeze(each, 1) for each in results], 1) if wants_all else h, h, c


def _looped(
    ctx: LayerContext,
    rank: int,
    gates: ir.Value,
    mask: ir.Value | None,
    initial: list[ir.Value],
    *,
    backwards: bool,
) -> tuple[ir.Value, ir.Value, ir.Value]:
    """The same as a loop over the steps; a masked step leaves the states as they are and repeats the last result."""
    ops, builder = ctx.ops, ctx.ops.builder
    time_first = ops.transpose(gates, [1, 0, *range(2, rank + 3)])
    kept = None if mask is None else _mask_by_step(ctx, rank, mask)
    if backwards:
        time_first, kept = ops.reverse(time_first, 0), None if kept is None else ops.reverse(kept, 0)
    h, c = initial or [_zeros(ctx, rank, gates)] * 2
    previous = _zeros(ctx, rank, gates)
    trips = ops.squeeze(ops.vector([ops.size(time_first, 0)]), 0)
    name = f"{ctx.name}/body"
    with builder.body(name) as graph, builder.source(ctx.name):
        step = builder.body_input(f"{name}/step", ir.DataType.INT64, ())
        going = builder.body_input(f"{name}/going", ir.DataType.BOOL, ())
        before = [
            builder.body_input(f"{name}/{label}", value.dtype, builder.shape(value))
            for label, value in (("h", h), ("c", c), ("result", previous))
        ]
        new_h, new_c = _step(ctx, rank, ops("Gather", time_first, step, axis=0), before[0], before[1])
        result = new_h
        if kept is not None:
            here = ops("Gather", kept, step, axis=0)
            result = ops("Where", here, new_h, before[2])
            new_h, new_c = (ops("Where", here, new, old) for new, old in ((new_h, before[0]), (new_c, before[1])))
        builder.body_outputs([going, new_h, new_c, result, result])
    h, c, last, stacked = builder.loop(trips, builder.constant(np.array(True)), [h, c, previous], graph)
    return ops.transpose(stacked, [1, 0, *range(2, rank + 3)]), last if kept is not None else h, c


def _mask_by_step(ctx: LayerContext, rank: int, mask: ir.Value) -> ir.Value:
    """A mask [N, T] as [T, N, 1, ...], to choose between states."""
    return ctx.ops.unsqueeze(ctx.ops.transpose(mask, [1, 0]), *range(2, rank + 3))


def _zeros(ctx: LayerContext, rank: int, gates: ir.Value) -> ir.Value:
    """A state of zeros, [N, *out, filters]."""
    ops = ctx.ops
    sizes = [ops.size(gates, axis) for axis in (0, *range(2, rank + 2))]
    zero = np.zeros(1, ops.dtype(gates).numpy())
    return ops("ConstantOfShape", ops.vector([*sizes, ctx.settings.integer("filters")]), value=zero)


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
