"""Choices of kernels that were measured: where they are kept, and when they count."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import runtime
from runtime.__main__ import main
from runtime.engine import tuning
from runtime.engine.selection import Policy, name
from runtime.kernels.window import window
from tests.unit.runtime.executors import compiled
from tests.unit.runtime.make_bundle import document, members, node, pack

X = np.asarray(np.random.default_rng(0).standard_normal((1, 14, 14, 32)), np.float32)
WIN, KERNEL = window((14, 14), (3, 3), None, None, [1, 1, 1, 1]), (3, 3, 32, 32)
CASE = Policy("standard", 1).case(WIN, 1, KERNEL)


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """One convolution that there are several ways for, with a free size."""
    w = np.asarray(np.random.default_rng(1).standard_normal(KERNEL), np.float32)
    plan = document(
        nodes=[node("Conv", ["x", "w"], ["y"], pads=[1, 1, 1, 1])],
        inputs=[{"name": "x", "dtype": "float32", "shape": ["N", 14, "W", 32]}],
        outputs=[{"name": "y", "dtype": "float32", "shape": None}],
        probes=[{"inputs": {"x": "px"}, "outputs": {}, "tolerances": {}}],
    )
    path = tmp_path / "model.npz"
    path.write_bytes(pack(members(plan, w=w, px=X)))
    return path


def kept(model: Path) -> Path:
    return Path(f"{model}.tuning.json")


def write(model: Path, **changes: Any) -> None:
    content = {"version": 1, "machine": tuning.machine(), "choices": {CASE: "direct"}}
    kept(model).write_text(json.dumps({**content, **changes}))


def test_choices_are_measured_once_and_kept(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Beside the model; the second time nothing is measured."""
    tuned = runtime.load(model, threads=1, tune=True)
    assert list(compiled(tuned).policy.choices) == [CASE]
    assert compiled(tuned).policy.choices[CASE] in ("direct", "2x2", "2x4", "4x2", "4x4")
    monkeypatch.setattr(tuning, "_least", None)
    for tune in (False, True):
        assert compiled(runtime.load(model, threads=1, tune=tune)).policy == compiled(tuned).policy
    np.testing.assert_array_equal(runtime.load(model, threads=1)(X), tuned(X))
    assert sorted(path.name for path in model.parent.iterdir()) == ["model.npz", "model.npz.tuning.json"]


@pytest.mark.parametrize("choice", ["direct", "2x2", "4x4"])
def test_kept_choices_count(model: Path, choice: str) -> None:
    """Each is what is done, and gives the same numbers but for rounding."""
    expected = runtime.load(model, accuracy="plain")(X)
    write(model, choices={CASE: choice})
    net = runtime.load(model, threads=1)
    assert name(compiled(net).policy.tiles(WIN, 1, KERNEL)) == choice
    np.testing.assert_allclose(net(X), expected, atol=1e-5 * np.abs(expected).max())


@pytest.mark.parametrize(
    "changes",
    [
        {"version": 2},
        {"machine": {"cpu": "another", "numpy": "1", "blas": "none"}},
        {"choices": []},
        {"choices": {CASE: "8x8"}},
        {"choices": {"something": "direct"}},
    ],
)
def test_choices_of_others_are_ignored(model: Path, changes: dict[str, Any]) -> None:
    """Another machine, another version, an unknown kernel: the cost model decides as it does without the file."""
    expected = runtime.load(model, threads=1)(X)
    write(model)
    assert not np.array_equal(runtime.load(model, threads=1)(X), expected)
    write(model, **changes)
    np.testing.assert_array_equal(runtime.load(model, threads=1)(X), expected)


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"\xff", b'{"version": 1}', b"[" * 100_000])
def test_a_broken_file_is_ignored(model: Path, content: bytes) -> None:
    """Whatever is in it."""
    kept(model).write_bytes(content)
    assert compiled(runtime.load(model)).policy.choices == {}


def test_command_tunes(model: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """It prints the choices and keeps them."""
    assert main(["tune", str(model), "--threads", "1"]) == 0
    assert "choices for this machine: 1" in capsys.readouterr().out
    assert list(tuning.saved(model)) == [CASE]


def test_a_place_that_cannot_be_written_is_an_error(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With the path in it, and nothing half written."""

    def refuse(*_: object, **__: object) -> None:
        raise OSError(13, "Permission denied")

    monkeypatch.setattr(Path, "replace", refuse)
    with pytest.raises(runtime.InputError, match=r"tuning\.json: can't be written: Permission denied"):
        runtime.load(model, tune=True)
    assert [path.name for path in model.parent.iterdir()] == ["model.npz"]


def test_command_tells_how_long_a_call_takes(
    model: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """On the first probe's inputs."""
    monkeypatch.setattr("runtime.engine.profile._SECONDS", 0.0)
    assert main([str(model), "--bench"]) == 0
    assert "of 15 calls" in capsys.readouterr().out
