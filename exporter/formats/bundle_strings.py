"""String tensors of V2 checkpoints.

    data = length (varint)*, masked CRC-32C of the lengths (u32), the strings' bytes one after the other

The lengths enter the checksum as u32, or as u64 if they don't fit; the tensor's own checksum goes on from there over
the four bytes stored, then over the strings.
"""

from __future__ import annotations

import struct

import numpy as np
import numpy.typing as npt

from exporter.errors import ChecksumError, CorruptError
from exporter.formats.crc32c import crc32c, mask
from exporter.formats.files import empty
from exporter.formats.records import Array
from exporter.formats.varint import read_varint

__all__ = ["read_strings"]


def read_strings(raw: npt.NDArray[np.uint8], count: int, *, big_endian: bool) -> tuple[Array, int]:
    """A flat object array of `bytes`, and the checksum, not masked, of all the data.

    Raises:
        CorruptError: The lengths don't add up to the data's size.
        ChecksumError: The lengths aren't those that were written.
    """
    lengths: list[int] = []
    position = 0
    for _ in range(count):
        length, position = read_varint(raw.data, position)
        lengths.append(length)
    texts = position + 4
    if texts + sum(lengths) != raw.size:
        raise CorruptError(f"strings of {sum(lengths)} bytes in the {raw.size - texts} bytes left for them")
    order = ">" if big_endian else "<"
    if max(lengths, default=0) < 2**32:
        crc = crc32c(np.array(lengths, f"{order}u4").tobytes())
    else:
        crc = crc32c(b"".join(struct.pack(order + ("I" if size < 2**32 else "Q"), size) for size in lengths))
    (stored,) = struct.unpack(order + "I", raw[position:texts].tobytes())
    if stored != mask(crc):
        raise ChecksumError(f"its strings' lengths have checksum {stored:#010x}, computed {mask(crc):#010x}")
    strings = empty((count,), np.dtype(object), "strings")
    start = texts
    for number, size in enumerate(lengths):
        strings[number] = raw[start : start + size].tobytes()
        start += size
    return strings, crc32c(raw[position:], crc)
