"""NumPy 1.19, which distributions of 2021 have, does for the runtime."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import runtime
from runtime.kernels.base import broadcast_shapes

_PACKAGE = Path(runtime.__file__).parent
_NAMES = frozenset(Path(__file__).with_name("numpy_1_19_names.txt").read_text(encoding="utf-8").split())
"""The public names of NumPy 1.19.5, as `dir(numpy)` gave them with Python 3.9 on 30 November 2026."""


def _used(text: str) -> Iterator[str]:
    """The names that are taken from `np`."""
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "np":
            yield node.attr


@pytest.mark.parametrize("path", sorted(_PACKAGE.rglob("*.py")), ids=lambda path: str(path.relative_to(_PACKAGE)))
def test_it_uses_what_numpy_1_19_has(path: Path) -> None:
    """No module takes a name from NumPy that came later."""
    used = {name for name in _used(path.read_text(encoding="utf-8")) if not name.startswith("_")}
    assert used <= _NAMES


def test_a_newer_name_is_found() -> None:
    """NumPy 1.20 brought one that the runtime used."""
    assert set(_used("y = np.broadcast_shapes((1,), (2,)) + np.zeros(2)")) - _NAMES == {"broadcast_shapes"}


_SHAPES = st.lists(st.lists(st.integers(0, 3), max_size=3), max_size=3)


@settings(deadline=None, derandomize=True)
@given(_SHAPES)
def test_shapes_are_broadcast_as_numpy_does_it(shapes: list[list[int]]) -> None:
    """Also where a size is 0; what doesn't go together is an error for both."""
    try:
        expected = np.broadcast_shapes(*map(tuple, shapes))
    except ValueError:
        with pytest.raises(ValueError, match="don't go together"):
            broadcast_shapes(*shapes)
    else:
        assert broadcast_shapes(*shapes) == expected
