"""Tables of layers as papers print them: one row of text for a layer, tuples of rows for branches.

"Conv2d_1a_3x3 32 /2 valid"     32 channels, kernel 3 x 3 (from the name), stride 2
"Conv2d_1a_1x1 384 3x3 /2"      a kernel of its own, where the name tells another
"MaxPool_3a_3x3 /2 valid"       pools have no channels; AvgPool likewise
(("a 64",), ("b 48", "c 64"))   two branches, concatenated
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from exporter.zoo.net import Net
from exporter.zoo.program import Tensor

__all__ = ["Row", "Rows", "branches", "chain", "fan"]

_KERNEL = re.compile(r"(\d+)x(\d+)$")

Row = str | tuple[str, ...]
"""A layer; or layers side by side, whose results are concatenated."""

Rows = Sequence[Row]

Depth = Callable[[int], int]


def _as_is(depth: int) -> int:
    return depth


@dataclass(frozen=True, slots=True)
class _Layer:
    """A row taken apart."""

    name: str
    kind: Literal["conv", "max", "mean"]
    channels: int = 0
    kernel: tuple[int, int] = (1, 1)
    stride: int = 1
    changes: dict[str, Any] = field(default_factory=dict)


def chain(net: Net, x: Tensor, rows: Rows, depth: Depth = _as_is) -> Tensor:
    """One layer after the other; `depth` scales their channels."""
    for row in rows:
        x = fan(net, x, row, depth) if isinstance(row, tuple) else _layer(net, x, _parse(row), depth)
    return x


def fan(net: Net, x: Tensor, rows: Sequence[str], depth: Depth = _as_is) -> Tensor:
    """Layers side by side on x, concatenated."""
    return net.concat([_layer(net, x, _parse(row), depth) for row in rows])


def branches(net: Net, x: Tensor, table: Sequence[Rows], depth: Depth = _as_is) -> Tensor:
    """Chains on x in scopes Branch_0, Branch_1, ..., concatenated."""
    results = []
    for number, rows in enumerate(table):
        with net.scope(f"Branch_{number}"):
            results.append(chain(net, x, rows, depth))
    return net.concat(results)


def _layer(net: Net, x: Tensor, layer: _Layer, depth: Depth) -> Tensor:
    if layer.kind == "conv":
        return net.conv(layer.name, x, depth(layer.channels), layer.kernel, stride=layer.stride, **layer.changes)
    mean = layer.kind == "mean"
    return net.pool(layer.name, x, layer.kernel[0], stride=layer.stride, mean=mean, **layer.changes)


def _parse(row: str) -> _Layer:
    name, *words = row.split()
    lower = name.rpartition("/")[2].lower()
    kind: Literal["conv", "max", "mean"] = "conv"
    if "pool" in lower:
        kind = "mean" if lower.startswith("avg") else "max"
    settings: dict[str, Any] = {}
    in_name = _KERNEL.search(name)
    if in_name:
        settings["kernel"] = _kernel(in_name)
    for word in words:
        kernel = _KERNEL.match(word)
        if kernel:
            settings["kernel"] = _kernel(kernel)
        elif word.startswith("/"):
            settings["stride"] = int(word[1:])
        elif word in ("same", "valid"):
            settings["changes"] = {"padding": word}
        else:
            settings["channels"] = int(word)
    return _Layer(name, kind, **settings)


def _kernel(match: re.Match[str]) -> tuple[int, int]:
    return int(match[1]), int(match[2])
