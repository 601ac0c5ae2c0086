"""Every operator with attributes, shapes and numbers that no exporter writes: a result, or an error of this package."""

from __future__ import annotations

import json
import random
from typing import Any

import numpy as np
import pytest

import runtime
from runtime.kernels import KERNELS
from runtime.kernels.base import signature
from runtime.npy import escape, header
from tests.unit.runtime.make_bundle import document, entry, node, npy, pack

_CASES = 8
"""Of each operator."""

_NUMBERS: list[Any] = [0, -1, 1, 2, 3, 64, -65, 2**31 - 1, -(2**31), 2**31, 2**63 - 1, 2**70, 0.5, 1e300, True]
_LISTS: list[Any] = [[], [0], [-1], [1, 1], [2, 2], [0, 0], [-1, -1], [2**31 - 1] * 2, [1] * 4, [2**30] * 4, [0.5, 0.5]]
_OTHERS: list[Any] = [
    None,
    "",
    "a",
    ["a"],
    {},
    {"a": 1},
    [[1]],
    float("nan"),
    float("inf"),
    -float("inf"),
    [float("nan")],
]
_WORDS = [
    "constant",
    "reflect",
    "linear",
    "cubic",
    "align_corners",
    "SAME_UPPER",
    "VALID",
    "add",
    "ij,jk->ik",
    "reverse",
]


def _drawn(*shape: int) -> Any:
    return np.asarray(np.random.default_rng(1).standard_normal(shape), np.float32)


_ARRAYS: list[Any] = [
    *(_drawn(*shape) for shape in ((3, 4), (1, 4, 4, 2), (2, 3, 4), (4,), (), (0, 4), (1, 0, 4, 2))),
    *(_drawn(*shape) for shape in ((3, 3, 2, 4), (3, 3, 1, 2), (1, 1, 2, 3), (4, 3), (1, 5, 5, 5, 1))),
    *(
        np.array(numbers, np.int64)
        for numbers in ([1, 2], [0], [-1], [2**62], [2**31] * 4, [1 << 40] * 2, 3, -(2**63), [])
    ),
    np.array([1, 1], np.int32),
    np.array([True, False]),
    *(np.array(numbers, np.float32) for numbers in ([np.nan, np.inf, -np.inf], np.nan, [1e30, 2.0], 0, [1, 1, 1e9, 1])),
    _drawn(3, 4).astype(np.float64),
    _drawn(3, 4).astype(np.float16),
    np.array([[0, 1], [5, -1]], np.int64),
    np.array([1, 2, 3], np.uint8),
]


def _bundle(op: str, draw: random.Random) -> tuple[bytes, dict[str, Any]]:
    """One node on the inputs of the model, of which the first is given, and on weights."""
    kind = signature(KERNELS[op])
    count = max(1, draw.randint(kind.least, min(kind.most or kind.least + 2, kind.least + 4)))
    arrays = {f"a{place}": draw.choice(_ARRAYS) for place in range(count)}
    fields = {
        name: draw.choice(draw.choice([_NUMBERS, _LISTS, _OTHERS, _WORDS]))
        for name in sorted(kind.attributes)
        if name in kind.required or draw.random() < 0.4
    }
    given = arrays.pop("a0")
    plan = document(
        inputs=[{"name": "a0", "dtype": given.dtype.name, "shape": None}],
        outputs=[{"name": "y", "dtype": "float32", "shape": None}],
        nodes=[node(op, ["a0", *arrays], ["y"], **fields)],
        arrays={escape(name): entry(array) for name, array in arrays.items()},
    )
    text = json.dumps(plan).encode()
    parts = {f"{escape(name)}.npy": npy(array) for name, array in arrays.items()}
    return pack({**parts, "__plan__.npy": header("uint8", [len(text)]) + text}), {"a0": given}


@pytest.mark.parametrize("op", sorted(set(KERNELS) - {"If", "Loop", "Scan"}))
def test_nothing_else_is_raised(op: str) -> None:
    """No warning either, by the engine and without it."""
    draw = random.Random(op)
    for _ in range(_CASES):
        bundle, feeds = _bundle(op, draw)
        for plain in (False, True):
            try:
                runtime.load(bundle, plain=plain, threads=1).run(feeds)
            except runtime.NetError:
                continue


def test_something_else_would_be_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    """An operator that raises what it shouldn't fails the test above."""

    def broken(*_: Any) -> Any:
        raise OSError

    broken.__wrapped__ = KERNELS["Abs"].__wrapped__  # type: ignore[attr-defined]
    monkeypatch.setitem(KERNELS, "Abs", broken)
    with pytest.raises(OSError):
        test_nothing_else_is_raised("Abs")
