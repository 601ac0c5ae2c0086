"""How long the steps of a run take."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from runtime.executor import Executor, Plain
from runtime.kernels.base import Array
from runtime.plan import Node

__all__ = ["Layer", "Times", "timed"]


class Layer(NamedTuple):
    """What a profile says of a node besides its time.

    Attributes:
        kernel: What it is done by, with all that was fused into it.
        products: Multiplications and additions of a convolution or dense layer if done directly, 0 for other operators.
    """

    kernel: str
    products: int


class Times(NamedTuple):
    """The seconds of each step of a run, in order, and how the nodes are computed, by their names."""

    steps: Sequence[tuple[Node, float]]
    layers: Mapping[str, Layer]


def timed(executor: Executor, arrays: Sequence[Array]) -> Times:
    """Run once, and return how long each step took."""
    if not isinstance(executor, Plain):
        return executor.timed(arrays)  # type: ignore[attr-defined,no-any-return]  # as all of the engine's have it
    steps: list[tuple[Node, float]] = []
    marks = [time.perf_counter()]

    def see(node: Node, results: Sequence[Array]) -> None:
        marks.append(time.perf_counter())
        steps.append((node, marks[-1] - marks[-2]))

    executor.run(arrays, see)
    return Times(steps, {})
