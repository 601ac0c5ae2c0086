"""Rounds the weights of a checked model to float16, and measures what that does to its outputs."""

from __future__ import annotations

import warnings
from collections.abc import Sequence

import onnx_ir as ir

from exporter.passes.round_weights import round_weights
from exporter.report.records import HalfWeights
from exporter.verify.compare import disagreement, error
from exporter.verify.inputs.exercise import FAILURES
from exporter.verify.probes import as_probe
from exporter.verify.references.unfolded_model import reference_run
from runtime import Probe

__all__ = ["with_half_weights"]


def with_half_weights(model: ir.Model, known: Sequence[Probe]) -> tuple[HalfWeights, tuple[Probe, ...]]:
    """Rounds the weights, and runs the model on the examples again, whose outputs are other ones now.

    Args:
        model: The model after the passes; is changed.
        known: Its examples, as it was before.

    Returns:
        What was rounded and how far that moves each output; and the examples as they are now.
    """
    what = round_weights(model)
    probes, errors = [], dict[str, float]()
    for one in known:
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", RuntimeWarning)
                found = reference_run(model, one.inputs)
        except FAILURES:
            continue
        probes.append(as_probe(found, model))
        for name, before in one.outputs.items():
            measure = error if before.dtype.kind == "f" else disagreement
            errors[name] = max(errors.get(name, 0.0), measure(found.outputs[name], before))
    return HalfWeights(what.rounded, what.kept, tuple(errors.items())), tuple(probes)
