"""The shape of an op's result, where it depends on the layout, or onnx's own inference would lose symbols.

Each rule gets what is known of the inputs, and the attributes; None where nothing is known of the shape. A `ShapeError`
says why the op can't take such inputs. Every rule but those of `Range` and `ConstantOfShape` may rely on input 0 having
a known shape.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import onnx_ir as ir

from exporter.ir.dims import UNKNOWN, Dim, Dims, ceil_div, floor_div, normal, product, same_dim
from exporter.ir.known import Known, ShapeError

__all__ = [
    "ShapeRule",
    "concat",
    "constant_of_shape",
    "conv",
    "conv_transpose",
    "dense",
    "depth_to_space",
    "expand",
    "joined",
    "matmul",
    "pad",
    "pool",
    "reshape",
    "resize",
    "same",
    "shape",
    "slice_",
    "space_to_depth",
    "tile",
]

_Inputs = Sequence[Known | None]
_Attributes = Mapping[str, Any]

ShapeRule = Callable[[_Inputs, _Attributes], Dims | None]


def _x(inputs: _Inputs) -> Dims:
    assert inputs[0] is not None
    assert inputs[0].shape is not None
    return inputs[0].shape


def _ints(inputs: _Inputs, index: int) -> list[int] | None:
    """The elements of an integer input, where all are known."""
    known = inputs[index] if index < len(inputs) else None
    if known is None or known.elements is None or known.elements.dtype == object:
        return None
    return [int(element) for element in known.elements.reshape(-1)]


def conv(inputs: _Inputs, attributes: _Attributes) -> Dims | None:
    """Give the shape of a convolution: [N, *space, M]."""
    x, kernel = _x(inputs), inputs[1].shape if inputs[1] else None
    if kernel is None:
        return (x[0], *[UNKNOWN] * (len(x) - 1))
    if len(kernel) != len(x):
        raise ShapeError(f"a kernel of rank {len(kernel)} on an input of rank {len(x)}")
    group = attributes.get("group", 1)
    if isinstance(x[-1], int) and isinstance(kernel[-2], int) and x[-1] != kernel[-2] * group:
        raise ShapeError(f"the kernel takes {kernel[-2] * group} channels, the input has {x[-1]}")
    return (x[0], *_windows(x[1:-1], kernel[:-2], attributes), kernel[-1])


def pool(inputs: _Inputs, attributes: _Attributes) -> Dims | None:
    """Give the shape of a pool: [N, *space, C]."""
    x = _x(inputs)
    return (x[0], *_windows(x[1:-1], attributes["kernel_shape"], attributes), x[-1])


def _windows(space: Dims, kernel: Sequence[Dim], attributes: _Attributes) -> Dims:
    rank = len(space)
    strides = attributes.get("strides", [1] * rank)
    dilations = attributes.get("dilations", [1] * rank)
    pads = attributes.get("pads", [0] * 2 * rank)
    if attributes.get("auto_pad") == "SAME_UPPER":
        return tuple(ceil_div(size, stride) for size, stride in zip(space, strides, strict=True))
    sizes: list[Dim] = []
    for i, size in enumerate(space):
        extent = kernel[i]
        if not isinstance(extent, int):
            sizes.append(UNKNOWN)
            continue
        reach = pads[i] + pads[i + rank] - dilations[i] * (extent - 1) - 1
        count = normal(floor_div(normal(size + reach), strides[i]) + 1)
        if isinstance(count, int) and count < 0:
            raise ShapeError(f"a window of {extent} doesn't fit into {size}")
        sizes.append(count)
    return tuple(sizes)


def conv_transpose(inputs: _Inputs, attributes: _Attributes) -> Dims | None:
    """Give the shape of a transposed convolution: `stride (size - 1) + reach`, less its pads."""
    x, kernel = _x(inputs), inputs[1].shape if inputs[1] else None
    rank = len(x) - 2
    if kernel is None:
        return (x[0], *[UNKNOWN] * (rank + 1))
    strides = attributes.get("strides", [1] * rank)
    dilations = attributes.get("dilations", [1] * rank)
    pads = attributes.get("pads", [0] * 2 * rank)
    extra = attributes.get("output_padding", [0] * rank)
    sizes: list[Dim] = []
    for i in range(rank):
        extent = kernel[i]
        if not isinstance(extent, int):
            sizes.append(UNKNOWN)
            continue
        reach = extra[i] + dilations[i] * (extent - 1) + 1 - pads[i] - pads[i + rank]
        sizes.append(normal(normal(strides[i] * normal(x[i + 1] - 1)) + reach))
    return (x[0], *sizes, normal(kernel[-2] * attributes.get("group", 1)))


def dense(inputs: _Inputs, attributes: _Attributes) -> Dims | None:
    """Give the shape of a product over the last axis."""
    x, kernel = _x(inputs), inputs[1].shape if inputs[1] else None
    if kernel is not None and isinstance(x[-1], int) and isinstance(kernel[0], int) and x[-1] != kernel[0]:
        raise ShapeError(f"a matrix of {kernel[0]} rows on {x[-1]} features")
    return (*x[:-1], UNKNOWN if kernel is None else kernel[-1])


def matmul(inputs: _Inputs, attributes: _Attributes) -> Dims | None:
    """Give the shape of a product of matrices whose batches broadcast."""
    a, b = _x(inputs), inputs[1].shape if inputs[1] else None
    if b is None:
        return None
    if not a or not b:
        raise ShapeError("a matrix product with a scalar")
    inner = (a[-1], b[-2] if len(b) > 1 else b[-1])
    if all(isinstance(dim, int) for dim in inner) and inner[0] != inner[1]:
        raise ShapeError(f"tensors of shapes {list(a)} and {list(b)} can't be multiplied")
    before = [dims[:-2] for dims in (a, b)]
    rank = max(map(len, before))
    padded = [(*[1] * (rank - len(dims)), *dims) for dims in before]
    batch = [_broadcast(p, q) for p, q in zip(*padded, strict=True)]
    for p, q in zip(*padded, strict=True):
        if isinstance(p, int) and isinstance(q, int) and p != q and 1 not in (p, q):
            raise ShapeError(f"tensors of shapes {list(a)} and {list(b)} can't be multiplied")
    return (*batch, *a[-2:-1], *(b[-1:] if len(b) > 1 else ()))


def same(inputs: _Inputs, attributes: _Attributes) -> Dims | None:
    """Give the shape of input 0."""
    return _x(inputs)


def joined(inputs: _Inputs, attributes: _Attributes) -> Dims | None:
    """Give the shape that inputs 0 and 1 broadcast to."""
    a, b = _x(inputs), inputs[1].shape if inputs[1] else None
    if b is None:
        return None
    rank = max(len(a), len(b))
    padded = [(*[1] * (rank - len(dims)), *dims) for dims in (a, b)]
    return tuple(_broadcast(p, q) for p, q in zip(*padded, strict=True))


def depth_to_space(inputs: _Inputs, attributes: _Attributes) -> Dims | None:
    """Give the shape of blocks made of channels."""
    n, h, w, c = _x(inputs)
    block = attributes["blocksize"]
    return (n, normal(h * block), normal(w * block), floor_div(c, block * block))


def space_to_depth(inputs: _Inputs, attributes: _Attributes) -> Dims | None:
    """Give the shape of channels made of blocks."""
    n, h, w, c = _x(inputs)
    block = attributes["blocksize"]
    return (n, floor_div(h, block), floor_div(w, block), normal(c * block * block))


def reshape(inputs: _Inputs, attributes: _Attributes) -> Dims | None:
    """Give the shape that input 1 names, with what 0 and -1 in it stand for."""
    x, wanted = _x(inputs), inputs[1]
    assert wanted is not None
    if wanted.elements is None:
        return _unknown_of_length(wanted)
    sizes: list[Dim] = [int(s) if not isinstance(s, ir.SymbolicDim) else s for s in wanted.elements.reshape(-1)]
    if not attributes.get("allowzero"):
        sizes = [x[i] if isinstance(s, int) and s == 0 and i < len(x) else s for i, s in enumerate(sizes)]
    if -1 in [s for s in sizes if isinstance(s, int)]:
        rest = [s for s in sizes if not (isinstance(s, int) and s == -1)]
        sizes[next(i for i, s in enumerate(sizes) if isinstance(s, int) and s == -1)] = _remaining(x, rest)
    elif all(isinstance(d, int) for d in (*x, *sizes)) and product(x) != product(sizes):
        raise ShapeError(f"{list(x)} can't be reshaped to {sizes}")
    return tuple(sizes)


def _remaining(x: Dims, rest: list[Dim]) -> Dim:
    """The size that -1 stands for: what is left of the elements after the common dimensions have cancelled out."""
    left = list(x)
    for dim in list(rest):
        match = next((i for i, other in enumerate(left) if same_dim(other, dim)), None)
        if match is not None:
            del left[match]
            rest.remove(dim)
    total, taken = product(left), product(rest)
    if not isinstance(taken, int):
        return UNKNOWN
    if taken == 0:
        return 0
    if isinstance(total, int):
        if total % taken:
            raise ShapeError(f"{list(x)} can't be reshaped: {total} elements don't divide by {taken}")
        return total // taken
    known = product(d for d in left if isinstance(d, int))
    symbols = product(d for d in left if not isinstance(d, int))
    if isinstance(known, int) and known % taken == 0:
        return normal(symbols * (known // taken)) if known != taken else symbols
    return floor_div(total, taken)


def _unknown_of_length(known: Known) -> Dims | None:
    if known.shape is None or len(known.shape) != 1 or not isinstance(known.shape[0], int):
        return None
    return (UNKNOWN,) * known.shape[0]


def _from_elements(known: Known | None) -> Dims | None:
    """A shape that is given as a tensor."""
    if known is None:
        return None
    if known.elements is None:
        return _unknown_of_length(known)
    if known.elements.ndim != 1:
        raise ShapeError(f"a shape is a vector, not a tensor of rank {known.elements.ndim}")
    return tuple(s if isinstance(s, ir.SymbolicDim) else int(s) for s in known.elements.reshape(-1))


def expand(inputs: _Inputs, attributes: _Attributes) -> Dims | None:
    """Give the shape that input 0 and the one that input 1 names broadcast to."""
    x, target = _x(inputs), _from_elements(inputs[1])
    if target is None:
        return None
    rank = max(len(x), len(target))
    a = (*[1] * (rank - len(x)), *x)
    b = (*[1] * (rank - len(target)), *target)
    return tuple(_broadcast(p, q) for p, q in zip(a, b, strict=True))


def _broadcast(a: Dim, b: Dim) -> Dim:
    if isinstance(a, int) and a != 1:
        return a
    if isinstance(b, int):
        return b if b != 1 else a
    if isinstance(a, int):
        return b
    return a if same_dim(a, b) else UNKNOWN


def tile(inputs: _Inputs, attributes: _Attributes) -> Dims | None:
    """Give the shape of input 0, repeated."""
    x, repeats = _x(inputs), _from_elements(inputs[1])
    if repeats is None:
        return (UNKNOWN,) * len(x)
    return tuple(product((size, times)) for size, times in zip(x, repeats, strict=True))


def concat(inputs: _Inputs, attributes: _Attributes) -> Dims | None:
    """Give the shape of the inputs behind each other."""
    shapes = [known.shape if known else None for known in inputs]
    known_shapes = [shape for shape in shapes if shape is not None]
    axis = attributes["axis"] % max(len(known_shapes[0]), 1)
    if any(len(shape) != len(known_shapes[0]) for shape in known_shapes):
        raise ShapeError(f"tensors of ranks {[len(shape) for shape in known_shapes]} can't be concatenated")
    for sizes in (others for i, others in enumerate(zip(*known_shapes, strict=True)) if i != axis):
        if len({size for size in sizes if isinstance(size, int)}) > 1:
            raise ShapeError(f"tensors of shapes {[list(shape) for shape in known_shapes]} can't be concatenated")
    result = [
        next((s[i] for s in known_shapes if isinstance(s[i], int)), known_shapes[0][i])
        for i in range(len(known_shapes[0]))
    ]
    total: Dim = 0
    for shape in shapes:
        total = UNKNOWN if shape is None else normal(total + shape[axis])
    result[axis] = total
    return tuple(result)


def pad(inputs: _Inputs, attributes: _Attributes) -> Dims | None:
    """Give the shape of input 0 with its pads."""
    x, pads = _x(inputs), _ints(inputs, 1)
    if pads is None:
        return (UNKNOWN,) * len(x)
    return tuple(normal(size + (pads[i] + pads[i + len(x)])) for i, size in enumerate(x))


def slice_(inputs: _Inputs, attributes: _Attributes) -> Dims | None:
    """Give the shape of a part between starts and ends."""
    x = _x(inputs)
    starts, ends = _from_elements(inputs[1]), _from_elements(inputs[2])
    if starts is None or ends is None:
        return (UNKNOWN,) * len(x)
    axes = _ints(inputs, 3) if len(inputs) > 3 and inputs[3] is not None else list(range(len(starts)))
    steps = _ints(inputs, 4) if len(inputs) > 4 and inputs[4] is not None else [1] * len(starts)
    result = list(x)
    for i, axis in enumerate(axes or []):
        step = steps[i] if steps is not None else None
        result[axis] = _slice_size(x[axis], starts[i], ends[i], step)
    return tuple(result)


def _slice_size(size: Dim, start: Dim, end: Dim, step: int | None) -> Dim:
    if step is None:
        return UNKNOWN
    if isinstance(start, int) and isinstance(end, int):
        if isinstance(size, int):
            return len(range(*slice(start, end if end >= -size or step > 0 else None, step).indices(size)))
        if step == 1 and start >= 0 > end:
            return normal(normal(size + end) - start)
        if start == 0 and end >= np.iinfo(np.int32).max:
            return size if step == 1 else ceil_div(size, step)
        if step == 1 and start > 0 and end >= np.iinfo(np.int32).max:
            return normal(size - start)
    if step == 1 and isinstance(start, int) and start == 0 and same_dim(size, end):
        return size
    return UNKNOWN


def constant_of_shape(inputs: _Inputs, attributes: _Attributes) -> Dims | None:
    """Give the shape that input 0 names."""
    return _from_elements(inputs[0])


def shape(inputs: _Inputs, attributes: _Attributes) -> Dims | None:
    """Give the shape of a shape: as many numbers as axes."""
    x = _x(inputs)
    return (len(range(*slice(attributes.get("start", 0), attributes.get("end")).indices(len(x)))),)


def resize(inputs: _Inputs, attributes: _Attributes) -> Dims | None:
    """Give the shape of the sizes, or of input 0 by its scales."""
    x = _x(inputs)
    if len(inputs) > 3 and inputs[3] is not None:
        return _from_elements(inputs[3])
    scales = inputs[2].elements if len(inputs) > 2 and inputs[2] is not None else None
    if scales is None:
        return (UNKNOWN,) * len(x)
    sizes: list[Dim] = []
    for size, scale in zip(x, map(float, scales.reshape(-1)), strict=True):
        if isinstance(size, int):
            sizes.append(int(np.floor(size * scale)))
        elif scale == int(scale):
            sizes.append(size if scale == 1 else normal(size * int(scale)))
        else:
            sizes.append(UNKNOWN)
    return tuple(sizes)
