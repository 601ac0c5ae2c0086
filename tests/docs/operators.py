"""The table of operators in runtime/FORMAT.md, out of the kernels' signatures and docstrings.

    python -m tests.docs.operators

writes it. Operators that are made from a NumPy function by a table have their formula here.
"""

from __future__ import annotations

import inspect
from pathlib import Path

import runtime
from runtime.kernels import KERNELS

__all__ = ["FORMULAS", "PAGE", "block", "main", "written"]

PAGE = Path(runtime.__file__).parent / "FORMAT.md"
_BEGIN, _END = "<!-- operators -->", "<!-- /operators -->"

FORMULAS = {
    "Abs": "\\|x\\|",
    "Acos": "arccos x",
    "Acosh": "arcosh x",
    "Add": "a + b",
    "And": "a and b",
    "ArgMax": "the index of the largest x along the axis, the first of equal ones, or the last with select_last_index",
    "ArgMin": "the index of the smallest x along the axis, the first of equal ones, or the last with select_last_index",
    "Asin": "arcsin x",
    "Asinh": "arsinh x",
    "Atan": "arctan x",
    "Atanh": "artanh x",
    "BitwiseAnd": "bitwise a and b",
    "BitwiseNot": "bitwise not a",
    "BitwiseOr": "bitwise a or b",
    "BitwiseXor": "bitwise a xor b",
    "Ceil": "the least integer >= x",
    "Cos": "cos x",
    "Cosh": "cosh x",
    "Equal": "a = b",
    "Erf": "2 / sqrt(pi) times the integral of exp(-t^2) from 0 to x",
    "Exp": "e^x",
    "Floor": "the greatest integer <= x",
    "Greater": "a > b",
    "GreaterOrEqual": "a >= b",
    "HardSwish": "x min(max(x / 6 + 0.5, 0), 1)",
    "IsNaN": "whether x is NaN",
    "Less": "a < b",
    "LessOrEqual": "a <= b",
    "Log": "the natural logarithm of x",
    "Max": "the largest of the inputs, element by element",
    "Min": "the smallest of the inputs, element by element",
    "Mish": "x tanh(log(1 + e^x))",
    "Mul": "a b",
    "Neg": "-x",
    "Not": "not a",
    "Or": "a or b",
    "Reciprocal": "1 / x",
    "ReduceL1": "the sum of \\|x\\| over the axes",
    "ReduceL2": "the root of the sum of x^2 over the axes",
    "ReduceLogSum": "log of the sum of x over the axes",
    "ReduceLogSumExp": "log of the sum of e^x over the axes",
    "ReduceMax": "the largest x over the axes",
    "ReduceMean": "the mean of x over the axes; of integers cut off towards zero",
    "ReduceMin": "the smallest x over the axes",
    "ReduceProd": "the product of x over the axes",
    "ReduceSum": "the sum of x over the axes",
    "ReduceSumSquare": "the sum of x^2 over the axes",
    "Round": "the nearest integer, the even one of two",
    "Sigmoid": "1 / (1 + e^-x)",
    "Sign": "-1, 0 or 1",
    "Sin": "sin x",
    "Sinh": "sinh x",
    "Softplus": "log(1 + e^x)",
    "Softsign": "x / (1 + \\|x\\|)",
    "Sqrt": "the root of x",
    "Sub": "a - b",
    "Sum": "the sum of the inputs, element by element",
    "Tan": "tan x",
    "Tanh": "tanh x",
    "Xor": "a xor b",
}


def block() -> str:
    """Return the table: for each operator its inputs, attributes with their defaults, and formula."""
    lines = ["| operator | inputs | attributes | result |", "|---|---|---|---|", *map(_row, sorted(KERNELS))]
    return "\n".join([_BEGIN, *lines, _END])


def _row(op: str) -> str:
    kernel = inspect.unwrap(KERNELS[op])
    inputs, attributes = [], []
    for parameter in inspect.signature(kernel).parameters.values():
        if parameter.kind is parameter.KEYWORD_ONLY:
            default = parameter.default
            attributes.append(parameter.name if default is parameter.empty else f"{parameter.name} = {default}")
        else:
            many = "..." if parameter.kind is parameter.VAR_POSITIONAL else ""
            optional = "?" if parameter.default is not parameter.empty else ""
            inputs.append(f"{parameter.name}{many}{optional}")
    return f"| {op} | {', '.join(inputs)} | {', '.join(attributes)} | {_formula(op)} |"


def _formula(op: str) -> str:
    """Return the formula above, else the first paragraphs of the kernel's docstring. KeyError if it has none."""
    words = inspect.getdoc(inspect.unwrap(KERNELS[op]))
    if op in FORMULAS or not words:
        return FORMULAS[op]
    return " ".join(words.partition("\n\nRaises:")[0].split()).replace("|", "\\|").rstrip(".")


def written() -> str:
    """Return the table that is on the page."""
    text = PAGE.read_text(encoding="utf-8")
    return text[text.index(_BEGIN) : text.index(_END) + len(_END)]


def main() -> None:
    """Write the table into the page."""
    PAGE.write_text(PAGE.read_text(encoding="utf-8").replace(written(), block()), encoding="utf-8")


if __name__ == "__main__":
    main()
