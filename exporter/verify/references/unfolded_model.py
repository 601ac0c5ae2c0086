"""Runs of an unfolded model in float64, and in its own float type: the truth, and the noise around it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from math import prod
from typing import Protocol

import numpy as np
import numpy.typing as npt
import onnx_ir as ir

from exporter.ir.evaluate import Constants, evaluate
from exporter.verify.compare import Array, error, undecided
from exporter.verify.cost import effort
from exporter.verify.inputs.data import nudged_kernels
from exporter.verify.yardstick import Yardstick
from runtime.budget import Meter

__all__ = ["Reference", "Run", "float_type", "is_exact_for_its_size", "reference_run", "sampled"]

_SAME_ELEMENTS = frozenset({"Cast", "Identity", "Reshape", "Squeeze", "Unsqueeze", "Flatten"})

_PICKING = frozenset({"Flatten", "Gather", "GlobalMaxPool", "MaxPool", "ReduceMax", "ReduceMin", "Reshape", "Slice"})
"""Ops whose results are some of the elements of their first input, or all in other channels."""

_LINEAR = frozenset({"Conv", "Dense", "Gemm", "MatMul"})
_FAR = 4

_ENOUGH = 1000
_SAMPLING_BUDGET = 15_000_000_000
_MOST_ELEMENTS = 100_000
_FEWEST_POSITIONS = 64


class Run(Protocol):
    """What runs a model, as `evaluate` does."""

    def __call__(
        self,
        model: ir.Model,
        feeds: Mapping[str, npt.ArrayLike],
        *,
        dtype: npt.DTypeLike = ...,
        see: Callable[[ir.Value, Array], None] | None = ...,
        meter: Meter | None = ...,
    ) -> dict[str, Array]:
        """The model's outputs by name."""


@dataclass(frozen=True)
class Reference:
    """Inputs and what has to come out.

    Attributes:
        inputs: By name.
        outputs: By name, in any float type.
        noise: For each output the error that noise makes; empty if it isn't known.
        doubtful: For outputs of integers the elements that noise could change.
        yardsticks: For outputs of floats what each of their channels is judged by, where noise was measured.
        layers: The same for results inside of the model, or a part of their positions, see `sampled`.
    """

    inputs: Mapping[str, Array]
    outputs: Mapping[str, Array]
    noise: Mapping[str, float] = field(default_factory=dict)
    doubtful: Mapping[str, Array] = field(default_factory=dict)
    yardsticks: Mapping[str, Yardstick] = field(default_factory=dict)
    layers: Mapping[str, Yardstick] = field(default_factory=dict)

    def with_outputs(self, outputs: Mapping[str, Array]) -> Reference:
        """The same with outputs that somebody else has computed; what noise makes of them stays."""
        yardsticks = {name: one.of(outputs[name]) for name, one in self.yardsticks.items()}
        return replace(self, outputs={name: outputs[name] for name in self.outputs}, yardsticks=yardsticks)


def reference_run(
    model: ir.Model,
    feeds: Mapping[str, Array],
    layers: Callable[[ir.Value], bool] = lambda value: False,
    *,
    meter: Meter | None = None,
    run: Run = evaluate,
    samples: int | None = None,
) -> Reference:
    """The outputs of an unfolded model in float64, and how far the model's own float type moves them.

    Noise is the largest error of some runs in the model's own float type: one as it is, others with every weight of a
    linear op moved by one unit in the last place, which rounds differently everywhere. In a few numbers noise may be
    nearly nothing by chance, so the fewer there are in an output, the more runs there are, unless they are much work.

    Args:
        model: The unfolded model; it is as it was afterwards.
        feeds: The inputs.
        layers: Which results inside of the model are wanted, too.
        meter: What the operations of all runs are counted by, if there is a limit for them together.
        run: What runs it.
        samples: How many runs are of moved weights, if that isn't to follow from the sizes.
    """
    own = float_type(model)
    with _scores_as_outputs(model) as scores:
        watching = _Watching(layers)
        truth = run(model, feeds, dtype=np.float64, see=watching.see, meter=meter)
        runs = []
        for seed in range(_samples(model, feeds, truth) if samples is None else samples):
            with nudged_kernels(model, seed), watching.another():
                runs.append(run(model, feeds, dtype=own, see=watching.see, meter=meter))
        with watching.another():
            plain = truth if own == np.float64 else run(model, feeds, dtype=own, see=watching.see, meter=meter)
            runs.append(plain)
        own_size = {str(value.name): is_exact_for_its_size(value) for value in model.graph.outputs}
        depths = {str(value.name): _depth(value) for value in model.graph.outputs}
    errors = {name: max(error(one[name], truth[name]) for one in runs) for name in truth}
    doubtful = {
        name: np.logical_or.reduce([one[name] != truth[name] for one in runs])
        for name, array in truth.items()
        if array.dtype.kind in "iub"
    }
    for name, source in scores.items():
        if name not in doubtful:
            continue
        unsure = undecided(truth[source.name], source.axis, errors[source.name], largest=source.largest)
        doubtful[name] |= unsure.reshape(doubtful[name].shape)
    names = [str(value.name) for value in model.graph.outputs]
    return Reference(
        dict(feeds),
        {name: truth[name] for name in names},
        {name: errors[name] for name in names},
        {name: mask for name, mask in doubtful.items() if name in names},
        {
            name: Yardstick(truth[name], [one[name] for one in runs], own, own_size=own_size[name], depth=depths[name])
            for name in names
            if truth[name].dtype.kind == "f"
        },
        watching.yardsticks(own),
    )


class _Watching:
    """Keeps some results of several runs: the first one is the truth."""

    def __init__(self, wanted: Callable[[ir.Value], bool]) -> None:
        self._wanted = wanted
        self._kept: dict[ir.Value, list[Array]] = {}
        self._first = True

    def see(self, value: ir.Value, array: Array) -> None:
        """To be called with each result."""
        if not self._first:
            _round_as_engines_do(value, array)
        if self._first:
            if array.dtype.kind == "f" and array.size and self._wanted(value):
                self._kept[value] = [sampled(array)]
        elif value in self._kept:
            self._kept[value].append(sampled(array))

    @contextmanager
    def another(self) -> Iterator[None]:
        """Around each run but the first."""
        self._first = False
        yield

    def yardsticks(self, dtype: np.dtype[np.floating]) -> dict[str, Yardstick]:
        """By name."""
        made: dict[ir.Value, Yardstick] = {}
        for value, (truth, *runs) in self._kept.items():
            node = value.producer()
            source = node.inputs[0] if node is not None and node.op_type in _PICKING else None
            made[value] = Yardstick(
                truth,
                runs,
                dtype,
                own_size=is_exact_for_its_size(value),
                depth=_depth(value),
                picked_from=None if source is None else made.get(source),
            )
        return {str(value.name): one for value, one in made.items()}


def _round_as_engines_do(value: ir.Value, array: Array) -> None:
    """Move the results of a sigmoid in place by about as much as engines may be off.

    onnxruntime's sigmoid has an absolute error of up to 1.1 units in the last place of 1, whatever its result is: of
    sigmoid(-10) = 4.5e-5 only three digits are right, and what it is multiplied with has no more.
    """
    node = value.producer()
    if node is None or node.op_type != "Sigmoid" or not array.flags.writeable:
        return
    unit = 1.1 * float(np.finfo(array.dtype).eps)
    moved = array + np.random.default_rng(0).choice([-unit, unit], array.shape)
    np.copyto(array, np.clip(moved, array / 2, 1), casting="same_kind")


def sampled(array: Array) -> Array:
    """[positions, C]: a result, or positions spread evenly over it where there are many; a copy."""
    flat = array.reshape(-1, array.shape[-1]) if array.ndim > 1 else array.reshape(-1, 1)
    most = max(_FEWEST_POSITIONS, _MOST_ELEMENTS // max(flat.shape[1], 1))
    if len(flat) <= most:
        return flat.copy()
    return flat[np.linspace(0, len(flat) - 1, most).astype(np.int64)]


def is_exact_for_its_size(value: ir.Value) -> bool:
    """Whether an op makes a value that has all digits in each element, however small."""
    node = value.producer()
    while node is not None and node.op_type in _SAME_ELEMENTS and node.inputs[0] is not None:
        node = node.inputs[0].producer()
    return node is not None and node.op_type in {"Softmax", "Exp"}


def _depth(value: ir.Value) -> int:
    """Return how many products the linear op adds up that a value comes from, at most `_FAR` ops before it; else 1."""
    for _ in range(_FAR):
        node = value.producer()
        if node is None or not node.inputs or node.inputs[0] is None:
            return 1
        if node.op_type in _LINEAR:
            kernel = node.inputs[1]
            shape = None if kernel is None or kernel.shape is None else kernel.shape.dims
            return 1 if shape is None else prod(size if isinstance(size, int) else 1 for size in shape[:-1])
        value = node.inputs[0]
    return 1


def _samples(model: ir.Model, feeds: Mapping[str, Array], outputs: Mapping[str, Array]) -> int:
    """How many runs it takes to see about a thousand numbers of each output: at most 8; none if it is too much work."""
    smallest = min((array.size for array in outputs.values()), default=1)
    affordable = _SAMPLING_BUDGET // max(effort(model, {name: array.shape for name, array in feeds.items()}), 1)
    return min(8, max(2, -(-_ENOUGH // max(smallest, 1))), affordable)


def float_type(model: ir.Model) -> np.dtype[np.floating]:
    """The coarsest float type that a model computes in, whatever it stores weights or gives results in; or float32."""
    constants = Constants(None)
    values = [*model.graph.inputs, *(output for node in model.graph for output in node.outputs)]
    kinds = [v.dtype for v in values if v.dtype is not None and not constants.is_constant(v)]
    types = [np.dtype(kind.numpy()) for kind in dict.fromkeys(kinds) if kind.is_floating_point()]
    return max(types, key=lambda kind: float(np.finfo(kind).eps), default=np.dtype(np.float32))


@dataclass(frozen=True)
class _Scores:
    """What an index was taken from."""

    name: str
    axis: int
    largest: bool


@contextmanager
def _scores_as_outputs(model: ir.Model) -> Iterator[dict[str, _Scores]]:
    """Makes the inputs of the model's last ArgMax and ArgMin outputs too, for as long as it takes."""
    outputs = model.graph.outputs
    own, scores = list(outputs), dict[str, _Scores]()
    for value in own:
        node = _index_maker(value)
        if node is None or node.inputs[0] is None:
            continue
        source = node.inputs[0]
        if source.name and source.shape is not None and source.producer() is not None:
            axis = (node.attributes.get_int("axis", 0) or 0) % len(source.shape)
            scores[str(value.name)] = _Scores(source.name, axis, node.op_type == "ArgMax")
            if source not in outputs:
                outputs.append(source)
    try:
        yield scores
    finally:
        while len(outputs) > len(own):
            outputs.pop()


def _index_maker(value: ir.Value) -> ir.Node | None:
    """The ArgMax or ArgMin whose result is an output, perhaps in another shape or type."""
    node = value.producer()
    while node is not None and node.op_type in _SAME_ELEMENTS and node.inputs[0] is not None:
        node = node.inputs[0].producer()
    return node if node is not None and node.op_type in {"ArgMax", "ArgMin"} else None
