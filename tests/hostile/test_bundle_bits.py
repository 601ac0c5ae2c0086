"""Accidents: every single flipped bit and every truncation of a small V2 checkpoint and a small V1 checkpoint."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from exporter.errors import SourceError, UnsupportedError
from exporter.formats.checkpoint_v1 import open_v1
from exporter.formats.records import Array, TensorStore
from exporter.formats.tensor_bundle import open_bundle
from tests.hostile.edits import KERNEL, TABLE, good
from tests.hostile.v1_writer import V1File

Read = dict[str, list[object]]


def contents(store: TensorStore) -> Read:
    """All tensors as plain lists."""
    return {name: [store.info(name).kind, store.read(name).tolist()] for name in store}


def outcome(prefix: Path, kind: str) -> Read | type[Exception]:
    """What reading gives: the tensors, or the class of the error. Any class but ours fails the test."""
    try:
        return contents(open_v1(prefix) if kind == "V1" else open_bundle(prefix))
    except (SourceError, UnsupportedError) as error:
        return type(error)


def flips(data: bytes) -> Iterator[bytes]:
    """The data with each single bit flipped."""
    for at in range(len(data)):
        for bit in range(8):
            yield data[:at] + bytes([data[at] ^ 1 << bit]) + data[at + 1 :]


def truncations(data: bytes) -> Iterator[bytes]:
    """The data cut off everywhere."""
    return (data[:size] for size in range(len(data)))


@pytest.fixture
def files(tmp_path: Path) -> dict[str, Path]:
    """A small checkpoint in each format, under its prefix."""
    v1 = V1File()
    v1.add("kernel", KERNEL)
    v1.add("table", TABLE, [((0, 2), (0, -1)), ((2, 2), (0, -1))])
    return {"V2": good().write(tmp_path / "v2"), "V1": v1.write(tmp_path / "v1")}


@pytest.mark.parametrize("damage", [flips, truncations])
@pytest.mark.parametrize(("kind", "suffix"), [("V2", ".index"), ("V2", ".data-00000-of-00001"), ("V1", "")])
def test_no_damage_goes_unnoticed(kind: str, suffix: str, damage: object, files: dict[str, Path]) -> None:
    """Damaged files give an error of ours; never other numbers, other tensors or another exception."""
    prefix = files[kind]
    file = Path(f"{prefix}{suffix}")
    expected = contents(open_v1(prefix) if kind == "V1" else open_bundle(prefix))
    data = file.read_bytes()
    make = flips if damage is flips else truncations
    silent = 0
    for damaged in make(data):
        file.write_bytes(damaged)
        found = outcome(prefix, kind)
        if isinstance(found, dict):
            assert found == expected
            silent += 1
    assert silent == 0


def test_the_comparison_sees_a_difference(files: dict[str, Path]) -> None:
    """One changed element is not `==`: otherwise the test above would prove nothing."""
    expected = contents(open_bundle(files["V2"]))
    bundle = good()
    changed: Array = KERNEL.copy()
    changed[0, 0] = np.nextafter(changed[0, 0], np.float32(1))
    del bundle.entries[b"kernel"]
    bundle.add("kernel", changed)
    assert contents(open_bundle(bundle.write(files["V2"]))) != expected
