"""What the user may say of a training graph."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

__all__ = ["STORED_AS", "Options"]

STORED_AS = "export_options"
"""Metadata entry of both files: JSON, what was chosen at export, so that `verify --against` builds the same model."""


@dataclass(frozen=True, slots=True)
class Options:
    """Choices that override what is found.

    Attributes:
        inputs: Names of input tensors, `x` or `x:0`, with their shapes; None keeps the graph's shape.
        outputs: Names of output tensors.
        values: Placeholders (or any other tensors) that get a fixed value: name to text, as in `--set rate=0`.
        signature: The signature to export, where the source has several.
        ema: Whether to take the averaged weights where there are any.
        keep_batch_statistics: Scopes whose batch norms keep the batch's own statistics; "" means all.
        arch: The architecture of a checkpoint that holds only weights: a built-in name, or `file.py:name`.
        include_preprocessing: Whether an architecture's published preprocessing becomes part of the graph.
        dtype: "stored" keeps float16; "float32" widens it.
    """

    inputs: Mapping[str, tuple[int | None, ...] | None] = field(default_factory=dict)
    outputs: tuple[str, ...] = ()
    values: Mapping[str, str] = field(default_factory=dict)
    signature: str | None = None
    ema: bool = False
    keep_batch_statistics: tuple[str, ...] = ()
    arch: str | None = None
    include_preprocessing: bool = False
    dtype: str = "stored"

    def keeps(self, name: str) -> bool:
        """Whether a batch norm of this name keeps the batch's statistics."""
        return any(scope == "" or name == scope or name.startswith(f"{scope}/") for scope in self.keep_batch_statistics)
