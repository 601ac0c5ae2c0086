"""The element type of a tensor, by its op and attributes, where it is cut off from what makes it.

Most results have the type of what they are made of; what tells otherwise, and what results of other types there are,
is from the definitions of TensorFlow's ops.
"""

from __future__ import annotations

from exporter.inference.graph.queries import BOOL, PREDICATES
from exporter.inference.graph.rewriter import Rewriter
from exporter.sources.graph import Node

__all__ = ["result_type"]

_FLOAT, _INT32, _UINT8, _STRING, _INT64 = 1, 3, 4, 7, 9

_BOOLEAN = PREDICATES | {"All", "Any", "ApproximateEqual", "InTopK", "InTopKV2", "IsFinite", "IsInf", "IsNan"}
_FIXED = {
    **dict.fromkeys(_BOOLEAN, BOOL),
    **dict.fromkeys(["CropAndResize", "ResizeBicubic", "ResizeBilinear", "ResizeArea"], _FLOAT),
    **dict.fromkeys(["Bucketize", "NonMaxSuppressionV3", "Rank"], _INT32),
    "Where": _INT64,
}
_BY_ATTRIBUTE = {
    **dict.fromkeys(["ArgMax", "ArgMin"], ("output_type", _INT64)),
    **dict.fromkeys(["Shape", "ShapeN", "Size"], ("out_type", _INT32)),
}
"""The attribute that has the type, and its default."""


def result_type(rewriter: Rewriter, node: Node, port: int = 0) -> int:
    """TensorFlow's type number of a node's result."""
    if node.op in _FIXED:
        return _FIXED[node.op]
    if node.op in _BY_ATTRIBUTE:
        name, default = _BY_ATTRIBUTE[node.op]
        return int(node.attribute(name, default))
    if node.op in ("TopK", "TopKV2") and port:
        return int(node.attribute("index_type", _INT32))
    for name in ("dtype", "DstT", "T", "Tparams"):
        if node.attribute(name) is not None:
            return int(node.attribute(name))
    for name in ("output_types", "component_types", "Tout"):
        types = node.attribute(name)
        if isinstance(types, int):
            return types
        if types is not None and port < len(types):
            return int(types[port])
    if node.op.startswith("Decode"):
        return int(node.attribute("out_type", _UINT8))
    if node.op.startswith("Parse"):
        types = node.attribute("Tdense", ())  # they come after three results for each sparse one
        dense = port - 3 * len(node.attribute("sparse_types", ()))
        return int(types[dense]) if 0 <= dense < len(types) else _FLOAT
    if node.op.startswith("Read"):
        return _STRING
    first = rewriter.inputs(node)
    return result_type(rewriter, rewriter.node(first[0].node), first[0].port) if first else _FLOAT
