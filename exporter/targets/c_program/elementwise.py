"""Layers that calculate each element by itself."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from exporter.targets.c_program.call import Call
from exporter.targets.c_program.casts import cast
from exporter.targets.c_program.elements import Element, literal
from exporter.targets.c_program.loops import collapsed, index, nest, number
from exporter.targets.c_program.specialise import Op

__all__ = ["ELEMENTWISE", "activation", "is_elementwise"]

_UNARY = {
    "Abs": "fabsf({x})",
    "Acos": "acosf({x})",
    "Acosh": "acoshf({x})",
    "Asin": "asinf({x})",
    "Asinh": "asinhf({x})",
    "Atan": "atanf({x})",
    "Atanh": "atanhf({x})",
    "Ceil": "ceilf({x})",
    "Cos": "cosf({x})",
    "Cosh": "coshf({x})",
    "Erf": "erff({x})",
    "Exp": "expf({x})",
    "Floor": "floorf({x})",
    "HardSwish": "{x} <= -3.0f ? {x} * 0.0f : {x} >= 3.0f ? {x} : {x} * ({x} / 6.0f + 0.5f)",
    "Log": "logf({x})",
    "Mish": "{x} * tanhf(fmaxf({x}, 0.0f) + log1pf(expf(-fabsf({x}))))",
    "Neg": "-{x}",
    "Reciprocal": "1.0f / {x}",
    "Relu": "{x} < 0.0f ? 0.0f : {x}",
    "Round": "rintf({x})",
    "Sigmoid": "1.0f / (1.0f + @EXP@(-{x}))",
    "Sign": "{x} != {x} ? {x} : (float)(({x} > 0.0f) - ({x} < 0.0f))",
    "Sin": "sinf({x})",
    "Sinh": "sinhf({x})",
    "Softplus": "fmaxf({x}, 0.0f) + log1pf(expf(-fabsf({x})))",
    "Softsign": "{x} / (1.0f + fabsf({x}))",
    "Swish": "{x} / (1.0f + @EXP@(-{x}))",
    "Sqrt": "sqrtf({x})",
    "Tan": "tanf({x})",
    "Tanh": "tanhf({x})",
}

_WHOLE_UNARY = {
    "Abs": "{x} < 0 ? ({t})(0 - ({u}){x}) : {x}",
    "BitwiseNot": "({t})~{x}",
    "Neg": "({t})(0 - ({u}){x})",
    "Not": "!{x}",
    "Relu": "{x} < 0 ? 0 : {x}",
    "Sign": "({t})(({x} > 0) - ({x} < 0))",
}
"""The same for integers: `t` is their type, `u` the one in which sums wrap around."""

_BINARY = {
    "Add": "{a} + {b}",
    "Div": "{a} / {b}",
    "Max": "{a} > {b} || {a} != {a} ? {a} : {b}",
    "Min": "{a} < {b} || {a} != {a} ? {a} : {b}",
    "Mul": "{a} * {b}",
    "PRelu": "{a} < 0.0f ? {a} * {b} : {a}",
    "Pow": "powf({a}, {b})",
    "Sub": "{a} - {b}",
    "Sum": "{a} + {b}",
}

_WHOLE_BINARY = {
    "Add": "({t})(({u}){a} + ({u}){b})",
    "BitwiseAnd": "({t})({a} & {b})",
    "BitwiseOr": "({t})({a} | {b})",
    "BitwiseXor": "({t})({a} ^ {b})",
    "Div": "{b} == 0 ? 0 : {b} + 1 == 0 ? ({t})(0 - ({u}){a}) : ({t})({a} / {b})",
    "Max": "{a} > {b} ? {a} : {b}",
    "Min": "{a} < {b} ? {a} : {b}",
    "Mul": "({t})(({u}){a} * ({u}){b})",
    "Sub": "({t})(({u}){a} - ({u}){b})",
    "Sum": "({t})(({u}){a} + ({u}){b})",
}

_TRUTHS = {
    "And": "{a} && {b}",
    "Equal": "{a} == {b}",
    "Greater": "{a} > {b}",
    "GreaterOrEqual": "{a} >= {b}",
    "IsNaN": "{a} != {a}",
    "Less": "{a} < {b}",
    "LessOrEqual": "{a} <= {b}",
    "Or": "{a} || {b}",
    "Xor": "!{a} != !{b}",
}
"""What gives truth values, of any type."""

_PARAMETRIC = frozenset(
    {"Celu", "Clip", "Elu", "Gelu", "HardSigmoid", "LeakyRelu", "Selu", "Shrink", "ThresholdedRelu"}
)


def is_elementwise(op: Op) -> bool:
    """Whether an output element needs the input element in the same place alone, so that it can take its place."""
    return op.op in ELEMENTWISE


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
        slope, start = number(0.2 if alpha is None else alpha), number(a.get("beta", 0.5))
        line = f"{slope} * {{x}} + {start}"
        return f"{line} < 0.0f ? 0.0f : {line} > 1.0f ? 1.0f : {line}"
    if a.get("approximate", "none") == "tanh":
        inner = "0.797884561f * ({x} + 0.044715f * {x} * {x} * {x})"
        return f"0.5f * {{x}} * (1.0f + tanhf({inner}))"
    return "0.5f * {x} * (1.0f + erff({x} * 0.707106781f))"


def activation(op: str, attributes: Mapping[str, Any]) -> str:
    """The expression of a function of one float, for `str.format(x=...)`.

    Raises:
        NotImplementedError: There is no such function.
    """
    if op in _PARAMETRIC - {"Clip"}:
        return _with_attributes(op, attributes)
    if op not in _UNARY:
        raise NotImplementedError
    return _UNARY[op]


def _unary(call: Call) -> list[str]:
    """One operand; it is read once."""
    element = call.element(0)
    expression = _expression(call, element)
    name, x_shape, x_strides = call.operand(0)
    sizes, (a, b) = collapsed(x_shape, x_strides, call.y.strides)
    value = f"{name}[{index(a)}]"
    if expression.count("{x}") == 1:
        return _apart(sizes, [f"y[{index(b)}] = {expression.format(x=value)};"])
    return _apart(sizes, [f"const {element.c} v = {value};", f"y[{index(b)}] = {expression.format(x='v')};"])


def _apart(sizes: list[int], body: list[str]) -> list[str]:
    """Loops whose innermost one may be done in any order, also where the result takes the place of an operand."""
    lines = nest(sizes, body)
    if not sizes:
        return lines
    last = len(sizes) - 1
    return [*lines[:last], "    " * len(sizes) + "@ANY_ORDER@", *lines[last:]]


def _expression(call: Call, element: Element) -> str:
    op = call.op.op
    if op in ("Cast", "CastLike"):
        return cast(element, call.y.element)
    if op == "IsInf":
        sides = [call.op.attributes.get(f"detect_{side}", 1) for side in ("negative", "positive")]
        tests = [test for test, on in zip(("{x} == -INFINITY", "{x} == INFINITY"), sides, strict=True) if on]
        return " || ".join(tests) or "0"
    if op == "Clip":
        return _clip(call, element)
    if element.is_float:
        return activation(op, call.op.attributes)
    if op not in _WHOLE_UNARY:
        raise NotImplementedError
    return _WHOLE_UNARY[op].format(x="{x}", t=element.c, u=element.wraps)


def _clip(call: Call, element: Element) -> str:
    """Both bounds are constants; others are compared with by Max and Min."""
    expression = "{x}"
    for i, sign in ((2, ">"), (1, "<")):
        bound = call.constant(i)
        if call.has(i) and bound is None:
            raise NotImplementedError
        if bound is not None:
            text = literal(bound.reshape(-1)[0].item(), element)
            expression = f"{{x}} {sign} {text} ? {text} : {expression}"
    return expression


def _operands(call: Call) -> tuple[list[int], list[int], list[str]]:
    """Sizes, the strides of the result, and the expression of each operand, broadcast; small constants are written."""
    shape = call.y.shape
    values: list[tuple[str, tuple[int, ...] | None]] = []
    for i in range(len(call.op.inputs)):
        constant = call.constant(i)
        if constant is not None and constant.size == 1:
            values.append((literal(constant.reshape(-1)[0].item(), call.element(i)), None))
            continue
        name, own, strides = call.operand(i)
        missing = len(shape) - len(own)
        values.append((name, (0,) * missing + tuple(0 if n == 1 else s for n, s in zip(own, strides, strict=True))))
    arrays = [strides for _, strides in values if strides is not None]
    sizes, (out, *steps) = collapsed(shape, call.y.strides, *arrays)
    left = iter(steps)
    return sizes, out, [name if strides is None else f"{name}[{index(next(left))}]" for name, strides in values]


def _binary(call: Call) -> list[str]:
    """Any number of operands, broadcast."""
    sizes, out, texts = _operands(call)
    element = call.element(0)
    if call.op.op == "Mean" and element.is_float:
        return _apart(sizes, [f"y[{index(out)}] = ({' + '.join(texts)}) / {number(len(texts))};"])
    pattern = _pattern(call, element)
    if len(texts) == 1 and "{b}" in pattern:
        return _apart(sizes, [f"y[{index(out)}] = {texts[0]};"])
    lines = [f"const {call.element(i).c} a{i} = {text};" for i, text in enumerate(texts)]
    total = "a0"
    for i in range(1, len(texts) - 1):
        lines.append(f"const {element.c} t{i} = {pattern.format(a=total, b=f'a{i}')};")
        total = f"t{i}"
    if call.op.op == "Mod" and element.is_float and not call.op.attributes.get("fmod", 0):
        lines += ["float m = fmodf(a0, a1);", "if (m != 0.0f && (m < 0.0f) != (a1 < 0.0f)) m += a1;"]
        return _apart(sizes, [*lines, f"y[{index(out)}] = m == 0.0f ? copysignf(0.0f, a1) : m;"])
    if call.op.op == "Mod" and not element.is_float and not call.op.attributes.get("fmod", 0):
        lines.append(f"const {element.c} m = {pattern.format(a='a0', b='a1')};")
        text = "m" if element.name.startswith("u") else f"m != 0 && (m < 0) != (a1 < 0) ? ({element.c})(m + a1) : m"
        return _apart(sizes, [*lines, f"y[{index(out)}] = {text};"])
    return _apart(sizes, [*lines, f"y[{index(out)}] = {pattern.format(a=total, b=f'a{len(texts) - 1}')};"])


def _pattern(call: Call, element: Element) -> str:
    """The expression of two operands."""
    op = call.op.op
    if op in _TRUTHS:
        return _TRUTHS[op]
    if op == "Pow" and call.element(1) != element:
        raise NotImplementedError
    if op == "Mod":
        whole = f"{{b}} == 0 || {{b}} + 1 == 0 ? 0 : ({element.c})({{a}} % {{b}})"
        return "fmodf({a}, {b})" if element.is_float else whole
    if op == "BitShift":
        return _shift(call, element)
    table = _BINARY if element.is_float else _WHOLE_BINARY
    if op not in table:
        raise NotImplementedError
    return table[op].format(a="{a}", b="{b}", t=element.c, u=element.wraps)


def _shift(call: Call, element: Element) -> str:
    """Bits that are shifted out at the end; of more bits than there are nothing is left."""
    arrow = "<<" if call.op.attributes["direction"] == "LEFT" else ">>"
    if not element.name.startswith("u"):
        raise NotImplementedError
    return f"{{b}} >= {8 * element.size} ? 0 : ({element.c})(({element.wraps}){{a}} {arrow} {{b}})"


def _where(call: Call) -> list[str]:
    """One of two operands."""
    sizes, out, (condition, a, b) = _operands(call)
    return _apart(sizes, [f"y[{index(out)}] = {condition} ? {a} : {b};"])


ELEMENTWISE: dict[str, Callable[[Call], list[str]]] = {
    **dict.fromkeys([*_UNARY, *_WHOLE_UNARY, *_PARAMETRIC, "Cast", "CastLike", "IsInf"], _unary),
    **dict.fromkeys([*_BINARY, *_WHOLE_BINARY, *_TRUTHS, "BitShift", "Mean", "Mod"], _binary),
    "Where": _where,
}
"""The code of each op's body."""
