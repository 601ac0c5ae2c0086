"""Element types: what C calls them, how large they are, and how numbers of them are written."""

from __future__ import annotations

from math import isinf, isnan
from typing import NamedTuple

import numpy as np

__all__ = ["ELEMENTS", "FLOAT", "Element", "literal"]


class Element(NamedTuple):
    """An element type: NumPy's name, C's, its bytes, and the C type in which sums of it wrap around."""

    name: str
    c: str
    size: int
    wraps: str

    @property
    def is_float(self) -> bool:
        """Whether it has fractions."""
        return self.wraps == ""


FLOAT = Element("float32", "float", 4, "")
ELEMENTS = {
    "float32": FLOAT,
    "float64": Element("float64", "double", 8, ""),
    "bool": Element("bool", "uint8_t", 1, "unsigned"),
    "int8": Element("int8", "int8_t", 1, "unsigned"),
    "int16": Element("int16", "int16_t", 2, "unsigned"),
    "int32": Element("int32", "int32_t", 4, "uint32_t"),
    "int64": Element("int64", "int64_t", 8, "uint64_t"),
    "uint8": Element("uint8", "uint8_t", 1, "unsigned"),
    "uint16": Element("uint16", "uint16_t", 2, "unsigned"),
    "uint32": Element("uint32", "uint32_t", 4, "uint32_t"),
    "uint64": Element("uint64", "uint64_t", 8, "uint64_t"),
}
"""By NumPy's name."""


def literal(value: float | int, element: Element) -> str:
    """A constant of an element type."""
    if not element.is_float:
        return _whole(int(value), element)
    if isnan(value):
        return "NAN"
    if isinf(value):
        return "INFINITY" if value > 0 else "-INFINITY"
    if element.size == 8:
        return repr(float(value))
    text = str(np.float32(value))
    if "inf" in text:
        return text.replace("inf", "INFINITY")
    return f"{text}f" if "e" in text or "." in text else f"{text}.0f"


def _whole(value: int, element: Element) -> str:
    if element.name == "int64" and value == -(2**63):
        return "INT64_MIN"
    if element.name == "int32" and value == -(2**31):
        return "INT32_MIN"
    macro = {"int64": "INT64_C", "uint64": "UINT64_C", "uint32": "UINT32_C"}.get(element.name)
    return f"{macro}({value})" if macro else str(value)
