"""An inference function of TensorFlow ops, lowered to the IR node by node."""

from __future__ import annotations

import re

import onnx_ir as ir

from exporter.errors import CorruptError, MissingError
from exporter.inference.model import InferenceModel, Input, Output
from exporter.ir.builder import Builder
from exporter.lower.tf import OPS
from exporter.lower.tf.context import Lowered, Memory, NodeContext, RefusalError
from exporter.lower.tf.dtypes import dtype_of_number
from exporter.lower.tf.refusals import Refusals
from exporter.sources.graph import Node, Ref
from exporter.sources.model import Variable

__all__ = ["lower_tensorflow"]

_INCONSISTENT = (ValueError, IndexError, OverflowError, ZeroDivisionError)
"""What shape inference and the evaluation of shape arithmetic raise for tensors that don't go together."""

_IGNORED = frozenset({"Assert", "NoOp"})


def lower_tensorflow(model: InferenceModel, *, name: str) -> ir.Model:
    """The unfolded IR of an inference function.

    Graph inputs and outputs have the names of the model's; weights those of their variables' checkpoint keys; the
    result of a TensorFlow node the node's own.

    Raises:
        UnsupportedError: Naming everything in the model that has no translation.
        CorruptError: Tensors that don't go together, or an input that no node provides.
        MissingError: A variable without a value.
    """
    lowering = _Lowering(model, name)
    for node in model.graph:
        lowering.lower(node)
    lowering.refusals.check()
    return lowering.finish()


class _Lowering:
    def __init__(self, model: InferenceModel, name: str) -> None:
        self.model = model
        self.builder = Builder(name)
        self.refusals = Refusals()
        self.memory = Memory()
        self.values: dict[Ref, ir.Value] = {}
        self.failed: set[str] = set()
        self.named: set[ir.Value] = set()
        for entry in model.inputs:
            self._add_input(entry)

    def _add_input(self, entry: Input) -> None:
        dtype = dtype_of_number(entry.dtype)
        if dtype is None:
            self.refusals.add("Placeholder", entry.name, f"an input of TensorFlow's element type {entry.dtype}")
            self.failed.add(entry.ref.node)
            return
        self.values[entry.ref] = self.builder.input(entry.name, dtype, _symbolic(entry))

    def lower(self, node: Node) -> None:
        """Lowers one node, or notes why it can't be; what needs a node that couldn't be is left out."""
        if node.op in _IGNORED:
            return
        function = OPS.get(node.op)
        if function is None:
            self._refuse(node, None)
            return
        if any(ref.node in self.failed and ref not in self.values for ref in node.inputs):
            self.failed.add(node.name)
            return
        try:
            with self.builder.source(node.name):
                self._keep(node, function(self._context(node)))
        except RefusalError as refusal:
            self._refuse(node, str(refusal))
        except _INCONSISTENT as error:
            raise CorruptError(f"{node.op}: {error}", where=(f"node {node.name}",)) from error

    def finish(self) -> ir.Model:
        """The model, with its outputs."""
        for output in self.model.outputs:
            self._check_output(output)
        self.refusals.check()
        return self.builder.finish({output.name: self._value(output.ref) for output in self.model.outputs})

    def _check_output(self, output: Output) -> None:
        try:
            self._value(output.ref)
        except RefusalError as refusal:
            self.refusals.add(self.model.graph.nodes[output.ref.node].op, output.name, str(refusal))

    def _refuse(self, node: Node, reason: str | None) -> None:
        self.refusals.add(node.op, node.name, reason)
        self.failed.add(node.name)

    def _context(self, node: Node) -> NodeContext:
        return NodeContext(
            builder=self.builder,
            node=node,
            inputs=tuple(self._value(ref) for ref in node.inputs),
            variable=self._variable(node),
            batch_norm=self.model.batch_norms.get(node.name),
            memory=self.memory,
        )

    def _value(self, ref: Ref) -> ir.Value:
        found = self.values.get(ref)
        if found is not None:
            return found
        producer = self.model.graph.nodes.get(ref.node)
        if producer is None:
            raise CorruptError(f"no node provides tensor {ref}")
        raise RefusalError(f"output {ref.port} of {producer.op} {producer.name} has no translation")

    def _variable(self, node: Node) -> Variable | None:
        if node.op not in {"VariableV2", "Variable", "VarHandleOp"}:
            return None
        if node.name not in self.model.variables:
            raise MissingError(f"variable {node.name} has no value in the source")
        return self.model.variables[node.name]

    def _keep(self, node: Node, lowered: Lowered) -> None:
        """Notes a node's results, and names those after it that no node before has had."""
        values = lowered if isinstance(lowered, tuple) else (lowered,)
        for port, value in enumerate(values):
            self.values.setdefault(Ref(node.name, port), value)
            if value.producer() is not None and value not in self.named:
                self.builder.rename(value, str(Ref(node.name, port)))
                self.named.add(value)


def _symbolic(entry: Input) -> tuple[int | str, ...] | None:
    """An input's shape with names for unknown sizes: N for the first axis, `<input>_dim<axis>` for others."""
    if entry.shape is None:
        return None
    stem = re.sub(r"\W", "_", entry.name, flags=re.ASCII)
    names = ["N" if axis == 0 else f"{stem}_dim{axis}" for axis in range(len(entry.shape))]
    return tuple(name if size is None else size for name, size in zip(names, entry.shape, strict=True))
