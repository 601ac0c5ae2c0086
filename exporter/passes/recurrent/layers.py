"""Loops that are recurrent layers become LSTM, GRU and RNN, one for each cell."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import onnx_ir as ir

from exporter.ir import edit
from exporter.ir.dims import same_dim
from exporter.ir.edit import constant_array
from exporter.ir.evaluate import Constants
from exporter.ir.ops import domain_of, is_op
from exporter.passes.naming import Namer
from exporter.passes.recurrent.cells import Cell, find_cell
from exporter.passes.recurrent.forms import State
from exporter.passes.recurrent.lengths import Lengths
from exporter.passes.recurrent.reading import Reader
from exporter.passes.recurrent.sizes import source, trips_cover

__all__ = ["find_recurrent_layers"]

_ROWWISE = frozenset({"Add", "Div", "Elu", "Identity", "LeakyRelu", "Mul", "Neg", "Relu", "Sigmoid", "Sub", "Tanh"})
"""Ops that do with all steps at once what they do with each."""


def find_recurrent_layers(model: ir.Model, dtype: ir.DataType = ir.DataType.FLOAT) -> None:
    """Puts each loop whose steps are those of recurrent cells, one on top of the other, as the ops that they are.

    Loop(trips, h0, c0; Gather(X, step) ...)  ->  LSTM(X, W, R, B, lengths, h0, c0, P)

    Exact in real numbers: constants are the same, gates in another order. Where a step does anything more, where
    sequences are of other lengths than the loop, where the weights aren't constants: the loop stays. So do loops of
    another type than `dtype`: onnxruntime runs loops of float64, and has no kernels for recurrent layers of it.
    """
    namer, constants = Namer(model.graph), Constants()
    for node in list(model.graph):
        if is_op(node, "Loop"):
            _Layer(model.graph, node, namer, constants, dtype).rewrite()
    edit.remove_dead(model)


class _Layer:
    def __init__(self, graph: ir.Graph, node: ir.Node, namer: Namer, constants: Constants, dtype: ir.DataType) -> None:
        self.graph, self.node, self.namer, self.constants, self.dtype = graph, node, namer, constants, dtype
        self.body = node.attributes["body"].as_graph()
        self.inside = {*self.body.inputs, *(output for inner in self.body.all_nodes() for output in inner.outputs)}
        count = len(self.body.inputs) - 2
        self.after = list(self.body.outputs[1 : 1 + count])
        self.scans = list(self.body.outputs[1 + count :])
        self.rows = {i: row for i in range(count) if (row := self._only_row(i)) is not None}
        self.lengths = Lengths(self._is_step, lambda value: value not in self.inside)
        self.reader = Reader(self.body, self.lengths, constants, self._sequence)
        self.lifted: dict[ir.Value, ir.Value] = {}
        self.last: dict[State, ir.Value] = {}
        self.made: list[ir.Node] = []

    def rewrite(self) -> None:
        """Puts the loop's results; leaves everything as it is where one of them can't be."""
        if not self._counts() or not self._find() or not self._finish():
            for made in reversed(self.made):
                self.graph.remove(made, safe=True)

    def _counts(self) -> bool:
        """Whether the loop makes as many steps as it is told, and no step stops it."""
        going: ir.Value | None = self.body.outputs[0]
        while going is not None and is_op(going.producer(), "Identity"):
            producer = going.producer()
            going = None if producer is None else producer.inputs[0]
        always = constant_array(self.node.inputs[1])
        if self.node.inputs[0] is None or (self.node.inputs[1] is not None and (always is None or not always.all())):
            return False
        known = constant_array(going)
        return going is self.body.inputs[1] or (known is not None and bool(known.all()))

    def _only_row(self, index: int) -> ir.Value | None:
        """What each step writes as the only row of a loop variable [1, batch, width]; None for other variables."""
        before, node = self.node.inputs[2 + index], self.after[index].producer()
        if before is None or before.shape is None or len(before.shape) != 3 or before.shape[0] != 1:
            return None
        if not is_op(node, "ScatterND") or node is None or node.inputs[0] is not self.body.inputs[2 + index]:
            return None
        place, row = constant_array(node.inputs[1]), node.inputs[2]
        writer = None if row is None else row.producer()
        if place is None or place.tolist() != [[0]] or not is_op(writer, "Unsqueeze") or writer is None:
            return None
        axes = constant_array(writer.inputs[1])
        return writer.inputs[0] if axes is not None and axes.tolist() == [0] else None

    def _is_step(self, value: ir.Value) -> bool:
        return source(value) is self.body.inputs[0]

    def _sequence(self, value: ir.Value) -> ir.Value | None:
        """The sequence whose row of the step a value is."""
        if value in self.lifted:
            return self.lifted[value]
        node = value.producer()
        while is_op(node, "Identity", "Reshape") and node is not None and node.inputs[0] is not None:
            inner = node.inputs[0]
            if inner.shape is None or value.shape is None or len(inner.shape) != len(value.shape):
                return None
            node = inner.producer()
        if not is_op(node, "Gather") or node is None:
            return None
        data, index = node.inputs
        if data is None or index is None or data in self.inside or not self._is_step(index):
            return None
        axis = node.attributes["axis"].as_int() if "axis" in node.attributes else 0
        shaped = data.shape is not None and len(data.shape) == 3
        return data if axis == 0 and shaped and len(index.shape or ()) == 0 else None

    def _find(self) -> bool:
        """Finds the cells, first those that only see what the loop is given."""
        self.parts = parts = self._parts() or {}
        if not parts or not self._ended_stay():
            return False
        while len(self.last) < len(parts):
            if not any(self._found(state, parts) for state in parts):
                return False
        return True

    def _found(self, state: State, parts: Mapping[State, ir.Value]) -> bool:
        """Whether a part of a loop variable is the output of a cell, that is put then."""
        if state in self.last:
            return False
        forms = {each: form for each, value in parts.items() if (form := self.reader.whole(value)) is not None}
        cell = find_cell(state, forms) if state in forms else None
        if cell is None or any(each in self.last for each in cell.states):
            return False
        return self._put(cell, parts[state])

    def _parts(self) -> dict[State, ir.Value] | None:
        """The loop variables, or what they are joined of, and what each is after a step; None if that isn't known."""
        found: dict[State, ir.Value] = {}
        for index, after in enumerate(self.after):
            if index in self.rows:
                continue
            value = self.reader.going(after)
            node = value.producer()
            joined = is_op(node, "Concat") and node is not None and value in self.inside
            start = 0
            for part in node.inputs if joined and node is not None else [value]:
                width = None if part is None or part.shape is None or len(part.shape) != 2 else part.shape[1]
                if part is None or not isinstance(width, int):
                    return None
                found[State(index, start, start + width)] = self.reader.going(part)
                start += width
        return found

    def _ended_stay(self) -> bool:
        """Whether loop variables stay as they are from a sequence's end on, and what is given is zeros."""
        before = self.body.inputs[2:]
        if any(self._ended(value) is value for value in (*self.after, *self.scans)):
            return self.lengths.value is None
        stay = all(self._ended(value) is old for value, old in zip(self.after, before, strict=True))
        return stay and all(self._is_zero(self._ended(value)) for value in self.scans)

    def _ended(self, value: ir.Value) -> ir.Value:
        """What a value is after a sequence's end; itself where no condition asks for that."""
        return self.reader.going(value, going=False)

    def _is_zero(self, value: ir.Value | None) -> bool:
        """Whether a value is certainly zeros."""
        while value is not None:
            if self.constants.is_constant(value):
                array = self.constants.array(value)
                return array.size > 0 and not array.any()
            node = value.producer()
            if is_op(node, "ConstantOfShape") and node is not None:
                filled = node.attributes.get("value")
                return filled is None or not filled.as_tensor().numpy().any()
            if not is_op(node, "Expand", "Identity", "Reshape", "Squeeze", "Tile", "Unsqueeze") or node is None:
                return False
            value = node.inputs[0]
        return False

    def _put(self, cell: Cell, output: ir.Value) -> bool:
        """Makes the op of a cell; its results are known then: all steps as a sequence, and the last states."""
        steps = cell.sequences[0]
        if len(cell.sequences) > 1:  # side by side
            shapes = [value.shape.dims for value in cell.sequences if value.shape is not None]
            widths = [dims[2] for dims in shapes if isinstance(dims[2], int)]
            steps = self._make("Concat", cell.sequences, {"axis": 2}).outputs[0]
            steps.shape = ir.Shape([*shapes[0][:2], sum(widths)])
        if steps.dtype != self.dtype:
            return False
        lengths = self._lengths(steps)
        if not trips_cover(self.node.inputs[0], steps.shape.dims[0] if steps.shape else 0, self.lengths.value):
            return False
        stem = str(self.node.name)
        inputs: list[ir.Value | None] = [steps]
        for what, array in (("input", cell.w), ("recurrent", cell.r), ("bias", cell.b)):
            inputs.append(None if array is None else self._weight(f"{stem}/{what}", array, steps.dtype))
        starts = [self._start(state) for state in cell.states]
        if all(start is None for start in starts):
            starts = []
        inputs += [lengths, *starts]
        if cell.p is not None:
            inputs += [None] * (7 - len(inputs))
            inputs.append(self._weight(f"{stem}/peepholes", cell.p, steps.dtype))
        while inputs[-1] is None:
            inputs.pop()
        units = cell.states[0].stop - cell.states[0].start
        attributes: dict[str, Any] = {"hidden_size": units, "direction": "forward"}
        attributes["activations"] = [function.name for function in cell.activations]
        # alphas and betas are handed out in order to those functions that take one
        if alphas := [function.alpha for function in cell.activations if function.alpha is not None]:
            attributes["activation_alpha"] = alphas
        if betas := [function.beta for function in cell.activations if function.beta is not None]:
            attributes["activation_beta"] = betas
        if cell.op_type == "GRU":
            attributes["linear_before_reset"] = cell.attributes["linear_before_reset"]
        dims = steps.shape.dims if steps.shape is not None else ()
        node = self._make(cell.op_type, inputs, attributes, outputs=1 + len(cell.states))
        node.outputs[0].shape = ir.Shape([dims[0], 1, dims[1], units])
        for value, state in zip(node.outputs[1:], cell.states, strict=True):
            value.shape = ir.Shape([1, dims[1], units])
            self.last[state] = self._squeezed(value, 0)
        self.lifted[output] = self._squeezed(node.outputs[0], 1)
        self.reader.forget()
        return True

    def _lengths(self, steps: ir.Value) -> ir.Value | None:
        """The sequences' lengths as int32, none longer than the sequence."""
        value = self.lengths.value
        if value is None:
            return None
        if value.dtype != ir.DataType.INT32:
            shape = value.shape
            value = self._make("Cast", [value], {"to": ir.DataType.INT32.value}, dtype=ir.DataType.INT32).outputs[0]
            value.shape = shape
        length = None if steps.shape is None else steps.shape[0]
        if isinstance(length, int):
            most = self.namer.constant(f"{self.node.name}/longest", np.array(length, np.int32))
        else:
            whole, axis = _of_same_size(steps, 0)
            size = self._make("Shape", [whole], {"start": axis, "end": axis + 1}, dtype=ir.DataType.INT64).outputs[0]
            most = self._make("Cast", [size], {"to": ir.DataType.INT32.value}, dtype=ir.DataType.INT32).outputs[0]
            size.shape = most.shape = ir.Shape([1])
        shape = value.shape
        least = self.namer.constant(f"{self.node.name}/none", np.array(0, np.int32))
        for op_type, bound in (("Max", least), ("Min", most)):  # a sequence of no steps, or less, has no end
            value = self._make(op_type, [value, bound], {}, dtype=ir.DataType.INT32).outputs[0]
            value.shape = shape
        return value

    def _weight(self, name: str, array: np.ndarray[Any, Any], dtype: ir.DataType) -> ir.Value:
        return self.namer.constant(name, array[None].astype(dtype.numpy()))

    def _start(self, state: State) -> ir.Value | None:
        """A loop variable before the first step, [1, batch, units]; None if that is zeros."""
        value = self.node.inputs[2 + state.index]
        if value is None or self._is_zero(value):
            return None
        dims = [] if value.shape is None else list(value.shape.dims)
        if (state.start, state.stop) != (0, dims[1]):
            numbers = [
                self.namer.constant(f"{self.node.name}/{what}", np.array([number]))
                for what, number in (("start", state.start), ("end", state.stop), ("axis", 1))
            ]
            value = self._make("Slice", [value, *numbers], {}).outputs[0]
            value.shape = ir.Shape([dims[0], state.stop - state.start])
        return self._unsqueezed(value)

    def _squeezed(self, value: ir.Value, axis: int) -> ir.Value:
        axes = self.namer.constant(f"{self.node.name}/axes", np.array([axis]))
        result = self._make("Squeeze", [value, axes], {}).outputs[0]
        assert value.shape is not None
        result.shape = ir.Shape([dim for place, dim in enumerate(value.shape.dims) if place != axis])
        return result

    def _finish(self) -> bool:
        """Replaces the loop's results."""
        count = len(self.after)
        picked = self._last_rows()
        rows: dict[ir.Value, ir.Value] = {node.outputs[0]: last for node, last in picked.items()}
        for output, scan in zip(self.node.outputs[count:], self.scans, strict=True):
            if output.is_graph_output() or any(use.node not in picked for use in output.uses()):
                found = self._rows(scan)
                if found is None:
                    return False
                rows[output] = found
        for index, output in enumerate(self.node.outputs[:count]):
            if output.uses() or output.is_graph_output():
                whole = self._whole(index)
                if whole is None:
                    return False
                rows[output] = whole
        for output, found in rows.items():
            self._replace(output, found)
        return True

    def _last_rows(self) -> dict[ir.Node, ir.Value]:
        """Nodes that pick the last row of all states of a kind, and the last state that they pick.

        The other rows aren't known, but of outputs.
        """
        found: dict[ir.Node, ir.Value] = {}
        if self.lengths.value is not None:
            return found
        states = {self.reader.going(after): state for state, after in self.parts.items()}
        for output, scan in zip(self.node.outputs[len(self.after) :], self.scans, strict=True):
            state = states.get(self.reader.going(scan))
            for use in output.uses() if state is not None else ():
                if use.idx == 0 and _picks_last_row(use.node):
                    assert state is not None
                    last = self.last[state]
                    found[use.node] = last if is_op(use.node, "Gather") else self._unsqueezed(last)
        return found

    def _unsqueezed(self, value: ir.Value) -> ir.Value:
        axes = self.namer.constant(f"{self.node.name}/axes", np.array([0]))
        result = self._make("Unsqueeze", [value, axes], {}).outputs[0]
        result.shape = None if value.shape is None else ir.Shape([1, *value.shape.dims])
        return result

    def _whole(self, index: int) -> ir.Value | None:
        """A loop variable after the last step; None if it isn't known."""
        if index in self.rows:
            row = self.reader.going(self.rows[index])
            states = [state for state, after in self.parts.items() if self.reader.going(after) is row]
            return self._unsqueezed(self.last[states[0]]) if states and self.lengths.value is None else None
        parts = [self.last[state] for state in sorted(self.last, key=lambda each: each.start) if state.index == index]
        if len(parts) == 1:
            return parts[0]
        return self._make("Concat", parts, {"axis": 1}).outputs[0]

    def _rows(self, value: ir.Value) -> ir.Value | None:
        """What the steps give, all at once: of cells' outputs, of the sequences, and of what is done with each row."""
        value = self.reader.going(value)
        found = self._sequence(value)
        if found is not None or value not in self.inside:
            return found
        node = value.producer()
        if not is_op(node, *_ROWWISE, "Dense") or node is None or value.shape is None or len(value.shape) != 2:
            return None
        inputs: list[ir.Value | None] = []
        for operand in node.inputs:
            same = operand is None or (operand not in self.inside and self.constants.is_constant(operand))
            row = operand if same else None if operand is None else self._rows(operand)
            if row is None and operand is not None:
                return None
            inputs.append(row)
        made = self._make(node.op_type, inputs, dict(node.attributes)).outputs[0]
        length = next(row.shape.dims[0] for row in inputs if row is not None and row.shape and len(row.shape) == 3)
        made.shape = ir.Shape([length, *value.shape.dims])
        return made

    def _replace(self, output: ir.Value, found: ir.Value) -> None:
        """Puts a result of the loop; zeros that were put after the last step are there already."""
        for use in list(output.uses()):
            result = use.node.outputs[0]
            if use.idx != 0 or result.shape is None or found.shape is None or len(result.shape) != len(found.shape):
                continue
            same = [same_dim(a, b) for a, b in zip(result.shape.dims, found.shape.dims, strict=True)]
            only_shaped = is_op(use.node, "Reshape") and all(same[1:])
            only_padded = is_op(use.node, "Pad") and same[0]
            if only_shaped or only_padded:
                self._replace(result, found)
        edit.replace(self.graph, output, found)

    def _make(
        self,
        op_type: str,
        inputs: Sequence[ir.Value | None],
        attributes: Mapping[str, Any],
        *,
        outputs: int = 1,
        dtype: ir.DataType | None = None,
    ) -> ir.Node:
        """A node in front of the loop, of the element type of its first input unless another is given."""
        node = ir.node(
            op_type,
            inputs,
            attributes,
            domain=domain_of(op_type),
            num_outputs=outputs,
            name=self.namer.node(str(self.node.name)),
            metadata_props=dict(self.node.metadata_props),
        )
        kind = inputs[0].dtype if dtype is None and inputs[0] is not None else dtype
        for output in node.outputs:
            output.name = self.namer.value(f"{self.node.name}/{op_type}")
            output.type = None if kind is None else ir.TensorType(kind)
        self.graph.insert_before(self.node, node)
        self.made.append(node)
        return node


def _of_same_size(value: ir.Value, axis: int) -> tuple[ir.Value, int]:
    """A tensor that a value has an axis from, as it is moved and reversed, and which axis that is there."""
    node = value.producer()
    while is_op(node, "Identity", "ReverseSequence", "Transpose") and node is not None and node.inputs[0] is not None:
        if node.op_type == "Transpose":
            axis = list(node.attributes["perm"].as_ints())[axis]
        value = node.inputs[0]
        node = value.producer()
    return value, axis


def _picks_last_row(node: ir.Node) -> bool:
    """Whether a node gives the last row of its first input."""
    numbers = [constant_array(value) for value in node.inputs[1:]]
    if is_op(node, "Gather"):
        axis = node.attributes["axis"].as_int() if "axis" in node.attributes else 0
        index = numbers[0]
        rows = None if node.inputs[0] is None or node.inputs[0].shape is None else node.inputs[0].shape[0]
        last = [-1, rows - 1] if isinstance(rows, int) else [-1]
        return axis == 0 and index is not None and index.ndim == 0 and int(index) in last
    if not is_op(node, "Slice"):
        return False
    given = dict(enumerate(numbers))
    starts, stops, axes, steps = (given.get(place) for place in range(4))
    if starts is None or stops is None or axes is None or axes.tolist() != [0] or starts.tolist() != [-1]:
        return False
    return (steps is None or steps.tolist() == [1]) and bool(stops[0] >= np.iinfo(np.int32).max)
