"""What the user may say of an export, as a record and as the text that exported files keep of it."""

from __future__ import annotations

import json
import operator
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from typing import Any

from exporter.errors import CorruptError

__all__ = ["STORED_AS", "TAKEN_BACK", "Options"]

STORED_AS = "export_options"
"""Metadata entry of both files: JSON, what was chosen at export, so that `verify --against` builds the same model."""

TAKEN_BACK = "folds_taken_back"
"""Metadata entry of both files, where there are such: JSON, the sources of folds that the export has taken back."""


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
        fold: Whether batch norms and constants are folded.
        custom: Classes and functions of a Keras configuration that aren't Keras's, with the layers that they are.
        weights: "stored" keeps them as they are after folding; "float16" rounds them.
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
    fold: bool = True
    custom: Mapping[str, str] = field(default_factory=dict)
    weights: str = "stored"

    def to_json(self) -> str:
        """The text for `STORED_AS`; `custom` and `weights` are in it where they say something."""
        usual = {"custom": {}, "weights": "stored"}
        told = {key: value for key, value in asdict(self).items() if key not in usual or value != usual[key]}
        return json.dumps(told, sort_keys=True)

    @classmethod
    def from_json(cls, text: str) -> Options:
        """The options of such a text.

        Raises:
            CorruptError: It is no text that `to_json` writes.
        """
        try:
            stored = {"custom": {}, "weights": "stored", **json.loads(text)}
            options = cls(
                **{entry.name: _checked(stored[entry.name], getattr(cls(), entry.name)) for entry in fields(cls)}
            )
            inputs = {
                name: None if shape is None else tuple(map(_size, shape)) for name, shape in options.inputs.items()
            }
            values, custom = (
                {name: _checked(value, "") for name, value in texts.items()}
                for texts in (options.values, options.custom)
            )
        except (ValueError, KeyError, TypeError, RecursionError):
            raise CorruptError(f"its metadata {STORED_AS!r} doesn't say what was chosen at export") from None
        return replace(options, inputs=inputs, values=values, custom=custom)

    def keeps(self, name: str) -> bool:
        """Whether a batch norm of this name keeps the batch's statistics."""
        return any(scope == "" or name == scope or name.startswith(f"{scope}/") for scope in self.keep_batch_statistics)


def _checked(value: Any, default: object) -> Any:
    """The value of an option, a tuple of texts where JSON has a list; TypeError unless it is of the default's type."""
    plain = tuple(_checked(item, "") for item in value) if isinstance(value, list) else value
    if not isinstance(plain, str | None if default is None else type(default)):
        raise TypeError(value)
    return plain


def _size(size: Any) -> int | None:
    return None if size is None else operator.index(size)
