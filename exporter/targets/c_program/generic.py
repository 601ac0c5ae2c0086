"""Every layer but convolutions, as loops that a person reads: one function for each op."""

from __future__ import annotations

import re
from collections.abc import Callable
from math import prod

from exporter.targets.c_program.call import Call
from exporter.targets.c_program.elementwise import ELEMENTWISE
from exporter.targets.c_program.indexing import INDEXING, checks
from exporter.targets.c_program.moving import MOVING
from exporter.targets.c_program.recurrent import RECURRENT, recurrent_scratch
from exporter.targets.c_program.specialise import Fixed, Op
from exporter.targets.c_program.sums import SUMS
from exporter.targets.c_program.windows import WINDOWS

__all__ = ["GENERIC", "PARTS", "checks", "generic_code", "macs_of", "needs_constants", "scratch_of"]

GENERIC: dict[str, Callable[[Call], list[str]]] = {
    **ELEMENTWISE,
    **INDEXING,
    **MOVING,
    **RECURRENT,
    **SUMS,
    **WINDOWS,
}
"""The code of each op's body; NotImplementedError for a form that isn't there."""

PARTS = dict.fromkeys(RECURRENT, "recurrent")
"""The shared code that an op's body calls."""

_OF_ANY_TYPE = frozenset({*ELEMENTWISE, *INDEXING, *MOVING} | {op for op in SUMS if op.startswith("Reduce")})

_PARAMETERS = {
    **dict.fromkeys(["CumSum", "Expand", "OneHot", "Reshape", "Split", "Squeeze", "Tile", "TopK", "Trilu"], (1,)),
    **dict.fromkeys([op for op in SUMS if op.startswith("Reduce")], (1,)),
    "Pad": (1, 2, 3),
    "Resize": (1, 2, 3),
    "Slice": (1, 2, 3, 4),
    "Unsqueeze": (1,),
}
"""The inputs that say which sizes or axes an op has, and which therefore have to be constant."""


def needs_constants(op: Op, fixed: Fixed) -> bool:
    """Whether sizes or axes of an op depend on the model's input: what they were for an example says nothing."""
    names = [op.inputs[i] for i in _PARAMETERS.get(op.op, ()) if i < len(op.inputs)]
    return any(name and name not in fixed.constants for name in names)


def scratch_of(op: Op, fixed: Fixed) -> int:
    """Floats of working memory."""
    return recurrent_scratch(op, fixed) if op.op in RECURRENT else 0


def generic_code(call: Call) -> list[str]:
    """The body of a layer's function, in the precision of what it computes.

    Raises:
        NotImplementedError: There is none for these types, attributes or inputs.
    """
    op, fixed = call.op, call.fixed
    types = {fixed.types[name] for name in (*op.inputs, *op.outputs) if name and name in fixed.types}
    floats = types & {"float32", "float64"}
    if op.op not in _OF_ANY_TYPE and call.y.element.name not in ("float32", "float64"):
        raise NotImplementedError
    lines = GENERIC[op.op](call)
    if floats == {"float64"}:
        return [_in_double(line).replace("@EXP@", "exp") for line in lines]
    return [line.replace("@EXP@", f"{call.prefix}_exp") for line in lines]


_FUNCTION = re.compile(r"\b([a-z]+[a-z0-9]*)f\(")
_CONSTANT = re.compile(r"(\d(?:\.\d*)?(?:e[-+]?\d+)?)f\b")


def _in_double(line: str) -> str:
    """The same in double: `expf(0.5f * x)` as `exp(0.5 * x)`."""
    return re.sub(r"\bfloat\b", "double", _CONSTANT.sub(r"\1", _FUNCTION.sub(r"\1(", line)))


def macs_of(op: Op, fixed: Fixed) -> int:
    """The multiply-adds of an op that multiplies tensors; 0 for others."""
    shapes = [fixed.shapes[name] if name else () for name in op.inputs]
    made = prod(fixed.shapes[op.outputs[0]]) if op.outputs[0] in fixed.shapes else 0
    if op.op in RECURRENT:
        steps, batch = shapes[0][:2]
        return steps * batch * (prod(shapes[1]) + prod(shapes[2]))
    if op.op in ("MatMul", "Dense"):
        return made * shapes[0][-1]
    if op.op == "Gemm":
        return made * shapes[0][0 if op.attributes.get("transA") else 1]
    if op.op == "Conv":
        return made * prod(shapes[1][:-1])
    if op.op == "ConvTranspose":
        return prod(shapes[0]) * prod(shapes[1][:-1])
    if op.op == "Einsum":
        letters = op.attributes["equation"].replace(" ", "").partition("->")[0].split(",")
        sizes = {a: n for term, shape in zip(letters, shapes, strict=True) for a, n in zip(term, shape, strict=False)}
        return prod(sizes.values()) if len(letters) > 1 else 0
    return 0
