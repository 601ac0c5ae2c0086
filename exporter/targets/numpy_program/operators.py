"""How each operator of the IR is written in NumPy.

A template gives an expression where that says it all; every other operator is a call of the function that the runtime
has for it, which `library` writes out.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from exporter.targets.numpy_program.library import function_of
from exporter.targets.numpy_program.text import Text, call, infix, literal, method
from runtime.kernels import cast, control, indexing, shape
from runtime.kernels.cast import DTYPES

__all__ = ["FOLLOWERS", "Operand", "Used", "expression"]

_Array = npt.NDArray[Any]


@dataclass(frozen=True)
class Operand:
    """An input of a node.

    Attributes:
        text: The expression for it.
        dtype, sizes: As far as they are known.
        constant: Its elements, if it is a small constant.
    """

    text: Text
    dtype: str | None
    sizes: tuple[int | str | None, ...] | None
    constant: _Array | None = None

    @property
    def is_float(self) -> bool:
        """Whether it is of single or double precision."""
        return self.dtype in ("float32", "float64")

    @property
    def rank(self) -> int | None:
        """The number of axes."""
        return None if self.sizes is None else len(self.sizes)


@dataclass
class Used:
    """What a program needs besides its statements: names of functions, and gate activations of recurrent layers."""

    functions: set[str] = field(default_factory=set)
    activations: set[str] = field(default_factory=set)

    def call(self, function: str, *arguments: Text | str, **keywords: Any) -> Text:
        """A call of a function that is noted."""
        self.functions.add(function)
        return call(function, *arguments, **keywords)


_Attributes = Mapping[str, Any]
_Template = Callable[[Sequence[Operand], _Attributes, Used], "Text | None"]

_FUNCTIONS = {
    "Abs": "np.abs",
    "Acos": "np.arccos",
    "Acosh": "np.arccosh",
    "And": "np.logical_and",
    "Asin": "np.arcsin",
    "Asinh": "np.arcsinh",
    "Atan": "np.arctan",
    "Atanh": "np.arctanh",
    "Ceil": "np.ceil",
    "Cos": "np.cos",
    "Cosh": "np.cosh",
    "Exp": "np.exp",
    "Floor": "np.floor",
    "IsNaN": "np.isnan",
    "Log": "np.log",
    "Max": "np.maximum",
    "Min": "np.minimum",
    "Neg": "np.negative",
    "Not": "np.logical_not",
    "Or": "np.logical_or",
    "Round": "np.rint",
    "Sign": "np.sign",
    "Sin": "np.sin",
    "Sinh": "np.sinh",
    "Sqrt": "np.sqrt",
    "Tan": "np.tan",
    "Tanh": "np.tanh",
    "Xor": "np.logical_xor",
}
_INFIX = {
    "Add": "+",
    "Div": "/",
    "Equal": "==",
    "Greater": ">",
    "GreaterOrEqual": ">=",
    "Less": "<",
    "LessOrEqual": "<=",
    "MatMul": "@",
    "Mul": "*",
    "Sub": "-",
}
_REDUCTIONS = {"ReduceMax": "np.max", "ReduceMean": "np.mean", "ReduceMin": "np.min", "ReduceSum": "np.sum"}
_MOVING = frozenset({**cast.OPS, **control.OPS, **indexing.OPS, **shape.OPS})
"""Operators that don't calculate, and so take half precision as it is."""

FOLLOWERS = frozenset(
    {"Clip", "Elu", "Exp", "Gelu", "HardSigmoid", "HardSwish", "LeakyRelu", "Relu", "Selu", "Sigmoid", "Softmax"}
    | {"Softplus", "Softsign", "Tanh", "Mish"}
)
"""Activations, which are written around the layer that they belong to."""


def expression(op: str, inputs: Sequence[Operand | None], attributes: _Attributes, outputs: int, used: Used) -> Text:
    """The expression of a node; several outputs are a tuple."""
    half = op not in _MOVING and any(x is not None and x.dtype == "float16" for x in inputs)
    if half:
        inputs = [_wide(x, used) for x in inputs]
    given = [x for x in inputs if x is not None]
    template = _TEMPLATES.get(op) if len(given) == len(inputs) else None
    text = template(given, attributes, used) if template is not None else None
    text = text or _plain(op, given, outputs)
    if not text:  # a call of the runtime's function, attributes by name
        if op in ("GRU", "LSTM", "RNN"):
            used.activations |= set(attributes.get("activations", ())) | {"Sigmoid", "Tanh"}
        arguments = ["None" if x is None else x.text for x in inputs]
        text = used.call(function_of(op), *arguments, **attributes)
    if not half:
        return text
    return method(text, "astype", "np.float16") if outputs == 1 else used.call("narrow", text)


def _wide(x: Operand | None, used: Used) -> Operand | None:
    if x is None or x.dtype != "float16":
        return x
    if x.text.code[:1] in "-0123456789":
        return Operand(x.text, "float32", x.sizes, x.constant)
    return Operand(used.call("wide", x.text), "float32", x.sizes, None)


def _plain(op: str, inputs: Sequence[Operand], outputs: int) -> Text | None:
    """A function of NumPy or an operator of Python, where that keeps the element type."""
    if op in _INFIX and len(inputs) == 2:
        if op == "Div" and not inputs[0].is_float:
            return None
        return infix(_INFIX[op], inputs[0].text, inputs[1].text)
    if op in _FUNCTIONS and len(inputs) == (2 if op in ("And", "Max", "Min", "Or", "Xor") else 1) and outputs == 1:
        return call(_FUNCTIONS[op], *(x.text for x in inputs))
    return None


def _relu(inputs: Sequence[Operand], attributes: _Attributes, used: Used) -> Text | None:
    return call("np.maximum", inputs[0].text, "0") if inputs[0].is_float and inputs[0].rank else None


def _clip(inputs: Sequence[Operand], attributes: _Attributes, used: Used) -> Text | None:
    known = len(inputs) == 3 and all(x.constant is not None for x in inputs[1:])
    return call("np.clip", *(x.text for x in inputs)) if known and inputs[0].is_float and inputs[0].rank else None


def _leaky_relu(inputs: Sequence[Operand], attributes: _Attributes, used: Used) -> Text | None:
    x = inputs[0].text.code
    if not x.isidentifier() or not inputs[0].is_float or not inputs[0].rank:
        return None
    return Text(f"np.where({x} < 0, {x} * {literal(attributes.get('alpha', 0.01))}, {x})")


def _dense(inputs: Sequence[Operand], attributes: _Attributes, used: Used) -> Text | None:
    product = infix("@", inputs[0].text, inputs[1].text)
    return product if len(inputs) == 2 else infix("+", product, inputs[2].text)


def _conv(inputs: Sequence[Operand], attributes: _Attributes, used: Used) -> Text | None:
    kernel = inputs[1].sizes
    if kernel is None or len(kernel) != 4 or not _is_plain_window(attributes):
        return None
    group = attributes.get("group", 1)
    depthwise = group > 1 and kernel[2] == 1 and kernel[3] == group
    if group > 1 and not depthwise:
        return None
    name = "depthwise_conv2d" if depthwise else "conv2d"
    y = used.call(name, inputs[0].text, inputs[1].text, **_window(attributes))
    return y if len(inputs) == 2 else infix("+", y, inputs[2].text)


def _pool(name: str) -> _Template:
    def template(inputs: Sequence[Operand], attributes: _Attributes, used: Used) -> Text | None:
        size = attributes["kernel_shape"]
        padded = any(attributes.get("pads", ()))
        if len(size) != 2 or not inputs[0].is_float or not _is_plain_window(attributes):
            return None
        if padded and attributes.get("count_include_pad", 0):
            return None
        window = {"strides": (1, 1), **_window(attributes)}
        return used.call(name, inputs[0].text, literal(tuple(size)), **window)

    return template


def _is_plain_window(attributes: _Attributes) -> bool:
    """Two axes, pads given as numbers, no dilation."""
    spread = any(step != 1 for step in attributes.get("dilations", ()))
    return not spread and attributes.get("auto_pad", "NOTSET") in ("NOTSET", "VALID", "")


def _window(attributes: _Attributes) -> dict[str, tuple[int, ...]]:
    """Strides and pads, where they aren't 1 and 0."""
    strides, pads = tuple(attributes.get("strides", (1, 1))), tuple(attributes.get("pads", ()))
    return {
        **({} if strides == (1, 1) else {"strides": strides}),
        **({"pads": pads} if any(pads) and attributes.get("auto_pad") != "VALID" else {}),
    }


def _reduction(op: str) -> _Template:
    def template(inputs: Sequence[Operand], attributes: _Attributes, used: Used) -> Text | None:
        x, axes = inputs[0], inputs[1].constant if len(inputs) == 2 else None
        never_empty = x.sizes is not None and all(isinstance(size, str) or (size or 0) > 0 for size in x.sizes)
        if not x.is_float or axes is None or not axes.size or not never_empty:
            return None
        where: dict[str, Any] = {"axis": tuple(int(axis) for axis in axes.ravel())}
        where["axis"] = where["axis"][0] if len(where["axis"]) == 1 else where["axis"]
        if attributes.get("keepdims", 1):
            where["keepdims"] = True
        return call(_REDUCTIONS[op], x.text, **where)

    return template


def _reshape(inputs: Sequence[Operand], attributes: _Attributes, used: Used) -> Text | None:
    sizes = inputs[1].constant
    if sizes is None or 0 in sizes:
        return None
    return method(inputs[0].text, "reshape", literal(tuple(sizes.tolist())))


def _transpose(inputs: Sequence[Operand], attributes: _Attributes, used: Used) -> Text | None:
    order = attributes.get("perm")
    return None if order is None else method(inputs[0].text, "transpose", literal(tuple(order)))


def _concat(inputs: Sequence[Operand], attributes: _Attributes, used: Used) -> Text | None:
    parts = Text(f"[{', '.join(x.text.code for x in inputs)}]")
    return call("np.concatenate", parts, axis=attributes["axis"])


def _axes(function: str) -> _Template:
    def template(inputs: Sequence[Operand], attributes: _Attributes, used: Used) -> Text | None:
        if len(inputs) != 2 or inputs[1].constant is None:
            return None
        axes = tuple(int(axis) for axis in inputs[1].constant.ravel())
        return call(function, inputs[0].text, literal(axes[0] if len(axes) == 1 else axes))

    return template


def _power(inputs: Sequence[Operand], attributes: _Attributes, used: Used) -> Text | None:
    alike = inputs[0].is_float and inputs[0].dtype == inputs[1].dtype
    return call("np.power", *(x.text for x in inputs)) if alike else None


def _cast(inputs: Sequence[Operand], attributes: _Attributes, used: Used) -> Text | None:
    dtype = DTYPES[attributes["to"]]
    return method(inputs[0].text, "astype", "np.bool_" if dtype.kind == "b" else f"np.{dtype.name}")


def _identity(inputs: Sequence[Operand], attributes: _Attributes, used: Used) -> Text | None:
    return inputs[0].text


def _constant(inputs: Sequence[Operand], attributes: _Attributes, used: Used) -> Text | None:
    value = attributes["value"]
    return value if isinstance(value, Text) else None


def _gather(inputs: Sequence[Operand], attributes: _Attributes, used: Used) -> Text | None:
    return call("np.take", inputs[0].text, inputs[1].text, axis=attributes.get("axis", 0))


def _slice(inputs: Sequence[Operand], attributes: _Attributes, used: Used) -> Text | None:
    """x[:, a:b] where all bounds are known."""
    bounds = [x.constant.ravel().tolist() for x in inputs[1:] if x.constant is not None]
    rank = inputs[0].rank
    if rank is None or len(bounds) < len(inputs) - 1:
        return None
    starts, ends = bounds[:2]
    axes = bounds[2] if len(bounds) > 2 else range(len(starts))
    steps = bounds[3] if len(bounds) > 3 else [1] * len(starts)
    index = [":"] * rank
    for axis, start, end, step in zip(axes, starts, ends, steps, strict=True):
        index[axis] = _range(start, end, step)
    while len(index) > 1 and index[-1] == ":":
        index.pop()
    x = inputs[0].text.code
    return Text(f"{x if x.isidentifier() else f'({x})'}[{', '.join(index)}]")


def _range(start: int, end: int, step: int) -> str:
    far = 1 << 30
    first = "" if (start == 0 and step > 0) or (start >= far and step < 0) else str(start)
    last = "" if abs(end) >= far else str(end)
    return f"{first}:{last}" + ("" if step == 1 else f":{step}")


def _split(inputs: Sequence[Operand], attributes: _Attributes, used: Used) -> Text | None:
    sizes = inputs[1].constant if len(inputs) == 2 else None
    if sizes is None:
        return None
    return call("np.split", inputs[0].text, literal(np.cumsum(sizes)[:-1].tolist()), axis=attributes.get("axis", 0))


def _where(inputs: Sequence[Operand], attributes: _Attributes, used: Used) -> Text | None:
    alike = inputs[1].dtype == inputs[2].dtype and inputs[1].dtype is not None
    return call("np.where", *(x.text for x in inputs)) if alike else None


_TEMPLATES: dict[str, _Template] = {
    "AveragePool": _pool("average_pool2d"),
    "Cast": _cast,
    "Clip": _clip,
    "Concat": _concat,
    "Constant": _constant,
    "Conv": _conv,
    "Dense": _dense,
    "Gather": _gather,
    "Identity": _identity,
    "LeakyRelu": _leaky_relu,
    "MaxPool": _pool("max_pool2d"),
    "Pow": _power,
    **{op: _reduction(op) for op in _REDUCTIONS},
    "Relu": _relu,
    "Reshape": _reshape,
    "Slice": _slice,
    "Split": _split,
    "Squeeze": _axes("np.squeeze"),
    "Transpose": _transpose,
    "Unsqueeze": _axes("np.expand_dims"),
    "Where": _where,
}
