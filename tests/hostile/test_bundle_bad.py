"""Every way a V2 checkpoint can be wrong, with right checksums, has its error, which names file and tensor."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from exporter.errors import (
    ChecksumError,
    CorruptError,
    ExportError,
    LimitError,
    MissingError,
    TruncatedError,
    UnsupportedError,
)
from tests.hostile.edits import (
    KERNEL,
    TABLE,
    Edit,
    aliases,
    dims,
    fields,
    flip,
    good,
    header,
    kernel,
    listed,
    listed_twice,
    orphan,
    part,
    raw,
    read_all,
    self_slice,
    shared_range,
    slices,
    strings,
    without_header,
)
from tests.hostile.table_writer import varint

BAD: dict[str, tuple[Edit, type[ExportError], str]] = {
    # The header.
    "no header": (without_header, CorruptError, "first entry"),
    "header no message": (raw(b"", b"\xff\xff"), CorruptError, "header"),
    "no shards": (header(num_shards=0), CorruptError, "0 data files"),
    "shards negative": (header(num_shards=-1), CorruptError, "-1 data files"),
    "shards 10^9": (header(num_shards=10**9), CorruptError, "1000000000 data files"),
    "byte order 7": (header(endianness=7), UnsupportedError, "byte order 7"),
    "for newer readers": (lambda b: b.header.version.MergeFromString(b"\x10\x63"), UnsupportedError, "99"),
    "not for us": (lambda b: b.header.version.bad_consumers.append(1), UnsupportedError, "version"),
    # Entries.
    "entry no message": (raw(b"kernel", b"\xff\xff"), CorruptError, "tensor kernel"),
    "entry empty": (raw(b"kernel", b""), CorruptError, "tensor kernel: 0 is not"),
    "type 99": (kernel(dtype=99), CorruptError, "99"),
    "type reference": (kernel(dtype=101), CorruptError, "101"),
    "type resource": (kernel(dtype=20), UnsupportedError, "resource"),
    "type variant": (kernel(dtype=21), UnsupportedError, "variant"),
    "dim -1": (dims(-1, 3), CorruptError, "negative dimension"),
    "dims overflow": (dims(2**40, 2**40), CorruptError, "no memory"),
    "dim 2^62": (dims(2**62), CorruptError, "no memory"),
    "dims 0 x 2^62": (dims(0, 2**62, size=0), CorruptError, "no memory"),
    "rank unknown": (raw(b"kernel", b"\x08\1\x12\2\x18\1"), CorruptError, "unknown rank"),
    "rank 300": (dims(*[1] * 300), LimitError, "300 dimensions"),
    "size 4 less": (kernel(size=20), CorruptError, "which takes 24"),
    "size 4 more": (kernel(size=28), CorruptError, "which takes 24"),
    "size negative": (kernel(size=-24), CorruptError, "-24 bytes"),
    "type narrower": (kernel(dtype=14), CorruptError, "which takes 12"),
    "16 GiB in a tiny file": (dims(2**32, size=2**34), TruncatedError, "bytes"),
    "offset negative": (kernel(offset=-4), CorruptError, "offset -4"),
    "offset past the end": (kernel(offset=10**6), TruncatedError, "tensor kernel"),
    "offset near 2^63": (kernel(offset=2**63 - 1), TruncatedError, "tensor kernel"),
    "ranges overlap": (shared_range, CorruptError, "shares bytes 0 to 24 with tensor other"),
    "ranges overlap in part": (fields(part(0), offset=20), CorruptError, "shares bytes"),
    "many aliases": (aliases, CorruptError, "shares bytes"),
    "shard -1": (kernel(shard_id=-1), CorruptError, "data file -1"),
    "shard too high": (kernel(shard_id=1), CorruptError, "data file 1 of 1"),
    "data flipped": (flip(3), ChecksumError, "tensor kernel"),
    "data flipped in a slice": (flip(-3), ChecksumError, "tensor table"),
    "crc wrong": (kernel(crc32c=5), ChecksumError, "0x00000005"),
    "crc absent": (kernel(crc32c=0), ChecksumError, "0x00000000"),
    "name not UTF-8": (raw(b"\xff\xfe", b"\x08\1\x12\0\x28\4"), CorruptError, "UTF-8"),
    # Strings.
    "string length 2^40": (strings(varint(2**40) + b"\1\1" + b"abcd"), CorruptError, "tensor labels"),
    "string lengths too small": (strings(b"\1\1\1" + b"abcd" + b"xyzw"), CorruptError, "tensor labels"),
    "string lengths cut off": (strings(b"\xff" * 20), CorruptError, "tensor labels"),
    "string lengths flipped": (flip(24), CorruptError, "tensor labels"),
    "string lengths swapped": (strings(b"\0\3\3" + b"crc?" + b"catdog"), ChecksumError, "lengths"),
    "string flipped": (flip(33), ChecksumError, "tensor labels"),
    "string size too large": (fields(b"labels", size=17), CorruptError, "tensor"),
    "strings too many": (dims(2**33, key=b"labels"), CorruptError, "can't hold"),
    # Slices.
    "gap": (slices(((0, 2), (0, -1)), ((2, 1), (0, -1))), CorruptError, "cover 9 of 12"),
    "overlap": (slices(((0, 3), (0, -1)), ((2, 2), (0, -1))), CorruptError, "overlap"),
    "overlap that hides a gap": (slices(((0, 2), (0, -1)), ((1, 2), (0, -1))), CorruptError, "overlap"),
    "slice listed twice": (listed_twice, MissingError, "listed twice"),
    "slice past the end": (listed(3, 2), CorruptError, "outside"),
    "slice start negative": (listed(-2, 2), CorruptError, "from -2"),
    "slice length 0": (listed(2, 0), CorruptError, "outside"),
    "slice length negative": (listed(2, -2), CorruptError, "length -2"),
    "slice of other rank": (lambda b: b.entries[b"table"].slices[0].extent.pop(), MissingError, "tensor table"),
    "slice missing": (lambda b: b.entries.pop(part(1)), MissingError, "slice 2,2:-"),
    "slice not listed": (lambda b: b.entries[b"table"].slices.pop(), CorruptError, "cover 6 of 12"),
    "whole not there": (lambda b: b.entries.pop(b"table"), CorruptError, "not listed"),
    "slice of another shape": (dims(3, 2, key=part(1)), CorruptError, "belongs"),
    "slice smaller": (dims(1, 3, key=part(1), size=12), CorruptError, "belongs"),
    "slice of another type": (fields(part(1), dtype=1), CorruptError, "float"),
    "slice that lists slices": (self_slice, CorruptError, "of its own"),
    "slice and data": (fields(b"table", size=48), CorruptError, "of its own"),
    "slice key with more behind": (orphan(part(0) + b"\x80"), CorruptError, "not the key"),
    "slice key of nothing": (orphan(b"\0"), CorruptError, "not the key"),
    "slice key of a tensor that isn't": (orphan(b"\0other\0\1\0"), CorruptError, "tensor other"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_bundle(case: str, tmp_path: Path) -> None:
    """The error has the right class and says what is wrong and where."""
    edit, error, words = BAD[case]
    bundle = good()
    edit(bundle)
    bundle.write(tmp_path / "model.ckpt")
    with pytest.raises(error) as caught:
        read_all(tmp_path / "model.ckpt")
    assert type(caught.value) is error
    assert "model.ckpt" in str(caught.value)
    assert words in str(caught.value)


def test_the_good_one_reads(tmp_path: Path) -> None:
    """What the cases above start from is right, in one block or in many."""
    bundle = good()
    for per_block in (100, 1):
        bundle.per_block = per_block
        read = read_all(bundle.write(tmp_path / "m"))
        np.testing.assert_array_equal(read.read("kernel"), KERNEL)
        np.testing.assert_array_equal(read.read("table"), TABLE)
        assert read.read("labels").tolist() == [b"cat", b"", b"dog"]
        assert read.notes == ()


def test_unusual_is_noted(tmp_path: Path) -> None:
    """A newer producer and bytes of nobody are no errors; repeated and unknown fields are as in protobuf."""
    bundle = good()
    bundle.header.version.producer = 99
    bundle.data[0] += b"spare"
    bundle.raw[b"kernel"] = b"\x08\x02" + bundle.entries[b"kernel"].SerializeToString() + b"\xf8\x3f\x05"
    read = read_all(bundle.write(tmp_path / "m"))
    assert len(read.notes) == 2
    assert "99" in read.notes[0]
    assert "5 bytes" in read.notes[1]
