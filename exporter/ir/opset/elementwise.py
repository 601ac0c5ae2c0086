"""Ops that work on each element by itself: arithmetic, activations, comparisons and logic.

Those of which nothing else is to be said are made from the signatures of their kernels: of one tensor, of several, or
along the attribute `axis`.

Arithmetic, comparisons: X, Y (broadcast). Activations and functions: X, with the attributes of ONNX. Max, Mean, Min,
Sum: any number of inputs. Where: condition, X, Y. Clip: X, least?, most?. PRelu: X, slope (broadcast).
"""

from __future__ import annotations

from exporter.ir.opset import shape_rules as shapes
from exporter.ir.opset.record import Op
from runtime.kernels import KERNELS, activation, elementwise, logic
from runtime.kernels.base import signature

__all__ = ["OPS"]

_NAMED = (
    Op(name="Abs", elementwise="one", sign="positive"),
    Op(name="Add", elementwise="several", affine=True),
    Op(name="BitwiseNot", elementwise="one"),
    Op(name="Cast", elementwise="one", rounding="settles"),
    Op(name="CastLike", elementwise="one"),
    Op(name="Ceil", elementwise="one", rounding="settles"),
    Op(name="Clip", elementwise="one", rounding="settles"),
    Op(name="Cos", elementwise="one", rounding="relative"),
    Op(name="Div", elementwise="several", affine=True),
    Op(name="Dropout", elementwise="one", random=True),
    Op(name="Elu", elementwise="one", rounding="relative"),
    Op(name="Erf", elementwise="one", rounding="settles"),
    Op(name="Exp", elementwise="one", rounding="relative", sign="positive"),
    Op(name="Floor", elementwise="one", rounding="settles"),
    Op(name="Gelu", elementwise="one", rounding="relative"),
    Op(name="HardSigmoid", elementwise="one", rounding="settles", sign="positive"),
    Op(name="IsNaN", elementwise="one"),
    Op(name="Log", elementwise="one", rounding="relative"),
    Op(name="Mish", elementwise="one", rounding="relative"),
    Op(name="Mul", elementwise="several", affine=True),
    Op(name="Neg", elementwise="one", affine=True, exact=True),
    Op(name="Not", elementwise="one"),
    Op(name="Pow", elementwise="several", rounding="relative"),
    Op(name="RegexFullMatch", shape=shapes.same),
    Op(name="Relu", elementwise="one", sign="positive"),
    Op(name="Round", elementwise="one", rounding="settles"),
    Op(name="Selu", elementwise="one", rounding="relative"),
    Op(name="Sigmoid", elementwise="one", rounding="settles", sign="positive"),
    Op(name="Sign", elementwise="one", rounding="settles"),
    Op(name="Sin", elementwise="one", rounding="relative"),
    Op(name="LogSoftmax", axis=-1, rounding="relative"),
    Op(name="Softmax", axis=-1, rounding="settles", sign="positive"),
    Op(name="Softplus", elementwise="one", rounding="relative", sign="positive"),
    Op(name="Softsign", elementwise="one", rounding="settles"),
    Op(name="Sqrt", elementwise="one", rounding="relative"),
    Op(name="StringConcat", shape=shapes.joined),
    Op(name="StringNormalizer", shape=shapes.same),
    Op(name="Sub", elementwise="several", affine=True),
    Op(name="Tanh", elementwise="one", rounding="settles"),
    Op(name="Where", elementwise="several"),
)


def _by_signature(name: str) -> Op:
    """The record of a function of elements, or of one along an axis."""
    kernel = KERNELS[name]
    axis = (kernel.__wrapped__.__kwdefaults__ or {}).get("axis")  # type: ignore[attr-defined]
    if axis is not None:
        return Op(name=name, axis=axis)
    return Op(name=name, elementwise="one" if signature(kernel).most == 1 else "several")


_KNOWN = frozenset(record.name for record in _NAMED)

OPS = (
    *_NAMED,
    *(_by_signature(name) for name in sorted({*activation.OPS, *elementwise.OPS, *logic.OPS}) if name not in _KNOWN),
)
