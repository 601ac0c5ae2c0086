"""Shapes: what moves elements about without looking at them."""

from __future__ import annotations

import numpy as np

from runtime.kernels.base import Array, Function, broadcast_shapes

__all__ = ["OPS", "pad", "split"]


def identity(x: Array) -> Array:
    """x."""
    return x


def constant(*, value: Array) -> Array:
    """The tensor in the attribute."""
    return value


def reshape(x: Array, shape: Array, *, allowzero: int = 0) -> Array:
    """x with another shape: -1 is what is left over; 0 copies the size of x unless allowzero is 1."""
    wanted = shape.tolist()
    if not allowzero:
        wanted = [x.shape[i] if size == 0 else size for i, size in enumerate(wanted)]
    return x.reshape(wanted)


def transpose(x: Array, *, perm: list[int] | None = None) -> Array:
    """Axis i of the result is axis perm[i] of x; without perm the axes are reversed."""
    return np.transpose(x, perm)


def squeeze(x: Array, axes: Array | None = None) -> Array:
    """x without the axes given, or without all axes of size 1."""
    return np.squeeze(x, None if axes is None else tuple(axes.ravel().tolist()))


def unsqueeze(x: Array, axes: Array) -> Array:
    """x with new axes of size 1, numbered as in the result."""
    return np.expand_dims(x, tuple(axes.ravel().tolist()))


def expand(x: Array, shape: Array) -> Array:
    """x and a tensor of that shape broadcast together."""
    return np.broadcast_to(x, broadcast_shapes(x.shape, tuple(shape.tolist())))


def tile(x: Array, repeats: Array) -> Array:
    """x repeated along each axis."""
    return np.tile(x, repeats.tolist())


def shape_of(x: Array, *, start: int = 0, end: int | None = None) -> Array:
    """The sizes of x's axes from start to end, as int64."""
    return np.array(x.shape[start:end], dtype=np.int64)


def size_of(x: Array) -> Array:
    """The number of elements, as an int64 scalar."""
    return np.array(x.size, dtype=np.int64)


def concat(*inputs: Array, axis: int) -> Array:
    """The inputs one after another along an axis."""
    return np.concatenate(inputs, axis=axis)


def split(x: Array, sizes: Array | None = None, *, axis: int = 0, num_outputs: int | None = None) -> tuple[Array, ...]:
    """x in parts of the sizes given, or in num_outputs equal parts, of which the last may be smaller."""
    if sizes is None:
        if num_outputs is None:
            raise ValueError("neither sizes nor num_outputs says how to split")
        part = -(-x.shape[axis] // num_outputs)
        return tuple(np.split(x, range(part, part * num_outputs, part), axis=axis))
    if int(sizes.sum()) != x.shape[axis]:
        raise ValueError(f"sizes {sizes.tolist()} don't add up to {x.shape[axis]}, the size of axis {axis}")
    return tuple(np.split(x, np.cumsum(sizes)[:-1].tolist(), axis=axis))


def slice_(x: Array, starts: Array, ends: Array, axes: Array | None = None, steps: Array | None = None) -> Array:
    """x[start:end:step] along the axes given; what lies outside is left out."""
    where = range(starts.size) if axes is None else axes.tolist()
    strides = [1] * starts.size if steps is None else steps.tolist()
    index = [slice(None)] * x.ndim
    for axis, start, end, step in zip(where, starts.tolist(), ends.tolist(), strides):
        index[axis] = slice(start, end, step)
    return x[tuple(index)]


_PAD_MODES = {"constant": "constant", "edge": "edge", "reflect": "reflect", "wrap": "wrap"}


def pad(
    x: Array, pads: Array, value: Array | None = None, axes: Array | None = None, *, mode: str = "constant"
) -> Array:
    """x with pads[i] more at the beginning and pads[n + i] more at the end of axis i; negative ones cut off."""
    if mode not in _PAD_MODES:
        raise ValueError(f"mode is {mode!r}, expected one of {', '.join(_PAD_MODES)}")
    where = list(range(x.ndim)) if axes is None else axes.tolist()
    widths, cut = [(0, 0)] * x.ndim, [slice(None)] * x.ndim
    for axis, begin, end in zip(where, pads[: len(where)].tolist(), pads[len(where) :].tolist()):
        widths[axis] = (max(begin, 0), max(end, 0))
        cut[axis] = slice(max(-begin, 0), x.shape[axis] + min(end, 0))
    x = x[tuple(cut)]
    if mode != "constant":
        return np.pad(x, widths, mode=mode)  # type: ignore[call-overload,no-any-return]
    return padded(x, widths, 0 if value is None else value.reshape(-1)[0])


def padded(x: Array, widths: list[tuple[int, int]], value: object = 0) -> Array:
    """x inside a larger array filled with one value; x itself if nothing is added."""
    if not any(begin or end for begin, end in widths):
        return x
    y = np.full([begin + size + end for size, (begin, end) in zip(x.shape, widths)], value, dtype=x.dtype)
    y[tuple(slice(begin, begin + size) for size, (begin, _) in zip(x.shape, widths))] = x
    return y


def flatten(x: Array, *, axis: int = 1) -> Array:
    """A matrix: the axes before `axis` are its rows, the others its columns."""
    axis = axis + x.ndim if axis < 0 else axis
    rows = int(np.prod(x.shape[:axis], dtype=np.int64))
    return x.reshape(rows, int(np.prod(x.shape[axis:], dtype=np.int64)))


def depth_to_space(x: Array, *, blocksize: int) -> Array:
    """[N, H, W, b*b*C] to [N, H*b, W*b, C]; a channel's block row and column come before its place in C."""
    n, h, w, c = x.shape
    depth = c // blocksize**2
    blocks = x.reshape(n, h, w, blocksize, blocksize, depth).transpose(0, 1, 3, 2, 4, 5)
    return blocks.reshape(n, h * blocksize, w * blocksize, depth)


def space_to_depth(x: Array, *, blocksize: int) -> Array:
    """[N, H*b, W*b, C] to [N, H, W, b*b*C], the inverse of DepthToSpace."""
    n, h, w, c = x.shape
    rows, columns = h // blocksize, w // blocksize
    blocks = x.reshape(n, rows, blocksize, columns, blocksize, c).transpose(0, 1, 3, 2, 4, 5)
    return blocks.reshape(n, rows, columns, blocksize * blocksize * c)


OPS: dict[str, Function] = {
    "Concat": concat,
    "Constant": constant,
    "DepthToSpace": depth_to_space,
    "Expand": expand,
    "Flatten": flatten,
    "Identity": identity,
    "Pad": pad,
    "Reshape": reshape,
    "Shape": shape_of,
    "Size": size_of,
    "Slice": slice_,
    "SpaceToDepth": space_to_depth,
    "Split": split,
    "Squeeze": squeeze,
    "Tile": tile,
    "Transpose": transpose,
    "Unsqueeze": unsqueeze,
}
