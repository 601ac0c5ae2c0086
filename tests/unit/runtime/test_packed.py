"""Weights in blocks of columns: all of them are there, and threads that share them keep apart."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from runtime.engine import Policy, Prepacked, Program, Spec, compile_program, context
from runtime.engine.machine import XEON, ZEN_4, Machine
from runtime.engine.memory import Pool
from runtime.engine.packed import Packed, empty, pack, pieces
from runtime.plan import Graph, Node
from tests.unit.runtime.conflicts import conflicts

RANDOM = np.random.default_rng(0)


def drawn(*shape: int) -> Any:
    return np.asarray(RANDOM.standard_normal(shape), np.float32)


@settings(deadline=None)
@given(st.integers(1, 40), st.integers(1, 9), st.integers(1, 6))
def test_shares_have_neighbouring_columns(columns: int, width: int, count: int) -> None:
    """Together all of them, each once and in order, and none without any."""
    matrix = np.arange(3 * columns, dtype=np.float32).reshape(3, columns)
    packed = empty(matrix.shape, matrix.dtype, min(width, columns), Pool())
    pack(matrix, packed)
    shares = packed.shares(count)
    assert 1 <= len(shares) <= count
    ends = [0, *(share.columns.stop for share in shares)]
    assert [share.columns.start for share in shares] == ends[:-1]
    assert ends[-1] == columns
    np.testing.assert_array_equal(np.hstack([flat(share) for share in shares]), matrix)


def flat(packed: Packed) -> Any:
    """The columns side by side."""
    return np.hstack([block for _, blocks in packed.parts for block in blocks])


def compiled(op: str, x: Any, w: Any, threads: int, machine: Machine = ZEN_4) -> Program:
    """One product with a bias and an activation."""
    weights = {"w": w, "b": drawn(w.shape[-1])}
    nodes = (Node(op, "product", ("x", "w", "b"), ("a",)), Node("Relu", "relu", ("a",), ("y",)))
    specs = {"x": Spec(x.shape, x.dtype)}
    policy = Policy("strict", threads, {}, machine)
    return compile_program(Graph(("x",), ("y",), nodes), weights, specs, Prepacked(), policy)


@pytest.mark.parametrize("threads", [2, 3, 5])
@pytest.mark.parametrize(
    ("op", "x", "w"),
    [("Dense", (3, 256), (256, 1000)), ("Dense", (2, 100), (100, 330)), ("Conv", (1, 4, 4, 128), (1, 1, 128, 488))],
    ids=["classes", "few", "convolution"],
)
def test_threads_that_share_columns_keep_apart(
    op: str, x: tuple[int, ...], w: tuple[int, ...], threads: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where the columns don't come out even, too: none touches what another one writes."""
    monkeypatch.setattr(context, "_LEAST", 1e-9)
    given, program = drawn(*x), compiled(op, drawn(*x), drawn(*w), threads)
    assert program._threads == threads
    assert conflicts(program) == []
    assert program.run([given])[0].shape == (*x[:-1], w[-1])


def test_a_conflict_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two shares of the same columns are one."""
    monkeypatch.setattr(context, "_LEAST", 1e-9)
    monkeypatch.setattr(Packed, "shares", lambda self, count: [self] * count)
    assert any("list 0 writes" in line for line in conflicts(compiled("Dense", drawn(3, 64), drawn(64, 96), 2)))


@pytest.mark.parametrize(
    ("depth", "rows", "columns", "count"),
    [(2048, 49, 512, 16), (4608, 49, 512, 36), (25088, 64, 4096, 4), (25088, 2, 4096, 98), (1000, 49, 64, 1)],
)
def test_long_sums_are_made_of_parts(depth: int, rows: int, columns: int, count: int) -> None:
    """Of as many as there are, if all their results take a few MB at most."""
    assert pieces(depth, rows, columns, XEON) == count
    assert pieces(depth, rows, columns, ZEN_4) == 1
