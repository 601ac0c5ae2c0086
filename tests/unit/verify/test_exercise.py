"""Inputs that exercise a model: of sizes with which it runs, of values that are meant, at levels it was trained for."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import onnx_ir as ir
import pytest

from exporter.errors import UsageError
from exporter.ir.builder import Builder
from exporter.ir.evaluate import evaluate
from exporter.verify.inputs.exercise import exercise
from exporter.verify.inputs.roles import specs_of

FLOAT, INT = ir.DataType.FLOAT, ir.DataType.INT64
_RANDOM = np.random.RandomState(5)


def _weights(*shape: int) -> npt.NDArray[np.float32]:
    return _RANDOM.standard_normal(shape).astype(np.float32)


def _normed(b: Builder, x: ir.Value, mean: npt.ArrayLike, variance: npt.ArrayLike) -> ir.Value:
    parts = [b.constant(np.asarray(part, np.float32)) for part in (mean, variance)]
    ones = b.constant(np.ones(parts[0].shape.numpy(), np.float32)) if parts[0].shape is not None else None
    return b.op("BatchNormalization", x, ones, b.constant(np.zeros_like(np.asarray(mean, np.float32))), *parts)


@pytest.mark.parametrize(("offset", "spread"), [(127.5, 74.0), (0.5, 0.3), (0.0, 0.6), (0.0, 1.0), (-3.0, 0.01)])
@pytest.mark.parametrize("channels", [1, 3])
def test_levels_are_told_by_the_first_batch_norm(offset: float, spread: float, channels: int) -> None:
    """Pixels of 0 to 255 from 0 to 1 from -1 to 1: what it then sees has its moving mean and variance."""
    kernel, bias = _weights(3, 3, channels, 32), _weights(32)
    shares = np.linspace(0.5, 1.5, channels)
    random = np.random.RandomState(7)
    training = (offset * shares + spread * random.standard_normal((64, 16, 16, channels))).astype(np.float32)

    def build(mean: npt.ArrayLike, variance: npt.ArrayLike) -> ir.Model:
        b = Builder("m")
        y = b.op("Conv", b.input("x", FLOAT, ("N", 16, 16, channels)), b.constant(kernel), b.constant(bias))
        y = b.op("Relu", _normed(b, y, mean, variance))
        return b.finish({"y": _normed(b, b.op("Dense", y, b.constant(_weights(32, 4))), [0] * 4, [9] * 4)})

    seen: dict[str, npt.NDArray[np.float64]] = {}

    def keep(value: ir.Value, array: npt.NDArray[np.float64]) -> None:
        node = value.producer()
        if node is not None and node.op_type == "Conv":
            seen["x"] = array

    evaluate(build([0] * 32, [1] * 32), {"x": training}, see=keep)
    mean, variance = seen["x"].mean((0, 1, 2)), seen["x"].var((0, 1, 2))
    model = build(mean, variance)
    found = exercise(model)
    evaluate(model, next(one.feeds for one in found.sets if one.name in ("mixed", "white", "smooth")), see=keep)
    distance = np.abs(seen["x"].mean((0, 1, 2)) - mean) / np.sqrt(variance)
    assert np.median(distance) < 0.5
    assert 0.4 < np.median(seen["x"].std((0, 1, 2)) / np.sqrt(variance)) < 2
    assert len(found.batch_norms) == 1
    assert found.inputs[0].why == "the statistics of the first batch norms"


@pytest.mark.parametrize("beside", ["another input", "a channel"])
def test_what_no_batch_norm_sees_keeps_its_level(beside: str) -> None:
    """An input that joins behind them, and a channel that they don't read: neither is blown up."""
    b, kernel = Builder("m"), _weights(3, 3, 3, 8)
    if beside == "a channel":
        kernel[:, :, 1] = 0
    y = _normed(b, b.op("Conv", b.input("x", FLOAT, ("N", 12, 12, 3)), b.constant(kernel), None), [1.0] * 8, [20.0] * 8)
    y = b.op("ReduceMean", b.op("Relu", y), b.constant(np.array([1, 2])), keepdims=0)
    if beside == "another input":
        y = b.op("Concat", y, b.input("side", FLOAT, ("N", 4)), axis=1)
    found = exercise(b.finish({"y": b.op("Dense", y, b.constant(_weights(12 if beside == "another input" else 8, 2)))}))
    for one in found.sets:
        assert all(np.abs(array).max() < 300 for array in one.feeds.values())


def test_a_relu_in_between_does_no_harm() -> None:
    """The path need not be linear: what is measured decides."""
    b = Builder("m")
    y = b.op("Relu", b.op("Dense", b.input("x", FLOAT, ("N", 4)), b.constant(_weights(4, 24))))
    mean, variance = np.full(24, 300.0), np.full(24, 150.0**2)
    model = b.finish({"y": _normed(b, b.op("Dense", y, b.constant(np.abs(_weights(24, 24)))), mean, variance)})
    found = exercise(model, batch=64)
    assert found.mismatch < 2
    assert np.abs(found.sets[0].feeds["x"]).max() > 10


def test_numbers_that_are_normalised_are_what_that_makes_small() -> None:
    """As Keras' Normalization does with coordinates of seven digits."""
    b = Builder("m")
    x = b.input("x", FLOAT, ("N", 3))
    centre, spread = np.array([5e5, 4.6e6, 50], np.float32), np.array([100, 60, 5], np.float32)
    y = b.op("Div", b.op("Sub", x, b.constant(centre)), b.constant(spread))
    found = exercise(b.finish({"y": b.op("Dense", y, b.constant(_weights(3, 5)))}))
    for one in found.sets:
        assert np.abs((one.feeds["x"] - centre) / spread).max() < 12
    np.testing.assert_allclose(found.inputs[0].offset, centre)


@pytest.mark.parametrize(("op", "number"), [("Mul", 1 / 255), ("Div", 255.0), ("Sub", 127.5), ("Sub", [104, 117, 123])])
def test_a_model_that_scales_its_input_down_gets_pixels(op: str, number: float) -> None:
    """0 to 255, floats or bytes; a model that doesn't gets numbers around 0."""
    b = Builder("m")
    x = b.input("x", ir.DataType.UINT8, (1, 8, 8, 3))
    f = b.input("f", FLOAT, (1, 8, 8, 3))
    plain = b.input("plain", FLOAT, (1, 8, 8, 3))
    constant = b.constant(np.asarray(number, np.float32))
    outputs = {
        "a": b.op(op, b.op("Cast", x, to=FLOAT.value), constant),
        "b": b.op(op, f, constant),
        "c": b.op("Relu", plain),
    }
    feeds = exercise(b.finish(outputs)).sets[0].feeds
    assert feeds["x"].dtype == np.uint8
    assert feeds["x"].max() > 150
    assert feeds["f"].max() > 150
    assert feeds["f"].min() >= 0
    assert feeds["plain"].min() < 0 < feeds["plain"].max() < 20


def test_what_inputs_stand_for() -> None:
    """Indices, also behind a cast and as a one-hot; lengths; masks that are taken from 1 or counted; a selection."""
    b = Builder("m")
    ids = b.input("ids", ir.DataType.INT32, ("N", 50))
    tables = [b.constant(_weights(rows, 2)) for rows in (7, 4)]
    one = b.op("Add", b.op("Gather", tables[0], b.op("Cast", ids, to=INT.value)), b.op("Gather", tables[1], ids))
    hot = b.input("hot", INT, ("N",))
    two = b.op("OneHot", hot, b.constant(np.int64(3)), b.constant(np.array([0, 1], np.float32)))
    length = b.input("length", INT, ("N",))
    places = b.constant(np.arange(9))
    three = b.op("Less", places, b.op("Unsqueeze", length, b.constant(np.array([1]))))
    mask = b.input("mask", FLOAT, ("N", 6))
    scores = b.input("scores", FLOAT, ("N", 6))
    masked = b.op("Mul", b.op("Sub", b.constant(np.float32(1)), mask), b.constant(np.float32(-1e9)))
    four = b.op("Softmax", b.op("Add", scores, masked))
    pick = b.input("pick", FLOAT, ("N", 6))
    five = b.op("ReduceSum", b.op("Mul", pick, four), b.constant(np.array([1])))
    model = b.finish({"one": one, "two": two, "three": three, "four": four, "five": five})
    specs = {spec.name: spec for spec in specs_of(model)}
    assert {name: spec.role for name, spec in specs.items()} == {
        "ids": "index",
        "hot": "index",
        "length": "length",
        "mask": "mask",
        "scores": "number",
        "pick": "one-hot",
    }
    assert (specs["ids"].indices, specs["hot"].indices, specs["length"].along) == (4, 3, 9)
    for feeds in (one.feeds for one in exercise(model).sets):
        assert feeds["ids"].dtype == np.int32
        assert set(feeds["ids"].ravel().tolist()) == {0, 1, 2, 3}
        assert 1 <= feeds["length"].min() <= feeds["length"].max() <= 9
        assert set(feeds["mask"].ravel().tolist()) <= {0.0, 1.0}
        assert np.all(feeds["mask"].sum(1) >= 1)
        np.testing.assert_array_equal(feeds["pick"].sum(1), 1)


def _positions(b: Builder) -> ir.Value:
    """A table of 12 positions, added to a sequence of any length."""
    ids = b.input("ids", INT, ("N", "T"))
    words = b.op("Gather", b.constant(_weights(30, 4)), ids)
    size = b.op("Gather", b.op("Shape", ids), b.constant(np.int64(1)))
    places = b.op("Range", b.constant(np.int64(0)), size, b.constant(np.int64(1)))
    return b.op("Add", words, b.op("Gather", b.constant(_weights(12, 4)), places))


def _parts_of_a_row(b: Builder) -> ir.Value:
    """Four parts, of whatever width, that together are a row of nine."""
    parts = [b.input(f"part{i}", FLOAT, ("N", None)) for i in range(4)]
    return b.op("Dense", b.op("Concat", *parts, axis=-1), b.constant(_weights(9, 2)))


def _baked_batch(b: Builder) -> ir.Value:
    """A reshape that knows the batch."""
    return b.op("Reshape", b.input("x", FLOAT, ("N", 6)), b.constant(np.array([5, 2, 3])))


def _unequal(b: Builder) -> ir.Value:
    """Three inputs whose open sizes go by one name, and have to be 2, 3 and 4."""
    parts = [b.input(f"x{size}", FLOAT, ("N", 3)) for size in (2, 3, 4)]
    shaped = [b.op("Reshape", x, b.constant(np.array([i, 3]))) for i, x in zip((2, 3, 4), parts, strict=True)]
    return b.op("Concat", *shaped, axis=0)


def _receptive_field(b: Builder) -> ir.Value:
    """A window over forty steps, on a sequence of any length."""
    return b.op("Conv", b.input("x", FLOAT, ("N", "T", 2)), b.constant(_weights(40, 2, 3)), None)


@pytest.mark.parametrize("build", [_positions, _parts_of_a_row, _baked_batch, _unequal, _receptive_field])
def test_open_sizes_are_those_with_which_the_model_runs(build: Callable[[Builder], ir.Value]) -> None:
    """And with which it gives something: an empty result would be no evidence."""
    b = Builder("m")
    model = b.finish({"y": build(b)})
    for one in exercise(model).sets:
        assert evaluate(model, one.feeds)["y"].size


def test_sizes_that_nothing_solves_are_asked_for() -> None:
    """One sentence says which input needs a size, and how to give it."""
    b = Builder("m")
    y = b.op("Reshape", b.input("x", FLOAT, ("N", 6)), b.constant(np.array([4999, 6])))
    with pytest.raises(UsageError, match=r"open in x \[\?, 6\].*--data.*--input NAME=SHAPE"):
        exercise(b.finish({"y": y}))


def test_strings_cannot_be_made_up() -> None:
    """The user has to give some."""
    b = Builder("m")
    with pytest.raises(UsageError, match="no random values for input x"):
        exercise(b.finish({"y": b.op("Identity", b.input("x", ir.DataType.STRING, (2,)))}))


def test_a_logarithm_gets_positive_numbers() -> None:
    """Where numbers around 0 give NaN, others are tried."""
    b = Builder("m")
    found = exercise(b.finish({"y": b.op("Log", b.input("x", FLOAT, (8, 4)))}))
    assert all(one.finite for one in found.sets)


def test_the_same_model_gets_the_same_arrays() -> None:
    """So that exporting twice gives the same bytes; another seed gives others."""
    b = Builder("m")
    y = b.op("Conv", b.input("x", FLOAT, ("N", 9, 9, 3)), b.constant(_weights(3, 3, 3, 8)), None)
    model = b.finish({"y": _normed(b, y, np.arange(8), np.ones(8))})
    first, again, other = exercise(model), exercise(model), exercise(model, seed=3)
    assert first.to_json() == again.to_json()
    for a, c, d in zip(first.sets, again.sets, other.sets, strict=True):
        np.testing.assert_array_equal(a.feeds["x"], c.feeds["x"])
        assert not np.array_equal(a.feeds["x"], d.feeds["x"])


def test_the_sets_that_are_kept_wake_up_the_most_channels() -> None:
    """Channels that see nothing but inputs far from the usual are awake, too."""
    b = Builder("m")
    x = b.input("x", FLOAT, ("N", 10))
    y = b.op(
        "Relu",
        b.op(
            "Add", b.op("Dense", x, b.constant(np.eye(10, dtype=np.float32))), b.constant(np.full(10, -3, np.float32))
        ),
    )
    model = b.finish({"y": y})
    awake = np.zeros(10, bool)
    for one in exercise(model).sets:
        awake |= evaluate(model, one.feeds)["y"].max(0) > 0
    assert awake.sum() >= 8


def test_sizes_are_small() -> None:
    """What says how large a tensor becomes is not drawn from all integers: that would take all memory."""
    b = Builder("sizes")
    size = b.input("size", INT, [2])
    more = b.op("Add", size, b.constant(np.array([1, 1])))
    model = b.finish({"y": b.op("ConstantOfShape", more), "z": b.op("Tile", b.constant(np.ones((1, 1))), size)})
    (spec,) = specs_of(model)
    assert (spec.role, spec.indices) == ("index", 4)
