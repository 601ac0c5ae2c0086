"""How many images are run at a time."""

from __future__ import annotations

import numpy as np

from runtime.engine import Spec, micro_batches
from runtime.plan import Graph, Node

FLOAT = np.dtype(np.float32)
GRAPH = Graph(("x",), ("y",), (Node("Dense", "d", ("x", "w"), ("y",)),))


def size(total: int, megabytes: float, *, weights: float = 0.0) -> int:
    """Of the pieces of a batch whose images have an activation of that many megabytes."""
    shapes = {"x": (total, 1), "w": (int(weights * 2**18),), "y": (total, int(megabytes * 2**18))}
    return micro_batches._size(GRAPH, {name: Spec(shape, FLOAT) for name, shape in shapes.items()}, total)


def test_pieces_fill_the_cache() -> None:
    """The largest activation of one takes 20 MB at most; what is smaller is left whole."""
    assert size(64, 5) == 4
    assert size(4, 5) == 4
    assert size(64, 0.25) == 64
    assert size(800, 0.25) == 80
    assert size(16, 100) == 1


def test_pieces_waste_little() -> None:
    """Images are computed twice where no size divides the batch: one in eight at most, or it isn't cut."""
    for total in range(5, 200):
        made = size(total, 2)
        assert -total % made <= total / 8
        assert made == total or 5 <= made <= 10


def test_weights_are_worth_reading() -> None:
    """Where there are more of them than activations, pieces are larger."""
    assert size(256, 5, weights=80) == 32
    assert size(256, 5, weights=10_000) == 256
