"""What a case of the corpus is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from sample_ckpts.recording import Build

__all__ = ["Case"]


@dataclass(frozen=True)
class Case:
    """One checkpoint and what exporting it must give.

    Attributes:
        name: Unique in the corpus; the folder's name.
        build: Builds the training graph, or the inference graph of the same variables.
        batch_norms: How many batch norms the exporter has to find.
        kept: How many of them can't be folded exactly.
        control_flow: 1 for Switch and Merge, 2 for If.
        resource: What tf.Variable makes: resource variables or references.
        steps: Training steps.
        options: Arguments of `exporter.export` that a person too would have to give.
        spare: How many of the outputs the exporter may leave out when it isn't asked for them.
        names: Give the input and output names: the graph alone doesn't tell which are meant.
        any_batch: Whether the model takes a batch of any size.
        refused: The name of the error class, for a checkpoint that can't be exported correctly.
    """

    name: str
    build: Build
    batch_norms: int = 0
    kept: int = 0
    control_flow: int = 1
    resource: bool = False
    steps: int = 2
    options: Mapping[str, object] = field(default_factory=dict)
    spare: int = 0
    names: bool = False
    any_batch: bool = True
    refused: str | None = None
