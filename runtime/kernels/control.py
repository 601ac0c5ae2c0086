"""Control flow. A subgraph attribute is a function from its inputs to the tuple of its outputs."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from runtime.kernels.base import Array, Function

__all__ = ["OPS", "complete"]

Body = Callable[..., "tuple[Array, ...]"]


def if_(condition: Array, *, then_branch: Body, else_branch: Body) -> tuple[Array, ...]:
    """The outputs of one of two subgraphs; only that one runs."""
    return then_branch() if bool(condition.reshape(-1)[0]) else else_branch()


def loop(count: Array | None, condition: Array | None, *state: Array, body: Body) -> tuple[Array, ...]:
    """body(step, condition, *state) -> (condition, *state, *scans), until count is reached or the condition is false.

    The outputs are the last state, then each scan stacked along a new first axis; without a single step there are no
    scans among them, see `complete`.
    """
    limit = None if count is None else int(count.reshape(-1)[0])
    going = condition is None or bool(condition.reshape(-1)[0])
    scans: list[tuple[Array, ...]] = []
    step = 0
    while going and (limit is None or step < limit):
        proceed, *results = body(np.array(step, np.int64), np.array(True), *state)
        going = bool(proceed.reshape(-1)[0])
        state, step = tuple(results[: len(state)]), step + 1
        scans.append(tuple(results[len(state) :]))
    return (*state, *(np.stack(values) for values in zip(*scans)))


def complete(results: tuple[Array, ...], count: int) -> tuple[Array, ...]:
    """As many results as a node has outputs: scans of a loop that made no step are float32 arrays of shape [0]."""
    return results + (np.zeros(0, np.float32),) * (count - len(results))


def scan(
    *inputs: Array,
    body: Body,
    num_scan_inputs: int,
    scan_input_axes: list[int] | None = None,
    scan_input_directions: list[int] | None = None,
    scan_output_axes: list[int] | None = None,
    scan_output_directions: list[int] | None = None,
) -> tuple[Array, ...]:
    """body(*state, *slices) -> (*state, *scans) for each slice of the scanned inputs along their axes.

    A direction of 1 goes, or stacks, from the end.
    """
    first = len(inputs) - num_scan_inputs
    state, scanned = inputs[:first], inputs[first:]
    columns = [
        np.flip(moved, 0) if backwards else moved
        for moved, backwards in zip(
            (np.moveaxis(x, axis, 0) for x, axis in zip(scanned, scan_input_axes or [0] * num_scan_inputs)),
            scan_input_directions or [0] * num_scan_inputs,
        )
    ]
    scans: list[tuple[Array, ...]] = []
    for slices in zip(*columns):
        results = body(*state, *slices)
        state = results[:first]
        scans.append(results[first:])
    stacked = [np.stack(values) for values in zip(*scans)]
    backwards_out = scan_output_directions or [0] * len(stacked)
    axes = scan_output_axes or [0] * len(stacked)
    ordered = [np.flip(y, 0) if backwards else y for y, backwards in zip(stacked, backwards_out)]
    return (*state, *(np.moveaxis(y, 0, axis) for y, axis in zip(ordered, axes)))


OPS: dict[str, Function] = {"If": if_, "Loop": loop, "Scan": scan}
