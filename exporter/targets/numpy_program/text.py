"""Python expressions and statements as text."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import isfinite
from typing import Any

import numpy as np

__all__ = ["WIDTH", "Text", "call", "infix", "literal", "method", "statement"]

WIDTH = 120
ATOM, PRODUCT, SUM, COMPARISON = 4, 3, 2, 1
_LEVELS = {"*": PRODUCT, "/": PRODUCT, "@": PRODUCT, "+": SUM, "-": SUM}


@dataclass(frozen=True)
class Text:
    """An expression and how strongly its outermost operator binds."""

    code: str
    level: int = ATOM

    def __str__(self) -> str:
        return self.code


def infix(operator: str, left: Text, right: Text) -> Text:
    """left operator right, with the brackets that it takes."""
    level = _LEVELS.get(operator, COMPARISON)
    first = left.code if left.level >= level and level > COMPARISON else _bracketed(left)
    second = right.code if right.level > level else _bracketed(right)
    return Text(f"{first} {operator} {second}", level)


def _bracketed(text: Text) -> str:
    return text.code if text.level == ATOM else f"({text.code})"


def call(function: str, *arguments: Text | str, **keywords: Any) -> Text:
    """function(arguments, key=value)."""
    given = [str(argument) for argument in arguments]
    for key, value in keywords.items():
        given.append(f"{key}={value.code if isinstance(value, Text) else literal(value)}")
    return Text(f"{function}({', '.join(given)})")


def method(text: Text, name: str, *arguments: str) -> Text:
    """text.name(arguments)."""
    return Text(f"{_bracketed(text)}.{name}({', '.join(arguments)})")


def literal(value: Any) -> str:
    """A number, string, or sequence of them; floats that come from float32 in their shortest form."""
    if isinstance(value, bool) or value is None:
        return repr(value)
    if isinstance(value, (int, np.integer)):
        return str(int(value))
    if isinstance(value, (float, np.floating)):
        return _float(float(value))
    if isinstance(value, str):
        text = repr(value)
        return text if '"' in value or text[0] == '"' else f'"{text[1:-1]}"'
    parts = [literal(entry) for entry in value]
    if isinstance(value, list):
        return f"[{', '.join(parts)}]"
    return f"({', '.join(parts)},)" if len(parts) == 1 else f"({', '.join(parts)})"


def _float(value: float) -> str:
    if not isfinite(value):
        return "np.nan" if value != value else "np.inf" if value > 0 else "-np.inf"
    with np.errstate(over="ignore"):
        narrow = np.float32(value)
    short = str(narrow)
    return short if float(narrow) == value and np.float32(float(short)) == narrow else repr(value)


def statement(target: str, expression: str, comment: str, indent: str = "") -> list[str]:
    """`target = expression  # comment`, on several lines where one is too long."""
    line = f"{indent}{target} = {expression}" if target else f"{indent}{expression}"
    note = f"  # {comment}" if comment else ""
    if len(line) + len(note) <= WIDTH:
        return [line + note]
    first = [f"{indent}# {comment}"] if comment else []
    if len(line) <= WIDTH:
        return [*first, line]
    return [*first, *_broken(target, expression, indent)]


def _broken(target: str, expression: str, indent: str) -> list[str]:
    """The outermost call with its arguments one level in, or the terms of a sum, in brackets, a line for each."""
    begin = f"{indent}{target} = " if target else indent
    head, parts, tail = _arguments(expression)
    if parts and not tail:
        inner = f"{indent}    {', '.join(parts)}"
        if len(inner) <= WIDTH:
            return [f"{begin}{head}(", inner, f"{indent})"]
        return [f"{begin}{head}(", *(line for part in parts for line in _part(part, f"{indent}    ")), f"{indent})"]
    whole = f"{indent}    {expression}"
    return [f"{begin}(", *([whole] if len(whole) <= WIDTH else _terms(expression, f"{indent}    ")), f"{indent})"]


def _part(part: str, indent: str) -> list[str]:
    """An argument, with its comma."""
    if len(indent) + len(part) < WIDTH:
        return [f"{indent}{part},"]
    name, equals, value = part.partition("=")
    begin, value = (f"{name}=", value) if equals and name.isidentifier() else ("", part)
    if value[0] in "[(" and _closing(value) == len(value) - 1:
        entries = [line for entry in _split(value[1:-1], ",") for line in _part(entry.strip(), f"{indent}    ")]
        return [f"{indent}{begin}{value[0]}", *entries, f"{indent}{value[-1]},"]
    _, parts, tail = _arguments(value)
    if parts and not tail:
        lines = _broken("", value, indent)
        lines[0] = f"{indent}{begin}{lines[0].lstrip()}"
        return [*lines[:-1], f"{lines[-1]},"]
    if begin:
        return [f"{indent}{begin}(", *_terms(value, f"{indent}    "), f"{indent}),"]
    lines = _terms(value, indent)
    return [*lines[:-1], f"{lines[-1]},"]


def _terms(expression: str, indent: str) -> list[str]:
    """The terms of a sum, each on a line of its own."""
    first, *others = _split(expression, " + ")
    if not others:
        first, *others = _split(expression, " - ")
        sign = "-"
    else:
        sign = "+"
    lines = [f"{indent}{first}"] if len(indent) + len(first) <= WIDTH else _broken("", first, indent)
    for other in others:
        text = f"{indent}{sign} {other}"
        lines += [text] if len(text) <= WIDTH else _broken("", f"{sign} {other}", indent)
    return lines


def _split(text: str, separator: str) -> list[str]:
    """The parts between separators that aren't in brackets or quotes."""
    parts, depth, begin, quote, place = [], 0, 0, "", 0
    while place < len(text):
        letter = text[place]
        if quote:
            quote = "" if letter == quote and text[place - 1] != "\\" else quote
        elif letter in "\"'":
            quote = letter
        elif letter in "([{":
            depth += 1
        elif letter in ")]}":
            depth -= 1
        elif not depth and text.startswith(separator, place):
            parts.append(text[begin:place])
            begin = place = place + len(separator)
            continue
        place += 1
    return [part for part in (*parts, text[begin:]) if part.strip()]


def _closing(text: str) -> int:
    """Where the bracket that the text begins with is closed."""
    depth = 0
    for place, letter in enumerate(text):
        depth += (letter in "([{") - (letter in ")]}")
        if not depth:
            return place
    return -1


def _arguments(expression: str) -> tuple[str, Sequence[str], str]:
    """`f(a, b)` as f, [a, b] and what comes after; no arguments if it doesn't begin with a call."""
    begin = expression.find("(")
    if begin <= 0 or not all(part.isidentifier() for part in expression[:begin].split(".")):
        return expression, (), ""
    end = begin + _closing(expression[begin:])
    parts = [part.strip() for part in _split(expression[begin + 1 : end], ",")]
    return expression[:begin], parts, expression[end + 1 :]
