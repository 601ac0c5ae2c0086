"""Sizes that a model leaves open, found by trying: those with which it runs and gives results.

A size that is open in the signature need not be free: a reshape bakes in a batch, a table has rows for some positions
alone, parts have to add up to the width of a kernel, a window has to fit in. What a run gets to before it fails tells
whether a change was one for the better, so sizes are changed one kind at a time, then one by one, and kept where the
run gets farther.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import onnx_ir as ir

from exporter.errors import UsageError
from exporter.ir.edit import constant_array
from exporter.verify.inputs.roles import InputSpec

__all__ = ["Attempt", "Sizes", "shapes_of", "solve"]

Sizes = Mapping[str, int]
"""By the name of a size, or by `input[axis]` for one axis alone, which comes first."""

TOP = "values below"
"""Instead of a size, what integers have to be below; 0 stands for no bound."""

_DEFAULTS = {"batch": 3, "space": 96, "length": 16, TOP: 0}
_VALUES: dict[str, tuple[int, ...]] = {
    "batch": (3, 1, 2, 4, 8, 16, 32, 5, 6, 7, 10, 12, 20, 24, 64, 128),
    "space": (96, 32, 64, 128, 224, 48, 28, 299, 256, 16, 8, 512),
    "length": (16, 8, 4, 2, 1, 32, 64, 128, 256, 3, 5, 6, 7, 10, 12, 20, 50, 100, 512, 1024),
    TOP: (0, 2, 1),
}
_KINDS = ("length", "batch", "space", TOP)
_MOST_ATTEMPTS = 600
_LARGEST_HINT = 4096
_FEW = 24
_SHAPED = frozenset({"Reshape", "Expand", "ConstantOfShape", "Tile"})


@dataclass(frozen=True)
class Attempt:
    """What came of a run.

    Attributes:
        reached: How many results it got to.
        failure: Why it went no farther; None if it gave results that say something.
    """

    reached: int
    failure: str | None = None


def shapes_of(specs: Sequence[InputSpec], sizes: Sizes) -> dict[str, tuple[int, ...]]:
    """The shape of each input with these sizes."""
    return {spec.name: tuple(_size(spec, axis, sizes) for axis in range(len(spec.shape))) for spec in specs}


def _size(spec: InputSpec, axis: int, sizes: Sizes) -> int:
    size = spec.shape[axis]
    if isinstance(size, int):
        return size
    own = sizes.get(f"{spec.name}[{axis}]")
    return sizes.get(size or "", _DEFAULTS[_kind(spec, axis)]) if own is None else own


def solve(
    model: ir.Model,
    specs: Sequence[InputSpec],
    attempt: Callable[[Sizes], Attempt],
    *,
    batch: int | None = None,
    afford: Callable[[Sizes], bool] = lambda sizes: True,
) -> dict[str, int]:
    """Sizes with which the model runs; `TOP` is among them where integers had to be smaller than their tables tell.

    Args:
        model: The model.
        specs: Its inputs.
        attempt: Runs it.
        batch: What a batch is tried as first.
        afford: Whether a run isn't too much work.

    Raises:
        UsageError: None was found.
    """
    return _Search(model, specs, attempt, batch, afford).run()


class _Search:
    def __init__(
        self,
        model: ir.Model,
        specs: Sequence[InputSpec],
        attempt: Callable[[Sizes], Attempt],
        batch: int | None,
        afford: Callable[[Sizes], bool],
    ) -> None:
        self.specs, self.attempt, self.afford = specs, attempt, afford
        self.kinds: dict[str, str] = {}
        for spec in specs:
            for axis in range(len(spec.shape)):
                if (key := spec.open_size(axis)) is not None:
                    self.kinds.setdefault(key, _kind(spec, axis))
        self.kinds[TOP] = TOP
        self.batch = batch
        self.hints = _hints(model)
        self.tried: dict[tuple[tuple[str, int], ...], Attempt] = {}

    def run(self) -> dict[str, int]:
        start = {key: _DEFAULTS[kind] for key, kind in self.kinds.items()}
        if self.batch is not None:
            start.update((key, self.batch) for key, kind in self.kinds.items() if kind == "batch")
        first = self._try(start)
        if first.failure is None:
            return _without_top(start)
        least = {key: 1 if kind in ("batch", "length") else size for (key, kind), size in self._items(start)}
        for base in (start, least):
            found = self._climb(base)
            if found is not None:
                return _without_top(found)
        raise self._error(first)

    def _items(self, sizes: Sizes) -> list[tuple[tuple[str, str], int]]:
        return [((key, kind), sizes[key]) for key, kind in self.kinds.items()]

    def _climb(self, base: dict[str, int]) -> dict[str, int] | None:
        """Changes what takes the run farther; the sizes with which it comes through, or None."""
        best, reached = base, self._try(base).reached
        for _ in range(3):
            before = reached
            for keys in self._groups():
                for value in self._values(keys):
                    sizes = {**best, **dict.fromkeys(keys, value)}
                    found = self._try(sizes)
                    if found.failure is None:
                        return sizes
                    if found.reached > reached:
                        best, reached = sizes, found.reached
            if reached == before:
                break
        return None

    def _groups(self) -> Iterator[list[str]]:
        """All sizes of a kind together, then each by itself, then each axis of those that share a name."""
        for kind in _KINDS:
            keys = [key for key, own in self.kinds.items() if own == kind]
            if keys:
                yield keys
        for key, kind in self.kinds.items():
            if kind != TOP and sum(own == kind for own in self.kinds.values()) > 1:
                yield [key]
        for spec in self.specs:
            for axis, size in enumerate(spec.shape):
                if isinstance(size, str) and self._shared(size):
                    yield [f"{spec.name}[{axis}]"]

    def _shared(self, name: str) -> bool:
        return sum(name in spec.shape for spec in self.specs) > 1

    def _values(self, keys: Sequence[str]) -> list[int]:
        kind = self.kinds.get(keys[0]) or self._kind_of_axis(keys[0])
        if kind == TOP:
            return list(_VALUES[TOP])
        count = len([key for key, own in self.kinds.items() if own == kind])
        parts = [hint - (count - 1) for hint in self.hints] if count > 1 else []
        values = [*_VALUES[kind], *self.hints, *parts]
        return [value for value in dict.fromkeys(values) if value > 0]

    def _kind_of_axis(self, key: str) -> str:
        return next(
            _kind(spec, axis) for spec in self.specs for axis in range(len(spec.shape)) if key == f"{spec.name}[{axis}]"
        )

    def _try(self, sizes: Sizes) -> Attempt:
        key = tuple(sorted(sizes.items()))
        if key not in self.tried:
            if len(self.tried) >= _MOST_ATTEMPTS or (self.tried and not self.afford(sizes)):
                return Attempt(-1, "it is too much work")
            self.tried[key] = self.attempt(sizes)
        return self.tried[key]

    def _error(self, first: Attempt) -> UsageError:
        names = [
            f"{spec.name} [{', '.join('?' if not isinstance(size, int) else str(size) for size in spec.shape)}]"
            for spec in self.specs
            if any(not isinstance(size, int) for size in spec.shape)
        ]
        if not names:
            return UsageError(
                f"the model doesn't run on values that were made up for its inputs: {first.failure}",
                hint="Give some that it takes with --data X.npz, one array for each input",
            )
        return UsageError(
            f"no sizes were found with which the model runs, for what is open in {', '.join(names)}: {first.failure}",
            hint="Give inputs of sizes that it takes with --data X.npz, or export it with --input NAME=SHAPE",
        )


def _without_top(sizes: Mapping[str, int]) -> dict[str, int]:
    return {key: size for key, size in sizes.items() if key != TOP or size}


def _kind(spec: InputSpec, axis: int) -> str:
    if axis == 0:
        return "batch"
    return "space" if len(spec.shape) > 3 else "length"


def _hints(model: ir.Model) -> list[int]:
    """Sizes that the model itself speaks of: of outputs, in reshapes, of the tables and kernels that it uses."""
    found: dict[int, None] = {}
    for end in (*model.graph.outputs, *model.graph.inputs):
        if end.shape is not None:
            found.update((dim, None) for dim in end.shape.dims[:1] if isinstance(dim, int))
    for node in model.graph:
        if node.op_type in _SHAPED:
            for value in node.inputs:
                array = constant_array(value) if value is None or value.dtype in _INTEGERS else None
                if array is not None and array.size <= 8:
                    found.update((int(size), None) for size in array.reshape(-1))
    for node in model.graph:
        for value in node.inputs:
            if value is not None and value.is_initializer() and value.shape is not None and len(value.shape) > 1:
                found.update((dim, None) for dim in value.shape.dims[:2] if isinstance(dim, int))
    return [size for size in found if 1 <= size <= _LARGEST_HINT][:_FEW]


_INTEGERS = (ir.DataType.INT32, ir.DataType.INT64)
