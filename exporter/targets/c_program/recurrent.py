"""LSTM, GRU and RNN: each sequence by itself, step after step, its state and its gates in working memory."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from exporter.targets.c_program.call import Call
from exporter.targets.c_program.elementwise import activation
from exporter.targets.c_program.loops import index
from exporter.targets.c_program.specialise import Fixed, Op

__all__ = ["RECURRENT", "recurrent_scratch"]

_Array = npt.NDArray[Any]

_CELLS = {"GRU": (3, 1), "LSTM": (4, 2), "RNN": (1, 1)}
"""Gates and states."""
_USUAL = {"GRU": ("Sigmoid", "Tanh"), "LSTM": ("Sigmoid", "Tanh", "Tanh"), "RNN": ("Tanh",)}
_TAKE_ALPHA = ("LeakyRelu", "ThresholdedRelu", "HardSigmoid", "Elu")
_BACKWARDS = {"forward": (False,), "reverse": (True,), "bidirectional": (False, True)}


def recurrent_scratch(op: Op, fixed: Fixed) -> int:
    """Floats for the states, the gates and, of a GRU, for what its reset gate is applied to."""
    gates, states = _CELLS[op.op]
    units: int = fixed.shapes[op.inputs[2]][-1]
    return units * (gates + states + int(op.op == "GRU"))


@dataclass(frozen=True)
class _Way:
    """One direction of a layer: its number, its order, its arrays and activations, for a call.

    Attributes:
        w, r: What the input and the state are multiplied by, [inputs, gates * units] and [units, gates * units].
        b, rb: What is added for the input and for the state, [gates * units].
        peepholes: [3 * units] for an LSTM's gates i, o and f.
        functions: C expressions of `{x}`.
    """

    call: Call
    number: int
    backwards: bool
    w: _Array
    r: _Array
    b: _Array
    rb: _Array
    peepholes: _Array | None
    functions: Sequence[str]

    @property
    def units(self) -> int:
        """How many there are."""
        return int(self.r.shape[0])

    def function(self, number: int, name: str, value: str) -> list[str]:
        """A variable with an activation's result."""
        text = self.functions[number]
        if text.count("{x}") == 1:
            return [f"const float {name} = {text.format(x=f'({value})')};"]
        return [f"const float {name}_ = {value};", f"const float {name} = {text.format(x=f'{name}_')};"]

    def product(self, vector: str, step: int, matrix: _Array, target: str) -> str:
        """Adds a vector times a matrix."""
        n, m = matrix.shape
        where = self.call.store(np.ascontiguousarray(matrix))
        return f"{self.call.prefix}_accumulate({vector}, {step}, {n}, {where}, {m}, {target});"


def _ways(call: Call) -> Iterator[_Way]:
    a, op = call.op.attributes, call.op.op
    w, r, b, p = (call.constant(i) for i in (1, 2, 3, 7))
    if w is None or r is None or (call.has(3) and b is None) or (call.has(7) and p is None):
        raise NotImplementedError
    if a.get("clip") or call.element(0).name != "float32":
        raise NotImplementedError
    count = w.shape[1]
    b = np.zeros((len(w), 2 * count), np.float32) if b is None else b
    usual = _USUAL[op]
    names = list(a.get("activations") or usual * len(w))
    functions = _functions(names, a.get("activation_alpha") or [], a.get("activation_beta") or [])
    for number, backwards in enumerate(_BACKWARDS[a.get("direction", "forward")]):
        own = functions[number * len(usual) : (number + 1) * len(usual)]
        peepholes = None if p is None else p[number]
        yield _Way(
            call, number, backwards, w[number].T, r[number].T, b[number, :count], b[number, count:], peepholes, own
        )


def _functions(names: Sequence[str], alphas: Sequence[float], betas: Sequence[float]) -> list[str]:
    """The expressions by name; alphas and betas are handed out in order to those that take one."""
    left, right = list(alphas), list(betas)
    found = []
    for name in names:
        given: dict[str, float] = {}
        if name in _TAKE_ALPHA and left:
            given["alpha"] = left.pop(0)
        if name == "HardSigmoid" and right:
            given["beta"] = right.pop(0)
        found.append(activation(name, given))
    return found


def _lstm(way: _Way) -> tuple[list[str], list[str]]:
    """What is done for all units of a step, and for each: gates i, o, f, c."""
    n, call = way.units, way.call

    def peephole(number: int) -> str:
        if way.peepholes is None:
            return ""
        return f" + ({call.store(way.peepholes[number * n : (number + 1) * n])})[j] * c[j]"

    forget = way.function(0, "forget", f"g[{2 * n} + j]{peephole(2)}")
    each = [
        *way.function(0, "in", f"g[j]{peephole(0)}"),
        *(["const float forget = 1.0f - in;"] if call.op.attributes.get("input_forget") else forget),
        *way.function(1, "new", f"g[{3 * n} + j]"),
        "const float cell = forget * c[j] + in * new;",
        *way.function(0, "out", f"g[{n} + j]{peephole(1).replace('c[j]', 'cell')}"),
        *way.function(2, "shown", "cell"),
        "c[j] = cell;",
        "h[j] = out * shown;",
    ]
    return [*_start(way, way.b + way.rb), way.product("h", 1, way.r, "g")], each


def _gru(way: _Way) -> tuple[list[str], list[str]]:
    """Gates z, r, n; the reset gate is applied before or after the product with the matrix."""
    n, call = way.units, way.call
    after = bool(call.op.attributes.get("linear_before_reset", 0))
    bias = way.b + way.rb
    if after:
        bias = np.concatenate([bias[: 2 * n], way.b[2 * n :]])
    gates = [
        f"for (int j = 0; j < {n}; j++) {{",
        *("    " + line for line in way.function(0, "keep", "g[j]")),
        *("    " + line for line in way.function(0, "reset", f"g[{n} + j]")),
        "    g[j] = keep;",
        f"    {'q[j] *= reset' if after else 'q[j] = reset * h[j]'};",
        "}",
    ]
    lines = [*_start(way, bias), way.product("h", 1, way.r[:, : 2 * n], "g")]
    if after:
        lines.append(f"memcpy(q, {call.store(way.rb[2 * n :])}, {n} * sizeof(float));")
        lines.append(way.product("h", 1, way.r[:, 2 * n :], "q"))
    lines += gates
    if not after:
        lines.append(way.product("q", 1, way.r[:, 2 * n :], f"g + {2 * n}"))
    value = f"g[{2 * n} + j] + q[j]" if after else f"g[{2 * n} + j]"
    return lines, [*way.function(1, "new", value), "h[j] = (1.0f - g[j]) * new + g[j] * h[j];"]


def _rnn(way: _Way) -> tuple[list[str], list[str]]:
    lines = [*_start(way, way.b + way.rb), way.product("h", 1, way.r, "g")]
    return lines, [*way.function(0, "new", "g[j]"), "h[j] = new;"]


def _start(way: _Way, bias: _Array) -> list[str]:
    """The gates of a step begin as the bias and what the input gives."""
    x, tensor = way.call.x[0]
    time, batch = (1, 0) if way.call.op.attributes.get("layout", 0) else (0, 1)
    where = index([tensor.strides[time], tensor.strides[batch]], 0, ["at", "i"])
    return [
        f"memcpy(g, {way.call.store(bias)}, {bias.size} * sizeof(float));",
        way.product(f"{x} + {where}", tensor.strides[2], way.w, "g"),
    ]


_STEPS: dict[str, Callable[[_Way], tuple[list[str], list[str]]]] = {"GRU": _gru, "LSTM": _lstm, "RNN": _rnn}


def _recurrent(call: Call) -> list[str]:
    return [line for way in _ways(call) for line in _one_way(call, way)]


def _one_way(call: Call, way: _Way) -> list[str]:
    x, n, layout = call.x[0][1], way.units, call.op.attributes.get("layout", 0)
    steps, batch = (x.shape[1], x.shape[0]) if layout else x.shape[:2]
    gates, states = _CELLS[call.op.op]
    names = ["h", "c"][:states]
    before, each = _STEPS[call.op.op](way)
    rooms = [f"*{name} = s{f' + {i * n}' if i else ''}" for i, name in enumerate(names)]
    rooms += [f"*g = s + {states * n}", *([f"*q = s + {(gates + states) * n}"] if call.op.op == "GRU" else [])]
    step = [
        f"const int at = {'length - 1 - t' if way.backwards else 't'};",
        *before,
        f"for (int j = 0; j < {n}; j++) {{",
        *("    " + line for line in each),
        *(f"    {line}" for line in _shown(call, way, "at", "h[j]")),
        "}",
    ]
    body = [
        f"float {', '.join(rooms)};",
        *_length(call, steps),
        f"for (int j = 0; j < {n}; j++) {{",
        *(f"    {name}[j] = {_initial(call, way, i)};" for i, name in enumerate(names)),
        "}",
        "for (int t = 0; t < length; t++) {",
        *("    " + line for line in step),
        "}",
        *_rest(call, way, steps),
        *(line for i, name in enumerate(names, 1) for line in _last(call, way, i, name)),
    ]
    return [f"    for (int i = 0; i < {batch}; i++) {{", *("        " + line for line in body), "    }"]


def _length(call: Call, steps: int) -> list[str]:
    """How many steps the sequence has."""
    if not call.has(4):
        return [f"const int length = {steps};"]
    lengths, _, strides = call.operand(4)
    return [
        f"const int given = (int){lengths}[i * {strides[0]}];",
        f"const int length = given < 0 ? 0 : given > {steps} ? {steps} : given;",
    ]


def _initial(call: Call, way: _Way, number: int) -> str:
    if not call.has(5 + number):
        return "0.0f"
    name, _, strides = call.operand(5 + number)
    direction, batch = (1, 0) if call.op.attributes.get("layout", 0) else (0, 1)
    where = index([strides[batch], strides[2]], way.number * strides[direction], ["i", "j"])
    return f"{name}[{where}]"


def _shown(call: Call, way: _Way, time: str, value: str) -> list[str]:
    """A step's result among all steps'."""
    if 0 not in call.made:
        return []
    name, y = call.made[0]
    t, d, b = (1, 2, 0) if call.op.attributes.get("layout", 0) else (0, 1, 2)
    where = index([y.strides[t], y.strides[b], y.strides[3]], way.number * y.strides[d], [time, "i", "j"])
    return [f"{name}[{where}] = {value};"]


def _rest(call: Call, way: _Way, steps: int) -> list[str]:
    """Zeros for the steps that a sequence hasn't."""
    if not call.has(4) or 0 not in call.made:
        return []
    zeros = f"for (int j = 0; j < {way.units}; j++) {_shown(call, way, 't', '0.0f')[0]}"
    return [f"for (int t = length; t < {steps}; t++) {zeros}"]


def _last(call: Call, way: _Way, number: int, state: str) -> list[str]:
    """A state after the last step."""
    if number not in call.made:
        return []
    name, y = call.made[number]
    d, b = (1, 0) if call.op.attributes.get("layout", 0) else (0, 1)
    where = index([y.strides[b], y.strides[2]], way.number * y.strides[d], ["i", "j"])
    return [f"for (int j = 0; j < {way.units}; j++) {name}[{where}] = {state}[j];"]


RECURRENT: dict[str, Callable[[Call], list[str]]] = dict.fromkeys(_CELLS, _recurrent)
"""The code of each op's body; NotImplementedError for a form that isn't there."""
