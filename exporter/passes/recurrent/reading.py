"""Reads the values of a loop's body as sums of activations, products and dense layers."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np
import onnx_ir as ir

from exporter.ir.dims import same_dim
from exporter.ir.evaluate import Constants
from exporter.ir.ops import is_op
from exporter.passes.recurrent.forms import (
    Applied,
    Array,
    Function,
    Product,
    Slices,
    State,
    Step,
    Sum,
    constant,
    plain,
)
from exporter.passes.recurrent.lengths import Lengths, choice_of

__all__ = ["Form", "Reader"]

Form = Sum | tuple[Sum, ...]
"""A value of a step; of parts side by side each."""

_DEEPEST = 100
"""How many ops behind each other are read."""

_MOST_NESTED = 8
"""How many selections inside each other are followed."""

_DEFAULTS: Mapping[str, tuple[float | None, float | None]] = {
    "Elu": (1.0, None),
    "HardSigmoid": (0.2, 0.5),
    "LeakyRelu": (0.01, None),
    "Relu": (None, None),
    "Sigmoid": (None, None),
    "Softplus": (None, None),
    "Softsign": (None, None),
    "Tanh": (None, None),
}
"""The activations of ONNX's recurrent ops, with alpha and beta where they take them."""


class Reader:
    """Reads the values of one loop's body, in steps in which the sequence is going.

    Args:
        body: The loop's body.
        lengths: Where the sequences end.
        constants: What only initializers determine.
        sequence: The sequence [time, batch, width] whose row of the step a value is, if it is one.
    """

    def __init__(
        self,
        body: ir.Graph,
        lengths: Lengths,
        constants: Constants,
        sequence: Callable[[ir.Value], ir.Value | None],
    ) -> None:
        self._states = {value: index for index, value in enumerate(body.inputs[2:])}
        self._lengths = lengths
        self._constants = constants
        self._sequence = sequence
        self._forms: dict[ir.Value, Form | None] = {}
        self._steps: dict[ir.Value, Step] = {}
        self._slices = Slices()
        self._depth = 0

    def forget(self) -> None:
        """Reads everything anew, as there are more sequences now."""
        self._forms.clear()

    def whole(self, value: ir.Value) -> Sum | None:
        """A value as one sum; None if it isn't one."""
        found = self.form(value)
        return found if isinstance(found, Sum) else None

    def form(self, value: ir.Value) -> Form | None:
        """What a value is; None where it is anything else."""
        value = self.going(value)
        if value not in self._forms:
            self._forms[value] = None
            if self._depth < _DEEPEST:
                self._depth += 1
                self._forms[value] = self._read(value)
                self._depth -= 1
        return self._forms[value]

    def going(self, value: ir.Value, *, going: bool = True, nested: int = 0) -> ir.Value:
        """What a value is while a sequence is going, or after its end; itself where nothing is selected."""
        node = value.producer()
        while is_op(node, "Identity") and node is not None and node.inputs[0] is not None:
            value = node.inputs[0]
            node = value.producer()
        choice = choice_of(value)
        if choice is None or nested > _MOST_NESTED:
            return value
        try:
            truth = self._lengths.truth(choice.condition, going=going)
        except KeyError:
            return value
        wanted = (choice.true, choice.false) if truth is None else (choice.true if truth else choice.false,)
        sides = {self.going(side, going=going, nested=nested + 1) for side in wanted}
        return sides.pop() if len(sides) == 1 else value

    def cut(self, form: Form, start: int, stop: int) -> Form | None:
        """Columns of a form."""
        if isinstance(form, Sum):
            return self._slices.of(form, start, stop)
        parts: list[Sum] = []
        before = 0
        for part in form:
            low, high = max(start - before, 0), min(stop - before, part.width)
            if low < high:
                piece = self._slices.of(part, low, high)
                if piece is None:
                    return None
                parts.append(piece)
            before += part.width
        return parts[0] if len(parts) == 1 else tuple(parts)

    def _read(self, value: ir.Value) -> Form | None:
        width = _width(value)
        if width is None:
            return None
        if value in self._states:
            return plain(State(self._states[value], 0, width), width)
        sequence = self._sequence(value)
        if sequence is not None:
            step = self._steps.setdefault(sequence, Step(sequence, width))
            return plain(step, width)
        node = value.producer()
        if node is None or node.domain not in ("", "channels_last"):
            return None
        if node.op_type not in _DEFAULTS:
            read = _READ.get(node.op_type)
            return None if read is None else read(self, node, value)
        inner = self.form(_input(node, 0))
        if inner is None:
            return None
        alpha, beta = _DEFAULTS[node.op_type]
        if alpha is not None and "alpha" in node.attributes:
            alpha = float(node.attributes["alpha"].as_float())
        if beta is not None and "beta" in node.attributes:
            beta = float(node.attributes["beta"].as_float())
        function = Function(node.op_type, alpha, beta)
        parts = [inner] if isinstance(inner, Sum) else list(inner)
        made = [plain(Applied(function, part), part.width) for part in parts]
        return made[0] if isinstance(inner, Sum) else tuple(made)

    def number(self, value: ir.Value, width: int) -> Array | None:
        """A constant number or vector [width]."""
        if not self._constants.is_constant(value):
            return None
        array = np.asarray(self._constants.array(value), np.float64)
        if array.size == 1:
            return array.reshape(())
        return array.reshape(-1) if array.size == array.shape[-1] == width else None

    def integers(self, node: ir.Node, index: int) -> list[int] | None:
        """The constant integers that a node is given; None where they are no constants, or left out."""
        value = node.inputs[index] if index < len(node.inputs) else None
        if value is None or not self._constants.is_constant(value):
            return None
        return [int(number) for number in np.asarray(self._constants.array(value)).reshape(-1)]

    def matrix(self, value: ir.Value) -> Array | None:
        """A constant matrix."""
        if not self._constants.is_constant(value):
            return None
        array = np.asarray(self._constants.array(value), np.float64)
        return array if array.ndim == 2 else None


def _input(node: ir.Node, index: int) -> ir.Value:
    value = node.inputs[index]
    assert value is not None
    return value


def _width(value: ir.Value) -> int | None:
    """The columns of a value [batch, width]."""
    if value.shape is None or len(value.shape) != 2:
        return None
    dim = value.shape[1]
    return dim if isinstance(dim, int) else None


def _operands(reader: Reader, node: ir.Node, width: int) -> list[Sum | None]:
    """Both operands as sums, constants too."""
    found: list[Sum | None] = []
    for value in node.inputs:
        assert value is not None
        number = reader.number(value, width)
        if number is None:
            number = _filled(value, node)
        if number is not None:
            found.append(constant(number, width))
        elif _width(reader.going(value)) == width:
            found.append(reader.whole(value))
        else:
            found.append(None)
    return found


def _filled(value: ir.Value, node: ir.Node) -> Array | None:
    """The number that a value is full of, where it has the shape of the node's result and of the other operands."""
    maker, shapes = value.producer(), [each.shape for each in (*node.inputs, node.outputs[0]) if each is not None]
    if not is_op(maker, "ConstantOfShape") or maker is None or any(shape is None for shape in shapes):
        return None
    first = [shape.dims[0] for shape in shapes if shape is not None and len(shape) == 2]
    if len(first) != len(shapes) or not all(same_dim(first[0], dim) for dim in first):
        return None
    given = maker.attributes.get("value")
    return np.zeros(()) if given is None else given.as_tensor().numpy().astype(np.float64).reshape(())


def _added(reader: Reader, node: ir.Node, value: ir.Value) -> Form | None:
    width = _width(value)
    assert width is not None
    total: Sum | None = None
    sign = -1.0 if node.op_type == "Sub" else 1.0
    for operand in _operands(reader, node, width):
        if operand is None:
            return None
        total = operand if total is None else total.plus(operand, sign)
        if total is None:
            return None
    return total


def _multiplied(reader: Reader, node: ir.Node, value: ir.Value) -> Form | None:
    width = _width(value)
    assert width is not None
    a, b = _operands(reader, node, width)
    if a is None or b is None:
        return None
    for x, factor in ((a, b), (b, a)):
        if not factor.terms:
            return x.scaled(factor.bias)
    return plain(Product(a, b), width)


def _clipped(reader: Reader, node: ir.Node, value: ir.Value) -> Form | None:
    """min(max(x, 0), 1), which is HardSigmoid with alpha 1 and beta 0."""
    x, bounds = node.inputs[0], list(node.inputs[1:])
    if not is_op(node, "Clip"):
        inner = next((other.producer() for other in node.inputs if other is not None and other.producer()), None)
        if inner is None or {node.op_type, inner.op_type} != {"Max", "Min"}:
            return None
        bounds = [_other(each, value) for each, value in ((node, inner.outputs[0]), (inner, inner.inputs[0]))]
        x = inner.inputs[0]
        bounds = bounds if node.op_type == "Max" else bounds[::-1]
    limits = [None if bound is None else reader.number(bound, 1) for bound in bounds]
    form = None if x is None else reader.whole(x)
    if form is None or len(limits) != 2 or any(limit is None for limit in limits) or limits != [0.0, 1.0]:
        return None
    return plain(Applied(Function("HardSigmoid", 1.0, 0.0), form), form.width)


def _other(node: ir.Node, value: ir.Value | None) -> ir.Value | None:
    """The other one of two operands."""
    others = [operand for operand in node.inputs if operand is not value]
    return others[0] if len(node.inputs) == 2 and len(others) == 1 else None


def _negated(reader: Reader, node: ir.Node, value: ir.Value) -> Form | None:
    form = reader.form(_input(node, 0))
    return form.scaled(np.array(-1.0)) if isinstance(form, Sum) else None


def _dense(reader: Reader, node: ir.Node, value: ir.Value) -> Form | None:
    matrix, form = reader.matrix(_input(node, 1)), reader.form(_input(node, 0))
    if matrix is None or form is None:
        return None
    parts: Sequence[Sum] = (form,) if isinstance(form, Sum) else form
    if sum(part.width for part in parts) != matrix.shape[0]:
        return None
    total: Sum | None = constant(np.zeros(()), matrix.shape[1])
    row = 0
    for part in parts:
        product = part.times(matrix[row : row + part.width])
        total = None if product is None or total is None else total.plus(product)
        row += part.width
    if total is not None and len(node.inputs) > 2 and node.inputs[2] is not None:
        bias = reader.number(node.inputs[2], matrix.shape[1])
        return None if bias is None else total.plus(constant(bias, total.width))
    return total


def _concatenated(reader: Reader, node: ir.Node, value: ir.Value) -> Form | None:
    if node.attributes["axis"].as_int() not in (1, -1):
        return None
    parts: list[Sum] = []
    for operand in node.inputs:
        form = None if operand is None else reader.form(operand)
        if form is None:
            return None
        parts += [form] if isinstance(form, Sum) else form
    return tuple(parts)


def _part(reader: Reader, node: ir.Node, value: ir.Value) -> Form | None:
    """One result of a Split along the columns."""
    axis = node.attributes["axis"].as_int() if "axis" in node.attributes else 0
    widths = [_width(output) for output in node.outputs]
    form = reader.form(_input(node, 0))
    if axis not in (1, -1) or form is None:
        return None
    start = 0
    for output, width in zip(node.outputs, widths, strict=True):
        if width is None:
            return None
        if output is value:
            return reader.cut(form, start, start + width)
        start += width
    return None


def _sliced(reader: Reader, node: ir.Node, value: ir.Value) -> Form | None:
    """A Slice of columns, one after the other."""
    form, whole = reader.form(_input(node, 0)), _width(_input(node, 0))
    numbers = [reader.integers(node, index) for index in range(1, 5)]
    starts, stops, axes, steps = numbers
    if form is None or whole is None or starts is None or stops is None or axes not in ([1], [-1]):
        return None
    if steps not in (None, [1]):
        return None
    start, stop, _ = slice(starts[0], stops[0]).indices(whole)
    return reader.cut(form, start, stop) if start < stop else None


def _same(reader: Reader, node: ir.Node, value: ir.Value) -> Form | None:
    return reader.form(_input(node, 0))


_READ: Mapping[str, Callable[[Reader, ir.Node, ir.Value], Form | None]] = {
    "Add": _added,
    "Clip": _clipped,
    "Concat": _concatenated,
    "Dense": _dense,
    "Identity": _same,
    "MatMul": _dense,
    "Max": _clipped,
    "Min": _clipped,
    "Mul": _multiplied,
    "Neg": _negated,
    "Slice": _sliced,
    "Split": _part,
    "Sub": _added,
    "Sum": _added,
}
