"""What the engine knows of a processor and its BLAS: how long its parts of a layer take, and how it likes them cut.

The built-in profiles are those of machines that were measured, by the names that OpenBLAS has for its kernels. For
others `runtime.engine.calibration` measures the same numbers, with the nearest of these to begin with.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from runtime.engine import blas

__all__ = ["ACCELERATE", "ARM", "AVX2", "PLAIN", "XEON", "ZEN_4", "Machine", "nearest"]


class Machine(NamedTuple):
    """Nanoseconds, sizes in numbers, and the choices that follow from neither.

    Attributes:
        product: Time of a multiply-add.
        weight: Time of a number in the weights, which come from memory, and which most BLAS copy first.
        copy: Time of a number in the patches.
        inwards: Time of a number in Winograd's tiles, for each number that its transforms multiply it with.
        output: Time of a number in the products of those, with all that is left to do with it.
        small: Multiply-adds up to which a float32 product is calculated without copies of its factors; 0 if there is no
            such number, so that weights are left whole.
        widths: Columns of a block of weights, best first, where they aren't left whole.
        depth: How deep the parts of a long product with few rows are; 0 if it is better left in one.
        tiles: Winograd tiles that a block should have where BLAS copies no weights.
        block: Numbers of a block of rows, which should stay in the cache from one step to the next.
        repeated: Numbers of depthwise weights that are repeated for neighbouring pixels; 0 for a whole row of them.
    """

    product: float
    weight: float
    copy: float
    inwards: float
    output: float
    small: int = 0
    widths: tuple[int, ...] = (64, 80, 96, 48, 112, 128, 32, 16)
    depth: int = 0
    tiles: int = 48
    block: int = 1 << 18
    repeated: int = 0

    @property
    def times(self) -> tuple[float, float, float, float, float]:
        """Those of its fields that are times, in order."""
        return self[:5]

    def small_product(self, dtype: np.dtype[Any]) -> int:
        """`small` for products of that type: there are such kernels for float32 alone."""
        return self.small if dtype == np.float32 else 0


ZEN_4 = Machine(0.019, 0.08, 0.21, 0.047, 0.49, small=10**6)
"""AMD with AVX-512; fitted to what all candidates took for the layers of three networks."""
XEON = Machine(0.0133, 0.38, 0.21, 0.047, 0.49, small=10**6, depth=128, tiles=64, repeated=1 << 13)
"""Intel with two units for AVX-512. Of the times only the first two were measured."""
AVX2 = Machine(0.031, 0.36, 0.28, 0.105, 1.05)
"""OpenBLAS's kernels Haswell and Zen, on AMD's Zen 3."""
ARM = Machine(0.05, 0.6, 0.3, 0.1, 0.8)
"""OpenBLAS's NEOVERSE and ARMV8: from the width of the vectors (two of 128 bits at 2.6 GHz), not measured."""
ACCELERATE = Machine(0.012, 0.3, 0.15, 0.04, 0.4)
"""Apple's Accelerate: from what is said of its matrix units, not measured."""
PLAIN = Machine(0.09, 0.5, 0.47, 0.185, 1.25)
"""OpenBLAS for processors without wide vectors, such as Prescott."""

_WIDE = frozenset({b"skylakex", b"cooperlake", b"sapphirerapids"})
"""OpenBLAS's names of the processors for which it has kernels for small products of float32 that copy no factor."""
_NARROW = frozenset(
    {b"katmai", b"prescott", b"core2", b"penryn", b"dunnington", b"nehalem", b"atom", b"barcelona", b"bobcat"}
)
_ARM_NAMES = (b"armv8", b"neoverse", b"cortex", b"thunderx", b"falkor", b"tsv110", b"emag", b"vortex", b"a64fx")


@cache
def nearest() -> Machine:
    """Return the built-in profile that is nearest to this processor with NumPy's BLAS."""
    core = blas.core().lower()
    if core in _WIDE:
        return ZEN_4 if _is_amd() else XEON
    if core in _NARROW:
        return PLAIN
    if core.startswith(_ARM_NAMES):
        return ARM
    return ACCELERATE if "accelerate" in blas.describe().lower() else AVX2


def _is_amd() -> bool:
    """Whether the system says that the processor is AMD's; elsewhere it is as if it were: those numbers are fitted."""
    try:
        text = Path("/proc/cpuinfo").read_text(encoding="ascii", errors="replace")
    except OSError:
        return True
    return "GenuineIntel" not in text
