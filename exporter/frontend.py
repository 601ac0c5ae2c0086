"""From a path to the unfolded model, whatever kind of source it is.

Each kind has a front end of its own, which is imported when a source of that kind is met: an export is short, and
importing all of them would be a good part of it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from difflib import get_close_matches
from pathlib import Path
from tempfile import TemporaryDirectory

import onnx_ir as ir

from exporter.errors import MissingError, SourceError, UsageError
from exporter.foreign import on_foreign_data
from exporter.ir import edit
from exporter.ir.roots import check_roots
from exporter.options import Options
from exporter.passes.widen import widen
from exporter.report.decisions import Decision
from exporter.report.records import BatchNorm
from exporter.sources import KerasSource, open_source
from exporter.sources.keras_custom import Custom
from exporter.sources.model import SourceModel

__all__ = ["Unfolded", "custom_names_of", "unfold"]

_NAME = "model"
"""The graph's name: the same however the source is pointed at, so that the files are the same too."""


@dataclass(frozen=True)
class Unfolded:
    """The inference function of a source as an IR model in which nothing has been folded.

    Attributes:
        model: The model.
        kind: What the source is, for people.
        batch_norms: Its batch norms and where their parameters came from.
        decisions: Choices that change numbers.
        warnings: What the user should know before using it.
        notes: What was resolved on the way.
        reasons: Why each input and output is one, by name.
        architecture: What `--arch` calls the network, where the source holds only weights.
        metadata: What else to note in the exported files.
    """

    model: ir.Model
    kind: str
    batch_norms: tuple[BatchNorm, ...] = ()
    decisions: tuple[Decision, ...] = ()
    warnings: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    reasons: Mapping[str, str] = field(default_factory=dict)
    architecture: str | None = None
    metadata: Mapping[str, str] = field(default_factory=dict)


@on_foreign_data("reading it")
def unfold(path: Path, *, graph: Path | None = None, options: Options | None = None) -> Unfolded:
    """Reads a source and lowers its inference function; bfloat16 becomes float32, as does float16 if that is chosen.

    Raises:
        ExportError: Its subclasses, each naming what can't be used, isn't there or isn't supported.
    """
    options = options or Options()
    unfolded = _lowered(path, graph, options)
    check_roots(unfolded.model)
    narrow = tuple(_WIDENED) if options.dtype == "float32" else (ir.DataType.BFLOAT16,)
    found = widen(unfolded.model, narrow)
    return replace(unfolded, notes=(*unfolded.notes, *(_WIDENED[kind] for kind in narrow if kind in found)))


_WIDENED = {
    ir.DataType.BFLOAT16: (
        "bfloat16 is stored and computed as float32, inputs and outputs included: neither NumPy nor onnxruntime's CPU "
        "kernels have it; the weights' values stay the same"
    ),
    ir.DataType.FLOAT16: (
        "float16 is stored and computed as float32, inputs and outputs included, as asked for; the weights' values "
        "stay the same until they are folded"
    ),
}
"""What is said of types that become float32."""


def _lowered(path: Path, graph: Path | None, options: Options) -> Unfolded:
    if options.arch is None:
        return _opened(path, graph, options)
    from exporter.zoo.user_file import is_file_name, keras_configuration

    written = keras_configuration(options.arch) if is_file_name(options.arch) else None
    if written is None:
        return _opened(path, graph, options)
    if graph is not None:
        raise UsageError("--graph and --arch both say what the model is", hint="Leave one of them out")
    with TemporaryDirectory() as folder:
        config = Path(folder) / "model.json"
        config.write_text(written)
        return _opened(path, config, replace(options, arch=None))


def _opened(path: Path, graph: Path | None, options: Options) -> Unfolded:
    source = open_source(path, graph, custom_names_of(options))
    if isinstance(source, KerasSource):
        return _from_keras(source, options)
    if options.custom:
        raise UsageError("--custom is for configurations of Keras; this is none", hint="Leave it out")
    if source.graph is None:
        return _from_weights(source, options)
    if options.arch or options.include_preprocessing:
        raise UsageError(
            "--arch and --include-preprocessing are for checkpoints that hold only weights; this one has its graph",
            hint="Leave them out",
        )
    return _from_graph(source, options)


def custom_names_of(options: Options) -> Custom:
    """What `--custom` says, checked.

    Raises:
        UsageError: It names neither a layer nor an activation that is translated.
    """
    if not options.custom:
        return Custom()
    from exporter.lower.keras.activations import FUNCTIONS
    from exporter.lower.keras.table import LAYERS

    layers = {*(name for name in LAYERS if ":" not in name), "Functional", "Sequential"}
    for name, known in options.custom.items():
        if known not in layers and known not in FUNCTIONS:
            close = get_close_matches(known, [*sorted(layers), *sorted(FUNCTIONS)], n=3)
            hint = f"Did you mean {' or '.join(close)}?" if close else "Give a class of keras.layers, as Dropout"
            raise UsageError(f"--custom {name}={known}: {known} is no layer or activation of Keras", hint=hint)
    return Custom(options.custom, frozenset(FUNCTIONS))


def _from_keras(source: KerasSource, options: Options) -> Unfolded:
    from exporter.lower.keras.driver import lower_keras
    from exporter.sources.keras_progress import training_steps

    # what only a TensorFlow graph leaves open: a Keras configuration says how the model computes at inference
    graph_options = {
        "--set": options.values,
        "--ema": options.ema,
        "--signature": options.signature,
        "--keep-batch-statistics": options.keep_batch_statistics,
        "--arch": options.arch,
        "--include-preprocessing": options.include_preprocessing,
    }
    given = [name for name, value in graph_options.items() if value]
    if given:
        raise UsageError(f"{', '.join(given)} is for TensorFlow graphs; this is a Keras model", hint="Leave it out")
    model, weights = source.complete()
    shapes = {name: shape for name, shape in options.inputs.items() if shape is not None}
    steps = training_steps(source.store)
    lowered = lower_keras(model, weights, name=_NAME, input_shapes=shapes, steps=steps)
    ends = lowered.model.graph
    inputs = [str(value.name) for value in ends.inputs]
    for name in options.inputs:  # naming one gives it a shape
        if name not in inputs:
            raise UsageError(f"there is no input {name!r}", hint=f"The inputs are {', '.join(inputs)}")
    _keep_outputs(lowered.model, options.outputs)
    reasons = {str(value.name): "the configuration" for value in (*ends.inputs, *ends.outputs)}
    return Unfolded(lowered.model, source.kind, lowered.batch_norms, (), lowered.warnings, source.notes, reasons)


def _keep_outputs(model: ir.Model, names: tuple[str, ...]) -> None:
    """Only the outputs of these names, in this order."""
    if not names:
        return
    outputs = {str(value.name): value for value in model.graph.outputs}
    for name in names:
        if name not in outputs:
            raise UsageError(f"there is no output {name!r}", hint=f"The outputs are {', '.join(outputs)}")
    model.graph.outputs.clear()
    model.graph.outputs.extend(outputs[name] for name in names)
    edit.remove_dead(model)


def _from_graph(source: SourceModel, options: Options) -> Unfolded:
    from exporter.inference.pipeline import to_inference
    from exporter.lower.batches import lower_batched

    model, batch_norms, findings = to_inference(source, options)
    lowered, held = lower_batched(model, name=_NAME)
    if held is not None:
        code, details = held
        for entry in model.inputs:
            if entry.written is not None:
                findings.decide("batch", entry.name, entry.written, code, **details)
    reasons = {d.subject: d.reason for d in findings.decisions if d.kind in ("output", "input")}
    return Unfolded(
        lowered,
        source.kind,
        batch_norms,
        tuple(d for d in findings.decisions if d.shown),
        tuple(findings.warnings),
        source.notes,
        reasons,
    )


def _from_weights(source: SourceModel, options: Options) -> Unfolded:
    """A checkpoint that holds only weights, by its architecture."""
    from exporter.zoo.weights_only import restore

    if source.store is None:
        raise MissingError("it has neither a graph nor weights").within(f"file {source.path}")
    try:
        found = restore(source.store, options)
    except SourceError as error:
        raise error.within(f"checkpoint {source.path}") from None
    return Unfolded(
        found.model,
        f"{source.kind}: {found.title}",
        found.batch_norms,
        found.decisions,
        found.warnings,
        (*source.notes, *found.notes),
        found.reasons,
        found.architecture,
        found.metadata,
    )
