"""Layers that add up: reductions, normalisations, products of tensors."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import prod

import numpy as np

from exporter.targets.c_program.call import Call
from exporter.targets.c_program.loops import index, nest, number

__all__ = ["SUMS"]

_REDUCTIONS = {
    "ReduceL1": ("0.0f", "s += fabsf({x});", "s"),
    "ReduceL2": ("0.0f", "s += {x} * {x};", "sqrtf(s)"),
    "ReduceMax": ("-INFINITY", "if (!(s >= {x})) s = {x};", "s"),
    "ReduceMean": ("0.0f", "s += {x};", "s / {n}"),
    "ReduceMin": ("INFINITY", "if (!(s <= {x})) s = {x};", "s"),
    "ReduceProd": ("1.0f", "s *= {x};", "s"),
    "ReduceSum": ("0.0f", "s += {x};", "s"),
    "ReduceSumSquare": ("0.0f", "s += {x} * {x};", "s"),
}


def _reduce(call: Call) -> list[str]:
    name, x = call.x[0]
    axes = call.constant(1)
    if (axes is None or not axes.size) and call.op.attributes.get("noop_with_empty_axes"):
        raise NotImplementedError
    rank = len(x.shape)
    gone = {int(a) % rank for a in axes.ravel()} if axes is not None and axes.size else set(range(rank))
    kept = [axis for axis in range(rank) if axis not in gone]
    # the strides of y for the axes that are kept
    y_strides = call.y.strides if call.op.attributes.get("keepdims", 1) else None
    out = [y_strides[axis] if y_strides else call.y.strides[i] for i, axis in enumerate(kept)]
    start, step, end = _REDUCTIONS[call.op.op]
    sizes = [x.shape[axis] for axis in kept]
    inner = [axis for axis in range(rank) if axis in gone]
    names = [f"i{i}" for i in range(len(kept))] + [f"i{len(kept) + i}" for i in range(len(inner))]
    read = f"{name}[{index([x.strides[axis] for axis in (*kept, *inner)], 0, names)}]"
    count = prod(x.shape[axis] for axis in inner)
    body = [
        f"float s = {start};",
        *nest([x.shape[axis] for axis in inner], [step.format(x=read)], 0, len(kept)),
        f"y[{index(out, 0, names[: len(kept)])}] = {end.format(n=number(count))};",
    ]
    return nest(sizes, body)


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
        *([f"    sum += expf(to[c * {ys}]);"] if log else [f"    to[c * {ys}] = expf(to[c * {ys}]);"]),
        *([] if log else [f"    sum += to[c * {ys}];"]),
        "}",
        f"for (int c = 0; c < {n}; c++) to[c * {ys}] {'-= logf(sum)' if log else '/= sum'};",
    ]
    return nest([x.shape[i] for i in others], body)


def _layer_norm(call: Call) -> list[str]:
    name, x = call.x[0]
    axis = call.op.attributes.get("axis", -1) % len(x.shape)
    inner = tuple(x.shape[axis:])
    if x.strides[axis:] != _packed(inner) or call.y.strides[axis:] != _packed(inner):
        raise NotImplementedError
    n, names = prod(inner), [f"i{i}" for i in range(axis)]
    scale = np.broadcast_to(np.asarray(call.constant(1)), inner)
    bias = call.constant(2)
    shift = np.zeros(inner, np.float32) if bias is None else np.broadcast_to(bias, inner)
    affine = f"({call.store(scale)})[c] + ({call.store(shift)})[c]"
    epsilon = call.op.attributes.get("epsilon", 1e-5)
    body = [
        f"const float *from = {name} + {index(x.strides[:axis], 0, names)};",
        f"float *to = y + {index(call.y.strides[:axis], 0, names)};",
        "float mean = 0.0f, variance = 0.0f;",
        f"for (int c = 0; c < {n}; c++) mean += from[c];",
        f"mean /= {number(n)};",
        f"for (int c = 0; c < {n}; c++) variance += (from[c] - mean) * (from[c] - mean);",
        f"const float inverse = 1.0f / sqrtf(variance / {number(n)} + {number(epsilon)});",
        f"for (int c = 0; c < {n}; c++) to[c] = (from[c] - mean) * inverse * {affine};",
    ]
    return nest(x.shape[:axis], body)


def _packed(shape: Sequence[int]) -> tuple[int, ...]:
    return tuple(prod(shape[i + 1 :]) for i in range(len(shape)))


def _batch_norm(call: Call) -> list[str]:
    name, x = call.x[0]
    scale, shift, mean, variance = (np.asarray(call.constant(i), np.float64) for i in (1, 2, 3, 4))
    factor = scale / np.sqrt(variance + call.op.attributes.get("epsilon", 1e-5))
    rest = shift - mean * factor
    sizes = list(x.shape)
    scaled = f"{name}[{index(x.strides)}] * ({call.store(factor.astype(np.float32))})[i{len(sizes) - 1}]"
    added = f"({call.store(rest.astype(np.float32))})[i{len(sizes) - 1}]"
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
    """The product of the last two axes of two tensors, the others broadcast."""
    (a, a_shape, a_strides), (b, b_shape, b_strides) = call.operand(0), call.operand(1)
    if len(a_shape) < 2 or len(b_shape) < 2:
        raise NotImplementedError
    outer = call.y.shape[:-2]
    left, right = _broadcast(a_shape, a_strides, len(outer)), _broadcast(b_shape, b_strides, len(outer))
    names = [f"i{i}" for i in range(len(outer))]
    m, k, n = a_shape[-2], a_shape[-1], b_shape[-1]
    add = f"to[j * {call.y.strides[-1]}] += v * q[k * {b_strides[-2]} + j * {b_strides[-1]}];"
    body = [
        f"const float *p = {a} + {index(left, 0, names)}, *q = {b} + {index(right, 0, names)};",
        f"float *to = y + {index(call.y.strides[:-2], 0, names)};",
        f"for (int i = 0; i < {m}; i++, p += {a_strides[-2]}, to += {call.y.strides[-2]}) {{",
        f"    for (int j = 0; j < {n}; j++) to[j * {call.y.strides[-1]}] = 0.0f;",
        f"    for (int k = 0; k < {k}; k++) {{",
        f"        const float v = p[k * {a_strides[-1]}];",
        f"        for (int j = 0; j < {n}; j++) {add}",
        "    }",
        "}",
    ]
    return nest(outer, body)


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
    "MatMul": _matmul,
}
"""The code of each op's body; NotImplementedError for a form that isn't there."""
