"""Where values are: strided views of buffers, which share one arena."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from math import prod

from exporter.targets.c_program.elements import FLOAT, Element

__all__ = ["Buffer", "Frame", "Tensor", "contiguous", "place"]

_ALIGNMENT = 16
"""Cells of four bytes: buffers begin at multiples of 64 bytes."""

_ATTEMPTS = 12
"""How many orders of each kind are tried before what was found has to do."""


@dataclass
class Buffer:
    """Memory of its own.

    Attributes:
        floats: Its size in cells of four bytes, as a float takes.
        base: What it is called in the C program: `a` is the arena; others aren't placed.
        first, last: The layers between which its contents are needed.
        offset: Where it begins in the arena.
    """

    floats: int
    base: str = "a"
    first: int = -1
    last: int = -1
    offset: int = 0

    @property
    def room(self) -> int:
        """Its size rounded up to the alignment."""
        return -(-self.floats // _ALIGNMENT) * _ALIGNMENT


@dataclass(frozen=True)
class Frame:
    """Zeros around an image [N, H, W, C]: how many rows and columns."""

    top: int = 0
    left: int = 0
    bottom: int = 0
    right: int = 0

    def __or__(self, other: Frame) -> Frame:
        return Frame(*(max(getattr(self, side), getattr(other, side)) for side in ("top", "left", "bottom", "right")))

    def __bool__(self) -> bool:
        return any((self.top, self.left, self.bottom, self.right))


@dataclass(frozen=True)
class Tensor:
    """A view of a buffer: element [i, j, ...] is at offset + i * strides[0] + j * strides[1] + ..., in elements."""

    shape: tuple[int, ...]
    strides: tuple[int, ...]
    buffer: Buffer
    offset: int = 0
    frame: Frame = field(default_factory=Frame)
    element: Element = FLOAT

    @property
    def is_whole(self) -> bool:
        """Whether it is all of its buffer, in order."""
        cells = _cells(prod(self.shape), self.element)
        return self.offset == 0 and self.strides == contiguous(self.shape) and cells == self.buffer.floats

    def pointer(self, prefix: str) -> str:
        """The address of its first element, in C, where names begin with the prefix."""
        if self.buffer.base != "a":
            return self.buffer.base + (f" + {self.offset}" if self.offset else "")
        if self.element is FLOAT:
            return f"a + {self.buffer.offset + self.offset}"
        where = f"({prefix}_{self.element.name} *)(void *)(a + {self.buffer.offset})"
        return where + (f" + {self.offset}" if self.offset else "")

    def viewed(self, shape: tuple[int, ...]) -> Tensor:
        """The same elements in another shape; for tensors that are whole."""
        return Tensor(shape, contiguous(shape), self.buffer, element=self.element)

    @classmethod
    def new(cls, shape: tuple[int, ...], frame: Frame, base: str = "a", element: Element = FLOAT) -> Tensor:
        """A tensor in a buffer of its own; of an image [N, W, C] or [N, H, W, C] of floats, with zeros around."""
        if not frame:
            return cls(shape, contiguous(shape), Buffer(_cells(prod(shape), element), base), element=element)
        n, h, w, c = shape if len(shape) == 4 else (shape[0], 1, *shape[1:])
        row = (w + frame.left + frame.right) * c
        image = (h + frame.top + frame.bottom) * row
        strides = (image, row, c, 1) if len(shape) == 4 else (image, c, 1)
        return cls(shape, strides, Buffer(n * image, base), frame.top * row + frame.left * c, frame)


def _cells(count: int, element: Element) -> int:
    return -(-count * element.size // 4)


def contiguous(shape: Sequence[int]) -> tuple[int, ...]:
    """The strides of a tensor whose elements lie one after another."""
    return tuple(prod(shape[axis + 1 :]) for axis in range(len(shape)))


def place(buffers: Iterable[Buffer]) -> tuple[int, int]:
    """Gives each buffer a place in the arena, one after another, none over another that lives at the same time.

    The largest first, then those that live the longest first, until nothing is lost; and each time with the buffer that
    ends last moved half-way to the front, which makes others give way to it.

    Returns:
        The floats of the arena, and of the largest set of buffers that live at the same time, which no plan can beat.
    """
    given = list(buffers)
    steps = {step for buffer in given for step in (buffer.first, buffer.last)}
    live = max((sum(b.room for b in given if b.first <= step <= b.last) for step in steps), default=0)
    best: tuple[int, list[int]] | None = None
    for key in (_size, _lifetime):
        order = sorted(range(len(given)), key=lambda number: key(given[number]))
        for _ in range(_ATTEMPTS):
            offsets = _placed(given, order)
            ends = [offset + buffer.room for offset, buffer in zip(offsets, given, strict=True)]
            arena = max(ends, default=0)
            if best is None or arena < best[0]:
                best = arena, offsets
            if best[0] == live:
                break
            last = order.index(ends.index(arena))
            order.insert(last // 2, order.pop(last))
    assert best is not None
    for buffer, offset in zip(given, best[1], strict=True):
        buffer.offset = offset
    return best[0], live


def _size(buffer: Buffer) -> tuple[int, int]:
    return -buffer.room, buffer.first


def _lifetime(buffer: Buffer) -> tuple[int, int]:
    return buffer.first - buffer.last, -buffer.room


def _placed(buffers: Sequence[Buffer], order: Iterable[int]) -> list[int]:
    """Where each buffer begins, if each takes the lowest place that is free when its turn comes."""
    offsets = [0] * len(buffers)
    placed: list[int] = []
    for number in order:
        own = buffers[number]
        others = [o for o in placed if buffers[o].first <= own.last and own.first <= buffers[o].last]
        at = 0
        for other in sorted(others, key=offsets.__getitem__):
            if at + own.room <= offsets[other]:
                break
            at = max(at, offsets[other] + buffers[other].room)
        offsets[number] = at
        placed.append(number)
    return offsets
