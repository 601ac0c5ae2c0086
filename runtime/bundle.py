"""Reads a bundle, laid down in runtime/FORMAT.md, and believes none of it: what isn't as the plan says is refused."""

from __future__ import annotations

import os
import zlib
from collections.abc import Callable, Mapping
from functools import partial
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, NamedTuple, TypeVar, Union

import numpy as np

from runtime.document import ArrayInfo, Document, Value, parse
from runtime.errors import BundleError
from runtime.kernels.base import Array, texts
from runtime.npy import TEXT, escape, header
from runtime.plan import Graph

if TYPE_CHECKING:
    from zipfile import ZipInfo

__all__ = ["PLAN", "Bundle", "Probe", "Source", "read", "read_digest", "read_metadata"]

Source = Union[str, "os.PathLike[str]", bytes, bytearray, memoryview, BinaryIO]
"""Where a bundle may be."""

Empty = Callable[..., Array]
_T = TypeVar("_T")

PLAN = "__plan__"
"""The name of the array that holds the plan."""

_MAX_MEMBERS = 100_000
_MAX_PLAN = 1 << 28
_LOCAL_HEADER = 30


class Probe(NamedTuple):
    """Inputs and the outputs that belong to them, by name.

    Attributes:
        inputs: One array for each input of the model.
        outputs: What came out of the reference.
        tolerances: For each output the largest |difference| that is float32 noise.
    """

    inputs: Mapping[str, Array]
    outputs: Mapping[str, Array]
    tolerances: Mapping[str, float]


class Bundle(NamedTuple):
    """All that is in the file, checked.

    Attributes:
        producer: Which version of the exporter wrote it.
        inputs, outputs: What the model takes and gives.
        graph: What it computes.
        weights: Arrays by name, those of the probes left out.
        reread: Reads one of them again, for who doesn't keep them all; BundleError if the file has changed.
        probes: Runs that it must reproduce.
        metadata: What the exporter noted.
        plan: The text that says all this but the elements of arrays, of which it has checksums.
    """

    producer: str
    inputs: tuple[Value, ...]
    outputs: tuple[Value, ...]
    graph: Graph
    weights: Mapping[str, Array]
    reread: Callable[[str], Array]
    probes: tuple[Probe, ...]
    metadata: Mapping[str, Any]
    plan: bytes = b""

    @property
    def digest(self) -> str:
        """A hash of the plan: two bundles with the same one hold the same model."""
        return _digest(self.plan)


def read(source: Source, empty: Empty = np.empty) -> Bundle:
    """Read the bundle in a file.

    Args:
        source: Its path, its bytes, or a binary file that is open for reading, which is read to its end.
        empty: Makes an array of a shape and dtype, for the elements to be read into.

    Raises:
        BundleError: It is none, is damaged or altered, or holds what no bundle may hold.
        UnknownOpError: It needs an operator that this version doesn't have.
    """
    return _opened(source, lambda file, open_again: _read(file, open_again, empty))


def read_metadata(source: Source) -> Mapping[str, Any]:
    """Return what the exporter noted in a bundle, of which only the plan is read. Raises as `read`."""
    return _opened(source, lambda file, _: parse(_stored_plan(file, _members(file))).metadata)


def read_digest(source: Source) -> str:
    """Return what is the `digest` of a bundle, of which only the plan is read. Raises as `read`."""
    return _opened(source, lambda file, _: _digest(_stored_plan(file, _members(file))))


def _digest(plan: bytes) -> str:
    import hashlib  # here, because running a bundle doesn't need it

    return hashlib.blake2b(plan, digest_size=16).hexdigest()


def _opened(source: Source, use: Callable[[BinaryIO, Callable[[], BinaryIO]], _T]) -> _T:
    open_file, title = _opener(source)
    try:
        with open_file() as file:
            return use(file, open_file)
    except BundleError as error:
        raise type(error)(f"{title}: {error}") from error
    except OSError as error:
        raise BundleError(f"{title}: can't be read: {error.strerror or error}") from error


def _opener(source: Source) -> tuple[Callable[[], BinaryIO], str]:
    """Return what opens the source, now and later, and what messages call it."""
    if isinstance(source, (str, os.PathLike)):
        path = Path(source).absolute()
        if not path.is_file():
            raise BundleError(f"{os.fspath(source)}: {'not a regular file' if path.exists() else 'no such file'}")
        return lambda: path.open("rb"), os.fspath(source)
    content = source if isinstance(source, (bytes, bytearray, memoryview)) else source.read()
    return partial(BytesIO, bytes(content)), "the bundle"


def _read(file: BinaryIO, open_again: Callable[[], BinaryIO], empty: Empty) -> Bundle:
    members = _members(file)
    plan = _stored_plan(file, members)
    document = parse(plan)
    _match(members, document)
    arrays = {name: _array(file, members[escape(name)], info, empty) for name, info in document.arrays.items()}
    graph = document.graph(arrays.__getitem__)
    probes = tuple(
        Probe(
            {name: arrays[key] for name, key in probe.inputs.items()},
            {name: arrays[key] for name, key in probe.outputs.items()},
            probe.tolerances,
        )
        for probe in document.probes
    )
    weights = {name: arrays[name] for name in graph.captures}
    reread = partial(_reread, open_again, members, document.arrays)
    ends = document.inputs, document.outputs
    return Bundle(document.producer, *ends, graph, weights, reread, probes, document.metadata, plan)


def _stored_plan(file: BinaryIO, members: dict[str, ZipInfo]) -> bytes:
    """Return the text of the plan, whose member is taken out of `members`."""
    if PLAN not in members:
        raise BundleError(f"no member {PLAN}.npy: not a bundle of ckpt2onnx")
    return _plan(file, members.pop(PLAN))


def _reread(
    open_again: Callable[[], BinaryIO], members: Mapping[str, ZipInfo], infos: Mapping[str, ArrayInfo], name: str
) -> Array:
    """Read an array of a file that was found good before, with the same checks; BundleError if it has changed."""
    try:
        with open_again() as file:
            return _array(file, members[escape(name)], infos[name], np.empty)
    except (OSError, BundleError) as error:
        raise BundleError(f"the bundle has changed since it was loaded, and is needed again: {error}") from error


def _members(file: BinaryIO) -> dict[str, ZipInfo]:
    """The members by name without `.npy`, none compressed, encrypted, twice there, or over another."""
    from zipfile import BadZipFile, ZipFile

    try:
        with ZipFile(file) as archive:
            infos = archive.infolist()
    except (BadZipFile, ValueError, NotImplementedError, OverflowError) as error:
        raise BundleError(f"not a readable zip file: {error}") from error
    if len(infos) > _MAX_MEMBERS:
        raise BundleError(f"{len(infos)} members, more than {_MAX_MEMBERS}")
    members: dict[str, ZipInfo] = {}
    for info in infos:
        name = info.filename[: -len(".npy")]
        if not info.filename.endswith(".npy") or info.orig_filename != info.filename:
            raise BundleError(f"member {info.orig_filename!r} is not an array")
        if info.compress_type or info.flag_bits & 1 or info.file_size != info.compress_size:
            raise BundleError(f"member {info.filename!r} is compressed or encrypted")
        if name in members:
            raise BundleError(f"member {info.filename!r} is there twice")
        members[name] = info
    return members


def _match(members: Mapping[str, ZipInfo], document: Document) -> None:
    """Members and plan name the same arrays."""
    planned = {escape(name) for name in document.arrays}
    for name in sorted(members.keys() - planned):
        raise BundleError(f"member {name + '.npy'!r} is not in the plan")
    for name in sorted(planned - members.keys()):
        raise BundleError(f"member {name + '.npy'!r} is in the plan and not in the file")


def _seek(file: BinaryIO, info: ZipInfo) -> None:
    """Goes to the first byte of a member, past its local header, which must agree with the directory."""
    file.seek(info.header_offset)
    local = file.read(_LOCAL_HEADER)
    if len(local) < _LOCAL_HEADER or local[:4] != b"PK\x03\x04":
        raise BundleError(f"member {info.filename!r} doesn't begin where the directory says")
    name, extra = int.from_bytes(local[26:28], "little"), int.from_bytes(local[28:30], "little")
    if file.read(name) != info.filename.encode("ascii", "replace"):
        raise BundleError(f"member {info.filename!r} has another name in its own header")
    file.seek(extra, os.SEEK_CUR)


def _plan(file: BinaryIO, info: ZipInfo) -> bytes:
    if info.file_size > _MAX_PLAN:
        raise BundleError(f"a plan of {info.file_size} bytes, more than {_MAX_PLAN}")
    _seek(file, info)
    content = file.read(info.file_size)
    if len(content) != info.file_size or zlib.crc32(content) != info.CRC:
        raise BundleError("the plan is damaged: its checksum differs")
    begin = 10 + int.from_bytes(content[8:10], "little")
    if content[:begin] != header("uint8", [len(content) - begin]):
        raise BundleError("the plan is not stored as an array of bytes")
    return content[begin:]


def _array(file: BinaryIO, info: ZipInfo, expected: ArrayInfo, empty: Empty) -> Array:
    """A member's elements; its header, size and checksum must be those that the plan says."""
    head = header(expected.dtype, expected.shape, expected.width)
    where = f"member {info.filename!r}"
    if info.file_size != len(head) + expected.nbytes:
        raise BundleError(f"{where} has {info.file_size} bytes, the plan says {len(head) + expected.nbytes}")
    if info.header_offset + info.file_size > file.seek(0, os.SEEK_END):
        raise BundleError(f"{where} ends after the file")
    _seek(file, info)
    if file.read(len(head)) != head:
        raise BundleError(f"{where} has another header than {expected.dtype} {list(expected.shape)}")
    dtype = np.dtype(f"S{expected.width}" if expected.dtype == TEXT else expected.dtype).newbyteorder("<")
    array = (np.empty if expected.widened else empty)(expected.shape, dtype)
    content = array.reshape(-1).view(np.uint8).data
    if file.readinto(content) != len(content):  # type: ignore[attr-defined]  # BinaryIO leaves it out
        raise BundleError(f"{where} ends too early")
    checksum = zlib.crc32(content, zlib.crc32(head))
    if checksum != expected.crc32 or checksum != info.CRC:
        raise BundleError(f"{where} is damaged: crc32 {checksum:08x}, the plan says {expected.crc32:08x}")
    if expected.widened:
        wide = empty(expected.shape, np.dtype(np.float32))
        wide[...] = array
        return wide
    return _texts(array, where) if expected.dtype == TEXT else array.astype(expected.dtype, copy=False)


def _texts(array: Array, where: str) -> Array:
    """Strings as `str` objects."""
    try:
        return texts((item.decode("utf-8") for item in array.reshape(-1).tolist()), array.shape)
    except UnicodeDecodeError as error:
        raise BundleError(f"{where} has a string that isn't UTF-8: {error}") from error
