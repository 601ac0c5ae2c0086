"""Inputs that say something: of the right type and range, always the same."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx_ir as ir
import pytest

from exporter.errors import UsageError
from exporter.ir.builder import Builder
from exporter.verify.cost import operations, sizes_in
from exporter.verify.data import nudged, random_feeds, specs_of

FLOAT, INT = ir.DataType.FLOAT, ir.DataType.INT64


def test_the_same_seed_gives_the_same_numbers() -> None:
    """In this and every version of NumPy; another seed gives others."""
    b = Builder("m")
    x = b.input("x", FLOAT, ("N", 4))
    specs = specs_of(b.finish({"y": b.op("Relu", x)}))
    feeds = random_feeds(specs)
    assert feeds["x"].dtype == np.float32
    np.testing.assert_array_equal(feeds["x"][0], np.array([1.7640524, 0.4001572, 0.978738, 2.2408931], np.float32))
    assert not np.array_equal(random_feeds(specs, seed=1)["x"], feeds["x"])


def test_open_sizes() -> None:
    """The batch, images, sequences; one name is one size; sizes can be chosen."""
    b = Builder("m")
    inputs = [("image", ("N", None, "W", 3)), ("words", ("N", "T")), ("other", ("M", "T", 5))]
    values = [b.input(name, FLOAT, shape) for name, shape in inputs]
    specs = specs_of(b.finish({f"y{i}": b.op("Relu", v) for i, v in enumerate(values)}))
    shapes = {name: array.shape for name, array in random_feeds(specs).items()}
    assert shapes == {"image": (3, 96, 96, 3), "words": (3, 16), "other": (3, 16, 5)}
    shapes = {name: array.shape for name, array in random_feeds(specs, batch=2, sizes={"T": 7, "N": 1}).items()}
    assert shapes == {"image": (1, 96, 96, 3), "words": (1, 7), "other": (2, 7, 5)}


def test_indices_stay_inside_their_table() -> None:
    """Also behind a cast, and the smallest table counts."""
    b = Builder("m")
    ids = b.input("ids", ir.DataType.INT32, ("N", 50))
    tables = [b.constant(np.ones((rows, 2), np.float32), f"t{rows}") for rows in (7, 4)]
    y = b.op("Add", b.op("Gather", tables[0], b.op("Cast", ids, to=INT.value)), b.op("Gather", tables[1], ids))
    hot = b.input("hot", INT, ("N",))
    z = b.op("OneHot", hot, b.constant(np.int64(3)), b.constant(np.array([0, 1], np.float32)))
    specs = specs_of(b.finish({"y": y, "z": z}))
    assert [spec.indices for spec in specs] == [4, 3]
    feeds = random_feeds(specs)
    assert feeds["ids"].dtype == np.int32
    assert set(feeds["ids"].ravel().tolist()) == {0, 1, 2, 3}


@pytest.mark.parametrize(("op", "number"), [("Mul", 1 / 255), ("Div", 255.0), ("Sub", 127.5), ("Sub", [104, 117, 123])])
def test_a_model_that_scales_its_input_down_gets_pixels(op: str, number: float) -> None:
    """0 to 255, floats or bytes; a model that doesn't gets normal numbers."""
    b = Builder("m")
    x = b.input("x", ir.DataType.UINT8, (1, 8, 8, 3))
    f = b.input("f", FLOAT, (1, 8, 8, 3))
    plain = b.input("plain", FLOAT, (1, 8, 8, 3))
    constant = b.constant(np.asarray(number, np.float32))
    outputs = {
        "a": b.op(op, b.op("Cast", x, to=FLOAT.value), constant),
        "b": b.op(op, f, constant),
        "c": b.op("Sub", plain, b.constant(np.float32(1))),
    }
    feeds = random_feeds(specs_of(b.finish(outputs)))
    assert feeds["x"].dtype == np.uint8
    assert feeds["f"].max() > 200
    assert feeds["f"].min() >= 0
    assert feeds["plain"].min() < 0 < feeds["plain"].max() < 10


def test_strings_cannot_be_drawn() -> None:
    """The user has to give some."""
    b = Builder("m")
    x = b.input("x", ir.DataType.STRING, (2,))
    specs = specs_of(b.finish({"y": b.op("Identity", x)}))
    with pytest.raises(UsageError, match="no random values for input x"):
        random_feeds(specs)


def test_nudged_floats_are_next_to_what_they_were() -> None:
    """One unit in the last place up or down, in their own type; integers stay."""
    feeds: dict[str, Any] = {
        "x": np.array([1, -3, 0], np.float32),
        "h": np.array([2], np.float16),
        "i": np.array([4]),
    }
    moved = nudged(feeds)
    assert moved["i"] is feeds["i"]
    for name in ("x", "h"):
        assert moved[name].dtype == feeds[name].dtype
        up = np.nextafter(feeds[name], np.asarray(np.inf, feeds[name].dtype))
        down = np.nextafter(feeds[name], np.asarray(-np.inf, feeds[name].dtype))
        assert np.all((moved[name] == up) | (moved[name] == down))
    many = {"x": np.ones(100, np.float32)}
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
