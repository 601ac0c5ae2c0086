"""Recurrent layers of cuDNN, whose weights are one vector."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import prod
from typing import Any

import onnx_ir as ir

from exporter.lower.tf.context import NodeContext, OpFunction, RefusalError
from exporter.lower.tf.vectors import cast

__all__ = ["OPS"]


@dataclass(frozen=True, slots=True)
class _Kind:
    """A kind of layer: ONNX's op, the places of ONNX's gates among cuDNN's, and the op's attributes."""

    op_type: str
    gates: tuple[int, ...]
    attributes: dict[str, Any]


_KINDS = {
    "lstm": _Kind("LSTM", (0, 3, 1, 2), {}),
    "gru": _Kind("GRU", (1, 0, 2), {"linear_before_reset": 1}),
    "rnn_relu": _Kind("RNN", (0,), {"activations": ["Relu"]}),
    "rnn_tanh": _Kind("RNN", (0,), {"activations": ["Tanh"]}),
}
"""cuDNN's gates of an LSTM are i, f, c, o and of a GRU r, z, n; ONNX's i, o, f, c and z, r, n."""


@dataclass(frozen=True, slots=True)
class _Layers:
    """How the layers are built: `ways` is 2 for both directions, `features` the width of the input."""

    kind: _Kind
    count: int
    ways: int
    units: int
    features: int

    @classmethod
    def of(cls, ctx: NodeContext, x: ir.Value, state: ir.Value) -> _Layers:
        """Those of a node with time-major input and state [layers * ways, batch, units]; refused where not known."""
        mode, direction = ctx.text("rnn_mode", "lstm"), ctx.text("direction", "unidirectional")
        ways = {"unidirectional": 1, "bidirectional": 2}.get(direction)
        if mode not in _KINDS or ways is None:
            raise RefusalError(f"rnn_mode is {mode!r}, direction is {direction!r}")
        sizes = (ctx.shape(state) or (None,) * 3)[::2] + (ctx.shape(x) or (None,) * 3)[2:]
        rows, units, features = (size if isinstance(size, int) else None for size in sizes)
        if rows is None or units is None or features is None or rows % ways:
            raise RefusalError("how many layers it has of how many units is not known")
        skips = {"linear_input": False, "skip_input": True, "auto_select": features == units}
        if skips.get(ctx.text("input_mode", "linear_input"), True) or ctx.integer("num_proj", 0):
            raise RefusalError("its input has no weights, or its output is projected")
        return cls(_KINDS[mode], rows // ways, ways, units, features)

    def width(self, layer: int) -> int:
        """The width of a layer's input."""
        return self.features if layer == 0 else self.ways * self.units


def _pieces(ctx: NodeContext, layers: _Layers, params: ir.Value) -> Iterator[tuple[ir.Value, ir.Value, ir.Value]]:
    """For each layer ONNX's W, R and B: cuDNN has all matrices before all biases, in each direction by input, state."""
    gates, units = len(layers.kind.gates), layers.units
    place = 0
    first_bias = sum(layers.ways * gates * units * (layers.width(i) + units) for i in range(layers.count))

    def taken(start: int, *shape: int) -> ir.Value:
        part = ctx.op("Slice", params, ctx.int64([start]), ctx.int64([start + prod(shape)]))
        whole = ctx.op("Reshape", part, ctx.int64(shape))
        return ctx.op("Gather", whole, ctx.int64(layers.kind.gates), axis=0)

    for layer in range(layers.count):
        matrices: list[list[ir.Value]] = [[], [], []]
        for way in range(layers.ways):
            for found, width in zip(matrices, (layers.width(layer), units), strict=False):
                found.append(ctx.op("Reshape", taken(place, gates, units, width), ctx.int64([1, -1, width])))
                place += gates * units * width
            start = first_bias + 2 * gates * units * (layer * layers.ways + way)
            both = [taken(start + i * gates * units, gates, units) for i in (0, 1)]
            matrices[2].append(ctx.op("Reshape", ctx.op("Concat", *both, axis=0), ctx.int64([1, -1])))
        w, r, b = (parts[0] if layers.ways == 1 else ctx.op("Concat", *parts, axis=0) for parts in matrices)
        yield w, r, b


def _swapped(ctx: NodeContext, value: ir.Value, *, swap: bool) -> ir.Value:
    """The value with its first two axes in the other order, if asked for."""
    return ctx.op("Transpose", value, perm=[1, 0, 2]) if swap else value


def recurrent(ctx: NodeContext) -> tuple[ir.Value, ...]:
    """`CudnnRNN`, `CudnnRNNV2`, `CudnnRNNV3`: all steps of all layers, and the states after the last one."""
    swap = ctx.node.op == "CudnnRNNV3" and not ctx.flag("time_major", True)
    x, h, c = (_swapped(ctx, value, swap=swap) for value in ctx.inputs[:3])
    layers = _Layers.of(ctx, x, h)
    lengths = cast(ctx, ctx.inputs[4], ir.DataType.INT32) if len(ctx.inputs) > 4 else None
    states: list[list[ir.Value]] = [[], []]
    for layer, (w, r, b) in enumerate(_pieces(ctx, layers, ctx.inputs[3])):
        x, *last = _layer(ctx, layers, layer, (x, w, r, b, lengths), (h, c))
        for found, state in zip(states, last, strict=False):
            found.append(state)
    after = [_stacked(ctx, found) if found else given for found, given in zip(states, (h, c), strict=True)]
    return tuple(_swapped(ctx, value, swap=swap) for value in (x, *after))


def _layer(
    ctx: NodeContext, layers: _Layers, number: int, inputs: Sequence[ir.Value | None], before: tuple[ir.Value, ir.Value]
) -> tuple[ir.Value, ...]:
    """One layer's steps [time, batch, ways * units], and its states [ways, batch, units] after the last one."""
    first, end = ctx.int64([number * layers.ways]), ctx.int64([(number + 1) * layers.ways])
    kind = layers.kind
    count = 2 if kind.op_type == "LSTM" else 1
    given = [ctx.op("Slice", state, first, end, ctx.int64([0])) for state in before[:count]]
    direction = "bidirectional" if layers.ways == 2 else "forward"
    attributes = {**kind.attributes, "hidden_size": layers.units, "direction": direction}
    if "activations" in attributes:
        attributes["activations"] = attributes["activations"] * layers.ways
    y, *states = ctx.builder.op_n(kind.op_type, count + 1, *inputs, *given, **attributes)
    if layers.ways == 1:
        return ctx.op("Squeeze", y, ctx.int64([1])), *states
    beside = ctx.op("Transpose", y, perm=[0, 2, 1, 3])
    return ctx.op("Reshape", beside, ctx.int64([0, 0, 2 * layers.units])), *states


def _stacked(ctx: NodeContext, states: Sequence[ir.Value]) -> ir.Value:
    return states[0] if len(states) == 1 else ctx.op("Concat", *states, axis=0)


def to_params(ctx: NodeContext) -> ir.Value:
    """`CudnnRNNCanonicalToParams`: all matrices, then all biases, as one vector."""
    return ctx.op("Concat", *(ctx.op("Reshape", part, ctx.int64([-1])) for part in ctx.inputs[3:]), axis=0)


OPS: dict[str, OpFunction] = {
    "CudnnRNN": recurrent,
    "CudnnRNNCanonicalToParams": to_params,
    "CudnnRNNCanonicalToParamsV2": to_params,
    "CudnnRNNV2": recurrent,
    "CudnnRNNV3": recurrent,
}
