"""Strides, dilations and padding of Keras's convolutions and pools."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import onnx_ir as ir

from exporter.lower.keras.ops import Ops
from exporter.nn.windows import extents, same_padding

__all__ = ["padding_attributes"]


def padding_attributes(
    ops: Ops, x: ir.Value, padding: str, kernel: Sequence[int], strides: Sequence[int], dilations: Sequence[int]
) -> dict[str, Any]:
    """`pads` for a window over x[N, *space, C]; `auto_pad` where `same` depends on sizes that aren't known.

    Same: ceil(size / stride) positions, the odd zero at the end. Causal: all zeros before. Valid: none.
    """
    reach = extents(kernel, dilations)
    if padding == "valid":
        return {"pads": [0] * (2 * len(kernel))}
    if padding == "causal":
        return {"pads": [*[extent - 1 for extent in reach], *[0] * len(reach)]}
    sizes = [ops.size(x, axis + 1) for axis in range(len(kernel))]
    return same_padding(sizes, reach, strides)
