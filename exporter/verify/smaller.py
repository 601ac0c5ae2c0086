"""Runs large models on inputs that are smaller than these models say: a part of an image, the beginning of a text.

What a fold computes doesn't depend on how large an image is, so a folded and an unfolded model can be compared on small
ones. Most ops take any size. Where one doesn't (a window that doesn't fit, a dense layer behind a flattened image, two
parts that have to be of one size), its inputs are repeated along their axes, twice as far each time, up to the sizes
that the model declares. Both models do so at the same ops, as far as these are the same. So a difference is no proof of
a mistake, but agreement is one of none.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping, Sequence
from math import prod

import numpy as np
import numpy.typing as npt
import onnx_ir as ir

from exporter.errors import LimitError, UsageError
from exporter.ir.evaluate import evaluate
from exporter.verify.compare import Array
from exporter.verify.cost import operations, sizes_in
from exporter.verify.inputs.draws import Levels, draw
from exporter.verify.inputs.exercise import FAILURES
from exporter.verify.inputs.open_sizes import shapes_of
from exporter.verify.inputs.roles import InputSpec, specs_of
from exporter.verify.inputs.statistics import fit
from exporter.verify.probes import MOST_DRAWN, MOST_OPERATIONS
from exporter.verify.references.unfolded_model import Reference, reference_run
from runtime.budget import Meter

__all__ = ["evaluate_smaller", "smaller_reference"]

_BUDGET = 1_000_000_000
"""Operations of the run that is planned."""

_MOST = 3 * _BUDGET
"""Operations at which a run is given up, where inputs have to be repeated."""

_PARTS = (2, 4, 8, 16)
_LEAST = 16
"""Axes that aren't longer are left as they are."""

_LINEAR = frozenset({"Conv", "ConvTranspose", "Dense", "Gemm", "MatMul"})

_Shapes = Mapping[str, tuple[int, ...]]


def smaller_reference(model: ir.Model) -> Reference | None:
    """What an unfolded model computes of small inputs; None if it can't, or if even that is too much work."""
    try:
        specs = specs_of(model)
        whole = shapes_of(specs, {key: 1 for spec in specs if spec.shape and (key := spec.open_size(0)) is not None})
        work = operations(model, sizes_in(model, whole))
        for part in _PARTS:
            shapes = {spec.name: _part_of(spec, whole[spec.name], part) for spec in specs}
            if sum(map(prod, shapes.values())) > MOST_DRAWN:
                continue
            if work * max(prod(shapes[name]) / prod(shape) for name, shape in whole.items()) <= _BUDGET:
                with warnings.catch_warnings(), np.errstate(all="ignore"):
                    warnings.simplefilter("ignore", RuntimeWarning)
                    meter = Meter(MOST_OPERATIONS)
                    feeds = _feeds(model, specs, shapes, meter)
                    return reference_run(model, feeds, run=evaluate_smaller, samples=0, meter=meter)
    except (LimitError, UsageError, *FAILURES):
        pass
    return None


def _part_of(spec: InputSpec, shape: tuple[int, ...], part: int) -> tuple[int, ...]:
    """The shape with shorter axes, but for the batch and for what may be channels or features."""
    last = len(shape) if spec.role in ("index", "mask") else len(shape) - 1
    return tuple(
        size if axis in (0, last) or size <= _LEAST else max(_LEAST, -(-size // part))
        for axis, size in enumerate(shape)
    )


def _feeds(model: ir.Model, specs: Sequence[InputSpec], shapes: _Shapes, meter: Meter) -> dict[str, Array]:
    tiny = {spec.name: _part_of(spec, shapes[spec.name], _PARTS[-1]) for spec in specs}
    try:
        levels = fit(model, specs, tiny, _drawn(specs, tiny, {}), 0, meter).levels
    except FAILURES:  # the first batch norms are behind an op that doesn't take these sizes
        levels = {}
    return _drawn(specs, shapes, levels)


def _drawn(specs: Sequence[InputSpec], shapes: _Shapes, levels: Mapping[str, Levels]) -> dict[str, Array]:
    random = np.random.RandomState(0)
    return {spec.name: draw(spec, shapes[spec.name], random, levels=levels.get(spec.name)) for spec in specs}


def evaluate_smaller(
    model: ir.Model,
    feeds: Mapping[str, npt.ArrayLike],
    *,
    dtype: npt.DTypeLike = np.float64,
    see: Callable[[ir.Value, Array], None] | None = None,
    meter: Meter | None = None,
) -> dict[str, Array]:
    """As `evaluate`, with inputs that may be smaller than the model says.

    Raises:
        ValueError: It would be too much work; or whatever else a kernel makes of tensors that don't go together.
    """
    return evaluate(model, feeds, dtype=dtype, see=see, meter=meter, call=_Growing().call)


class _Growing:
    def __init__(self) -> None:
        self._done = 0

    def call(
        self, node: ir.Node, inputs: list[Array | None], compute: Callable[[list[Array | None]], tuple[Array, ...]]
    ) -> tuple[Array, ...]:
        """A node's results, of inputs that are repeated until it takes them."""
        while True:
            try:
                results = compute(inputs)
                if not _is_empty(node, results):
                    break
                failure: Exception = ValueError(f"{node.op_type} leaves nothing")
            except FAILURES as caught:
                failure = caught
            grown = [_grown(value, array) for value, array in zip(node.inputs, inputs, strict=True)]
            if all(new is old for new, old in zip(grown, inputs, strict=True)):
                raise failure
            inputs = grown
        self._done += _operations(node, inputs, results)
        if self._done > _MOST:
            raise ValueError("it would be too much work")
        return results


def _is_empty(node: ir.Node, results: Sequence[Array]) -> bool:
    """Whether nothing is left of a tensor that isn't empty at its own sizes."""
    for value, array in zip(node.outputs, results, strict=False):
        if not array.size and value.shape is not None and all(isinstance(dim, int) and dim for dim in value.shape.dims):
            return True
    return not all(array.size for array in results) and node.op_type in {"AveragePool", "Conv", "MaxPool"}


def _grown(value: ir.Value | None, array: Array | None) -> Array | None:
    """A computed tensor twice as long along the axes that aren't as long as the model says; the same one if all are."""
    if array is None or value is None or value.shape is None or value.is_initializer():
        return array
    for axis, dim in enumerate(value.shape.dims[: array.ndim]):
        if isinstance(dim, int) and 0 < array.shape[axis] < dim:
            if array.size > MOST_DRAWN:
                raise ValueError("it would be too much work")
            array = np.take(array, np.arange(min(2 * array.shape[axis], dim)) % array.shape[axis], axis)
    return array


def _operations(node: ir.Node, inputs: Sequence[Array | None], results: Sequence[Array]) -> int:
    if node.op_type not in _LINEAR or len(inputs) < 2 or inputs[0] is None or inputs[1] is None:
        return 0
    deep = prod(inputs[1].shape[:-1]) if node.op_type.startswith("Conv") else inputs[0].shape[-1]
    return 2 * (inputs[0].size if node.op_type == "ConvTranspose" else results[0].size) * int(deep)
