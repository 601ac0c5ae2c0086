"""Every way a V1 checkpoint can be wrong, with right checksums, has its error, which names file and tensor."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from exporter.errors import CorruptError, ExportError, FormatError, LimitError, MissingError, UnsupportedError
from exporter.formats.checkpoint_v1 import CheckpointV1, open_v1
from exporter.formats.ordered_code import encode_slice_key
from exporter.formats.tf_protos import SavedTensorSlices
from tests.hostile.v1_writer import V1File

KERNEL = np.arange(6, dtype=np.float32).reshape(2, 3)
COUNTS = np.array([-1, 300, 7], np.int32)
TABLE = np.arange(12, dtype=np.int64).reshape(4, 3)
KERNEL_KEY = encode_slice_key("kernel", ((0, -1), (0, -1)))
COUNTS_KEY = encode_slice_key("counts", ((0, -1),))
HALVES = [((0, 2), (0, -1)), ((2, 2), (0, -1))]

Edit = Callable[[V1File], object]


def good() -> V1File:
    """A file of one tensor of each sort."""
    file = V1File()
    file.add("kernel", KERNEL)
    file.add("counts", COUNTS)
    file.add("table", TABLE, [*HALVES])
    return file


def read_all(path: Path) -> CheckpointV1:
    """Opens a checkpoint and reads every tensor."""
    checkpoint = open_v1(path)
    for name in checkpoint:
        checkpoint.read(name)
    return checkpoint


def values(key: bytes, data: bytes) -> Edit:
    """Puts other bytes in the place of an entry's TensorProto."""

    def edit(file: V1File) -> None:
        stored = file.slices[key].data
        stored.ClearField("data")
        body = stored.SerializeToString() + b"\x1a" + bytes([len(data)]) + data
        file.raw[key] = b"\x12" + bytes([len(body)]) + body

    return edit


def listed(number: int, **fields: object) -> Edit:
    """Sets fields of what the first entry says of a tensor: 0 is kernel, 1 counts, 2 table."""

    def edit(file: V1File) -> None:
        for name, value in fields.items():
            setattr(file.meta.meta.tensor[number], name, value)

    return edit


def dims(number: int, *sizes: int) -> Edit:
    """Lists a tensor with another shape."""

    def edit(file: V1File) -> None:
        shape = file.meta.meta.tensor[number].shape
        del shape.dim[:]
        for size in sizes:
            shape.dim.add(size=size)

    return edit


def listed_twice(file: V1File) -> None:
    """Lists `kernel` a second time."""
    file.meta.meta.tensor.add().CopyFrom(file.meta.meta.tensor[0])


def slice_moved(file: V1File) -> None:
    """Stores under the key of one slice what says that it is another."""
    first, second = (encode_slice_key("table", extents) for extents in HALVES)
    file.slices[second] = SavedTensorSlices.FromString(file.slices[first].SerializeToString())


def renamed(file: V1File) -> None:
    """Stores under the key of `kernel` what says that it is another tensor."""
    file.slices[KERNEL_KEY].data.name = "kernal"


def not_first(file: V1File) -> None:
    """Begins with data."""
    file.raw[b""] = file.slices[KERNEL_KEY].SerializeToString()


def for_newer(file: V1File) -> None:
    """Asks for newer readers."""
    file.meta.meta.versions.min_consumer = 99


FLOATS = KERNEL.tobytes()

BAD: dict[str, tuple[Edit, type[ExportError], str]] = {
    "meta no message": (lambda f: f.raw.update({b"": b"\xff"}), CorruptError, "first entry"),
    "meta is data": (not_first, FormatError, "doesn't list"),
    "for newer readers": (for_newer, UnsupportedError, "99"),
    "listed twice": (listed_twice, CorruptError, "tensor kernel: it is listed twice"),
    "no slices": (lambda f: f.meta.meta.tensor[0].ClearField("slice"), MissingError, "without any slice"),
    "dim negative": (dims(0, -2, 3), CorruptError, "negative dimension"),
    "dims overflow": (dims(0, 2**40, 2**40), CorruptError, "no memory"),
    "dims 2^34": (dims(0, 2**34, 3), CorruptError, "holds 6 values"),
    "rank 300": (dims(0, *[1] * 300), LimitError, "300"),
    "type 0": (listed(0, type=0), CorruptError, "tensor kernel: 0 is not"),
    "type 99": (listed(0, type=99), CorruptError, "99"),
    "type variant": (listed(0, type=21), UnsupportedError, "variant"),
    "type of another list": (listed(0, type=2), CorruptError, "float_val is stored, where type double has double_val"),
    "type too narrow": (listed(1, type=6), CorruptError, "300, which type int8"),
    "type unsigned": (listed(1, type=4), CorruptError, "-1, which type uint8"),
    "not stored": (lambda f: f.slices.pop(KERNEL_KEY), MissingError, "not stored"),
    "entry no message": (lambda f: f.raw.update({KERNEL_KEY: b"\xff"}), CorruptError, "tensor kernel"),
    "entry empty": (lambda f: f.raw.update({KERNEL_KEY: b""}), CorruptError, "tensor kernel"),
    "other name": (renamed, CorruptError, "kernal"),
    "other slice": (slice_moved, CorruptError, "another slice"),
    "values too few": (values(KERNEL_KEY, b"\x2a\x14" + FLOATS[:20]), CorruptError, "5 values"),
    "values too many": (values(KERNEL_KEY, b"\x2a\x1c" + FLOATS + b"abcd"), CorruptError, "7 values"),
    "one value for all": (values(KERNEL_KEY, b"\x2a\x04" + FLOATS[:4]), CorruptError, "1 values"),
    "no values": (values(KERNEL_KEY, b""), CorruptError, "0 values"),
    "half a float": (values(KERNEL_KEY, b"\x2a\x17" + FLOATS[:23]), CorruptError, "23 bytes"),
    "raw content": (values(KERNEL_KEY, b"\x22\x18" + FLOATS), CorruptError, "field 4"),
    "wrong wire type": (values(KERNEL_KEY, b"\x28\x01"), CorruptError, "float_val doesn't hold"),
    "breaks off": (values(KERNEL_KEY, b"\x2a\x7f"), CorruptError, "field 5"),
    "group": (values(KERNEL_KEY, b"\x2b\x2c"), CorruptError, "wire type 3"),
    "field 0": (values(KERNEL_KEY, b"\x02\x00"), CorruptError, "field 0"),
    "varint without end": (values(COUNTS_KEY, b"\x3a\x03\x01\x02\xff"), CorruptError, "no end"),
    "varint too long": (values(COUNTS_KEY, b"\x3a\x0c" + b"\xff" * 11 + b"\1"), CorruptError, "ten bytes"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_v1(case: str, tmp_path: Path) -> None:
    """The error has the right class and says what is wrong and where."""
    edit, error, words = BAD[case]
    file = good()
    edit(file)
    with pytest.raises(error) as caught:
        read_all(file.write(tmp_path / "model-7"))
    assert type(caught.value) is error
    assert "model-7" in str(caught.value)
    assert words in str(caught.value)


def test_the_good_one_reads(tmp_path: Path) -> None:
    """What the cases above start from is right; unpacked values are as good as packed ones."""
    file = good()
    unpacked = b"".join(b"\x2d" + FLOATS[at : at + 4] for at in range(0, 24, 4))
    for edit in (lambda _: None, values(KERNEL_KEY, unpacked)):
        edit(file)
        read = read_all(file.write(tmp_path / "m"))
        np.testing.assert_array_equal(read.read("kernel"), KERNEL)
        np.testing.assert_array_equal(read.read("counts"), COUNTS)
        np.testing.assert_array_equal(read.read("table"), TABLE)


def test_v2_index_is_no_v1(tmp_path: Path) -> None:
    """A table whose first entry is something else is not taken for a V1 checkpoint."""
    file = good()
    file.raw[b""] = b"\x08\x01"
    with pytest.raises(FormatError):
        read_all(file.write(tmp_path / "m"))


def test_shard_gone(tmp_path: Path) -> None:
    """The pattern of a set and any file of it mean all of it; a missing file is named, and so is how many there are."""
    good().write(tmp_path / "m-00000-of-00002")
    for name in ("m-?????-of-00002", "m-00000-of-00002"):
        with pytest.raises(MissingError, match=r"m-00001-of-00002: no such file.*2 files"):
            open_v1(tmp_path / name)
    with pytest.raises(CorruptError, match="0 files"):
        open_v1(tmp_path / "m-00000-of-00000")


def test_shards_disagree(tmp_path: Path) -> None:
    """Two files that list a tensor in two ways, or the same slice twice, contradict each other."""
    good().write(tmp_path / "m-00000-of-00002")
    other = V1File()
    other.add("kernel", KERNEL.astype(np.float64))
    other.write(tmp_path / "m-00001-of-00002")
    with pytest.raises(CorruptError, match=r"m-00001-of-00002, tensor kernel: double"):
        open_v1(tmp_path / "m-?????-of-00002")
    other = V1File()
    other.add("kernel", KERNEL)
    other.write(tmp_path / "m-00001-of-00002")
    with pytest.raises(CorruptError, match="overlap"):
        open_v1(tmp_path / "m-?????-of-00002")


def test_empty_first_entry(tmp_path: Path) -> None:
    """A table that lists nothing is no checkpoint."""
    file = V1File()
    file.meta.Clear()
    with pytest.raises(FormatError):
        open_v1(file.write(tmp_path / "m"))
