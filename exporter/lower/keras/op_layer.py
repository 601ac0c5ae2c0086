"""`TensorFlowOpLayer`: a TensorFlow op as tf.keras 2.0 to 2.3 recorded it, a NodeDef and its constant inputs.

Each op is one of our operations; what that takes as arguments comes from the op's inputs and attributes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from exporter.errors import CorruptError
from exporter.lower.keras.context import LayerContext, Lower, Result, Tensor
from exporter.lower.keras.operations import OPERATIONS
from exporter.sources.keras_settings import Settings, expect_mapping, expect_text

__all__ = ["LAYERS", "OPS"]

_SAME = {
    "Abs": "abs",
    "Add": "add",
    "AddV2": "add",
    "BatchMatMul": "matmul",
    "BatchMatMulV2": "matmul",
    "BiasAdd": "bias_add",
    "Cast": "cast",
    "Ceil": "ceil",
    "ClipByValue": "clip",
    "Cos": "cos",
    "Cumsum": "cumsum",
    "DepthToSpace": "depth_to_space",
    "Div": "divide",
    "Elu": "elu",
    "Equal": "equal",
    "Erf": "erf",
    "Exp": "exp",
    "ExpandDims": "expand_dims",
    "Floor": "floor",
    "FloorDiv": "floor_divide",
    "FloorMod": "mod",
    "GatherV2": "take",
    "Greater": "greater",
    "GreaterEqual": "greater_equal",
    "Identity": "identity",
    "LeakyRelu": "leaky_relu",
    "Less": "less",
    "LessEqual": "less_equal",
    "Log": "log",
    "Log1p": "log1p",
    "LogSoftmax": "log_softmax",
    "LogicalAnd": "logical_and",
    "LogicalNot": "logical_not",
    "LogicalOr": "logical_or",
    "MatMul": "matmul",
    "Max": "max",
    "Maximum": "maximum",
    "Mean": "mean",
    "Min": "min",
    "Minimum": "minimum",
    "Mul": "multiply",
    "Neg": "negative",
    "NotEqual": "not_equal",
    "OnesLike": "ones_like",
    "Pad": "pad",
    "Pow": "power",
    "Prod": "prod",
    "RealDiv": "divide",
    "Reciprocal": "reciprocal",
    "Relu": "relu",
    "Relu6": "relu6",
    "Reshape": "reshape",
    "Rsqrt": "rsqrt",
    "SelectV2": "where",
    "Selu": "selu",
    "Sigmoid": "sigmoid",
    "Sign": "sign",
    "Sin": "sin",
    "Slice": "slice",
    "Softmax": "softmax",
    "Softplus": "softplus",
    "Softsign": "softsign",
    "SpaceToDepth": "space_to_depth",
    "Sqrt": "sqrt",
    "Square": "square",
    "SquaredDifference": "squared_difference",
    "Squeeze": "squeeze",
    "StopGradient": "identity",
    "Sub": "subtract",
    "Sum": "sum",
    "Tanh": "tanh",
    "Tile": "tile",
    "Transpose": "transpose",
    "ZerosLike": "zeros_like",
}

_LISTS = {"AddN": "add_n", "ConcatV2": "concatenate", "Pack": "stack"}
"""Ops whose tensors are one argument; the axis of ConcatV2 is its last input."""

OPS = frozenset({*_SAME, *_LISTS, "StridedSlice"})
"""What is translated."""

_ATTRIBUTES: Mapping[str, str] = {
    "DstT": "dtype",
    "adj_x": "adjoint_a",
    "adj_y": "adjoint_b",
    "alpha": "alpha",
    "axis": "axis",
    "block_size": "block_size",
    "exclusive": "exclusive",
    "keep_dims": "keepdims",
    "reverse": "reverse",
    "squeeze_dims": "axis",
    "transpose_a": "transpose_a",
    "transpose_b": "transpose_b",
}
"""Attributes that say something, by our names for them."""


_TYPES = {"DT_DOUBLE": "float64", "DT_FLOAT": "float32", "DT_HALF": "float16"}
"""TensorFlow's names that aren't Keras's in capitals."""


def op_layer(ctx: LayerContext) -> Result:
    """One op on the tensors of the call and the constants between them."""
    node = expect_mapping(ctx.settings.raw("node_def"), f"{ctx.settings.owner}: node_def")
    op = expect_text(node.get("op"), f"{ctx.settings.owner}: op")
    if op not in OPS:
        return ctx.refuse(f"TensorFlow op {op[:60]!r} is not translated")
    inputs = _inputs(ctx)
    attributes = _attributes(ctx, node)
    kwargs = {_ATTRIBUTES[key]: value for key, value in attributes.items() if key in _ATTRIBUTES}
    args: tuple[Any, ...]
    if op == "StridedSlice":
        ours, args = "get_item", (inputs[0], _slices(ctx, inputs, attributes))
    elif op in _LISTS:
        axis = {"axis": inputs.pop()} if op == "ConcatV2" else {}
        ours, args, kwargs = _LISTS[op], (inputs,), {**kwargs, **axis}
    else:
        ours, args = _SAME[op], tuple(inputs)
    layer = replace(ctx.layer, origin="tf", settings=Settings(ctx.settings.owner, {"function": ours}))
    return OPERATIONS[ours](replace(ctx, layer=layer, args=args, kwargs=kwargs, used=set()))


def _inputs(ctx: LayerContext) -> list[Any]:
    """The op's inputs in their order: constants at the places that are said, tensors at the others."""
    inputs: list[Any] = list(ctx.tensors)
    constants = expect_mapping(ctx.settings.raw("constants") or {}, f"{ctx.settings.owner}: constants")
    for place, value in sorted((int(place), value) for place, value in constants.items()):
        inputs.insert(place, _array(value))
    return inputs


def _array(value: Any) -> Any:
    """The numbers of a constant, which later versions wrap."""
    for key in ("config", "value"):
        value = value[key] if isinstance(value, Mapping) and key in value else value
    return value


def _attributes(ctx: LayerContext, node: Mapping[str, Any]) -> dict[str, Any]:
    """Plain values of a NodeDef's attributes in protobuf's JSON, which has whole numbers as texts."""
    found = {}
    for key, attribute in expect_mapping(node.get("attr") or {}, f"{ctx.settings.owner}: attr").items():
        for kind, value in expect_mapping(attribute, f"{ctx.settings.owner}: attribute {key}").items():
            found[key] = _value(kind, value)
    return found


def _value(kind: str, value: Any) -> Any:
    if kind == "list":
        return [_value(inner, item) for inner, items in value.items() for item in items]
    if kind == "type":
        return _TYPES.get(str(value), str(value).removeprefix("DT_").lower())
    return int(value) if kind == "i" else value


def _slices(ctx: LayerContext, inputs: list[Any], attributes: Mapping[str, Any]) -> list[Any]:
    """The items between the brackets, from begins, ends, strides and the masks that change their meaning."""
    masks = [int(attributes.get(f"{name}_mask", 0)) for name in ("begin", "end", "shrink_axis", "new_axis", "ellipsis")]
    if len(inputs) != 4 or any(isinstance(each, Tensor) for each in inputs[1:]):
        return ctx.refuse("places that aren't constants")
    items: list[Any] = []
    for place, (begin, end, step) in enumerate(zip(*inputs[1:], strict=True)):
        no_begin, no_end, single, new, rest = (bool(mask >> place & 1) for mask in masks)
        if rest:
            items.append(Ellipsis)
        elif new or single:
            items.append(None if new else begin)
        else:
            items.append(slice(None if no_begin else begin, None if no_end else end, step))
    if not items:
        raise CorruptError(f"{ctx.settings.owner}: it cuts nothing")
    return items


LAYERS: dict[str, Lower] = {"TensorFlowOpLayer": op_layer}
