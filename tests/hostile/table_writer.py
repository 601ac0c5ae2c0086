"""Sorted tables as LevelDB writes them, and with anything in them that it would not write."""

from __future__ import annotations

import os
import struct
from collections.abc import Callable, Sequence

from exporter.formats.crc32c import crc32c, mask

__all__ = ["MAGIC", "block", "entry", "footer", "framed", "table", "varint"]

MAGIC = bytes.fromhex("57fb808b247547db")

Pairs = Sequence[tuple[bytes, bytes]]


def varint(value: int) -> bytes:
    """A base-128 integer."""
    out = bytearray()
    while value >= 0x80:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*out, value])


def entry(shared: int, suffix: bytes, value: bytes) -> bytes:
    """One entry of a block."""
    return varint(shared) + varint(len(suffix)) + varint(len(value)) + suffix + value


def block(pairs: Pairs, interval: int = 16) -> bytes:
    """Contents of a block: prefix-compressed entries and restarts."""
    out = bytearray()
    restarts = []
    previous = b""
    for number, (key, value) in enumerate(pairs):
        if number % interval == 0:
            restarts.append(len(out))
            previous = b""
        shared = len(os.path.commonprefix([previous, key]))  # noqa: RUF071
        out += entry(shared, key[shared:], value)
        previous = key
    restarts = restarts or [0]
    return bytes(out) + struct.pack(f"<{len(restarts) + 1}I", *restarts, len(restarts))


def framed(contents: bytes, kind: int = 0) -> bytes:
    """A block with its type and checksum."""
    body = contents + bytes([kind])
    return body + struct.pack("<I", mask(crc32c(body)))


def footer(metaindex: tuple[int, int], index: tuple[int, int]) -> bytes:
    """The last 48 bytes."""
    handles = b"".join(varint(number) for number in (*metaindex, *index))
    return handles.ljust(40, b"\0") + MAGIC


def table(pairs: Pairs, *, per_block: int = 10_000, compress: Callable[[bytes], bytes] | None = None) -> bytes:
    """A whole table; `per_block` entries go into each data block."""
    out = bytearray()
    index = []
    for first in range(0, len(pairs), per_block):
        some = pairs[first : first + per_block]
        contents = compress(block(some)) if compress else block(some)
        index.append((some[-1][0], varint(len(out)) + varint(len(contents))))
        out += framed(contents, 1 if compress else 0)
    metaindex = len(out), 8
    out += framed(block([]))
    contents = block(index, interval=1)
    place = len(out), len(contents)
    out += framed(contents)
    return bytes(out) + footer(metaindex, place)
