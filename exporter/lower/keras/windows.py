"""Strides, dilations and padding of Keras's convolutions and pools."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import onnx_ir as ir

from exporter.ir.gaps import without_last_gap
from exporter.lower.keras.ops import Ops

__all__ = ["padding_attributes", "window_input"]


def window_input(
    ops: Ops, x: ir.Value, pads: Mapping[str, Any], reach: Sequence[int], strides: Sequence[int]
) -> ir.Value:
    """What windows with these attributes go over: where it is padded at run time, without what lies in the last gap."""
    return without_last_gap(ops.builder, x, reach, strides) if "auto_pad" in pads else x


def padding_attributes(
    ops: Ops, x: ir.Value, padding: str, kernel: Sequence[int], strides: Sequence[int], dilations: Sequence[int]
) -> dict[str, Any]:
    """`pads` for a window over x[N, *space, C]; `auto_pad` where `same` depends on sizes that aren't known.

    Same: ceil(size / stride) positions, the odd zero at the end. Causal: all zeros before. Valid: none.
    """
    reach = [dilation * (size - 1) for size, dilation in zip(kernel, dilations, strict=True)]
    if padding == "valid":
        return {"pads": [0] * (2 * len(kernel))}
    if padding == "causal":
        return {"pads": [*reach, *[0] * len(reach)]}
    sizes = [ops.size(x, axis + 1) for axis in range(len(kernel))]
    totals = [_same_total(size, extent, stride) for size, extent, stride in zip(sizes, reach, strides, strict=True)]
    known = [total for total in totals if total is not None]
    if len(known) < len(totals):
        return {"auto_pad": "SAME_UPPER"}
    return {"pads": [*[total // 2 for total in known], *[total - total // 2 for total in known]]}


def _same_total(size: object, reach: int, stride: int) -> int | None:
    """How many zeros there are along one axis; None where that depends on an unknown size."""
    if stride == 1 or reach == 0:
        return reach
    if not isinstance(size, int):
        return None
    return max((-(-size // stride) - 1) * stride + reach + 1 - size, 0)
