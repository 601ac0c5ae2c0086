"""What the engine knows of processors: what follows from a profile, and what is measured and kept."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import runtime
from runtime.engine import Policy, blas, calibrated, calibration, machine, selection
from runtime.engine.machine import AVX2, PLAIN, XEON, ZEN_4, Machine
from tests.bench.conv_shapes import Shape, done, recorded
from tests.unit.runtime.executors import compiled
from tests.unit.runtime.make_bundle import document, members, node, pack

_RECORD = json.loads(Path(__file__).with_name("recorded_choices.json").read_text(encoding="utf-8"))


def _shape(entry: list[Any]) -> Shape:
    x, kernel, strides, pads, group = entry[:5]
    return Shape(tuple(x), tuple(kernel), tuple(strides), tuple(pads), group)


def test_zen_4_does_what_it_did_before_there_were_profiles() -> None:
    """Kernels, blocks and order of all convolutions of six networks."""
    assert len(_RECORD) > 200
    now = [recorded(_shape(entry)) for entry in _RECORD]
    assert [(entry, found) for entry, found in zip(_RECORD, now, strict=True) if found != entry[5:]] == []


@pytest.mark.parametrize("other", [AVX2, XEON, ZEN_4._replace(widths=(32,)), ZEN_4._replace(block=1 << 17)])
def test_another_profile_does_otherwise(other: Machine) -> None:
    """The record would show a change."""
    policy = Policy("standard", 1, profile=other)
    assert any(done(_shape(entry), policy) != entry[5] for entry in _RECORD[::4])


@pytest.mark.parametrize(
    ("core", "profile"),
    [(b"Prescott", PLAIN), (b"Haswell", AVX2), (b"Zen", AVX2), (b"neoversen1", machine.ARM), (b"", AVX2)],
)
def test_openblas_names_the_profile(core: bytes, profile: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    """The nearest one."""
    monkeypatch.setattr(blas, "core", lambda: core)
    monkeypatch.setattr(blas, "describe", lambda: "openblas 0.3")
    assert machine.nearest.__wrapped__() == profile


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """An empty cache, and the permission to measure, which takes no time."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setenv("CKPT2ONNX_CALIBRATE", "1")
    monkeypatch.setattr(calibration, "measured", lambda usual: usual._replace(product=0.5))
    calibrated.calibrated.cache_clear()
    yield tmp_path / "ckpt2onnx" / "machine"
    calibrated.calibrated.cache_clear()


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """A dense layer that is large enough to be worth it."""
    w = np.ones((256, 256), np.float32)
    plan = document(
        nodes=[node("Dense", ["x", "w"], ["y"])],
        inputs=[{"name": "x", "dtype": "float32", "shape": ["N", 256]}],
        outputs=[{"name": "y", "dtype": "float32", "shape": None}],
        probes=[],
    )
    path = tmp_path / "model.npz"
    path.write_bytes(pack(members(plan, w=w)))
    return path


def test_it_is_measured_once_and_kept(cache: Path, model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In one file, which the next process reads."""
    assert compiled(runtime.load(model)).policy.machine.product == 0.5
    assert [path.suffix for path in cache.iterdir()] == [".json"]
    calibrated.calibrated.cache_clear()
    monkeypatch.setattr(calibration, "measured", None)
    assert compiled(runtime.load(model)).policy.machine.product == 0.5


def test_it_can_be_switched_off(cache: Path, model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By an argument and by the environment: nothing is measured, and the built-in profile counts."""
    assert compiled(runtime.load(model, calibrate=False)).policy.machine == machine.nearest()
    monkeypatch.setenv("CKPT2ONNX_CALIBRATE", "0")
    assert compiled(runtime.load(model)).policy.machine == machine.nearest()
    assert not cache.exists()


def test_a_small_model_is_not_worth_it(cache: Path, tmp_path: Path) -> None:
    """It is loaded without measuring."""
    (tmp_path / "small.npz").write_bytes(pack(members()))
    runtime.load(tmp_path / "small.npz")
    assert not cache.exists()


def test_the_first_of_several_wins(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What another process stored meanwhile is what counts."""

    def late(usual: Machine) -> Machine:
        place = calibrated._place()
        assert place is not None
        calibrated._write(place, usual._replace(product=0.25))
        return usual._replace(product=0.5)

    monkeypatch.setattr(calibration, "measured", late)
    found = calibrated.calibrated()
    assert found is not None
    assert found.product == 0.25
    assert len(list(cache.iterdir())) == 1


@pytest.mark.parametrize(
    "changes",
    [
        {"product": 0.0},
        {"product": float("nan")},
        {"small": -1},
        {"widths": []},
        {"block": 0},
        {"more": 1},
        {"depth": 1.5},
    ],
)
def test_nonsense_in_the_file_is_measured_again(cache: Path, changes: dict[str, Any]) -> None:
    """And replaced."""
    calibrated.calibrated()
    (place,) = cache.iterdir()
    kept = json.loads(place.read_text())
    place.write_text(json.dumps({**kept, "times": {**kept["times"], **changes}}))
    calibrated.calibrated.cache_clear()
    assert calibrated.calibrated() == machine.nearest()._replace(product=0.5)
    assert json.loads(place.read_text()) == kept


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may write everywhere")
def test_a_cache_that_cannot_be_written_changes_nothing(cache: Path) -> None:
    """Nothing is measured, as it couldn't be kept."""
    cache.parent.mkdir(mode=0o500)
    assert calibrated.calibrated() is None


def test_a_cache_that_is_a_file_changes_nothing(cache: Path) -> None:
    """Nothing is measured, as it couldn't be kept."""
    cache.parent.write_bytes(b"")
    assert calibrated.calibrated() is None


def test_what_cannot_be_measured_is_no_error(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A model is loaded all the same, and the built-in profile is kept."""

    def fail(usual: Machine) -> Machine:
        raise ValueError(usual)

    monkeypatch.setattr(calibration, "measured", fail)
    assert calibrated.calibrated() == machine.nearest()


class Clock:
    """Tells a time that goes on by some seconds whenever it is asked."""

    def __init__(self, step: float) -> None:
        self.now, self.step = 0.0, step

    def __call__(self) -> float:
        self.now += self.step
        return self.now


@pytest.mark.parametrize("core", [AVX2, XEON, PLAIN])
def test_measuring_gives_a_machine(core: Machine) -> None:
    """All its times are positive and of the order of the profile's, and what it chooses runs."""
    found = calibration.measured(core, Clock(0.0))
    assert all(type(value) is type(usual) for value, usual in zip(found, core, strict=True))
    assert all(0 < each < 100 for each in found[:5])
    assert calibrated._checked(json.loads(json.dumps(found._asdict()))) == found


def test_without_time_the_profile_stays() -> None:
    """A machine that is too slow keeps it."""
    assert calibration.measured(AVX2, Clock(10.0)) == AVX2


def test_times_are_found_from_what_layers_take(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine whose products take three times as long as the profile's, and copies twice, is told."""
    truth = AVX2._replace(product=3 * AVX2.product, copy=2 * AVX2.copy)
    seen: list[float] = []
    real = selection.parts

    def parts(*given: Any) -> Any:
        counts = real(*given)
        seen.append(sum(n * t for n, t in zip(counts, truth[:5], strict=True)) * 1e-9)
        return counts

    monkeypatch.setattr(calibration, "parts", parts)
    monkeypatch.setattr(calibration, "_calls", lambda *_: [])
    monkeypatch.setattr(calibration, "_least", lambda runs, *_: list(seen) if len(runs) > 8 else [])
    found = calibration.measured(AVX2)
    assert found.product / found.weight == pytest.approx(3 * AVX2.product / AVX2.weight, rel=0.2)
    assert found.product == pytest.approx(truth.product, rel=0.1)
