"""What Keras has saved, as far as it has to be told apart from other sources; `keras_files` opens it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from exporter.errors import MissingError
from exporter.formats.records import TensorStore
from exporter.formats.sniff import Kind, sniff

if TYPE_CHECKING:
    from exporter.sources.keras_model import KerasModel
    from exporter.sources.keras_weights import KerasWeights

__all__ = ["KerasSource", "is_keras"]


@dataclass(frozen=True)
class KerasSource:
    """A model as Keras saved it.

    Attributes:
        path: What the user gave.
        kind: For people: `Keras model (HDF5, Keras 2.15.0)`.
        store: Everything stored, for listings.
        model: The configuration; None where only weights were saved and no configuration was given.
        weights: The weights by layer; None without a configuration.
        notes: What was resolved on the way.
    """

    path: Path
    kind: str
    store: TensorStore
    model: KerasModel | None = None
    weights: KerasWeights | None = None
    notes: tuple[str, ...] = ()

    def complete(self) -> tuple[KerasModel, KerasWeights]:
        """Configuration and weights.

        Raises:
            MissingError: If there is no configuration, with how to supply one.
        """
        if self.model is None or self.weights is None:
            raise MissingError(
                f"it holds weights alone ({len(self.store)} tensors), not how the layers are connected",
                hint="Give the configuration with --graph: what model.to_json() returns, in a file, "
                "or the .keras or .h5 file of the whole model",
            ).within(f"file {self.path}")
        return self.model, self.weights


def is_keras(path: Path, graph_file: Path | None = None) -> bool:
    """Whether a source is one that `open_keras` takes: by its contents, or by those of the file given as its graph."""
    if path.is_file() and sniff(path) in (Kind.HDF5, Kind.KERAS_ZIP, Kind.JSON):
        return True
    return graph_file is not None and graph_file.is_file() and sniff(graph_file) in _CONFIG_KINDS


_CONFIG_KINDS = (Kind.HDF5, Kind.KERAS_ZIP, Kind.JSON)
