"""Arrays in large blocks: where they lie, and when their memory goes."""

from __future__ import annotations

import gc
import itertools
import weakref

import numpy as np
import pytest

from runtime.engine.memory import Pool, aligned

FLOAT = np.dtype(np.float32)


def test_arrays_of_a_pool_are_apart_and_begin_with_a_cache_line() -> None:
    """Of any size, one number and more than a block included."""
    pool = Pool()
    arrays = [pool.empty(shape, FLOAT) for shape in [(3,), (0, 2), (100, 100), (1 << 21,), (7, 5, 3), (1 << 18,)] * 3]
    for array in arrays:
        assert array.flags.c_contiguous
        assert array.flags.writeable
        assert array.__array_interface__["data"][0] % 64 == 0
    for a, b in itertools.combinations(arrays, 2):
        assert not np.shares_memory(a, b)


def test_a_block_goes_with_its_last_array() -> None:
    """A pool keeps nothing but the block that it is cutting."""
    pool = Pool()
    first, *others = [pool.empty((1 << 16,), FLOAT) for _ in range(40)]
    block = first.base
    while isinstance(block, np.ndarray) and isinstance(block.base, np.ndarray):
        block = block.base
    alive = weakref.ref(block)
    del first, block
    gc.collect()
    assert alive() is None
    assert len(others) == 39


@pytest.mark.parametrize("size", [0, 1, 63, 64, 1000])
def test_aligned_memory_is_zero(size: int) -> None:
    """And has just the bytes that were asked for."""
    memory = aligned(size)
    assert memory.shape == (size,)
    assert not memory.any()
    assert size == 0 or memory.__array_interface__["data"][0] % 64 == 0
