"""Windowed kernels against plain float64 loops, over random geometry."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from runtime.kernels import KERNELS
from tests.unit.runtime import naive
from tests.unit.runtime.naive import within

FAST = settings(max_examples=60, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])


class Case:
    """A random input and kernel with attributes; outputs aren't empty."""

    def __init__(self, data: st.DataObject, *, grouped: bool = True) -> None:
        rank = data.draw(st.sampled_from([1, 2, 2, 2, 3]), "rank")
        small = st.lists(st.integers(1, 3), min_size=rank, max_size=rank)
        self.kernel, self.strides, self.dilations = (
            data.draw(small, what) for what in ("kernel", "strides", "dilations")
        )
        self.pads = data.draw(st.lists(st.integers(0, 3), min_size=2 * rank, max_size=2 * rank), "pads")
        self.sizes = data.draw(st.lists(st.integers(1, 6 if rank == 3 else 9), min_size=rank, max_size=rank), "sizes")
        self.group = data.draw(st.sampled_from([1, 1, 2, 3, 4]), "group") if grouped else 1
        self.inputs = self.group * data.draw(st.integers(1, 4), "channels")
        self.outputs = self.group * data.draw(st.integers(1, 4), "filters")
        self.batch = data.draw(st.integers(1, 3), "batch")
        random = np.random.default_rng(data.draw(st.integers(0, 1 << 32), "seed"))
        self.random = random
        self.x = random.standard_normal((self.batch, *self.sizes, self.inputs))
        self.rank = rank

    @property
    def geometry(self) -> dict[str, Any]:
        return {"strides": self.strides, "dilations": self.dilations, "pads": self.pads}

    def weights(self, *shape: int) -> Any:
        return self.random.standard_normal((*self.kernel, *shape))

    def has_output(self) -> bool:
        out = naive.out_sizes(self.sizes, self.kernel, self.strides, self.dilations, self.pads)
        return min(out) > 0


def single(x: Any) -> Any:
    return np.asarray(x, np.float32)


def run(op: str, inputs: list[Any], dtype: type, **attributes: Any) -> Any:
    arrays: list[Any] = [None if x is None else np.asarray(x, dtype) for x in inputs]
    (y,) = KERNELS[op](arrays, attributes)
    assert y.dtype == dtype
    return y


@FAST
@given(st.data())
def test_convolution_is_the_loop(data: st.DataObject) -> None:
    """Conv equals the loop for any rank, stride, dilation, pad and group, in both float types; a left-out tap shows."""
    case = Case(data)
    assume(case.has_output())
    x, w = single(case.x), single(case.weights(case.inputs // case.group, case.outputs))
    b = single(case.random.standard_normal(case.outputs))
    geometry = (case.strides, case.dilations, case.pads, case.group)
    expected = naive.conv(x, w, *geometry) + b
    magnitude = naive.conv(abs(x), abs(w), *geometry) + abs(b)
    terms = w[..., 0].size
    found = run("Conv", [x, w, b], np.float32, group=case.group, **case.geometry)
    assert within(found, expected, magnitude, terms)
    assert within(
        run("Conv", [x, w, b], np.float64, group=case.group, **case.geometry), expected, magnitude, terms, 2e-9
    )
    wrong = w.copy()
    wrong[tuple(case.random.integers(0, size) for size in case.kernel)] = 0
    if not np.array_equal(naive.conv(x, wrong, *geometry) + b, expected):
        assert not within(
            run("Conv", [x, wrong, b], np.float32, group=case.group, **case.geometry), expected, magnitude, terms
        )


@FAST
@given(st.data())
def test_depthwise_convolution_is_the_loop(data: st.DataObject) -> None:
    """One input channel per group, with any multiplier."""
    case = Case(data, grouped=False)
    assume(case.has_output())
    multiplier = data.draw(st.integers(1, 3))
    x, w = single(case.x), single(case.weights(1, case.inputs * multiplier))
    geometry = (case.strides, case.dilations, case.pads, case.inputs)
    found = run("Conv", [x, w], np.float32, group=case.inputs, **case.geometry)
    magnitude = naive.conv(abs(x), abs(w), *geometry)
    assert within(found, naive.conv(x, w, *geometry), magnitude, w[..., 0].size)


@FAST
@given(st.data())
def test_transposed_convolution_is_the_loop(data: st.DataObject) -> None:
    """ConvTranspose equals the loop, output padding and groups included."""
    case = Case(data)
    extra = data.draw(st.lists(st.integers(0, 2), min_size=case.rank, max_size=case.rank))
    x, w = single(case.x), single(case.weights(case.outputs // case.group, case.inputs))
    full = [
        s * (n - 1) + d * (k - 1) + 1
        for s, n, d, k in zip(case.strides, case.sizes, case.dilations, case.kernel, strict=True)
    ]
    assume(all(f + e - a - z > 0 for f, e, a, z in zip(full, extra, case.pads, case.pads[case.rank :], strict=False)))
    geometry = (case.strides, case.dilations, case.pads, extra, case.group)
    found = run("ConvTranspose", [x, w], np.float32, group=case.group, output_padding=extra, **case.geometry)
    magnitude = naive.conv_transpose(abs(x), abs(w), *geometry)
    assert within(found, naive.conv_transpose(x, w, *geometry), magnitude, w[..., 0, :].size)


@FAST
@given(st.data())
def test_pools_are_the_loop(data: st.DataObject) -> None:
    """MaxPool ignores padding; AveragePool counts it only when told to."""
    case = Case(data, grouped=False)
    assume(case.has_output())
    case.pads = [
        min(pad, (k - 1) * d) for pad, k, d in zip(case.pads, case.kernel * 2, case.dilations * 2, strict=True)
    ]
    ones = np.ones((1, *case.sizes, 1))
    assume(case.has_output())
    geometry = (case.kernel, case.strides, case.dilations, case.pads)
    assume(np.all(naive.pool(ones, *geometry, "mean_all") > 0))
    x = single(case.x)
    found = run("MaxPool", [x], np.float32, kernel_shape=case.kernel, **case.geometry)
    np.testing.assert_array_equal(found, naive.pool(x, *geometry, "max"))
    for include, kind in ((0, "mean"), (1, "mean_all")):
        found = run(
            "AveragePool", [x], np.float32, kernel_shape=case.kernel, count_include_pad=include, **case.geometry
        )
        magnitude = naive.pool(abs(x), *geometry, kind)
        assert within(found, naive.pool(x, *geometry, kind), magnitude, int(np.prod(case.kernel)))


@FAST
@given(st.data())
def test_same_upper_gives_the_rounded_up_size(data: st.DataObject) -> None:
    """auto_pad SAME_UPPER pads so that ceil(size / stride) positions come out, the odd pad at the end."""
    case = Case(data, grouped=False)
    x, w = single(case.x), single(case.weights(case.inputs, case.outputs))
    where = {"strides": case.strides, "dilations": case.dilations}
    totals = [
        max((-(-n // s) - 1) * s + (k - 1) * d + 1 - n, 0)
        for n, s, k, d in zip(case.sizes, case.strides, case.kernel, case.dilations, strict=True)
    ]
    pads = [t // 2 for t in totals] + [t - t // 2 for t in totals]
    found = run("Conv", [x, w], np.float32, auto_pad="SAME_UPPER", **where)
    np.testing.assert_array_equal(found, run("Conv", [x, w], np.float32, pads=pads, **where))
    assert found.shape[1:-1] == tuple(-(-n // s) for n, s in zip(case.sizes, case.strides, strict=True))


@FAST
@given(
    st.integers(1, 3), st.integers(1, 5), st.integers(1, 5), st.integers(1, 4), st.integers(1, 3), st.integers(0, 99)
)
def test_depth_and_space_are_inverses(n: int, h: int, w: int, c: int, b: int, seed: int) -> None:
    """SpaceToDepth undoes DepthToSpace, and a block's first channel group is its upper left corner."""
    x = np.random.default_rng(seed).standard_normal((n, h, w, c * b * b))
    spread = run("DepthToSpace", [x], np.float64, blocksize=b)
    np.testing.assert_array_equal(spread[:, ::b, ::b], x[..., :c])
    np.testing.assert_array_equal(run("SpaceToDepth", [spread], np.float64, blocksize=b), x)


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_results_keep_the_type(dtype: type) -> None:
    """A kernel works in the type that it is given; half precision is calculated in float32 and rounded once."""
    random = np.random.default_rng(0)
    x: Any = random.standard_normal((1, 9, 9, 64)).astype(dtype)
    w: Any = random.standard_normal((3, 3, 64, 2)).astype(dtype)
    found = run("Conv", [x, w], dtype)
    if dtype is np.float16:
        wide = run("Conv", [x, w], np.float32)
        np.testing.assert_array_equal(found, wide.astype(np.float16))
