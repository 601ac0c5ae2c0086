"""Where the time of a run goes, node by node."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from runtime.engine.times import Layer
from runtime.plan import Node

__all__ = ["Row", "bench", "summary", "table"]

_ROUNDS, _SECONDS = 15, 2.0


class Row(NamedTuple):
    """One node, with what was fused into it.

    Attributes:
        name, op: Of the node.
        kernel: What the engine does it by; empty where operators are run one by one.
        seconds: The least of several runs.
        products: Multiplications and additions of a direct product; 0 for other operators.
    """

    name: str
    op: str
    kernel: str
    seconds: float
    products: int


def summary(runs: Iterable[Sequence[tuple[Node, float]]], layers: Mapping[str, Layer]) -> list[Row]:
    """The least time of each node in several runs, in the order in which they run."""
    least: dict[str, float] = {}
    ops: dict[str, str] = {}
    for run in runs:
        spent: dict[str, float] = {}
        for node, seconds in run:
            spent[node.name] = spent.get(node.name, 0.0) + seconds
            ops[node.name] = node.op
        least = {name: min(seconds, least.get(name, seconds)) for name, seconds in spent.items()}
    return [
        Row(name, ops[name], kernel, seconds, products)
        for name, seconds in least.items()
        for kernel, products in [layers.get(name, Layer("", 0))]
    ]


def table(rows: Sequence[Row]) -> str:
    """The rows as text, slowest first: milliseconds, share, GFLOP/s, kernel, operator, name."""
    total = sum(row.seconds for row in rows) or 1.0
    width = max((len(row.kernel) for row in rows), default=0)
    lines = [f"{'ms':>9} {'share':>6} {'GFLOP/s':>8}  {'kernel':{width}}  node"]
    for row in sorted(rows, key=lambda row: -row.seconds):
        rate = f"{row.products / row.seconds / 1e9:8.1f}" if row.products and row.seconds else " " * 8
        lines.append(
            f"{1000 * row.seconds:9.3f} {row.seconds / total:6.1%} {rate}  {row.kernel:{width}}  {row.op} {row.name}"
        )
    lines.append(f"{1000 * total:9.3f} {'':6} {'':8}  in all")
    return "\n".join(lines)


def bench(run: Callable[[Any], object], feeds: object) -> str:
    """The first call, then the median and least of at least 15 calls and 2 seconds, in milliseconds."""
    times: list[float] = []
    start = time.perf_counter()
    while len(times) <= _ROUNDS or time.perf_counter() - start < _SECONDS:
        begin = time.perf_counter()
        run(feeds)
        times.append(1000 * (time.perf_counter() - begin))
    rest = sorted(times[1:])
    return f"first {times[0]:.3f} ms, median {rest[len(rest) // 2]:.3f} ms, least {rest[0]:.3f} ms of {len(rest)} calls"
