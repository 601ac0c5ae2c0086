"""How many axes tensors have, as far as ops, constants and the file's hints say; to find outputs, not for numbers."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from exporter.inference.control_flow.open_loops import COLLECTORS
from exporter.inference.graph.op_types import LABEL_LOSSES
from exporter.inference.graph.queries import LOOP_RESULT, LOOP_STATE
from exporter.inference.graph.rewriter import Rewriter
from exporter.sources.graph import Node

__all__ = ["hinted_shape", "ranks"]

_REDUCTIONS = frozenset({"Mean", "Sum", "Max", "Min", "Prod", "All", "Any"})
_VARIABLES = frozenset({"VariableV2", "Variable"})
_UNCLEAR = frozenset({"StridedSlice", "Gather", "GatherV2", "OneHot", "If", "StatelessIf", "Fill", "Range"})
_FIRST_ALONE = frozenset(
    {"Transpose", "Pad", "PadV2", "MirrorPad", "Tile", "Slice", "BiasAdd", "FusedBatchNormV3"}
    | {LOOP_STATE, LOOP_RESULT}
)
_FOUR = frozenset({"Conv2D", "DepthwiseConv2dNative", "Conv2DBackpropInput", "MaxPool", "AvgPool", "LRN"})


def hinted_shape(node: Node, port: int) -> tuple[int | None, ...] | None:
    """The shape that the file notes for a result (`_output_shapes`), or a placeholder's; a hint only."""
    shapes = node.attribute("_output_shapes")
    if isinstance(shapes, tuple) and port < len(shapes):
        return _if_shape(shapes[port])
    return _if_shape(node.attribute("shape")) if node.op.startswith("Placeholder") else None


def _if_shape(hint: object) -> tuple[int | None, ...] | None:
    """Hints are in attributes that no op defines, so that anything may be in them."""
    return hint if isinstance(hint, tuple) and all(size is None or isinstance(size, int) for size in hint) else None


def ranks(rewriter: Rewriter, nodes: Iterable[Node]) -> Mapping[str, int | None]:
    """The rank of each node's first result; None where it isn't known."""
    found: dict[str, int | None] = {}
    for node in nodes:
        found[node.name] = _rank(rewriter, node, found)
    return found


def _rank(rewriter: Rewriter, node: Node, found: Mapping[str, int | None]) -> int | None:
    hint = hinted_shape(node, 0)
    if hint is not None:
        return len(hint)
    inputs = rewriter.inputs(node)
    if node.op in _FOUR:
        return 4
    if node.op == "MatMul":
        return 2
    if node.op == "L2Loss":
        return 0
    if node.op == "Const":
        return int(node.attribute("value").ndim)
    if node.op in _VARIABLES:
        shape = _if_shape(node.attribute("shape"))
        return None if shape is None else len(shape)
    if node.op == "Reshape":
        target = rewriter.value(inputs[1])
        return None if target is None else int(target.size)
    known = [found.get(ref.node) for ref in inputs]
    first = known[0] if known else None
    if node.op in _REDUCTIONS and not node.attribute("keep_dims", False):
        axes = rewriter.value(inputs[1])
        if axes is None:
            return 0 if rewriter.producer(inputs[1]).op == "Range" else None
        return None if first is None else max(first - int(axes.size), 0)
    if node.op in _REDUCTIONS or node.op in _FIRST_ALONE:
        return first
    if node.op in LABEL_LOSSES or node.op == "Unpack":
        return None if first is None else first - 1
    if node.op in ("ExpandDims", "Pack"):
        return None if first is None else first + 1
    if node.op == "Squeeze":
        dims = node.attribute("squeeze_dims", ())
        return None if first is None or not dims else first - len(dims)
    if node.op in COLLECTORS or node.op in _UNCLEAR:
        return None
    # the others broadcast
    ranks_known = [rank for rank in known if rank is not None]
    return max(ranks_known) if ranks_known and len(ranks_known) == len(known) else None
