"""Runs that go into a bundle, so that it can be checked wherever it is used."""

from __future__ import annotations

import warnings

import numpy as np
import onnx_ir as ir

from exporter.errors import UsageError
from exporter.verify.compare import limit, scale
from exporter.verify.cost import operations, sizes_in
from exporter.verify.exercise import FAILURES, exercise
from exporter.verify.open_sizes import shapes_of
from exporter.verify.reference import Reference, reference_run
from exporter.verify.roles import specs_of
from runtime import Probe

__all__ = ["BUDGET", "probes"]

BUDGET = 1_000_000_000
"""Operations for one example up to which probes are made: about a quarter of a second, with the noise."""


def probes(model: ir.Model) -> tuple[Probe, ...]:
    """One run of an unfolded model on a single random example: its inputs, outputs, and how far noise may move these.

    Outputs are computed in float64 and rounded to their type; the tolerance of each is the largest difference
    that passes for noise, as in `compare`. An output of integers is left out if noise could change it. None at all if
    there are no random inputs for the model, as for strings, or if it is too much work, see `BUDGET`.

    Args:
        model: The unfolded model, before any pass; it is as it was afterwards.
    """
    try:
        specs = specs_of(model)
        least = {key: 1 for spec in specs if spec.shape and (key := spec.open_size(0)) is not None}
        if operations(model, sizes_in(model, shapes_of(specs, least))) > BUDGET:
            return ()
        feeds = exercise(model, batch=1, count=1, work=BUDGET // 2).sets[0].feeds
    except UsageError:
        return ()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", RuntimeWarning)  # random numbers may well overflow
            found = reference_run(model, feeds)
    except FAILURES:  # a model that takes batches of certain sizes only, or values of a certain kind
        return ()
    outputs, tolerances = {}, {}
    for value in model.graph.outputs:
        name = str(value.name)
        if value.dtype is None or (name in found.doubtful and found.doubtful[name].any()):
            continue
        outputs[name] = found.outputs[name].astype(value.dtype.numpy())
        tolerances[name] = _tolerance(found, name, outputs[name].dtype)
    return (Probe(feeds, outputs, tolerances),)


def _tolerance(found: Reference, name: str, dtype: np.dtype[np.generic]) -> float:
    """The limit as a difference, at the largest element of the output: one number for all, so it has to do for that."""
    if name in found.doubtful:
        return 0.0
    truth = found.outputs[name]
    return limit(found.noise[name], dtype) * float(np.max(scale(truth), initial=0.0))
