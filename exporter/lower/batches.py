"""Leaves the batch of a graph open that was written for one size of it, as far as the graph runs at others."""

from __future__ import annotations

from dataclasses import replace

import onnx_ir as ir

from exporter.errors import CorruptError, UnsupportedError
from exporter.inference.model import InferenceModel, Input
from exporter.lower.first_axes import groups
from exporter.lower.tensorflow import axis_symbol, lower_tensorflow
from exporter.lower.tf.batch import Batch
from exporter.report.decisions import Reason

__all__ = ["Held", "lower_batched"]

Held = tuple[Reason, dict[str, str]]
"""Why the batch stays what it is, and the details of that."""


def lower_batched(model: InferenceModel, *, name: str) -> tuple[ir.Model, Held | None]:
    """The unfolded IR of an inference function, with an open batch where that is right.

    Where the inputs' batch has been opened (`Input.written`), the graph is tried at another size than the one it was
    written for. If something in it takes only that one, it is tried with open states of loops, too; else the batch is
    that size.

    Returns:
        The model, and what holds the batch at its size; None if nothing does.

    Raises:
        ExportError: As `lower_tensorflow`.
    """
    sizes = {entry.written for entry in model.inputs if entry.written is not None}
    if not sizes:
        return _with_own_axes(model, name), None
    if len(sizes) > 1:
        return lower_tensorflow(_at(model, None), name=name), (Reason.BATCHES_DIFFER, {})
    (size,) = sizes
    lowered, held = _opened(model, name, Batch(size))
    if lowered is None and held[0] is Reason.TAKES_NO_OTHER_BATCH:
        lowered, _ = _opened(model, name, Batch(size, next(e.name for e in model.inputs if e.written is not None)))
    return (lower_tensorflow(_at(model, None), name=name), held) if lowered is None else (lowered, None)


def _opened(model: InferenceModel, name: str, batch: Batch) -> tuple[ir.Model | None, Held]:
    """The IR with an open batch, and None with what holds it where the graph doesn't run at another size."""
    try:
        lowered = lower_tensorflow(model, name=name, batch=batch)
        other = lower_tensorflow(_at(model, batch.size + 1), name=name, batch=batch)
    except CorruptError as error:
        return None, (Reason.TAKES_NO_OTHER_BATCH, {"node": error.where[0] if error.where else "the graph"})
    fixed = _fixed_output(lowered, other, batch.size)
    return (lowered if fixed is None else None), (Reason.OUTPUT_OF_BATCH, {"output": str(fixed)})


def _with_own_axes(model: InferenceModel, name: str) -> ir.Model:
    """The unfolded IR, in which inputs have the batch as their first axis only where something in it says so."""
    own = {entry.name: axis_symbol(entry, 0) for entry in model.inputs if entry.shape and entry.shape[0] is None}
    if len(own) < 2:
        return lower_tensorflow(model, name=name)
    symbols = list(own.values())
    free = {own[entry.name] for entry in model.inputs if entry.name in own and not any(entry.shape or ())}
    try:
        shared = groups(lower_tensorflow(model, name=name, firsts=own), symbols, free)
        firsts = {entry: shared[symbol] for entry, symbol in own.items() if shared[symbol] != symbols[0]}
        return lower_tensorflow(model, name=name, firsts=firsts)
    except (CorruptError, UnsupportedError):  # something needs them to be one, or is refused all the same
        return lower_tensorflow(model, name=name)


def _at(model: InferenceModel, size: int | None) -> InferenceModel:
    """The model with opened batches of this size; None: of the size that the graph was written for."""
    return replace(model, inputs=tuple(_sized(entry, size) for entry in model.inputs))


def _sized(entry: Input, size: int | None) -> Input:
    if entry.written is None or entry.shape is None:
        return entry
    return replace(entry, shape=(entry.written if size is None else size, *entry.shape[1:]))


def _fixed_output(lowered: ir.Model, other: ir.Model, size: int) -> str | None:
    """An output that has the old batch where the input has another."""
    for value, tried in zip(lowered.graph.outputs, other.graph.outputs, strict=True):
        for shape in (value.shape, tried.shape):
            if shape is not None and len(shape) > 0 and shape[0] == size:
                return str(value.name)
    return None
