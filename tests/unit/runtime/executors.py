"""What tests ask of a net that the engine runs, and nodes that are run without one."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from runtime.engine.executor import Compiled
from runtime.kernels import Array
from runtime.net import Net
from runtime.plan import Graph, Node, execute

__all__ = ["compiled", "evaluate"]


def compiled(net: Net) -> Compiled:
    """Return the engine behind a net."""
    assert isinstance(net.executor, Compiled)
    return net.executor


def evaluate(nodes: Iterable[Node], arrays: Mapping[str, Array], outputs: Sequence[str]) -> dict[str, Array]:
    """Return the values named in `outputs` after running the nodes on the arrays, which stay as they are."""
    graph = Graph(tuple(arrays), tuple(outputs), tuple(nodes))
    scope = dict(arrays)
    execute(graph, scope)
    return {name: scope[name] for name in outputs}
