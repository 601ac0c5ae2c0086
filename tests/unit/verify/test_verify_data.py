"""Inputs moved as little as their type allows, and work counted from shapes."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx_ir as ir

from exporter.ir.builder import Builder
from exporter.verify.cost import operations, sizes_in
from exporter.verify.inputs.data import nudged

FLOAT = ir.DataType.FLOAT


def test_nudged_floats_are_next_to_what_they_were() -> None:
    """One unit in the last place up or down, in their own type; whole numbers stay: masks, counts, classes."""
    feeds: dict[str, Any] = {
        "x": np.array([1.5, -3.25, 0.1], np.float32),
        "h": np.array([2.5], np.float16),
        "mask": np.array([0, 1, 1], np.float32),
        "i": np.array([4]),
    }
    moved = nudged(feeds)
    assert moved["i"] is feeds["i"]
    np.testing.assert_array_equal(moved["mask"], feeds["mask"])
    for name in ("x", "h"):
        assert moved[name].dtype == feeds[name].dtype
        up = np.nextafter(feeds[name], np.asarray(np.inf, feeds[name].dtype))
        down = np.nextafter(feeds[name], np.asarray(-np.inf, feeds[name].dtype))
        assert np.all((moved[name] == up) | (moved[name] == down))
    many = {"x": np.full(100, 0.3, np.float32)}
    assert not np.array_equal(nudged(many, 3)["x"], nudged(many, 4)["x"])


def test_work_is_counted_from_shapes() -> None:
    """Two operations for each element of a kernel at each position, with open sizes filled in."""
    b = Builder("m")
    x = b.input("x", FLOAT, ("N", "H", 8, 4))
    y = b.op("Conv", x, b.constant(np.ones((3, 3, 2, 6), np.float32)), None, group=2)
    y = b.op("ConvTranspose", y, b.constant(np.ones((2, 2, 5, 6), np.float32)), None)
    y = b.op("Dense", y, b.constant(np.ones((5, 3), np.float32)), None)
    model = b.finish({"y": y})
    sizes = sizes_in(model, {"x": (2, 10, 8, 4)})
    assert sizes == {"N": 2, "H": 10}
    conv, transposed, dense = 2 * 2 * 8 * 6 * 6 * 18, 2 * 2 * 8 * 6 * 6 * 20, 2 * 2 * 9 * 7 * 3 * 5
    assert operations(model, sizes) == conv + transposed + dense
