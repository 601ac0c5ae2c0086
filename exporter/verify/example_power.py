"""What a comparison of outputs alone would have noticed: channels of kernels are changed, one at a time, and run again.

For stored examples and recorded outputs there is no model to compare results inside of. A channel of a convolution or a
product that is `SCALED` times what it should be changes that channel of its result alone, so that a run begins behind
it, with everything else as it was. Where there are more channels than the work allows, some stand for all of them: they
are spread evenly over the layers and their channels. (A channel that is 0 changes fifty times as much.) So does a
column of an embedding's table; a row of a recurrent layer's matrices changes all that it makes, so that it is run, too.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

import runtime
from exporter.verify.compare import Array, disagreement, error
from exporter.verify.power import LINEAR, RECURRENT, SCALED, is_alive
from exporter.verify.references.unfolded_model import Reference
from exporter.verify.verdict import Verdict, WeightPower
from runtime.budget import Budget, Meter
from runtime.bundle import Bundle, read
from runtime.feeds import converted, in_order
from runtime.plan import Graph, Node, execute

__all__ = ["example_power", "unmoved"]

_MOST_OPERATIONS = 1 << 30
"""Of all runs together, as `runtime.cost` counts them: a second or two."""

_FEWEST = 24
"""Fewer channels don't stand for others."""

_GOLDEN = (math.sqrt(5) - 1) / 2


def example_power(path: Path, references: Sequence[Reference], verdict: Verdict) -> tuple[WeightPower, ...]:
    """One record for each kernel of a bundle of which a channel was tried; none if that is too much work.

    Args:
        path: The bundle, which is the same model as what was verified.
        references: The inputs, and the outputs that were compared.
        verdict: Of that comparison; its limits are those by which a change is noticed.
    """
    try:
        return _Trying(read(path), references, _limits(verdict)).run()
    except runtime.NetError:  # more than its bounds allow, or sizes that it doesn't take
        return ()


def unmoved(path: Path, references: Sequence[Reference], verdict: Verdict) -> list[tuple[str, str]]:
    """Outputs of a bundle that another input changes by no bit, each with the input; of a model of one float input."""
    try:
        bundle = read(path)
        if len(bundle.inputs) != 1:
            return []
        name, limits = bundle.inputs[0].name, _limits(verdict)
        known = _runs(bundle, references)
        if any(feeds[name].dtype.kind != "f" or not feeds[name].size for _, feeds, _ in known):
            return []
        still = {one: None for one in limits if all(one in right for _, _, right in known)}
        for _, feeds, right in known:
            scope = {**bundle.weights, name: _another(feeds[name])}
            execute(bundle.graph, scope, budget=Budget(_stored(bundle)))
            for one in list(still):
                if not np.array_equal(scope[one], right[one], equal_nan=right[one].dtype.kind == "f"):
                    del still[one]
    except runtime.NetError:
        return []
    return [(one, name) for one in still]


def _limits(verdict: Verdict) -> dict[str, float]:
    """The largest error of each output that passes, in any engine."""
    limits: dict[str, float] = {}
    for check in verdict.checks:
        limits[check.output] = max(limits.get(check.output, 0.0), check.limit)
    return limits


def _another(array: Array) -> Array:
    """Other numbers of the same kind: those of the next example, or in reverse, and of other sizes."""
    if array.ndim > 1 and len(array) > 1 and not np.array_equal(np.roll(array, 1, axis=0), array):
        return np.ascontiguousarray(np.roll(array, 1, axis=0))
    factors = np.linspace(0.5, 1, array.size, dtype=array.dtype)
    return np.asarray(array.reshape(-1)[::-1] * factors).reshape(array.shape)


def _runs(
    bundle: Bundle, references: Sequence[Reference], see: Callable[[Node, Sequence[Array]], None] | None = None
) -> list[tuple[Reference, dict[str, Array], dict[str, Array]]]:
    """Of each reference the inputs as the bundle takes them, and all outputs."""
    found = []
    for reference in references:
        arrays = converted(bundle.inputs, in_order(bundle.inputs, reference.inputs))
        feeds = dict(zip((value.name for value in bundle.inputs), arrays, strict=True))
        scope = {**bundle.weights, **feeds}
        execute(bundle.graph, scope, see, Budget(_stored(bundle)))
        found.append((reference, feeds, {value.name: scope[value.name] for value in bundle.outputs}))
    return found


def _stored(bundle: Bundle) -> int:
    return sum(array.nbytes for array in bundle.weights.values())


def _differs(output: str, found: Array, right: Array, reference: Reference, limits: Mapping[str, float]) -> bool:
    if right.dtype.kind == "f":
        return not error(found, right) <= limits[output]
    return disagreement(found, right, reference.doubtful.get(output)) > 0


@dataclass
class _Kernel:
    """A kernel of a bundle.

    Attributes:
        name: Its name.
        result: The name of what its op makes.
        results: That, for each reference; none of a recurrent layer.
        rest: What each channel of that is without it.
        behind: What depends on its result; of a recurrent layer the layer as well.
        outputs: Those of the bundle among that.
        alive: The channels that aren't 0 altogether.
    """

    name: str
    result: str
    results: list[Array]
    rest: Array
    behind: Graph
    outputs: tuple[str, ...]
    alive: list[int]

    def changed(self, channel: int, weights: Array, run: int) -> dict[str, Array] | None:
        """What stands in the place of what was there when a channel is a little larger; None if it only sees zeros."""
        if not self.results:
            matrices = np.array(weights)
            matrices.reshape(-1, weights.shape[-1])[channel] *= weights.dtype.type(SCALED)
            return {self.name: matrices}
        whole, rest = self.results[run], self.rest[channel if self.rest.size > 1 else 0]
        own = whole[..., channel]
        if not np.any(own != rest):
            return None
        result = np.array(whole)
        result[..., channel] = rest + whole.dtype.type(SCALED) * (own - rest)
        return {self.result: result}


class _Trying:
    def __init__(self, bundle: Bundle, references: Sequence[Reference], limits: Mapping[str, float]) -> None:
        self._bundle, self._limits = bundle, limits
        self._values: list[dict[str, Array]] = []

        def see(node: Node, results: Sequence[Array]) -> None:
            self._values[-1].update(zip(node.outputs, results, strict=False))

        self._known = []
        for reference in references:
            self._values.append(dict(bundle.weights))
            self._known += _runs(bundle, [reference], see)
            self._values[-1].update(self._known[-1][1])
        self._meter = Meter(_MOST_OPERATIONS)

    def run(self) -> tuple[WeightPower, ...]:
        kernels = list(self._kernels())
        channels = [(kernel, channel) for kernel in kernels for channel in kernel.alive]
        noticed: dict[str, dict[int, bool | None]] = {kernel.name: {} for kernel in kernels}
        for tried, place in enumerate(_spread(len(channels))):
            kernel, channel = channels[place]
            try:
                noticed[kernel.name][channel] = self._noticed(kernel, channel)
            except runtime.NetError:  # the work that is allowed is done
                if tried < _FEWEST:
                    return ()
                break
        return tuple(
            WeightPower(
                kernel.name,
                sum(one is not None for one in found.values()),
                tuple(sorted(channel for channel, one in found.items() if one is False)),
                tuple(sorted(channel for channel, one in found.items() if one is None)),
                of=len(kernel.alive),
            )
            for kernel in kernels
            if (found := noticed[kernel.name])
        )

    def _kernels(self) -> Iterator[_Kernel]:
        weights = self._bundle.weights
        for place, node in enumerate(self._bundle.graph.nodes):
            if node.op in RECURRENT:
                behind, names = self._behind(place, node)
                for name in node.inputs[1:3]:
                    if name in weights and weights[name].ndim > 1:
                        alive = [int(row) for row in np.flatnonzero(is_alive(weights[name], rows=True))]
                        yield _Kernel(name, "", [], weights[name][:0], Graph((), names, (node, *behind)), names, alive)
                continue
            name = _kernel(node)
            if name not in weights:
                continue
            kernel, result = weights[name], node.outputs[0]
            results = [values[result] for values in self._values]
            if kernel.ndim < 2 or kernel.dtype.kind != "f" or any(not one.ndim for one in results):
                continue
            bias = node.inputs[2] if node.op in LINEAR and len(node.inputs) > 2 else ""
            rest = weights.get(bias, np.zeros(1, kernel.dtype))
            if bias and (bias not in weights or rest.ndim != 1):
                continue
            count = results[0].shape[-1]
            used = is_alive(kernel, rows=False)
            alive = [int(channel) for channel in (np.flatnonzero(used) if used.size == count else range(count))]
            behind, names = self._behind(place, node)
            yield _Kernel(name, result, results, rest, Graph((result,), names, behind), names, alive)

    def _behind(self, place: int, node: Node) -> tuple[tuple[Node, ...], tuple[str, ...]]:
        """The nodes that depend on what a node makes, and the outputs that are compared among what they make."""
        reached, found = {*node.outputs}, []
        for other in self._bundle.graph.nodes[place + 1 :]:
            if not reached.isdisjoint(other.reads):
                found.append(other)
                reached.update(other.outputs)
        reached -= {""}
        names = [value.name for value in self._bundle.outputs]
        return tuple(found), tuple(name for name in names if name in self._limits and name in reached)

    def _noticed(self, kernel: _Kernel, channel: int) -> bool | None:
        """Whether that channel, a little larger, is noticed; None if it only sees zeros."""
        awake = False
        for run, ((reference, _, right), values) in enumerate(zip(self._known, self._values, strict=True)):
            changed = kernel.changed(channel, self._bundle.weights[kernel.name], run)
            if changed is None:
                continue
            awake = True
            scope = {name: values[name] for name in kernel.behind.captures} | changed
            execute(kernel.behind, scope, budget=Budget(_stored(self._bundle), meter=self._meter))
            if any(_differs(name, scope[name], right[name], reference, self._limits) for name in kernel.outputs):
                return True
        return False if awake else None


def _kernel(node: Node) -> str:
    """The input whose last axis is that of the result: a kernel, or the table of an embedding; "" if there is none."""
    if node.op == "Gather":
        return node.inputs[0] if node.attributes.get("axis", 0) == 0 else ""
    return node.inputs[1] if node.op in LINEAR and len(node.inputs) > 1 else ""


def _spread(count: int) -> Iterator[int]:
    """All numbers below `count`; the first ones of them, however many, are spread evenly."""
    seen: set[int] = set()
    for number in range(count):
        place = int(number * _GOLDEN % 1 * count)
        while place in seen:
            place = (place + 1) % count
        seen.add(place)
        yield place
