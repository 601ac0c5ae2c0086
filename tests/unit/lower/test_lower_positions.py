"""Positions that are compared or rounded: the last bit decides, and it is TensorFlow's."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import exporter.ir.order
from exporter.passes.pipeline import run as run_passes
from tests.unit.lower.oracle import Case, assert_close, lower_case, run

pytestmark = pytest.mark.tensorflow

_random = np.random.default_rng(5)


def _floats(*shape: int) -> Any:
    return _random.standard_normal(shape).astype(np.float32)


IMAGE = _floats(2, 7, 11, 3)
CORNERS = np.sort(_random.uniform(0, 1, (200, 2, 2)), axis=1).reshape(200, 4)
TO_EDGES = np.concatenate([CORNERS[:, :2], np.ones((200, 2))], axis=1)
FROM_EDGES = np.concatenate([np.zeros((200, 2)), CORNERS[:, 2:]], axis=1)
ON_PIXELS = _random.integers(0, 7, (200, 4)) / np.array([6, 10, 6, 10])
BOXES = np.concatenate([CORNERS, TO_EDGES, FROM_EDGES, ON_PIXELS, ON_PIXELS[:, ::-1]]).astype(np.float32)


def _crop(size: list[int], **options: Any) -> Any:
    numbers = np.zeros(len(BOXES), np.int32)
    return lambda tf, x, boxes: tf.image.crop_and_resize(x, boxes, numbers, size, **options)


def _crop_to(method: str) -> Any:
    numbers = np.zeros(len(BOXES), np.int32)
    return lambda tf, x, boxes, size: tf.image.crop_and_resize(
        x, boxes, numbers, size, method=method, extrapolation_value=9.0
    )


def _sized(op: str, **flags: bool) -> Any:
    return lambda tf, x, size: getattr(tf.raw_ops, op)(images=x, size=size, **flags)


def _to(op: str, size: list[int], **flags: bool) -> Any:
    return lambda tf, x: getattr(tf.raw_ops, op)(images=x, size=size, **flags)


GRIDS: list[dict[str, bool]] = [{}, {"align_corners": True}, {"half_pixel_centers": True}]
SIZES = [[14, 22], [5, 4], [1, 1], [41, 29]]

CROPS = [
    *(Case(f"crop_{h}_{w}", _crop([h, w], extrapolation_value=9.0), [IMAGE, BOXES]) for h, w in SIZES),
    *(Case(f"nearest_{h}_{w}", _crop([h, w], method="nearest"), [IMAGE, BOXES], 0) for h, w in SIZES),
    *(
        Case(f"crop_to_{method}_{h}", _crop_to(method), [IMAGE, BOXES, np.array([h, w], np.int32)])
        for h, w in SIZES[1:3]
        for method in ("bilinear", "nearest")
    ),
]

RESIZES = [
    *(
        Case(f"nearest_{h}_{w}_{'_'.join(grid)}", _to("ResizeNearestNeighbor", [h, w], **grid), [IMAGE], 0)
        for h, w in SIZES
        for grid in GRIDS
    ),
    *(
        Case(
            f"nearest_to_{h}_{w}_{'_'.join(grid)}",
            _sized("ResizeNearestNeighbor", **grid),
            [IMAGE, np.array([h, w], np.int32)],
            0,
        )
        for h, w in SIZES
        for grid in GRIDS
    ),
    *(
        Case(f"area_{h}_{w}_{'_'.join(grid)}", _to("ResizeArea", [h, w], **grid), [IMAGE], 16, ("static", "batch"))
        for h, w in SIZES
        for grid in GRIDS[:2]
    ),
    *(
        Case(f"cubic_{h}_{w}_{'_'.join(grid)}", _to("ResizeBicubic", [h, w], **grid), [IMAGE], 32, ("static", "batch"))
        for h, w in SIZES
        for grid in GRIDS
    ),
    Case(
        "nearest_doubled",
        lambda tf, x: tf.raw_ops.ResizeNearestNeighbor(images=x, size=tf.shape(x)[1:3] * 2, half_pixel_centers=True),
        [IMAGE],
        0,
    ),
]


def _patches(sizes: list[int], strides: list[int], rates: list[int], padding: str) -> Any:
    return lambda tf, x: tf.image.extract_patches(x, sizes, strides, rates, padding)


NOT_FINITE = np.where(IMAGE > 1.5, np.inf, np.where(IMAGE < -1.5, np.nan, np.where(abs(IMAGE) < 0.1, -0.0, IMAGE)))
NOT_FINITE = NOT_FINITE.astype(np.float32)

PATCHES = [
    *(
        Case(f"patches_{padding}_{sizes[1]}_{strides[1]}_{rates[1]}", _patches(sizes, strides, rates, padding), [x], 0)
        for padding in ("SAME", "VALID")
        for sizes, strides, rates, x in [
            ([1, 3, 2, 1], [1, 1, 1, 1], [1, 1, 1, 1], NOT_FINITE),
            ([1, 2, 3, 1], [1, 3, 2, 1], [1, 2, 1, 1], (IMAGE * 9).astype(np.int32)),
            ([1, 2, 2, 1], [1, 2, 2, 1], [1, 1, 1, 1], IMAGE.astype(np.float64)),
        ]
    ),
    Case(
        "volume_patches",
        lambda tf, x: tf.extract_volume_patches(x, [1, 2, 2, 2, 1], [1, 1, 2, 1, 1], "SAME"),
        [_floats(2, 3, 4, 5, 2)],
        0,
    ),
]

AXES = np.array([0.0, -0.0, 1.0, -1.0, 1e-30, -3e38, np.inf, -np.inf, np.nan, 0.3], np.float32)
Y, X = (np.ascontiguousarray(array) for array in np.meshgrid(AXES, AXES))

ANGLES = [
    Case("atan2", lambda tf, y, x: tf.math.atan2(y, x), [Y, X], 2),
    Case("atan2_sign", lambda tf, y, x: 1.0 / tf.math.atan2(y, x), [Y[:6], X[:6]], 2),
]


def _ties(bits: int, low: float, high: float) -> Any:
    """Halfway between the numbers of a grid, and beside that."""
    half = np.arange(-(2**bits), 2 ** (bits + 1)) + 0.5
    exact = (half * (high - low) / (2**bits - 1)).astype(np.float32)
    return np.concatenate([exact, np.nextafter(exact, np.float32(99)), np.nextafter(exact, np.float32(-99))])


def _fake(**options: Any) -> Any:
    return lambda tf, x, low, high: tf.quantization.fake_quant_with_min_max_vars(x, low, high, **options)


def _scalar(value: float) -> Any:
    return np.array(value, np.float32)


def _rounded(version: str, **options: Any) -> Any:
    return lambda tf, x, low, high: getattr(tf.raw_ops, f"QuantizeAndDequantize{version}")(
        input=x, input_min=low, input_max=high, **options
    )


RANGES = [(-1.0, 1.0), (-0.7, 1.9), (0.0, 6.0), (-2.3, 0.4), (-6.0, 0.0)]

QUANTISATION = [
    *(
        Case(f"fake_{low}_{narrow}", _fake(narrow_range=narrow), [_ties(8, low, high), _scalar(low), _scalar(high)], 0)
        for low, high in RANGES
        for narrow in (False, True)
    ),
    Case("fake_few_bits", _fake(num_bits=3), [_ties(3, -1.1, 2.2), _scalar(-1.1), _scalar(2.2)], 0),
    *(
        Case(
            f"fake_{name}_{low}",
            lambda tf, x, op=f"fake_quant_with_min_max_{name}", ends=ends: getattr(tf.quantization, op)(x, *ends),
            [_ties(8, low, high)[:, None]],
            0,
        )
        for low, high in RANGES
        for name, ends in (("args", (low, high)), ("vars_per_channel", ([low], [high])))
    ),
    Case("fake_nothing", _fake(), [_floats(5), _scalar(0), _scalar(0)], 0),
    *(
        Case(
            f"rounded_{version}_{mode}_{low}_{signed}",
            _rounded(version, round_mode=mode, range_given=True, signed_input=signed),
            [_ties(7, low, high), _scalar(low), _scalar(high)],
            0,
        )
        for version, mode in (("V2", "HALF_TO_EVEN"), ("V4", "HALF_UP"))
        for low, high in RANGES[:3]
        for signed in (True, False)
    ),
    Case(
        "rounded_axis",
        _rounded("V3", axis=1, num_bits=6, range_given=True),
        [_floats(4, 3, 5), np.array([-1, -0.5, -2], np.float32), np.array([2, 0.5, 1], np.float32)],
        0,
    ),
]


def _range(tf: Any, start: Any, limit: Any, delta: Any) -> Any:
    return tf.raw_ops.Range(start=start, limit=limit, delta=delta)


def _line(count: int) -> Any:
    return lambda tf, start, stop: tf.raw_ops.LinSpace(start=start, stop=stop, num=count)


RANGES_OF_NUMBERS = [
    *(
        Case(f"range_{start}_{limit}_{delta}", _range, [_scalar(start), _scalar(limit), _scalar(delta)], 0)
        for start, limit, delta in [(0, 1, 0.1), (0, 100, 0.1), (5, -3, -0.7), (0.1, 0.7, 0.2), (2, 2, 1), (0, 3, 0.3)]
    ),
    *(
        Case(f"line_{start}_{stop}_{count}", _line(count), [_scalar(start), _scalar(stop)], 0)
        for start, stop, count in [(0, 1, 11), (0.1, 0.7, 7), (-1e10, 3, 9), (5, 2, 1), (3, 3, 4), (7, -7, 2)]
    ),
    Case(
        "line_of_many",
        lambda tf, start, stop, count: tf.raw_ops.LinSpace(start=start, stop=stop, num=count),
        [_scalar(-3), _scalar(0.7), np.array(23, np.int32)],
        0,
    ),
]

SIZED = [*CROPS, *RESIZES, *PATCHES]
PLAIN = [*ANGLES, *QUANTISATION, *RANGES_OF_NUMBERS]


@pytest.mark.parametrize(
    ("case", "shapes"),
    [
        *((case, shapes) for case in SIZED for shapes in (case.shapes[0], case.shapes[-1])),
        *((c, "static") for c in PLAIN),
    ],
    ids=lambda value: getattr(value, "name", value),
)
def test_positions(case: Case, shapes: str) -> None:
    """Lowered, and after all passes, a position falls on the side that TensorFlow puts it on."""
    model, feeds, expected = lower_case(case, shapes)
    before = run(model, feeds)
    run_passes(model)
    after = run(model, feeds)
    for name, array in expected.items():
        assert_close(before[name], np.asarray(array), case.units, f"{case.name}, {name}")
        assert_close(after[name], np.asarray(array), case.units, f"{case.name}, {name}, after the passes")


def test_order_is_kept_by_the_marks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the marks the passes compose the arithmetic, and points fall on the other side: the test would see it."""
    monkeypatch.setattr("exporter.passes.affine.collect.is_as_written", lambda node: False)
    assert callable(exporter.ir.order.is_as_written)
    off = 0
    for case in (*CROPS[:3], *QUANTISATION[:4]):
        model, feeds, expected = lower_case(case, "static")
        run_passes(model)
        off += int(np.sum(run(model, feeds)["y0"] != expected["y0"]))
    assert off > 0
