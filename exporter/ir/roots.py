"""Refuses to take roots of stored numbers that have none."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import onnx_ir as ir

from exporter.errors import ValueInputError
from exporter.ir.evaluate import Constants
from exporter.ir.ops import is_op

__all__ = ["check_roots"]

_SAME_NUMBERS = frozenset({"Cast", "Expand", "Identity", "Reshape", "Squeeze", "Transpose", "Unsqueeze"})

_FAR = 32


def check_roots(model: ir.Model) -> None:
    """Looks at what `sqrt(variance + epsilon)` is taken of, however it is written: Sqrt, or Pow with a fraction.

    Batch norms are looked at where they are recognised; this is for `Normalization`, and for arithmetic by hand.

    Raises:
        ValueInputError: A stored tensor under a root, with or without something added, is negative, NaN or infinite
            somewhere; so is what is computed from stored tensors alone.
    """
    constants = Constants()
    for node in model.graph.all_nodes():
        radicand = _radicand(node, constants)
        if radicand is None:
            continue
        # the stored tensors in it that a number is added to, then the radicand itself
        producer = radicand.producer()
        terms = producer.inputs if producer is not None and is_op(producer, "Add") else ()
        stored = [value for term in terms if (value := _stored(term)) is not None and constants.is_constant(value)]
        for value in (*stored, _stored(radicand) or radicand):
            _check(node, value, constants.compute(value))


def _radicand(node: ir.Node, constants: Constants) -> ir.Value | None:
    """What a constant root is taken of; None for any other node."""
    if not is_op(node, "Sqrt", "Pow") or not constants.is_constant(node.inputs[0]):
        return None
    if node.op_type == "Pow":
        exponent = node.inputs[1]
        if exponent is None or not constants.is_constant(exponent):
            return None
        if np.all(np.mod(constants.array(exponent), 1) == 0):
            return None
    return node.inputs[0]


def _stored(value: ir.Value | None) -> ir.Value | None:
    """The initializer whose numbers a value has; None if they are computed."""
    for _ in range(_FAR):
        node = None if value is None else value.producer()
        if node is None:
            return value
        if node.op_type not in _SAME_NUMBERS:
            return None
        value = node.inputs[0]
    return None


def _check(node: ir.Node, value: ir.Value, array: npt.NDArray[np.floating]) -> None:
    bad = ~np.isfinite(array) | (array < 0)
    if not np.any(bad):
        return
    element = tuple(int(i) for i in np.argwhere(bad)[0])
    where = f" in element {list(element)}" if element else ""
    what = f"{value.name} is" if value.is_initializer() else f"what is computed from {_origins(value)} is"
    raise ValueInputError(
        f"{what} {array[element]:g}{where}, and its square root is taken",
        hint="The checkpoint is damaged, or was saved after training had diverged",
        where=(str(node.metadata_props.get("source") or node.name),),
    )


def _origins(value: ir.Value) -> str:
    """The stored tensors that a constant is computed from, without single numbers if there are others."""
    pending, found = [value], dict[str, int]()
    while pending:
        current = pending.pop()
        node = current.producer()
        if node is None:
            found[str(current.name)] = 1 if current.shape is None else len(current.shape)
        else:
            pending.extend(v for v in node.inputs if v is not None)
    tensors = [name for name, rank in found.items() if rank] or list(found)
    return " and ".join(sorted(tensors))
