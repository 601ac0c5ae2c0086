"""Layers that move elements about."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise
from math import prod
from typing import Any

import numpy as np
import numpy.typing as npt

from exporter.targets.c_program.call import Call
from exporter.targets.c_program.elements import literal
from exporter.targets.c_program.joins import is_part
from exporter.targets.c_program.loops import collapsed, index, nest
from runtime.kernels import KERNELS

__all__ = ["MOVING"]

_Array = npt.NDArray[Any]


def _moved(
    call: Call, shape: Sequence[int], x: tuple[str, Sequence[int], int], y: tuple[Sequence[int], int]
) -> list[str]:
    """A copy of elements from one place to another."""
    name, from_strides, from_offset = x
    sizes, (a, b) = collapsed(shape, from_strides, y[0])
    return nest(sizes, [f"y[{index(b, y[1])}] = {name}[{index(a, from_offset)}];"])


def _copy(call: Call) -> list[str]:
    """The same elements in another shape, through their common order."""
    name, shape, strides = call.operand(0)
    common = _common(shape, call.y.shape)
    a, b = _divided(shape, strides, common), _divided(call.y.shape, call.y.strides, common)
    return _moved(call, common, (name, a, 0), (b, 0))


def _common(a: Sequence[int], b: Sequence[int]) -> list[int]:
    """A shape of which both shapes are made by joining axes."""
    ends = sorted({prod(a[i:]) for i in range(len(a) + 1)} | {prod(b[i:]) for i in range(len(b) + 1)}, reverse=True)
    if any(big % small for big, small in pairwise(ends)):
        raise NotImplementedError
    return [big // small for big, small in pairwise(ends)]


def _divided(own: Sequence[int], steps: Sequence[int], shape: Sequence[int]) -> list[int]:
    """The strides of a tensor whose axes are divided into those of the shape."""
    strides, axis, left = [0] * len(shape), len(own) - 1, 1
    for i in reversed(range(len(shape))):
        while axis >= 0 and left == own[axis]:
            axis, left = axis - 1, 1
        strides[i] = steps[axis] * left if axis >= 0 else 0
        left *= shape[i]
    return strides


def _transpose(call: Call) -> list[str]:
    name, x = call.x[0]
    order = call.op.attributes.get("perm") or list(reversed(range(len(x.shape))))
    return _moved(call, call.y.shape, (name, [x.strides[axis] for axis in order], 0), (call.y.strides, 0))


def _concat(call: Call) -> list[str]:
    axis = call.op.attributes["axis"] % len(call.y.shape)
    lines, at = [], 0
    for i in range(len(call.op.inputs)):
        name, shape, strides = call.operand(i)
        offset = at * call.y.strides[axis]
        at += shape[axis]
        if i not in call.x or not is_part(call.x[i][1], call.y, offset):
            lines += _moved(call, shape, (name, strides, 0), (call.y.strides, offset))
    return lines


def _slice(call: Call) -> list[str]:
    name, x = call.x[0]
    starts, ends, axes, steps = (call.constant(i) for i in (1, 2, 3, 4))
    assert starts is not None
    assert ends is not None
    where = range(starts.size) if axes is None else axes.ravel().tolist()
    offset, strides = 0, list(x.strides)
    for i, axis in enumerate(where):
        step = 1 if steps is None else int(steps[i])
        first, _, step = slice(int(starts[i]), int(ends[i]), step).indices(x.shape[axis])
        offset += first * x.strides[axis]
        strides[axis] = x.strides[axis] * step
    return _moved(call, call.y.shape, (name, strides, offset), (call.y.strides, 0))


def _expand(call: Call) -> list[str]:
    name, shape, strides = call.operand(0)
    own = (0,) * (len(call.y.shape) - len(shape)) + tuple(
        0 if n == 1 else s for n, s in zip(shape, strides, strict=True)
    )
    return _moved(call, call.y.shape, (name, own, 0), (call.y.strides, 0))


def _by_table(call: Call) -> list[str]:
    """Each output element is one input element, or a constant: found by letting the kernel move numbered elements."""
    name, x = call.x[0]
    numbers = np.arange(prod(x.shape), dtype=np.int64).reshape(x.shape)
    given = [numbers, *(call.constant(i) for i in range(1, len(call.op.inputs)))]
    if call.op.op == "Pad":
        given[2:3] = [np.array(-1)]
    (table,) = KERNELS[call.op.op](given, call.op.attributes)
    axes = [_axis_table(table, numbers, axis) for axis in range(table.ndim)] if table.ndim == numbers.ndim else None
    if axes is None or any(each is None for each in axes):
        raise NotImplementedError
    fill = call.constant(2) if call.op.op == "Pad" else None
    value = literal(0 if fill is None else fill.reshape(-1)[0].item(), x.element)
    lines, indices, tests = [], [], []
    for axis, each in enumerate(axes):
        assert each is not None
        text = ", ".join(str(place) for place in each)
        lines.append(f"    static const int at{axis}[] = {{{text}}};")
        indices.append(f"at{axis}[i{axis}] * {x.strides[axis]}")
        tests += [f"at{axis}[i{axis}] >= 0"] if min(each) < 0 else []
    read = f"{name}[{' + '.join(indices)}]"
    read = f"{' && '.join(tests)} ? {read} : {value}" if tests else read
    return [*lines, *nest(table.shape, [f"y[{index(call.y.strides)}] = {read};"])]


def _axis_table(table: _Array, numbers: _Array, axis: int) -> list[int] | None:
    """Which place along an input axis each place along an output axis shows; -1 for none; None if that isn't so."""
    places = np.where(table < 0, -1, (table // (prod(numbers.shape[axis + 1 :]))) % numbers.shape[axis])
    moved = np.moveaxis(places, axis, 0).reshape(places.shape[axis], -1)
    best = moved.max(axis=1)
    return [int(place) for place in best] if ((moved == best[:, None]) | (moved < 0)).all() else None


def _split_depth(call: Call) -> list[str]:
    """DepthToSpace and SpaceToDepth: a transposition of axes that were split."""
    name, x = call.x[0]
    size = call.op.attributes["blocksize"]
    image, blocks, small_is_x = (call.y, x, False) if call.op.op == "DepthToSpace" else (x, call.y, True)
    n, h, w, _ = blocks.shape
    depth = image.shape[3]
    shape = (n, h, w, size, size, depth)
    s, t = image.strides, blocks.strides
    fine = (s[0], s[1] * size, s[2] * size, s[1], s[2], s[3])
    coarse = (t[0], t[1], t[2], t[3] * size * depth, t[3] * depth, t[3])
    a, b = (fine, coarse) if small_is_x else (coarse, fine)
    return _moved(call, shape, (name, a, 0), (b, 0))


MOVING: dict[str, Callable[[Call], list[str]]] = {
    **dict.fromkeys(["Dropout", "Flatten", "Identity", "Reshape", "Squeeze", "Unsqueeze"], _copy),
    **dict.fromkeys(["Pad", "Tile"], _by_table),
    **dict.fromkeys(["DepthToSpace", "SpaceToDepth"], _split_depth),
    "Concat": _concat,
    "Expand": _expand,
    "Slice": _slice,
    "Transpose": _transpose,
}
"""The code of each op's body; NotImplementedError for a form that isn't there."""
