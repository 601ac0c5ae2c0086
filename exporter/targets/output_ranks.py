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
        A note for each of them. Without an example the rank is that of the nearest tensor before whose rank is known.
    """
    notes = []
    for value in model.graph.outputs:
        if value.shape is not None:
            continue
        name = value.name or ""
        if probes and name in probes[0].outputs:
            rank, source = probes[0].outputs[name].ndim, "as on the example"
        else:
            before: ir.Value | None = value
            while before is not None and before.shape is None:
                producer = before.producer()
                before = producer.inputs[0] if producer is not None and producer.inputs else None
            rank = 0 if before is None or before.shape is None else len(before.shape)
            source = "as that of what it is made of, for want of an example"
        value.shape = ir.Shape([None] * rank)
        notes.append(f"the rank of {name} depends on data; it is declared as {rank}, {source}")
    return tuple(notes)
