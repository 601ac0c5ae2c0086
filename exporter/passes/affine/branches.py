"""Carriers that join or part tensors, or put constants beside one: Concat, Split, Slice, Gather, Pad, Add."""

from __future__ import annotations

from itertools import accumulate

import numpy as np

from exporter.ir.dims import Dim, Dims, same_dim
from exporter.passes.affine.affine_map import Affine, Array
from exporter.passes.affine.refusal import Refused, label
from exporter.passes.affine.steps import Carrier, Step, Way

__all__ = ["BRANCHES"]


def _size(step: Step, dim: Dim) -> int:
    if not isinstance(dim, int):
        raise Refused(f"the size of a part isn't known at {label(step.node)}")
    return dim


def _axis(step: Step, default: int | None = None) -> int:
    return int(step.attribute("axis", default)) % len(step.x)


def _piece(affine: Affine, axis: int, index: slice) -> Affine:
    """The map of a part of the tensor along an axis."""

    def cut(array: Array) -> Array:
        if array.shape[axis] == 1:
            return array
        return array[(slice(None),) * axis + (index,)]

    return affine.map(cut)


def _extended(affine: Affine, axis: int, size: int, index: slice | list[int]) -> Affine:
    """The map of the whole tensor that leaves all but a part as it is."""

    def extend(array: Array, neutral: float) -> Array:
        whole = np.full((*array.shape[:axis], size, *array.shape[axis + 1 :]), neutral)
        whole[(slice(None),) * axis + (index,)] = array
        return whole

    return Affine.of(extend(affine.scale, 1.0), extend(affine.shift, 0.0), affine.rank)


def _concat_parts(step: Step) -> tuple[int, list[slice]]:
    axis = _axis(step)
    sizes = [_size(step, step.dims(value)[axis]) for value in step.node.inputs]
    ends = list(accumulate(sizes))
    return axis, [slice(end - size, end) for size, end in zip(sizes, ends, strict=True)]


def _concat_up(step: Step, index: int, affine: Affine) -> list[Way]:
    axis = _axis(step)
    if axis not in affine.varying:
        return [Way(dict.fromkeys(range(len(step.node.inputs)), affine))]
    _, parts = _concat_parts(step)
    return [Way({i: _piece(affine, axis, part) for i, part in enumerate(parts)})]


def _concat_down(step: Step, index: int, affine: Affine) -> Way:
    axis, parts = _concat_parts(step)
    return Way({0: _extended(affine, axis, parts[-1].stop, parts[index])})


def _split_parts(step: Step) -> tuple[int, list[slice]]:
    axis = _axis(step, 0)
    sizes = [_size(step, step.dims(value)[axis]) for value in step.node.outputs]
    ends = list(accumulate(sizes))
    return axis, [slice(end - size, end) for size, end in zip(sizes, ends, strict=True)]


def _split_up(step: Step, index: int, affine: Affine) -> list[Way]:
    axis, parts = _split_parts(step)
    return [Way({0: _extended(affine, axis, parts[-1].stop, parts[index])})]


def _split_down(step: Step, index: int, affine: Affine) -> Way:
    if index != 0:
        raise Refused(f"it is a parameter of {label(step.node)}")
    axis, parts = _split_parts(step)
    return Way({i: _piece(affine, axis, part) for i, part in enumerate(parts)})


def _slices(step: Step) -> dict[int, slice]:
    rank = len(step.x)
    starts, ends, axes, steps = (step.ints(i) for i in (1, 2, 3, 4))
    assert starts is not None
    assert ends is not None
    axes = list(range(len(starts))) if axes is None else axes
    steps = [1] * len(starts) if steps is None else steps
    return {
        axis % rank: slice(start, end, stride)
        for axis, start, end, stride in zip(axes, starts, ends, steps, strict=True)
    }


def _slice_up(step: Step, index: int, affine: Affine) -> list[Way]:
    """What is cut off may become anything: nobody sees it."""
    for axis, part in _slices(step).items():
        if axis in affine.varying:
            affine = _extended(affine, axis, _size(step, step.x[axis]), part)
    return [Way({0: affine})]


def _slice_down(step: Step, index: int, affine: Affine) -> Way:
    if index != 0:
        raise Refused(f"it is a parameter of {label(step.node)}")
    for axis, part in _slices(step).items():
        affine = _piece(affine, axis, part)
    return Way({0: affine})


def _gather(step: Step) -> tuple[int, int, Array | None]:
    """The axis that is looked up, by how many axes it is replaced, and the indices if they are constant."""
    picks = step.node.inputs[1]
    indices = step.constants.array(picks) if picks is not None and step.constants.is_constant(picks) else None
    return _axis(step, 0), len(step.dims(picks)), indices


def _gather_up(step: Step, index: int, affine: Affine) -> list[Way]:
    """What isn't picked may become anything; along a list of channels, each picked once, the map may vary."""
    axis, picked, indices = _gather(step)
    if axis in affine.varying and picked == 1 and indices is not None:
        size = _size(step, step.x[axis])
        channels = [int(i) % size for i in indices]
        if len(set(channels)) < len(channels):
            raise Refused(f"{label(step.node)} picks a channel twice, and it isn't the same in both places")
        return [Way({0: _extended(affine, axis, size, channels)})]
    step.uniform(affine, list(range(axis, axis + picked)))
    return [Way({0: affine.map(lambda a: a.reshape((*a.shape[:axis], 1, *a.shape[axis + picked :])))})]


def _gather_down(step: Step, index: int, affine: Affine) -> Way:
    """s[indices] and t[indices]."""
    if index != 0:
        raise Refused(f"it is a parameter of {label(step.node)}")
    axis, picked, indices = _gather(step)
    if indices is None:
        step.uniform(affine, [axis])

    def move(array: Array) -> Array:
        if indices is None or array.shape[axis] == 1:
            return array.reshape((*array.shape[:axis], *[1] * picked, *array.shape[axis + 1 :]))
        return np.asarray(array.take(indices.astype(np.int64), axis))

    return Way({0: affine.map(move)})


def _padding(step: Step) -> tuple[list[int], float | None]:
    """The axes that a Pad changes, and what it fills in: None for a copy of the tensor's own edge."""
    pads, axes = step.ints(1), step.ints(3)
    assert pads is not None
    rank = len(step.x)
    where = list(range(rank)) if axes is None else [axis % rank for axis in axes]
    padded = [axis for i, axis in enumerate(where) if pads[i] or pads[i + len(where)]]
    if step.attribute("mode", "constant") != "constant":
        return padded, None
    value = step.node.inputs[2] if len(step.node.inputs) > 2 else None
    if value is None:
        return padded, 0.0
    if not step.constants.is_constant(value):
        raise Refused(f"{label(step.node)} fills in what is computed at run time")
    return padded, float(step.constants.array(value).reshape(-1)[0])


def _filled(step: Step, before: float, filled: Array) -> tuple[int, Array] | None:
    """The new constant of a Pad, which must be one number."""
    if np.any(filled != filled.reshape(-1)[0]):
        raise Refused(
            f"{label(step.node)}: the shift, which isn't the same in all channels, can't pass constant padding"
        )
    value = filled.reshape(-1)[0]
    return None if value == before else (2, np.asarray(value))


def _pad_up(step: Step, index: int, affine: Affine) -> list[Way]:
    """s pad(x, v) + t = pad(s x + t, s v + t)."""
    padded, value = _padding(step)
    step.uniform(affine, padded)
    if value is None:
        return [Way({0: affine})]
    return [Way({0: affine}, _filled(step, value, affine.scale * value + affine.shift))]


def _pad_down(step: Step, index: int, affine: Affine) -> Way:
    """pad(s x + t, v) = s pad(x, (v - t) / s) + t."""
    if index != 0:
        raise Refused(f"it is a parameter of {label(step.node)}")
    padded, value = _padding(step)
    step.uniform(affine, padded)
    if value is None or (value == 0 and not affine.has_shift):
        return Way({0: affine})
    if np.any(affine.scale == 0):
        raise Refused(f"{label(step.node)}: a scale of 0 can't pass padding with a constant")
    return Way({0: affine}, _filled(step, value, (value - affine.shift) / affine.scale))


def _aligned(affine: Affine, dims: Dims, y: Dims, what: str) -> Affine:
    """The map of an operand of shape `dims` that is broadcast to `y`."""
    grown = len(y) - len(dims)
    broadcast = [axis for axis in affine.varying if axis < grown or not same_dim(dims[axis - grown], y[axis])]
    if broadcast:
        raise Refused(f"{what} is broadcast along its axis")
    return affine.map(lambda array: array.reshape(array.shape[grown:]))


def _sum_up(step: Step, index: int, affine: Affine) -> list[Way]:
    """s (a + b) + t = (s a + t) + s b: the shift may go into either."""
    what = f"an operand of {label(step.node)}"
    dims = [step.dims(value) for value in step.node.inputs]
    scales = {i: _aligned(affine.scale_only(), d, step.y, what) for i, d in enumerate(dims)}
    if not affine.has_shift:
        return [Way(scales)]
    ways = []
    for i, d in enumerate(dims):
        shift = affine.shift if step.node.op_type != "Sub" or i == 0 else -affine.shift
        try:
            own = _aligned(Affine(affine.scale, shift), d, step.y, what)
        except Refused:
            continue
        ways.append(Way({**scales, i: own}))
    if not ways:
        raise Refused(f"{what} is broadcast along its axis")
    return ways


def _sum_down(step: Step, index: int, affine: Affine) -> Way:
    """(a + t) + b = (a + b) + t."""
    if affine.has_scale:
        raise Refused(f"{label(step.node)} adds something that isn't scaled")
    y, dims = step.y, step.dims(step.node.inputs[index])
    sign = -1.0 if step.node.op_type == "Sub" and index == 1 else 1.0
    return Way({0: Affine.of(1.0, sign * _grown(step, affine, dims, y).shift, len(y))})


def _product_up(step: Step, index: int, affine: Affine) -> list[Way]:
    """s (a b) = (s a) b = a (s b); s (a / b) = (s a) / b."""
    step.no_shift(affine, "a product with something computed; only a scale could pass it")
    what = f"an operand of {label(step.node)}"
    ways = []
    for i in range(1 if step.node.op_type == "Div" else 2):
        try:
            ways.append(Way({i: _aligned(affine, step.dims(step.node.inputs[i]), step.y, what)}))
        except Refused:
            continue
    if not ways:
        raise Refused(f"{what} is broadcast along its axis")
    return ways


def _product_down(step: Step, index: int, affine: Affine) -> Way:
    step.no_shift(affine, "a product with something computed; only a scale could pass it")
    if step.node.op_type == "Div" and index == 1:
        raise Refused(f"{label(step.node)} divides by it")
    return Way({0: _grown(step, affine, step.dims(step.node.inputs[index]), step.y)})


def _grown(step: Step, affine: Affine, dims: Dims, y: Dims) -> Affine:
    grown = len(y) - len(dims)
    return affine.map(lambda array: array.reshape((1,) * grown + array.shape))


BRANCHES: dict[str, Carrier] = {
    "Add": Carrier(_sum_up, _sum_down),
    "Concat": Carrier(_concat_up, _concat_down),
    "Div": Carrier(_product_up, _product_down),
    "Gather": Carrier(_gather_up, _gather_down),
    "Mul": Carrier(_product_up, _product_down),
    "Pad": Carrier(_pad_up, _pad_down),
    "Slice": Carrier(_slice_up, _slice_down),
    "Split": Carrier(_split_up, _split_down),
    "Sub": Carrier(_sum_up, _sum_down),
    "Sum": Carrier(_sum_up, _sum_down),
}
