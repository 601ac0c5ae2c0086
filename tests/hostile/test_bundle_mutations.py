"""Mutations with right checksums: what a hostile writer can do, and accidents can't.

Entries are edited field by field and byte by byte, keys are swapped, copied and cut, and everything is written anew
with checksums that agree. Whatever comes of it: tensors, or one of our errors; no other exception, no hang.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from exporter.errors import SourceError, UnsupportedError
from exporter.formats.checkpoint_v1 import open_v1
from exporter.formats.tensor_bundle import open_bundle
from tests.hostile.edits import KERNEL, TABLE, good
from tests.hostile.table_writer import block, footer, framed, table, varint
from tests.hostile.v1_writer import V1File

Mutate = Callable[[random.Random, dict[bytes, bytes]], None]

NUMBERS = [0, 1, 2, 7, 21, 24, 99, 127, 128, 2**31 - 1, 2**31, 2**32, 2**40, 2**62, 2**63 - 1, 2**63, 2**64 - 1]


def some_bytes(rng: random.Random, data: bytes) -> bytes:
    """The data with a few bytes changed, cut out, repeated, or with a number of one's own in it."""
    at = rng.randrange(len(data) + 1)
    end = min(len(data), at + rng.randrange(1, 9))
    choice = rng.randrange(5)
    if choice == 0:
        return data[:at] + rng.randbytes(end - at) + data[end:]
    if choice == 1:
        return data[:at] + data[end:]
    if choice == 2:
        return data[:at] + data[at:end] * rng.randrange(2, 5) + data[end:]
    if choice == 3:
        return data[:at] + varint(rng.choice(NUMBERS)) + data[at + rng.randrange(3) :]
    return data + bytes([rng.randrange(1, 20) << 3]) + varint(rng.choice(NUMBERS))


def change_value(rng: random.Random, values: dict[bytes, bytes]) -> None:
    """Another value under a key."""
    key = rng.choice(sorted(values))
    values[key] = some_bytes(rng, values[key])


def change_key(rng: random.Random, values: dict[bytes, bytes]) -> None:
    """Another key for a value."""
    key = rng.choice(sorted(values))
    values[some_bytes(rng, key)] = values.pop(key)


def swap(rng: random.Random, values: dict[bytes, bytes]) -> None:
    """The value of one key under another."""
    keys = sorted(values)
    values[rng.choice(keys)] = values[rng.choice(keys)]


def remove(rng: random.Random, values: dict[bytes, bytes]) -> None:
    """One entry less."""
    if len(values) > 1:
        del values[rng.choice(sorted(values))]


MUTATIONS: tuple[Mutate, ...] = (change_value, change_value, change_value, change_key, swap, remove)


def loose_table(rng: random.Random, values: dict[bytes, bytes]) -> bytes:
    """A table of these entries; now and then with its blocks or its footer wrong as well."""
    pairs = sorted(values.items())
    if rng.random() < 0.7:
        return table(pairs, per_block=rng.choice([1, 2, 100]))
    if rng.random() < 0.2:
        rng.shuffle(pairs)
    contents = block(pairs, rng.choice([1, 3, 16]))
    if rng.random() < 0.8:
        contents = some_bytes(rng, contents)
    data = framed(contents, rng.choice([0, 0, 0, 1, 2]))
    index = block([(b"\xff", varint(0) + varint(len(contents)))], 1)
    if rng.random() < 0.2:
        index = some_bytes(rng, index)
    empty = framed(block([]))
    numbers = [len(data), 8, len(data) + len(empty), len(index)]
    if rng.random() < 0.1:
        numbers[rng.randrange(4)] = rng.choice(NUMBERS)
    return data + empty + framed(index) + footer((numbers[0], numbers[1]), (numbers[2], numbers[3]))


def overwrite(file: Path, data: bytes) -> None:
    """Other contents for a file, never empty in between, which file systems take time for."""
    with file.open("r+b") as opened:
        opened.write(data)
        opened.truncate()


def read(prefix: Path, kind: str) -> bool:
    """Reads all; whether that went well. Any exception but ours goes up."""
    try:
        store = open_v1(prefix) if kind == "V1" else open_bundle(prefix)
    except (SourceError, UnsupportedError) as error:
        assert "model" in str(error)
        return False
    well = True
    for name in store:
        try:
            store.info(name)
            store.read(name)
        except (SourceError, UnsupportedError) as error:
            assert "model" in str(error)
            well = False
    return well


@pytest.mark.parametrize("kind", ["V2", "V1"])
@pytest.mark.parametrize("count", [2000, pytest.param(100_000, marks=pytest.mark.slow)])
def test_mutations(kind: str, count: int, tmp_path: Path) -> None:
    """Thousands of hostile files: each read or refused by an error that names the file, none slowly."""
    rng = random.Random(20_240_607)
    prefix = tmp_path / "model"
    v1 = V1File()
    v1.add("kernel", KERNEL)
    v1.add("table", TABLE, [((0, 2), (0, -1)), ((2, 2), (0, -1))])
    bundle = good()
    bundle.write(prefix)
    file = prefix if kind == "V1" else Path(f"{prefix}.index")
    file.touch()
    read_well = 0
    for _ in range(count):
        values = v1.values() if kind == "V1" else bundle.values()
        for _ in range(rng.randrange(1, 4)):
            rng.choice(MUTATIONS)(rng, values)
        overwrite(file, loose_table(rng, values))
        start = time.process_time()
        read_well += read(prefix, kind)
        assert time.process_time() - start < 5
    assert 0 < read_well < count
