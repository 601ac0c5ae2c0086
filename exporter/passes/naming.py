"""Names for what the passes make: derived from what was there, unique, the same in every run."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import onnx_ir as ir

from exporter.ir.text import tensor_of
from exporter.ir.unique_names import UniqueNames

__all__ = ["Namer", "bias_name"]

_BIAS_OF = {"weights": "biases", "kernel": "bias", "depthwise_kernel": "bias", "depthwise_weights": "biases"}
_BIAS_OF |= {"pointwise_kernel": "bias", "pointwise_weights": "biases", "W": "b", "w": "b", "embeddings": "bias"}


class Namer:
    """Hands out names that no value, and no node, of a graph has.

    Args:
        graph: The graph of a model; what gets a name in another way from then on isn't known. The names in its
            subgraphs are taken, too.
    """

    def __init__(self, graph: ir.Graph) -> None:
        self._graph = graph
        values: set[str] = set()
        for each in (graph, *graph.subgraphs()):
            values |= {v.name for v in (*each.inputs, *each.initializers.values()) if v.name}
        nodes = list(graph.all_nodes())
        values |= {output.name for node in nodes for output in node.outputs if output.name}
        self._values = UniqueNames(values)
        self._nodes = UniqueNames(node.name for node in nodes if node.name)

    def value(self, name: str) -> str:
        """The name, with the suffix _1, _2, ... where it is taken."""
        return self._values.take(name)

    def node(self, name: str) -> str:
        """The same among nodes."""
        return self._nodes.take(name)

    def release(self, name: str | None) -> None:
        """A value with this name is gone."""
        self._values.discard(name)

    def constant(self, name: str, array: npt.NDArray[Any]) -> ir.Value:
        """A new initializer of the model's graph, which its subgraphs see."""
        unique = self.value(name)
        tensor = tensor_of(np.require(array, requirements="C"), unique)
        value = ir.Value(name=unique, shape=ir.Shape(array.shape), type=ir.TensorType(tensor.dtype), const_value=tensor)
        self._graph.register_initializer(value)
        return value

    def drop_unused(self, value: ir.Value) -> None:
        """Removes an initializer that nothing uses any more, so that its memory and its name are free."""
        unused = value.is_initializer() and not value.uses() and not value.is_graph_output()
        if unused and not value.is_graph_input() and value.name is not None:
            assert value.graph is not None
            del value.graph.initializers[value.name]
            self.release(value.name)
            value.const_value = None


def bias_name(kernel: str | None, source: str) -> str:
    """`conv/biases` for a kernel `conv/weights`, `conv/bias` for `conv/kernel`; otherwise after the op's source."""
    scope, slash, last = (kernel or "").rpartition("/")
    if last in _BIAS_OF:
        return f"{scope}{slash}{_BIAS_OF[last]}"
    return f"{source}/bias"
