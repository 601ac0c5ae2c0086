"""Runs that go into a bundle, so that it can be checked wherever it is used."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from math import isfinite, prod
from typing import Literal

import numpy as np
import onnx_ir as ir

from exporter.errors import LimitError, UsageError
from exporter.foreign import on_foreign_data
from exporter.verify.compare import limit, scale
from exporter.verify.cost import operations, sizes_in
from exporter.verify.inputs.exercise import FAILURES, exercise
from exporter.verify.inputs.open_sizes import shapes_of
from exporter.verify.inputs.roles import InputSpec, specs_of
from exporter.verify.references.unfolded_model import Reference, reference_run
from runtime import Probe
from runtime.budget import Meter

__all__ = ["BUDGET", "MOST_DRAWN", "MOST_OPERATIONS", "NoExample", "as_probe", "example", "probes"]

BUDGET = 1_000_000_000
"""Operations for one example up to which probes are made: about a quarter of a second, with the noise."""

MOST_OPERATIONS = 3 << 33
"""What all runs for an example may take together, as `runtime.cost` counts it: a few seconds."""

_ROOM = 1 << 17
"""Bytes of input for several examples."""

MOST_DRAWN = 1 << 22
"""Elements of input for one example: they are drawn in a wide type, several times."""


NoExample = Literal["too large", "no inputs", "fails"]
"""Why there is none: it is too much work, inputs can't be made up, or the model doesn't run on those that are."""


def probes(model: ir.Model) -> tuple[Probe, ...]:
    """One run of an unfolded model on a few examples, or one: their inputs, outputs, and how far noise may move these.

    Outputs are computed in float64 and rounded to their type; the tolerance of each is the largest difference
    that passes for noise, as in `compare`. An output of integers is left out if noise could change it. None at all if
    there are no inputs to be made up for the model, as for strings, or if it is too much work, see `BUDGET`.

    Args:
        model: The unfolded model, before any pass; it is as it was afterwards.
    """
    found = example(model)
    return () if isinstance(found, str) else (as_probe(found, model),)


@on_foreign_data("computing an example")
def example(model: ir.Model, budget: int = BUDGET) -> Reference | NoExample:
    """The run that probes are made of, or why there is none.

    Args:
        model: The unfolded model, before any pass; it is as it was afterwards.
        budget: Operations of one example up to which it is made.
    """
    try:
        specs = specs_of(model)
    except (UsageError, *FAILURES):
        return "no inputs"
    if any(spec.role == "text" for spec in specs):
        return "no inputs"
    try:
        batch = _batch(model, specs, budget)
        if batch is None:
            return "too large"
        meter = Meter(MOST_OPERATIONS * max(budget // BUDGET, 1))
        feeds = exercise(model, batch=batch, count=1, work=budget // 2, meter=meter).sets[0].feeds
    except LimitError:
        return "too large"
    except (UsageError, *FAILURES):  # none of the sizes and values that were tried do, as for a table of few rows
        return "fails"
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", RuntimeWarning)  # random numbers may well overflow
            return reference_run(model, feeds, meter=meter)
    except FAILURES:  # a model that takes batches of certain sizes only, or values of a certain kind
        return "fails"


def as_probe(found: Reference, model: ir.Model) -> Probe:
    """Outputs in the types that the model gives them in, with tolerances."""
    outputs, tolerances = {}, {}
    for value in model.graph.outputs:
        name = str(value.name)
        if value.dtype in (None, ir.DataType.STRING) or (name in found.doubtful and found.doubtful[name].any()):
            continue
        with np.errstate(over="ignore"):
            outputs[name] = found.outputs[name].astype(value.dtype.numpy())
        tolerances[name] = _tolerance(found, name, outputs[name].dtype)
        if not isfinite(tolerances[name]):  # numbers near the end of the range, whose noise can't be told
            del outputs[name], tolerances[name]
    return Probe(found.inputs, outputs, tolerances)


def _batch(model: ir.Model, specs: Sequence[InputSpec], budget: int) -> int | None:
    """How many examples: several where they are small and little work, since few channels wake up in one."""
    for batch in (16, 8, 4, 2, 1):
        sizes = {key: batch for spec in specs if spec.shape and (key := spec.open_size(0)) is not None}
        shapes = shapes_of(specs, sizes)
        room = sum(spec.dtype.itemsize * prod(shapes[spec.name]) for spec in specs)
        drawn = sum(prod(shapes[spec.name]) for spec in specs)
        work = operations(model, sizes_in(model, shapes))
        if (room <= _ROOM and work <= min(budget, BUDGET) // 4) or (
            batch == 1 and work <= budget and drawn <= MOST_DRAWN * max(budget // BUDGET, 1)
        ):
            return batch
    return None


def _tolerance(found: Reference, name: str, dtype: np.dtype[np.generic]) -> float:
    """The limit as a difference, at the largest element of the output: one number for all, so it has to do for that."""
    if name in found.doubtful:
        return 0.0
    truth = found.outputs[name]
    return limit(found.noise[name], dtype) * float(np.max(scale(truth), initial=0.0))
