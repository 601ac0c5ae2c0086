"""Pools, resizing and transposed convolutions."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import product
from math import prod
from typing import Any

import numpy as np
import numpy.typing as npt

from exporter.targets.c_program.call import Call
from exporter.targets.c_program.layers import window_of
from exporter.targets.c_program.loops import index, nest, number
from runtime.kernels import KERNELS

__all__ = ["WINDOWS"]

_Array = npt.NDArray[Any]


def _pool(call: Call) -> list[str]:
    name, x = call.x[0]
    win = window_of(call.op, call.fixed)
    largest = call.op.op == "MaxPool"
    inside = not call.op.attributes.get("count_include_pad", 0)
    n, *out, c = call.y.shape
    rank = len(out)
    lines = [f"for (int i0 = 0; i0 < {n}; i0++) {{"]
    indent = 1
    for axis, size in enumerate(out):
        pad = "    " * indent
        stride, first, dilation = win.strides[axis], win.pads[axis][0], win.dilations[axis]
        lines.append(f"{pad}for (int o{axis} = 0; o{axis} < {size}; o{axis}++) {{")
        lines.append(f"{pad}    const int s{axis} = o{axis} * {stride} - {first};")
        lines.append(f"{pad}    int b{axis} = 0, e{axis} = {win.kernel[axis]};")
        lines.append(f"{pad}    while (s{axis} + b{axis} * {dilation} < 0) b{axis}++;")
        lines.append(f"{pad}    while (s{axis} + (e{axis} - 1) * {dilation} >= {x.shape[axis + 1]}) e{axis}--;")
        indent += 1
    pad = "    " * indent
    to = index(call.y.strides[: rank + 1], 0, ["i0", *(f"o{axis}" for axis in range(rank))])
    lines.append(f"{pad}float *to = y + {to};")
    fill = "-INFINITY" if largest else "0.0f"
    lines.append(f"{pad}for (int c = 0; c < {c}; c++) to[c] = {fill};")
    lines += [f"{pad}{'    ' * i}for (int t{i} = b{i}; t{i} < e{i}; t{i}++) {{" for i in range(rank)]
    deep = pad + "    " * rank
    places = [f"(s{axis} + t{axis} * {win.dilations[axis]})" for axis in range(rank)]
    lines.append(f"{deep}const float *from = {name} + {index(x.strides[: rank + 1], 0, ['i0', *places])};")
    better = "to[c] = to[c] > from[c] || to[c] != to[c] ? to[c] : from[c];" if largest else "to[c] += from[c];"
    lines.append(f"{deep}for (int c = 0; c < {c}; c++) {better}")
    lines += [f"{pad}{'    ' * axis}}}" for axis in reversed(range(rank))]
    if not largest:
        count = " * ".join(f"(e{axis} - b{axis})" for axis in range(rank)) if inside else str(prod(win.kernel))
        lines.append(f"{pad}for (int c = 0; c < {c}; c++) to[c] /= (float)({count});")
    lines += ["    " * level + "}" for level in reversed(range(indent))]
    return ["    " + line for line in lines]


def _resize(call: Call) -> list[str]:
    """Along each axis a few weighted elements; the tables are what the kernel makes of a unit matrix."""
    name, x = call.x[0]
    scaled = [axis for axis in range(len(x.shape)) if _axis_weights(call, axis) is not None]
    tables, lines = [], []
    for axis in range(len(x.shape)):
        weights = _axis_weights(call, axis)
        if weights is None:
            continue
        width = max(1, int(np.max(np.count_nonzero(weights, axis=1))))
        order = np.argsort(-np.abs(weights), axis=1, kind="stable")[:, :width]
        values = np.take_along_axis(weights, order, axis=1)
        lines.append(f"    static const int at{axis}[] = {{{', '.join(str(v) for v in order.ravel().tolist())}}};")
        if not (values == 1).all():
            text = ", ".join(number(float(v)) for v in values.ravel())
            lines.append(f"    static const float by{axis}[] = {{{text}}};")
        tables.append((axis, width, bool((values == 1).all())))
    terms = []
    for taps in product(*(range(width) for _, width, _ in tables)):
        places, factors = [], []
        for (axis, width, plain), tap in zip(tables, taps, strict=True):
            at = f"i{axis} * {width} + {tap}" if width > 1 else f"i{axis}"
            places.append(f"at{axis}[{at}] * {x.strides[axis]}")
            factors += [] if plain else [f"by{axis}[{at}]"]
        still = [i for i in range(len(x.shape)) if i not in scaled and x.shape[i] > 1]
        places += [f"i{i} * {x.strides[i]}" if x.strides[i] != 1 else f"i{i}" for i in still]
        terms.append(" * ".join([*factors, f"{name}[{' + '.join(places)}]"]))
    return [*lines, *nest(call.y.shape, [f"y[{index(call.y.strides)}] = {' + '.join(terms)};"])]


def _axis_weights(call: Call, axis: int) -> _Array | None:
    """[out, in] for one axis; None if nothing changes along it."""
    size = call.x[0][1].shape[axis]
    attributes = {key: value for key, value in call.op.attributes.items() if key != "axes"}
    where = list(call.op.attributes.get("axes") or range(len(call.y.shape)))
    if axis not in where:
        return None
    scales, sizes = call.constant(2), call.constant(3)
    place = where.index(axis)
    given: list[Any] = [np.eye(size, dtype=np.float32), None, None, None]
    if sizes is not None and sizes.size:
        given[3] = np.array([int(sizes[place]), size])
    else:
        assert scales is not None
        given[2] = np.array([scales[place], 1.0], np.float32)
    (weights,) = KERNELS["Resize"](given, attributes)
    return None if weights.shape == (size, size) and np.array_equal(weights, np.eye(size)) else weights


def _conv_transpose(call: Call) -> list[str]:
    """Each input pixel adds its kernel to the output, which begins as the bias."""
    name, x = call.x[0]
    w = call.constant(1)
    attributes = call.op.attributes
    rank = len(x.shape) - 2
    if w is None or attributes.get("auto_pad", "NOTSET") != "NOTSET":
        raise NotImplementedError
    group = attributes.get("group", 1)
    strides = attributes.get("strides") or [1] * rank
    dilations = attributes.get("dilations") or [1] * rank
    pads = attributes.get("pads") or [0] * (2 * rank)
    *kernel, m, c = w.shape  # of a group: its outputs, and the inputs of all
    each = c // group
    weights = call.store(np.ascontiguousarray(np.moveaxis(w, -1, -2)))  # [*kernel, C, M / group]
    axes = [f"i{1 + axis}" for axis in range(rank)]
    taps = [f"i{1 + rank + axis}" for axis in range(rank)]
    places = [
        f"({i} * {s} + {t} * {d} - {p})" for i, s, t, d, p in zip(axes, strides, taps, dilations, pads, strict=False)
    ]
    tests = " || ".join(f"{p} < 0 || {p} >= {n}" for p, n in zip(places, call.y.shape[1:-1], strict=True))
    flat = index(_packed([*kernel, c * m])[:-1], 0, taps)
    t = x.element.c
    inner = [f"for (int c = 0; c < {each}; c++, p += {m}) for (int o = 0; o < {m}; o++) to[o] += from[c] * p[o];"]
    if group > 1:
        inner = [f"for (int g = 0; g < {group}; g++, from += {each}, to += {m})", "    " + inner[0]]
    body = [
        f"if ({tests}) continue;",
        f"const {t} *from = {name} + {index(x.strides[:-1], 0, ['i0', *axes])}, *p = {weights} + {flat};",
        f"{t} *to = y + {index(call.y.strides[:-1], 0, ['i0', *places])};",
        *inner,
    ]
    return [*_filled_with_bias(call), *nest([*x.shape[:-1], *kernel], body)]


def _filled_with_bias(call: Call) -> list[str]:
    last = f"i{len(call.y.shape) - 1}"
    value = "0.0f"
    if call.has(2):
        bias, _, strides = call.operand(2)
        value = f"{bias}[{last} * {strides[0]}]"
    return nest(call.y.shape, [f"y[{index(call.y.strides)}] = {value};"])


def _conv(call: Call) -> list[str]:
    """Convolutions of three axes, and those whose weights depend on the input: each tap adds its products."""
    name, x = call.x[0] if 0 in call.x else (call.operand(0)[0], None)
    if x is None:
        raise NotImplementedError
    w, w_shape, w_strides = call.operand(1)
    win = window_of(call.op, call.fixed)
    group, rank = call.op.attributes.get("group", 1), len(win.kernel)
    c, m = w_shape[-2], w_shape[-1] // group
    axes = [f"i{1 + axis}" for axis in range(rank)]
    taps = [f"i{1 + rank + axis}" for axis in range(rank)]
    places = [
        f"({i} * {s} + {t} * {d} - {p[0]})"
        for i, s, t, d, p in zip(axes, win.strides, taps, win.dilations, win.pads, strict=True)
    ]
    tests = [
        f"{place} < 0 || {place} >= {n}"
        for place, n, pads in zip(places, x.shape[1:-1], win.pads, strict=True)
        if any(pads)
    ]
    t = x.element.c
    product = f"to[o * {call.y.strides[-1]}] += v * p[c * {w_strides[-2]} + o * {w_strides[-1]}];"
    inner = [
        f"for (int c = 0; c < {c}; c++) {{",
        f"    const {t} v = from[c * {x.strides[-1]}];",
        f"    for (int o = 0; o < {m}; o++) {product}",
        "}",
    ]
    if group > 1:
        steps = f"from += {c * x.strides[-1]}, p += {m * w_strides[-1]}, to += {m * call.y.strides[-1]}"
        inner = [f"for (int g = 0; g < {group}; g++, {steps}) {{", *("    " + line for line in inner), "}"]
    body = [
        *([f"if ({' || '.join(tests)}) continue;"] if tests else []),
        f"const {t} *from = {name} + {index(x.strides[:-1], 0, ['i0', *places])};",
        f"const {t} *p = {w} + {index(w_strides[:-2], 0, taps)};",
        f"{t} *to = y + {index(call.y.strides[:-1], 0, ['i0', *axes])};",
        *inner,
    ]
    return [*_filled_with_bias(call), *nest([*call.y.shape[:-1], *win.kernel], body)]


def _packed(shape: Sequence[int]) -> tuple[int, ...]:
    return tuple(prod(shape[i + 1 :]) for i in range(len(shape)))


WINDOWS: dict[str, Callable[[Call], list[str]]] = {
    **dict.fromkeys(["AveragePool", "MaxPool"], _pool),
    "Conv": _conv,
    "ConvTranspose": _conv_transpose,
    "Resize": _resize,
}
"""The code of each op's body; NotImplementedError for a form that isn't there."""
