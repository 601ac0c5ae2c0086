"""Following an axis through a reshape."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir
import pytest

from exporter.ir.dims import Dims
from exporter.passes.affine.refusal import Refused
from exporter.passes.affine.regroup import Group, groups, reshape_along

N, H, W = ir.SymbolicDim("N"), ir.SymbolicDim("H"), ir.SymbolicDim("W")
UNKNOWN = ir.SymbolicDim(None)


@pytest.mark.parametrize(
    ("before", "after", "sizes"),
    [
        ((N, 7, 7, 64), (N, 3136), [(1, 1), (3, 1)]),
        ((UNKNOWN, 7, 7, 64), (UNKNOWN, 3136), [(1, 1), (3, 1)]),
        ((N, H, W, 64), (UNKNOWN, 64), [(3, 1), (1, 1)]),
        ((N, 8, 8, 4), (N, 4, 2, 4, 2, 4), [(1, 1), (1, 2), (1, 2), (1, 1)]),
        ((N, 64), (N, 1, 1, 64), [(1, 1), (0, 2), (1, 1)]),
        ((N, 1, 1, 64), (N, 64), [(1, 1), (2, 0), (1, 1)]),
        ((2, 3, 4), (6, 4), [(2, 1), (1, 1)]),
    ],
)
def test_runs_of_axes_are_as_short_as_the_sizes_prove(before: Dims, after: Dims, sizes: list[tuple[int, int]]) -> None:
    """Each run holds the same elements on both sides."""
    assert [(len(group.before), len(group.after)) for group in groups(before, after)] == sizes


def test_an_array_that_broadcasts_before_broadcasts_after() -> None:
    """[1, 1, 1, 4] against [N, 2, 3, 4] is [1, 24] against [N, 24]."""
    vector = np.arange(4.0).reshape(1, 1, 1, 4)
    moved = reshape_along(vector, groups((N, 2, 3, 4), (N, 24)))
    assert moved.tolist() == [list(range(4)) * 6]


def test_an_axis_inside_an_unknown_run_is_refused() -> None:
    """How often it repeats isn't known."""
    with pytest.raises(Refused, match="unknown size"):
        reshape_along(np.arange(4.0).reshape(1, 1, 4), [Group((N,), (N,)), Group((H, 4), (UNKNOWN,))])
