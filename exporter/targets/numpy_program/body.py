"""The nodes of a plan as statements: one for a layer with its activation; loops and conditions are Python's own."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from math import prod
from typing import Any

import numpy as np
import numpy.typing as npt

from exporter.targets.npz_bundle import ModelPlan, shape_of
from exporter.targets.numpy_program.names import Names
from exporter.targets.numpy_program.operators import FOLLOWERS, Operand, Used, expression
from exporter.targets.numpy_program.text import Text, call, literal, statement

__all__ = ["Body", "sizes_text"]

_Array = npt.NDArray[Any]
_Node = Mapping[str, Any]

_SMALL = 16
_NESTED = frozenset({"Add", "BatchNormalization", "Conv", "ConvTranspose", "Dense", "Gemm", "MatMul", "Mul", "Sub"})
_WITH_LITERALS = frozenset(
    {"Add", "Clip", "Div", "Equal", "Greater", "GreaterOrEqual", "Less", "LessOrEqual"}
    | {"Max", "Min", "Mul", "Pow", "Sub"}
)
_RESULTS = {"GRU": 2, "LSTM": 3, "LayerNormalization": 3, "RNN": 2, "TopK": 2, "Unique": 4}
_TUPLES = frozenset({*_RESULTS, "Split"})


class Body:
    """Turns nodes into lines; afterwards `weights` are the arrays that they read, by name, with their variables."""

    def __init__(self, plan: ModelPlan, names: Names, used: Used) -> None:
        self._plan = plan
        self._names = names
        self._used = used
        self._uses = _uses(plan)
        self._pending: dict[str, Text] = {}
        self._constants: dict[str, _Array] = {}
        self.weights: dict[str, str] = {}

    def lines(self, nodes: Sequence[_Node], indent: str) -> Iterator[str]:
        """The statements of nodes that follow one another."""
        readers = {name: node for node in nodes for name in node["inputs"]}
        for node in nodes:
            if node["op"] in ("If", "Loop", "Scan"):
                yield from getattr(self, f"_{node['op'].lower()}")(node, indent)
                continue
            inputs = [self._operand(name) for name in node["inputs"]]
            if node["op"] in _WITH_LITERALS:
                inputs = [self._with_literal(node["op"], x, inputs) for x in inputs]
            attributes = {key: self._attribute(value) for key, value in node["attributes"].items()}
            count = max(len(node["outputs"]), _RESULTS.get(node["op"], 1))
            text = expression(node["op"], inputs, attributes, count, self._used)
            out = node["outputs"][0]
            reader = readers.get(out)
            if self._uses[out] == 1 and reader and reader["op"] in FOLLOWERS and node["op"] in _NESTED:
                self._pending[out] = text
                continue
            used = [name for name in node["outputs"] if name and self._uses[name]]
            targets = [self.variable(name) if name in used else "_" for name in node["outputs"]]
            shapes = [sizes_text(self._plan.types.get(name, (None, None))[1]) for name in used]
            target = targets[0]
            if node["op"] in _TUPLES:
                targets += ["_"] * (_RESULTS.get(node["op"], 0) - len(targets))
                target = f"({target},)" if len(targets) == 1 else ", ".join(targets)
            yield from statement(target, text.code, "; ".join(shape for shape in shapes if shape), indent)

    def variable(self, name: str) -> str:
        """The variable that holds a value."""
        if name in self._plan.arrays and name not in self.weights:
            self.weights[name] = self._names.variable(name)
        return self._names.variable(name)

    def text(self, name: str) -> Text:
        """A value as an operand."""
        operand = self._operand(name)
        assert operand is not None
        return operand.text

    def _operand(self, name: str) -> Operand | None:
        if not name:
            return None
        dtype, sizes = self._plan.types.get(name, (None, None))
        constant = self._constant(name)
        if name in self._pending:
            return Operand(self._pending.pop(name), dtype, sizes)
        if constant is not None and constant.dtype.kind in "iub":
            return Operand(_array_text(constant), dtype, sizes, constant)
        return Operand(_Lazy(self, name), dtype, sizes, constant)

    def _constant(self, name: str) -> _Array | None:
        """The elements of a small constant."""
        held = self._plan.arrays.get(name)
        if held is None or prod(shape_of(held)) > _SMALL:
            return None
        if name not in self._constants:
            self._constants[name] = held if isinstance(held, np.ndarray) else held.numpy()
        return self._constants[name]

    def _with_literal(self, op: str, x: Operand | None, inputs: Sequence[Operand | None]) -> Operand | None:
        """A single number as a literal, where an array beside it decides about the element type and the shape."""
        if x is None or x.constant is None or x.constant.size != 1:
            return x
        others = [other for other in inputs if other is not None and other.constant is None]
        decided = any(other.dtype == x.dtype and (other.rank or 0) >= max(1, x.constant.ndim) for other in others)
        if op in ("Clip", "Pow"):  # a function of NumPy doesn't ask its arguments for their types, one of ours does
            given = [other for other in inputs if other is not None]
            whole = len(given) == len(inputs) == {"Clip": 3, "Pow": 2}[op]
            constant = op == "Pow" or all(other.constant is not None for other in given[1:])
            decided = decided and whole and constant
            decided = decided and given[0].is_float and bool(given[0].rank) and given[0].dtype == given[1].dtype
        if not decided:
            return x
        number = x.constant.reshape(-1)[0].item()
        return Operand(Text(literal(number), 4 if number >= 0 else 2), x.dtype, x.sizes, x.constant)

    def _attribute(self, value: Any) -> Any:
        if isinstance(value, dict) and "array" in value:
            constant = self._constant(value["array"])
            return Text(self.variable(value["array"])) if constant is None else _array_text(constant)
        return float(value["float"]) if isinstance(value, dict) and "float" in value else value

    def _if(self, node: _Node, indent: str) -> Iterator[str]:
        yield f"{indent}if {_truth(self.text(node['inputs'][0]))}:"
        for key in ("then_branch", "else_branch"):
            graph = node["attributes"][key]["graph"]
            yield from self.lines(graph["nodes"], f"{indent}    ")
            yield from self._moved(node["outputs"], [self.text(name) for name in graph["outputs"]], f"{indent}    ")
            if key == "then_branch":
                yield f"{indent}else:"

    def _loop(self, node: _Node, indent: str) -> Iterator[str]:
        """for, or while where a condition ends it; states are variables, scans lists that are stacked in the end."""
        count, condition, *initial = [*node["inputs"], "", ""][: max(2, len(node["inputs"]))]
        body = node["attributes"]["body"]["graph"]
        number, proceed, *state = body["inputs"]
        going, *results = body["outputs"]
        inner = f"{indent}    "
        yield from self._moved(state, [self.text(name) for name in initial], indent)
        scans = [self._names.new(f"{self._names.variable(out)}_steps") for out in node["outputs"][len(state) :] if out]
        outs = [out for out in node["outputs"][len(state) :] if out]
        taken = [name for name, out in zip(results[len(state) :], node["outputs"][len(state) :], strict=False) if out]
        yield from (f"{indent}{name}: list[np.ndarray] = []" for name in scans)
        step = self._names.new("step")
        limit = None if not count else f"int({self.text(count).code})"
        if self._is_true(condition) and (self._is_true(going) or going == proceed):
            yield f"{indent}for {step} in range({limit or '10**18'}):"
            end: list[str] = []
        else:
            more = self._names.new("going")
            yield f"{indent}{step}, {more} = 0, {_truth(self.text(condition)) if condition else 'True'}"
            yield f"{indent}while {more}{f' and {step} < {limit}' if limit else ''}:"
            end = [f"{inner}{step} += 1"]
        if self._uses[number]:
            yield f"{inner}{self.variable(number)} = np.array({step}, np.int64)"
        if self._uses[proceed] and (end or going != proceed):
            yield f"{inner}{self.variable(proceed)} = np.array(True)"
        yield from self.lines(body["nodes"], inner)
        yield from (f"{inner}{name}.append({self.text(value)})" for name, value in zip(scans, taken, strict=True))
        if end:
            yield f"{inner}{more} = {_truth(self.text(going))}"
        yield from self._moved(state, [self.text(name) for name in results[: len(state)]], inner)
        yield from end
        yield from self._moved(node["outputs"][: len(state)], [Text(self.variable(name)) for name in state], indent)
        for out, name in zip(outs, scans, strict=True):
            yield f"{indent}{self.variable(out)} = np.stack({name}) if {name} else np.zeros(0, np.float32)"

    def _scan(self, node: _Node, indent: str) -> Iterator[str]:
        attributes, inner = node["attributes"], f"{indent}    "
        body = attributes["body"]["graph"]
        scanned = attributes["num_scan_inputs"]
        states = len(node["inputs"]) - scanned
        columns: list[str] = []
        for i, name in enumerate(node["inputs"][states:]):
            column = f"np.moveaxis({self.text(name)}, {_entry(attributes, 'scan_input_axes', i)}, 0)"
            columns.append(f"{column}[::-1]" if _entry(attributes, "scan_input_directions", i) else column)
        yield from self._moved(body["inputs"][:states], [self.text(x) for x in node["inputs"][:states]], indent)
        outs = node["outputs"][states:]
        lists = [self._names.new(f"{self._names.variable(out) if out else 'unused'}_steps") for out in outs]
        yield from (f"{indent}{name}: list[np.ndarray] = []" for name in lists)
        targets = [self.variable(name) for name in body["inputs"][states:]]
        yield f"{indent}for {', '.join(targets)}{',' if len(targets) == 1 else ''} in zip({', '.join(columns)}):"
        yield from self.lines(body["nodes"], inner)
        for name, value in zip(lists, body["outputs"][states:], strict=True):
            yield f"{inner}{name}.append({self.text(value)})"
        yield from self._moved(body["inputs"][:states], [self.text(x) for x in body["outputs"][:states]], inner)
        yield from self._moved(node["outputs"][:states], [self.text(x) for x in body["inputs"][:states]], indent)
        for i, (out, name) in enumerate(zip(outs, lists, strict=True)):
            if out:
                order = "[::-1]" if _entry(attributes, "scan_output_directions", i) else ""
                axis = _entry(attributes, "scan_output_axes", i)
                yield f"{indent}{self.variable(out)} = np.moveaxis(np.stack({name}{order}), 0, {axis})"

    def _is_true(self, name: str) -> bool:
        constant = self._constant(name) if name else None
        return not name or (constant is not None and bool(constant.reshape(-1)[0]))

    def _moved(self, names: Sequence[str], values: Sequence[Text], indent: str) -> Iterator[str]:
        """Assignments that happen at the same time."""
        pairs = [(self.variable(name), value.code) for name, value in zip(names, values, strict=True) if name]
        pairs = [(name, value) for name, value in pairs if name != value]
        if pairs:
            yield from statement(", ".join(a for a, _ in pairs), ", ".join(b for _, b in pairs), "", indent)
        elif not indent.strip() and not names:
            yield f"{indent}pass"


class _Lazy(Text):
    """The variable of a value, which counts as read only when it is written."""

    def __init__(self, body: Body, name: str) -> None:
        object.__setattr__(self, "_body", body)
        object.__setattr__(self, "_name", name)
        object.__setattr__(self, "level", 4)

    @property
    def code(self) -> str:
        body: Body = object.__getattribute__(self, "_body")
        return body.variable(object.__getattribute__(self, "_name"))


def _array_text(array: _Array) -> Text:
    kind = "np.bool_" if array.dtype.kind == "b" else f"np.{array.dtype.name}"
    return call("np.array", literal(array.tolist()), kind)


def _truth(text: Text) -> str:
    return f"bool({text.code})"


def _entry(attributes: Mapping[str, Any], key: str, index: int) -> int:
    values = attributes.get(key)
    return int(values[index]) if values else 0


def sizes_text(sizes: Sequence[int | str | None] | None) -> str:
    """`[N, 28, 28, 1]`."""
    return "" if sizes is None else f"[{', '.join('?' if size is None else str(size) for size in sizes)}]"


def _uses(plan: ModelPlan) -> Counter[str]:
    """How often each value is read."""
    found = Counter(value["name"] for value in plan.outputs)

    def count(nodes: Sequence[_Node]) -> None:
        for node in nodes:
            found.update(node["inputs"])
            for value in node["attributes"].values():
                if isinstance(value, dict) and "graph" in value:
                    found.update(value["graph"]["outputs"])
                    count(value["graph"]["nodes"])

    count(plan.nodes)
    return found
