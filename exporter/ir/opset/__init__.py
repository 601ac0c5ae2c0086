"""The ops of the IR: one record for each, which everything else asks.

A record holds what is true of the op itself. How it is written in a target (an ONNX node in another layout, an
expression in C or NumPy), and how an affine map or a permutation changes its parameters, stands with the target or
pass, by the same name: those rules need the target's or the pass's own machinery. The NumPy meaning is in
`runtime.kernels`, which has to run without this package.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

from exporter.ir.opset import elementwise, layers, moving, reduction
from exporter.ir.opset.record import CHANNELS_LAST, ML, Op

__all__ = ["CHANNELS_LAST", "ML", "OPS", "Op", "ops_that", "record_of"]

OPS: dict[str, Op] = {
    record.name: record for family in (elementwise, layers, moving, reduction) for record in family.OPS
}
"""By op type; no type is in two domains, so it alone identifies an op."""


@cache
def record_of(name: str) -> Op:
    """The record of an op type; one that says nothing for types of which nothing is known but a kernel."""
    return OPS.get(name) or Op(name=name)


def ops_that(fact: Callable[[Op], object]) -> frozenset[str]:
    """The types of the ops of which something is true."""
    return frozenset(record.name for record in OPS.values() if fact(record))
