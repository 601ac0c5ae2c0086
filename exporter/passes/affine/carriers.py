"""How an affine map moves through the ops of one tensor that commute with it: see `steps`."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import onnx_ir as ir

from exporter.ir.dims import same_dim
from exporter.passes.affine.affine_map import Affine, Array
from exporter.passes.affine.refusal import Refused, label
from exporter.passes.affine.regroup import groups, reshape_along
from exporter.passes.affine.steps import Carrier, Step, Way

__all__ = ["CARRIERS"]


def _unary(up: Callable[[Step, Affine], Affine], down: Callable[[Step, Affine], Affine] | None = None) -> Carrier:
    """A carrier of one input to one output; `down` is needed where it isn't the same as `up`."""

    def go_up(step: Step, index: int, affine: Affine) -> list[Way]:
        return [Way({0: up(step, affine)})]

    def go_down(step: Step, index: int, affine: Affine) -> Way:
        if index != 0:
            raise Refused(f"it is a parameter of {label(step.node)}")
        return Way({0: (down or up)(step, affine)})

    return Carrier(go_up, go_down)


def _same(step: Step, affine: Affine) -> Affine:
    return affine


def _reshape_up(step: Step, affine: Affine) -> Affine:
    cut = groups(step.y, step.x)
    return affine.map(lambda array: reshape_along(array, cut))


def _reshape_down(step: Step, affine: Affine) -> Affine:
    cut = groups(step.x, step.y)
    return affine.map(lambda array: reshape_along(array, cut))


def _perm(step: Step) -> list[int]:
    return list(step.attribute("perm") or reversed(range(len(step.x))))


def _transpose_up(step: Step, affine: Affine) -> Affine:
    inverse = list(np.argsort(_perm(step)))
    return affine.map(lambda array: array.transpose(inverse))


def _transpose_down(step: Step, affine: Affine) -> Affine:
    perm = _perm(step)
    return affine.map(lambda array: array.transpose(perm))


def _float_types(step: Step) -> tuple[ir.DataType, ir.DataType]:
    """The type of what a Cast gets, and the type of its result. Refused if they aren't both floats."""
    x, y = step.node.inputs[0], step.node.outputs[0]
    kinds = [value.dtype for value in (x, y) if value is not None and value.dtype is not None]
    if len(kinds) < 2 or not all(kind.is_floating_point() for kind in kinds):
        raise Refused(f"{label(step.node)} is not between float types")
    return kinds[0], kinds[1]


def _cast_up(step: Step, affine: Affine) -> Affine:
    """What was rounded to half precision before its batch norm in float32 may as well be rounded behind it."""
    _float_types(step)
    return affine


def _cast_down(step: Step, affine: Affine) -> Affine:
    """Not to a narrower type, in which what isn't normalised yet might overflow."""
    before, after = _float_types(step)
    if after.itemsize < before.itemsize:
        raise Refused(f"{label(step.node)} goes to a narrower type, in which unscaled numbers may overflow")
    return affine


def _space(rank: int) -> list[int]:
    return list(range(1, rank - 1))


def _average_pool(step: Step, affine: Affine) -> Affine:
    """Commutes with scale and shift, unless zeros are counted: then only with the scale."""
    step.uniform(affine, _space(affine.rank))
    padded = any(step.attribute("pads") or ()) or step.attribute("auto_pad", "NOTSET") != "NOTSET"
    if padded and step.attribute("count_include_pad", 0):
        step.no_shift(affine, "it counts the zeros of its padding, which have no shift")
    return affine


def _monotone(step: Step, affine: Affine, *, axes: list[int]) -> Affine:
    step.uniform(affine, axes)
    negative = int(np.sum(affine.scale < 0))
    if negative:
        raise Refused(f"{label(step.node)}: the scale is negative in {negative} of {affine.scale.size} channels")
    return affine


def _max_pool(step: Step, affine: Affine) -> Affine:
    """max(s x + t) = s max(x) + t for s >= 0; padding never wins, so it doesn't matter."""
    return _monotone(step, affine, axes=_space(affine.rank))


def _homogeneous(step: Step, affine: Affine) -> Affine:
    """f(s x) = s f(x) for s >= 0."""
    step.no_shift(affine, "an activation between; only a scale could pass it")
    return _monotone(step, affine, axes=[])


def _resize(step: Step, affine: Affine) -> Affine:
    """Weights of interpolation add up to 1, at the borders too."""
    if step.attribute("coordinate_transformation_mode", "half_pixel") == "tf_crop_and_resize":
        raise Refused(f"{label(step.node)} fills in a constant outside the image")
    step.uniform(affine, _space(affine.rank))
    return affine


def _block(step: Step) -> int:
    return int(step.attribute("blocksize")) ** 2


def _spread(step: Step, affine: Affine) -> Affine:
    """Channel c becomes the channels c, C + c, 2 C + c, ...: DepthToSpace upwards, SpaceToDepth downwards."""
    step.uniform(affine, [0, 1, 2])
    blocks = _block(step)
    return affine.map(lambda array: np.tile(array, blocks) if array.shape[-1] > 1 else array)


def _gather_blocks(step: Step, affine: Affine) -> Affine:
    """The inverse, which needs the same map in each block."""
    step.uniform(affine, [0, 1, 2])
    blocks = _block(step)

    def fold(array: Array) -> Array:
        if array.shape[-1] == 1:
            return array
        parts = array.reshape(blocks, -1)
        if np.any(parts != parts[0]):
            raise Refused(f"{label(step.node)} takes channels with different maps to one channel")
        return np.asarray(parts[0]).reshape(1, 1, 1, -1)

    return affine.map(fold)


def _reduced_axes(step: Step) -> list[int]:
    rank = len(step.x)
    axes = step.ints(1)
    if not axes:
        return [] if step.attribute("noop_with_empty_axes", 0) else list(range(rank))
    return [axis % rank for axis in axes]


def _reduce_up(step: Step, affine: Affine) -> Affine:
    axes = _reduced_axes(step)
    if step.attribute("keepdims", 1):
        step.uniform(affine, axes)
        return affine
    return affine.map(lambda array: np.expand_dims(array, tuple(axes)))


def _reduce_down(step: Step, affine: Affine) -> Affine:
    axes = _reduced_axes(step)
    step.uniform(affine, axes)
    if step.attribute("keepdims", 1):
        return affine
    return affine.map(lambda array: np.squeeze(array, tuple(axes)))


def _scale_only(carry: Callable[[Step, Affine], Affine]) -> Callable[[Step, Affine], Affine]:
    def carried(step: Step, affine: Affine) -> Affine:
        step.no_shift(affine, "a sum multiplies the shift by its number of elements")
        return carry(step, affine)

    return carried


def _rising(carry: Callable[[Step, Affine], Affine]) -> Callable[[Step, Affine], Affine]:
    def carried(step: Step, affine: Affine) -> Affine:
        return carry(step, _monotone(step, affine, axes=[]))

    return carried


def _expanded(step: Step) -> tuple[list[int], int]:
    """The axes of the output along which an Expand repeats, and by how many axes the rank grows."""
    x, y = step.x, step.y
    grown = len(y) - len(x)
    repeated = [i + grown for i, dim in enumerate(x) if not same_dim(dim, y[i + grown])]
    return list(range(grown)) + repeated, grown


def _expand_up(step: Step, affine: Affine) -> Affine:
    axes, grown = _expanded(step)
    step.uniform(affine, axes)
    return affine.map(lambda array: array.reshape(array.shape[grown:]))


def _expand_down(step: Step, affine: Affine) -> Affine:
    axes, grown = _expanded(step)
    mapped = affine.map(lambda array: array.reshape((1,) * grown + array.shape))
    step.uniform(mapped, axes)
    return mapped


def _tile(step: Step, affine: Affine) -> Affine:
    repeats = step.ints(1) or []
    step.uniform(affine, [axis for axis, times in enumerate(repeats) if times != 1])
    return affine


CARRIERS: dict[str, Carrier] = {
    "AveragePool": _unary(_average_pool),
    "Cast": _unary(_cast_up, _cast_down),
    "DepthToSpace": _unary(_spread, _gather_blocks),
    "Expand": _unary(_expand_up, _expand_down),
    "Flatten": _unary(_reshape_up, _reshape_down),
    "Identity": _unary(_same),
    "LeakyRelu": _unary(_homogeneous),
    "MaxPool": _unary(_max_pool),
    "PRelu": _unary(_homogeneous),
    "ReduceMax": _unary(_rising(_reduce_up), _rising(_reduce_down)),
    "ReduceMean": _unary(_reduce_up, _reduce_down),
    "ReduceMin": _unary(_rising(_reduce_up), _rising(_reduce_down)),
    "ReduceSum": _unary(_scale_only(_reduce_up), _scale_only(_reduce_down)),
    "Relu": _unary(_homogeneous),
    "Reshape": _unary(_reshape_up, _reshape_down),
    "Resize": _unary(_resize),
    "SpaceToDepth": _unary(_gather_blocks, _spread),
    "Squeeze": _unary(_reshape_up, _reshape_down),
    "Tile": _unary(_tile),
    "Transpose": _unary(_transpose_up, _transpose_down),
    "Unsqueeze": _unary(_reshape_up, _reshape_down),
}
"""Carriers of one tensor; those that join or part several are in `branches`."""
