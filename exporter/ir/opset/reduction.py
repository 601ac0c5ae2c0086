"""Ops that reduce axes: data, axes?; `keepdims` (1), `noop_with_empty_axes` (0). As of opset 18."""

from __future__ import annotations

from exporter.ir.opset.record import Op

__all__ = ["OPS"]

OPS = (
    Op(name="ReduceL1", reduces=True),
    Op(name="ReduceL2", reduces=True),
    Op(name="ReduceLogSum", reduces=True),
    Op(name="ReduceLogSumExp", reduces=True),
    Op(name="ReduceMax", reduces=True),
    Op(name="ReduceMean", reduces=True),
    Op(name="ReduceMin", reduces=True),
    Op(name="ReduceProd", reduces=True),
    Op(name="ReduceSum", reduces=True),
    Op(name="ReduceSumSquare", reduces=True),
)
