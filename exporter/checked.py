"""Folds a model, checks the result against the unfolded model, and takes back what turns out wrong."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass, replace

import onnx_ir as ir

from exporter.errors import ParityError
from exporter.passes.affine.fold_affine import affine_sources
from exporter.passes.pipeline import run
from exporter.report.records import FoldOutcome, SelfCheck
from exporter.verify.probes import NoExample, as_probe, example
from exporter.verify.references.unfolded_model import Reference
from exporter.verify.self_check import Finding, compare_with
from exporter.verify.smaller import evaluate_smaller, smaller_reference
from runtime import Probe

__all__ = ["Checked", "fold_checked"]

_MOST = 4
"""How many folds are taken back one by one; if there are more that are off, all are taken back."""

_MOST_WORK = 1_000_000_000_000
"""Operations of an example on which a difference that smaller inputs have shown is looked into."""


@dataclass(frozen=True)
class Checked:
    """A model after the passes.

    Attributes:
        model: The model.
        folds: What became of each affine op.
        check: What the check has found.
        probes: What the unfolded model computes on examples.
        no_example: Why there are none.
    """

    model: ir.Model
    folds: tuple[FoldOutcome, ...]
    check: SelfCheck
    probes: tuple[Probe, ...] = ()
    no_example: NoExample | None = None


def fold_checked(unfolded: ir.Model, again: Callable[[], ir.Model], *, fold: bool, check: bool) -> Checked:
    """Runs the passes; folds whose results are off are left out then.

    Args:
        unfolded: The model as it was lowered; is changed.
        again: The same model once more: only called if a fold has to be looked for.
        fold: Whether to fold at all.
        check: Whether to compare the result with the unfolded model.

    Raises:
        ParityError: The model is off without any fold, too.
    """
    known = example(unfolded)
    if isinstance(known, str):
        if check and known == "too large" and fold:
            return replace(_at_smaller_sizes(unfolded, again), no_example=known)
        folds = run(unfolded, fold=fold)
        return Checked(unfolded, folds, SelfCheck(0, left_out=known if check else "asked for"), no_example=known)
    made = (as_probe(known, unfolded),)
    if check:
        return replace(_Checking(again, known).run(unfolded, fold=fold), probes=made)
    return Checked(unfolded, run(unfolded, fold=fold), SelfCheck(0, left_out="asked for"), made)


def _at_smaller_sizes(model: ir.Model, again: Callable[[], ir.Model]) -> Checked:
    """Agreement on smaller inputs is all that is asked for; a difference is looked into at the model's own sizes."""
    known = smaller_reference(model)
    folds = run(model)
    finding = None if known is None else compare_with(known, model, evaluate_smaller)
    if known is None or finding is None:
        return Checked(model, folds, SelfCheck(0, left_out="too large"))
    if not finding.is_off:
        return Checked(model, folds, SelfCheck(_examples(known), finding.share, smaller=True))
    whole = example(again(), _MOST_WORK)
    if isinstance(whole, str):
        return Checked(model, folds, SelfCheck(0, left_out="too large"))
    return _Checking(again, whole).run(again(), fold=True)


def _examples(known: Reference) -> int:
    return max((array.shape[0] for array in known.inputs.values() if array.ndim), default=1)


class _Checking:
    def __init__(self, again: Callable[[], ir.Model], known: Reference) -> None:
        self._again = again
        self._known = known
        self._examples = _examples(known)

    def run(self, model: ir.Model, *, fold: bool) -> Checked:
        sources = affine_sources(model) if fold else ()
        folds = run(model, fold=fold)
        finding = compare_with(self._known, model)
        if finding is None:
            return Checked(model, folds, SelfCheck(0, left_out="nothing to compare"))
        if not finding.is_off:
            return Checked(model, folds, self._passed(finding, ()))
        if not fold:
            raise _bug(finding)
        return self._without_wrong_folds(sources)

    def _without_wrong_folds(self, sources: tuple[str, ...]) -> Checked:
        kept: list[str] = []
        while len(kept) < _MOST and (wrong := self._first_wrong(sources, kept)) is not None:
            kept.append(wrong)
            model, folds, finding = self._with(kept)
            if finding is None or not finding.is_off:
                found = tuple(source for source in sources if source in kept)
                return Checked(model, folds, self._passed(finding, found))
        model = self._again()
        folds = run(model, fold=False)
        finding = compare_with(self._known, model)
        if finding is not None and finding.is_off:
            raise _bug(finding)
        return Checked(model, folds, self._passed(finding, sources))

    def _first_wrong(self, sources: tuple[str, ...], kept: list[str]) -> str | None:
        """The first op with which the result is off when all ops behind it are left alone; None if it is without."""
        low, high = 0, len(sources)
        while low < high:
            middle = (low + high) // 2
            finding = self._with([*kept, *sources[middle:]])[2]
            if finding is not None and finding.is_off:
                high = middle
            else:
                low = middle + 1
        return sources[low - 1] if low else None

    def _with(self, kept: Collection[str]) -> tuple[ir.Model, tuple[FoldOutcome, ...], Finding | None]:
        model = self._again()
        folds = run(model, keep=frozenset(kept))
        return model, folds, compare_with(self._known, model)

    def _passed(self, finding: Finding | None, taken_back: tuple[str, ...]) -> SelfCheck:
        return SelfCheck(self._examples, 0.0 if finding is None else finding.share, taken_back)


def _bug(finding: Finding) -> ParityError:
    return ParityError(
        f"even without folds, the output {finding.output} differs from that of the model as it was read by "
        f"{finding.error:.2g} of its size in {finding.dtype}; noise explains {finding.limit:.2g}. Nothing is written",
        hint="This is a mistake in ckpt2onnx, worth a report; --no-check writes the files all the same",
    )
