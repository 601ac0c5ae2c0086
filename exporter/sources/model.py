"""What every kind of source comes down to: a graph, the variables it reads, and what the file says of its ends."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from exporter.formats.records import Array, TensorStore
from exporter.sources.graph import Graph, Ref

__all__ = ["VARIABLE_OPS", "Signature", "SourceModel", "Variable"]

VARIABLE_OPS = frozenset({"VariableV2", "Variable", "VarHandleOp"})
"""The ops of variables: references of TensorFlow 0.x and 1, and handles of resources."""


@dataclass(frozen=True, slots=True)
class Variable:
    """A variable of the graph and where its value is.

    Attributes:
        node: The name of its node, one of `VARIABLE_OPS`.
        key: The checkpoint key, for messages and reports.
        kind: Stored type in TensorFlow's spelling, as in `float`.
        shape: Its shape (that of the slice, for a part of a partitioned variable).
        read: Fetches the value; a SourceError names what is wrong with it.
        label: What people call it, where the key is a path through Python objects: `conv1/kernel`.
    """

    node: str
    key: str
    kind: str
    shape: tuple[int, ...]
    read: Callable[[], Array]
    label: str = ""

    @property
    def title(self) -> str:
        """The label, or the key where there is none."""
        return self.label or self.key


@dataclass(frozen=True, slots=True)
class Signature:
    """A named entry point of the file: argument and result names to tensors."""

    inputs: Mapping[str, Ref]
    outputs: Mapping[str, Ref]


@dataclass(frozen=True)
class SourceModel:
    """A model as it was saved.

    Attributes:
        path: What the user gave.
        kind: For people: `TF1 checkpoint (V2) with .meta`.
        graph: The graph, possibly of training; None where only weights were saved.
        store: The weights; None for a frozen graph.
        variables: By node name; a variable node of the graph that is not in it has no value in the checkpoint.
        missing: Variable nodes of the graph whose key is not in the checkpoint: node name to key.
        signatures: By name; empty where the file has none.
        notes: What was resolved or assumed on the way, for the report.
        assets: Files that belong to the model, as vocabularies, by the name of the tensor that names each.
    """

    path: Path
    kind: str
    graph: Graph | None
    store: TensorStore | None
    variables: Mapping[str, Variable] = field(default_factory=dict)
    missing: Mapping[str, str] = field(default_factory=dict)
    signatures: Mapping[str, Signature] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    assets: Mapping[str, Path] = field(default_factory=dict)
