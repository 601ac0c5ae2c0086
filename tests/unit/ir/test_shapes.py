"""The shapes the builder infers are those that the kernels give."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import onnx_ir as ir
import pytest

from exporter.ir.builder import Builder
from exporter.ir.evaluate import evaluate
from exporter.ir.known import ShapeError

FLOAT = ir.DataType.FLOAT
Layer = Callable[[Builder, ir.Value], ir.Value]


def _weight(b: Builder, *shape: int) -> ir.Value:
    return b.weight("w", FLOAT, shape, lambda: np.ones(shape, np.float32))


def _ints(b: Builder, *numbers: int) -> ir.Value:
    return b.constant(np.array(numbers, np.int64))


OPS: dict[str, Layer] = {
    "Conv": lambda b, x: b.op("Conv", x, _weight(b, 3, 2, 4, 5), None, strides=[2, 1], pads=[1, 0, 0, 1]),
    "Conv dilated": lambda b, x: b.op("Conv", x, _weight(b, 3, 3, 2, 6), None, dilations=[2, 1], group=2),
    "Conv same": lambda b, x: b.op("Conv", x, _weight(b, 3, 3, 4, 5), None, strides=[3, 2], auto_pad="SAME_UPPER"),
    "ConvTranspose": lambda b, x: b.op(
        "ConvTranspose",
        x,
        _weight(b, 3, 3, 2, 4),
        None,
        strides=[2, 3],
        pads=[1, 0, 0, 1],
        output_padding=[1, 0],
        group=2,
    ),
    "Dense": lambda b, x: b.op("Dense", x, _weight(b, 4, 7)),
    "MaxPool": lambda b, x: b.op("MaxPool", x, kernel_shape=[3, 2], strides=[2, 2], pads=[1, 0, 1, 0]),
    "AveragePool": lambda b, x: b.op("AveragePool", x, kernel_shape=[2, 2], strides=[2, 3], auto_pad="SAME_UPPER"),
    "DepthToSpace": lambda b, x: b.op("DepthToSpace", x, blocksize=2),
    "SpaceToDepth": lambda b, x: b.op(
        "SpaceToDepth", b.op("Slice", x, _ints(b, 0), _ints(b, 6), _ints(b, 2)), blocksize=2
    ),
    "Reshape": lambda b, x: b.op("Reshape", x, _ints(b, 0, -1, 2)),
    "Transpose": lambda b, x: b.op("Transpose", x, perm=[3, 0, 2, 1]),
    "Pad": lambda b, x: b.op("Pad", x, _ints(b, 0, 1, 2, 0, 0, 3, -1, 0)),
    "Slice": lambda b, x: b.op("Slice", x, _ints(b, 1, -1), _ints(b, -1, -9), _ints(b, 1, 2), _ints(b, 2, -1)),
    "Expand": lambda b, x: b.op("Expand", x, _ints(b, 2, 1, 1, 1, 1)),
    "Tile": lambda b, x: b.op("Tile", x, _ints(b, 1, 2, 3, 1)),
    "Concat": lambda b, x: b.op("Concat", x, b.op("Relu", x), axis=-1),
    "ReduceMean": lambda b, x: b.op("ReduceMean", x, _ints(b, 1, 2), keepdims=0),
    "Gather": lambda b, x: b.op("Gather", x, b.constant(np.array([[0, 1]])), axis=1),
    "Shape": lambda b, x: b.op("Shape", x, start=1, end=3),
    "MatMul": lambda b, x: b.op("MatMul", x, _weight(b, 4, 3)),
    "LRN": lambda b, x: b.op("LRN", x, size=3),
}


@pytest.mark.parametrize("op", OPS)
@pytest.mark.parametrize("batch", [2, "N"])
def test_shapes(op: str, batch: int | str) -> None:
    """Known sizes exactly; a symbolic batch stays symbolic, and everything else is known."""
    b = Builder("m")
    x = b.input("x", FLOAT, (batch, 6, 7, 4))
    y = OPS[op](b, x)
    inferred = b.shape(y)
    found = evaluate(b.finish({"y": y}), {"x": np.ones((2, 6, 7, 4))})["y"].shape
    assert inferred is not None
    assert len(inferred) == len(found)
    assert all(not isinstance(dim, int) or dim == size for dim, size in zip(inferred, found, strict=True))
    assert sum(not isinstance(dim, int) for dim in inferred) <= (batch == "N")


def test_a_reshape_by_shape_arithmetic_is_static() -> None:
    """[tf.shape(x)[0], 6 * 7 * 4] becomes [0, 168], without a node for the arithmetic."""
    b = Builder("m")
    x = b.input("x", FLOAT, ("N", 6, 7, 4))
    batch = b.op("Slice", b.op("Shape", x), _ints(b, 0), _ints(b, 1))
    y = b.op("Reshape", x, b.op("Concat", batch, _ints(b, 168), axis=0))
    model = b.finish({"y": y})
    assert [node.op_type for node in model.graph] == ["Reshape"]
    assert [str(dim) for dim in b.shape(y) or ()] == ["N", "168"]


@pytest.mark.parametrize("op", ["channels", "rows", "elements"])
def test_what_does_not_fit_is_an_error(op: str) -> None:
    """With the sizes in it."""
    b = Builder("m")
    x = b.input("x", FLOAT, ("N", 6, 7, 4))
    with pytest.raises(ShapeError, match=r"\d"):
        if op == "channels":
            b.op("Conv", x, _weight(b, 3, 3, 5, 5), None)
        elif op == "rows":
            b.op("Dense", x, _weight(b, 5, 5))
        else:
            b.op("Reshape", b.input("z", FLOAT, (2, 3)), _ints(b, 1, 5))
