"""Levels of the inputs at which the first batch norms see what they saw in training.

A batch norm remembers the mean and the variance of its input, channel by channel. Where only linear ops are between the
model's inputs and that, both are linear in what is fed: the means in the inputs' means, the variances in the inputs'
variances. So they tell pixels of 0 to 255 from numbers of 0 to 1, and the colours from each other, without any names.
What is in between need not be linear: everything is measured, by runs of the model up to there, and a step is taken
only if the statistics agree better behind it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx_ir as ir

from exporter.ir.evaluate import Constants, evaluate
from exporter.ir.ops import is_op
from exporter.verify.cost import node_operations, sizes_in
from exporter.verify.inputs.draws import Levels, draw, usual_levels
from exporter.verify.inputs.roles import InputSpec
from runtime.budget import Meter

__all__ = ["Fit", "fit"]

Array = npt.NDArray[Any]

_MOST_CHANNELS = 64
_MOST_NORMS = 16
_ROUNDS = 2
_FACTORS = (1.0, 0.5, 2.0)
_FURTHEST = 25.0
_BETTER = 0.95
_DIGITS = 3
_LEAST = 0.03
_NOTHING = 1e-8


@dataclass(frozen=True)
class Fit:
    """Levels by input, and the batch norms whose statistics they were found by.

    Attributes:
        levels: By input; those that no batch norm tells anything of aren't in it.
        batch_norms: Their names.
        mismatch: How far the statistics still are from the moving ones: 0 is the same, 1 a standard deviation.
    """

    levels: Mapping[str, Levels]
    batch_norms: tuple[str, ...] = ()
    mismatch: float = 0.0


@dataclass(frozen=True, eq=False)
class _Target:
    """What a batch norm remembers of its input."""

    name: str
    value: ir.Value
    mean: Array
    variance: Array


class _Stop(Exception):  # noqa: N818 - no error: all that was wanted is there
    """Ends a run early."""


def fit(
    model: ir.Model,
    specs: Sequence[InputSpec],
    shapes: Mapping[str, tuple[int, ...]],
    feeds: Mapping[str, Array],
    work: int,
    meter: Meter | None = None,
) -> Fit:
    """Levels for the inputs that hold numbers.

    Args:
        model: The unfolded model.
        specs: Its inputs.
        shapes: Of the inputs.
        feeds: What the other inputs get meanwhile.
        work: How many operations may be spent; where they don't do for each channel by itself, all share a level.
        meter: What the operations of the runs are counted by, if there is a limit for them together with others.
    """
    wanted = [spec for spec in specs if spec.role in ("number", "pixel") and not _is_count(spec)]
    values = {str(value.name): value for value in model.graph.inputs}
    targets = list(_targets(model, [values[spec.name] for spec in wanted]))
    told = _in_front([target.value for target in targets])
    wanted = [spec for spec in wanted if values[spec.name] in told]
    if not wanted or not targets:
        return Fit({})
    fitting = _Fitting(model, wanted, shapes, feeds, targets, work, meter)
    levels, mismatch = fitting.run()
    rounded = {name: replace(one, why="the statistics of the first batch norms") for name, one in levels.items()}
    return Fit(rounded, tuple(target.name for target in targets), mismatch)


def _is_count(spec: InputSpec) -> bool:
    return spec.dtype.kind in "iu" and spec.role != "pixel"


def _targets(model: ir.Model, inputs: Sequence[ir.Value]) -> Iterator[_Target]:
    """The batch norms that come first behind the inputs."""
    constants = Constants()
    behind, found = set(inputs), 0
    for node in model.graph:
        if not any(value in behind for value in node.inputs):
            continue
        x = node.inputs[0]
        if is_op(node, "BatchNormalization"):
            mean, variance = node.inputs[3], node.inputs[4]
            if x is None or mean is None or variance is None or found >= _MOST_NORMS:
                continue
            if constants.is_constant(mean) and constants.is_constant(variance):
                found += 1
                name = node.metadata_props.get("batch_norm") or str(node.name)
                yield _Target(name, x, constants.array(mean).reshape(-1), constants.array(variance).reshape(-1))
            continue
        behind.update(node.outputs)


def _in_front(values: Sequence[ir.Value]) -> set[ir.Value]:
    """All that they are computed from, and they themselves."""
    found, pending = set[ir.Value](), list(values)
    while pending:
        value = pending.pop()
        if value not in found:
            found.add(value)
            node = value.producer()
            pending.extend(v for v in (() if node is None else node.inputs) if v is not None)
    return found


class _Fitting:
    def __init__(
        self,
        model: ir.Model,
        specs: Sequence[InputSpec],
        shapes: Mapping[str, tuple[int, ...]],
        feeds: Mapping[str, Array],
        targets: Sequence[_Target],
        work: int,
        meter: Meter | None,
    ) -> None:
        self.model, self.specs, self.shapes, self.feeds, self.meter = model, specs, shapes, feeds, meter
        self.targets = list({target.value: target for target in targets}.values())
        self.mean = np.concatenate([target.mean for target in self.targets])
        self.variance = np.concatenate([target.variance for target in self.targets])
        usual = float(np.median(self.variance))
        self.counted = self.variance > 1e-6 * max(usual, 1e-30)
        self.sigma = np.sqrt(np.maximum(self.variance, 1e-12))
        self.axes = self._affordable({spec.name: _channels(spec, shapes[spec.name]) for spec in specs}, work)

    def _affordable(self, axes: dict[str, tuple[int, int]], allowed: int) -> dict[str, tuple[int, int]]:
        """Each channel by itself where the runs that it takes aren't too much work, else all of them together."""
        work = 0
        sizes, left = sizes_in(self.model, self.shapes), {target.value for target in self.targets}
        for node in self.model.graph:
            if not left:
                break
            work += node_operations(node, sizes)
            left -= set(node.outputs)
        runs = 6 * _ROUNDS * sum(count for _, count in axes.values())
        return axes if runs * work <= allowed else dict.fromkeys(axes, (-1, 1))

    def run(self) -> tuple[dict[str, Levels], float]:
        """The best levels that were found, rounded; the usual ones where nothing is better."""
        best, least = self._beginning()
        for _ in range(_ROUNDS):
            better = False
            for step in (self._settled, self._moved, self._spread):
                tried = step(best)
                for factor in _FACTORS:
                    levels = {name: _scaled(one, factor) for name, one in tried.items()}
                    mismatch = self._mismatch(*self._observe(levels))
                    if mismatch < _BETTER * least:
                        best, least, better = levels, mismatch, True
            if not better:
                break
        return best, least

    def _beginning(self) -> tuple[dict[str, Levels], float]:
        """The best of the levels that are usual somewhere."""
        tried = [{spec.name: self._open(spec, usual_levels(spec)) for spec in self.specs}]
        for offset, spread in ((0.0, 1.0), (0.5, 0.29), (0.0, 0.58), (127.5, 74.0)):
            part = np.full(1, spread * np.sqrt(0.5))
            level = Levels(np.full(1, offset), part, part)
            tried.append({spec.name: self._open(spec, level) for spec in self.specs})
        found = [(self._mismatch(*self._observe(levels)), index) for index, levels in enumerate(tried)]
        least, index = min(found)
        return tried[index], least

    def _open(self, spec: InputSpec, level: Levels) -> Levels:
        """A level of its own for each channel; bounds only where the type has them."""
        axis, count = self.axes[spec.name]
        if level.offset.size > 1:
            axis, count = -1, level.offset.size
            self.axes[spec.name] = axis, count
        offset, smooth, white = (
            np.broadcast_to(part, (count,)).copy() for part in (level.offset, level.smooth, level.white)
        )
        bounded = spec.dtype.kind in "iu"
        return Levels(offset, smooth, white, axis, 0 if bounded else -np.inf, 255 if bounded else np.inf)

    def _observe(self, levels: Mapping[str, Levels]) -> tuple[Array, Array]:
        """The mean and the variance of each channel that the batch norms see."""
        random = np.random.RandomState(0)
        feeds = dict(self.feeds)
        for spec in self.specs:
            feeds[spec.name] = draw(spec, self.shapes[spec.name], random, levels=levels[spec.name])
        values = {target.value for target in self.targets}
        seen = {value: feeds[str(value.name)] for value in self.model.graph.inputs if value in values}

        def see(value: ir.Value, array: Array) -> None:
            if value in values:
                seen[value] = array
            if len(seen) == len(values):
                raise _Stop

        if len(seen) < len(values):
            try:
                with np.errstate(all="ignore"):
                    evaluate(self.model, feeds, dtype=np.float32, see=see, meter=self.meter)
            except _Stop:
                pass
        arrays = [np.asarray(seen[target.value], np.float64) for target in self.targets]
        flat = [array.reshape(-1, array.shape[-1]) for array in arrays]
        with np.errstate(all="ignore"):
            means, variances = [array.mean(0) for array in flat], [array.var(0) for array in flat]
        return np.concatenate(means), np.concatenate(variances)

    def _mismatch(self, mean: Array, variance: Array) -> float:
        with np.errstate(all="ignore"):
            off = np.square((mean - self.mean) / self.sigma)
            ratio = np.square(np.log(np.maximum(variance, 1e-12) / np.maximum(self.variance, 1e-12)))
        both = np.minimum(off, _FURTHEST) + np.minimum(ratio, _FURTHEST) / 4
        both = np.nan_to_num(both, nan=2 * _FURTHEST)[self.counted]
        return float(both.mean()) if both.size else 0.0

    def _settled(self, levels: dict[str, Levels]) -> dict[str, Levels]:
        """Offsets, found without any noise in the way, then spreads around them: all at once where all is linear."""
        return self._spread(self._moved(levels, still=True))

    def _moved(self, around: dict[str, Levels], *, still: bool = False) -> dict[str, Levels]:
        """Offsets by least squares, from how the means follow each of them."""
        levels = {name: _scaled(one, 0.0) for name, one in around.items()} if still else around
        base, _ = self._observe(levels)
        columns, steps = [], []
        for name, channel in self._components():
            step = float(np.hypot(around[name].smooth[channel], around[name].white[channel])) or 1.0
            mean, _ = self._observe({**levels, name: _shifted(levels[name], channel, step)})
            columns.append((mean - base) / self.sigma)
            steps.append(step)
        matrix, wanted = np.stack(columns, 1)[self.counted], ((self.mean - base) / self.sigma)[self.counted]
        if not np.all(np.isfinite(matrix)) or not np.all(np.isfinite(wanted)):
            return around
        ridge = 1e-6 * float(np.trace(matrix.T @ matrix)) / max(len(steps), 1) + 1e-12
        moves = np.linalg.solve(matrix.T @ matrix + ridge * np.eye(len(steps)), matrix.T @ wanted)
        for (name, channel), move, step in zip(self._components(), moves, steps, strict=True):
            around = {**around, name: _shifted(around[name], channel, float(move) * step)}
        return around if still else {name: _rounded(one) for name, one in around.items()}

    def _spread(self, levels: dict[str, Levels]) -> dict[str, Levels]:
        """Spreads, not below 0, by how much of the variances each part of each channel makes."""
        still = {name: _scaled(one, 0.0) for name, one in levels.items()}
        parts, columns = [], []
        for name, channel in self._components():
            spread = float(np.hypot(levels[name].smooth[channel], levels[name].white[channel])) or 1.0
            for part in ("smooth", "white"):
                array = np.zeros_like(levels[name].smooth)
                array[channel] = spread
                alone = replace(still[name], smooth=array) if part == "smooth" else replace(still[name], white=array)
                columns.append(self._observe({**still, name: alone})[1])
                parts.append((name, channel, part, spread))
        matrix = np.stack(columns, 1)[self.counted] / self.variance[self.counted, None]
        if not np.all(np.isfinite(matrix)):
            return levels
        shares = _not_negative(matrix)
        found = {name: {"smooth": 0 * one.smooth, "white": 0 * one.white} for name, one in levels.items()}
        for (name, channel, part, spread), share in zip(parts, shares, strict=True):
            found[name][part][channel] = spread * np.sqrt(share)
        return {
            name: _rounded(replace(one, smooth=found[name]["smooth"], white=found[name]["white"]))
            for name, one in levels.items()
        }

    def _components(self) -> list[tuple[str, int]]:
        return [(name, channel) for name, (_, count) in self.axes.items() for channel in range(count)]


def _channels(spec: InputSpec, shape: tuple[int, ...]) -> tuple[int, int]:
    """The axis of an input's channels and how many there are: the last one or the second, if it is small and fixed."""
    for axis in (len(shape) - 1, 1):
        if len(shape) > 1 and axis and isinstance(spec.shape[axis], int) and 1 <= shape[axis] <= _MOST_CHANNELS:
            return axis - len(shape), shape[axis]
    return -1, 1


def _shifted(levels: Levels, channel: int, step: float) -> Levels:
    offset = levels.offset.copy()
    offset[channel] += step
    return replace(levels, offset=offset)


def _scaled(levels: Levels, factor: float) -> Levels:
    return replace(levels, smooth=levels.smooth * factor, white=levels.white * factor)


def _rounded(levels: Levels) -> Levels:
    """To few digits, so that what is drawn doesn't depend on the last ones of the arithmetic here."""
    spread = float(np.max(np.hypot(levels.smooth, levels.white), initial=0.0)) or 1.0
    offset = np.array([_digits(value, spread) for value in levels.offset])
    smooth = np.array([_digits(value, value) for value in levels.smooth])
    white = np.array([_digits(value, value) for value in levels.white])
    return replace(levels, offset=offset, smooth=smooth, white=white)


def _digits(value: float, scale: float) -> float:
    if not scale or not np.isfinite(value):
        return float(value)
    return round(float(value), _DIGITS - 1 - int(np.floor(np.log10(abs(scale)))))


def _not_negative(matrix: Array) -> Array:
    """t >= 0 that brings `matrix @ t` near to 1, all of whose numbers are >= 0, by multiplicative steps.

    No part is left out altogether, since what it goes through would not be exercised; one that changes nothing that
    the statistics tell of stays at 1.
    """
    telling = matrix.sum(0) > _NOTHING * matrix.sum(0).max(initial=0.0)
    if not telling.all():
        found = np.ones(matrix.shape[1])
        found[telling] = _not_negative(matrix[:, telling]) if telling.any() else 1.0
        return found
    share = np.full(matrix.shape[1], 1.0 / max(float(matrix.sum(1).mean()), 1e-12))
    for _ in range(300):
        share *= matrix.sum(0) / np.maximum(matrix.T @ (matrix @ share), 1e-30)
    made = share * matrix.sum(0)
    return np.asarray(np.maximum(share, _LEAST * made.mean() / np.maximum(matrix.sum(0), 1e-30)))
