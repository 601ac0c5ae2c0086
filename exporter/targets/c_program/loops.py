"""C loops over the elements of strided tensors."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from exporter.targets.c_program.elements import FLOAT, literal

__all__ = ["collapsed", "index", "nest", "number"]


def number(value: float) -> str:
    """A float constant."""
    return literal(value, FLOAT)


def collapsed(shape: Sequence[int], *strides: Sequence[int]) -> tuple[list[int], list[list[int]]]:
    """The same elements in the same order with fewer axes: those that go on where the next one ends become one."""
    sizes: list[int] = []
    steps: list[list[int]] = [[] for _ in strides]
    for axis, size in enumerate(shape):
        if size == 1:
            continue
        here = [each[axis] for each in strides]
        if sizes and all(mine[-1] == step * size for mine, step in zip(steps, here, strict=True)):
            sizes[-1] *= size
            for mine, step in zip(steps, here, strict=True):
                mine[-1] = step
            continue
        sizes.append(size)
        for mine, step in zip(steps, here, strict=True):
            mine.append(step)
    return sizes, steps


def index(steps: Sequence[int], offset: int = 0, variables: Sequence[str] | None = None) -> str:
    """`i0 * 12 + i1`."""
    names = variables or [f"i{axis}" for axis in range(len(steps))]
    terms = [name if step == 1 else f"{name} * {step}" for name, step in zip(names, steps, strict=True) if step]
    if offset or not terms:
        terms.append(str(offset))
    return " + ".join(terms)


def nest(sizes: Sequence[int], body: Callable[[], list[str]] | list[str], indent: int = 1, first: int = 0) -> list[str]:
    """Nested loops with the variables i0, i1, ..."""
    lines = [
        f"{'    ' * (indent + depth)}for (int i{first + depth} = 0; i{first + depth} < {size}; i{first + depth}++) {{"
        for depth, size in enumerate(sizes)
    ]
    inner = body() if callable(body) else body
    lines += [f"{'    ' * (indent + len(sizes))}{line}" for line in inner]
    return lines + [f"{'    ' * (indent + depth)}}}" for depth in reversed(range(len(sizes)))]
