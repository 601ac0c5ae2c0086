"""Every kind of layer in C: one program computes them all, and each gives what the runtime's kernel gives."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from exporter.targets.c_program.folder import c_files
from exporter.targets.npz_bundle import ModelPlan
from runtime import Probe
from tests.unit.runtime.test_kernels_onnxruntime import Case, f32, i64
from tests.unit.targets.c_builds import SANITIZED, built, needs, written
from tests.unit.targets.programs import one_node

Array = npt.NDArray[Any]

X = f32(1, 7, 6, 5)
IDS = np.array([[4, 0, -1], [2, 2, 1]], np.int32)
WHOLE = np.array([[7, -7, 0, 2**31 - 1], [5, -3, -(2**31), 12]], np.int32)
LONG = np.array([[7, -7, 0, 2**40], [5, -3, 9, 12]], np.int64)
TRUE = np.array([[True, False, True, True], [False, False, True, False]])
HOLED = np.where(np.arange(20).reshape(4, 5) % 7 == 3, np.float32(np.nan), f32(4, 5))
LSTM = [f32(6, 2, 3), f32(1, 16, 3), f32(1, 16, 4), f32(1, 32)]
LSTM_2 = [f32(6, 2, 3), f32(2, 16, 3), f32(2, 16, 4), f32(2, 32)]
GRU_2 = [f32(6, 2, 3), f32(2, 12, 3), f32(2, 12, 4), f32(2, 24)]
LENGTHS = np.array([6, 3], np.int32)

KINDS: list[tuple[Case, tuple[int, ...]]] = [
    (Case("LSTM", [*LSTM, None, f32(1, 2, 4), f32(1, 2, 4), f32(1, 12)], {"hidden_size": 4}, 3), (1, 2, 3, 7)),
    (Case("LSTM", LSTM_2, {"hidden_size": 4, "direction": "bidirectional"}, 3), (1, 2, 3)),
    (Case("LSTM", [*LSTM, LENGTHS], {"hidden_size": 4, "direction": "reverse"}, 3), (1, 2, 3, 4)),
    (Case("LSTM", LSTM, {"hidden_size": 4, "activations": ["HardSigmoid", "Relu", "Softsign"]}, 1), (1, 2, 3)),
    (Case("LSTM", LSTM[:3], {"hidden_size": 4, "input_forget": 1}, 1), (1, 2)),
    (Case("GRU", [*GRU_2, LENGTHS], {"hidden_size": 4, "direction": "bidirectional"}, 2), (1, 2, 3)),
    (Case("GRU", GRU_2, {"hidden_size": 4, "direction": "bidirectional", "linear_before_reset": 1}, 2), (1, 2, 3)),
    (Case("RNN", [f32(5, 2, 3), f32(1, 4, 3), f32(1, 4, 4), f32(1, 8)], {"hidden_size": 4}, 2), (1, 2, 3)),
    (Case("RNN", [f32(2, 5, 3), f32(1, 4, 3), f32(1, 4, 4)], {"hidden_size": 4, "layout": 1}, 2), (1, 2)),
    (Case("Gather", [f32(5, 3), IDS]), (0,)),
    (Case("Gather", [X, IDS], {"axis": 3}), ()),
    (Case("Gather", [X, np.array(2)], {"axis": -2}), (1,)),
    (Case("GatherElements", [f32(3, 3), i64(2, 0, -1).reshape(1, 3)], {"axis": 0}), ()),
    (Case("GatherND", [X, i64(0, 1, 0, -2).reshape(2, 2)]), ()),
    (Case("GatherND", [f32(2, 3, 4), i64(1, -1).reshape(2, 1)], {"batch_dims": 1}), (1,)),
    (Case("ScatterND", [f32(4, 3), i64(1, -1, 1).reshape(3, 1), f32(3, 3)], {"reduction": "add"}), ()),
    (Case("ScatterElements", [f32(4, 3), i64(1, -1, 0).reshape(1, 3), f32(1, 3)]), ()),
    (Case("OneHot", [IDS, np.array(5), np.array([-1, 2], np.float32)], {"axis": 1}), (1, 2)),
    (Case("ArgMax", [X], {"axis": 3, "keepdims": 0}), ()),
    (Case("ArgMin", [HOLED], {"axis": -1, "select_last_index": 0}), ()),
    (Case("ArgMax", [WHOLE], {"axis": 0, "select_last_index": 1}), ()),
    (Case("TopK", [X, i64(3)], {"axis": 2}, 2), (1,)),
    (Case("TopK", [WHOLE, i64(2)], {"axis": 1, "largest": 0}, 2), (1,)),
    (Case("CumSum", [X, np.array(1)], {"exclusive": 1, "reverse": 1}), (1,)),
    (Case("CumSum", [WHOLE, np.array(1)]), (1,)),
    (Case("Trilu", [f32(3, 4), np.array(1)], {"upper": 0}), (1,)),
    (Case("ReverseSequence", [f32(4, 2, 3), i64(4, 2)]), ()),
    (Case("Hardmax", [X], {"axis": 2}), ()),
    (Case("Where", [TRUE, f32(2, 4), f32(4)]), (2,)),
    (Case("Equal", [WHOLE, np.array([7, -7, 1, 12], np.int32)]), (1,)),
    (Case("Less", [f32(3, 4), f32(4)]), ()),
    (Case("GreaterOrEqual", [X, np.array(0.25, np.float32)]), (1,)),
    (Case("And", [TRUE, ~TRUE[:1]]), ()),
    (Case("Xor", [TRUE, ~TRUE[:1]]), ()),
    (Case("Not", [TRUE]), ()),
    (Case("IsNaN", [HOLED]), ()),
    (Case("IsInf", [np.array([1, np.inf, -np.inf], np.float32)], {"detect_negative": 0}), ()),
    (Case("Cast", [WHOLE], {"to": 1}), ()),
    (Case("Cast", [f32(3, 4, scale=9)], {"to": 7}), ()),
    (Case("Cast", [f32(3, 4, scale=9)], {"to": 9}), ()),
    (Case("Cast", [LONG], {"to": 6}), ()),
    (Case("Cast", [TRUE], {"to": 1}), ()),
    (Case("Cast", [np.arange(256, dtype=np.uint8)], {"to": 1}), ()),
    (Case("Add", [WHOLE, np.array(2, np.int32)]), (1,)),
    (Case("Mul", [WHOLE, WHOLE[:1]]), ()),
    (Case("Sub", [LONG, LONG[:1]]), ()),
    (Case("Div", [WHOLE, np.array([2, 3, -4, 5], np.int32)]), (1,)),
    (Case("Mod", [WHOLE, np.array([2, 3, -4, 5], np.int32)]), (1,)),
    (Case("Mod", [f32(3, 4), f32(4)], {"fmod": 1}), ()),
    (Case("Neg", [LONG]), ()),
    (Case("Abs", [LONG]), ()),
    (Case("Max", [WHOLE, np.array(1, np.int32)]), (1,)),
    (Case("Max", [HOLED, HOLED[::-1].copy()]), ()),
    (Case("Clip", [HOLED, np.array(-0.5, np.float32), np.array(0.5, np.float32)]), ()),
    (Case("BitwiseAnd", [WHOLE, np.array(6, np.int32)]), (1,)),
    (Case("ReduceMax", [HOLED, i64(1)], {"keepdims": 0}), (1,)),
    (Case("ReduceMin", [WHOLE, i64(0)]), (1,)),
    (Case("ReduceSum", [LONG, i64(1)]), (1,)),
    (Case("ReduceMean", [LONG]), ()),
    (Case("ReduceSum", [X, i64(1, 3)]), (1,)),
    (Case("ReduceMean", [f32(2, 5, 4, 37), i64(1, 2)], {"keepdims": 0}), (1,)),
    (Case("ReduceL2", [f32(3, 20), i64(0)]), (1,)),
    (Case("ReduceLogSumExp", [f32(3, 5, scale=40), i64(1)], {"keepdims": 0}), (1,)),
    (Case("ReduceLogSum", [np.abs(f32(3, 5)), i64(1)]), (1,)),
    (Case("Conv", [f32(1, 4, 5, 6, 3), f32(2, 3, 2, 3, 4), f32(4)], {"pads": [1, 1, 0, 0, 1, 1]}), (1, 2)),
    (Case("Conv", [f32(1, 4, 5, 6, 4), f32(2, 3, 2, 2, 6)], {"strides": [2, 1, 2], "group": 2}), (1,)),
    (Case("Conv", [X, f32(3, 2, 5, 4)], {"pads": [1, 0, 1, 1]}), ()),
    (Case("Conv", [f32(2, 9, 3), f32(3, 3, 7), f32(7)], {"pads": [2, 0], "dilations": [2]}), (1, 2)),
    (Case("ConvTranspose", [f32(1, 3, 4, 6), f32(3, 2, 2, 6), f32(6)], {"strides": [2, 2], "group": 3}), (1, 2)),
    (Case("ConvTranspose", [f32(1, 2, 3, 2, 3), f32(2, 2, 2, 4, 3)], {"strides": [2, 1, 2]}), (1,)),
    (Case("MaxPool", [f32(1, 4, 5, 6, 3)], {"kernel_shape": [2, 2, 3], "strides": [2, 1, 2]}), ()),
    (Case("AveragePool", [f32(1, 4, 5, 6, 3)], {"kernel_shape": [2, 2, 3], "pads": [1, 0, 1, 0, 1, 1]}), ()),
    (Case("Resize", [f32(1, 2, 3, 4, 2), None, None, i64(1, 4, 3, 8, 2)], {"mode": "nearest"}), (3,)),
    (Case("Dense", [f32(2, 3, 4, 5, 6), f32(6, 7), f32(7)]), (1, 2)),
    (Case("Dense", [f32(2, 6), f32(6, 7), f32(7)]), ()),
    (Case("MatMul", [f32(2, 1, 3, 4), f32(5, 4, 6)]), (1,)),
    (Case("MatMul", [f32(4), f32(5, 4, 6)]), ()),
    (Case("MatMul", [f32(5, 3, 4), f32(4)]), ()),
    (Case("Gemm", [f32(4, 3), f32(6, 4), f32(6)], {"transA": 1, "transB": 1, "alpha": 0.5, "beta": 2.0}), ()),
    (Case("Transpose", [WHOLE]), ()),
    (Case("Concat", [LONG, LONG], {"axis": 1}), ()),
    (Case("Slice", [TRUE, i64(1), i64(4), i64(1), i64(2)]), (1, 2, 3, 4)),
    (Case("Pad", [WHOLE, i64(0, 1, 1, 0), np.array(9, np.int32)]), (1, 2)),
    (Case("Tile", [LONG, i64(2, 1)]), (1,)),
    (Case("Reshape", [LONG, i64(4, 2)]), (1,)),
    (Case("Add", [f32(3, 4).astype(np.float64), f32(4).astype(np.float64)]), (1,)),
    (Case("Exp", [f32(3, 4).astype(np.float64)]), ()),
    (Case("MatMul", [f32(3, 4).astype(np.float64), f32(4, 5).astype(np.float64)]), (1,)),
    (Case("ReduceMean", [f32(3, 4).astype(np.float64), i64(1)]), (1,)),
    (Case("LayerNormalization", [f32(2, 900), f32(900), f32(900)]), (1, 2)),
    (Case("Sigmoid", [HOLED]), ()),
    (Case("Sigmoid", [np.linspace(-120, 120, 301, dtype=np.float32)]), ()),
    (Case("Softmax", [np.linspace(-200, 90, 40, dtype=np.float32).reshape(4, 10)]), ()),
    (Case("HardSwish", [f32(50, scale=4)]), ()),
    (Case("HardSigmoid", [HOLED]), ()),
    (Case("Sign", [HOLED]), ()),
]


def all_kinds() -> ModelPlan:
    """A model of all layers side by side."""
    inputs: list[dict[str, Any]] = []
    outputs: list[dict[str, Any]] = []
    nodes: list[dict[str, Any]] = []
    arrays: dict[str, Any] = {}
    for number, (case, constant) in enumerate(KINDS):
        plan = one_node(case.op, case.inputs, case.attributes, case.outputs, constant)

        def own(name: str, number: int = number) -> str:
            return f"n{number}_{name}" if name else ""

        inputs += [{**value, "name": own(value["name"])} for value in plan.inputs]
        outputs += [{**value, "name": own(value["name"])} for value in plan.outputs]
        arrays |= {own(name): array for name, array in plan.arrays.items()}
        for node in plan.nodes:
            named = {key: [own(name) for name in node[key]] for key in ("inputs", "outputs")}
            nodes.append({**node, **named, "name": f"{case.op} {number}"})
    return ModelPlan(inputs, outputs, nodes, arrays, {})


def probe() -> Probe:
    """The inputs of the cases; what comes out is computed when the program is written."""
    given = {
        f"n{number}_x{i}": x
        for number, (case, constant) in enumerate(KINDS)
        for i, x in enumerate(case.inputs)
        if x is not None and i not in constant
    }
    return Probe(given, {}, {})


@needs("cc", "make")
@pytest.mark.parametrize(
    ("compiler", "flags"),
    [
        pytest.param("cc", SANITIZED, id="sanitized"),
        pytest.param("cc", "-O3 -march=native -Werror", id="optimised"),
        pytest.param("clang", "-O2 -Werror", id="clang", marks=needs("clang")),
    ],
)
def test_every_kind_gives_what_the_runtime_gives(compiler: str, flags: str, tmp_path: Path) -> None:
    """All outputs, warning-free, nothing outside the arena, nothing undefined."""
    folder = written(c_files(all_kinds(), "net", [probe()]), tmp_path / "net_c")
    done = built(folder, f"CC={compiler}", f"CFLAGS={flags}")
    assert done.returncode == 0, "\n".join(
        line for line in (done.stdout + done.stderr).splitlines() if ": good" not in line
    )
