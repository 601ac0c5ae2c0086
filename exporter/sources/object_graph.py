"""The object graph of a TensorFlow 2 checkpoint: what people call what is stored under its keys."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from exporter.errors import CorruptError
from exporter.formats.records import TensorStore
from exporter.formats.tf_protos import TrackableObjectGraph, parse

__all__ = ["OBJECT_GRAPH", "VALUE", "labels", "read_object_graph"]

OBJECT_GRAPH = "_CHECKPOINTABLE_OBJECT_GRAPH"

VALUE = "/.ATTRIBUTES/VARIABLE_VALUE"
"""What the key of a variable ends with."""


def read_object_graph(store: TensorStore) -> Any:
    """The `TrackableObjectGraph` message of an object-based checkpoint.

    Raises:
        CorruptError: It can't be read.
    """
    stored = store.read(OBJECT_GRAPH)
    if stored.shape != () or not isinstance(stored.item(), bytes):
        raise CorruptError("it is no scalar string").within(f"tensor {OBJECT_GRAPH}")
    return parse(TrackableObjectGraph, stored.item(), what=f"tensor {OBJECT_GRAPH}")


def labels(store: TensorStore) -> Mapping[str, str]:
    """For each key of a variable its full name, as `conv1/kernel`, or the path in the key.

    Empty for a checkpoint that isn't object-based.

    Raises:
        CorruptError: The object graph can't be read.
    """
    if OBJECT_GRAPH not in store:
        return {}
    found = {}
    for node in read_object_graph(store).nodes:
        for attribute in node.attributes:
            key, name = attribute.checkpoint_key, attribute.full_name
            if "/" not in name:  # it may be no more than `Variable`; in a path `.S` stands for / and `..` for a dot
                name = key.removesuffix(VALUE).replace(".S", "/").replace("..", ".")
            if key in store:
                found[key] = name
    return found
