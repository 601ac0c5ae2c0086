"""Tells whether a bundle and the ONNX file beside it were written by the same export.

An export writes both, and notes the same `export_id` in both, a hash of what is in them. Between two renames a kill can
leave one of them new and one old: each is whole, but what is said of one doesn't hold for the other.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from runtime.errors import BundleError

if TYPE_CHECKING:
    from io import BufferedReader

__all__ = ["EXPORT_ID", "check_pair", "onnx_export_id"]

EXPORT_ID = "export_id"
"""Metadata entry of both files: which export wrote them."""

_METADATA_PROPS = 14
_LONGEST = 1 << 16
_MOST_FIELDS = 10_000


def check_pair(bundle: Path, metadata: Mapping[str, Any], onnx: Path) -> None:
    """Refuses a bundle of one export beside an ONNX file of another. A file without an id is taken as it is.

    Raises:
        BundleError: The ids of the two differ.
        OSError: The ONNX file can't be read.
    """
    own, other = metadata.get(EXPORT_ID), onnx_export_id(onnx)
    if own is not None and other is not None and own != other:
        raise BundleError(
            f"{bundle} and {onnx} are of different exports, {str(own)[:40]} and {other[:40]}: an export may have been "
            "stopped between the two. Export again, or move the one that you don't want elsewhere"
        )


def onnx_export_id(path: Path) -> str | None:
    """The id in the metadata of an ONNX file, of which only that is read; None if it has none."""
    with path.open("rb") as file:
        for entry in _fields(file, _METADATA_PROPS):
            pair = dict(_texts(entry))
            if pair.get(1) == EXPORT_ID.encode():
                return pair.get(2, b"").decode("utf-8", "replace")
    return None


def _fields(file: BufferedReader, wanted: int) -> Iterator[bytes]:
    """The fields of a number in a protobuf message, as far as it can be read; the others are skipped."""
    size = file.seek(0, 2)
    file.seek(0)
    for _ in range(_MOST_FIELDS):
        tag = _varint(file)
        if tag is None:
            return
        kind, length = tag & 7, None
        if kind == 0:
            length = 0 if _varint(file) is not None else None
        elif kind == 2:
            length = _varint(file)
        elif kind in (1, 5):
            length = 8 if kind == 1 else 4
        if length is None or file.tell() + length > size:
            return
        if tag >> 3 == wanted and kind == 2 and length <= _LONGEST:
            yield file.read(length)
        else:
            file.seek(length, 1)


def _varint(file: BufferedReader) -> int | None:
    value = 0
    for shift in range(0, 70, 7):
        byte = file.read(1)
        if not byte:
            return None
        value |= (byte[0] & 0x7F) << shift
        if byte[0] < 0x80:
            return value
    return None


def _texts(entry: bytes) -> Iterator[tuple[int, bytes]]:
    """The strings of a short message, by number."""
    from io import BufferedReader, BytesIO

    for number in (1, 2):
        for text in _fields(BufferedReader(BytesIO(entry)), number):
            yield number, text
