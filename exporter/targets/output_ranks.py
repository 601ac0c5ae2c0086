"""Ranks of outputs that depend on data: ONNX wants a shape for each output, with however many unknown sizes."""

from __future__ import annotations

from collections.abc import Sequence

import onnx_ir as ir

from runtime.bundle import Probe

__all__ = ["give_output_ranks"]


def give_output_ranks(model: ir.Model, probes: Sequence[Probe]) -> tuple[str, ...]:
    """Give each output whose rank isn't known the one that it has on the model's first example.

    Args:
        model: Is changed: such outputs get a shape of unnamed sizes.
        probes: What the model gives on examples.

    Returns:
        A note for each of them. Without an example the rank is that of the nearest tensor before whose rank is known;
        where that of an input isn't, the output stays without one.
    """
    notes = []
    for value in model.graph.outputs:
        if value.shape is not None:
            continue
        name = value.name or ""
        if probes and name in probes[0].outputs:
            rank, source = probes[0].outputs[name].ndim, "as on the example"
        else:
            before = _ranked_before(value)
            if before.shape is None:
                wanted = f"the rank of {name} isn't known, as that of {before.name} isn't"
                notes.append(f"{wanted}; onnx.checker wants one: give {before.name} a shape with --input")
                continue
            rank, source = len(before.shape), "as that of what it is made of, for want of an example"
        value.shape = ir.Shape([None] * rank)
        notes.append(f"the rank of {name} depends on data; it is declared as {rank}, {source}")
    return tuple(notes)


def _ranked_before(value: ir.Value) -> ir.Value:
    """The first of the values that a value is made of, each of the one before, that has a rank; or the last of them."""
    while value.shape is None:
        producer = value.producer()
        before = producer.inputs[0] if producer is not None and producer.inputs else None
        if before is None:
            break
        value = before
    return value
