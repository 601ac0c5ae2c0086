"""Whether a folded model still computes what the unfolded one does: an export's check of its own result.

The folded model is run on the examples of a `Reference`, in float64 and in its own type. Each output has to be within
what passes for noise, as in `compare`: that is measured on the unfolded model, so that a model which is badly behaved
by itself isn't held against the folds.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass

import numpy as np
import onnx_ir as ir

from exporter.ir.evaluate import evaluate
from exporter.verify.compare import disagreement, error, limit
from exporter.verify.inputs.exercise import FAILURES
from exporter.verify.references.unfolded_model import Reference, Run, float_type

__all__ = ["Finding", "compare_with"]


@dataclass(frozen=True)
class Finding:
    """The output that is furthest from the unfolded model's.

    Attributes:
        output: Its name.
        dtype: The type that the folded model was computed in.
        error: Its largest error, relative to its size; for integers the share that differs.
        limit: What passes for noise.
    """

    output: str
    dtype: str
    error: float
    limit: float

    @property
    def is_off(self) -> bool:
        """Whether noise doesn't explain it."""
        return self.error > self.limit

    @property
    def share(self) -> float:
        """The error as a share of the limit."""
        return self.error / self.limit if self.limit else float("inf") if self.error else 0.0


def compare_with(known: Reference, model: ir.Model, run: Run = evaluate) -> Finding | None:
    """The worst output of a model on the inputs of an unfolded one; None if none of them can be compared.

    Args:
        known: What the unfolded model computes in float64, and how far its own type is from that.
        model: The model after the passes.
        run: What runs it.
    """
    own = float_type(model)
    findings: list[Finding] = []
    for dtype in dict.fromkeys((np.dtype(np.float64), np.dtype(own))):
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", RuntimeWarning)
                found = run(model, known.inputs, dtype=dtype)
        except FAILURES:
            return Finding("every output", dtype.name, float("inf"), 0.0)
        findings += [
            one for name in known.outputs if (one := _finding(known, name, found.get(name), dtype, own)) is not None
        ]
    return max(findings, key=lambda one: one.share, default=None)


def _finding(
    known: Reference, name: str, found: np.ndarray | None, dtype: np.dtype[np.generic], own: np.dtype[np.floating]
) -> Finding | None:
    truth = known.outputs[name]
    if found is None:
        return Finding(name, dtype.name, float("inf"), 0.0)
    if truth.dtype.kind != "f":
        differs = disagreement(found, truth, known.doubtful.get(name))
        return Finding(name, dtype.name, differs, 0.0)
    noise = known.noise.get(name, float("inf"))
    # where the unfolded model itself overflows, or is nothing but noise, there is nothing to compare with
    return Finding(name, dtype.name, error(found, truth), limit(noise, own)) if noise < 1 else None
