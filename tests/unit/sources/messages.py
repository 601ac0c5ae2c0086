"""GraphDef messages in few words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from exporter.formats.tf_protos import AttrValue, GraphDef, MetaGraphDef, NodeDef
from exporter.sources.graph import Graph
from exporter.sources.graph_def import read_graph

__all__ = ["attr", "graph", "meta_graph", "node", "read", "strings"]


def attr(value: Any) -> AttrValue:
    """A plain value as an attribute: bool, int, float, bytes, a tuple of sizes for a shape, an array for a tensor."""
    if isinstance(value, bool):
        return AttrValue(b=value)
    if isinstance(value, int):
        return AttrValue(i=value)
    if isinstance(value, float):
        return AttrValue(f=value)
    if isinstance(value, bytes):
        return AttrValue(s=value)
    found = AttrValue()
    if isinstance(value, tuple):
        found.shape.SetInParent()
        for size in value:
            found.shape.dim.add(size=-1 if size is None else size)
        return found
    found.tensor.dtype = {"f": 1, "i": 3, "O": 7}[value.dtype.kind]
    found.tensor.tensor_shape.SetInParent()
    for size in value.shape:
        found.tensor.tensor_shape.dim.add(size=size)
    if value.dtype.kind == "O":
        found.tensor.string_val.extend(value.reshape(-1).tolist())
    else:
        found.tensor.tensor_content = value.tobytes()
    return found


def node(name: str, op: str, *inputs: str, **attributes: Any) -> NodeDef:
    """A node; `dtype`, `T` and the like are type numbers, everything else is by its Python type."""
    message = NodeDef(name=name, op=op, input=list(inputs))
    for key, value in attributes.items():
        types = key in ("dtype", "T", "SrcT", "DstT")
        message.attr[key].CopyFrom(AttrValue(type=value) if types else attr(value))
    return message


def strings(name: str, *values: str) -> NodeDef:
    """A constant of strings."""
    return node(name, "Const", dtype=7, value=np.array([value.encode() for value in values], object))


def graph(*nodes: NodeDef) -> GraphDef:
    """A graph of these nodes."""
    return GraphDef(node=list(nodes))


def meta_graph(*nodes: NodeDef, restore_op: str = "") -> MetaGraphDef:
    """The same with what a saver notes beside it."""
    message = MetaGraphDef(graph_def=graph(*nodes))
    message.meta_info_def.tensorflow_version = "1.15.0"
    if restore_op:
        message.saver_def.restore_op_name = restore_op
    return message


def read(nodes: Sequence[NodeDef], **options: Any) -> Graph:
    """The graph of these nodes as it is read."""
    given: Mapping[str, Any] = options
    return read_graph(graph(*nodes), **given)
