"""Encodings, on anything that can be encoded."""

from __future__ import annotations

import zlib

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from exporter.errors import CorruptError, LimitError
from exporter.formats import crc32c_numpy
from exporter.formats.crc32c import crc32c, mask, unmask
from exporter.formats.ordered_code import decode_slice_key, encode_slice_key
from exporter.formats.snappy import decompress
from exporter.formats.varint import read_packed, read_varint
from tests.hostile.table_writer import varint

INT64 = st.one_of(
    st.integers(-(2**63), 2**63 - 1),
    st.builds(
        lambda power, step, sign: sign * 2**power + step,
        st.integers(0, 62),
        st.integers(-2, 2),
        st.sampled_from((1, -1)),
    ),
)
EXTENTS = st.lists(st.tuples(INT64, INT64), max_size=6).map(tuple)
NAMES = st.text(max_size=20)


@settings(deadline=None)
@given(NAMES, EXTENTS)
def test_slice_keys_come_back(name: str, extents: tuple[tuple[int, int], ...]) -> None:
    """Encoding loses nothing."""
    assert decode_slice_key(encode_slice_key(name, extents)) == (name, extents)


@settings(deadline=None)
@given(EXTENTS, EXTENTS)
def test_slice_keys_sort_as_their_extents(
    left: tuple[tuple[int, int], ...], right: tuple[tuple[int, int], ...]
) -> None:
    """That is what they are made for: byte order is number order."""
    if len(left) == len(right):
        assert (encode_slice_key("w", left) < encode_slice_key("w", right)) == (left < right)


@settings(deadline=None)
@given(st.binary(max_size=40))
def test_no_two_bytes_mean_one_slice(key: bytes) -> None:
    """What decodes is what encoding gives; the rest is an error of ours."""
    try:
        name, extents = decode_slice_key(b"\0" + key)
    except CorruptError:
        return
    assert encode_slice_key(name, extents) == b"\0" + key


@settings(deadline=None)
@given(st.lists(st.integers(0, 2**64 - 1), max_size=30))
def test_varints_come_back(values: list[int]) -> None:
    """One by one and all at once."""
    data = b"".join(varint(value) for value in values)
    position = 0
    for value in values:
        found, position = read_varint(data, position)
        assert found == value
    assert position == len(data)
    assert read_packed(memoryview(data)).tolist() == values


@settings(deadline=None)
@given(st.binary(max_size=30))
def test_packed_and_single_varints_agree(data: bytes) -> None:
    """Whatever is a run of integers for one reader is the same run for the other, but for padded ones."""
    values, position = [], 0
    try:
        while position < len(data):
            value, position = read_varint(data, position)
            values.append(value)
    except CorruptError:
        return
    assert read_packed(memoryview(data)).tolist() == values


@settings(deadline=None)
@given(st.binary(max_size=3000), st.integers(0, 2**32 - 1), st.integers(1, 3))
def test_crc_in_pieces(data: bytes, start: int, repeat: int) -> None:
    """The compiled and the NumPy one agree, also over the border between its two ways, and piece by piece."""
    octets = np.frombuffer(data * repeat + bytes(32_000), np.uint8)
    whole = crc32c(octets, start)
    assert crc32c_numpy.extend(start, octets) == whole
    cut = len(data) // 2
    assert crc32c(octets[cut:], crc32c(octets[:cut], start)) == whole
    assert unmask(mask(whole)) == whole


@st.composite
def snappy_elements(draw: st.DrawFn) -> tuple[bytes, bytes]:
    """Snappy data put together element by element, and what they stand for."""
    data, out = bytearray(), bytearray()
    for _ in range(draw(st.integers(0, 8))):
        if not out or draw(st.booleans()):
            text = draw(st.binary(min_size=1, max_size=80))
            size = len(text) - 1
            data += bytes([size << 2]) if size < 60 else bytes([60 << 2, size])
            data += text
            out += text
        else:
            offset, length = draw(st.integers(1, len(out))), draw(st.integers(4, 11))
            if draw(st.booleans()):
                data += bytes([length - 4 << 2 | offset >> 8 << 5 | 1, offset & 0xFF])
            else:
                data += bytes([length - 1 << 2 | 2]) + offset.to_bytes(2, "little")
            for _ in range(length):
                out.append(out[-offset])
    return varint(len(out)) + bytes(data), bytes(out)


@settings(deadline=None)
@given(snappy_elements())
def test_snappy(pair: tuple[bytes, bytes]) -> None:
    """Literals and copies of every size and overlap."""
    assert decompress(memoryview(pair[0])) == pair[1]


@settings(deadline=None)
@given(st.one_of(st.binary(max_size=60), st.binary(max_size=60).map(zlib.compress)))
def test_snappy_of_anything(data: bytes) -> None:
    """Bytes that aren't snappy give an error of ours, or bytes of the declared length."""
    try:
        result = decompress(memoryview(data))
    except (CorruptError, LimitError):
        return
    assert len(result) == read_varint(data, 0)[0]
