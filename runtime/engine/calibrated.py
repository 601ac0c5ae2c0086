"""What was measured of this machine, once for all models of a user, kept in the user's cache.

`~/.cache/ckpt2onnx/machine/DIGEST.json` is {"version": 1, "machine": {"cpu", "numpy", "blas"}, "times": {...}}, with
the fields of `Machine`; the digest is that of the version and the machine. It is written once: of several processes
that measure at the same time the first wins, and all use its numbers, so that choices don't change afterwards.
"""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Mapping
from functools import cache
from math import isfinite
from pathlib import Path
from typing import Any

from runtime.engine.machine import Machine, nearest
from runtime.engine.tuning import machine as identity
from runtime.errors import FAILURES
from runtime.user_cache import user_cache

__all__ = ["calibrated", "forget"]

_VERSION = 1
_SWITCH = "CKPT2ONNX_CALIBRATE"
"""An environment variable that forbids measuring and the use of what was measured, if it is 0."""
_LARGEST = 1 << 30


@cache
def calibrated() -> Machine | None:
    """Return what was measured, or is now; None where that is switched off, or nothing can be kept."""
    place = None if os.environ.get(_SWITCH, "1") == "0" else _place()
    if place is None:
        return None
    found = _read(place)
    if found is None and _is_ready(place):
        from runtime.engine.calibration import measured

        try:
            machine = measured(nearest())
        except FAILURES:  # no model is refused for what could be measured while it is loaded
            machine = nearest()
        _write(place, machine)
        found = _read(place)
    return found


def forget() -> None:
    """Remove what was measured, so that the next call measures again."""
    place = _place()
    calibrated.cache_clear()
    if place is not None:
        try:
            place.unlink()
        except OSError:
            return


def _place() -> Path | None:
    folder = user_cache()
    if folder is None:
        return None
    import hashlib  # here, because a run without calibration needs none

    text = json.dumps([_VERSION, sorted(identity().items())])
    return folder / "machine" / f"{hashlib.blake2b(text.encode(), digest_size=8).hexdigest()}.json"


def _is_ready(place: Path) -> bool:
    """Whether there is room for the file, so that it pays to measure."""
    try:
        place.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    except OSError:
        return False
    return os.access(place.parent, os.W_OK)


def _write(place: Path, machine: Machine) -> None:
    """Store it unless there is a good file by now; a place that can't be written keeps nothing."""
    content = {"version": _VERSION, "machine": identity(), "times": machine._asdict()}
    try:
        handle, temporary = tempfile.mkstemp(dir=place.parent, suffix=".tmp")
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            json.dump(content, file, indent=1)
        try:
            os.link(temporary, place)  # the first wins
        except OSError:
            if _read(place) is None:
                Path(temporary).replace(place)
                return
        Path(temporary).unlink()
    except OSError:
        return


def _read(place: Path) -> Machine | None:
    """Return what a file says; None if there is none, or it makes no sense."""
    try:
        if place.stat().st_size > 10_000:
            return None
        found = json.loads(place.read_text(encoding="utf-8"))
        return _checked(found["times"]) if found["version"] == _VERSION else None
    except (OSError, ValueError, TypeError, KeyError, AttributeError, RecursionError):
        return None


def _checked(times: Mapping[str, Any]) -> Machine | None:
    machine = Machine(**{**times, "widths": tuple(times["widths"])})
    seconds, sizes = machine.times, [*machine.widths, *machine[5:6], *machine[7:]]
    good = all(type(each) is float and isfinite(each) and 0 < each < 1e3 for each in seconds)
    whole = all(type(each) is int and 0 <= each <= _LARGEST for each in sizes)
    return machine if good and whole and machine.widths and min(machine.widths) > 0 and machine.block > 0 else None
