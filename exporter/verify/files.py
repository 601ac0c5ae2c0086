"""Checks exported files against a truth."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import numpy as np

from exporter.errors import UsageError
from exporter.verify.allowance import Allowance, stage
from exporter.verify.compare import FLOOR, Array, disagreement, error, limit
from exporter.verify.engines import Engine, EngineError, Feeds, bundle_engine, onnx_engine
from exporter.verify.inputs.data import nudged
from exporter.verify.layers import Layer, check_layers
from exporter.verify.pairing import paired
from exporter.verify.references.truth import Truth
from exporter.verify.references.unfolded_model import Reference
from exporter.verify.verdict import LayerCheck, OutputCheck, Verdict
from exporter.verify.yardstick import LOOSE

__all__ = ["verify_files", "verify_references"]

_MEASURED = "that of the unfolded model in its own float type against float64"
_MOSTLY = 0.1
_NUDGED = "how far each engine's outputs go when every input moves by one unit in the last place"


def verify_files(
    onnx_path: Path | None,
    npz_path: Path | None,
    truth: Truth,
    data: Feeds | None = None,
    *,
    makers: Sequence[Callable[[], Engine]] = (),
) -> Verdict:
    """Runs the files on the truth's inputs and compares all outputs.

    An ONNX file is run by onnxruntime twice, as it is written and with all of onnxruntime's optimisations; a bundle by
    the NumPy runtime. Each output has to be within the noise, see `compare` and `yardstick`.

    Args:
        onnx_path: The ONNX file, if there is one.
        npz_path: The bundle, if there is one.
        truth: What to compare with.
        data: Inputs by name; None for the truth's own, made up or recorded.
        makers: Make other engines, whose outputs are compared, too.

    Raises:
        UsageError: The truth has an output that the files don't have, or none of theirs.
    """
    given = data is not None or truth.given
    return verify_references(onnx_path, npz_path, truth, truth.runs(data), given=given, makers=makers)


def verify_references(
    onnx_path: Path | None,
    npz_path: Path | None,
    truth: Truth,
    references: Sequence[Reference],
    *,
    given: bool,
    layers: Sequence[Layer] = (),
    wide: bool = True,
    makers: Sequence[Callable[[], Engine]] = (),
    allowance: Allowance | None = None,
) -> Verdict:
    """The same with runs of the truth that are there already.

    Args:
        onnx_path: The ONNX file, if there is one.
        npz_path: The bundle, if there is one.
        truth: What the references came from.
        references: Its runs.
        given: Whether somebody gave the inputs, so that what isn't finite may be meant.
        layers: Results inside of the model to compare, too.
        wide: Whether layers are compared in all engines, not only in the ONNX file as it is written.
        makers: Make other engines, whose outputs are compared, too.
        allowance: How long it may take; the first engine is run in any case.
    """
    allowance = allowance or Allowance()
    also = [layer.tensor for layer in layers]
    engines, problems = _engines(onnx_path, npz_path, makers, also, references[0].inputs, allowance)
    first, renamed = references[0], dict[str, None]()
    for i, engine in enumerate(engines):
        if engine.output_shapes:
            engines[i], other = paired(engine, first.inputs, first.outputs)
            renamed.update(dict.fromkeys(other))
    checks: list[OutputCheck] = []
    inside: list[LayerCheck] = []
    compared = {name for reference in references for name in reference.outputs}
    skipped, inner = dict[str, None](), {layer.tensor for layer in layers}
    for engine in engines:
        stage(f"comparing the outputs of {engine.name}")
        skipped.update((name, None) for name in engine.outputs if name not in compared and name not in inner)
        try:
            checks.extend(_check(engine, references))
        except EngineError as failure:
            problems.append(str(failure))
    if layers and engines and onnx_path is not None:
        with suppress(EngineError):
            inside += check_layers(engines[0], layers, references, (engines[0].run(one.inputs) for one in references))
    for tracing in (engine for engine in engines if layers and engine.traces):
        with suppress(EngineError):
            inside += check_layers(tracing, layers, references, (tracing.run(one.inputs) for one in references))
    for name, make in _inner_engines(onnx_path, npz_path, also, wide) if layers else ():
        stage(f"comparing the layers of {name}")
        with suppress(EngineError):  # what can't give its inner results has been judged by its outputs
            if not allowance.allows(f"the layers of {name}"):
                continue
            engine = make()
            inside += check_layers(engine, layers, references, (engine.run(one.inputs) for one in references))
    measured = all(reference.noise for reference in references)
    remarks, doubts = _not_finite(references, checks, given=given)
    return Verdict(
        truth.description,
        truth.blind_spot,
        _MEASURED if measured else _NUDGED,
        len(references),
        tuple(checks),
        tuple(problems),
        tuple(skipped),
        layers=tuple(inside),
        doubts=(*doubts, *_loose(references)),
        remarks=(*renamed, *remarks),
    )


def _as_written(path: Path, also: Sequence[str], feeds: Feeds) -> Engine:
    """Without optimisations, where further outputs change nothing."""
    if also:
        with suppress(EngineError):
            inner_too = _remembering(onnx_engine(path, optimised=False, also=also))
            inner_too.run(feeds)
            return inner_too
    return onnx_engine(path, optimised=False)


def _remembering(engine: Engine) -> Engine:
    """An engine that runs the same inputs once."""
    known: dict[int, dict[str, Array]] = {}

    def run(feeds: Feeds) -> dict[str, Array]:
        if id(feeds) not in known:
            known[id(feeds)] = engine.run(feeds)
        return known[id(feeds)]

    return replace(engine, run=run)


def _inner_engines(
    onnx_path: Path | None, npz_path: Path | None, tensors: Sequence[str], wide: bool
) -> Iterator[tuple[str, Callable[[], Engine]]]:
    if onnx_path is not None and wide:
        yield "onnxruntime, optimised", lambda: onnx_engine(onnx_path, optimised=True, also=tensors)
    if npz_path is not None and (wide or onnx_path is None):
        yield "the NumPy runtime", lambda: bundle_engine(npz_path, also=tensors)


def _not_finite(
    references: Sequence[Reference], checks: Sequence[OutputCheck], *, given: bool
) -> tuple[list[str], list[str]]:
    """Remarks on outputs that aren't finite in inputs that were given, and doubts on those in inputs made up here."""
    names = dict.fromkeys(
        name
        for reference in references
        for name, truth in reference.outputs.items()
        if truth.dtype.kind == "f" and not np.all(np.isfinite(truth))
    )
    if given:
        good = {check.output for check in checks if check.ok}
        return [f"{name} has NaN or infinity where the truth has it" for name in names if name in good], []
    hint = "NaN or infinity is never parity, unless --data brings inputs for which it is meant"
    return [], [f"output {name} isn't finite, in the truth either; {hint}" for name in names]


def _loose(references: Sequence[Reference]) -> list[str]:
    """Outputs whose noise is so large that a limit says nothing."""
    names = dict.fromkeys(
        name for reference in references for name, one in reference.yardsticks.items() if one.loose > _MOSTLY
    )
    hint = "give inputs that the model was made for with --data"
    return [f"noise alone moves output {name} by more than {LOOSE:g} of its values; {hint}" for name in names]


def _engines(
    onnx_path: Path | None,
    npz_path: Path | None,
    others: Sequence[Callable[[], Engine]],
    also: Sequence[str],
    feeds: Feeds,
    allowance: Allowance,
) -> tuple[list[Engine], list[str]]:
    """The engines that load, and why the others don't; the ONNX file as it is written gives `also`, if it can."""
    makers = [(f"program {number}", make) for number, make in enumerate(others, 1)]
    if onnx_path is not None:
        makers.append(("onnxruntime, as written", lambda: _as_written(onnx_path, also, feeds)))
        makers.append(("onnxruntime, optimised", lambda: onnx_engine(onnx_path, optimised=True)))
    if npz_path is not None:
        makers.append(("the NumPy runtime", lambda: bundle_engine(npz_path)))
    engines, problems = [], []
    for number, (name, make) in enumerate(makers):
        if number and not allowance.allows(f"the outputs of {name}"):
            continue
        stage(f"loading {name}")
        try:
            made = make()
            engines.append(_remembering(made) if made.traces else made)
        except EngineError as failure:
            problems.append(str(failure))
    return engines, problems


def _check(engine: Engine, references: Sequence[Reference]) -> list[OutputCheck]:
    """One check for each output, the worst of all runs."""
    worst: dict[str, OutputCheck] = {}
    for reference in references:
        for check in _check_run(engine, reference):
            before = worst.get(check.output)
            merge = _worse if check.output in reference.yardsticks else _pooled
            worst[check.output] = check if before is None else merge(before, check)
    return list(worst.values())


def _worse(a: OutputCheck, b: OutputCheck) -> OutputCheck:
    """The one that is farther beyond its limit, or nearer to it."""
    ratios = [one.error / one.limit if one.limit else np.inf if one.error else 0.0 for one in (a, b)]
    return a if ratios[0] >= ratios[1] else b


def _pooled(a: OutputCheck, b: OutputCheck) -> OutputCheck:
    """Noise is a property of the model, of which each run is a sample, so that the largest found counts for all."""
    return replace(a, error=max(a.error, b.error), noise=max(a.noise, b.noise), limit=max(a.limit, b.limit))


def _check_run(engine: Engine, reference: Reference) -> Iterator[OutputCheck]:
    found = engine.run(reference.inputs)
    for name in reference.outputs:
        if name not in found:
            raise UsageError(
                f"the model has no output {name}, only {', '.join(sorted(found))}",
                hint="Name the arrays after the model's inputs and outputs",
            )
    moved = {} if reference.noise else engine.run(nudged(reference.inputs))
    for name, truth in reference.outputs.items():
        array = found[name]
        if array.dtype.kind in "iubOSU":
            yield OutputCheck(engine.name, name, disagreement(array, truth, reference.doubtful.get(name)), 0.0, 0.0)
            continue
        if name in reference.yardsticks:
            worst = reference.yardsticks[name].worst(array)
            yield OutputCheck(engine.name, name, worst.error, worst.noise, worst.limit)
            continue
        if reference.noise:
            noise = reference.noise[name]
        else:  # not less than what leaves room for the truth's own rounding
            noise = max(error(moved[name], array), FLOOR * float(np.finfo(array.dtype).eps) / 4)
        yield OutputCheck(engine.name, name, error(array, truth), noise, limit(noise, array.dtype))
