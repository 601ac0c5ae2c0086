"""An inference function of TensorFlow ops, lowered to the IR node by node."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

import numpy as np
import onnx_ir as ir

from exporter.errors import CorruptError, LimitError, MissingError
from exporter.inference.control_flow.nest_loops import all_nodes
from exporter.inference.control_flow.one_sided import nest_conditions
from exporter.inference.graph.queries import CONDITION, STEPWISE
from exporter.inference.model import IF, LOOP, InferenceModel, Input, Output
from exporter.ir.builder import Builder
from exporter.lower.conditions import lower_condition, same_dims
from exporter.lower.loops import lower_loop
from exporter.lower.tf import OPS
from exporter.lower.tf.batch import BATCH, BROADCASTING, Batch
from exporter.lower.tf.complex_numbers import COMPLEX_OPS, Complex, ComplexOperand, constant
from exporter.lower.tf.context import Memory, NodeContext, RefusalError
from exporter.lower.tf.dtypes import dtype_of_number
from exporter.lower.tf.list_ops import LIST_OPS, PASSING, SELECTS, select
from exporter.lower.tf.lists import Operand, TensorList, same_number
from exporter.lower.tf.refusals import Refusals
from exporter.lower.tf.spectra import SPECTRA
from exporter.lower.tf.text import UNTRANSLATED
from exporter.sources.graph import Node, Ref
from exporter.sources.model import VARIABLE_OPS, Variable

__all__ = ["TRANSLATED", "axis_symbol", "lower_tensorflow"]

_INCONSISTENT = (ValueError, IndexError, OverflowError, ZeroDivisionError)
"""What shape inference and the evaluation of shape arithmetic raise for tensors that don't go together."""

_LOWERED_ANYWAY, _LOWERED_PER_NODE = 10_000, 64
"""How many nodes may be lowered: those of loops several times, of loops in loops many times."""

_IGNORED = frozenset({"Assert", "NoOp"})

TRANSLATED = frozenset({IF, LOOP, *COMPLEX_OPS, *LIST_OPS, *OPS, *SPECTRA})


def lower_tensorflow(
    model: InferenceModel, *, name: str, batch: Batch | None = None, firsts: Mapping[str, str] | None = None
) -> ir.Model:
    """The unfolded IR of an inference function.

    Graph inputs and outputs have the names of the model's; weights those of their variables' checkpoint keys; the
    result of a TensorFlow node the node's own.

    Args:
        model: The inference function.
        name: The graph's name.
        batch: The batch that the graph was written for, where it is to be open.
        firsts: For inputs whose first axis isn't the batch the symbol of that axis.

    Raises:
        UnsupportedError: Naming everything in the model that has no translation.
        CorruptError: Tensors that don't go together, or an input that no node provides.
        MissingError: A variable without a value.
    """
    wanted = [output.ref for output in model.outputs]
    forced: set[str] = set()
    while True:
        lowering = _Lowering(model, name, batch, firsts or {})
        for node in nest_conditions(list(model.graph), wanted, forced=forced):
            lowering.lower(node)
        if not lowering.undecided - forced:
            lowering.refusals.check()
            return lowering.finish()
        forced |= lowering.undecided


class _Lowering:
    """The state of a lowering.

    Attributes:
        undecided: Conditions that can't be selections, as their sides may be of different sizes.
    """

    def __init__(self, model: InferenceModel, name: str, batch: Batch | None, firsts: Mapping[str, str]) -> None:
        self.model = model
        self.firsts = firsts
        self.undecided: set[str] = set()
        self.builder = Builder(name)
        self.refusals = Refusals()
        self.memory = Memory(batch=batch)
        self.values: dict[Ref, ComplexOperand] = {}
        self.failed: set[str] = set()
        self.named: set[ir.Value] = set()
        self.left = _LOWERED_ANYWAY + _LOWERED_PER_NODE * len(all_nodes(model.graph))
        for entry in model.inputs:
            self._add_input(entry)

    def _add_input(self, entry: Input) -> None:
        dtype = dtype_of_number(entry.dtype)
        if dtype is None:
            self.refusals.add("Placeholder", entry.name, f"an input of TensorFlow's element type {entry.dtype}")
            self.failed.add(entry.ref.node)
            return
        self.values[entry.ref] = self.builder.input(
            entry.name, dtype, _symbolic(entry, self.firsts.get(entry.name, BATCH))
        )

    def lower(self, node: Node) -> None:
        """Lowers one node, or notes why it can't be; what needs a node that couldn't be is left out."""
        if node.op in _IGNORED:
            return
        self.left -= 1
        if self.left < 0:
            raise LimitError("its loops are nested so deeply that they can't be followed", where=(f"node {node.name}",))
        if STEPWISE in node.attributes:
            self._refuse(node, f"it runs in every step of the loop {node.attribute(STEPWISE)}")
            return
        if node.op not in TRANSLATED:
            why = UNTRANSLATED.get(node.op)
            self._refuse(node, why and f"{why}; take its result as the input, by --input")
            return
        if any(ref.node in self.failed and ref not in self.values for ref in node.inputs):
            self.failed.add(node.name)
            return
        try:
            with self.builder.source(node.name):
                lowered = self._of_any_kind(node)
        except RefusalError as refusal:
            self._refuse(node, str(refusal))
        except _INCONSISTENT as error:
            raise CorruptError(f"{node.op}: {error}", where=(f"node {node.name}",)) from error
        else:
            if lowered is None:
                self.failed.add(node.name)
            else:
                self._keep(node, lowered)

    def _of_any_kind(self, node: Node) -> ComplexOperand | tuple[ComplexOperand, ...] | None:
        """What a node becomes; None if something in it can't be lowered."""
        if node.op == LOOP:
            return lower_loop(self, node)
        if node.op == IF:
            return lower_condition(self, node)
        condition = node.attribute(CONDITION)
        if condition is not None and not self._is_selection(node):
            self.undecided.add(condition)
            return None
        return self._lowered(node)

    def _is_selection(self, node: Node) -> bool:
        """Whether both sides of a condition are of the same size, so that computing both comes to the same."""
        first, second = (self._operand(ref) for ref in node.inputs[1:])
        if isinstance(first, TensorList) and isinstance(second, TensorList):
            return not (first.grows or second.grows) and same_number(self.builder, first.size, second.size)
        if not isinstance(first, ir.Value) or not isinstance(second, ir.Value):
            return True
        return same_dims(self.builder.shape(first), self.builder.shape(second))

    def _lowered(self, node: Node) -> ComplexOperand | tuple[ComplexOperand, ...]:
        """What a node becomes that is no loop."""
        operands = tuple(self._operand(ref) for ref in node.inputs)
        tensors = tuple(operand for operand in operands if isinstance(operand, ir.Value))
        if self.memory.batch is not None and node.op in BROADCASTING:
            tensors = self.memory.batch.single(self.builder, node.name, tensors)
        ctx = self._context(node, tensors)
        if node.op in SPECTRA:
            return SPECTRA[node.op](ctx, operands)
        if _is_complex(node, operands):
            if node.op not in COMPLEX_OPS:
                raise RefusalError("it works on complex numbers")
            return COMPLEX_OPS[node.op](ctx, operands)
        if node.op == "Const" and np.asarray(node.attribute("value")).dtype.kind == "c":
            return constant(ctx)
        return self._of_reals(node, ctx, operands)

    def _of_reals(
        self, node: Node, ctx: NodeContext, given: tuple[ComplexOperand, ...]
    ) -> Operand | tuple[Operand, ...]:
        operands = tuple(operand for operand in given if not isinstance(operand, Complex))
        tensors = ctx.inputs
        if node.op in LIST_OPS:
            return LIST_OPS[node.op](ctx, operands)
        if len(tensors) == len(operands):
            return OPS[node.op](ctx)
        if node.op in PASSING:
            return operands
        if node.op in SELECTS:
            return select(ctx, operands)
        raise RefusalError("it works on a TensorArray")

    def compute(
        self, nodes: Sequence[Node], given: Mapping[Ref, Operand], wanted: Sequence[Ref]
    ) -> list[Operand] | None:
        """Lowers the nodes of a loop's step on these tensors; None if one of them can't be."""
        around = self.values
        names = {node.name for node in nodes}
        self.values = {ref: value for ref, value in around.items() if ref.node not in names} | dict(given)
        try:
            for node in nodes:
                self.lower(node)
            if any(ref not in self.values and ref.node in self.failed for ref in wanted):
                return None
            return [self.operand(ref) for ref in wanted]
        finally:
            self.values = around

    def known(self, ref: Ref) -> Operand | None:
        """What a tensor has become, if anything."""
        found = self.values.get(ref)
        return None if isinstance(found, Complex) else found

    def finish(self) -> ir.Model:
        """The model, with its outputs."""
        for output in self.model.outputs:
            self._check_output(output)
        self.refusals.check()
        return self.builder.finish({output.name: self._tensor(output.ref) for output in self.model.outputs})

    def _check_output(self, output: Output) -> None:
        try:
            self._tensor(output.ref)
        except RefusalError as refusal:
            self.refusals.add(self.model.graph.nodes[output.ref.node].op, output.name, str(refusal))

    def _refuse(self, node: Node, reason: str | None) -> None:
        before = [str(ref) for ref in node.inputs if self._is_computed(ref)]
        self.refusals.add(node.op, node.name, reason, before=before)
        self.failed.add(node.name)

    def _is_computed(self, ref: Ref) -> bool:
        """Whether a tensor is translated, of floating-point numbers, and no input or weight."""
        value = self.values.get(ref)
        if not isinstance(value, ir.Value) or value.producer() is None or ref.node not in self.model.graph:
            return False
        return value.dtype is not None and value.dtype.is_floating_point()

    def _context(self, node: Node, inputs: tuple[ir.Value, ...]) -> NodeContext:
        return NodeContext(
            builder=self.builder,
            node=node,
            inputs=inputs,
            variable=self._variable(node),
            batch_norm=self.model.batch_norms.get(node.name),
            memory=self.memory,
        )

    def _tensor(self, ref: Ref) -> ir.Value:
        found = self.operand(ref)
        if isinstance(found, TensorList):
            raise RefusalError("it is a TensorArray")
        return found

    def operand(self, ref: Ref) -> Operand:
        """What a tensor has become; RefusalError if nothing has, or complex numbers."""
        found = self._operand(ref)
        if isinstance(found, Complex):
            raise RefusalError("it is a tensor of complex numbers, which can't be an output or a variable of a loop")
        return found

    def _operand(self, ref: Ref) -> ComplexOperand:
        found = self.values.get(ref)
        if found is not None:
            return found
        producer = self.model.graph.nodes.get(ref.node)
        if producer is None:
            raise CorruptError(f"no node provides tensor {ref}")
        raise RefusalError(f"output {ref.port} of {producer.op} {producer.name} has no translation")

    def _variable(self, node: Node) -> Variable | None:
        if node.op not in VARIABLE_OPS:
            return None
        if node.name not in self.model.variables:
            raise MissingError(f"variable {node.name} has no value in the source")
        return self.model.variables[node.name]

    def _keep(self, node: Node, lowered: ComplexOperand | tuple[ComplexOperand, ...]) -> None:
        """Notes a node's results, and names those after it that no node before has had."""
        values: tuple[ComplexOperand, ...] = lowered if isinstance(lowered, tuple) else (lowered,)
        for port, value in enumerate(values):
            self.values.setdefault(Ref(node.name, port), value)
            if isinstance(value, ir.Value) and value.producer() is not None and value not in self.named:
                self.builder.rename(value, str(Ref(node.name, port)))
                self.named.add(value)


_MAKES_COMPLEX = frozenset({"Angle", "Complex", "ComplexAbs", "Conj", "Imag", "Real"})

_COMPLEX_TYPES = frozenset({8, 18})
"""complex64 and complex128."""


def _is_complex(node: Node, operands: Sequence[ComplexOperand]) -> bool:
    """Whether a node is about complex numbers."""
    if any(isinstance(operand, Complex) for operand in operands) or node.op in _MAKES_COMPLEX:
        return True
    return node.op == "Cast" and node.attribute("DstT") in _COMPLEX_TYPES


def axis_symbol(entry: Input, axis: int) -> str:
    """The symbol of an axis of unknown size: `<input>_dim<axis>`."""
    stem = re.sub(r"\W", "_", entry.name, flags=re.ASCII)
    return f"{stem}_dim{axis}"


def _symbolic(entry: Input, first: str) -> tuple[int | str, ...] | None:
    """An input's shape with names for unknown sizes; `first` is that of the first axis."""
    if entry.shape is None:
        return None
    names = [first if axis == 0 else axis_symbol(entry, axis) for axis in range(len(entry.shape))]
    return tuple(name if size is None else size for name, size in zip(names, entry.shape, strict=True))
