"""How much of a layer is worked on at a time, and by whom."""

from __future__ import annotations

from collections.abc import Iterator

__all__ = ["blocks", "cuts", "shares"]


def cuts(stop: int, parts: int, start: int = 0) -> list[slice]:
    """A range in parts of nearly the same length, none of them empty."""
    parts = max(1, min(parts, stop - start))
    bounds = [start + part * (stop - start) // parts for part in range(parts + 1)]
    return [slice(a, b) for a, b in zip(bounds, bounds[1:])]


def shares(
    n: int, h: int, w: int, elements: int, block: int, *, threads: int, least: int = 1
) -> list[list[tuple[slice, slice]]]:
    """Images and rows of [n, h, w] for each thread, in blocks of at least `least` pixels where there are so many.

    Args:
        n, h, w: Images, rows and columns.
        elements: How much memory each pixel takes.
        block: How much a block should take: `Machine.block`.
        threads: How many lists there are at most.
        least: A matrix product of fewer rows would spend its time on packing the weights.
    """
    every = slice(0, n), slice(0, h)
    if threads == 1:
        return [list(blocks(*every, w, elements, block, least=least))]
    if n % threads == 0 or n >= 4 * threads:
        return [list(blocks(images, every[1], w, elements, block, least=least)) for images in cuts(n, threads)]
    each = [slice(image, image + 1) for image in range(n)]
    return [
        [part for image in each for part in blocks(image, rows, w, elements, block, least=least)]
        for rows in cuts(h, threads)
    ]


def blocks(
    images: slice, rows: slice, w: int, elements: int, block: int, *, least: int = 1
) -> Iterator[tuple[slice, slice]]:
    """These images and rows, in blocks of at least `least` pixels if they have as many."""
    pixels, h = max(least, block // max(1, elements)), rows.stop - rows.start
    if pixels >= h * w:
        some = max(1, min(images.stop - images.start, pixels // max(1, h * w)))
        yield from (
            (slice(first, min(first + some, images.stop)), rows) for first in range(images.start, images.stop, some)
        )
        return
    for image in range(images.start, images.stop):
        yield from (
            (slice(image, image + 1), part) for part in cuts(rows.stop, -(-h // max(1, pixels // w)), rows.start)
        )
