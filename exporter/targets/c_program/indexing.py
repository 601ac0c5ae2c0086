"""Layers that choose elements by numbers that are known when the program runs, or give such numbers."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from exporter.targets.c_program.call import Call
from exporter.targets.c_program.elements import literal
from exporter.targets.c_program.loops import index, nest
from exporter.targets.c_program.specialise import Fixed, Op

__all__ = ["INDEXING", "checks"]

_INDICES = {"Gather": 1, "GatherElements": 1, "GatherND": 1, "ScatterElements": 1, "ScatterND": 1}
"""Which input of an op is indices of another."""


def checks(op: Op, fixed: Fixed) -> bool:
    """Whether the indices aren't known before, so that the layer says whether all of them were inside."""
    return op.op in _INDICES and op.inputs[_INDICES[op.op]] not in fixed.constants


def _begin(call: Call) -> list[str]:
    return ["    int bad = 0;"] if checks(call.op, call.fixed) else []


def _end(call: Call) -> list[str]:
    return ["    return bad;"] if checks(call.op, call.fixed) else []


def _place(call: Call, name: str, value: str, size: int) -> list[str]:
    """A variable with an index: a negative one counts from the end, one outside is told of and becomes 0."""
    lines = [f"int64_t {name} = {value};", f"if ({name} < 0) {name} += {size};"]
    if checks(call.op, call.fixed):
        lines.append(f"if ({name} < 0 || {name} >= {size}) {name} = 0, bad = 1;")
    return lines


def _names(first: int, count: int) -> list[str]:
    return [f"i{i}" for i in range(first, first + count)]


def _gather(call: Call) -> list[str]:
    """Slices along an axis, in the order of the indices."""
    x, shape, strides = call.operand(0)
    axis = call.op.attributes.get("axis", 0) % len(shape)
    indices, i_shape, i_strides = call.operand(1)
    outer, inner = shape[:axis], shape[axis + 1 :]
    before, here = _names(0, axis), _names(axis, len(i_shape))
    after = _names(axis + len(i_shape), len(inner))
    copied = f"{x}[{index((*strides[:axis], strides[axis], *strides[axis + 1 :]), 0, [*before, 'k', *after])}]"
    innermost = nest(inner, [f"y[{index(call.y.strides)}] = {copied};"], 0, axis + len(i_shape))
    body = [*_place(call, "k", f"{indices}[{index(i_strides, 0, here)}]", shape[axis]), *innermost]
    return [*_begin(call), *nest([*outer, *i_shape], body), *_end(call)]


def _gather_elements(call: Call) -> list[str]:
    """Each index replaces one coordinate of its own place."""
    x, shape, strides = call.operand(0)
    axis = call.op.attributes.get("axis", 0) % len(shape)
    indices, i_shape, i_strides = call.operand(1)
    names = ["k" if i == axis else f"i{i}" for i in range(len(shape))]
    place = _place(call, "k", f"{indices}[{index(i_strides)}]", shape[axis])
    body = [*place, f"y[{index(call.y.strides)}] = {x}[{index(strides, 0, names)}];"]
    return [*_begin(call), *nest(i_shape, body), *_end(call)]


def _gather_nd(call: Call) -> list[str]:
    """The last axis of the indices are coordinates, after those of the batch."""
    x, shape, strides = call.operand(0)
    indices, i_shape, i_strides = call.operand(1)
    batch, depth = call.op.attributes.get("batch_dims", 0), i_shape[-1]
    outer, inner = i_shape[:-1], shape[batch + depth :]
    body = _places(call, indices, i_strides, shape[batch : batch + depth])
    names = [*_names(0, batch), *(f"k{d}" for d in range(depth)), *_names(len(outer), len(inner))]
    copied = f"y[{index(call.y.strides)}] = {x}[{index(strides, 0, names)}];"
    body += nest(inner, [copied], 0, len(outer))
    return [*_begin(call), *nest(outer, body), *_end(call)]


def _places(call: Call, indices: str, strides: Sequence[int], sizes: Sequence[int]) -> list[str]:
    """The coordinates k0, k1, ... of the indices at i0, i1, ..."""
    lines = []
    for d, size in enumerate(sizes):
        where = index(strides[:-1], d * strides[-1])
        lines += _place(call, f"k{d}", f"{indices}[{where}]", size)
    return lines


def _copied(call: Call) -> list[str]:
    """y is x before anything is scattered into it."""
    x, shape, strides = call.operand(0)
    return nest(shape, [f"y[{index(call.y.strides)}] = {x}[{index(strides)}];"])


def _update(call: Call, target: str, value: str) -> list[str]:
    how, element = call.op.attributes.get("reduction", "none"), call.y.element
    if how == "none":
        return [f"{target} = {value};"]
    if how in ("add", "mul"):
        sign = "+" if how == "add" else "*"
        if element.is_float:
            return [f"{target} {sign}= {value};"]
        return [f"{target} = ({element.c})(({element.wraps}){target} {sign} ({element.wraps}){value});"]
    if how in ("max", "min"):
        sign = ">" if how == "max" else "<"
        nan = f" || {value} != {value}" if element.is_float else ""
        return [f"if ({value} {sign} {target}{nan}) {target} = {value};"]
    raise NotImplementedError


def _scatter_nd(call: Call) -> list[str]:
    x_shape = call.operand(0)[1]
    indices, i_shape, i_strides = call.operand(1)
    updates, _, u_strides = call.operand(2)
    depth, outer = i_shape[-1], i_shape[:-1]
    inner = x_shape[depth:]
    names = [*(f"k{d}" for d in range(depth)), *_names(len(outer), len(inner))]
    change = _update(call, f"y[{index(call.y.strides, 0, names)}]", f"{updates}[{index(u_strides)}]")
    body = [*_places(call, indices, i_strides, x_shape[:depth]), *nest(inner, change, 0, len(outer))]
    return [*_begin(call), *_copied(call), *nest(outer, body), *_end(call)]


def _scatter_elements(call: Call) -> list[str]:
    x_shape = call.operand(0)[1]
    axis = call.op.attributes.get("axis", 0) % len(x_shape)
    indices, i_shape, i_strides = call.operand(1)
    updates, _, u_strides = call.operand(2)
    names = ["k" if i == axis else f"i{i}" for i in range(len(x_shape))]
    change = _update(call, f"y[{index(call.y.strides, 0, names)}]", f"{updates}[{index(u_strides)}]")
    body = [*_place(call, "k", f"{indices}[{index(i_strides)}]", x_shape[axis]), *change]
    return [*_begin(call), *_copied(call), *nest(i_shape, body), *_end(call)]


def _one_hot(call: Call) -> list[str]:
    """One of two values, depending on whether the index is the place along the new axis."""
    indices, i_shape, i_strides = call.operand(0)
    values = call.constant(2)
    if values is None:
        raise NotImplementedError
    axis = call.op.attributes.get("axis", -1) % (len(i_shape) + 1)
    depth = call.y.shape[axis]
    names = [f"i{i}" for i in range(len(i_shape) + 1) if i != axis]
    off, on = (literal(value.item(), call.y.element) for value in values.reshape(-1))
    k = f"{indices}[{index(i_strides, 0, names)}]"
    body = [
        f"const int64_t k = (int64_t){k};",
        f"y[{index(call.y.strides)}] = i{axis} == (k < 0 ? k + {depth} : k) ? {on} : {off};",
    ]
    return nest(call.y.shape, body)


def _arg(call: Call) -> list[str]:
    """The first place, or the last, of the largest or smallest element; NaN comes before all."""
    name, x = call.x[0]
    a, rank = call.op.attributes, len(x.shape)
    axis = a.get("axis", 0) % rank
    others = [i for i in range(rank) if i != axis]
    names = [f"i{i}" for i in range(len(others))]
    out = [call.y.strides[i] for i in others] if a.get("keepdims", 1) else call.y.strides
    read = f"from[k * {x.strides[axis]}]"
    sign = ">" if call.op.op == "ArgMax" else "<"
    later = f" || {read} == best" if a.get("select_last_index", 0) else ""
    test = f"{read} {sign} best{later}"
    if x.element.is_float:
        again = f" || {read} != {read}" if a.get("select_last_index", 0) else f" || ({read} != {read} && best == best)"
        test += again
    pointed = _pointer(call, 0)
    body = [
        f"const {pointed} *from = {name} + {index([x.strides[i] for i in others], 0, names)};",
        f"{x.element.c} best = from[0];",
        "int at = 0;",
        f"for (int k = 1; k < {x.shape[axis]}; k++) {{",
        f"    if ({test}) best = {read}, at = k;",
        "}",
        f"y[{index(out, 0, names)}] = at;",
    ]
    return nest([x.shape[i] for i in others], body)


def _pointer(call: Call, number: int) -> str:
    element = call.element(number)
    return "float" if element.name == "float32" else f"{call.prefix}_{element.name}"


def _top_k(call: Call) -> list[str]:
    """Each element's place in the order: how many come before it, of equal ones the first ones."""
    name, x = call.x[0]
    a, rank = call.op.attributes, len(x.shape)
    axis = a.get("axis", -1) % rank
    others = [i for i in range(rank) if i != axis]
    names = [f"i{i}" for i in range(len(others))]
    k, n, step = next(iter(call.made.values()))[1].shape[axis], x.shape[axis], x.strides[axis]
    sign = ">" if a.get("largest", 1) else "<"
    if x.element.is_float:
        sign_nan = " || (b != b && v == v)" if a.get("largest", 1) else " || (v != v && b == b)"
        same = "(b == v || (b != b && v != v))"
    else:
        sign_nan, same = "", "b == v"
    c = x.element.c
    writes = []
    for i, (to, tensor) in call.made.items():
        where = index([*(tensor.strides[o] for o in others), tensor.strides[axis]], 0, [*names, "place"])
        writes.append(f"        {to}[{where}] = {'v' if i == 0 else 'i'};")
    body = [
        f"const {_pointer(call, 0)} *from = {name} + {index([x.strides[i] for i in others], 0, names)};",
        f"for (int i = 0; i < {n}; i++) {{",
        f"    const {c} v = from[i * {step}];",
        "    int place = 0;",
        f"    for (int j = 0; j < {n}; j++) {{",
        f"        const {c} b = from[j * {step}];",
        f"        place += b {sign} v{sign_nan} || ({same} && j < i);",
        "    }",
        f"    if (place < {k}) {{",
        *writes,
        "    }",
        "}",
    ]
    return nest([x.shape[i] for i in others], body)


def _cumulative_sum(call: Call) -> list[str]:
    name, x = call.x[0]
    axis = int(np.asarray(call.constant(1)).reshape(-1)[0]) % len(x.shape)
    others = [i for i in range(len(x.shape)) if i != axis]
    names = [f"i{i}" for i in range(len(others))]
    n, element = x.shape[axis], x.element
    backwards, exclusive = (call.op.attributes.get(key, 0) for key in ("reverse", "exclusive"))
    at = f"({n - 1} - k)" if backwards else "k"
    source = index([*(x.strides[i] for i in others), x.strides[axis]], 0, [*names, at])
    target = index([*(call.y.strides[i] for i in others), call.y.strides[axis]], 0, [*names, at])
    wraps = element.wraps or element.c
    add = f"s = ({element.c})(({wraps})s + ({wraps}){name}[{source}]);" if element.wraps else f"s += {name}[{source}];"
    write = f"y[{target}] = s;"
    body = [
        f"{element.c} s = 0;",
        f"for (int k = 0; k < {n}; k++) {{",
        *(f"    {line}" for line in ((write, add) if exclusive else (add, write))),
        "}",
    ]
    return nest([x.shape[i] for i in others], body)


def _triangle(call: Call) -> list[str]:
    name, x = call.x[0]
    k = call.constant(1)
    shift = 0 if k is None else int(k.reshape(-1)[0])
    row, column = f"i{len(x.shape) - 2}", f"i{len(x.shape) - 1}"
    sign = ">=" if call.op.attributes.get("upper", 1) else "<="
    kept = f"{column} - {row} {sign} {shift}"
    return nest(x.shape, [f"y[{index(call.y.strides)}] = {kept} ? {name}[{index(x.strides)}] : 0;"])


def _reverse_sequence(call: Call) -> list[str]:
    """The first steps of each sequence from the last to the first."""
    x, shape, strides = call.operand(0)
    lengths, _, l_strides = call.operand(1)
    batch, time = call.op.attributes.get("batch_axis", 1), call.op.attributes.get("time_axis", 0)
    names = [f"i{i}" for i in range(len(shape))]
    names[time] = "k"
    body = [
        f"const int64_t length = {lengths}[i{batch} * {l_strides[0]}];",
        f"const int64_t k = i{time} < length && length <= {shape[time]} ? length - 1 - i{time} : i{time};",
        f"y[{index(call.y.strides)}] = {x}[{index(strides, 0, names)}];",
    ]
    return nest(shape, body)


def _hardmax(call: Call) -> list[str]:
    name, x = call.x[0]
    axis = call.op.attributes.get("axis", -1) % len(x.shape)
    others = [i for i in range(len(x.shape)) if i != axis]
    names = [f"i{i}" for i in range(len(others))]
    n, step = x.shape[axis], x.strides[axis]
    body = [
        f"const float *from = {name} + {index([x.strides[i] for i in others], 0, names)};",
        f"float *to = y + {index([call.y.strides[i] for i in others], 0, names)};",
        "int at = 0;",
        f"for (int k = 1; k < {n}; k++) if (from[k * {step}] > from[at * {step}]) at = k;",
        f"for (int k = 0; k < {n}; k++) to[k * {call.y.strides[axis]}] = k == at ? 1.0f : 0.0f;",
    ]
    return nest([x.shape[i] for i in others], body)


INDEXING: dict[str, Callable[[Call], list[str]]] = {
    **dict.fromkeys(["ArgMax", "ArgMin"], _arg),
    "CumSum": _cumulative_sum,
    "Gather": _gather,
    "GatherElements": _gather_elements,
    "GatherND": _gather_nd,
    "Hardmax": _hardmax,
    "OneHot": _one_hot,
    "ReverseSequence": _reverse_sequence,
    "ScatterElements": _scatter_elements,
    "ScatterND": _scatter_nd,
    "TopK": _top_k,
    "Trilu": _triangle,
}
"""The code of each op's body; NotImplementedError for a form that isn't there."""
