"""Exports a model and says what came of it: right, refused, or wrong in one of the ways there are."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx

import exporter
from exporter.errors import ExportError
from tests.e2e.engines import ENGINES
from tests.e2e.recorded import Array
from tests.hostile.in_time import TooLate, in_time
from tests.wild.family import Built

__all__ = ["RIGHT", "Outcome", "compared", "judge"]

RIGHT = "right"
_CLOSE = 1e-5
_ROUNDINGS = 16
_SECONDS = 90


@dataclass(frozen=True)
class Outcome:
    """What came of a model.

    Attributes:
        kind: `right`, `refused`, `numbers`, `outputs`, `inputs`, `engine`, `verdict`, `bug` or `hang`.
        cause: The kind and what tells it from others of its kind: the same for models that fail in the same way.
        text: All that is known.
    """

    kind: str
    cause: str
    text: str = ""


def judge(built: Built, folder: Path, *, with_verify: bool = False) -> Outcome:
    """Exports without names and, where the file doesn't say them, with the names as well.

    Args:
        built: The model.
        folder: Where to export to.
        with_verify: Whether to ask `verify` for its verdict, too.
    """
    modes: dict[str, Mapping[str, Any]] = {"unnamed": {}}
    if built.named:
        modes["named"] = built.named
    for mode, names in modes.items():
        try:
            with in_time(_SECONDS):
                outcome = _exported(built, folder / f"{mode}.onnx", {**built.options, **names}, with_verify=with_verify)
        except TooLate as late:
            return Outcome("hang", f"hang ({mode})", str(late))
        except ExportError as error:
            return Outcome("refused", f"refused ({mode}): {_essence(str(error))}", str(error))
        except Exception as error:  # noqa: BLE001 - whatever it is, it is what the hunt is for
            return Outcome("bug", f"bug ({mode}): {type(error).__name__}: {_essence(str(error))}", repr(error))
        if outcome.kind != RIGHT:
            return Outcome(outcome.kind, f"{outcome.cause} ({mode})", outcome.text)
    return Outcome(RIGHT, RIGHT)


def _exported(built: Built, out: Path, arguments: Mapping[str, Any], *, with_verify: bool) -> Outcome:
    exporter.export(built.source, out, **arguments)
    graph = onnx.load(out).graph
    inputs, outputs = [value.name for value in graph.input], [value.name for value in graph.output]
    if set(inputs) != set(built.inputs):
        return Outcome("inputs", "other inputs", f"{inputs} for {sorted(built.inputs)}")
    extra = set(outputs) - set(built.expected)
    if extra - built.spare:
        return Outcome("outputs", "stray outputs", f"{sorted(extra)} beside {sorted(built.expected)}")
    missing = set(built.expected) - set(outputs) - built.spare
    if missing:
        return Outcome("outputs", "missing outputs", f"{sorted(missing)} of {sorted(built.expected)}")
    for engine, run in ENGINES.items():
        try:
            given = run(out, built.inputs, outputs)
        except Exception as error:  # noqa: BLE001 - an engine that refuses our own file, for whatever reason
            return Outcome("engine", f"{engine} refuses: {_essence(str(error))}", str(error))
        wrong = compared(given, built)
        if wrong is not None:
            return Outcome("numbers", f"other numbers in {engine}", wrong)
    if with_verify and not exporter.verify_model(out, against=built.source):
        return Outcome("verdict", "verify fails a model that is right")
    return Outcome(RIGHT, RIGHT)


def compared(given: Mapping[str, Array], built: Built) -> str | None:
    """What is wrong with the numbers of a model, in words; None if nothing is.

    They may be off by 1e-5 of the largest value, and by 16 times what one rounding of inputs and weights does.
    """
    for name in sorted(set(given) & set(built.expected)):
        value, right = given[name], built.expected[name]
        if value.shape != right.shape:
            return f"{name} is of shape {value.shape} for {right.shape}"
        if value.dtype != right.dtype:
            return f"{name} is of type {value.dtype} for {right.dtype}"
        if right.dtype.kind not in "fc":
            differing = int(np.count_nonzero(value != right))
            if differing:
                return f"{name}: {differing} of {right.size} elements differ"
            continue
        a, b = value.astype(np.float64), right.astype(np.float64)
        tolerance = _CLOSE * float(np.max(np.abs(b), initial=0.0)) + _ROUNDINGS * built.noise.get(name, 0.0)
        off = float(np.max(np.abs(a - b), initial=0.0))
        if not off <= tolerance:
            return f"{name} is off by {off:.3g}, where {tolerance:.3g} may be"
    return None


def _essence(text: str) -> str:
    """An error's text without what is of one model alone: quoted names, paths, numbers."""
    text = re.sub(r"(file|checkpoint) \S+", r"\1 F", text)
    text = re.sub(r"'[^']*'|\"[^\"]*\"", "Q", text)
    text = re.sub(r"\b[\w.:]*[/_][\w./:-]*", "P", text)
    return re.sub(r"\d+", "9", text)[:160]
