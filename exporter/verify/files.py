"""Checks exported files against a truth."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from exporter.errors import UsageError
from exporter.verify.compare import FLOOR, Array, disagreement, error, limit
from exporter.verify.data import nudged
from exporter.verify.engines import Engine, EngineError, Feeds, bundle_engine, onnx_engine
from exporter.verify.reference import Reference
from exporter.verify.truth import Truth
from exporter.verify.verdict import OutputCheck, Verdict

__all__ = ["verify_files"]

_MEASURED = "that of the unfolded model in its own float type against float64"
_NUDGED = "how far each engine's outputs go when every input moves by one unit in the last place"


def verify_files(onnx_path: Path | None, npz_path: Path | None, truth: Truth, data: Feeds | None = None) -> Verdict:
    """Runs the files on the truth's inputs and compares all outputs.

    An ONNX file is run by onnxruntime twice, as it is written and with all of onnxruntime's optimisations; a bundle by
    the NumPy runtime. Each output has to be within the noise, see `compare`.

    Args:
        onnx_path: The ONNX file, if there is one.
        npz_path: The bundle, if there is one.
        truth: What to compare with.
        data: Inputs by name; None for the truth's own, random or recorded.

    Raises:
        UsageError: The truth has an output that the files don't have, or none of theirs.
    """
    references = truth.runs(data)
    engines, problems = _engines(onnx_path, npz_path)
    checks: list[OutputCheck] = []
    compared = {name for reference in references for name in reference.outputs}
    skipped: dict[str, None] = {}
    for engine in engines:
        skipped.update((name, None) for name in engine.outputs if name not in compared)
        try:
            checks.extend(_check(engine, references))
        except EngineError as failure:
            problems.append(str(failure))
    measured = all(reference.noise for reference in references)
    return Verdict(
        truth.description,
        truth.blind_spot,
        _MEASURED if measured else _NUDGED,
        len(references),
        tuple(checks),
        tuple(problems),
        tuple(skipped),
    )


def _engines(onnx_path: Path | None, npz_path: Path | None) -> tuple[list[Engine], list[str]]:
    """The engines that load, and why the others don't."""
    makers: list[Callable[[], Engine]] = []
    if onnx_path is not None:
        makers += [lambda: onnx_engine(onnx_path, optimised=False), lambda: onnx_engine(onnx_path, optimised=True)]
    if npz_path is not None:
        makers.append(lambda: bundle_engine(npz_path))
    engines, problems = [], []
    for make in makers:
        try:
            engines.append(make())
        except EngineError as failure:
            problems.append(str(failure))
    return engines, problems


def _check(engine: Engine, references: Sequence[Reference]) -> list[OutputCheck]:
    """One check for each output, the worst of all runs."""
    worst: dict[str, OutputCheck] = {}
    for reference in references:
        for check in _check_run(engine, reference):
            before = worst.get(check.output)
            worst[check.output] = check if before is None else _worse(before, check)
    return list(worst.values())


def _worse(a: OutputCheck, b: OutputCheck) -> OutputCheck:
    """Noise is a property of the model, of which each run is a sample, so that the largest found counts for all."""
    return replace(a, error=max(a.error, b.error), noise=max(a.noise, b.noise), limit=max(a.limit, b.limit))


def _check_run(engine: Engine, reference: Reference) -> Iterator[OutputCheck]:
    found = engine.run(reference.inputs)
    _check_names(found, reference)
    moved = {} if reference.noise else engine.run(nudged(reference.inputs))
    for name, truth in reference.outputs.items():
        array = found[name]
        if array.dtype.kind in "iubOSU":
            yield OutputCheck(engine.name, name, disagreement(array, truth, reference.doubtful.get(name)), 0.0, 0.0)
            continue
        noise = reference.noise[name] if reference.noise else _moved(array, moved[name])
        yield OutputCheck(engine.name, name, error(array, truth), noise, limit(noise, array.dtype))


def _moved(found: Array, moved: Array) -> float:
    """The noise of a run, not less than one that leaves room for the truth's own rounding."""
    return max(error(moved, found), FLOOR * float(np.finfo(found.dtype).eps) / 4)


def _check_names(found: Iterable[str], reference: Reference) -> None:
    names = set(found)
    for name in reference.outputs:
        if name not in names:
            raise UsageError(
                f"the model has no output {name}, only {', '.join(sorted(names))}",
                hint="Name the arrays after the model's inputs and outputs",
            )
