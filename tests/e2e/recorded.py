"""TensorFlow's recorded outputs, and how far from them float32 alone can take a correct model."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

__all__ = ["Array", "Recorded"]

Array = np.ndarray[Any, Any]
_ROUNDING = 2.0**-24


@dataclass(frozen=True)
class Recorded:
    """What `recorded.npz` holds (see `sample_ckpts.recording`)."""

    inputs: Mapping[str, Array]
    outputs: Mapping[str, Array]
    noise: Mapping[str, float]
    planted: Mapping[str, Array]

    @classmethod
    def read(cls, folder: Path) -> Recorded:
        """The record of the checkpoint in `folder`."""
        with np.load(folder / "recorded.npz") as arrays:
            parts: dict[str, dict[str, Array]] = {"input": {}, "output": {}, "noise": {}, "planted": {}}
            for key in arrays.files:
                part, name = key.split("/", 1)
                parts[part][name] = arrays[key]
        noise = {name: float(value) for name, value in parts["noise"].items()}
        return cls(parts["input"], parts["output"], noise, parts["planted"])

    def tolerance(self, name: str) -> float:
        """Eight times what moving every weight and input by one rounding does, plus four roundings of the output.

        A folded model rounds its kernels differently and sums in another order: that is a handful of such moves.
        Integers and truth values have to be equal.
        """
        expected = self.outputs[name]
        if expected.dtype.kind != "f":
            return 0.0
        return 8 * self.noise[name] + 4 * _ROUNDING * float(np.max(np.abs(expected)))

    def worst(self, actual: Mapping[str, Array]) -> str | None:
        """The output that is furthest outside its tolerance, in words; None if all are inside."""
        lines = []
        for name, value in actual.items():
            expected = self.outputs[name]
            if value.shape != expected.shape or value.dtype != expected.dtype:
                lines.append((np.inf, f"{name}: {value.dtype}{value.shape} for {expected.dtype}{expected.shape}"))
                continue
            error, tolerance = distance(value, expected), self.tolerance(name)
            if not error <= tolerance:
                lines.append((error, f"{name}: off by {error:.3g}, tolerance {tolerance:.3g}"))
        return max(lines)[1] if lines else None

    def first_row(self) -> Recorded:
        """The same for a batch of one."""
        inputs = {name: value[:1] for name, value in self.inputs.items()}
        outputs = {name: value[:1] for name, value in self.outputs.items()}
        return Recorded(inputs, outputs, self.noise, self.planted)


def distance(a: Array, b: Array) -> float:
    """The largest difference of any element."""
    return float(np.max(np.abs(a.astype(np.float64) - b.astype(np.float64)), initial=0.0))
