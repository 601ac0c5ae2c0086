"""Finds shares of a step that touch what another one writes, which may be seen only once in many runs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any

import numpy as np

from runtime.engine import Program
from runtime.engine.epilogue import Step
from runtime.engine.work_items import Shares

__all__ = ["conflicts"]

_WORK = 100_000
"""Steps of the search for a common byte; where they don't suffice there may be one."""


def conflicts(program: Program) -> list[str]:
    """What is wrong with a program: a line for each pair of accesses that may happen in either order."""
    return [
        f"{node.op} {node.name}: list {one} writes {written.shape}, list {other} touches {touched.shape}"
        for node, step in program.steps
        if isinstance(step, Shares)
        for (one, written), (other, touched) in _pairs(step.lists)
        if _common(written, touched)
    ]


def _pairs(lists: Sequence[Sequence[Step]]) -> Iterator[tuple[tuple[int, Any], tuple[int, Any]]]:
    found = [[_accesses(step) for step in steps] for steps in lists]
    for one, steps in enumerate(found):
        written = [array for _, writes in steps for array in writes]
        for other, others in enumerate(found):
            if one != other:
                touched = [array for accesses in others for arrays in accesses for array in arrays]
                yield from (((one, a), (other, b)) for a in written for b in touched)


def _accesses(step: Step) -> tuple[list[Any], list[Any]]:
    """What a step reads, and what it writes."""
    assert isinstance(step, partial), step
    function, arrays = step.func, list(_arrays(step.args))
    if function is np.copyto:
        return arrays[1:], arrays[:1]
    if isinstance(getattr(function, "__self__", None), np.ndarray):
        return [], [function.__self__]  # type: ignore[attr-defined]
    if "out" in step.keywords:
        return arrays, [step.keywords["out"]]
    return arrays[:-1], arrays[-1:]


def _arrays(given: Any) -> Iterator[Any]:
    if isinstance(given, np.ndarray):
        yield given
    elif isinstance(given, (list, tuple)):
        for one in given:
            yield from _arrays(one)


def _common(a: Any, b: Any) -> bool:
    if not np.may_share_memory(a, b):
        return False
    try:
        return bool(np.shares_memory(a, b, max_work=_WORK))  # type: ignore[arg-type]
    except np.exceptions.TooHardError:
        return True
