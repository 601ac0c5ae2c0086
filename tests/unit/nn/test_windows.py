"""SAME and the reach of windows, by their definitions and by numbers of TensorFlow."""

from __future__ import annotations

from itertools import product

import pytest

from exporter.nn.windows import extents, same_padding, same_size

_SIZES, _KERNELS, _STRIDES = range(1, 13), range(1, 8), range(1, 5)


@pytest.mark.parametrize(("reach", "stride"), list(product(_KERNELS, _STRIDES)))
def test_same_is_the_least_padding_with_enough_windows(reach: int, stride: int) -> None:
    """ceil(n / s) windows fit into the padded axis, and with one zero less they don't."""
    for size in _SIZES:
        total = same_size(size, reach, stride)
        assert total is not None
        assert (size + total - reach) // stride + 1 == -(-size // stride) or total == 0
        assert total == 0 or (size + total - 1 - reach) // stride + 1 < -(-size // stride)


@pytest.mark.parametrize(
    ("size", "kernel", "stride", "pads"),
    [
        (224, 7, 2, [2, 3]),  # the first convolution of ResNet, TensorFlow 2.21
        (299, 3, 2, [1, 1]),
        (28, 5, 2, [1, 2]),
        (28, 2, 1, [0, 1]),
        (5, 1, 3, [0, 0]),
        (6, 2, 4, [0, 0]),
        (7, 3, 3, [1, 1]),
    ],
)
def test_the_odd_zero_is_at_the_end(size: int, kernel: int, stride: int, pads: list[int]) -> None:
    """As TensorFlow pads."""
    assert same_padding([size], [kernel], [stride]) == {"pads": pads}


@pytest.mark.parametrize(
    ("reach", "strides", "known"),
    [([3, 3], [1, 1], True), ([1, 1], [2, 2], True), ([3, 1], [1, 2], True), ([3], [2], False)],
)
def test_unknown_sizes(reach: list[int], strides: list[int], known: bool) -> None:
    """Where the size decides, the op finds out at run time; nowhere else."""
    found = same_padding(["N"] * len(reach), reach, strides)
    assert ("pads" in found) == known
    assert known or found == {"auto_pad": "SAME_UPPER"}


def test_a_dilated_kernel_reaches_further() -> None:
    """(k - 1) d + 1."""
    assert extents([3, 1, 2], [2, 5, 4]) == [5, 1, 5]
