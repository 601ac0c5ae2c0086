"""The keys of tensor slices: bytes that sort as what they stand for does.

slice key = number 0, string name, number rank, (signed start, signed length) * rank       -1: all of a dimension
number    = how many bytes, then the value, big-endian, without leading zeros
string    = its bytes, 00 as 00 ff and ff as ff 00, then 00 01
signed    = two's complement, big-endian, the upper bits replaced by a header that tells length and sign
"""

from __future__ import annotations

from exporter.errors import CorruptError

__all__ = ["FULL", "decode_slice_key", "encode_slice_key"]

FULL = (0, -1)
"""Start and length of an extent that covers its whole dimension."""

_HEADERS = {1: 0x80, 2: 0xC000, 3: 0xE000, 4: 0xF000, 5: 0xF800, 6: 0xFC00, 7: 0xFE00, 8: 0xFF00, 9: 0xFF80, 10: 0xFFC0}


def encode_slice_key(name: str, extents: tuple[tuple[int, int], ...]) -> bytes:
    """The key of one slice of a tensor; extents are (start, length), each within 64 bits."""
    escaped = name.encode("utf-8").replace(b"\xff", b"\xff\x00").replace(b"\x00", b"\x00\xff")
    numbers = b"".join(_signed(number) for extent in extents for number in extent)
    rank = len(extents)
    digits = rank.to_bytes((rank.bit_length() + 7) // 8, "big")
    return b"\x00" + escaped + b"\x00\x01" + bytes([len(digits)]) + digits + numbers


def decode_slice_key(key: bytes) -> tuple[str, tuple[tuple[int, int], ...]]:
    """Name and extents of a slice key.

    Raises:
        CorruptError: It isn't one, or isn't written the one way there is.
    """
    try:
        end = key.index(b"\x00\x01", 1)
        name = key[1:end].replace(b"\x00\xff", b"\x00").replace(b"\xff\x00", b"\xff").decode("utf-8")
        digits = key[end + 2]
        rank = int.from_bytes(key[end + 3 : end + 3 + digits], "big")
        position = end + 3 + digits
        numbers = []
        while position < len(key):
            number, position = _read_signed(key, position)
            numbers.append(number)
    except (ValueError, IndexError) as error:
        raise CorruptError(f"{key[:80]!r} is not the key of a slice") from error
    extents = tuple(zip(numbers[0::2], numbers[1::2], strict=False))
    if len(numbers) != 2 * rank or encode_slice_key(name, extents) != key:
        raise CorruptError(f"{key[:80]!r} is not the key of a slice")
    return name, extents


def _signed(value: int) -> bytes:
    magnitude = ~value if value < 0 else value
    size = magnitude.bit_length() // 7 + 1
    raw = bytearray(value.to_bytes(size, "big", signed=True))
    header = _HEADERS[size].to_bytes(min(size, 2), "big")
    for index, bits in enumerate(header):
        raw[index] ^= bits
    return bytes(raw)


def _read_signed(key: bytes, position: int) -> tuple[int, int]:
    # the header is as many equal bits as the number has bytes: ones for positive, zeros for negative ones
    lead = int.from_bytes(key[position : position + 2].ljust(2, b"\x00"), "big")
    if not lead & 0x8000:
        lead ^= 0xFFFF
    size = 16 - (lead ^ 0xFFFF).bit_length()
    if not 1 <= size <= 10 or position + size > len(key):
        raise ValueError(f"no number at byte {position}")
    raw = bytearray(key[position : position + size])
    header = _HEADERS[size].to_bytes(min(size, 2), "big")
    for index, bits in enumerate(header):
        raw[index] ^= bits
    return int.from_bytes(raw, "big", signed=True), position + size
