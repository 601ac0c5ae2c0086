"""Layers that calculate each element by itself."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from exporter.targets.c_program.call import Call
from exporter.targets.c_program.loops import collapsed, index, nest, number
from exporter.targets.c_program.specialise import Op

__all__ = ["ELEMENTWISE", "is_elementwise"]

_UNARY = {
    "Abs": "fabsf({x})",
    "Acos": "acosf({x})",
    "Acosh": "acoshf({x})",
    "Asin": "asinf({x})",
    "Asinh": "asinhf({x})",
    "Atan": "atanf({x})",
    "Atanh": "atanhf({x})",
    "Cast": "{x}",
    "Ceil": "ceilf({x})",
    "Cos": "cosf({x})",
    "Cosh": "coshf({x})",
    "Erf": "erff({x})",
    "Exp": "expf({x})",
    "Floor": "floorf({x})",
    "HardSwish": "{x} * fminf(fmaxf({x} / 6.0f + 0.5f, 0.0f), 1.0f)",
    "Log": "logf({x})",
    "Mish": "{x} * tanhf(fmaxf({x}, 0.0f) + log1pf(expf(-fabsf({x}))))",
    "Neg": "-{x}",
    "Reciprocal": "1.0f / {x}",
    "Relu": "{x} < 0.0f ? 0.0f : {x}",
    "Round": "rintf({x})",
    "Sigmoid": "1.0f / (1.0f + expf(-{x}))",
    "Sign": "(float)(({x} > 0.0f) - ({x} < 0.0f))",
    "Sin": "sinf({x})",
    "Sinh": "sinhf({x})",
    "Softplus": "fmaxf({x}, 0.0f) + log1pf(expf(-fabsf({x})))",
    "Softsign": "{x} / (1.0f + fabsf({x}))",
    "Sqrt": "sqrtf({x})",
    "Tan": "tanf({x})",
    "Tanh": "tanhf({x})",
}


_BINARY = {
    "Add": "{a} + {b}",
    "Div": "{a} / {b}",
    "Max": "{a} < {b} ? {b} : {a}",
    "Min": "{a} > {b} ? {b} : {a}",
    "Mul": "{a} * {b}",
    "PRelu": "{a} < 0.0f ? {a} * {b} : {a}",
    "Pow": "powf({a}, {b})",
    "Sub": "{a} - {b}",
    "Sum": "{a} + {b}",
}


_PARAMETRIC = frozenset(
    {"Celu", "Clip", "Elu", "Gelu", "HardSigmoid", "LeakyRelu", "Selu", "Shrink", "ThresholdedRelu"}
)


def is_elementwise(op: Op) -> bool:
    """Whether an output element needs the input element in the same place alone, so that it can take its place."""
    return op.op in _UNARY or op.op in _BINARY or op.op in _PARAMETRIC


def _with_attributes(op: str, a: Mapping[str, Any]) -> str:
    """The expression of an activation that has numbers of its own."""
    alpha = a.get("alpha")
    elu = "{{x}} > 0.0f ? {{x}} : {0} * expm1f({{x}})"
    if op == "LeakyRelu":
        return f"{{x}} < 0.0f ? {{x}} * {number(0.01 if alpha is None else alpha)} : {{x}}"
    if op == "ThresholdedRelu":
        return f"{{x}} > {number(1.0 if alpha is None else alpha)} ? {{x}} : 0.0f"
    if op == "Elu":
        return elu.format(number(1.0 if alpha is None else alpha))
    if op == "Celu":
        c = number(1.0 if alpha is None else alpha)
        return f"{{x}} > 0.0f ? {{x}} : {c} * expm1f({{x}} / {c})"
    if op == "Selu":
        scale = number(a.get("gamma", 1.05070102214813232421875))
        return f"{scale} * ({elu.format(number(1.67326319217681884765625 if alpha is None else alpha))})"
    if op == "Shrink":
        limit, bias = number(a.get("lambd", 0.5)), number(a.get("bias", 0.0))
        return f"{{x}} > {limit} ? {{x}} - {bias} : {{x}} < -{limit} ? {{x}} + {bias} : 0.0f"
    if op == "HardSigmoid":
        line = f"{number(0.2 if alpha is None else alpha)} * {{x}} + {number(a.get('beta', 0.5))}"
        return f"fminf(fmaxf({line}, 0.0f), 1.0f)"
    if a.get("approximate", "none") == "tanh":
        inner = "0.797884561f * ({x} + 0.044715f * {x} * {x} * {x})"
        return f"0.5f * {{x}} * (1.0f + tanhf({inner}))"
    return "0.5f * {x} * (1.0f + erff({x} * 0.707106781f))"


def _unary(call: Call) -> list[str]:
    name, x = call.x[0]
    if call.op.op == "Clip":
        low, high = (call.constant(i) for i in (1, 2))
        expression = "{x}"
        if high is not None:
            expression = f"{{x}} > {number(float(high.reshape(-1)[0]))} ? {number(float(high.reshape(-1)[0]))} : {{x}}"
        if low is not None:
            expression = (
                f"{{x}} < {number(float(low.reshape(-1)[0]))} ? {number(float(low.reshape(-1)[0]))} : {expression}"
            )
    else:
        expression = _UNARY.get(call.op.op) or _with_attributes(call.op.op, call.op.attributes)
    sizes, (a, b) = collapsed(x.shape, x.strides, call.y.strides)
    value = f"{name}[{index(a)}]"
    if expression.count("{x}") == 1:
        return nest(sizes, [f"y[{index(b)}] = {expression.format(x=value)};"])
    return nest(sizes, [f"const float v = {value};", f"y[{index(b)}] = {expression.format(x='v')};"])


def _binary(call: Call) -> list[str]:
    """Any number of operands, broadcast."""
    shape = call.y.shape
    values: list[tuple[str, tuple[int, ...]]] = []
    for i in range(len(call.op.inputs)):
        constant = call.constant(i)
        if constant is not None and constant.size == 1:
            values.append((number(float(constant.reshape(-1)[0])), ()))
            continue
        name, own, strides = call.operand(i)
        missing = len(shape) - len(own)
        values.append((name, (0,) * missing + tuple(0 if n == 1 else s for n, s in zip(own, strides, strict=True))))
    arrays = [strides for _, strides in values if strides]
    sizes, (out, *steps) = collapsed(shape, call.y.strides, *arrays)
    left = iter(steps)
    texts = [f"{name}[{index(next(left))}]" if strides else name for name, strides in values]
    if not shape:
        texts = [f"{name}[0]" if name[0] not in "-0123456789" else name for name, _ in values]
    if call.op.op == "Mean":
        return nest(sizes, [f"y[{index(out)}] = ({' + '.join(texts)}) / {number(len(texts))};"])
    pattern = _BINARY[call.op.op]
    if len(texts) == 1:
        return nest(sizes, [f"y[{index(out)}] = {texts[0]};"])
    lines = [f"const float a{i} = {text};" for i, text in enumerate(texts)]
    total = "a0"
    for i in range(1, len(texts) - 1):
        lines.append(f"const float t{i} = {pattern.format(a=total, b=f'a{i}')};")
        total = f"t{i}"
    return nest(sizes, [*lines, f"y[{index(out)}] = {pattern.format(a=total, b=f'a{len(texts) - 1}')};"])


ELEMENTWISE: dict[str, Callable[[Call], list[str]]] = {
    **dict.fromkeys([*_UNARY, *_PARAMETRIC], _unary),
    **dict.fromkeys([*_BINARY, "Mean"], _binary),
}
"""The code of each op's body."""
