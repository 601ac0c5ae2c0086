"""The contents of shape arithmetic, as far as they are known."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from exporter.ir.elements import symbolic


def test_symbols_and_numbers_are_multiplied() -> None:
    """[N, 3] times [2, 2] is [2 N, 6]."""
    shape = np.array([ir.SymbolicDim("N"), 3], object)
    found = symbolic("Mul", [shape, np.array([2, 2])], {})
    assert found is not None
    assert found[1] == 6
    assert isinstance(found[0], ir.SymbolicDim)


def test_squaring_again_and_again_ends_in_nothing_known() -> None:
    """No integer of more than 64 bits is made: a tensor couldn't hold it, and sixty squares would fill the memory."""
    shape = np.array([ir.SymbolicDim("N"), 3], object)
    known = 0
    for _ in range(60):
        squared = symbolic("Mul", [shape, shape], {})
        if squared is None:
            break
        shape, known = squared, known + 1
    assert known == 5  # 3^32 has 51 bits, 3^64 has 102
