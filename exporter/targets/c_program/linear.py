"""Convolutions and dense layers as calls of the shared kernels."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from exporter.targets.c_program.layers import Layer, is_depthwise, window_of
from exporter.targets.c_program.loops import collapsed, number
from exporter.targets.c_program.specialise import Fixed
from exporter.targets.c_program.tensors import Tensor
from exporter.targets.c_program.weights import packed, padded
from exporter.targets.c_program.winograd import is_winograd, spread_kernels, tiles_of

__all__ = ["Linear", "Store", "linear_code"]

_Array = npt.NDArray[Any]

_FEW_WEIGHTS = 5_000
"""Numbers that stay in the cache nearest to the processor, whatever else is read."""

_LARGE_WEIGHTS = 700_000
_CACHED = 350_000
"""Bytes: weights from which on they are read once, and input that stays in the cache with smaller ones."""


class Store(Protocol):
    """Puts an array among the weights, in float16 if it is to be, and returns the C expression of its address."""

    def __call__(self, array: _Array, half: bool = False) -> str: ...


@dataclass(frozen=True)
class Linear:
    """The body of a layer's function, the multiply-adds in it, and which kernel it calls."""

    lines: list[str]
    macs: int
    kernel: str


def linear_code(
    layer: Layer,
    fixed: Fixed,
    x: Tensor,
    y: Tensor,
    r: Tensor | None,
    store: Store,
    prefix: str,
    *,
    rows: bool = False,
) -> Linear:
    """The code of a convolution or a dense layer.

    Args:
        layer: What to calculate.
        fixed: All shapes and constants.
        x, y, r: Where its input, output and residual are.
        store: Puts an array among the weights.
        prefix: What the program's names begin with.
        rows: Whether only so many rows are calculated as the variable `rows` says.
    """
    if layer.op.op != "Conv":
        return _dense(layer, fixed, x, y, r, store, prefix)
    if is_depthwise(layer.op, fixed) and r is None:
        return _depthwise(layer, fixed, x, y, store, prefix, rows=rows)
    if is_winograd(layer.op, window_of(layer.op, fixed), fixed):
        return _winograd(layer, fixed, x, y, r, store, prefix)
    return _convolution(layer, fixed, x, y, r, store, prefix, rows=rows)


def _bias(layer: Layer, fixed: Fixed, channels: int) -> _Array:
    name = layer.op.inputs[2] if len(layer.op.inputs) > 2 else ""
    return fixed.constants[name] if name else np.zeros(channels, np.float32)


def _image(tensor: Tensor) -> tuple[list[int], list[int]]:
    """Shape and strides [N, H, W, C] of an image or of a row [N, W, C]."""
    if len(tensor.shape) == 4:
        return list(tensor.shape), list(tensor.strides)
    (n, w, c), (a, b, d) = tensor.shape, tensor.strides
    return [n, 1, w, c], [a, 0, b, d]


@dataclass(frozen=True)
class _Geometry:
    """Kernel sizes, steps and pads of two axes; where the first tap is, and where each run begins."""

    taps: list[int]
    run: int
    origin: int
    row: int
    col: int


def _geometry(layer: Layer, fixed: Fixed, x: Tensor, channels: int, *, joined: bool) -> _Geometry:
    win = window_of(layer.op, fixed)
    one = len(win.kernel) == 1
    (kh, kw), (sh, sw), (dh, dw) = ((1, *each) if one else each for each in (win.kernel, win.strides, win.dilations))
    top, left = (0, win.pads[0][0]) if one else (win.pads[0][0], win.pads[1][0])
    _, (_, row, col, _) = _image(x)
    together = joined and dw == 1 and col == channels
    columns = [0] if together else [v * dw * col for v in range(kw)]
    taps = [u * dh * row + v for u in range(kh) for v in columns]
    return _Geometry(taps, channels * (kw if together else 1), -(top * row + left * col), sh * row, sw * col)


def _convolution(
    layer: Layer, fixed: Fixed, x: Tensor, y: Tensor, r: Tensor | None, store: Store, prefix: str, *, rows: bool
) -> Linear:
    w = fixed.constants[layer.op.inputs[1]]
    *kernel, c, m = w.shape
    group = layer.op.attributes.get("group", 1)
    bias = _bias(layer, fixed, m)
    g = _geometry(layer, fixed, x, c, joined=group == 1)
    (n, oh, ow, _), ys = _image(y)
    rs = _image(r)[1] if r is not None else [0] * 4
    xs = _image(x)[1]
    each = m // group
    depth = prod(kernel) * c
    size = abs(g.row) * oh * 4
    whole = depth * each * 4 > _LARGE_WEIGHTS or size <= _CACHED
    block = oh * ow if whole else max(ow, _CACHED * oh * ow // size)
    block = 0 if depth * each <= _FEW_WEIGHTS else block
    lines = [
        f"    static const int tap[] = {{{', '.join(map(str, g.taps))}}};",
        f"    {'' if rows else 'static '}const {prefix}_conv g = {{",
        f"        {'rows' if rows else oh}, {ow}, {len(g.taps)}, {g.run}, {each}, {g.row}, {g.col},",
        f"        {ys[1]}, {ys[2]}, {rs[1]}, {rs[2]},",
        f"        {block}, tap, {number(layer.low)}, {number(layer.high)}}};",
    ]
    half = layer.op.inputs[1] in fixed.halves
    for i in range(group):
        part = w[..., i * each : (i + 1) * each].reshape(depth, each)
        call = (
            f"{prefix}{'_half' if half else ''}_convolve(&g, {_at('x0', xs[0], n, g.origin + i * c)},"
            f" {store(packed(part), half)},"
            f" {store(padded(bias[i * each : (i + 1) * each]))},"
            f" {_at('r', rs[0], n, i * each) if r is not None else 'NULL'}, {_at('y', ys[0], n, i * each)});"
        )
        lines.append(f"    for (int i = 0; i < {n}; i++) {call}" if n > 1 else f"    {call}")
    return Linear(lines, n * oh * ow * depth * m, "half" if half else "convolution")


def _winograd(layer: Layer, fixed: Fixed, x: Tensor, y: Tensor, r: Tensor | None, store: Store, prefix: str) -> Linear:
    """The same with a quarter of the multiplications; `s` is its working memory."""
    w = fixed.constants[layer.op.inputs[1]]
    *_, c, m = w.shape
    g = _geometry(layer, fixed, x, c, joined=False)
    (n, oh, ow, _), ys = _image(y)
    rs = _image(r)[1] if r is not None else [0] * 4
    across, tiles, block = tiles_of((oh, ow))
    call = (
        f"{prefix}_winograd(&g, {_at('x0', _image(x)[1][0], n, g.origin)}, {store(spread_kernels(w))},"
        f" {store(_bias(layer, fixed, m))}, {store(np.zeros(m, np.float32))},"
        f" {_at('r', rs[0], n, 0) if r is not None else 'NULL'}, {_at('y', ys[0], n, 0)}, s);"
    )
    lines = [
        f"    static const {prefix}_wino g = {{",
        f"        {across}, {tiles}, {oh}, {ow}, {c}, {m}, {g.row}, {g.col}, {ys[1]}, {ys[2]}, {rs[1]}, {rs[2]},",
        f"        {block}, {number(layer.low)}, {number(layer.high)}}};",
        f"    for (int i = 0; i < {n}; i++) {call}" if n > 1 else f"    {call}",
    ]
    return Linear(lines, n * oh * ow * 9 * c * m, "winograd")


def _at(name: str, stride: int, count: int, offset: int) -> str:
    moved = f"{name} + i * {stride}" if count > 1 else name
    return moved if not offset else f"{moved} {'-' if offset < 0 else '+'} {abs(offset)}"


def _depthwise(layer: Layer, fixed: Fixed, x: Tensor, y: Tensor, store: Store, prefix: str, *, rows: bool) -> Linear:
    w = fixed.constants[layer.op.inputs[1]]
    channels = w.shape[-1]
    g = _geometry(layer, fixed, x, channels, joined=False)
    (n, oh, ow, _), ys = _image(y)
    call = (
        f"{prefix}_depthwise(&g, {_at('x0', _image(x)[1][0], n, g.origin)}, {store(w.reshape(-1, channels))},"
        f" {store(_bias(layer, fixed, channels))}, {_at('y', ys[0], n, 0)});"
    )
    lines = [
        f"    static const int tap[] = {{{', '.join(map(str, g.taps))}}};",
        f"    {'' if rows else 'static '}const {prefix}_depth g = {{",
        f"        {'rows' if rows else oh}, {ow}, {len(g.taps)}, {channels}, {g.row}, {g.col}, {ys[1]}, {ys[2]}, tap,",
        f"        {number(layer.low)}, {number(layer.high)}}};",
        f"    for (int i = 0; i < {n}; i++) {call}" if n > 1 else f"    {call}",
    ]
    return Linear(lines, n * oh * ow * channels * len(g.taps), "depthwise")


def _dense(layer: Layer, fixed: Fixed, x: Tensor, y: Tensor, r: Tensor | None, store: Store, prefix: str) -> Linear:
    """Rows of numbers times a matrix: a convolution of single pixels."""
    w = fixed.constants[layer.op.inputs[1]]
    depth, m = w.shape
    given = [x.strides[:-1], y.strides[:-1], *([r.strides[:-1]] if r is not None else [])]
    sizes, steps = collapsed(x.shape[:-1], *given)
    while len(sizes) < 2:
        sizes.insert(0, 1)
        for each in steps:
            each.insert(0, 0)
    if len(sizes) > 2:
        raise NotImplementedError
    (xr, xc), (yr, yc), (rr, rc) = (*steps, *([[0, 0]] if r is None else []))
    half = layer.op.inputs[1] in fixed.halves
    bias, added = store(padded(_bias(layer, fixed, m))), "r" if r is not None else "NULL"
    lines = [
        "    static const int tap[] = {0};",
        f"    static const {prefix}_conv g = {{",
        f"        {sizes[0]}, {sizes[1]}, 1, {depth}, {m}, {xr}, {xc}, {yr}, {yc}, {rr}, {rc},",
        f"        {prod(sizes)}, tap, {number(layer.low)}, {number(layer.high)}}};",
        f"    {prefix}{'_half' if half else ''}_convolve(&g, x0, {store(packed(w), half)}, {bias}, {added}, y);",
    ]
    return Linear(lines, prod(sizes) * depth * m, "half" if half else "convolution")
