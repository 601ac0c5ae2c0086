"""Recurrent layers, in one direction and in both."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import onnx_ir as ir

from exporter.lower.keras.cells import Run, cells_of, run, state_count
from exporter.lower.keras.context import LayerContext, Lower, Tensor
from exporter.sources.keras_config import read_layer
from exporter.sources.keras_model import KerasLayer, flatten
from exporter.sources.keras_settings import Settings

__all__ = ["LAYERS"]


@dataclass(frozen=True, slots=True)
class _Way:
    """One layer over the input: results at their steps, the last result, the states, and how it was run."""

    sequence: ir.Value
    last: ir.Value
    states: tuple[ir.Value, ...]
    backwards: bool


def recurrent(ctx: LayerContext) -> tuple[Tensor, ...]:
    """The results at all steps or the last, and the states on request; backwards ones begin with the last step."""
    x, initial = _inputs(ctx)
    mask = _followed_mask(ctx, initial)
    way = _one_way(ctx, ctx.layer, "", x, mask, initial, zero_masked=ctx.settings.flag("zero_output_for_mask", False))
    if ctx.settings.flag("return_sequences", False):
        y = ctx.ops.reverse(way.sequence, 1) if way.backwards else way.sequence
        result = Tensor(y, ctx.mask)
    else:
        result = Tensor(way.last)
    states = way.states if ctx.settings.flag("return_state", False) else ()
    return (result, *(Tensor(state) for state in states))


def bidirectional(ctx: LayerContext) -> tuple[Tensor, ...]:
    """A layer and its mirror image, merged; both at the steps of the input."""
    x, initial = _inputs(ctx)
    forward = read_layer(ctx.settings.inner("layer"), ctx.settings.owner)
    given = ctx.settings.raw("backward_layer")
    backward = _mirrored(forward) if given is None else read_layer(given, ctx.settings.owner)
    sequences = forward.settings.flag("return_sequences", False)
    half = None if initial is None else len(initial) // 2
    starts = [None, None] if initial is None else [initial[:half], initial[half:]]
    followed = _followed_mask(ctx, initial)
    there = _one_way(ctx, forward, "forward_layer/", x, followed, starts[0], zero_masked=sequences)
    back = _one_way(ctx, backward, "backward_layer/", x, followed, starts[1], zero_masked=sequences)
    if sequences:
        first = ctx.ops.reverse(there.sequence, 1) if there.backwards else there.sequence
        second = back.sequence if back.backwards else ctx.ops.reverse(back.sequence, 1)
    else:
        first, second = there.last, back.last
    mask = ctx.mask if sequences else None
    results = [Tensor(value, mask) for value in _merged(ctx, first, second)]
    states = (*there.states, *back.states) if forward.settings.flag("return_state", False) else ()
    return (*results, *(Tensor(state) for state in states))


def _merged(ctx: LayerContext, first: ir.Value, second: ir.Value) -> list[ir.Value]:
    mode = ctx.settings.raw("merge_mode", "concat")
    if mode is None:
        return [first, second]
    if mode == "concat":
        return [ctx.ops.concat([first, second], -1)]
    if mode == "ave":
        return [ctx.ops.compute("Mul", ctx.ops("Add", first, second), 0.5)]
    ops: Mapping[object, str] = {"sum": "Add", "mul": "Mul"}
    return [ctx.ops(ops[mode], first, second)] if mode in ops else ctx.refuse(f"merge_mode {mode!r}")


def _mirrored(layer: KerasLayer) -> KerasLayer:
    values = {**layer.settings.values, "go_backwards": not layer.settings.flag("go_backwards", False)}
    return KerasLayer(layer.name, layer.class_name, layer.origin, Settings(layer.settings.owner, values))


def _one_way(
    ctx: LayerContext,
    layer: KerasLayer,
    path: str,
    x: ir.Value,
    mask: ir.Value | None,
    initial: Sequence[ir.Value] | None,
    *,
    zero_masked: bool,
) -> _Way:
    settings = layer.settings
    settings.refuse("time_major")
    if settings.flag("stateful", False):
        ctx.findings.warn(f"layer {ctx.name} is stateful: the exported model begins with zero states on every call")
    backwards = settings.flag("go_backwards", False)
    states: list[ir.Value] = []
    left = None if initial is None else list(initial)
    done = Run(x, ())
    for cell in cells_of(ctx, layer, path):
        start = None if left is None else [left.pop(0) for _ in range(min(state_count(cell), len(left)))]
        done = run(ctx, cell, done.sequence, mask, start, backwards=backwards)
        states += done.states
    sequence, last = done.sequence, done.states[0]
    if zero_masked and mask is not None:
        sequence, last = _zero_masked(ctx, mask, sequence, last, settings)
    return _Way(sequence, last, tuple(states), backwards)


def _zero_masked(
    ctx: LayerContext, mask: ir.Value, sequence: ir.Value, last: ir.Value, settings: Settings
) -> tuple[ir.Value, ir.Value]:
    """Results [N, T, H] and the last of them [N, H], with zeros at masked steps, as `zero_output_for_mask` wants.

    The last step is the one that is run last. Where steps are unrolled and run backwards, Keras zeroes the results in
    the order that they are run in, and by the mask in the order of the input.
    """
    ops = ctx.ops
    backwards = settings.flag("go_backwards", False)
    run_last = ops.slice(mask, 1, 0, 1) if backwards else ops.slice(mask, 1, -1)
    if backwards and settings.flag("unroll", False):
        mask = ops.reverse(mask, 1)
    zero = ops.scalar(0, sequence)
    return ops("Where", ops.unsqueeze(mask, -1), sequence, zero), ops("Where", run_last, last, zero)


def _followed_mask(ctx: LayerContext, initial: Sequence[ir.Value] | None) -> ir.Value | None:
    """The mask that the steps go by; Keras 3 hands it on to layers of one tensor alone, not where states are given."""
    left_out = ctx.major >= 3 and initial is not None and not isinstance(ctx.kwargs.get("mask"), Tensor)
    return None if left_out else ctx.mask


def _inputs(ctx: LayerContext) -> tuple[ir.Value, list[ir.Value] | None]:
    """The sequence and the states to begin with: Keras 2 puts both into one list."""
    if ctx.argument("constants", 9) or ctx.settings.raw("num_constants"):
        ctx.refuse("constants beside the sequence")
    given: Any = ctx.argument("initial_state", 1)
    states = [leaf.value for leaf in flatten(given) if isinstance(leaf, Tensor)]
    first, *rest = ctx.xs
    states = rest or states
    return first, states or None


LAYERS: dict[str, Lower] = {
    "Bidirectional": bidirectional,
    "CuDNNGRU": recurrent,
    "CuDNNLSTM": recurrent,
    "GRU": recurrent,
    "LSTM": recurrent,
    "RNN": recurrent,
    "SimpleRNN": recurrent,
}
