"""Whether outputs react to inputs: a comparison of what never changes proves nothing of what it should depend on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import onnx_ir as ir

from exporter.ir.evaluate import evaluate
from exporter.ir.opset import record_of
from exporter.verify.compare import Array, scale
from exporter.verify.cost import operations, sizes_in
from exporter.verify.inputs.exercise import FAILURES
from exporter.verify.inputs.roles import specs_of
from exporter.verify.references.unfolded_model import Reference

__all__ = ["independent"]

_WORK = 2_500_000_000
_ROUNDING = 1e-13
_SATURATING = frozenset({"HardSigmoid", "LogSoftmax", "Sigmoid", "Softmax", "Tanh"})
_MOVING = frozenset({"number", "pixel", "index", "one-hot"})


def independent(model: ir.Model, references: Sequence[Reference]) -> list[tuple[str, str]]:
    """Outputs and inputs that they should depend on, but for which another input changes nothing.

    The other inputs of a run stay; each input by itself is taken from another run, or from other examples of the
    batch. Nothing has changed if all numbers are the same but for the rounding of float64: what changes by less than
    float32 can tell, as the classes of a network that wasn't trained, does depend; so does a probability that is 0 or 1
    whatever comes, if its logits change, since they are compared as well. Masks, lengths and switches may well change
    nothing, and are left out. Nothing is found where a run is too much work.
    """
    first = references[0]
    shapes = {name: array.shape for name, array in first.inputs.items()}
    specs = [spec for spec in specs_of(model) if spec.role in _MOVING]
    if operations(model, sizes_in(model, shapes)) * len(specs) > _WORK:
        return []
    found, usual = [], _outputs(model, first.inputs) if specs else None
    for spec in specs:
        others = [other for reference in references if (other := _other(reference, spec.name, first)) is not None]
        still = set(first.yardsticks) & _behind(model, spec.name)
        for other in others:
            changed = _outputs(model, {**first.inputs, spec.name: other})
            still = {name for name in still if usual and changed and _are_equal(usual[name], changed[name])}
        if others:
            found += [(name, spec.name) for name in sorted(still)]
    return found


def _other(reference: Reference, name: str, first: Reference) -> Array | None:
    """Another array for an input, of the same shape."""
    array, own = reference.inputs[name], first.inputs[name]
    if reference is first:
        array = np.roll(own, 1, axis=0) if own.ndim else own
    return array if array.shape == own.shape and not np.array_equal(array, own) else None


def _outputs(model: ir.Model, feeds: Mapping[str, Array]) -> dict[str, Array] | None:
    """What each output comes from, in front of ops that saturate, in float64; None if the model doesn't run on them."""
    sources = {str(value.name): _unsaturated(value) for value in model.graph.outputs}
    found: dict[ir.Value, Array] = {}

    def see(value: ir.Value, array: Array) -> None:
        if value in sources.values():
            found[value] = array.copy()

    try:
        with np.errstate(all="ignore"):
            outputs = evaluate(model, feeds, dtype=np.float64, see=see)
    except FAILURES:
        return None
    return {name: found.get(sources[name], array) for name, array in outputs.items()}


def _unsaturated(value: ir.Value) -> ir.Value:
    node = value.producer()
    while node is not None and node.inputs and node.inputs[0] is not None:
        if node.op_type not in _SATURATING and record_of(node.op_type).form not in ("same", "reshaped"):
            break
        value = node.inputs[0]
        node = value.producer()
    return value


def _are_equal(a: Array, b: Array) -> bool:
    if a.shape != b.shape:
        return False
    return bool(np.allclose(a, b, rtol=_ROUNDING, atol=_ROUNDING * float(scale(a).max(initial=0.0)), equal_nan=True))


def _behind(model: ir.Model, name: str) -> set[str]:
    """The outputs that are computed from the numbers of an input."""
    behind = {value for value in model.graph.inputs if value.name == name}
    for node in model.graph:
        if record_of(node.op_type).shape_only:
            continue
        inner = [v for attribute in node.attributes.values() for v in _around(attribute)]
        if any(value in behind for value in (*node.inputs, *inner)):
            behind.update(node.outputs)
    return {str(value.name) for value in model.graph.outputs if value in behind}


def _around(attribute: ir.Attr) -> list[ir.Value]:
    """What the nodes of a subgraph use; what isn't of the graph around does no harm."""
    if attribute.type != ir.AttributeType.GRAPH:
        return []
    graph = attribute.as_graph()
    used = [value for node in graph for value in node.inputs if value is not None]
    nested = [v for node in graph for inner in node.attributes.values() for v in _around(inner)]
    return [*used, *nested, *graph.outputs]
