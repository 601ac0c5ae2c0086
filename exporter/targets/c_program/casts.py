"""Numbers in another element type, where C leaves open what becomes of those that are too large."""

from __future__ import annotations

from exporter.targets.c_program.elements import Element

__all__ = ["cast"]


def cast(source: Element, target: Element) -> str:
    """The expression `{x}` in another type, as NumPy has it on most processors.

    Floats are cut off; one that isn't within an int32 or int64 becomes its smallest number. Integers wrap around.
    """
    if source == target:
        return "{x}"
    if target.name == "bool":
        return "{x} != 0"
    if not source.is_float or target.is_float:
        return f"({target.c}){{x}}"
    bits = 32 if target.size < 4 or target.name == "int32" else 64
    suffix = "" if source.size == 8 else "f"
    low, high = (f"{sign}{2.0 ** (bits - 1):.1f}{suffix}" for sign in ("-", ""))
    whole = f"{{x}} >= {low} && {{x}} < {high} ? (int{bits}_t){{x}} : INT{bits}_MIN"
    return whole if target.name == f"int{bits}" else f"({target.c})({whole})"
