"""Small channels-last models, and what onnxruntime makes of the ONNX model of one."""

from __future__ import annotations

import io
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
import onnx_ir as ir
import onnxruntime as ort

from exporter.ir.builder import Builder
from exporter.targets.layout.standard import InputLayout, in_standard_ops
from exporter.targets.onnx_file import onnx_model
from exporter.targets.onnx_wire import write_onnx
from exporter.verify.compare import error, limit
from exporter.verify.references.unfolded_model import reference_run

Array = npt.NDArray[Any]
Shape = Sequence[int | str | None]
FLOAT = ir.DataType.FLOAT


class Net:
    """A builder with seeded random float32 weights."""

    def __init__(self, seed: int = 0) -> None:
        self.b = Builder("net")
        self.random = np.random.default_rng(seed)
        self.count = 0

    def input(self, name: str, *shape: int | str | None, dtype: ir.DataType = FLOAT) -> ir.Value:
        """A graph input."""
        return self.b.input(name, dtype, shape)

    def w(self, *shape: int) -> ir.Value:
        """A weight, read on demand."""
        array = (self.random.standard_normal(shape) * 0.4).astype(np.float32)
        self.count += 1
        return self.b.weight(f"w{self.count}", FLOAT, shape, lambda: array)

    def const(self, *shape: int) -> ir.Value:
        """A constant of random numbers."""
        self.count += 1
        return self.b.constant(self.random.standard_normal(shape).astype(np.float32), f"c{self.count}")

    def ints(self, *numbers: int) -> ir.Value:
        """A constant int64 vector."""
        return self.b.constant(np.array(numbers, np.int64))

    def op(self, op_type: str, *inputs: ir.Value | None, **attributes: Any) -> ir.Value:
        """Any op with one output."""
        return self.b.op(op_type, *inputs, **attributes)

    def raw(
        self, op_type: str, x: ir.Value, *inputs: ir.Value | None, shape: Shape | None = None, **attributes: Any
    ) -> ir.Value:
        """An op that the builder doesn't make, its result of the type of `x`, and of its shape unless it is given."""
        self.count += 1
        node = ir.node(op_type, [x, *inputs], attributes, name=f"{op_type}_{self.count}")
        self.b.graph.append(node)
        output = node.outputs[0]
        output.name, output.type = f"{op_type.lower()}_{self.count}", x.type
        output.shape = x.shape if shape is None else ir.Shape(shape)
        return output

    def conv(self, x: ir.Value, filters: int, *, k: int = 3, group: int = 1, **attributes: Any) -> ir.Value:
        """A convolution with bias, of stride 1, that keeps the size unless told otherwise."""
        assert x.shape is not None
        space, channels = len(x.shape) - 2, int(str(x.shape[-1]))
        attributes.setdefault("pads", [(k - 1) // 2] * space + [k // 2] * space)
        kernel = self.w(*[k] * space, channels // group, filters)
        return self.op("Conv", x, kernel, self.w(filters), group=group, **attributes)

    def dense(self, x: ir.Value, units: int, *, bias: bool = True) -> ir.Value:
        """A dense layer."""
        assert x.shape is not None
        return self.op("Dense", x, self.w(int(str(x.shape[-1])), units), self.w(units) if bias else None)

    def pool(self, x: ir.Value, op_type: str = "MaxPool", k: int = 2) -> ir.Value:
        """A pool over k x k without overlap."""
        return self.op(op_type, x, kernel_shape=[k, k], strides=[k, k])

    def finish(self, **outputs: ir.Value) -> ir.Model:
        """The model."""
        return self.b.finish(outputs)


@dataclass(frozen=True)
class Exported:
    """An ONNX model and how well it computes."""

    proto: onnx.ModelProto
    orders: Mapping[str, Sequence[int]]
    errors: Mapping[str, float]
    limits: Mapping[str, float]

    @property
    def ops(self) -> Counter[str]:
        """How many there are of each op type."""
        return Counter(node.op_type for node in self.proto.graph.node)

    def assert_same(self) -> None:
        """Each output is as near to the truth as float32 allows."""
        assert self.errors.keys() == self.limits.keys()
        wrong = {name: (e, self.limits[name]) for name, e in self.errors.items() if not e <= self.limits[name]}
        assert not wrong


def feeds(model: ir.Model, *, seed: int = 0, sizes: Mapping[str, int] | None = None) -> dict[str, Array]:
    """Random inputs; an open size is 3 for the first axis and 8 for others, unless it is given."""
    random, result = np.random.default_rng(seed), {}
    for value in model.graph.inputs:
        assert value.shape is not None
        assert value.dtype is not None
        shape = [
            dim if isinstance(dim, int) else (sizes or {}).get(str(dim.value), 3 if axis == 0 else 8)
            for axis, dim in enumerate(value.shape.dims)
        ]
        drawn = random.standard_normal(shape) if value.dtype == FLOAT else random.integers(0, 4, shape)
        result[str(value.name)] = np.asarray(drawn).astype(value.dtype.numpy())
    return result


def export(
    model: ir.Model,
    *,
    opset: int = 17,
    input_layout: InputLayout = "nhwc",
    given: Mapping[str, Array] | None = None,
    spoil: str | None = None,
) -> Exported:
    """Exports, runs with onnxruntime as written, and compares with the model's own meaning in float64.

    With `spoil` the weight of that name is a thousandth too large in the ONNX model.
    """
    inputs = dict(given or feeds(model))
    truth = reference_run(model, inputs)
    if spoil is not None:
        weight = model.graph.initializers[spoil].const_value
        assert weight is not None
        weight.numpy()[...] *= np.float32(1.001)
    _, orders = in_standard_ops(model, opset=opset, input_layout=input_layout)
    file = io.BytesIO()
    write_onnx(onnx_model(model, opset=opset, input_layout=input_layout), file)
    proto = onnx.load_from_string(file.getvalue())
    if all(value.shape is not None for value in model.graph.inputs):  # the checker knows no others
        onnx.checker.check_model(proto, full_check=True)
    found = run_onnx(file.getvalue(), {k: v.transpose(orders[k]) if k in orders else v for k, v in inputs.items()})
    assert list(found) == [value.name for value in model.graph.outputs]
    errors = {name: error(array, truth.outputs[name]) for name, array in found.items()}
    limits = {name: limit(truth.noise[name], np.float32) for name in found}
    return Exported(proto, orders, errors, limits)


def run_onnx(content: bytes, inputs: Mapping[str, Array]) -> dict[str, Array]:
    """The outputs of an ONNX file by onnxruntime without optimisations."""
    options = ort.SessionOptions()
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.log_severity_level = 3
    options.intra_op_num_threads = 1
    session = ort.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    names = [output.name for output in session.get_outputs()]
    return dict(zip(names, session.run(names, dict(inputs)), strict=True))


__all__ = ["FLOAT", "Array", "Exported", "Net", "export", "feeds", "run_onnx"]
