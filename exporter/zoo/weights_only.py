"""From a checkpoint of weights alone to a model: recognised or asked for by name, and said why."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass

import onnx_ir as ir

from exporter.errors import UsageError
from exporter.formats.records import TensorStore
from exporter.options import Options
from exporter.report.decisions import Decision
from exporter.report.records import BatchNorm
from exporter.zoo.architecture import Architecture, Shapes
from exporter.zoo.build import InputSpec, build
from exporter.zoo.fit import Fit
from exporter.zoo.program import Shape
from exporter.zoo.recognise import fit, ranked
from exporter.zoo.refusals import ambiguous, refused, unrecognised
from exporter.zoo.registry import ARCHITECTURES, architecture
from exporter.zoo.remarks import decisions, notes, warnings
from exporter.zoo.weights import Weights

__all__ = ["Restored", "restore"]

_INPUT = "input"


@dataclass(frozen=True)
class Restored:
    """A model made of weights and an architecture.

    Attributes:
        model: The unfolded IR model.
        architecture: What it is, as `--arch` calls it.
        title: The same for people.
        batch_norms: Where the parameters of each came from.
        decisions: What was chosen, and why.
        warnings: What to know before using it.
        notes: What was set aside.
        reasons: Why inputs and outputs are such, by name.
        metadata: For the exported files: the architecture, and what its input is to look like.
    """

    model: ir.Model
    architecture: str
    title: str
    batch_norms: tuple[BatchNorm, ...]
    decisions: tuple[Decision, ...]
    warnings: tuple[str, ...]
    notes: tuple[str, ...]
    reasons: Mapping[str, str]
    metadata: Mapping[str, str]


def restore(store: TensorStore, options: Options) -> Restored:
    """The model that stored weights belong to.

    Raises:
        UsageError: Options that don't go with it, or more than one architecture that it could be.
        MissingError: Weights are missing, or the checkpoint is of no known architecture.
        FormatError: The weights are not those of the architecture that was asked for.
        ValueInputError: The numbers can't be meant.
    """
    if options.signature or options.keep_batch_statistics:
        given = "--signature" if options.signature else "--keep-batch-statistics"
        raise UsageError(f"{given} is for files with a graph; this one holds weights alone", hint="Leave it out")
    shapes = {name: store.info(name).shape for name in store}
    name, batch, shape = _input(options)
    chosen = architecture(options.arch) if options.arch else _recognised(shapes, options)
    found = fit(chosen, shapes, given=options.values, shape=shape, outputs=options.outputs)
    if found is None or not found.exact:
        right = [each for each in ranked(ARCHITECTURES.values(), shapes) if each.exact]
        raise refused(chosen, found, shapes, right)
    weights = Weights(store, found.candidate, averaged=options.ema)
    shadows = weights.shadows()
    if options.ema and not shadows:
        raise UsageError("--ema asks for averaged weights, and the checkpoint has none for this model's variables")
    preprocessing = chosen.preprocessing
    if options.include_preprocessing and (preprocessing is None or not preprocessing.affine):
        raise UsageError(f"--include-preprocessing: {chosen.name} has no published one that is affine")
    spec = InputSpec(name, batch, preprocessing if options.include_preprocessing else None)
    built, why = build(found.candidate, weights, spec), f"the result of {chosen.name}"
    if options.outputs:
        why = "named by the user"
    return Restored(
        model=built.model,
        architecture=options.arch or chosen.name,
        title=chosen.title,
        batch_norms=built.batch_norms,
        decisions=decisions(found, spec, options, shadows),
        warnings=(*built.warnings, *warnings(found)),
        notes=notes(found),
        reasons={name: f"the input of {chosen.name}", **dict.fromkeys(found.candidate.program.endpoints, why)},
        metadata=_metadata(found, spec),
    )


def _recognised(shapes: Shapes, options: Options) -> Architecture:
    """The one architecture that fits, and whose names tell it from others."""
    candidates = ranked(ARCHITECTURES.values(), shapes, outputs=options.outputs)
    if options.outputs and not (candidates and candidates[0].exact):
        candidates = ranked(ARCHITECTURES.values(), shapes)
    exact = [each for each in candidates if each.exact]
    certain = [each for each in exact if each.architecture.generic is None]
    if len(certain) == 1:
        return certain[0].architecture
    if exact:
        raise ambiguous(certain or exact)
    raise unrecognised(shapes, candidates)


def _input(options: Options) -> tuple[str, int | None, Shape | None]:
    """The input's name, batch size, and shape without the batch, as far as the user says."""
    if len(options.inputs) > 1:
        raise UsageError(f"--input: the architecture has one input, and {len(options.inputs)} are named")
    for name, shape in options.inputs.items():
        plain = name.removesuffix(":0")
        if shape is None:
            return plain, None, None
        if not shape or shape[-1] is None:
            raise UsageError(f"--input {name}: the number of channels has to be given", hint="Write x=?,224,224,3")
        return plain, shape[0], tuple(shape[1:])
    return _INPUT, None, None


def _metadata(found: Fit, spec: InputSpec) -> dict[str, str]:
    chosen, size = found.architecture, found.candidate.program.input.shape
    noted = {"architecture": chosen.name}
    if chosen.preprocessing is not None:
        described = {
            "channels": "RGB",
            "text": chosen.preprocessing.text,
            "included": spec.preprocessing is not None,
            "range": [0, 255],
            "scale": list(chosen.preprocessing.scale),
            "shift": list(chosen.preprocessing.shift),
            "size": list(size[:2]),
        }
        noted["preprocessing"] = json.dumps(described, sort_keys=True)
    return noted
