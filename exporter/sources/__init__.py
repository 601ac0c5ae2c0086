"""A path to a graph and its variables, read on demand: checkpoints, SavedModels, GraphDefs, Keras files."""

from __future__ import annotations

from pathlib import Path

from exporter.sources.keras_custom import Custom
from exporter.sources.keras_source import KerasSource, is_keras
from exporter.sources.model import SourceModel

__all__ = ["KerasSource", "SourceModel", "open_source"]


def open_source(path: Path, graph: Path | None = None, custom: Custom | None = None) -> KerasSource | SourceModel:
    """Open the model that a path stands for: a Keras model, a graph with its variables, or weights without a graph.

    The readers of each kind are imported when there is one to read.

    Args:
        path: A checkpoint's prefix, any one of its files, a directory with a checkpoint, a graph file or a Keras file.
        graph: Where the graph or configuration is, if not beside the checkpoint or in the file.
        custom: What the names in a configuration are that aren't Keras's.

    Raises:
        MissingError: There is nothing there.
        FormatError: What is there is no model; the message says what it is.
        UsageError: A graph is given for what has one in it.
        SourceError: Its other subclasses, where a file is broken or unsafe.
    """
    if is_keras(path, graph):
        from exporter.sources.keras_files import open_keras

        return open_keras(path, graph_file=graph, custom=custom)
    from exporter.sources import detect

    return detect.open_source(path, graph_file=graph)
