"""The kernels of the core, and faster ones in the place of some: `KERNELS[op](inputs, attributes) -> outputs`."""

from __future__ import annotations

from runtime import kernels
from runtime.engine import recurrent
from runtime.kernels.base import Kernel, in_float
from runtime.plan import Graph

__all__ = ["KERNELS", "use_in"]

_FASTER: dict[str, Kernel] = {name: in_float(function) for name, function in recurrent.OPS.items()}

KERNELS: dict[str, Kernel] = {**kernels.KERNELS, **_FASTER}
"""Every operator that a plan may name."""


def use_in(graph: Graph) -> None:
    """Compute the nodes of a graph, and of those in it, by the faster ones."""
    for node in graph.nodes:
        node.kernel = _FASTER.get(node.op)
        for value in node.attributes.values():
            if isinstance(value, Graph):
                use_in(value)
