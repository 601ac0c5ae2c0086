"""The keys of slices."""

from __future__ import annotations

import pytest

from exporter.errors import CorruptError
from exporter.formats.ordered_code import decode_slice_key, encode_slice_key


@pytest.mark.parametrize(
    ("name", "extents", "key"),
    [
        ("net/part/emb", ((0, 4), (0, 5)), b"\x00net/part/emb\x00\x01\x01\x02\x80\x84\x80\x85"),
        ("s", (), b"\x00s\x00\x01\x00"),
        ("w", ((0, -1),), b"\x00w\x00\x01\x01\x01\x80\x7f"),
        ("a\x00b", ((9, 63),), b"\x00a\x00\xffb\x00\x01\x01\x01\x89\xbf"),
        ("w", ((64, 8192),), b"\x00w\x00\x01\x01\x01\xc0\x40\xe0\x20\x00"),
    ],
)
def test_keys(name: str, extents: tuple[tuple[int, int], ...], key: bytes) -> None:
    """As TensorFlow writes them."""
    assert encode_slice_key(name, extents) == key
    assert decode_slice_key(key) == (name, extents)


@pytest.mark.parametrize(
    "key",
    [
        b"",
        b"\x00",
        b"\x00w",
        b"\x00w\x00\x01",
        b"\x00w\x00\x01\x01",
        b"\x00w\x00\x01\x01\x01\x80",
        b"\x00w\x00\x01\x01\x01\x80\x7f\x80",
        b"\x00w\x00\x01\x01\x02\x80\x7f",
        b"\x00w\x00\x01\x02\x00\x01\x80\x7f",
        b"\x00w\x00\x01\x01\x01\xc0\x00\x80",
        b"\x00w\x00\x01\x01\x01\xff",
        b"\x00\xff\x00\x00\x01\x00",
        b"\x01w\x00\x01\x00",
        b"w",
    ],
)
def test_no_keys(key: bytes) -> None:
    """Cut off, with more behind, written in a longer way than needed, a name that isn't UTF-8."""
    with pytest.raises(CorruptError, match="key of a slice"):
        decode_slice_key(key)
