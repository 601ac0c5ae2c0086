"""Sets of inputs that put a model through what it was trained for: one call, for verification, export and tests alike.

    found = exercise(model)
    for one in found.sets: one.name, one.feeds
    found.sizes, found.inputs      what was used, as data

Sizes that are open are solved (`open_sizes`), values follow from what each input stands for (`roles`), the level of
numbers from the statistics that batch norms remember (`statistics`). Several characters are drawn, and those are kept
that together leave the fewest channels of the model's results dead or saturated. The same model gives the same arrays.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from math import prod
from typing import Any

import numpy as np
import onnx_ir as ir

from exporter.ir.evaluate import evaluate
from exporter.ir.opset import record_of
from exporter.verify.compare import Array
from exporter.verify.cost import effort, operations, sizes_in
from exporter.verify.inputs.draws import CHARACTERS, Character, Levels, draw, usual_levels
from exporter.verify.inputs.open_sizes import TOP, Attempt, Sizes, shapes_of, solve
from exporter.verify.inputs.roles import InputSpec, Role, specs_of
from exporter.verify.inputs.statistics import Fit, fit
from runtime.budget import Meter

__all__ = ["FAILURES", "Exercise", "InputSet", "InputUse", "exercise"]

FAILURES = (ValueError, IndexError, TypeError, KeyError, ArithmeticError, MemoryError, RuntimeError)
"""What kernels raise on sizes or values that a model doesn't take."""

_PER_ELEMENT = 3 << 11
"""Operations that all runs together have to be allowed for each element of the inputs of one."""

_BATCHES = ((16, 20_000_000), (3, 1_500_000_000), (1, 1 << 62))
"""How many examples there are of how many operations at most: few channels wake up in a few examples."""

_WORK = 8_000_000_000
_LARGEST_RUN = 100_000_000_000
_SOLVING = 100_000_000_000
_INSIDE = 1e-4


@dataclass(frozen=True)
class InputSet:
    """One set of inputs.

    Attributes:
        name: Its character, see `draws`.
        feeds: An array for each input, in TensorFlow's layout.
        finite: Whether all outputs are finite, as far as that was looked at.
    """

    name: str
    feeds: Mapping[str, Array]
    finite: bool = True


@dataclass(frozen=True)
class InputUse:
    """How the values of one input were made.

    Attributes:
        name: Its name.
        role: What they stand for.
        shape: Their shape.
        below: For integers, what all of them are below; None otherwise.
        offset: For numbers, their mean, for all or for each channel.
        spread: Their standard deviation, likewise.
        why: Where that is from, in words.
    """

    name: str
    role: Role
    shape: tuple[int, ...]
    below: int | None
    offset: tuple[float, ...]
    spread: tuple[float, ...]
    why: str


@dataclass(frozen=True)
class Exercise:
    """Sets of inputs, and what was used to make them.

    Attributes:
        sets: The most telling one first.
        sizes: What open sizes are, by name or as `input[axis]`.
        inputs: One for each input of the model.
        batch_norms: Those whose statistics told the level of numbers.
        mismatch: How far what they see is from these statistics: 0 is the same, 1 a standard deviation.
    """

    sets: tuple[InputSet, ...]
    sizes: Mapping[str, int]
    inputs: tuple[InputUse, ...]
    batch_norms: tuple[str, ...] = ()
    mismatch: float = 0.0

    def to_json(self) -> dict[str, Any]:
        """What was used, as plain values; not the arrays."""
        return {
            "sets": [one.name for one in self.sets],
            "sizes": dict(self.sizes),
            "inputs": [asdict(use) for use in self.inputs],
            "batch_norms": list(self.batch_norms),
            "mismatch": self.mismatch,
        }


def exercise(
    model: ir.Model,
    *,
    batch: int | None = None,
    count: int = 2,
    seed: int = 0,
    work: int = _WORK,
    meter: Meter | None = None,
) -> Exercise:
    """Inputs for a model before any pass.

    Args:
        model: The unfolded model; it is as it was afterwards.
        batch: What an open batch is tried as first; by default 16, 3 or 1, by how much work an example is.
        count: How many sets, at most.
        seed: Another seed gives other numbers.
        work: Operations that may be spent on finding levels and choosing sets, each.
        meter: What the operations of all runs are counted by, if there is a limit for them together.

    Raises:
        UsageError: An input is of a kind that can't be made up, or the model runs with none of the sizes that were
            tried: the message says which input, and what to do.
        UnsupportedError: There is a node that has no kernel.
    """
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore", RuntimeWarning)
        return _Exercising(model, batch, seed, work, meter).run(count)


class _Exercising:
    def __init__(self, model: ir.Model, batch: int | None, seed: int, allowed: int, meter: Meter | None) -> None:
        self.model, self.seed, self.allowed, self.meter = model, seed, allowed, meter
        self.specs = specs_of(model)
        self.spent = 0
        if batch is None:
            open_batches = [spec.open_size(0) for spec in self.specs if spec.shape]
            one = self._work({key: 1 for key in open_batches if key is not None})
            batch = next(size for size, work in _BATCHES if one <= work)
        self.batch = batch

    def _work(self, sizes: Sizes) -> int:
        return operations(self.model, sizes_in(self.model, shapes_of(self.specs, sizes)))

    def run(self, count: int) -> Exercise:
        sizes = solve(self.model, self.specs, self._attempt, batch=self.batch, afford=self._affords)
        shapes = shapes_of(self.specs, sizes)
        first = self._draw("mixed", sizes, {})
        known = fit(self.model, self.specs, shapes, first, self.allowed, self.meter)
        levels = self._finite_levels(sizes, known)
        sets = self._sets(sizes, levels, count)
        uses = tuple(self._use(spec, sets, levels.get(spec.name)) for spec in self.specs)
        named = {key: size for key, size in sizes.items() if key != TOP}
        return Exercise(sets, named, uses, known.batch_norms, known.mismatch)

    def _affords(self, sizes: Sizes) -> bool:
        if self.meter is not None:
            drawn = sum(prod(shape) for shape in shapes_of(self.specs, sizes).values())
            if self.meter.left <= 0 or drawn * _PER_ELEMENT > self.meter.most:
                return False
        work = self._work(sizes)
        return work <= _LARGEST_RUN and self.spent + work <= _SOLVING

    def _attempt(self, sizes: Sizes) -> Attempt:
        self.spent += self._work(sizes)
        empty: list[str] = []
        results = 0

        def see(value: ir.Value, array: Array) -> None:
            nonlocal results
            results += 1
            node = value.producer()
            if not array.size and node is not None and record_of(node.op_type).window:
                place = node.metadata_props.get("source") or str(node.name or value.name)
                raise ValueError(f"the window of {place} doesn't fit into its input")

        try:
            outputs = evaluate(self.model, self._draw("mixed", sizes, {}), dtype=np.float32, see=see, meter=self.meter)
        except FAILURES as failure:
            return Attempt(results, " ".join(str(failure).split())[:200] or type(failure).__name__)
        empty = [name for name, array in outputs.items() if not array.size]
        return Attempt(results, f"output {empty[0]} is empty" if empty else None)

    def _draw(self, character: Character, sizes: Sizes, levels: Mapping[str, Levels]) -> dict[str, Array]:
        random = np.random.RandomState(self.seed + 1000 * CHARACTERS.index(character))
        shapes = shapes_of(self.specs, sizes)
        return {
            spec.name: draw(
                spec,
                shapes[spec.name],
                random,
                character,
                levels=levels.get(spec.name),
                sizes=sizes,
                top=sizes.get(TOP) or None,
            )
            for spec in self.specs
        }

    def _finite_levels(self, sizes: Sizes, known: Fit) -> dict[str, Levels]:
        """The levels that were found, or others if they give what isn't finite, as a logarithm of numbers below 0."""
        levels = {spec.name: known.levels.get(spec.name) or usual_levels(spec) for spec in self.specs}
        if self._finite(self._draw("mixed", sizes, levels)):
            return levels
        for scale in (1.0, 0.1, 10.0):
            part = np.full(1, 0.2 * scale)
            why = "positive numbers: others give no finite outputs"
            level = Levels(np.full(1, 0.5 * scale), part, part, low=0.05 * scale, high=0.95 * scale, why=why)
            tried = {spec.name: level if spec.role == "number" else levels[spec.name] for spec in self.specs}
            if self._finite(self._draw("mixed", sizes, tried)):
                return tried
        return levels

    def _finite(self, feeds: Mapping[str, Array]) -> bool:
        if self._work_of(feeds) > self.allowed:
            return True
        try:
            outputs = evaluate(self.model, feeds, dtype=np.float32, meter=self.meter)
        except FAILURES:
            return False
        return all(_is_finite(array) for array in outputs.values())

    def _work_of(self, feeds: Mapping[str, Array]) -> int:
        return effort(self.model, {name: array.shape for name, array in feeds.items()})

    def _sets(self, sizes: Sizes, levels: Mapping[str, Levels], count: int) -> tuple[InputSet, ...]:
        """Those characters that together exercise the most channels."""
        feeds = self._draw("mixed", sizes, levels)
        affordable = self.allowed // max(self._work_of(feeds), 1)
        if affordable < 2:
            return (InputSet("mixed", feeds),)
        pool = [(one, self._draw(one, sizes, levels)) for one in CHARACTERS[: max(count, int(affordable))]]
        looked = [(name, found, _Look(self.model, found, self.meter)) for name, found in pool]
        usable = [one for one in looked if one[2].ran] or looked[:1]
        usable = [one for one in usable if one[2].finite] or usable
        chosen: list[InputSet] = []
        awake = np.zeros(0, np.bool_)
        while usable and len(chosen) < count:
            gains = [_together(awake, look.awake).sum() for _, _, look in usable]
            name, found, look = usable.pop(int(np.argmax(gains)))
            chosen.append(InputSet(name, found, look.finite))
            awake = _together(awake, look.awake)
        return tuple(chosen)

    def _use(self, spec: InputSpec, sets: Sequence[InputSet], levels: Levels | None) -> InputUse:
        array = sets[0].feeds[spec.name]
        if spec.role in ("index", "length") or (spec.role == "number" and array.dtype.kind in "iu"):
            largest = max((int(one.feeds[spec.name].max()) for one in sets if one.feeds[spec.name].size), default=0)
            why = "what it points into" if spec.role == "index" and spec.indices else "what the model runs with"
            return InputUse(spec.name, spec.role, array.shape, largest + 1, (), (), why)
        if levels is None or spec.role not in ("number", "pixel"):
            return InputUse(spec.name, spec.role, array.shape, None, (), (), "what the model does with it")
        spread = np.hypot(levels.smooth, levels.white)
        offset = tuple(float(value) for value in levels.offset)
        return InputUse(
            spec.name,
            spec.role,
            array.shape,
            None,
            offset,
            tuple(float(f"{value:.3g}") for value in spread),
            levels.why,
        )


class _Look:
    """Which channels of a model's results a set of inputs wakes up.

    Attributes:
        ran: Whether the model runs on it.
        finite: Whether all outputs are finite.
        awake: For each channel of each result whether it is neither always 0 nor at a bound, nor everywhere the same.
    """

    def __init__(self, model: ir.Model, feeds: Mapping[str, Array], meter: Meter | None) -> None:
        found: list[Array] = []

        def see(value: ir.Value, array: Array) -> None:
            if array.dtype.kind != "f" or not array.ndim or not array.size:
                return
            flat, node = array.reshape(-1, array.shape[-1]), value.producer()
            awake = (flat.max(0) > flat.min(0)) if len(flat) > 1 else (flat[0] != 0)
            if node is not None and node.op_type in {"Sigmoid", "Softmax", "Tanh"}:
                bound = -1.0 if node.op_type == "Tanh" else 0.0
                awake &= np.any((flat > bound + _INSIDE) & (flat < 1 - _INSIDE), axis=0)
            found.append(np.asarray(awake))

        try:
            outputs = evaluate(model, feeds, dtype=np.float32, see=see, meter=meter)
        except FAILURES:
            self.ran, self.finite, self.awake = False, False, np.zeros(0, np.bool_)
            return
        self.ran, self.finite = True, all(_is_finite(array) for array in outputs.values())
        self.awake = np.concatenate(found) if found else np.zeros(0, np.bool_)


def _together(a: Array, b: Array) -> Array:
    """Sets may have results of other sizes, as where shapes depend on values; these count by themselves."""
    return a | b if a.shape == b.shape else b if a.size < b.size else a


def _is_finite(array: Array) -> bool:
    return array.dtype.kind != "f" or bool(np.all(np.isfinite(array)))
