"""Special functions, bits, counts, cross entropies, colours and positions are TensorFlow's, in every engine."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from exporter.errors import UnsupportedError
from exporter.targets.lowest_opset import at_lowest_opset
from tests.unit.lower.everywhere import check_everywhere
from tests.unit.lower.oracle import Case, lower_case

pytestmark = pytest.mark.tensorflow

_random = np.random.default_rng(7)


def _floats(*shape: int) -> Any:
    return _random.standard_normal(shape).astype(np.float32)


def _int32(*values: Any) -> Any:
    return np.array(values, np.int32)


X = np.array([0.1, 0.5, 1.5, 2.5, 3.7, 10, 50, -0.5, -1.5, -2.3, 1e-3, 30, 100], np.float32)
SHARES = np.linspace(0.001, 0.999, 41).astype(np.float32)
EDGES = np.array([0, 1, 0.5, -0.1, 1.5, np.nan], np.float32)
SOME = np.array([0, 1, 0.5, 0, 3], np.float32)
KNOWN = ("static",)

SPECIAL = [
    Case("lgamma", lambda tf, x: tf.math.lgamma(x), [X], 2),
    Case("lgamma_edges", lambda tf, x: tf.math.lgamma(x), [np.array([0, -1, np.inf, -np.inf, np.nan, 3], "f")], 2),
    Case("digamma", lambda tf, x: tf.math.digamma(x), [X], 2),
    Case("erfinv", lambda tf, x: tf.math.erfinv(x), [SHARES * 2 - 1], 4),
    Case("ndtri", lambda tf, x: tf.math.ndtri(x), [np.concatenate([SHARES, SHARES[:4] * 1e-20])], 4),
    Case("ndtri_edges", lambda tf, x: tf.math.ndtri(x), [EDGES[:3]], 0),
    Case("erfc_tail", lambda tf, x: tf.math.erfc(x), [np.array([2, 3, 4, 5], np.float32)], 4),
    Case("erfc_far", lambda tf, x: tf.math.erfc(x), [np.array([7, 8], np.float32)], 16),
    Case(
        "xlog1py",
        lambda tf, x, y: tf.math.xlog1py(x, y),
        [SOME, 1 + SOME],
        4,
        KNOWN,
    ),
    *(
        Case(f"bessel_{name}", lambda tf, x, n=name: getattr(tf.math, f"bessel_{n}")(x), [X[:11]], 16)
        for name in ("i0", "i0e", "i1", "i1e")
    ),
]

INTEGERS: list[type[Any]] = [np.int8, np.uint8, np.int16, np.uint16, np.int32, np.uint32, np.int64, np.uint64]


def _signed(dtype: type[Any]) -> Any:
    numbers = [1, 5, 100, 127, *([-1, -100, -128, -3] if np.dtype(dtype).kind == "i" else [2, 4, 8, 16])]
    return np.array(numbers, dtype)


BITS = [
    *(
        Case(
            f"{name}_{dtype.__name__}",
            lambda tf, x, y, n=name: getattr(tf.bitwise, n)(x, y),
            [_signed(dtype), np.array([0, 1, 3, 7, 1, 2, 5, 0], dtype)],
            0,
            KNOWN,
        )
        for dtype in INTEGERS
        for name in ("left_shift", "right_shift")
    ),
    *(
        Case(f"invert_{dtype.__name__}", lambda tf, x: tf.bitwise.invert(x), [_signed(dtype)], 0, KNOWN)
        for dtype in INTEGERS
    ),
    *(
        Case(f"sum_{dtype.__name__}", lambda tf, x: tf.reduce_sum(x), [_signed(dtype)], 0, KNOWN)
        for dtype in (np.int8, np.uint8)
    ),
    Case("mean", lambda tf, x: tf.reduce_mean(x), [_int32(-3, -4, 6)], 0, KNOWN),
    Case("bitcast", lambda tf, x: tf.bitcast(x, tf.uint32), [_int32(-1, 5)], 0),
    Case(
        "matmul_int8",
        lambda tf, x: tf.matmul(x, x, transpose_b=True, output_type=tf.int32),
        [_signed(np.int8)[None]],
        0,
    ),
    Case(
        "max_pool_int32",
        lambda tf, x: tf.nn.max_pool2d(x, 2, 2, "SAME"),
        [_int32(*range(-9, 9)).reshape(1, 3, 3, 2)],
        0,
    ),
]

REPEATED = _int32(3, 1, 3, 2, 9, 1)
ROWS = _int32([1, 2, 2], [0, 4, 4])

COUNTS = [
    Case("unique", lambda tf, x: tf.unique(x), [REPEATED], 0),
    Case("unique_counts", lambda tf, x: tf.unique_with_counts(x, tf.int64), [np.array([1.5, -2, 1.5], np.float32)], 0),
    Case("bincount", lambda tf, x: tf.math.bincount(x), [REPEATED], 0),
    Case("bincount_some", lambda tf, x: tf.math.bincount(x, minlength=4, maxlength=4), [REPEATED], 0),
    Case("bincount_rows", lambda tf, x: tf.math.bincount(x, axis=-1, minlength=6), [ROWS], 0),
    Case("bincount_truths", lambda tf, x: tf.math.bincount(x, axis=-1, binary_output=True, minlength=6), [ROWS], 0),
    Case("bincount_weights", lambda tf, x, w: tf.math.bincount(x, weights=w), [REPEATED, _floats(6)], 2, KNOWN),
    Case("difference", lambda tf, x, y: tf.raw_ops.ListDiff(x=x, y=y), [REPEATED, _int32(1, 2, 7)], 0, KNOWN),
    *(
        Case(
            f"histogram_{bounds}",
            lambda tf, x, b=bounds: tf.histogram_fixed_width(x, tf.constant(b), nbins=7),
            [np.append(4 * _floats(3, 8), [[0.7, 2.8, -1.4, 0, np.inf, -np.inf, 7, 14]], 0).astype(np.float32)],
            0,
        )
        for bounds in ([-1.0, 3.0], [0.0, 0.7], [0.0, 14.0])
    ),
    Case(
        "histogram_of_parts",
        lambda tf, x, n: tf.histogram_fixed_width(x, [0, 9], n),
        [REPEATED, np.array(4, np.int32)],
        0,
        KNOWN,
    ),
    Case(
        "nth",
        lambda tf, x: (tf.raw_ops.NthElement(input=x, n=2), tf.raw_ops.NthElement(input=x, n=0, reverse=True)),
        [ROWS],
        0,
    ),
    Case(
        "scatter_beside",
        lambda tf, x, u: tf.raw_ops.ScatterNdNonAliasingAdd(input=x, indices=[[1], [3], [1]], updates=u),
        [_floats(4, 2), _floats(3, 2)],
        2,
        KNOWN,
    ),
    Case("in_top_k", lambda tf, x: tf.math.in_top_k([1, 0, 4], x, 2), [_floats(3, 5)], 0),
    Case("in_top_k_nan", lambda tf, x: tf.math.in_top_k([1, 0], x, 2), [np.array([[1, np.inf], [2, 3]], "f")], 0),
    Case("inverse", lambda tf, x: tf.math.invert_permutation(x), [_int32(2, 0, 3, 1)], 0),
    Case("unravel", lambda tf, x: tf.unravel_index(x, [3, 4]), [_int32(0, 5, 11)], 0),
    Case("unravel_one", lambda tf, x, d: tf.unravel_index(x, d), [np.array(7, np.int64), np.array([3, 4])], 0, KNOWN),
    Case("roll", lambda tf, x, s, a: tf.roll(x, s, a), [_floats(3, 4), _int32(2, -7), _int32(0, -1)], 0, KNOWN),
    Case("roll_twice", lambda tf, x: tf.roll(x, [1, 1], [0, 0]), [_floats(3, 4)], 0),
    Case(
        "reverse_sequence",
        lambda tf, x: tf.reverse_sequence(x, [2, 3], seq_axis=0, batch_axis=2),
        [_floats(4, 3, 2)],
        0,
        KNOWN,
    ),
    Case("nothing", lambda tf, x: tf.reshape(x[:0], [0, 2]), [_floats(3, 4)], 0),
    *(
        Case(
            f"logsumexp_{exclusive}_{reverse}",
            lambda tf, x, e=exclusive, r=reverse: tf.math.cumulative_logsumexp(x, 1, e, r),
            [_floats(3, 4) * 40],
            4,
        )
        for exclusive in (False, True)
        for reverse in (False, True)
    ),
]

LOGITS, LABELS = _floats(3, 4), np.array([[0, 1, 0, 0], [0.5, 0, 0.5, 0], [0.25] * 4], np.float32)

ENTROPIES = [
    Case("dense", lambda tf, x, y: tf.raw_ops.SoftmaxCrossEntropyWithLogits(features=x, labels=y), [LOGITS, LABELS], 8),
    Case(
        "sparse",
        lambda tf, x: tf.raw_ops.SparseSoftmaxCrossEntropyWithLogits(features=x, labels=[1, 0, 3]),
        [LOGITS],
        8,
    ),
]

COLOURS = np.concatenate([_random.uniform(0, 1, (2, 4, 4, 3)), np.zeros((2, 1, 4, 3)), np.full((2, 1, 4, 3), 0.5)], 1)
IMAGES = COLOURS.astype(np.float32)


def _glimpse(tf: Any, x: Any, centered: bool, normalized: bool, version: str) -> Any:
    offsets = [[0.1, 0.2], [-0.5, 0.6]] if normalized else [[1.0, 2.0], [-1.0, 3.0]]
    function = getattr(tf.raw_ops, f"ExtractGlimpse{version}")
    given = {"centered": centered, "normalized": normalized, "uniform_noise": False, "noise": "zero"}
    return function(input=x, size=[3, 2], offsets=offsets, **given)


IMAGERY = [
    Case("to_hsv", lambda tf, x: tf.image.rgb_to_hsv(x), [IMAGES], 8),
    Case("to_rgb", lambda tf, x: tf.image.hsv_to_rgb(x), [IMAGES], 8),
    *(Case(f"hue_{d}", lambda tf, x, d=d: tf.image.adjust_hue(x, d), [IMAGES], 16) for d in (0.3, -0.4)),
    *(Case(f"saturation_{f}", lambda tf, x, f=f: tf.image.adjust_saturation(x, f), [IMAGES], 16) for f in (0.2, 1.7)),
    Case("contrast", lambda tf, x: tf.image.adjust_contrast(x, 1.7), [IMAGES], 8),
    *(
        Case(
            f"glimpse{version}_{centered}_{normalized}",
            lambda tf, x, c=centered, n=normalized, v=version: _glimpse(tf, x, c, n, v),
            [IMAGES],
            0,
            KNOWN,
        )
        for version in ("", "V2")
        for centered in (True, False)
        for normalized in (True, False)
    ),
    *(
        Case(
            f"argmax_{padding}_{batch}",
            lambda tf, x, p=padding, b=batch: tf.nn.max_pool_with_argmax(x, 3, 2, p, include_batch_in_index=b),
            [np.round(_floats(2, 5, 7, 3))],
            0,
            ("static", "none"),
        )
        for padding in ("SAME", "VALID")
        for batch in (True, False)
    ),
    Case(
        "dilation",
        lambda tf, x: tf.nn.dilation2d(x, IMAGES[0, :2, :3], [1, 1, 2, 1], "SAME", "NHWC", [1, 2, 1, 1]),
        [IMAGES],
        1,
    ),
]

CASES = [*SPECIAL, *BITS, *COUNTS, *ENTROPIES, *IMAGERY]


@pytest.mark.parametrize(
    ("case", "shapes"),
    [(case, shapes) for case in CASES for shapes in dict.fromkeys((case.shapes[0], case.shapes[-1]))],
    ids=lambda value: getattr(value, "name", value),
)
def test_numbers(case: Case, shapes: str) -> None:
    """Integers exactly, floats within a few units in the last place."""
    check_everywhere(case, shapes)


YOUNGER = [
    Case("bits", lambda tf, x: tf.bitwise.bitwise_xor(x, 5), [REPEATED], 0),
    Case(
        "scatter_max", lambda tf, x: tf.tensor_scatter_nd_max(x, [[1], [1]], [0.5, 9.0]), [_floats(4)], 0, ("static",)
    ),
]


@pytest.mark.parametrize("case", YOUNGER, ids=lambda case: case.name)
def test_ops_of_opset_18(case: Case) -> None:
    """What opset 17 hasn't is translated to opset 18, and refused at 17."""
    check_everywhere(case, "static", opset=18)
    with pytest.raises(UnsupportedError, match="opset 17"):
        check_everywhere(case, "static", opset=17)


@pytest.mark.parametrize("case", YOUNGER, ids=lambda case: case.name)
def test_opset_follows_the_model(case: Case) -> None:
    """Where none is asked for it is the lowest that has all the model needs, and that is said."""
    model, _, _ = lower_case(case, "static")
    standard, said = at_lowest_opset(model, None, "nhwc", {})
    assert standard.opset_imports[""] == 18
    assert "opset 18" in said[0]
    with pytest.raises(UnsupportedError, match="opset 17"):
        at_lowest_opset(model, 17, "nhwc", {})
    plain, _, _ = lower_case(COUNTS[0], "static")
    standard, said = at_lowest_opset(plain, None, "nhwc", {})
    assert (standard.opset_imports[""], said) == (17, ())


def test_bits_of_floats_are_refused() -> None:
    """ONNX can't take the bits of a float for an integer."""
    with pytest.raises(UnsupportedError, match="the bits of float"):
        lower_case(Case("bits", lambda tf, x: tf.bitcast(x, tf.int32), [X]), "static")
