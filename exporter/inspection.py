"""What is in a source, also where no model can be made of it, and what is missing for an export."""

from __future__ import annotations

import shlex
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from exporter.errors import ExportError
from exporter.foreign import on_foreign_data
from exporter.frontend import custom_names_of, unfold
from exporter.options import Options
from exporter.report.decisions import Decision
from exporter.report.records import BatchNorm, TensorSpec
from exporter.report.specs import tensor_specs
from exporter.sources import open_source
from exporter.sources.model import SourceModel
from exporter.zoo.leftovers import AVERAGED, is_slot

__all__ = ["Inspection", "StoredBatchNorm", "StoredTensor", "inspect_source"]

_PARTS = ("gamma", "beta", "moving_mean", "moving_variance")


@dataclass(frozen=True)
class StoredTensor:
    """A tensor in the file.

    Attributes:
        name: Its key.
        dtype: In TensorFlow's spelling.
        shape: Its shape.
        bytes: Its size in the file.
        slot: Whether it is a slot of an optimizer or an average of another tensor, by its name.
    """

    name: str
    dtype: str
    shape: tuple[int, ...]
    bytes: int
    slot: bool


@dataclass(frozen=True)
class StoredBatchNorm:
    """A batch norm that the names of stored tensors tell of, for files without a graph.

    Attributes:
        scope: What the names of its tensors begin with.
        channels: How many channels it has.
        present: Which of gamma, beta, moving_mean, moving_variance there are.
        absent: Which there are not; without gamma it is 1 (scale=False), without beta 0 (center=False).
    """

    scope: str
    channels: int
    present: tuple[str, ...]
    absent: tuple[str, ...]


@dataclass(frozen=True)
class Inspection:
    """What was found.

    Attributes:
        source: What was given.
        kind: What it is.
        tensors: What is stored.
        inputs: The inputs that an export would have.
        outputs: The outputs that it would have.
        batch_norms: Those of the graph, with where their parameters come from.
        stored_batch_norms: Those that names tell of, where there is no graph.
        decisions: What an export would decide.
        warnings: What it would warn of.
        notes: How files were found.
        problem: Why an export isn't possible as it is, and what to do; None if it is.
    """

    source: str
    kind: str
    tensors: tuple[StoredTensor, ...] = ()
    inputs: tuple[TensorSpec, ...] = ()
    outputs: tuple[TensorSpec, ...] = ()
    batch_norms: tuple[BatchNorm, ...] = ()
    stored_batch_norms: tuple[StoredBatchNorm, ...] = ()
    decisions: tuple[Decision, ...] = ()
    warnings: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    problem: str | None = None

    def to_json(self) -> dict[str, Any]:
        """The same as plain lists and dicts."""
        return asdict(self) | {"decisions": [decision.to_json() for decision in self.decisions]}


@on_foreign_data("reading it")
def inspect_source(path: Path, *, graph: Path | None = None, options: Options | None = None) -> Inspection:
    """Looks at a source.

    Raises:
        SourceError: It can't even be opened.
    """
    source = open_source(path, graph, custom_names_of(options or Options()))
    infos = [] if source.store is None else [source.store.info(name) for name in source.store]
    spares = [is_slot(info.name) or info.name.endswith((AVERAGED, "_power")) for info in infos]
    tensors = tuple(
        StoredTensor(info.name, info.kind, info.shape, info.nbytes, spare)
        for info, spare in zip(infos, spares, strict=True)
    )
    try:
        unfolded = unfold(path, graph=graph, options=options)
    except ExportError as error:
        unexplained = isinstance(source, SourceModel) and source.graph is None
        stored = _stored_batch_norms(tensors) if unexplained else ()
        return Inspection(
            str(path), source.kind, tensors, stored_batch_norms=stored, notes=source.notes, problem=str(error)
        )
    notes = unfolded.notes
    if unfolded.architecture is not None:
        command = ["ckpt2onnx", "export", str(path), "--arch", unfolded.architecture]
        notes = (*notes, f"export it with: {shlex.join(command)}")
    return Inspection(
        source=str(path),
        kind=unfolded.kind,
        tensors=tensors,
        inputs=tensor_specs(unfolded.model.graph.inputs, unfolded.reasons),
        outputs=tensor_specs(unfolded.model.graph.outputs, unfolded.reasons),
        batch_norms=unfolded.batch_norms,
        decisions=unfolded.decisions,
        warnings=unfolded.warnings,
        notes=notes,
    )


def _stored_batch_norms(tensors: Iterable[StoredTensor]) -> tuple[StoredBatchNorm, ...]:
    """Scopes with vectors called like the parameters of a batch norm, moving statistics among them."""
    scopes: dict[str, dict[str, int]] = {}
    for tensor in tensors:
        scope, _, part = tensor.name.rpartition("/")
        if part in _PARTS and len(tensor.shape) == 1:
            scopes.setdefault(scope, {})[part] = tensor.shape[0]
    norms = []
    for scope, parts in sorted(scopes.items()):
        if "moving_mean" in parts:
            present = tuple(part for part in _PARTS if part in parts)
            absent = tuple(part for part in _PARTS if part not in parts)
            norms.append(StoredBatchNorm(scope, parts["moving_mean"], present, absent))
    return tuple(norms)
