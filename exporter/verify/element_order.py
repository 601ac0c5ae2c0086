"""Which results surely have their elements in order in an ONNX file, channels second or last."""

from __future__ import annotations

from collections.abc import Iterator

import onnx_ir as ir

from exporter.ir.opset import OPS

__all__ = ["ElementOrder"]

_CHANNELLED = frozenset({"Conv", "ConvTranspose", "Dense", "MaxPool", "AveragePool", "BatchNormalization", "LRN"})
_RESHAPES = frozenset({"Flatten", "Reshape"})


class ElementOrder:
    """Tells apart what comes straight from a layer and what may have been put in another order.

    What was reshaped or transposed may be in another order until the next layer. So may matrices be that come from a
    flattening reshape, or that one makes images of, as from the first layer of a generator: the target gives the
    channels the order that it needs, once and for all, in the layer's kernel.
    """

    def __init__(self) -> None:
        self._matrices: dict[ir.Value, bool] = {}

    def is_kept(self, value: ir.Value) -> bool:
        """Whether a value comes from a layer that has channels, with nothing but elementwise ops in between."""
        node = value.producer()
        while node is not None and _is_elementwise(node):
            before = next((v for v in node.inputs if v is not None and v.producer() is not None), None)
            node = None if before is None else before.producer()
        if node is None or node.op_type not in _CHANNELLED:
            return False
        if node.op_type in {"Dense", "BatchNormalization"} and _rank(value) == 2:
            return self._is_apart(value)
        return node.op_type != "Dense"

    def _is_apart(self, value: ir.Value) -> bool:
        """Whether no matrix that shares its columns with this one meets a reshape."""
        if value not in self._matrices:
            group = {value: None}
            pending, apart = [value], True
            while pending:
                for node, others in _sharing(pending.pop()):
                    apart &= node.op_type not in _RESHAPES
                    new = [other for other in others if other not in group and _rank(other) == 2]
                    group.update(dict.fromkeys(new))
                    pending += new
            self._matrices.update(dict.fromkeys(group, apart))
        return self._matrices[value]


def _sharing(value: ir.Value) -> Iterator[tuple[ir.Node, list[ir.Value]]]:
    """The ops beside a matrix, each with the matrices that have the same columns because of it."""
    made = value.producer()
    if made is not None:
        yield made, [v for v in made.inputs if v is not None] if _is_columnwise(made) else []
    for node, _ in value.uses():
        yield node, [*node.outputs, *(v for v in node.inputs if v is not None)] if _is_columnwise(node) else []


def _is_elementwise(node: ir.Node) -> bool:
    record = OPS.get(node.op_type) if node.domain == "" else None
    return record is not None and record.elementwise is not None


def _is_columnwise(node: ir.Node) -> bool:
    return node.op_type == "BatchNormalization" or _is_elementwise(node)


def _rank(value: ir.Value) -> int | None:
    return None if value.shape is None else len(value.shape)
