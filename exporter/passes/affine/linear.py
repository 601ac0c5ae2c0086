"""What each linear op can take of an affine map of its input or its output, and what becomes of its weights.

The weights W are multiplied by a factor F that broadcasts against them, and the bias becomes

    B' = so (B + sum of W over what it contracts, weighted with ti) + to

where (si, ti) is the map of the input and (so, to) that of the output.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from exporter.passes.affine.affine_map import Affine, Array
from exporter.passes.affine.refusal import Refused
from exporter.passes.affine.weighted import Weighted

__all__ = ["LINEAR", "Linear"]


@dataclass(frozen=True)
class Linear:
    """One kind of linear op.

    Attributes:
        take_input: Refused if the weights can't stand for this map of the input.
        take_output: Refused if they can't stand for this map of the output.
        factor: F from W's shape, si and so; these have the rank of input and output.
        input_shift: The shift [M] that ti causes in the output; None if none can be taken.
        bias: The index of the bias input; None if the op has none.
        adds: What to becomes when it is added to the weights themselves; None if it goes to the bias.
    """

    take_input: Callable[[Weighted, Affine], None]
    take_output: Callable[[Weighted, Affine], None]
    factor: Callable[[Weighted, tuple[int, ...], Array, Array], Array]
    input_shift: Callable[[Weighted, Array, Array], Array] | None = None
    bias: int | None = None
    adds: Callable[[Weighted, Array], Array] | None = None


def _last_axis(op: Weighted, affine: Affine, side: str) -> None:
    wrong = [axis for axis in affine.varying if axis != affine.rank - 1]
    if wrong:
        axes = f"axis {wrong[0]}" if len(wrong) == 1 else f"axes {', '.join(map(str, wrong))}"
        raise Refused(f"it varies along {axes}, and the {side} channels of {op.name} are axis {affine.rank - 1}")


def _output_channels(op: Weighted, affine: Affine) -> None:
    _last_axis(op, affine, "output")


def _features(op: Weighted, affine: Affine) -> None:
    _last_axis(op, affine, "input")


def _unpadded_channels(op: Weighted, affine: Affine) -> None:
    _last_axis(op, affine, "input")
    if affine.has_shift and op.pads:
        raise Refused(f"{op.name} pads with zeros: the shift would be missing at the border")


def _transposed_channels(op: Weighted, affine: Affine) -> None:
    _last_axis(op, affine, "input")
    if affine.has_shift:
        raise Refused(f"{op.name} adds up fewer taps at its border, so a shift would not be uniform behind it")


def _channel_factor(op: Weighted, shape: tuple[int, ...], si: Array, so: Array) -> Array:
    """F[c, m] = si[g(m) C/group + c] so[m] for W[*k, C/group, M], where g(m) is the group of m."""
    return _by_group(si, op.group, shape) * so.reshape(1, -1)


def _transposed_factor(op: Weighted, shape: tuple[int, ...], si: Array, so: Array) -> Array:
    """F[m, c] = so[g(c) M/group + m] si[c] for W[*k, M/group, C], where g(c) is the group of c."""
    return _by_group(so, op.group, shape) * si.reshape(1, -1)


def _by_group(channels: Array, group: int, shape: tuple[int, ...]) -> Array:
    """Channels that are divided into groups, each meeting its block of the kernel's last axis, as [C/group, last]."""
    if group == 1 or channels.size == 1:
        return channels.reshape(-1, 1)
    return np.repeat(channels.reshape(group, -1), shape[-1] // group, axis=0).T


def _channel_shift(op: Weighted, w: Array, ti: Array) -> Array:
    """The sum over taps and c of W[k, c, m] ti[g(m) C/group + c]."""
    met = _by_group(ti, op.group, w.shape)
    taps = w.reshape(-1, *w.shape[-2:])
    if met.shape[1] == 1:
        return _weighted_sum(taps, np.broadcast_to(met[:, 0], w.shape[-2]))
    return np.asarray((taps.sum(axis=0, dtype=np.float64) * met).sum(axis=0))


_BLOCK = 1 << 20


def _weighted_sum(taps: Array, weights: Array) -> Array:
    """The sum over k and c of W[k, c, m] weights[c], in float64, some rows of W at a time."""
    total = np.zeros(taps.shape[-1])
    rows = max(1, _BLOCK // max(1, taps.shape[-1]))
    for tap in taps:
        for first in range(0, tap.shape[0], rows):
            total += weights[first : first + rows] @ tap[first : first + rows].astype(np.float64)
    return total


def _no_input(op: Weighted, affine: Affine) -> None:
    raise Refused(f"{op.name} looks up rows by number")


def _table_columns(op: Weighted, affine: Affine) -> None:
    axis, picked = op.lookup
    wrong = [a for a in affine.varying if axis <= a < axis + picked]
    if wrong:
        raise Refused(f"it varies along axis {wrong[0]}, which {op.name} looks up")


def _in_table(op: Weighted, array: Array) -> Array:
    """What broadcasts against the looked-up tensor, as what broadcasts against the table."""
    axis, picked = op.lookup
    return array.reshape((*array.shape[:axis], 1, *array.shape[axis + picked :]))


def _table_factor(op: Weighted, shape: tuple[int, ...], si: Array, so: Array) -> Array:
    return _in_table(op, so)


def _lettered(op: Weighted, affine: Affine, letters: str) -> None:
    wrong = [axis for axis in affine.varying if letters[axis] not in op.letters()[1]]
    if wrong:
        raise Refused(f"it varies along axis {wrong[0]}, which the weights of {op.name} don't have")
    if affine.has_shift:
        raise Refused(f"{op.name} has no bias to take a shift")


def _lettered_input(op: Weighted, affine: Affine) -> None:
    _lettered(op, affine, op.letters()[0])


def _lettered_output(op: Weighted, affine: Affine) -> None:
    _lettered(op, affine, op.letters()[2])


def _lettered_factor(op: Weighted, shape: tuple[int, ...], si: Array, so: Array) -> Array:
    """Each axis of si and so put where its letter is in the weights."""
    x, w, y = op.letters()
    return _relettered(si, x, w) * _relettered(so, y, w)


def _relettered(array: Array, letters: str, wanted: str) -> Array:
    order = [letters.index(letter) for letter in wanted if letter in letters]
    rest = [axis for axis in range(array.ndim) if axis not in order]
    sizes = iter(array.transpose([*order, *rest]).shape)
    shape = [next(sizes) if letter in letters else 1 for letter in wanted]
    return array.transpose([*order, *rest]).reshape(shape)


LINEAR: dict[str, Linear] = {
    "Conv": Linear(_unpadded_channels, _output_channels, _channel_factor, _channel_shift, bias=2),
    "ConvTranspose": Linear(_transposed_channels, _output_channels, _transposed_factor, bias=2),
    "Dense": Linear(_features, _output_channels, _channel_factor, _channel_shift, bias=2),
    "Einsum": Linear(_lettered_input, _lettered_output, _lettered_factor),
    "Gather": Linear(_no_input, _table_columns, _table_factor, adds=_in_table),
    "MatMul": Linear(_lettered_input, _lettered_output, _lettered_factor),
}
"""By op type."""
