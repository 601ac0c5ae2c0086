"""Zero padding as part of the convolution or of the maximum pool after it."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from exporter.ir.edit import constant_array, remove_dead
from exporter.ir.ops import is_op
from exporter.ir.signs import is_not_negative

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
    if source is None or source.shape is None:
        return None
    if "mode" in pad.attributes and pad.attributes["mode"].as_string() != "constant":
        return None
    if len(pad.inputs) > 2 and pad.inputs[2] is not None:
        filling = constant_array(pad.inputs[2])
        if filling is None or np.any(filling != 0):
            return None
    automatic = conv.attributes.get("auto_pad")
    if automatic is not None and automatic.as_string() not in ("NOTSET", "VALID"):
        return None
    rank = len(source.shape)
    added = constant_array(pad.inputs[1])
    axes = constant_array(pad.inputs[3]) if len(pad.inputs) > 3 and pad.inputs[3] is not None else np.arange(rank)
    if added is None or axes is None:
        return None
    widths = np.zeros((2, rank), np.int64)  # before and after each axis
    widths[:, axes] = added.reshape(2, -1)
    if np.any(widths < 0) or np.any(widths[:, [0, -1]]):
        return None
    own = conv.attributes.get("pads")
    before = np.zeros_like(widths[:, 1:-1]) if own is None else np.array(own.as_ints()).reshape(2, -1)
    pads = before + widths[:, 1:-1]
    if is_op(conv, "MaxPool"):
        # each window has an element of the tensor itself
        meet = "ceil_mode" not in conv.attributes and np.all(pads < conv.attributes["kernel_shape"].as_ints())
        if not meet or not is_not_negative(source):
            return None
    if automatic is not None:
        del conv.attributes["auto_pad"]
    return source, [int(i) for i in pads.reshape(-1)]
