"""The cells of recurrent layers over a whole sequence: LSTM, GRU and simple ones as ONNX's ops, and stacks of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import onnx_ir as ir

from exporter.errors import CorruptError
from exporter.lower.keras.activations import activation_name
from exporter.lower.keras.context import LayerContext
from exporter.lower.keras.sequences import compact
from exporter.sources.keras_config import read_layer
from exporter.sources.keras_model import KerasLayer
from exporter.sources.keras_settings import Settings

__all__ = ["Cell", "Run", "cells_of", "run", "state_count"]

_ACTIVATIONS: Mapping[str, tuple[str, float | None, float | None]] = {
    "elu": ("Elu", 1.0, None),
    "leaky_relu": ("LeakyRelu", 0.2, None),
    "linear": ("LeakyRelu", 1.0, None),
    "relu": ("Relu", None, None),
    "sigmoid": ("Sigmoid", None, None),
    "softplus": ("Softplus", None, None),
    "softsign": ("Softsign", None, None),
    "tanh": ("Tanh", None, None),
}


@dataclass(frozen=True, slots=True)
class Cell:
    """A cell: its kind (`LSTM`, `GRU`, `SimpleRNN`), settings, and the path of its weights from the layer's.

    `cudnn` says that the weights are laid out as the GPU library takes them: each gate's kernel [F, H] holds the
    numbers of its transpose in their order, the recurrent one [H, H] is transposed, and there are biases for the input
    and for the recurrence.
    """

    kind: str
    settings: Settings
    path: str
    cudnn: bool = False

    @property
    def units(self) -> int:
        """How many units the cell has."""
        return self.settings.integer("units")

    def named(self, weight: str) -> str:
        """The path of a weight from the layer's."""
        return f"{self.path}/{weight}" if self.path else weight


@dataclass(frozen=True, slots=True)
class Run:
    """What a cell gives: its results at each step of the input, [N, T, H], and its last states, [N, H] each."""

    sequence: ir.Value
    states: tuple[ir.Value, ...]


def cells_of(ctx: LayerContext, layer: KerasLayer, path: str) -> list[Cell]:
    """The cells of a recurrent layer, several where it is a stack of them; `path` is where its weights begin."""
    if layer.class_name in ("LSTM", "GRU", "SimpleRNN"):
        return [Cell(layer.class_name, layer.settings, f"{path}cell")]
    if layer.class_name in ("CuDNNLSTM", "CuDNNGRU"):
        return [Cell(layer.class_name.removeprefix("CuDNN"), layer.settings, path.rstrip("/"), cudnn=True)]
    if layer.class_name != "RNN":
        return ctx.refuse(f"a recurrent layer of class {layer.class_name[:60]!r}")
    cell = read_layer(layer.settings.inner("cell"), layer.settings.owner)
    if cell.class_name == "StackedRNNCells":
        inner = [read_layer(each, cell.settings.owner) for each in cell.settings.raw("cells") or []]
        return [_cell(ctx, each, f"{path}cell/{each.name}") for each in inner]
    return [_cell(ctx, cell, f"{path}cell")]


def _cell(ctx: LayerContext, layer: KerasLayer, path: str) -> Cell:
    kind = layer.class_name.removesuffix("Cell")
    if kind not in _RUNS or layer.origin != "keras":
        return ctx.refuse(f"a cell of class {layer.class_name[:60]!r}")
    return Cell(kind, layer.settings, path)


def state_count(cell: Cell) -> int:
    """How many states a cell has."""
    return 2 if cell.kind == "LSTM" else 1


def run(
    ctx: LayerContext,
    cell: Cell,
    x: ir.Value,
    mask: ir.Value | None,
    initial: Sequence[ir.Value] | None,
    *,
    backwards: bool,
) -> Run:
    """A cell over x[N, T, F], from the last step to the first if backwards; results stay at their steps."""
    ops = ctx.ops
    if ops.rank(x) != 3:
        raise CorruptError(f"{ctx.settings.owner}: its input has rank {ops.rank(x)}, expected 3")
    packed = None if mask is None else compact(ops, x, mask)
    steps = ops.transpose(x if packed is None else packed.x, [1, 0, 2])
    starts = [ops.unsqueeze(state, 0) for state in initial or ()]
    lengths = None if packed is None else packed.lengths
    y, *states = _RUNS[cell.kind](ctx, cell, steps, lengths, starts, "reverse" if backwards else "forward")
    sequence = ops.transpose(ops.squeeze(y, 1), [1, 0, 2])
    if packed is not None:
        sequence = packed.spread(ops, sequence, backwards=backwards)
    return Run(sequence, tuple(ops.squeeze(state, 0) for state in states))


_Results = tuple[ir.Value, ...]
_Run = Callable[[LayerContext, Cell, ir.Value, ir.Value | None, Sequence[ir.Value], str], _Results]


def _lstm(
    ctx: LayerContext, cell: Cell, x: ir.Value, lengths: ir.Value | None, starts: Sequence[ir.Value], direction: str
) -> _Results:
    """Keras has the gates in the order i, f, c, o; ONNX i, o, f, c."""
    order = (0, 3, 1, 2)
    w, r = _matrices(ctx, cell, x, 4, order)
    bias = None
    if cell.cudnn:
        stored = ctx.ops.reshape(ctx.weight(cell.named("bias"), (8 * cell.units,)), [2, 4 * cell.units])
        bias = ctx.ops.reshape(_ordered(ctx, stored, cell.units, order, 1), [1, 8 * cell.units])
    elif cell.settings.flag("use_bias", True):
        stored = ctx.weight(cell.named("bias"), (4 * cell.units,))
        bias = _bias(ctx, _ordered(ctx, stored, cell.units, order, 0), None)
    inner, outer = (
        _activation(ctx, cell, "recurrent_activation", "sigmoid"),
        _activation(ctx, cell, "activation", "tanh"),
    )
    attributes = _attributes([inner, outer, outer])
    inputs = [x, w, r, bias, lengths, *_optional(starts, 2)]
    return ctx.ops.builder.op_n("LSTM", 3, *inputs, hidden_size=cell.units, direction=direction, **attributes)


def _gru(
    ctx: LayerContext, cell: Cell, x: ir.Value, lengths: ir.Value | None, starts: Sequence[ir.Value], direction: str
) -> _Results:
    """Gates z, r, h in both; with reset_after there is a bias for the input and one for the recurrence."""
    ops, units = ctx.ops, cell.units
    w, r = _matrices(ctx, cell, x, 3, (0, 1, 2))
    after = cell.cudnn or cell.settings.flag("reset_after", False)
    bias = None
    if cell.cudnn:
        bias = ops.unsqueeze(ctx.weight(cell.named("bias"), (6 * units,)), 0)
    elif cell.settings.flag("use_bias", True) and after:
        stored = ctx.weight(cell.named("bias"), (2, 3 * units))
        bias = ops.reshape(stored, [1, 6 * units])
    elif cell.settings.flag("use_bias", True):
        bias = _bias(ctx, ctx.weight(cell.named("bias"), (3 * units,)), None)
    inner, outer = (
        _activation(ctx, cell, "recurrent_activation", "sigmoid"),
        _activation(ctx, cell, "activation", "tanh"),
    )
    return ops.builder.op_n(
        "GRU",
        2,
        *[x, w, r, bias, lengths, *_optional(starts, 1)],
        hidden_size=units,
        direction=direction,
        linear_before_reset=int(after),
        **_attributes([inner, outer]),
    )


def _simple(
    ctx: LayerContext, cell: Cell, x: ir.Value, lengths: ir.Value | None, starts: Sequence[ir.Value], direction: str
) -> _Results:
    w, r = _matrices(ctx, cell, x, 1, (0,))
    biased = cell.settings.flag("use_bias", True)
    bias = _bias(ctx, ctx.weight(cell.named("bias"), (cell.units,)), None) if biased else None
    attributes = _attributes([_activation(ctx, cell, "activation", "tanh")])
    inputs = [x, w, r, bias, lengths, *_optional(starts, 1)]
    return ctx.ops.builder.op_n("RNN", 2, *inputs, hidden_size=cell.units, direction=direction, **attributes)


_RUNS: Mapping[str, _Run] = {"GRU": _gru, "LSTM": _lstm, "SimpleRNN": _simple}


def _optional(values: Sequence[ir.Value], count: int) -> list[ir.Value | None]:
    return [values[i] if i < len(values) else None for i in range(count)]


def _matrices(
    ctx: LayerContext, cell: Cell, x: ir.Value, gates: int, order: Sequence[int]
) -> tuple[ir.Value, ir.Value]:
    """Kernel [F, G * H] and recurrent kernel [H, G * H] as W[1, G * H, F] and R[1, G * H, H], gates in that order."""
    ops, units = ctx.ops, cell.units
    kernel = ctx.weight(cell.named("kernel"), (ctx.channels(x), gates * units))
    recurrent = ctx.weight(cell.named("recurrent_kernel"), (units, gates * units))
    if cell.cudnn:
        parts = ops.split(kernel, [units] * gates, 1)
        w = ops.concat([ops.reshape(parts[gate], [units, ctx.channels(x)]) for gate in order], 0)
        rows = ops.split(recurrent, [units] * gates, 1)
        return ops.unsqueeze(w, 0), ops.unsqueeze(ops.concat([rows[gate] for gate in order], 0), 0)
    w, r = (_ordered(ctx, matrix, units, order, 1) for matrix in (kernel, recurrent))
    return ops.unsqueeze(ops.transpose(w, [1, 0]), 0), ops.unsqueeze(ops.transpose(r, [1, 0]), 0)


def _ordered(ctx: LayerContext, x: ir.Value, units: int, order: Sequence[int], axis: int) -> ir.Value:
    if list(order) == sorted(order):
        return x
    parts = ctx.ops.split(x, [units] * len(order), axis)
    return ctx.ops.concat([parts[gate] for gate in order], axis)


def _bias(ctx: LayerContext, of_input: ir.Value, of_recurrence: ir.Value | None) -> ir.Value:
    """Both biases [G * H] as B[1, 2 * G * H]; the recurrence has none by default."""
    if of_recurrence is None:
        zeros = np.zeros(ctx.channels(of_input), ctx.ops.dtype(of_input).numpy())
        of_recurrence = ctx.ops.builder.constant(zeros)
    return ctx.ops.unsqueeze(ctx.ops.concat([of_input, of_recurrence], 0), 0)


def _activation(ctx: LayerContext, cell: Cell, key: str, default: str) -> tuple[str, float | None, float | None]:
    name = activation_name(cell.settings.raw(key, default))
    if name == "hard_sigmoid":
        return "HardSigmoid", 0.2 if ctx.major < 3 else 1 / 6, 0.5
    if name not in _ACTIVATIONS:
        return ctx.refuse(f"{key} {name[:60]!r} in a recurrent layer")
    return _ACTIVATIONS[name]


def _attributes(activations: Sequence[tuple[str, float | None, float | None]]) -> dict[str, object]:
    """ONNX's attributes: alphas and betas are handed out in order to those functions that take one."""
    attributes: dict[str, object] = {"activations": [name for name, _, _ in activations]}
    alphas = [alpha for _, alpha, _ in activations if alpha is not None]
    betas = [beta for _, _, beta in activations if beta is not None]
    if alphas:
        attributes["activation_alpha"] = alphas
    if betas:
        attributes["activation_beta"] = betas
    return attributes
