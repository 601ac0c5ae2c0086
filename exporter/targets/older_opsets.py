"""How ops that mean what they mean at opset 18 are written in older opsets (and Gelu before there was one).

What has no other way of being said is left as it is, for `opsets.check_opset` to find.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import onnx_ir as ir

from exporter.targets.call import Call, Rule, Target
from exporter.targets.decompositions import gelu, hard_swish, layer_normalization, mish, trilu

__all__ = ["rule_for"]


def rule_for(op_type: str, opset: int) -> Rule | None:
    """How to write an op at an opset; None if as at opset 18."""
    below, rule = RULES.get(op_type, (0, None))
    return rule if opset < below else None


def _reduce(target: Target, call: Call) -> Sequence[ir.Value]:
    """The axes are an attribute."""
    axes = call.constant(1)
    if call.input(1) is not None and axes is None:
        return target.append(call)
    attributes = {"keepdims": call.plain("keepdims", 1)}
    if axes is not None and axes.size:
        attributes["axes"] = [int(axis) for axis in axes.ravel()]
    elif call.plain("noop_with_empty_axes", 0):
        return target.append(call)
    return target.last(call, call.op_type, call.input(0), **attributes)


def _split(target: Target, call: Call) -> Sequence[ir.Value]:
    """Parts of equal size need no number; the last may be smaller only if the sizes are given."""
    count, x = call.plain("num_outputs", None), call.input(0)
    axis = call.plain("axis", 0)
    size = x.shape[axis] if x is not None and x.shape is not None else None
    if count is None or not isinstance(size, int):
        return target.append(call)
    if size % count == 0:
        return target.append(call.without("num_outputs"))
    part = -(-size // count)
    sizes = target.ints([part] * (count - 1) + [size - part * (count - 1)])
    return target.last(call, "Split", x, sizes, axis=axis)


def _pad(target: Target, call: Call) -> Sequence[ir.Value]:
    """The pads are for all axes."""
    axes, pads, x = call.constant(3), call.constant(1), call.input(0)
    if axes is None or pads is None or x is None or x.shape is None:
        return target.append(call)
    rank, count = len(x.shape), axes.size
    full = np.zeros(2 * rank, np.int64)
    places = axes.ravel() % rank
    full[places], full[places + rank] = pads[:count], pads[count:]
    return target.last(call, "Pad", x, target.ints(full.tolist()), call.input(2), mode=call.plain("mode", "constant"))


def _resize(target: Target, call: Call) -> Sequence[ir.Value]:
    """No antialiasing, the scales or sizes of all axes, the ratio not kept."""
    defaults = {"antialias": 0, "keep_aspect_ratio_policy": "stretch"}
    plain = call.without(*(name for name, value in defaults.items() if call.plain(name, value) == value))
    x, axes = call.input(0), call.plain("axes", None)
    if axes is None or x is None or x.shape is None:
        return target.append(plain)
    inputs = list(call.inputs)
    sizes = np.array(x.shape.numpy(), np.int64) if x.shape.is_static() else None
    for index, neutral in ((2, np.ones(len(x.shape), np.float32)), (3, sizes)):
        given = call.constant(index)
        if given is not None and given.size and neutral is not None:
            neutral[list(axes)] = given
            inputs[index] = target.array(neutral, f"{call.name}/all_axes")
        elif call.input(index) is not None:
            return target.append(plain)
    return target.last(call, "Resize", *inputs, **plain.without("axes").attributes)


def _shape(target: Target, call: Call) -> Sequence[ir.Value]:
    """All sizes, then a slice of them."""
    start, end = call.plain("start", 0), call.plain("end", np.iinfo(np.int64).max)
    if (start, end) == (0, np.iinfo(np.int64).max):
        return target.append(call.without("start"))
    sizes = target.step(call, "Shape", call.input(0))
    return target.last(call, "Slice", sizes, target.ints([start]), target.ints([end]), target.ints([0]))


def _cast_like(target: Target, call: Call) -> Sequence[ir.Value]:
    """A cast to the type, which is known here."""
    like = call.input(1)
    if like is None or like.dtype is None:
        return target.append(call)
    return target.last(call, "Cast", call.input(0), to=like.dtype.value)


def _without_default(name: str, default: object) -> Rule:
    """An attribute that came later, but says nothing here."""

    def rule(target: Target, call: Call) -> Sequence[ir.Value]:
        return target.append(call.without(name) if call.plain(name, default) == default else call)

    return rule


_REDUCTIONS = ["L1", "L2", "LogSum", "LogSumExp", "Max", "Mean", "Min", "Prod", "SumSquare"]

RULES: dict[str, tuple[int, Rule]] = {
    **dict.fromkeys((f"Reduce{name}" for name in _REDUCTIONS), (18, _reduce)),
    "CastLike": (15, _cast_like),
    "GRU": (14, _without_default("layout", 0)),
    "Gelu": (20, gelu),
    "HardSwish": (14, hard_swish),
    "LSTM": (14, _without_default("layout", 0)),
    "LayerNormalization": (17, layer_normalization),
    "Mish": (18, mish),
    "Pad": (18, _pad),
    "RNN": (14, _without_default("layout", 0)),
    "Reshape": (14, _without_default("allowzero", 0)),
    "Resize": (18, _resize),
    "ScatterElements": (16, _without_default("reduction", "none")),
    "ScatterND": (16, _without_default("reduction", "none")),
    "Shape": (15, _shape),
    "Split": (18, _split),
    "Trilu": (14, trilu),
}
"""For each op the opset from which on it needs no rule, and the rule."""
