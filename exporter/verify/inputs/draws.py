"""Arrays for inputs, drawn at random but always the same ones: of several characters, at levels that the model tells.

A network sees other things in noise than in smooth pictures, and some of its channels wake up only at unusual inputs.
So numbers are `offset + smooth * (what varies slowly) + white * (noise)`, and the characters are made of that:

| character | numbers | zeros and ones |
|---|---|---|
| `mixed` | as it is | each by itself |
| `white` | all of the spread in the noise | all ones |
| `smooth` | all of it in what varies slowly | ones, then zeros |
| `wide` | three times as far from the offset | each by itself |
| `apart` | each example at a level of its own | ones, then zeros |
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, get_args

import numpy as np
import numpy.typing as npt

from exporter.errors import UsageError
from exporter.verify.inputs.roles import InputSpec

__all__ = ["CHARACTERS", "Character", "Levels", "draw", "usual_levels"]

Array = npt.NDArray[Any]
Character = Literal["mixed", "white", "smooth", "wide", "apart"]
CHARACTERS: tuple[Character, ...] = get_args(Character)

_GRID = 5
_WIDE = 3.0
_ANY_INTEGER = 10
_ON = 0.75


@dataclass(frozen=True, eq=False)
class Levels:
    """Where the numbers of an input are, for all of them ([1]) or for each channel ([C]).

    Attributes:
        offset: Their mean.
        smooth: The spread of the part that varies slowly, over space or time, or from example to example.
        white: The spread of the part that is noise.
        axis: The channels' axis.
        low: What no number is below.
        high: What no number is above.
        why: Where that is from.
    """

    offset: Array = field(default_factory=lambda: np.zeros(1))
    smooth: Array = field(default_factory=lambda: np.zeros(1))
    white: Array = field(default_factory=lambda: np.ones(1))
    axis: int = -1
    low: float = -np.inf
    high: float = np.inf
    why: str = "numbers around 0"


def usual_levels(spec: InputSpec) -> Levels:
    """What an input gets as long as nothing more is known: pixels, what it is normalised for, or numbers around 0."""
    half = np.full(1, np.sqrt(0.5)) if len(spec.shape) > 3 else np.zeros(1)
    rest = np.sqrt(1 - half**2)
    if spec.role == "pixel":
        return Levels(np.full(1, 127.5), 74 * half, 74 * rest, low=0, high=255, why="pixels of 0 to 255")
    if spec.centre is None or spec.spread is None:
        return Levels(smooth=half, white=rest)
    why = "the constants that the model normalises it by"
    return Levels(spec.centre, spec.spread * half, spec.spread * rest, why=why)


def draw(
    spec: InputSpec,
    shape: tuple[int, ...],
    random: np.random.RandomState,
    character: Character = "mixed",
    *,
    levels: Levels | None = None,
    sizes: Mapping[str, int] | None = None,
    top: int | None = None,
) -> Array:
    """An array of an input's type.

    Args:
        spec: The input.
        shape: Its shape.
        random: Is advanced.
        character: What kind of numbers.
        levels: Where numbers are; the usual ones if there are none.
        sizes: What open sizes are, for lengths.
        top: No index and no length is as large as this, if something else didn't do.

    Raises:
        UsageError: There are no random values of this type, as for strings.
    """
    if spec.role == "text" or (spec.dtype.kind not in "biuf" and spec.dtype.name != "bfloat16"):
        raise UsageError(f"no random values for input {spec.name} of type {spec.dtype}", hint="Give some with --data")
    if spec.role == "mask":
        return _mask(shape, random, character).astype(spec.dtype)
    if spec.role == "one-hot":
        return np.eye(shape[-1])[random.randint(0, shape[-1], shape[:-1])].astype(spec.dtype)
    if spec.role == "index" or (spec.role == "number" and spec.dtype.kind in "iu"):
        bound = min(spec.indices or _ANY_INTEGER, top or 1 << 30, np.iinfo(spec.dtype).max)
        return random.randint(0, max(bound, 1), shape).astype(spec.dtype)
    if spec.role == "length":
        return random.randint(1, max(_longest(spec, sizes or {}, top), 1) + 1, shape).astype(spec.dtype)
    numbers = _numbers(shape, random, character, levels or usual_levels(spec))
    return (np.rint(numbers) if spec.dtype.kind in "iu" else numbers).astype(spec.dtype)


def _longest(spec: InputSpec, sizes: Mapping[str, int], top: int | None) -> int:
    known = spec.along if isinstance(spec.along, int) else sizes.get(spec.along or "")
    longest = min(sizes.values(), default=1) if known is None else known
    return longest if top is None else min(longest, top)


def _mask(shape: tuple[int, ...], random: np.random.RandomState, character: Character) -> Array:
    """Zeros and ones with at least a one along the last axis."""
    drawn = random.uniform(0, 1, shape) < _ON
    if not shape or not shape[-1]:
        return np.asarray(drawn)
    if character == "white":
        drawn[...] = True
    elif character in ("smooth", "apart"):
        ends = random.randint(1, shape[-1] + 1, shape[:-1])
        drawn = np.arange(shape[-1]) < ends[..., None]
    if shape[-1] > 1:
        drawn[..., 0] = True
    return np.asarray(drawn)


def _numbers(shape: tuple[int, ...], random: np.random.RandomState, character: Character, levels: Levels) -> Array:
    noise = random.standard_normal(shape)
    slow = _slow(shape, random, levels.axis)
    apart = random.standard_normal((*shape[:1], *(1 for _ in shape[1:])))
    offset, smooth, white = (_along(part, len(shape), levels.axis) for part in _parts(levels))
    spread = np.sqrt(smooth**2 + white**2)
    if character == "white":
        found = spread * noise
    elif character == "smooth":
        found = spread * (0.98 * slow + 0.2 * noise)
    elif character == "wide":
        found = _WIDE * (smooth * slow + white * noise)
    elif character == "apart":
        found = spread * (1.2 * apart + 0.4 * slow + 0.3 * noise)
    else:
        found = smooth * slow + white * noise
    return np.asarray(np.clip(offset + found, levels.low, levels.high))


def _parts(levels: Levels) -> tuple[Array, Array, Array]:
    return levels.offset, levels.smooth, levels.white


def _along(part: Array, rank: int, axis: int) -> Array:
    """A vector for the channels' axis, ready to be broadcast."""
    if part.size == 1:
        return part.reshape(())
    shape = [1] * rank
    shape[axis] = part.size
    return part.reshape(shape)


def _slow(shape: tuple[int, ...], random: np.random.RandomState, axis: int) -> Array:
    """Numbers of mean 0 and variance 1 that vary slowly over space or time; the channels of a place are alike."""
    rank = len(shape)
    if rank < 3:
        return random.standard_normal((*shape[:1], *(1 for _ in shape[1:]))) * 0.6 + random.standard_normal(shape) * 0.8
    channels = axis % rank
    grid = [size if i in (0, channels) else min(size, _GRID) for i, size in enumerate(shape)]
    alike = [1 if i == channels else size for i, size in enumerate(grid)]
    field_ = 0.8 * random.standard_normal(alike) + 0.6 * random.standard_normal(grid)
    for i in range(1, rank):
        if i != channels and shape[i] > grid[i]:
            field_ = _stretched(field_, i, shape[i])
    spread = float(np.sqrt(np.mean(np.square(field_)))) if field_.size else 1.0
    return field_ / (spread or 1.0)


def _stretched(array: Array, axis: int, size: int) -> Array:
    """Linear interpolation between the points along an axis."""
    places = np.linspace(0, array.shape[axis] - 1, size)
    before = np.minimum(places.astype(np.int64), array.shape[axis] - 2)
    weight = _along(places - before, array.ndim, axis)
    return np.asarray((1 - weight) * array.take(before, axis) + weight * array.take(before + 1, axis))
