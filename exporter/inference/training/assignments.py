"""Assignments whose results the forward computation goes on with: at inference nothing is assigned.

range = assign_sub(minimum, (minimum - batch_minimum) * decay)      quantisation-aware training
y = fake_quant(x, range, ...)
"""

from __future__ import annotations

from exporter.inference.findings import Findings
from exporter.inference.graph.queries import ASSIGN_OPS, STEPWISE, variable_behind
from exporter.inference.graph.rewriter import Rewriter
from exporter.report.decisions import Choice, Reason
from exporter.sources.graph import Ref

__all__ = ["read_assigned"]


def read_assigned(rewriter: Rewriter, outputs: list[Ref], findings: Findings) -> set[str]:
    """Lets what uses the result of an assignment read the variable, as training has left it; in loops it stays.

    Returns:
        The variables.
    """
    found: set[str] = set()
    for node in rewriter.order(outputs):
        if node.op not in ASSIGN_OPS or not node.inputs or STEPWISE in node.attributes:
            continue
        variable = variable_behind(rewriter, node.inputs[0])
        if variable is not None and rewriter.node(variable).op != "VarHandleOp":
            rewriter.redirect(Ref(node.name), Ref(variable))
            found.add(variable)
            code, details = Reason.ASSIGNED_IN_TRAINING, {"op": node.op, "variable": variable}
            findings.decide("value", node.name, Choice.AS_STORED, code, **details)
    return found
