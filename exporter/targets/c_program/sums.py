"""Layers that add up: reductions, normalisations, products of tensors."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import prod

import numpy as np

from exporter.targets.c_program.call import Call
from exporter.targets.c_program.loops import index, nest, number
from exporter.targets.c_program.tensors import Tensor

__all__ = ["SUMS"]

_REDUCTIONS = {
    "ReduceL1": ("0.0f", "s += fabsf({x});", "s"),
    "ReduceL2": ("0.0f", "s += {x} * {x};", "sqrtf(s)"),
    "ReduceLogSum": ("0.0f", "s += {x};", "logf(s)"),
    "ReduceMax": ("-INFINITY", "if ({x} > s || {x} != {x}) s = {x};", "s"),
    "ReduceMean": ("0.0f", "s += {x};", "s / {n}"),
    "ReduceMin": ("INFINITY", "if ({x} < s || {x} != {x}) s = {x};", "s"),
    "ReduceProd": ("1.0f", "s *= {x};", "s"),
    "ReduceSum": ("0.0f", "s += {x};", "s"),
    "ReduceSumSquare": ("0.0f", "s += {x} * {x};", "s"),
}
"""What a reduction begins with, what it does with each element, and what it ends with."""

_WHOLE = {
    "ReduceMax": ("{first}", "if ({x} > s) s = {x};", "s"),
    "ReduceMin": ("{first}", "if ({x} < s) s = {x};", "s"),
    "ReduceProd": ("1", "s = ({t})(({u})s * ({u}){x});", "s"),
    "ReduceSum": ("0", "s = ({t})(({u})s + ({u}){x});", "s"),
}
"""The same for integers; of no elements there is no largest."""

_ADDED = ("ReduceL1", "ReduceL2", "ReduceLogSum", "ReduceMean", "ReduceSum", "ReduceSumSquare")
_CHANNELS = 16
_ROW = 64


@dataclass(frozen=True)
class _Axes:
    """The axes that are kept, with the strides of the result along them, and those that are reduced."""

    kept: list[int]
    gone: list[int]
    strides: list[int]


def _axes(call: Call) -> _Axes:
    _, x = call.x[0]
    axes, rank = call.constant(1), len(x.shape)
    if (call.has(1) and axes is None) or (
        (axes is None or not axes.size) and call.op.attributes.get("noop_with_empty_axes")
    ):
        raise NotImplementedError
    gone = {int(a) % rank for a in axes.ravel()} if axes is not None and axes.size else set(range(rank))
    kept = [axis for axis in range(rank) if axis not in gone]
    own = call.y.strides
    out = [own[axis] for axis in kept] if call.op.attributes.get("keepdims", 1) else list(own)
    return _Axes(kept, sorted(gone), out)


def _reduce(call: Call) -> list[str]:
    """A sum of floats is one of the sums along the last axis: so it loses fewer digits."""
    name, x = call.x[0]
    axes, op, t = _axes(call), call.op.op, x.element
    start, step, end = _code(op, x)
    kept, gone = axes.kept, axes.gone
    count = prod(x.shape[axis] for axis in gone)
    if op in _ADDED and t.is_float and _keeps_channels(x, axes):
        return _by_channels(call, axes, (step, end.format(n=number(count))))
    names = [f"i{i}" for i in range(len(kept) + len(gone))]
    where = index([x.strides[axis] for axis in (*kept, *gone)], 0, names)
    begin = index([x.strides[axis] for axis in kept], 0, names[: len(kept)])
    filled = {"x": f"{name}[{where}]", "t": t.c, "u": t.wraps, "first": f"{name}[{begin}]"}
    sizes = [x.shape[axis] for axis in gone]
    if op in _ADDED and t.is_float and len(gone) > 1:
        inner = nest(sizes[-1:], [step.format(**filled).replace("s +=", "part +=")], 0, len(names) - 1)
        summed = nest(sizes[:-1], ["float part = 0.0f;", *inner, "s += part;"], 0, len(kept))
    else:
        summed = nest(sizes, [step.format(**filled)], 0, len(kept))
    done = end.format(n=number(count) if t.is_float else count)
    body = [
        f"{t.c} s = {start.format(**filled)};",
        *summed,
        f"y[{index(axes.strides, 0, names[: len(kept)])}] = {done};",
    ]
    return nest([x.shape[axis] for axis in kept], body)


def _code(op: str, x: Tensor) -> tuple[str, str, str]:
    """What a reduction is made of; the sum that a mean of integers needs is one of int64."""
    if x.element.is_float:
        return _REDUCTIONS[op]
    if op == "ReduceMean" and x.element.name == "int64":
        return (*_WHOLE["ReduceSum"][:2], "s / {n}")
    if op not in _WHOLE or not prod(x.shape):
        raise NotImplementedError
    return _WHOLE[op]


def _keeps_channels(x: Tensor, axes: _Axes) -> bool:
    """Whether the last axis is kept, and is one of numbers that lie one after another."""
    last = len(x.shape) - 1
    if not axes.gone or last not in axes.kept:
        return False
    return x.strides[last] == axes.strides[-1] == 1 and x.shape[last] >= _CHANNELS // 4


def _by_channels(call: Call, axes: _Axes, code: tuple[str, str]) -> list[str]:
    """The last axis is kept: its elements are summed side by side, sums of rows after rows."""
    name, x = call.x[0]
    step, end = code
    *outer, _ = axes.kept
    names = [f"i{i}" for i in range(len(outer) + len(axes.gone))]
    inside = f"{name}[{index([*(x.strides[axis] for axis in (*outer, *axes.gone)), 1, 1], 0, [*names, 'c', 'j'])}]"
    sizes = [x.shape[axis] for axis in axes.gone]
    lane = f"for (int j = 0; j < n; j++) {step.format(x=inside).replace('s +=', 'part[j] +=')}"
    inner = nest(sizes[-1:], [lane], 0, len(names) - 1)
    rows = [f"float part[{_CHANNELS}] = {{0.0f}};", *inner, "for (int j = 0; j < n; j++) sum[j] += part[j];"]
    body = [
        f"for (int c = 0; c < {x.shape[-1]}; c += {_CHANNELS}) {{",
        f"    const int n = {x.shape[-1]} - c < {_CHANNELS} ? {x.shape[-1]} - c : {_CHANNELS};",
        f"    float sum[{_CHANNELS}] = {{0.0f}};",
        *("    " + line for line in nest(sizes[:-1], rows, 0, len(outer))),
        "    for (int j = 0; j < n; j++) {",
        "        const float s = sum[j];",
        f"        y[{index([*axes.strides[:-1], 1, 1], 0, [*names[: len(outer)], 'c', 'j'])}] = {end};",
        "    }",
        "}",
    ]
    return nest([x.shape[axis] for axis in outer], body)


def _log_sum_exp(call: Call) -> list[str]:
    """The largest element, and the logarithm of the sum of what is relative to it."""
    name, x = call.x[0]
    axes = _axes(call)
    names = [f"i{i}" for i in range(len(x.shape))]
    order = (*axes.kept, *axes.gone)
    read = f"{name}[{index([x.strides[axis] for axis in order], 0, names)}]"
    sizes = [x.shape[axis] for axis in axes.gone]
    first = len(axes.kept)
    body = [
        "float most = -INFINITY, s = 0.0f;",
        *nest(sizes, [f"if ({read} > most || {read} != {read}) most = {read};"], 0, first),
        "const float shift = isfinite(most) ? most : 0.0f;",
        *nest(sizes, [f"s += expf({read} - shift);"], 0, first),
        f"y[{index(axes.strides, 0, names[:first])}] = logf(s) + shift;",
    ]
    return nest([x.shape[axis] for axis in axes.kept], body)


def _softmax(call: Call) -> list[str]:
    name, x = call.x[0]
    axis = call.op.attributes.get("axis", -1) % len(x.shape)
    others = [i for i in range(len(x.shape)) if i != axis]
    names = [f"i{i}" for i in range(len(others))]
    a = index([x.strides[i] for i in others], 0, names)
    b = index([call.y.strides[i] for i in others], 0, names)
    n, xs, ys = x.shape[axis], x.strides[axis], call.y.strides[axis]
    log = call.op.op == "LogSoftmax"
    body = [
        f"const float *from = {name} + {a};",
        f"float *to = y + {b};",
        "float most = -INFINITY, sum = 0.0f;",
        f"for (int c = 0; c < {n}; c++) if (!(from[c * {xs}] <= most)) most = from[c * {xs}];",
        f"for (int c = 0; c < {n}; c++) {{",
        f"    to[c * {ys}] = from[c * {xs}] - most;",
        *([f"    sum += expf(to[c * {ys}]);"] if log else [f"    to[c * {ys}] = @EXP@(to[c * {ys}]);"]),
        "}",
        *([] if log else [f"for (int c = 0; c < {n}; c++) sum += to[c * {ys}];"]),
        f"for (int c = 0; c < {n}; c++) to[c * {ys}] {'-= logf(sum)' if log else '/= sum'};",
    ]
    return nest([x.shape[i] for i in others], body)


def _layer_norm(call: Call) -> list[str]:
    name, x = call.x[0]
    axis = call.op.attributes.get("axis", -1) % len(x.shape)
    inner = tuple(x.shape[axis:])
    if set(call.made) - {0} or call.constant(1) is None or (call.has(2) and call.constant(2) is None):
        raise NotImplementedError
    if x.strides[axis:] != _packed(inner) or call.y.strides[axis:] != _packed(inner):
        raise NotImplementedError
    n, names = prod(inner), [f"i{i}" for i in range(axis)]
    scale = np.broadcast_to(np.asarray(call.constant(1)), inner)
    bias = call.constant(2)
    shift = np.zeros(inner, scale.dtype) if bias is None else np.broadcast_to(bias, inner)
    affine = f"({call.store(scale)})[c] + ({call.store(shift)})[c]"
    epsilon = call.op.attributes.get("epsilon", 1e-5)
    body = [
        f"const float *from = {name} + {index(x.strides[:axis], 0, names)};",
        f"float *to = y + {index(call.y.strides[:axis], 0, names)};",
        "float mean = 0.0f, variance = 0.0f;",
        *_summed("mean", "from[c]", n),
        f"mean /= {number(n)};",
        *_summed("variance", "(from[c] - mean) * (from[c] - mean)", n),
        f"const float inverse = 1.0f / sqrtf(variance / {number(n)} + {number(epsilon)});",
        f"for (int c = 0; c < {n}; c++) to[c] = (from[c] - mean) * inverse * {affine};",
    ]
    return nest(x.shape[:axis], body)


def _summed(name: str, value: str, count: int) -> list[str]:
    """The sum of values, one of sums where they are many: so it loses fewer digits."""
    if count <= 4 * _ROW:
        return [f"for (int c = 0; c < {count}; c++) {name} += {value};"]
    return [
        f"for (int first = 0; first < {count}; first += {_ROW}) {{",
        f"    const int end = {count} - first < {_ROW} ? {count} : first + {_ROW};",
        "    float part = 0.0f;",
        f"    for (int c = first; c < end; c++) part += {value};",
        f"    {name} += part;",
        "}",
    ]


def _packed(shape: Sequence[int]) -> tuple[int, ...]:
    return tuple(prod(shape[i + 1 :]) for i in range(len(shape)))


def _batch_norm(call: Call) -> list[str]:
    name, x = call.x[0]
    if any(call.constant(i) is None for i in (1, 2, 3, 4)):
        raise NotImplementedError
    scale, shift, mean, variance = (np.asarray(call.constant(i), np.float64) for i in (1, 2, 3, 4))
    factor = scale / np.sqrt(variance + call.op.attributes.get("epsilon", 1e-5))
    rest = shift - mean * factor
    sizes = list(x.shape)
    scaled = f"{name}[{index(x.strides)}] * ({call.store(factor.astype(x.element.name))})[i{len(sizes) - 1}]"
    added = f"({call.store(rest.astype(x.element.name))})[i{len(sizes) - 1}]"
    return nest(sizes, [f"y[{index(call.y.strides)}] = {scaled} + {added};"])


def _lrn(call: Call) -> list[str]:
    name, x = call.x[0]
    a = call.op.attributes
    reach, c = a["size"] // 2, x.shape[-1]
    outer = list(x.shape[:-1])
    names = [f"i{i}" for i in range(len(outer))]
    base = f"{number(a.get('bias', 1.0))} + {number(a.get('alpha', 1e-4) / a['size'])} * s"
    body = [
        f"const float *from = {name} + {index(x.strides[:-1], 0, names)};",
        f"float *to = y + {index(call.y.strides[:-1], 0, names)};",
        f"for (int c = 0; c < {c}; c++) {{",
        f"    const int first = c < {reach} ? 0 : c - {reach}, last = c + {reach} < {c} ? c + {reach} : {c - 1};",
        "    float s = 0.0f;",
        "    for (int d = first; d <= last; d++) s += from[d] * from[d];",
        f"    to[c] = from[c] / powf({base}, {number(a.get('beta', 0.75))});",
        "}",
    ]
    return nest(outer, body)


def _matmul(call: Call) -> list[str]:
    """The product of the last two axes of two tensors, the others broadcast; a vector is a row or a column."""
    (a, a_shape, a_strides), (b, b_shape, b_strides) = call.operand(0), call.operand(1)
    y_strides = list(call.y.strides)
    if len(b_shape) == 1:
        b_shape, b_strides = (*b_shape, 1), (*b_strides, 0)
        y_strides.append(0)
    if len(a_shape) == 1:
        a_shape, a_strides = (1, *a_shape), (0, *a_strides)
        y_strides.insert(-1, 0)
    rank = max(len(a_shape), len(b_shape)) - 2
    left, right = _broadcast(a_shape, a_strides, rank), _broadcast(b_shape, b_strides, rank)
    outer = [max(n) for n in zip(_padded(a_shape, rank), _padded(b_shape, rank), strict=True)]
    names = [f"i{i}" for i in range(rank)]
    m, k, n = a_shape[-2], a_shape[-1], b_shape[-1]
    add = f"to[j * {y_strides[-1]}] += v * q[k * {b_strides[-2]} + j * {b_strides[-1]}];"
    body = [
        f"const float *p = {a} + {index(left, 0, names)}, *q = {b} + {index(right, 0, names)};",
        f"float *to = y + {index(y_strides[:-2], 0, names)};",
        f"for (int i = 0; i < {m}; i++, p += {a_strides[-2]}, to += {y_strides[-2]}) {{",
        f"    for (int j = 0; j < {n}; j++) to[j * {y_strides[-1]}] = 0.0f;",
        f"    for (int k = 0; k < {k}; k++) {{",
        f"        const float v = p[k * {a_strides[-1]}];",
        f"        for (int j = 0; j < {n}; j++) {add}",
        "    }",
        "}",
    ]
    return nest(outer, body)


def _dense(call: Call) -> list[str]:
    """A product whose weights aren't constant, or not in float32, and the bias."""
    lines = _matmul(call)
    if not call.has(2):
        return lines
    bias, _, strides = call.operand(2)
    last = f"i{len(call.y.shape) - 1} * {strides[-1]}"
    return [*lines, *nest(call.y.shape, [f"y[{index(call.y.strides)}] += {bias}[{last}];"])]


def _padded(shape: Sequence[int], rank: int) -> list[int]:
    own = list(shape[:-2])
    return [1] * (rank - len(own)) + own


def _gemm(call: Call) -> list[str]:
    """alpha A B + beta C, each of A and B perhaps transposed, C broadcast."""
    (a, a_shape, a_strides), (b, b_shape, b_strides) = call.operand(0), call.operand(1)
    attributes = call.op.attributes
    if attributes.get("transA"):
        a_shape, a_strides = a_shape[::-1], a_strides[::-1]
    if attributes.get("transB"):
        b_shape, b_strides = b_shape[::-1], b_strides[::-1]
    inner = f"{a}[i0 * {a_strides[0]} + k * {a_strides[1]}] * {b}[k * {b_strides[0]} + i1 * {b_strides[1]}]"
    added = ""
    if call.has(2):
        c, c_shape, c_strides = call.operand(2)
        own = [0 if n == 1 else s for n, s in zip(c_shape, c_strides, strict=True)]
        added = f" + {number(attributes.get('beta', 1.0))} * {c}[{index([0] * (2 - len(own)) + own)}]"
    body = [
        "float s = 0.0f;",
        f"for (int k = 0; k < {a_shape[1]}; k++) s += {inner};",
        f"y[{index(call.y.strides)}] = {number(attributes.get('alpha', 1.0))} * s{added};",
    ]
    return nest(call.y.shape, body)


def _broadcast(shape: Sequence[int], strides: Sequence[int], rank: int) -> list[int]:
    own = [0 if n == 1 else s for n, s in zip(shape[:-2], strides[:-2], strict=True)]
    return [0] * (rank - len(own)) + own


def _einsum(call: Call) -> list[str]:
    """Loops over the axes of the result, and inside over those that are summed."""
    terms, _, result = call.op.attributes["equation"].replace(" ", "").partition("->")
    operands = [call.operand(i) for i in range(len(call.op.inputs))]
    letters = terms.split(",")
    if "." in terms or any(len(set(each)) < len(each) for each in letters):
        raise NotImplementedError
    sizes = {
        letter: n
        for each, (_, shape, _) in zip(letters, operands, strict=True)
        for letter, n in zip(each, shape, strict=True)
    }
    summed = [letter for letter in dict.fromkeys("".join(letters)) if letter not in result]
    order = [*result, *summed]
    names = {letter: f"i{i}" for i, letter in enumerate(order)}
    reads = [
        f"{name}[{index(strides, 0, [names[letter] for letter in each])}]"
        for each, (name, _, strides) in zip(letters, operands, strict=True)
    ]
    body = [
        "float s = 0.0f;",
        *nest([sizes[letter] for letter in summed], [f"s += {' * '.join(reads)};"], 0, len(result)),
        f"y[{index(call.y.strides, 0, [names[letter] for letter in result])}] = s;",
    ]
    return nest([sizes[letter] for letter in result], body)


SUMS: dict[str, Callable[[Call], list[str]]] = {
    **dict.fromkeys(_REDUCTIONS, _reduce),
    **dict.fromkeys(["LogSoftmax", "Softmax"], _softmax),
    "BatchNormalization": _batch_norm,
    "Einsum": _einsum,
    "LRN": _lrn,
    "LayerNormalization": _layer_norm,
    "Dense": _dense,
    "Gemm": _gemm,
    "MatMul": _matmul,
    "ReduceLogSumExp": _log_sum_exp,
}
"""The code of each op's body; NotImplementedError for a form that isn't there."""
