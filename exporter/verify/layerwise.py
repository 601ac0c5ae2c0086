"""Verification against the unfolded model, result by result, and what it would have noticed."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx_ir as ir

from exporter.formats.records import Array
from exporter.passes.pipeline import run as run_passes
from exporter.report.records import Report
from exporter.verify.allowance import Allowance, stage
from exporter.verify.cost import operations, sizes_in
from exporter.verify.engines import Engine
from exporter.verify.files import verify_references
from exporter.verify.inputs.dependence import independent
from exporter.verify.inputs.exercise import exercise
from exporter.verify.layers import Layer, Located, in_front, judged, locate_layers
from exporter.verify.power import power
from exporter.verify.references.truth import Computed, UnfoldedModel
from exporter.verify.references.unfolded_model import Reference, reference_run
from exporter.verify.verdict import LayerCheck, Verdict

__all__ = ["verify_layers"]

_MUCH = 5_000_000_000
"""Operations of a run up to which layers are compared in every engine, not only in the ONNX file as it is written."""


def verify_layers(
    onnx_path: Path | None,
    npz_path: Path | None,
    truth: UnfoldedModel | Computed,
    data: Mapping[str, Array] | None,
    *,
    fold: bool,
    kept: Collection[str] = (),
    origin: Report | None = None,
    makers: Sequence[Callable[[], Engine]] = (),
    allowance: Allowance | None = None,
) -> Verdict:
    """Compares the outputs of files and all results inside that have a counterpart in the unfolded model.

    Args:
        onnx_path: The ONNX file, if there is one.
        npz_path: The bundle, if there is one.
        truth: The unfolded model; it isn't one any more afterwards. Or somebody who computes the outputs from the same
            source: then the unfolded model is the truth inside alone.
        data: Inputs, if somebody gave some.
        fold: Whether the files were exported with folding.
        kept: The sources of folds that the export has taken back.
        origin: What there is to say of the source; the folds are added to it.
        makers: Make other engines, whose outputs are compared, too, and what they give of the results inside.
        allowance: How long it may take; the outputs and layers of the first engine are compared in any case.

    Raises:
        UsageError: No inputs could be made up, or the files have other outputs than the model.
    """
    allowance, model = allowance or Allowance(), truth.model
    stage("making inputs that exercise the model")
    found = None if data is not None else exercise(model)
    feeds = [one.feeds for one in found.sets] if found is not None else [data or {}]
    wanted, front = judged(model), in_front(model)
    references = []
    for number, one in enumerate(feeds):
        if not number or allowance.allows(f"inputs of another kind, {number} of {len(feeds) - 1}"):
            stage(f"computing the truth in float64, and the noise around it: run {number + 1} of {len(feeds)}")
            reference = reference_run(model, one, wanted.__contains__)
            computed = truth.compute(one) if isinstance(truth, Computed) else None
            references.append(reference if computed is None else reference.with_outputs(computed))
    moves = allowance.allows("whether each output depends on each input")
    still = independent(model, references) if moves else []
    work = _work(model, feeds[0])
    stage("folding, and looking for each layer in the folded model")
    folds = run_passes(model, fold=fold, keep=frozenset(kept))
    located = [locate_layers(model, reference, np.float64 if work <= _MUCH else np.float32) for reference in references]
    layers = _of_equal_shapes(located, references)
    verdict = verify_references(
        onnx_path,
        npz_path,
        truth,
        references,
        given=data is not None,
        layers=layers,
        wide=work <= _MUCH,
        makers=makers,
        allowance=allowance,
    )
    stage("finding out what would have been noticed")
    known = allowance.allows("what would have been noticed")
    doubts = tuple(
        f"output {output} doesn't depend on input {name}, as far as these inputs tell; give others with --data"
        for output, name in still
    )
    seen = {check.layer for check in verdict.layers}
    layers = tuple(layer for layer in layers if layer.name in seen)
    return replace(
        verdict,
        layers=tuple(_with_front(check, front, verdict.layers) for check in verdict.layers),
        power=power(model, layers, references, [one.results for one in located]) if known else (),
        doubts=(*verdict.doubts, *doubts),
        inputs=found.to_json() if found is not None else {"sets": ["given"]},
        origin=None if origin is None else replace(origin, folds=folds),
        left_out=tuple(allowance.left_out),
    )


def _of_equal_shapes(located: Sequence[Located], references: Sequence[Reference]) -> tuple[Layer, ...]:
    """The layers of the first run but those that have other shapes in another run than their tensors have there.

    A loop ends where all sequences do; the recurrent op that it is translated to goes on and gives zeros.
    """
    return tuple(
        layer
        for layer in located[0].layers
        if all(
            layer.name not in reference.layers
            or layer.tensor not in one.results
            or one.results[layer.tensor].shape == reference.layers[layer.name].truth.shape
            for one, reference in zip(located, references, strict=True)
        )
    )


def _work(model: ir.Model, feeds: Mapping[str, Array]) -> int:
    return operations(model, sizes_in(model, {name: array.shape for name, array in feeds.items()}))


def _with_front(check: LayerCheck, front: Mapping[str, tuple[str, ...]], checks: tuple[LayerCheck, ...]) -> LayerCheck:
    """A check that is off, with the nearest results in front of it that were compared in the same engine."""
    if check.ok:
        return check
    compared = {one.layer: one for one in checks if one.engine == check.engine}
    nearest: dict[str, None] = {}
    pending, seen = list(front.get(check.layer, ())), set[str]()
    while pending:
        name = pending.pop()
        if name in seen:
            continue
        seen.add(name)
        if name in compared or name not in front:
            nearest[name] = None
        else:
            pending.extend(front[name])
    good = [name for name in nearest if name not in compared or compared[name].ok]
    return replace(check, behind=tuple(good))
