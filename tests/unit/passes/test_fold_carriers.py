"""What commutes with an affine map lets it pass; what doesn't, refuses with the reason."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir
import pytest

from tests.unit.passes.nets import Layer, Net, fold

EXACT = 1e-12
IMAGE = ("N", 8, 8, 4)


def _pool(op_type: str, pad: int = 0, **attributes: int) -> Layer:
    def build(net: Net, x: ir.Value) -> ir.Value:
        return net.op(op_type, x, kernel_shape=[2, 2], strides=[2, 2], pads=[pad] * 4, **attributes)

    return build


def _resize(mode: str) -> Layer:
    def build(net: Net, x: ir.Value) -> ir.Value:
        sizes = net.op("Concat", net.op("Shape", x, start=0, end=1), net.ints(16, 16, 4), axis=0)
        return net.op("Resize", x, None, None, sizes, mode=mode, coordinate_transformation_mode="half_pixel")

    return build


def _space_to_batch(net: Net, x: ir.Value) -> ir.Value:
    y = net.op("Reshape", x, net.ints(-1, 4, 2, 4, 2, 4))
    y = net.op("Transpose", y, perm=[2, 4, 0, 1, 3, 5])
    return net.op("Reshape", y, net.ints(-1, 4, 4, 4))


CARRIERS: dict[str, Layer] = {
    "Identity": lambda net, x: net.op("Identity", x),
    "Transpose": lambda net, x: net.op("Transpose", net.op("Transpose", x, perm=[0, 3, 1, 2]), perm=[0, 3, 2, 1]),
    "Reshape": lambda net, x: net.op("Reshape", x, net.ints(-1, 64, 4)),
    "Reshape that splits the channels": lambda net, x: net.op("Reshape", x, net.ints(-1, 8, 8, 2, 2)),
    "Unsqueeze": lambda net, x: net.op("Unsqueeze", x, net.ints(1)),
    "AveragePool": _pool("AveragePool"),
    "AveragePool with padding": _pool("AveragePool", pad=1),
    "ReduceMean": lambda net, x: net.op("ReduceMean", x, net.ints(1, 2), keepdims=0),
    "ReduceMean with keepdims": lambda net, x: net.op("ReduceMean", x, net.ints(1, 2), keepdims=1),
    "nearest": _resize("nearest"),
    "linear": _resize("linear"),
    "cubic": _resize("cubic"),
    "SpaceToDepth": lambda net, x: net.op("SpaceToDepth", x, blocksize=2),
    "space to batch": _space_to_batch,
    "reflect": lambda net, x: net.op("Pad", x, net.ints(0, 1, 1, 0, 0, 1, 1, 0), mode="reflect"),
    "Slice in space": lambda net, x: net.op("Slice", x, net.ints(1), net.ints(5), net.ints(1)),
    "Slice of channels": lambda net, x: net.op("Slice", x, net.ints(1), net.ints(3), net.ints(3)),
    "Split": lambda net, x: net.op("Concat", *_halves(net, x), axis=-1),
    "Tile": lambda net, x: net.op("Tile", x, net.ints(1, 2, 1, 1)),
    "Expand": lambda net, x: net.op("Expand", net.op("Unsqueeze", x, net.ints(1)), net.ints(1, 3, 1, 1, 1)),
    "Gather": lambda net, x: net.op("Gather", x, net.ints(2, 0), axis=1),
}


def _halves(net: Net, x: ir.Value) -> list[ir.Value]:
    with net.b.source("split"):
        left, right = net.b.op_n("Split", 2, x, net.ints(1, 3), axis=-1)
    return [right, left]


@pytest.mark.parametrize("carrier", CARRIERS)
def test_up(carrier: str) -> None:
    """Convolution, carrier, batch norm: the convolution takes it all."""
    folded = fold(lambda net, x: net.batch_norm(CARRIERS[carrier](net, net.conv(x, k=1, out=4))), IMAGE)
    last = folded.outcome
    if carrier in ("SpaceToDepth", "Reshape that splits the channels"):
        return
    assert last.reason is None
    assert last.into == "conv"
    assert not set(folded.ops) & {"BatchNormalization", "Mul", "Add"}
    assert folded.error < EXACT


@pytest.mark.parametrize("carrier", CARRIERS)
def test_down(carrier: str) -> None:
    """Batch norm, carrier, dense layer: the dense layer takes it all."""

    def build(net: Net, x: ir.Value) -> ir.Value:
        return net.dense(CARRIERS[carrier](net, net.batch_norm(net.op("Relu", x))))

    folded = fold(build, IMAGE)
    assert folded.error < EXACT
    if carrier == "Reshape that splits the channels":
        assert folded.outcome.reason is not None
        return
    assert folded.outcome.into == "dense"
    assert folded.outcome.reason is None
    assert not set(folded.ops) & {"BatchNormalization", "Mul", "Add"}


def test_flatten_repeats_the_channels_over_the_rows_of_a_dense_kernel() -> None:
    """Batch norm, flatten, dense: each row of the kernel gets its channel's scale."""

    def build(net: Net, x: ir.Value) -> ir.Value:
        return net.dense(net.op("Reshape", net.batch_norm(net.op("Relu", x)), net.ints(-1, 256)))

    folded = fold(build, IMAGE)
    assert folded.ops == ["Relu", "Reshape", "Dense"]
    assert folded.error < EXACT


def test_flattened_statistics_go_back_only_if_they_repeat_per_channel() -> None:
    """A batch norm over flattened positions isn't one over channels."""

    def build(net: Net, x: ir.Value, repeated: bool) -> ir.Value:
        y = net.op("Reshape", net.conv(x, k=1, out=4), net.ints(-1, 256))
        if not repeated:
            return net.batch_norm(y)
        given = {"gamma": [1, 2, 3, 4], "beta": [4, 3, 2, 1], "mean": [0, 1, 0, 1], "variance": [1, 2, 1, 2]}
        return net.batch_norm(y, given={name: np.tile(values, 64) for name, values in given.items()})

    assert fold(lambda net, x: build(net, x, True), IMAGE).ops == ["Conv", "Reshape"]
    refused = fold(lambda net, x: build(net, x, False), IMAGE)
    assert refused.ops == ["Conv", "Reshape", "BatchNormalization"]
    assert "varies along axes 1, 2, and" in refused.reason
    assert refused.error < EXACT


def test_concat_gives_each_branch_its_part() -> None:
    """All branches must be able to take it; a constant among them is mapped too."""

    def build(net: Net, x: ir.Value) -> ir.Value:
        parts = [net.conv(x, "a", k=1, out=3), net.op("MatMul", x, net.normal("w", 4, 2))]
        return net.batch_norm(net.op("Concat", *parts, axis=-1))

    folded = fold(build, IMAGE)
    assert folded.ops == ["Conv", "Dense", "Concat"]
    assert folded.outcome.into == "a, matmul"
    assert folded.error < EXACT


def test_concat_refuses_when_one_branch_can_not_take_its_part() -> None:
    """Nothing is half done: the other branch stays as it was."""

    def build(net: Net, x: ir.Value) -> ir.Value:
        return net.batch_norm(net.op("Concat", net.conv(x, "a", k=1, out=3), x, axis=-1))

    folded = fold(build, IMAGE)
    assert folded.ops == ["Conv", "Concat", "BatchNormalization"]
    assert "x is an input of the model" in folded.reason
    assert folded.error < EXACT


def test_one_branch_of_a_concat_goes_forward() -> None:
    """A batch norm on one branch only maps only that branch's channels of the next convolution."""

    def build(net: Net, x: ir.Value) -> ir.Value:
        return net.conv(net.op("Concat", net.batch_norm(net.op("Relu", x)), x, axis=-1), k=1)

    folded = fold(build, IMAGE)
    assert folded.ops == ["Relu", "Concat", "Conv"]
    assert folded.error < EXACT


@pytest.mark.parametrize("op_type", ["Add", "Sub", "Sum"])
def test_a_sum_of_two_convolutions(op_type: str) -> None:
    """Both take the scale, one of them takes the shift."""

    def build(net: Net, x: ir.Value) -> ir.Value:
        return net.batch_norm(net.op(op_type, net.conv(x, "a", k=1), net.conv(x, "b", k=1)))

    folded = fold(build, IMAGE)
    assert folded.ops == ["Conv", "Conv", op_type]
    assert folded.error < EXACT


@pytest.mark.parametrize(("length", "reached"), [(100, True), (1000, False)])
def test_a_long_way_is_no_problem(length: int, reached: bool) -> None:
    """A hundred carriers are passed; after that the plan is given up, not the export."""

    def build(net: Net, x: ir.Value) -> ir.Value:
        y = net.conv(x, k=1)
        for _ in range(length):
            y = net.op("LeakyRelu", y, alpha=0.9)
        return net.op("Mul", y, net.weight("two", 2.0))

    folded = fold(build, IMAGE)
    assert ("Mul" not in folded.ops) == reached
    assert ("too long" in (folded.outcome.reason or "")) != reached
    assert folded.error < EXACT


def test_many_branches_are_no_problem() -> None:
    """A concat of 300 dense layers."""

    def build(net: Net, x: ir.Value) -> ir.Value:
        return net.batch_norm(net.op("Concat", *[net.dense(x, f"d{i}", out=2) for i in range(300)], axis=-1))

    folded = fold(build, ("N", 3))
    assert folded.ops == ["Dense"] * 300 + ["Concat"]
    assert folded.error < EXACT


def test_alternatives_do_not_multiply() -> None:
    """Sums of sums, 18 deep, at whose far end something can't take the shift: refused in a moment."""

    def build(net: Net, x: ir.Value) -> ir.Value:
        def tree(depth: int) -> ir.Value:
            if not depth:
                return net.op("Sigmoid", net.op("Add", x, net.normal("b", 4)))
            return net.op("Add", net.conv(x, f"c{depth}", k=1, out=4), tree(depth - 1))

        return net.batch_norm(tree(18))

    folded = fold(build, IMAGE)
    assert folded.outcomes[-1].reason is not None
    assert folded.error < EXACT


def test_depth_to_space_needs_the_channels_to_repeat() -> None:
    """Behind it, each of its channels comes from four; before it, four channels with their own statistics go to one."""

    def behind(net: Net, x: ir.Value) -> ir.Value:
        return net.batch_norm(net.op("DepthToSpace", net.conv(x, k=1, out=8), blocksize=2))

    def before(net: Net, x: ir.Value) -> ir.Value:
        return net.dense(net.op("DepthToSpace", net.batch_norm(net.op("Relu", net.conv(x, k=1, out=8))), blocksize=2))

    assert fold(behind, IMAGE).ops == ["Conv", "DepthToSpace"]
    assert fold(behind, IMAGE).error < EXACT
    refused = fold(before, IMAGE)
    assert "channels with different maps" in refused.reason
    assert refused.error < EXACT
