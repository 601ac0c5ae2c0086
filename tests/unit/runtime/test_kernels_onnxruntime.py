"""Every standard operator's kernel gives what onnxruntime gives."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from runtime.engine.kernels import KERNELS as FASTER
from runtime.kernels import KERNELS, Kernel
from tests.unit.runtime.one_node import onnxruntime_says

Array = npt.NDArray[Any]
EPS32 = float(np.finfo(np.float32).eps)


def f32(*shape: int, seed: int = 0, scale: float = 1.0) -> Array:
    return np.asarray(np.random.default_rng(seed).standard_normal(shape) * scale, np.float32)


def positive(*shape: int) -> Array:
    return np.asarray(np.abs(f32(*shape)) + 0.1, np.float32)


def i64(*values: Any) -> Array:
    return np.array(values, np.int64)


def scalar(value: Any, dtype: type = np.int64) -> Array:
    return np.array(value, dtype)


@dataclass(frozen=True)
class Case:
    """One call; `noise` is how many float32 roundings of values as large as the largest output it may be off."""

    op: str
    inputs: Sequence[Array | None]
    attributes: dict[str, Any] = field(default_factory=dict)
    outputs: int = 1
    noise: float = 0
    opset: int = 18

    def __str__(self) -> str:
        return f"{self.op}-{'-'.join(f'{k}={v}' for k, v in self.attributes.items())}"[:70]


ODD = np.array([0.0, -0.0, 1.0, -1.0, 0.5, -0.5, 1.5, 2.5, -2.5, 1e-8, -1e-8, 30, -30, 88, -88, 3.7, -3.7], np.float32)
NOT_FINITE = np.array([np.nan, np.inf, -np.inf, 0.0, 1.0, -1.0], np.float32)
NUMBERS = np.concatenate([ODD, f32(40, scale=3)])
UNIT = np.asarray(np.linspace(-0.99, 0.99, 41), np.float32)

UNARY = {
    **dict.fromkeys(["Abs", "Ceil", "Floor", "Neg", "Relu", "Round", "Sign", "Identity"], (NUMBERS, 0)),
    **dict.fromkeys(["Atan", "Cos", "Sin", "Sigmoid", "Tanh", "Erf", "Asinh", "Softsign", "HardSwish"], (NUMBERS, 8)),
    **dict.fromkeys(["Softplus", "Selu", "Elu", "Celu", "HardSigmoid", "LeakyRelu", "ThresholdedRelu"], (NUMBERS, 8)),
    **dict.fromkeys(["Acos", "Asin", "Atanh", "Tan"], (UNIT, 8)),
    **dict.fromkeys(["Exp", "Sinh", "Cosh"], (np.asarray(UNIT * 5, np.float32), 8)),
    **dict.fromkeys(["Log", "Sqrt", "Reciprocal"], (positive(30), 8)),
    "Acosh": (np.asarray(positive(30) + 1, np.float32), 8),
    "Mish": (NUMBERS, 8),
}

X = f32(2, 3, 4, 5)
INTS = np.array([7, -7, 8, -8, 0, 3], np.int32)
DIVISORS = np.array([2, 2, -3, -3, 5, -1], np.int32)
BITS = np.array([0, 1, 2, 255, 170, 7], np.uint8)
T, F = True, False
BOOL_A, BOOL_B = np.array([T, T, F, F]), np.array([T, F, T, F])
WITH_TIES = np.array([[3, 1, 3, 2, 1, 3], [5, 5, 5, 0, 0, 1]], np.float32)
SEQUENCE = f32(5, 3, 4)
LENGTHS = np.array([5, 2, 4], np.int32)

CASES = [
    *(Case(op, [x], noise=noise) for op, (x, noise) in UNARY.items()),
    *(Case(op, [NOT_FINITE]) for op in ("Relu", "Abs", "Sign", "Floor", "Identity", "Neg")),
    *(Case(op, [NOT_FINITE], noise=8) for op in ("Sigmoid", "Tanh", "Erf", "HardSigmoid", "Softplus")),
    *(Case(op, [X, f32(5, seed=1)], noise=1) for op in ("Add", "Sub", "Mul", "Div")),
    *(Case(op, [INTS, DIVISORS]) for op in ("Add", "Sub", "Mul", "Div", "Mod")),
    *(Case(op, [X, f32(4, 1, seed=1), f32(1, 3, 1, 1, seed=2)], noise=2) for op in ("Max", "Min", "Sum", "Mean")),
    Case("Mod", [INTS, DIVISORS], {"fmod": 1}),
    Case("Mod", [f32(9, scale=5), f32(9, seed=1)], {"fmod": 1}, noise=1),
    Case("Pow", [positive(3, 4), f32(4, seed=1)], noise=4),
    Case("Pow", [INTS, np.array([2, 3, 2, 1, 2, 0], np.int32)]),
    Case("Pow", [X, scalar(2.0, np.float32)], noise=2),
    Case("Pow", [X, i64(3)], noise=2),
    Case("Clip", [X, scalar(-0.5, np.float32), scalar(0.5, np.float32)]),
    Case("Clip", [X, None, scalar(0.5, np.float32)]),
    Case("Clip", [X, scalar(-0.5, np.float32)]),
    Case("Clip", [X]),
    Case("Celu", [NUMBERS], {"alpha": 0.7}, noise=8),
    Case("Elu", [NUMBERS], {"alpha": 0.7}, noise=8),
    Case("Selu", [NUMBERS], {"alpha": 1.2, "gamma": 0.9}, noise=8),
    Case("LeakyRelu", [NUMBERS], {"alpha": 0.2}, noise=1),
    Case("HardSigmoid", [NUMBERS], {"alpha": 0.3, "beta": 0.4}, noise=1),
    Case("ThresholdedRelu", [NUMBERS], {"alpha": 0.4}),
    Case("PRelu", [X, f32(5, seed=1)], noise=1),
    *(Case("Gelu", [NUMBERS], {"approximate": a}, noise=8, opset=20) for a in ("none", "tanh")),
    *(Case(op, [X], {"axis": axis}, noise=8) for op in ("Softmax", "LogSoftmax") for axis in (-1, 1)),
    *(Case(op, [f32(3, 4, scale=60)], noise=8) for op in ("Softmax", "LogSoftmax")),
    *(
        Case(op, [WITH_TIES, np.array([3, 5, 3, 0, 1, 3], np.float32)])
        for op in ("Equal", "Less", "LessOrEqual", "Greater", "GreaterOrEqual")
    ),
    *(Case(op, [BOOL_A, BOOL_B]) for op in ("And", "Or", "Xor")),
    Case("Not", [BOOL_A]),
    Case("IsNaN", [NOT_FINITE]),
    Case("IsInf", [NOT_FINITE]),
    Case("IsInf", [NOT_FINITE], {"detect_negative": 0}),
    Case("IsInf", [NOT_FINITE], {"detect_positive": 0}),
    *(Case(op, [BITS, BITS[::-1].copy()]) for op in ("BitwiseAnd", "BitwiseOr", "BitwiseXor")),
    Case("BitwiseNot", [BITS]),
    *(Case("BitShift", [BITS, np.array([0, 1, 2, 3, 4, 1], np.uint8)], {"direction": d}) for d in ("LEFT", "RIGHT")),
    *(
        Case(f"Reduce{what}", [positive(2, 3, 4), axes], {"keepdims": keep}, noise=30)
        for what in ("Sum", "Mean", "Max", "Min", "Prod", "L1", "L2", "SumSquare", "LogSum", "LogSumExp")
        for axes, keep in ((i64(1), 1), (i64(0, -1), 0), (None, 1), (None, 0))
    ),
    Case("ReduceSum", [X, i64()], {"noop_with_empty_axes": 1}),
    Case("ReduceSum", [INTS.reshape(2, 3), i64(1)]),
    Case("ReduceMax", [INTS.reshape(2, 3), i64(0)], {"keepdims": 0}),
    Case("ReduceLogSumExp", [f32(3, 4, scale=60), i64(1)], noise=8),
    Case("Reshape", [X, i64(0, -1, 5)]),
    Case("Reshape", [f32(0, 3), i64(3, 0)], {"allowzero": 1}),
    Case("Transpose", [X]),
    Case("Transpose", [X], {"perm": [0, 2, 3, 1]}),
    Case("Squeeze", [f32(1, 3, 1, 2)]),
    Case("Squeeze", [f32(1, 3, 1, 2), i64(-2)]),
    Case("Unsqueeze", [f32(3, 2), i64(0, -1)]),
    Case("Expand", [f32(3, 1), i64(2, 1, 4)]),
    Case("Tile", [f32(2, 3), i64(2, 1)]),
    Case("Shape", [X]),
    Case("Shape", [X], {"start": 1, "end": -1}),
    Case("Size", [X]),
    Case("Concat", [X, f32(2, 3, 4, 2), X], {"axis": -1}),
    Case("Split", [X, i64(1, 3, 1)], {"axis": -1}, outputs=3),
    Case("Split", [f32(7, 2)], {"num_outputs": 3}, outputs=3),
    Case("Slice", [X, i64(1, 0), i64(3, -1), i64(2, 3)]),
    Case("Slice", [X, i64(-1), i64(-1000), i64(3), i64(-2)]),
    Case("Slice", [X, i64(10), i64(0), i64(2), i64(-1)]),
    Case("Slice", [X, i64(0, 0, 1, 1), i64(9, 2, 2**62, 3)]),
    *(Case("Pad", [f32(3, 4), i64(1, 2, 2, 3)], {"mode": m}) for m in ("constant", "edge", "reflect")),
    Case("Pad", [f32(3, 4), i64(1, 2, 2, 3)], {"mode": "wrap"}, opset=19),
    Case("Pad", [f32(3, 4), i64(1, -1, 0, -2), scalar(7, np.float32)]),
    Case("Pad", [f32(3, 4), i64(1, 2), scalar(7, np.float32), i64(-1)]),
    Case("Flatten", [X], {"axis": 2}),
    Case("Flatten", [X], {"axis": -1}),
    Case("Gather", [X, i64([0, -1], [2, 1])], {"axis": 1}),
    Case("Gather", [X, scalar(-1)], {"axis": 2}),
    Case("GatherElements", [f32(3, 4), i64([0, -1], [2, 1])], {"axis": 1}),
    Case("GatherND", [X, i64([0, 1], [1, -1])]),
    Case("GatherND", [X, i64([[0, 1], [2, -1]], [[1, 1], [0, 0]])], {"batch_dims": 1}),
    *(
        Case("ScatterND", [f32(4, 3), i64([1], [3], [1]), f32(3, 3, seed=1)], {"reduction": r}, noise=2)
        for r in ("none", "add", "mul", "max", "min")
    ),
    *(
        Case(
            "ScatterElements",
            [f32(3, 4), i64([0, -1], [2, 1]), f32(2, 2, seed=1)],
            {"axis": 1, "reduction": r},
            noise=2,
        )
        for r in ("none", "add", "mul", "max", "min")
    ),
    *(Case("OneHot", [i64([1, -1], [9, 0]), scalar(4), f32(2)], {"axis": axis}) for axis in (-1, 0, 1)),
    Case("Where", [np.array([[T], [F]]), f32(2, 3), f32(3, seed=1)]),
    *(
        Case("NonMaxSuppression", [np.abs(f32(2, 20, 4)), f32(2, 3, 20, seed=1), *limits], {"center_point_box": centre})
        for centre in (0, 1)
        for limits in (
            [i64(5), scalar(0.3, np.float32), scalar(0.1, np.float32)],
            [i64(30), scalar(0.6, np.float32)],
            [i64(4)],
        )
    ),
    Case("Det", [f32(2, 4, 4)], noise=8),
    *(Case("Unique", [np.array([3, 1, 3, 2, 1], np.float32)], {"sorted": s}, outputs=4) for s in (0, 1)),
    Case("Unique", [np.array([[3, 1], [2, 2], [3, 1]], np.int64)], {"axis": 0, "sorted": 0}, outputs=4),
    Case("NonZero", [np.array([[1, 0, 2], [0, 0, 3]], np.float32)]),
    *(
        Case("TopK", [WITH_TIES, i64(4)], {"axis": axis, "largest": largest}, outputs=2)
        for axis, largest in ((1, 1), (-1, 0))
    ),
    *(
        Case(op, [WITH_TIES], {"axis": axis, "keepdims": keep, "select_last_index": last})
        for op in ("ArgMax", "ArgMin")
        for axis, keep, last in ((0, 1, 0), (1, 0, 1), (-1, 0, 0))
    ),
    *(
        Case("CumSum", [f32(3, 4), scalar(axis)], {"exclusive": exclusive, "reverse": reverse}, noise=8)
        for axis, exclusive, reverse in ((0, 0, 0), (1, 1, 0), (1, 0, 1), (-1, 1, 1))
    ),
    Case("Range", [scalar(1), scalar(10), scalar(3)]),
    Case("Range", [scalar(10), scalar(1), scalar(-3)]),
    Case("Range", [scalar(0.5, np.float32), scalar(3, np.float32), scalar(0.5, np.float32)], noise=1),
    Case("Trilu", [X], {"upper": 0}),
    Case("Trilu", [X, scalar(-1)]),
    Case("ReverseSequence", [SEQUENCE, LENGTHS.astype(np.int64)], {"batch_axis": 1, "time_axis": 0}),
    Case("MatMul", [f32(2, 1, 4, 6), f32(3, 6, 5)], noise=8),
    Case("MatMul", [f32(6), f32(6, 5)], noise=8),
    Case("Gemm", [f32(6, 4), f32(5, 6), f32(5)], {"alpha": 0.5, "beta": 2.0, "transA": 1, "transB": 1}, noise=8),
    Case("Gemm", [f32(4, 6), f32(6, 5)], noise=8),
    Case("Einsum", [f32(2, 3, 4), f32(4, 5, 6)], {"equation": "bij, jkl -> bikl"}, noise=8),
    Case("Einsum", [f32(2, 3, 4), f32(2, 5, 4)], {"equation": "...ij,...kj->...ik"}, noise=8),
    Case("LayerNormalization", [X, f32(5), f32(5, seed=1)], noise=16),
    Case("LayerNormalization", [X, f32(4, 5), None], {"axis": 2, "epsilon": 0.1}, noise=16),
    *(Case("Cast", [NUMBERS], {"to": to}) for to in (6, 7, 9, 10, 11)),
    Case("Cast", [INTS], {"to": 1}),
    Case("CastLike", [INTS, X]),
]


@pytest.mark.parametrize("case", CASES, ids=str)
def test_kernel_agrees(case: Case) -> None:
    """The kernel's outputs have onnxruntime's dtypes, shapes and values; a value one step beyond the noise shows."""
    expected = onnxruntime_says(case.op, case.inputs, case.attributes, case.outputs, case.opset)
    found = KERNELS[case.op](case.inputs, case.attributes)
    assert len(found) >= case.outputs
    for y, truth in zip(found, expected, strict=False):
        assert (y.dtype, y.shape) == (truth.dtype, truth.shape)
        assert_close(y, truth, case.noise)


def assert_close(found: Array, expected: Array, noise: float) -> None:
    """Element by element within `noise` roundings of its own size and a hundredth of the largest one's."""
    if found.dtype.kind != "f" or not noise:
        np.testing.assert_array_equal(found, expected)
        return
    sizes = np.where(np.isfinite(expected), np.abs(expected), 0)
    largest = sizes.max(initial=0)
    atol = noise * EPS32 * largest / 10
    np.testing.assert_allclose(found, expected, rtol=noise * EPS32, atol=atol)
    planted = found.copy()
    planted.flat[sizes.argmax()] *= 1 + 3 * noise * EPS32
    with pytest.raises(AssertionError):
        np.testing.assert_allclose(planted, expected, rtol=noise * EPS32, atol=atol)


SIZES = [(10, 14), (5, 7), (5, 21), (2, 7)]
INEXACT_SIZES = [(3, 4), (1, 1)]  # where float32 places, onnxruntime's, round to another neighbour


@pytest.mark.parametrize(
    "mode, sizes",
    [("nearest", sizes) for sizes in SIZES]
    + [(m, sizes) for m in ("linear", "cubic") for sizes in SIZES + INEXACT_SIZES],
)
@pytest.mark.parametrize(
    "coordinates", ["half_pixel", "half_pixel_symmetric", "pytorch_half_pixel", "align_corners", "asymmetric"]
)
def test_resize_agrees(mode: str, coordinates: str, sizes: tuple[int, int]) -> None:
    """Resize to sizes, up and down, in every mode; NHWC against onnxruntime's NCHW."""
    x = f32(1, 2, 5, 7)
    shape = i64(1, 2, *sizes)
    for extra in _resize_options(mode):
        attributes = {"mode": mode, "coordinate_transformation_mode": coordinates, **extra}
        (truth,) = onnxruntime_says("Resize", [x, None, None, shape], attributes, opset=19)
        (y,) = KERNELS["Resize"]([to_last(x), None, None, i64(1, *sizes, 2)], attributes)
        # onnxruntime computes coordinates in float32: a place near 7 is off by 7 roundings, times the slope of x
        np.testing.assert_allclose(to_first(y), truth, rtol=0, atol=40 * EPS32 * np.abs(x).max())


def _resize_options(mode: str) -> list[dict[str, Any]]:
    if mode == "nearest":
        return [{"nearest_mode": m} for m in ("round_prefer_floor", "round_prefer_ceil", "floor", "ceil")]
    return [{}] if mode == "linear" else [{"cubic_coeff_a": -0.5}, {"exclude_outside": 1}, {}]


@pytest.mark.parametrize("mode", ["nearest", "linear"])
@pytest.mark.parametrize("scales", [(2.0, 3.0), (0.5, 2.0), (1.0, 0.6)])
def test_resize_by_scales_agrees(mode: str, scales: tuple[float, float]) -> None:
    """Resize by scales keeps the scale itself, not the ratio of the rounded sizes."""
    x = f32(1, 2, 5, 7)
    attributes = {"mode": mode, "coordinate_transformation_mode": "half_pixel"}
    first = np.array([1, 1, *scales], np.float32)
    (truth,) = onnxruntime_says("Resize", [x, None, first], attributes)
    (y,) = KERNELS["Resize"]([to_last(x), None, np.array([1, *scales, 1], np.float32)], attributes)
    np.testing.assert_allclose(to_first(y), truth, rtol=0, atol=40 * EPS32 * np.abs(x).max())


@pytest.mark.parametrize("op, gates", [("LSTM", 4), ("GRU", 3), ("RNN", 1)])
@pytest.mark.parametrize("direction", ["forward", "reverse", "bidirectional"])
@pytest.mark.parametrize("full", [False, True])
def test_recurrent_agrees(op: str, gates: int, direction: str, full: bool) -> None:
    """Every step and the last state, from given or zero states, with sequences of different lengths."""
    ways, hidden = (2 if direction == "bidirectional" else 1), 6
    w, r = f32(ways, gates * hidden, 4, seed=1, scale=0.5), f32(ways, gates * hidden, hidden, seed=2, scale=0.5)
    inputs: list[Array | None] = [SEQUENCE, w, r]
    if full:
        start = f32(ways, 3, hidden, seed=3)
        inputs += [f32(ways, 2 * gates * hidden, seed=4), LENGTHS, start]
        inputs += [f32(ways, 3, hidden, seed=5), f32(ways, 3 * hidden, seed=6)] if op == "LSTM" else []
    options: list[dict[str, Any]] = [{}] if op != "GRU" else [{}, {"linear_before_reset": 1}]
    for option in options:
        attributes = {"direction": direction, "hidden_size": hidden, **option}
        truth = onnxruntime_says(op, inputs, attributes, 3 if op == "LSTM" else 2)
        found, faster = (kernels[op](inputs, attributes) for kernels in (KERNELS, FASTER))
        for y, other, expected in zip(found, faster, truth, strict=True):
            np.testing.assert_allclose(y, expected, rtol=0, atol=64 * EPS32)
            np.testing.assert_allclose(other, expected, rtol=0, atol=64 * EPS32)


@pytest.mark.parametrize("op, gates", [("LSTM", 4), ("GRU", 3), ("RNN", 1)])
@pytest.mark.parametrize("batch, lengths", [(1, None), (1, [3]), (1, [5]), (2, [1, 4]), (2, None)])
@pytest.mark.parametrize("scale", [0.3, 40])
@pytest.mark.parametrize("kernels", [KERNELS, FASTER], ids=["core", "engine"])
def test_recurrent_batches_agree(
    op: str, gates: int, batch: int, lengths: list[int] | None, scale: float, kernels: dict[str, Kernel]
) -> None:
    """One sequence alone, two that end early, saturated gates; what is given stays as it is."""
    x, w, r = f32(5, batch, 4, scale=scale), f32(2, gates * 6, 4, seed=1), f32(2, gates * 6, 6, seed=2)
    starts = [f32(2, batch, 6, seed=seed) for seed in (3, 4)[: 2 if op == "LSTM" else 1]]
    known = None if lengths is None else np.array(lengths, np.int32)
    inputs: list[Array | None] = [x, w, r, f32(2, 2 * gates * 6, seed=5), known, *starts]
    before = [None if value is None else value.copy() for value in inputs]
    attributes = {"direction": "bidirectional", "hidden_size": 6}
    truth = onnxruntime_says(op, inputs, attributes, 3 if op == "LSTM" else 2)
    for y, expected in zip(kernels[op](inputs, attributes), truth, strict=True):
        np.testing.assert_allclose(y, expected, rtol=0, atol=64 * EPS32 * max(1, np.abs(expected).max()))
    for value, other in zip(inputs, before, strict=True):
        np.testing.assert_array_equal(value, other) if value is not None else None


@pytest.mark.parametrize("op, names", [("GRU", ["HardSigmoid", "Relu"]), ("LSTM", ["HardSigmoid", "Tanh", "Softsign"])])
def test_recurrent_activations_agree(op: str, names: list[str]) -> None:
    """Activations by name, with alpha and beta."""
    gates = {"GRU": 3, "LSTM": 4}[op]
    inputs: list[Array | None] = [SEQUENCE, f32(1, gates * 6, 4, scale=0.5), f32(1, gates * 6, 6, scale=0.5)]
    given = {"hidden_size": 6, "activations": names, "activation_alpha": [0.25], "activation_beta": [0.45]}
    truth = onnxruntime_says(op, inputs, given, 2)
    for y, faster, expected in zip(KERNELS[op](inputs, given), FASTER[op](inputs, given), truth, strict=False):
        np.testing.assert_allclose(y, expected, rtol=0, atol=128 * EPS32)
        np.testing.assert_allclose(faster, expected, rtol=0, atol=128 * EPS32)


def to_last(x: Array) -> Array:
    """[N, C, *spatial] to [N, *spatial, C]."""
    return np.moveaxis(x, 1, -1)


def to_first(x: Array) -> Array:
    """[N, *spatial, C] to [N, C, *spatial]."""
    return np.moveaxis(x, -1, 1)


@pytest.mark.parametrize("size", [1, 3, 5, 11])
def test_lrn_agrees(size: int) -> None:
    """LRN over the last axis is onnxruntime's over axis 1."""
    x, attributes = f32(2, 4, 3, 3), {"size": size, "alpha": 0.3, "beta": 0.6, "bias": 1.5}
    (truth,) = onnxruntime_says("LRN", [x], attributes)
    (y,) = KERNELS["LRN"]([to_last(x)], attributes)
    assert_close(to_first(y), truth, 8)


def test_batch_normalization_agrees() -> None:
    """BatchNormalization over the last axis, epsilon inside the root."""
    x, given = f32(2, 4, 3, 3), [f32(4, seed=1), f32(4, seed=2), f32(4, seed=3), positive(4)]
    (truth,) = onnxruntime_says("BatchNormalization", [x, *given], {"epsilon": 0.1})
    (y,) = KERNELS["BatchNormalization"]([to_last(x), *given], {"epsilon": 0.1})
    assert_close(to_first(y), truth, 8)


@pytest.mark.parametrize("group", [1, 2, 4])
def test_convolutions_agree(group: int) -> None:
    """Conv and ConvTranspose with their kernels' axes moved are onnxruntime's."""
    x, b = f32(2, 4, 9, 8), f32(8, seed=2)
    where = {"strides": [2, 1], "dilations": [1, 2], "pads": [1, 0, 2, 3], "group": group}
    w = f32(8, 4 // group, 3, 2, seed=1)
    (truth,) = onnxruntime_says("Conv", [x, w, b], where)
    (y,) = KERNELS["Conv"]([to_last(x), w.transpose(2, 3, 1, 0), b], where)
    assert_close(to_first(y), truth, 24)
    w = f32(4, 8 // group, 3, 2, seed=1)
    where["output_padding"] = [1, 0]
    (truth,) = onnxruntime_says("ConvTranspose", [x, w, b], where)
    (y,) = KERNELS["ConvTranspose"]([to_last(x), w.transpose(2, 3, 1, 0), b], where)
    assert_close(to_first(y), truth, 24)
