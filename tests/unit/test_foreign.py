"""Errors of the input and bugs are kept apart by where they come from."""

from __future__ import annotations

import json
import os
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import exporter.foreign
from exporter.errors import CorruptError, LimitError, UsageError
from exporter.foreign import is_from_library, on_foreign_data
from runtime.kernels import KERNELS


def _as_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    """Lets this file count as the exporter's own code."""
    monkeypatch.setattr(exporter.foreign, "_OWN", os.path.dirname(__file__))  # noqa: PTH120


@pytest.mark.parametrize(
    "work",
    [
        lambda: json.loads("{"),
        lambda: np.zeros(3).reshape(2, 2),
        lambda: np.zeros((2, 2)).sum(axis=5),
        lambda: np.zeros(3) @ np.zeros(4),
        lambda: struct.unpack("<i", b"1"),
        lambda: 1 // 0,
        lambda: int("x"),
        lambda: KERNELS["Concat"]([], {"axis": 0}),
        lambda: KERNELS["Gather"]([np.zeros(2), None], {}),
        lambda: np.broadcast_shapes((2,), (3,)),
    ],
)
def test_what_libraries_raise_is_the_input_s_fault(work: Callable[[], Any], monkeypatch: pytest.MonkeyPatch) -> None:
    """A CorruptError that says at which stage, with the original as a note and as its cause."""
    _as_ours(monkeypatch)
    with pytest.raises(CorruptError, match="reading it fails") as found, on_foreign_data("reading it"):
        work()
    assert found.value.__cause__ is not None
    assert type(found.value.__cause__).__name__ in found.value.__notes__[0]


def _raised(error: Exception) -> None:
    raise error


@pytest.mark.parametrize(
    "work",
    [
        lambda: _raised(ValueError("ours")),
        lambda: _raised(AssertionError()),
        lambda: dict[str, int]()["missing"],
        lambda: [][1],
        lambda: None.shape,  # type: ignore[attr-defined]
        lambda: _raised(),  # type: ignore[call-arg]
    ],
)
def test_what_our_code_raises_stays_a_bug(work: Callable[[], Any], monkeypatch: pytest.MonkeyPatch) -> None:
    """It comes through as it is."""
    _as_ours(monkeypatch)
    with pytest.raises((ValueError, AssertionError, LookupError, AttributeError, TypeError)), on_foreign_data("x"):
        work()


@pytest.mark.parametrize(("error", "text"), [(MemoryError(), "more memory"), (RecursionError(), "deeper nesting")])
def test_too_much_is_a_limit(error: Exception, text: str) -> None:
    """Wherever it comes from."""
    with pytest.raises(LimitError, match=f"reading it takes {text}"), on_foreign_data("reading it"):
        raise error


def test_errors_of_ours_and_of_the_machine_come_through() -> None:
    """They say what they say."""
    for error in (UsageError("x"), FileNotFoundError(2, "No such file")):
        with pytest.raises(type(error)), on_foreign_data("x"):
            raise error


def test_what_runs_a_model_elsewhere_is_told_from_our_bugs(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Errors that a library raises are its own, of the machine's too; what our code raises or stumbles over is ours."""
    _as_ours(monkeypatch)
    outside: list[Callable[[], Any]] = [
        lambda: json.loads("{"),
        lambda: (tmp_path / "missing").read_text(),
        lambda: json.JSONEncoder().default(object()),
    ]
    own: list[Callable[[], Any]] = [
        lambda: _raised(ValueError("ours")),
        lambda: dict[str, int]()["missing"],
        lambda: None.shape,  # type: ignore[attr-defined]
    ]
    assert [_is_from_library(work) for work in outside] == [True] * 3
    assert [_is_from_library(work) for work in own] == [False] * 3


def _is_from_library(work: Callable[[], Any]) -> bool:
    try:
        work()
    except Exception as error:  # noqa: BLE001 - of all kinds
        return is_from_library(error)
    raise AssertionError("nothing was raised")
