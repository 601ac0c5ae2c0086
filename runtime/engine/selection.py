"""Which way each convolution goes: a cost model that gives the same answer every time, with the same kind of BLAS."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import product
from math import prod
from typing import NamedTuple

from runtime.engine.machine import Machine, nearest
from runtime.engine.resolve import Spec
from runtime.engine.tasks import Task
from runtime.kernels.window import Window, window

__all__ = [
    "ACCURACIES",
    "Policy",
    "Tiles",
    "candidates",
    "conv_pads",
    "conv_tiles",
    "conv_window",
    "name",
    "parts",
    "tiles_for",
]

_TILES: dict[str, dict[int, tuple[int, ...]]] = {
    "standard": {3: (2, 4), 5: (2, 4), 7: (2,)},
    "strict": {3: (2,)},
    "fast": {3: (2, 4, 6), 5: (2, 4), 7: (2, 4)},
}
"""Outputs per tile that may be taken for a kernel size, by accuracy."""

ACCURACIES = tuple(_TILES)
"""`strict` keeps the error of the direct convolution, `standard` what `verify` calls noise, `fast` has no limit."""

_CHANNELS = ((24, 1 << 30), (36, 256), (64, 64))
"""How many channels `standard` takes tiles of so many points for: the error grows with both."""


class Tiles(NamedTuple):
    """How a convolution is cut.

    Attributes:
        taps: Kernel sizes r.
        sizes: Outputs per tile m, 1 along an axis with one tap.
        counts: Tiles along each axis.
        pads: The pads of the input, made larger at the end so that the last tile is whole.
    """

    taps: tuple[int, int]
    sizes: tuple[int, int]
    counts: tuple[int, int]
    pads: tuple[tuple[int, int], ...]

    @property
    def spans(self) -> tuple[int, int]:
        """Inputs per tile, n = m + r - 1."""
        return self.sizes[0] + self.taps[0] - 1, self.sizes[1] + self.taps[1] - 1


class Policy(NamedTuple):
    """How convolutions are chosen.

    Attributes:
        accuracy: One of `ACCURACIES`.
        threads: How many a program may use.
        choices: What was measured to be best, by `case`, in the words of `name`; the cost model decides about others.
        profile: What the cost model knows of the machine; of the nearest that is built in if there is none.
    """

    accuracy: str
    threads: int = 1
    choices: Mapping[str, str] = {}
    profile: Machine | None = None

    @property
    def machine(self) -> Machine:
        """What is known of the machine."""
        return nearest() if self.profile is None else self.profile

    def case(self, win: Window, batch: int, kernel: Sequence[int]) -> str:
        """A convolution, and how it may be computed, as a text that is the same for all that are alike."""
        geometry = (batch, win.out, win.pads, win.strides, win.dilations, tuple(kernel))
        return f"{geometry} {self.accuracy} {self.threads}"

    def tiles(self, win: Window, batch: int, kernel: Sequence[int]) -> Tiles | None:
        """The tiles of a convolution, None for the direct product."""
        chosen = self.choices.get(self.case(win, batch, kernel)) if self.choices else None
        for tiles in (None, *candidates(win, kernel, self.accuracy)) if chosen else ():
            if name(tiles) == chosen:
                return tiles
        return tiles_for(win, batch, kernel, self.accuracy, self.machine)


def name(tiles: Tiles | None) -> str:
    """A choice in a word."""
    return "direct" if tiles is None else "x".join(map(str, tiles.sizes))


def candidates(win: Window, kernel: Sequence[int], accuracy: str) -> list[Tiles]:
    """All tiles that a kernel [kh, kw, C, M] may be computed with."""
    if set(win.strides) != {1} or set(win.dilations) != {1} or prod(win.kernel) == 1:
        return []
    rows, columns = ((1,) if taps == 1 else _TILES[accuracy].get(taps, ()) for taps in win.kernel)
    found = [_tiles(win, sizes) for sizes in product(rows, columns)]
    if accuracy != "standard":
        return found
    points = max((points for points, channels in _CHANNELS if kernel[2] <= channels), default=0)
    return [tiles for tiles in found if prod(tiles.spans) <= points]


def _tiles(win: Window, sizes: tuple[int, int]) -> Tiles:
    counts = [-(-out // size) for out, size in zip(win.out, sizes)]
    ends = [count * size - out for count, size, out in zip(counts, sizes, win.out)]
    pads = tuple((begin, end + more) for (begin, end), more in zip(win.pads, ends))
    return Tiles((win.kernel[0], win.kernel[1]), sizes, (counts[0], counts[1]), pads)


def tiles_for(win: Window, batch: int, kernel: Sequence[int], accuracy: str, machine: Machine) -> Tiles | None:
    """The tiles with the least cost for a kernel [kh, kw, C, M]; None if the direct product costs no more."""
    best, least = None, _cost(machine, parts(None, win, batch, kernel))
    for tiles in candidates(win, kernel, accuracy):
        cost = _cost(machine, parts(tiles, win, batch, kernel))
        if cost < least:
            best, least = tiles, cost
    return best


def parts(tiles: Tiles | None, win: Window, batch: int, kernel: Sequence[int]) -> tuple[float, ...]:
    """How often a convolution takes each of the times of a `Machine`, in their order: multiply-adds and so on.

    A kernel of one tap is multiplied as it lies, without patches.
    """
    (channels, filters), taps = kernel[2:], prod(win.kernel)
    if tiles is None:
        rows, depth = batch * prod(win.out), taps * channels
        return rows * depth * filters, depth * filters, rows * depth * (taps > 1), 0, 0
    count, span = batch * prod(tiles.counts), prod(tiles.spans)
    factors = sum(each for each, taps in zip(tiles.spans, tiles.taps) if taps > 1)
    points = span * count
    return points * channels * filters, span * channels * filters, 0, points * factors * channels, points * filters


def _cost(machine: Machine, counts: Sequence[float]) -> float:
    return sum(time * count for time, count in zip(machine.times, counts))


def conv_window(task: Task, specs: Mapping[str, Spec]) -> Window:
    """The geometry of a task's convolution."""
    fields = task.node.attributes
    x, w = specs[task.node.inputs[0]].shape, specs[task.node.inputs[1]].shape
    pads, auto = fields.get("pads"), fields.get("auto_pad", "NOTSET")
    return window(x[1:-1], w[:-2], fields.get("strides"), fields.get("dilations"), pads, auto)


def conv_tiles(task: Task, specs: Mapping[str, Spec], policy: Policy) -> Tiles | None:
    """Winograd's tiles for a task's convolution, or None for the direct product."""
    kernel, group = specs[task.node.inputs[1]], task.node.attributes.get("group", 1)
    if group != 1 or len(kernel.shape) != 4 or not kernel.known:
        return None
    batch = specs[task.node.inputs[0]].shape[0]
    return policy.tiles(conv_window(task, specs), batch, kernel.shape)


def conv_pads(task: Task, specs: Mapping[str, Spec], policy: Policy) -> tuple[tuple[int, int], ...]:
    """The zeros that a task's convolution wants around its input."""
    tiles = conv_tiles(task, specs, policy)
    return conv_window(task, specs).pads if tiles is None else tiles.pads
