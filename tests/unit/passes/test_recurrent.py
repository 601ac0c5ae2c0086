"""Loops that are recurrent layers become LSTM, GRU and RNN, and nothing else does."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import onnx_ir as ir
import pytest

from exporter.ir import edit
from exporter.ir.builder import Builder
from exporter.ir.evaluate import evaluate
from exporter.passes.recurrent.layers import find_recurrent_layers

TIME, BATCH, WIDTH, UNITS = 5, 3, 2, 4

_random = np.random.default_rng(11)
_INPUT = {gates: _random.standard_normal((WIDTH, gates * UNITS)) for gates in (1, 2, 3, 4)}
_RECURRENT = {gates: _random.standard_normal((UNITS, gates * UNITS)) for gates in (1, 2, 3, 4)}
_BIAS = _random.standard_normal(4 * UNITS)
_FEEDS: dict[str, Any] = {
    "x": _random.standard_normal((TIME, BATCH, WIDTH)),
    "h": _random.standard_normal((BATCH, UNITS)),
    "c": _random.standard_normal((BATCH, UNITS)),
    "lengths": np.array([5, 0, 3], np.int64),
}

Step = Callable[[Builder, ir.Value, Sequence[ir.Value]], list[ir.Value]]


def _gates(b: Builder, x: ir.Value, h: ir.Value, count: int) -> ir.Value:
    """Gates with one matrix for both, as TensorFlow 1 has them."""
    matrix = b.constant(np.concatenate([_INPUT[count], _RECURRENT[count]]))
    y = b.op("Dense", b.op("Concat", x, h, axis=1), matrix)
    return b.op("Add", y, b.constant(_BIAS[: count * UNITS]))


def _lstm(b: Builder, x: ir.Value, states: Sequence[ir.Value], *, peephole: bool = False, odd: bool = False) -> Any:
    h, c = states
    i, g, f, o = b.op_n("Split", 4, _gates(b, x, h, 4), axis=1, num_outputs=4)
    f = b.op("Add", f, b.constant(np.array(1.0)))
    if peephole:
        i = b.op("Add", i, b.op("Mul", b.constant(_BIAS[:UNITS]), c))
        f = b.op("Add", f, b.op("Mul", c, b.constant(_BIAS[4:8])))
    kept = b.op("Mul", b.op("HardSigmoid" if odd else "Sigmoid", f), c)
    after = b.op("Add", kept, b.op("Mul", b.op("Sigmoid", i), b.op("Tanh", g)))
    if peephole:
        o = b.op("Add", o, b.op("Mul", after, b.constant(_BIAS[8:12])))
    return [b.op("Mul", b.op("Sigmoid", o), b.op("Tanh", after)), after]


def _gru(b: Builder, x: ir.Value, states: Sequence[ir.Value], *, odd: bool = False) -> list[ir.Value]:
    """The reset gate before the matrix; z h + (1 - z) n."""
    h = states[0]
    r, z = b.op_n("Split", 2, b.op("Sigmoid", _gates(b, x, h, 2)), axis=1, num_outputs=2)
    n = b.op("Relu", _gates(b, x, b.op("Mul", r, h), 1))
    rest = b.op("Sub", b.constant(np.array(2.0 if odd else 1.0)), z)
    return [b.op("Add", b.op("Mul", z, h), b.op("Mul", rest, n))]


def _gru_after(b: Builder, x: ir.Value, states: Sequence[ir.Value]) -> list[ir.Value]:
    """The reset gate after the matrix and its bias, as Keras has it since version 2."""
    h = states[0]
    given = b.op_n("Split", 3, b.op("Dense", x, b.constant(_INPUT[3])), axis=1, num_outputs=3)
    recurrent = b.op("Add", b.op("Dense", h, b.constant(_RECURRENT[3])), b.constant(_BIAS[: 3 * UNITS]))
    inner = b.op_n("Split", 3, recurrent, axis=1, num_outputs=3)
    z, r = (b.op("Sigmoid", b.op("Add", given[k], inner[k])) for k in (0, 1))
    n = b.op("Tanh", b.op("Add", given[2], b.op("Mul", r, inner[2])))
    return [b.op("Add", b.op("Mul", z, h), b.op("Mul", b.op("Sub", b.constant(np.array(1.0)), z), n))]


def _rnn(b: Builder, x: ir.Value, states: Sequence[ir.Value]) -> list[ir.Value]:
    """Both are multiplied by ones, which dropout leaves behind."""
    x, h = (b.op("Mul", v, b.op("ConstantOfShape", b.op("Shape", v), value=np.ones(1))) for v in (x, states[0]))
    return [b.op("Tanh", _gates(b, x, h, 1))]


def _stacked(b: Builder, x: ir.Value, states: Sequence[ir.Value]) -> list[ir.Value]:
    """The second cell sees what the first gives."""
    first, matrix = b.op("Tanh", _gates(b, x, states[0], 1)), b.constant(_RECURRENT[1])
    second = b.op("Tanh", b.op("Add", b.op("Dense", first, matrix), b.op("Dense", states[1], matrix)))
    return [first, second]


def _model(step: Step, count: int, *, lengths: bool = False, steps: int | None = None, odd: bool = False) -> ir.Model:
    """A loop over a sequence [T, N, W]; all outputs and the last states come out of it."""
    b = Builder("loop")
    x = b.input("x", ir.DataType.DOUBLE, ["T", "N", WIDTH])
    initial = [b.input(name, ir.DataType.DOUBLE, ["N", UNITS]) for name in ("h", "c")[:count]]
    ends = b.input("lengths", ir.DataType.INT64, ["N"]) if lengths else None
    empty = b.constant(np.zeros(0, np.int64))
    trips = b.constant(np.array(steps)) if steps else b.op("Reshape", b.op("Shape", x, start=0, end=1), empty)
    going = b.constant(np.array(True))
    with b.body("body") as body:
        number = b.body_input("step", ir.DataType.INT64, ())
        b.body_input("going", ir.DataType.BOOL, ())
        states = [b.body_input(f"{v.name}/before", ir.DataType.DOUBLE, (ir.SymbolicDim("N"), UNITS)) for v in initial]
        after = step(b, b.op("Gather", x, number, axis=0), states)
        output = after[0]
        if ends is not None:
            over = b.op("GreaterOrEqual", number, ends)
            over = b.op("Unsqueeze", b.op("Not", over) if odd else over, b.constant(np.array([1])))
            zeros = b.constant(np.zeros((1, UNITS)))
            output = b.op("Where", over, zeros, output)
            after = [b.op("Where", over, old, new) for old, new in zip(states, after, strict=True)]
        b.body_outputs([going, *after, output])
    results = b.loop(trips, going, initial, body)
    return b.finish({f"y{i}": value for i, value in enumerate(results)})


def _ops(model: ir.Model) -> list[str]:
    return [node.op_type for node in model.graph if node.op_type in ("GRU", "LSTM", "Loop", "RNN")]


CASES: dict[str, tuple[Step, int, list[str]]] = {
    "lstm": (_lstm, 2, ["LSTM"]),
    "peepholes": (lambda b, x, s: _lstm(b, x, s, peephole=True), 2, ["LSTM"]),
    "gru": (_gru, 1, ["GRU"]),
    "gru_after": (_gru_after, 1, ["GRU"]),
    "rnn": (_rnn, 1, ["RNN"]),
    "stacked": (_stacked, 2, ["RNN", "RNN"]),
}


@pytest.mark.parametrize("lengths", [False, True])
@pytest.mark.parametrize("name", CASES)
def test_layers_are_found(name: str, lengths: bool) -> None:
    """The same numbers, of all steps and the last states, also where sequences end early or at once."""
    step, count, expected = CASES[name]
    model = _model(step, count, lengths=lengths)
    feeds = {str(value.name): _FEEDS[str(value.name)] for value in model.graph.inputs}
    before = evaluate(model, feeds)
    find_recurrent_layers(model, ir.DataType.DOUBLE)
    edit.check(model)
    assert _ops(model) == expected
    after = evaluate(model, feeds)
    for key, array in before.items():
        np.testing.assert_allclose(after[key], array, rtol=0, atol=1e-12)
        assert np.abs(array).max() > 1e-3


def test_lengths_past_the_sequence_are_its_end() -> None:
    """A length may be larger than there are steps, which ONNX's op doesn't take."""
    model = _model(_lstm, 2, lengths=True)
    feeds = {str(value.name): _FEEDS[str(value.name)] for value in model.graph.inputs}
    feeds["lengths"] = np.array([9, 2, 5], np.int64)
    before = evaluate(model, feeds)
    find_recurrent_layers(model, ir.DataType.DOUBLE)
    (node,) = (node for node in model.graph if node.op_type == "LSTM")
    bounded = None if node.inputs[4] is None else node.inputs[4].producer()
    assert bounded is not None and bounded.op_type == "Min"
    for key, array in evaluate(model, feeds).items():
        np.testing.assert_allclose(array, before[key], rtol=0, atol=1e-12)


@pytest.mark.parametrize(
    "model",
    [
        _model(lambda b, x, s: _lstm(b, x, s, odd=True), 2),
        _model(lambda b, x, s: _gru(b, x, s, odd=True), 1),
        _model(_lstm, 2, steps=TIME - 2),
        _model(_lstm, 2, lengths=True, odd=True),
    ],
    ids=["gates of different functions", "not a blend", "fewer steps than rows", "begins late"],
)
def test_others_stay_loops(model: ir.Model) -> None:
    """What looks like a layer and isn't one is left as it is, to the node."""
    before = [node.op_type for node in model.graph.all_nodes()]
    find_recurrent_layers(model, ir.DataType.DOUBLE)
    edit.check(model)
    assert [node.op_type for node in model.graph.all_nodes()] == before


def test_loops_of_doubles_stay_loops() -> None:
    """Unless they are asked for: onnxruntime has no recurrent kernels of float64, and runs the loops."""
    model = _model(_lstm, 2)
    find_recurrent_layers(model)
    assert _ops(model) == ["Loop"]
