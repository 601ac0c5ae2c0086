"""Flags that are numbers: `phase * batch_statistic + (1 - phase) * moving_statistic`, with phase 1 in training."""

from __future__ import annotations

import numpy as np

from exporter.inference.findings import Findings
from exporter.inference.groups import PLACEHOLDERS
from exporter.inference.markers import variable_behind
from exporter.inference.rewriter import Rewriter
from exporter.inference.updates import is_statistic
from exporter.sources.graph import Node, Ref

__all__ = ["resolve_blends"]


def resolve_blends(rewriter: Rewriter, outputs: list[Ref], findings: Findings) -> None:
    """Gives such a flag the number that leaves the moving statistic alone."""
    for node in rewriter.order(outputs):
        if node.op in ("Add", "AddV2"):
            _resolve(rewriter, node, findings)


def _resolve(rewriter: Rewriter, node: Node, findings: Findings) -> None:
    sides = [rewriter.producer(ref) for ref in rewriter.inputs(node)]
    if any(side.op != "Mul" for side in sides):
        return
    batch = [ref for side in sides for ref in rewriter.inputs(side) if is_statistic(rewriter, ref)]
    moving = [ref for side in sides for ref in rewriter.inputs(side) if variable_behind(rewriter, ref) is not None]
    factors = [ref for side in sides for ref in rewriter.inputs(side) if ref not in batch + moving]
    sources = {node.name: node for node in rewriter.order(factors) if node.op in PLACEHOLDERS}
    if not (len(batch) == len(moving) == 1 and len(sources) == 1):
        return
    source = next(iter(sources.values()))
    weight = next(
        f for side in sides if batch[0] in rewriter.inputs(side) for f in rewriter.inputs(side) if f in factors
    )
    for value in (0.0, 1.0):
        attributes = {"value": np.array(value, np.float32), "dtype": source.attribute("dtype", 1)}
        rewriter.put(Node(source.name, "Const", (), (), attributes))
        found = rewriter.value(weight)
        if found is not None and found.size == 1 and float(found.reshape(-1)[0]) == 0:
            reason = f"it blends batch statistics and moving statistics ({node.name})"
            findings.decide("flag", source.name, f"{value:g}", reason)
            rewriter.redirect(Ref(node.name), moving[0])
            return
    rewriter.put(source)
