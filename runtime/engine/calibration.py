"""The numbers of a `Machine`, measured on this one in a third of a second.

The cost model is linear in the times of a machine: a convolution takes so many multiply-adds, so many numbers of its
weights, and so on. So some small layers are run in all ways that there are, and the times are those that give what was
measured with the least squares of relative errors, held near those of the profile that the measuring began with, all of
them by the same factor slower or faster. For what isn't a time, whole layers decide that differ in it: another choice
than the profile's is taken if it is clearly faster.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from runtime.engine.blas import ONE_THREAD
from runtime.engine.compiler import compile_program
from runtime.engine.epilogue import Step
from runtime.engine.machine import Machine
from runtime.engine.prepacked import Prepacked
from runtime.engine.resolve import Spec
from runtime.engine.selection import Policy, Tiles, candidates, name, parts
from runtime.kernels.window import Window, window
from runtime.plan import Graph, Node

__all__ = ["measured"]

_SECONDS = 0.25
"""How long all of it may take, but for what was begun before."""
_ROUNDS, _ENOUGH = 10, 3
"""How often everything is measured, and how often it has to be for the results to count."""
_CACHE = 1 << 22
"""Numbers that are written before each round, so that weights come from memory as they do in a whole network."""
_CLEARLY = 0.9
"""Another choice than the profile's is taken if it needs less than this part of its time, two times."""
_TRUST = 3.0
"""A time that is wrong by this multiple of the profile's counts like one measurement that is all wrong."""
_LIMITS = 0.4, 2.5
"""Between which parts of the profile's times, all of them slower or faster, the measured ones are kept."""

_used = time.thread_time if time.get_clock_info("thread_time").resolution < 1e-6 else time.perf_counter
"""Seconds of this thread alone where the system counts them finely: others may want the processor, too."""


class _Layer(NamedTuple):
    """A convolution of one image [1, size, size, channels] with `taps` x `taps` taps."""

    size: int
    channels: int
    filters: int
    taps: int = 1
    grouped: bool = False

    @property
    def kernel(self) -> tuple[int, int, int, int]:
        """The shape of its weights."""
        return self.taps, self.taps, 1 if self.grouped else self.channels, self.filters

    @property
    def pads(self) -> list[int]:
        """Those that keep the size."""
        return [self.taps // 2] * 4

    @property
    def window(self) -> Window:
        """The geometry."""
        return window((self.size,) * 2, self.kernel[:2], None, None, self.pads)


_FITTED = (
    _Layer(28, 64, 64),
    _Layer(4, 512, 256),
    _Layer(7, 512, 256),
    _Layer(28, 32, 32, 3),
    _Layer(14, 64, 96, 3),
    _Layer(7, 128, 96, 3),
)
_FEW_ROWS, _LONG_SUM = _Layer(7, 256, 512), _Layer(7, 2048, 128)
_DEPTHWISE, _MANY_ROWS = _Layer(28, 144, 144, 3, grouped=True), _Layer(56, 32, 128)


def measured(usual: Machine, clock: Callable[[], float] = _used) -> Machine:
    """Return what this machine is like, beginning with a profile; only what there was time for differs from it.

    Args:
        usual: The profile.
        clock: Tells the seconds that count for how long all of it may take.
    """
    start = clock()
    flush: Any = np.zeros(_CACHE, np.float32)
    with ONE_THREAD:
        machine = usual
        for number, (layer, others) in enumerate(_CONTESTS, 1):
            end = start + number * _SECONDS / 8
            machine = _winner(layer, [machine, *others(machine)], flush[: _CACHE // 4], clock, end)
        return _fitted(machine, flush, clock, start + _SECONDS)


def _winner(layer: _Layer, machines: Sequence[Machine], flush: Any, clock: Callable[[], float], end: float) -> Machine:
    """Return the first machine, or another whose choices are clearly faster for the layer, twice."""
    rivals = list(dict.fromkeys(machines))
    while len(rivals) > 1:
        least = _least([_calls(layer, None, rival) for rival in rivals], flush, clock, end)
        if not least or min(least) > _CLEARLY * least[0]:
            return rivals[0]
        best = rivals[least.index(min(least))]
        if len(rivals) == 2:
            return best
        rivals = [rivals[0], best]
    return rivals[0]


def _widths(machine: Machine) -> list[Machine]:
    blocks = [(width, *(other for other in machine.widths if other != width)) for width in (64, 128, 32)]
    return [machine._replace(small=0), *(machine._replace(small=10**6, widths=widths) for widths in blocks)]


def _depths(machine: Machine) -> list[Machine]:
    return [machine._replace(depth=depth) for depth in (0, 128, 256)] if machine.small else []


def _repeats(machine: Machine) -> list[Machine]:
    return [machine._replace(repeated=size) for size in (0, 1 << 12, 1 << 13)]


def _blocks(machine: Machine) -> list[Machine]:
    return [machine._replace(block=size) for size in (1 << 17, 1 << 18, 1 << 19)]


_CONTESTS: tuple[tuple[_Layer, Callable[[Machine], list[Machine]]], ...] = (
    (_FEW_ROWS, _widths),
    (_LONG_SUM, _depths),
    (_DEPTHWISE, _repeats),
    (_MANY_ROWS, _blocks),
)
"""Layers, and the machines among which they decide."""


def _fitted(usual: Machine, flush: Any, clock: Callable[[], float], end: float) -> Machine:
    """Return the machine with the times that fit best to what layers take, whole and by Winograd's tiles."""
    counts, runs = [], []
    for layer in _FITTED:
        for tiles in (None, *candidates(layer.window, layer.kernel, "standard")):
            counts.append(parts(tiles, layer.window, 1, layer.kernel))
            runs.append(_calls(layer, tiles, usual))
    least = _least(runs, flush, clock, end)
    if not least:
        return usual
    before = np.array(usual.times)
    shares = np.array(counts) * before / (1e9 * np.array(least))[:, None]
    before, shares = before / np.median(shares.sum(axis=1)), shares / np.median(shares.sum(axis=1))
    matrix = np.vstack([shares, np.eye(len(before)) / _TRUST])
    goal = np.concatenate([np.ones(len(least)), np.full(len(before), 1 / _TRUST)])
    factors = np.clip(np.linalg.lstsq(matrix, goal, rcond=None)[0], *_LIMITS)
    times = (float(f"{each:.3g}") for each in before * factors)
    product, weight, copy, inwards, output = times
    return usual._replace(product=product, weight=weight, copy=copy, inwards=inwards, output=output)


def _calls(layer: _Layer, tiles: Tiles | None, machine: Machine) -> list[Step]:
    """Return what is called for a layer, by a choice of tiles, on some numbers."""
    random = np.random.default_rng(0)
    weights = {"w": random.random(layer.kernel, np.float32), "b": random.random(layer.filters, np.float32)}
    fields = {"pads": layer.pads, "group": layer.channels if layer.grouped else 1}
    nodes = (Node("Conv", "c", ("x", "w", "b"), ("c",), fields), Node("Relu", "r", ("c",), ("y",)))
    policy = Policy("standard", 1, profile=machine)
    policy = policy._replace(choices={policy.case(layer.window, 1, layer.kernel): name(tiles)})
    specs = {"x": Spec((1, layer.size, layer.size, layer.channels), np.dtype(np.float32))}
    program = compile_program(Graph(("x",), ("y",), nodes), weights, specs, Prepacked(), policy)
    return [step for _, step in program.steps]


def _least(runs: Sequence[Sequence[Step]], flush: Any, clock: Callable[[], float], end: float) -> list[float]:
    """Return the least seconds of each in rounds in which they take turns; nothing if there was time for too few."""
    least = [float("inf")] * len(runs)
    for number in range(_ROUNDS):
        if clock() > end:
            return least if number >= _ENOUGH else []
        flush += 1
        for which, calls in enumerate(runs):
            start = _used()
            for call in calls:
                call()
            least[which] = min(least[which], _used() - start)
    return least
