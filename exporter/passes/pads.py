"""Zero padding as part of the convolution or of the maximum pool after it."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from exporter.ir.edit import constant_array, remove_dead
from exporter.ir.ops import is_op
from exporter.ir.signs import is_not_negative
from exporter.passes.affine.affine_map import Array

__all__ = ["merge_pads"]


def merge_pads(model: ir.Model) -> None:
    """Conv(Pad(x)) becomes Conv(x) with larger pads, if the Pad adds zeros to spatial axes only and takes nothing away.

    So does MaxPool(Pad(x)) where x is never negative: the padding of the pool itself never wins, and zeros then don't
    either, as long as no window has nothing else. Other pools are left alone. A Pad that others use too stays for them.
    """
    for node in list(model.graph):
        if not is_op(node, "Conv", "MaxPool"):
            continue
        while (merged := _merged(node)) is not None:
            source, pads = merged
            node.replace_input_with(0, source)
            node.attributes["pads"] = ir.AttrInt64s("pads", pads)
    remove_dead(model)


def _merged(conv: ir.Node) -> tuple[ir.Value, list[int]] | None:
    """What the convolution or pool can read directly, and its pads then."""
    pad = None if conv.inputs[0] is None else conv.inputs[0].producer()
    if pad is None or not is_op(pad, "Pad") or pad.graph is not conv.graph:
        return None
    source = pad.inputs[0]
    if source is None or source.shape is None or not _adds_zeros(pad):
        return None
    automatic = conv.attributes.get("auto_pad")
    if automatic is not None and automatic.as_string() not in ("NOTSET", "VALID"):
        return None
    widths = _widths(pad, len(source.shape))
    if widths is None or np.any(widths < 0) or np.any(widths[:, [0, -1]]):
        return None
    own = conv.attributes.get("pads")
    before = np.zeros_like(widths[:, 1:-1]) if own is None else np.array(own.as_ints()).reshape(2, -1)
    pads = before + widths[:, 1:-1]
    if is_op(conv, "MaxPool") and not (_all_windows_meet(conv, pads) and is_not_negative(source)):
        return None
    if automatic is not None:
        del conv.attributes["auto_pad"]
    return source, [int(i) for i in pads.reshape(-1)]


def _all_windows_meet(pool: ir.Node, pads: Array) -> bool:
    """Whether each window has an element of the tensor itself, with these pads [2, space]."""
    return "ceil_mode" not in pool.attributes and bool(np.all(pads < pool.attributes["kernel_shape"].as_ints()))


def _adds_zeros(pad: ir.Node) -> bool:
    if "mode" in pad.attributes and pad.attributes["mode"].as_string() != "constant":
        return False
    if len(pad.inputs) < 3 or pad.inputs[2] is None:
        return True
    value = constant_array(pad.inputs[2])
    return value is not None and bool(np.all(value == 0))


def _widths(pad: ir.Node, rank: int) -> Array | None:
    """[2, rank]: what is added before and after each axis."""
    pads = constant_array(pad.inputs[1])
    axes = constant_array(pad.inputs[3]) if len(pad.inputs) > 3 and pad.inputs[3] is not None else np.arange(rank)
    if pads is None or axes is None:
        return None
    widths = np.zeros((2, rank), np.int64)
    widths[:, axes] = pads.reshape(2, -1)
    return widths
