"""Tidying removes what does nothing and joins what is one thing; numbers stay the same."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir
import pytest

from tests.unit.passes.nets import Layer, Net, fold

EXACT = 1e-12
IMAGE = ("N", 8, 8, 4)


NOTHING: dict[str, Layer] = {
    "Identity": lambda net, x: net.op("Identity", x),
    "Cast": lambda net, x: net.op("Cast", x, to=ir.DataType.DOUBLE.value),
    "Pad": lambda net, x: net.op("Pad", x, net.ints(*[0] * 8)),
    "Slice": lambda net, x: net.op("Slice", x, net.ints(0, 0), net.ints(2**31 - 1, 8), net.ints(3, 1)),
    "Slice of unknown": lambda net, x: net.op("Slice", x, net.ints(0), net.ints(2**31 - 1), net.ints(0)),
    "Concat": lambda net, x: net.op("Concat", x, axis=1),
    "Tile": lambda net, x: net.op("Tile", x, net.ints(1, 1, 1, 1)),
    "Transpose": lambda net, x: net.op("Transpose", x, perm=[0, 1, 2, 3]),
    "two Transposes": lambda net, x: net.op("Transpose", net.op("Transpose", x, perm=[3, 0, 1, 2]), perm=[1, 2, 3, 0]),
    "Reshape": lambda net, x: net.op("Reshape", x, net.ints(-1, 8, 8, 4)),
    "there and back": lambda net, x: net.op(
        "Reshape", net.op("Reshape", x, net.ints(-1, 64, 4)), net.ints(-1, 8, 8, 4)
    ),
    "Unsqueeze and Squeeze": lambda net, x: net.op("Squeeze", net.op("Unsqueeze", x, net.ints(1)), net.ints(1)),
    "MaxPool": lambda net, x: net.op("MaxPool", x, kernel_shape=[1, 1]),
    "Clip": lambda net, x: net.op("Clip", x),
}

SOMETHING: dict[str, Layer] = {
    "Cast": lambda net, x: net.op("Cast", net.op("Cast", x, to=ir.DataType.INT64.value), to=ir.DataType.DOUBLE.value),
    "Pad": lambda net, x: net.op("Pad", x, net.ints(*[0] * 7, 1)),
    "Slice": lambda net, x: net.op("Slice", x, net.ints(1), net.ints(8), net.ints(1)),
    "Slice backwards": lambda net, x: net.op("Slice", x, net.ints(7), net.ints(-9), net.ints(1), net.ints(-1)),
    "Tile": lambda net, x: net.op("Tile", x, net.ints(1, 2, 1, 1)),
    "Transpose": lambda net, x: net.op("Transpose", x, perm=[0, 2, 1, 3]),
    "Reshape": lambda net, x: net.op("Reshape", x, net.ints(-1, 8, 4, 8)),
    "MaxPool": lambda net, x: net.op("MaxPool", x, kernel_shape=[1, 1], strides=[2, 2]),
}


@pytest.mark.parametrize("op", NOTHING)
@pytest.mark.parametrize("keep", [True, False])
def test_an_op_that_does_nothing_goes(op: str, keep: bool) -> None:
    """Between two others; with and without folding."""
    folded = fold(lambda net, x: net.op("Tanh", NOTHING[op](net, net.op("Relu", x))), IMAGE, fold=keep)
    assert folded.ops == ["Relu", "Tanh"]
    assert folded.error == 0


def test_a_wider_type_and_back_is_nothing_before_an_output() -> None:
    """It keeps its name."""

    def build(net: Net, x: ir.Value) -> dict[str, ir.Value]:
        wide = net.op("Cast", net.op("Relu", x), to=ir.DataType.DOUBLE.value)
        return {"z": net.op("Cast", wide, to=ir.DataType.FLOAT.value)}

    folded = fold(build, IMAGE, dtype=ir.DataType.FLOAT)
    assert folded.ops == ["Relu"]
    assert [value.name for value in folded.model.graph.outputs] == ["z"]
    assert folded.error == 0


def test_the_opposite_of_a_condition_is_no_op() -> None:
    """The two choices change places."""

    def build(net: Net, x: ir.Value) -> ir.Value:
        negative = net.op("Less", x, net.weight("zero", 0.0))
        return net.op("Where", net.op("Not", negative), net.op("Relu", x), net.weight("one", 1.0))

    folded = fold(build, IMAGE)
    assert sorted(folded.ops) == ["Less", "Relu", "Where"]
    assert folded.error == 0


@pytest.mark.parametrize(("number", "left"), [(0, 1), (1, 2)])
@pytest.mark.parametrize("first", [True, False])
def test_zero_added_to_integers_is_nothing(number: int, left: int, first: bool) -> None:
    """Whichever comes first; 1 is something, and so is 0 where it has another shape or the numbers are floats."""

    def build(net: Net, x: ir.Value) -> ir.Value:
        whole = net.op("Cast", x, to=ir.DataType.INT64.value)
        operands = [net.ints(number), whole] if first else [whole, net.ints(number)]
        return net.op("Add", *operands)

    folded = fold(build, ("N", 4))
    assert len(folded.ops) == left
    assert folded.error == 0
    grown = fold(lambda net, x: net.op("Add", net.op("Cast", x, to=7), net.b.constant(np.zeros((3, 1, 4), int))), (4,))
    assert grown.ops == ["Cast", "Add"]


POSITIVE: dict[str, Layer] = {
    "Relu": lambda net, x: net.op("Relu", x),
    "Clip": lambda net, x: net.op("Clip", x, net.weight("low", 0.0), net.weight("high", 6.0)),
    "Concat": lambda net, x: net.op("Concat", net.op("Relu", x), net.op("Sigmoid", x), axis=-1),
}
SIGNED: dict[str, Layer] = {
    "Tanh": lambda net, x: net.op("Tanh", x),
    "Clip": lambda net, x: net.op("Clip", x, net.weight("low", -1.0), net.weight("high", 6.0)),
    "Concat": lambda net, x: net.op("Concat", net.op("Relu", x), net.op("Tanh", x), axis=-1),
}


def _padded_pool(net: Net, x: ir.Value, *, width: int = 1, value: float = 0.0) -> ir.Value:
    pads = net.ints(0, width, width, 0, 0, width, width, 0)
    return net.op("MaxPool", net.op("Pad", x, pads, net.weight("value", value)), kernel_shape=[3, 3], strides=[2, 2])


@pytest.mark.parametrize("positive", POSITIVE)
def test_zeros_around_what_is_not_negative_go_into_a_maximum_pool(positive: str) -> None:
    """Its own padding never wins, and neither do zeros there."""
    folded = fold(lambda net, x: _padded_pool(net, POSITIVE[positive](net, x)), IMAGE)
    assert "Pad" not in folded.ops
    assert folded.error == 0


@pytest.mark.parametrize("signed", SIGNED)
def test_zeros_around_negative_numbers_stay(signed: str) -> None:
    """There a zero is the maximum."""
    folded = fold(lambda net, x: _padded_pool(net, SIGNED[signed](net, x)), IMAGE)
    assert "Pad" in folded.ops
    assert folded.error == 0


@pytest.mark.parametrize(("width", "value"), [(3, 0.0), (1, 0.5)])
def test_padding_that_may_win_a_window_stays(width: int, value: float) -> None:
    """A window of padding alone is 0, and not less than everything; another number may be the largest."""
    folded = fold(lambda net, x: _padded_pool(net, net.op("Relu", x), width=width, value=value), IMAGE)
    assert "Pad" in folded.ops
    assert folded.error == 0


def _slice(net: Net, x: ir.Value, start: int, end: int, axis: int, step: int = 1) -> ir.Value:
    return net.op("Slice", x, net.ints(start), net.ints(end), net.ints(axis), net.ints(step))


def test_slices_along_several_axes_are_one() -> None:
    """Three in a row, one of them backwards."""

    def build(net: Net, x: ir.Value) -> ir.Value:
        y = _slice(net, _slice(net, net.op("Relu", x), 1, 7, 1), 6, 1, -2, -1)
        return net.op("Slice", y, net.ints(1), net.ints(2**62), net.ints(3))

    folded = fold(build, IMAGE)
    assert folded.ops == ["Relu", "Slice"]
    assert folded.error == 0


@pytest.mark.parametrize("why", ["the same axis", "two users", "an output"])
def test_slices_that_are_not_one(why: str) -> None:
    """Of the same axis, or where somebody needs what is between."""

    def build(net: Net, x: ir.Value) -> dict[str, ir.Value]:
        y = _slice(net, net.op("Relu", x), 1, 7, 1)
        z = _slice(net, y, 1, 4, 1 if why == "the same axis" else 2)
        outputs = {"z": z}
        if why == "two users":
            outputs["u"] = net.op("Tanh", y)
        return {"y": y, **outputs} if why == "an output" else outputs

    folded = fold(build, IMAGE)
    assert folded.ops.count("Slice") == 2
    assert folded.error == 0


@pytest.mark.parametrize("op", SOMETHING)
def test_an_op_that_does_something_stays(op: str) -> None:
    """The same ops with one number changed."""
    folded = fold(lambda net, x: net.op("Tanh", SOMETHING[op](net, net.op("Relu", x))), IMAGE)
    assert len(folded.ops) > 2
    assert folded.error == 0


def test_an_output_that_is_an_input_keeps_an_identity() -> None:
    """So does an output that is another output; names stay."""

    def build(net: Net, x: ir.Value) -> dict[str, ir.Value]:
        y = net.op("Relu", x)
        return {"y": y, "same": net.op("Identity", y), "x_again": net.op("Identity", x)}

    folded = fold(build, IMAGE)
    assert folded.ops.count("Identity") == 2
    assert [value.name for value in folded.model.graph.outputs] == ["y", "same", "x_again"]
    assert folded.error == 0


@pytest.mark.parametrize("op", ["Conv", "AveragePool", "MaxPool"])
def test_zero_padding_joins_convolutions_only(op: str) -> None:
    """Pools don't pad with zeros."""

    def build(net: Net, x: ir.Value) -> ir.Value:
        y = net.op("Pad", net.op("Relu", x), net.ints(0, 1, 2, 0, 0, 3, 4, 0))
        return net.conv(y, pad=1) if op == "Conv" else net.op(op, y, kernel_shape=[2, 2])

    folded = fold(build, IMAGE)
    assert ("Pad" in folded.ops) == (op != "Conv")
    if op == "Conv":
        assert list(folded.model.graph[-1].attributes["pads"].as_ints()) == [2, 3, 4, 5]
    assert folded.error < EXACT


@pytest.mark.parametrize("pads", [(0, 1, 1, 1, 0, 0, 0, 0), (1, 1, 1, 0, 0, 0, 0, 0), (0, -1, 1, 0, 0, 0, 0, 0)])
def test_other_padding_stays(pads: tuple[int, ...]) -> None:
    """Of channels or of the batch, or a negative one, which takes away."""
    folded = fold(lambda net, x: net.conv(net.op("Pad", net.op("Relu", x), net.ints(*pads))), IMAGE)
    assert folded.ops == ["Relu", "Pad", "Conv"]
    assert folded.error < EXACT


def test_padding_that_others_read_stays_for_them() -> None:
    """The convolution takes it all the same."""

    def build(net: Net, x: ir.Value) -> dict[str, ir.Value]:
        y = net.op("Pad", net.op("Relu", x), net.ints(0, 1, 1, 0, 0, 1, 1, 0))
        return {"a": net.conv(y), "b": net.op("Tanh", y)}

    folded = fold(build, IMAGE)
    assert sorted(folded.ops) == ["Conv", "Pad", "Relu", "Tanh"]
    assert folded.error < EXACT


CLIPS: dict[str, Layer] = {
    "relu6": lambda net, x: net.op("Min", net.op("Relu", x), net.weight("six", 0.6)),
    "min of max": lambda net, x: net.op("Min", net.op("Max", x, net.weight("low", -0.5)), net.weight("high", 0.5)),
    "max of min": lambda net, x: net.op("Max", net.weight("low", -0.5), net.op("Min", x, net.weight("high", 0.5))),
}


@pytest.mark.parametrize("form", CLIPS)
def test_two_bounds_are_one_clip(form: str) -> None:
    """Whichever comes first."""
    folded = fold(CLIPS[form], IMAGE)
    assert folded.ops == ["Clip"]
    assert folded.error == 0


def test_bounds_that_cross_are_left_alone() -> None:
    """min(max(x, 1), -1) is -1, and Clip says nothing about that."""
    build: Layer = lambda net, x: net.op("Min", net.op("Max", x, net.weight("a", 1.0)), net.weight("b", -1.0))  # noqa: E731
    assert fold(build, IMAGE).ops == ["Max", "Min"]


@pytest.mark.parametrize("alpha", [0.2, 0.0, 1.5, -0.5])
def test_a_leaky_relu_written_as_a_maximum(alpha: float) -> None:
    """max(x, a x) is one for 0 <= a <= 1 only."""
    folded = fold(lambda net, x: net.op("Max", net.op("Mul", net.weight("a", alpha), x), x), IMAGE)
    assert folded.ops == (["LeakyRelu"] if 0 <= alpha <= 1 else ["Mul", "Max"])
    assert folded.error < EXACT


@pytest.mark.parametrize(("p", "q"), [(0.6, 0.4), (0.5, 0.5), (0.6, 0.5)])
def test_a_leaky_relu_written_with_an_absolute_value(p: float, q: float) -> None:
    """p x + q |x| is one where p + q = 1."""

    def build(net: Net, x: ir.Value) -> ir.Value:
        y = net.op("Tanh", x)
        return net.op("Add", net.op("Mul", net.weight("p", p), y), net.op("Mul", net.op("Abs", y), net.weight("q", q)))

    folded = fold(build, IMAGE)
    assert (folded.ops == ["Tanh", "LeakyRelu"]) == (p + q == 1)
    assert folded.error < 1e-7


@pytest.mark.parametrize("form", ["mul", "div", "relu6", "other factor", "read twice"])
def test_a_hard_sigmoid_written_as_arithmetic(form: str) -> None:
    """relu6(x + 3) / 6, with nothing else reading the steps."""

    def build(net: Net, x: ir.Value) -> ir.Value | dict[str, ir.Value]:
        y = net.op("Add", x, net.weight("three", 3.0))
        if form == "relu6":
            y = net.op("Min", net.op("Relu", y), net.weight("six", 6.0))
        else:
            y = net.op("Clip", y, net.weight("low", 0.0), net.weight("high", 6.0))
        factor = net.weight("factor", {"div": 6.0, "other factor": 0.2}.get(form, 1 / 6))
        z = net.op("Div" if form == "div" else "Mul", y, factor)
        return {"y": net.op("Mul", x, z), "steps": y} if form == "read twice" else net.op("Mul", x, z)

    folded = fold(build, IMAGE)
    assert (folded.ops == ["HardSigmoid", "Mul"]) == (form not in ("other factor", "read twice"))
    assert folded.error < 1e-7


@pytest.mark.parametrize("keepdims", [0, 1])
def test_a_mean_keeps_the_axes_that_are_put_back(keepdims: int) -> None:
    """Or drops those that are dropped right after."""

    def build(net: Net, x: ir.Value) -> ir.Value:
        y = net.op("ReduceMean", net.op("Relu", x), net.ints(1, 2), keepdims=keepdims)
        return net.op("Tanh", net.op("Reshape", y, net.ints(-1, 4) if keepdims else net.ints(-1, 1, 1, 4)))

    folded = fold(build, IMAGE)
    assert folded.ops == ["Relu", "ReduceMean", "Tanh"]
    assert folded.error == 0


def test_casts_to_a_wider_type_and_back() -> None:
    """Float16 to float32 and back is nothing; float32 to float16 and back isn't."""

    def build(net: Net, x: ir.Value, there: ir.DataType) -> ir.Value:
        return net.op("Tanh", net.op("Cast", net.op("Cast", x, to=there.value), to=net.dtype.value))

    half, single = ir.DataType.FLOAT16, ir.DataType.FLOAT
    assert fold(lambda net, x: build(net, x, single), IMAGE, dtype=half).ops == ["Tanh"]
    assert fold(lambda net, x: build(net, x, half), IMAGE, dtype=single).ops == ["Cast", "Cast", "Tanh"]


def test_the_same_computed_twice_is_computed_once() -> None:
    """Nodes with the same op, attributes and inputs, and what follows from them."""

    def build(net: Net, x: ir.Value) -> ir.Value:
        halves = [net.op("Tanh", net.op("LeakyRelu", x, alpha=a)) for a in (0.1, 0.1, 0.2)]
        return net.op("Concat", *halves, axis=-1)

    folded = fold(build, IMAGE)
    assert sorted(folded.ops) == ["Concat", "LeakyRelu", "LeakyRelu", "Tanh", "Tanh"]
    assert folded.error == 0


def test_equal_large_weights_are_stored_once_and_small_ones_under_their_names() -> None:
    """Two kernels of 128 KiB with the same numbers, and two biases."""

    def build(net: Net, x: ir.Value) -> ir.Value:
        numbers = np.random.default_rng(0).normal(size=(128, 128))
        y = x
        for name in ("a", "b"):
            kernel, bias = net.weight(f"{name}/kernel", numbers), net.weight(f"{name}/bias", np.zeros(128))
            y = net.op("Relu", net.op("Dense", y, kernel, bias))
        return y

    folded = fold(build, ("N", 128))
    assert list(folded.model.graph.initializers) == ["a/kernel", "a/bias", "b/bias"]
    assert folded.error == 0


def test_constants_are_computed_and_rounded_once() -> None:
    """A float32 chain of constants gives the float64 result, rounded."""

    def build(net: Net, x: ir.Value) -> ir.Value:
        c = net.weight("c", [1e8, 3.0])
        for number in (1.0, -1e8):
            c = net.op("Add", c, net.weight(f"c{number}", number))
        return net.op("Max", x, c)

    folded = fold(build, ("N", 2), dtype=ir.DataType.FLOAT)
    assert folded.ops == ["Max"]
    (constant,) = folded.model.graph.initializers.values()
    assert constant.const_value is not None
    assert constant.const_value.numpy().tolist() == [1.0, float(np.float32(4 - 1e8))]


@pytest.mark.parametrize("shared", [False, True])
def test_a_transposed_kernel_is_called_as_the_kernel(shared: bool) -> None:
    """Unless the kernel itself is used, too."""

    def build(net: Net, x: ir.Value) -> ir.Value:
        kernel = net.normal("dense/kernel", 4, 4)
        y = net.op("MatMul", net.op("MatMul", x, kernel) if shared else x, net.op("Transpose", kernel, perm=[1, 0]))
        return net.op("Add", y, net.normal("dense/bias", 4))

    folded = fold(build, ("N", 4))
    names = list(folded.model.graph.initializers)
    assert ("dense/kernel" in names, "dense/bias" in names) == (True, True)
    assert len(names) == (3 if shared else 2)
    assert folded.error < EXACT


def test_a_constant_that_would_blow_up_the_file_stays_a_node() -> None:
    """4 numbers expanded to 4 million."""

    def build(net: Net, x: ir.Value) -> ir.Value:
        large = net.op("Expand", net.normal("c", 4), net.ints(1, 1024, 1024, 4))
        return net.op("Max", net.op("ReduceSum", net.op("Sin", large), net.ints(1, 2)), x)

    folded = fold(build, ("N", 1, 1, 4))
    assert folded.ops == ["Max"]
    unread = fold(
        lambda net, x: net.op("Concat", x, net.op("Expand", net.normal("c", 4), net.ints(1, 512, 512, 4)), axis=0),
        (1, 512, 512, 4),
    )
    assert unread.ops == ["Expand", "Concat"]


def test_without_folding_float_arithmetic_on_constants_is_left_to_run_time() -> None:
    """Moving numbers about is done, adding them isn't."""

    def build(net: Net, x: ir.Value) -> ir.Value:
        c = net.op("Reshape", net.normal("c", 2, 2), net.ints(4))
        return net.op("Max", x, net.op("Exp", c))

    assert fold(build, IMAGE, fold=False).ops == ["Exp", "Max"]
    assert fold(build, IMAGE).ops == ["Max"]


def test_the_same_input_gives_the_same_model() -> None:
    """Names, order and numbers do not depend on anything else."""

    def build(net: Net, x: ir.Value) -> ir.Value:
        y = net.batch_norm(net.conv(x, "a"), "bn")
        return net.op("Concat", net.conv(y, "b"), net.conv(y, "c"), axis=-1)

    texts = {str(fold(build, IMAGE).model) for _ in range(3)}
    assert len(texts) == 1
