"""A case of the field: files as a person had them, what to add to the command, and TensorFlow's outputs."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from tests.e2e.recorded import Array

__all__ = ["CASES", "FieldCase", "relative_error"]

CASES = Path(__file__).parent / "cases"
_IN_FLOAT64 = "__f64"


@dataclass(frozen=True)
class FieldCase:
    """One folder of `cases`.

    Attributes:
        folder: Where it is.
        source: What to export.
        args: What to add to the command; names of files are relative to the folder.
        exact_outputs: Whether other outputs than the expected ones are wrong.
        inputs: Arrays by the names of inputs, or in their order.
        expected: TensorFlow's outputs, by the names of outputs, or in their order.
    """

    folder: Path
    source: Path
    args: tuple[str, ...]
    exact_outputs: bool
    inputs: Mapping[str, Array]
    expected: Mapping[str, Array]

    @classmethod
    def read(cls, name: str) -> FieldCase:
        """The case in `cases/NAME`."""
        folder = CASES / name
        facts = json.loads((folder / "case.json").read_text())
        args = tuple(str(folder / text) if (folder / text).is_file() else text for text in facts["args"])
        expected = {key: value for key, value in _arrays(folder / "expected.npz").items() if _IN_FLOAT64 not in key}
        exact = bool(facts.get("no_extra", False))
        return cls(folder, folder / facts["source"], args, exact, _arrays(folder / "inputs.npz"), expected)

    def fed(self, names: list[str]) -> dict[str, Array]:
        """The inputs by the names that the exported model gives them."""
        return _renamed(self.inputs, names)

    def wanted(self, names: list[str]) -> dict[str, Array]:
        """The expected outputs by the names that the exported model gives them."""
        return _renamed(self.expected, names)


def relative_error(value: Array, expected: Array) -> float:
    """The largest difference of any element, relative to the largest value; infinite where NaN or shapes differ."""
    if value.shape != expected.shape:
        return float("inf")
    wide, right = value.astype(np.float64), expected.astype(np.float64)
    worst = float(np.max(np.abs(wide - right), initial=0.0))
    scale = float(np.max(np.abs(right), initial=0.0))
    if not np.isfinite(worst):
        return float("inf")
    return worst / scale if scale else worst


def _arrays(path: Path) -> dict[str, Array]:
    with np.load(path) as stored:
        return {key.removesuffix(":0"): stored[key] for key in stored.files}


def _renamed(arrays: Mapping[str, Array], names: list[str]) -> dict[str, Array]:
    if set(arrays) <= set(names):
        return dict(arrays)
    return dict(zip(names, arrays.values(), strict=False))
