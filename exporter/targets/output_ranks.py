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
        A note for each of them; without an example there is nothing to go by, and the output keeps no shape.
    """
    notes = []
    for value in model.graph.outputs:
        name = value.name or ""
        if value.shape is None and probes and name in probes[0].outputs:
            rank = probes[0].outputs[name].ndim
            value.shape = ir.Shape([None] * rank)
            notes.append(f"the rank of {name} depends on data; it is declared as {rank}, as on the example")
    return tuple(notes)
