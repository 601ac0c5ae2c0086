"""Keras v3 archives: a zip of `config.json`, `metadata.json`, the weights and, seldom, assets.

Keras stores the members as they are, so the weights are read where they lie in the archive. Weights that someone has
compressed are expanded into memory.
"""

from __future__ import annotations

import contextlib
import struct
import tempfile
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from exporter.errors import (
    ChecksumError,
    CorruptError,
    FormatError,
    LimitError,
    MissingError,
    UnsafeError,
    UnsupportedError,
)
from exporter.formats import limits
from exporter.formats.files import RegularFile
from exporter.formats.hdf5 import Hdf5File, open_hdf5
from exporter.formats.json_text import parse_json
from exporter.formats.places import within

__all__ = ["KerasZip", "open_keras_zip"]

_WEIGHTS: Final = "model.weights.h5"
_MOST_MEMBERS: Final = 10_000
_MOST_EXPANSION: Final = 100
_FREE_BYTES: Final = 64 << 20
_ENCRYPTED: Final = 1
_LOCAL_HEADER: Final = struct.Struct("<4s22xHH")
_PIECE: Final = 1 << 24

_LONGEST = 300
"""Letters of a message of Python's reader, which may quote what a file has in the place of a name."""


@dataclass(frozen=True, slots=True)
class KerasZip:
    """A checked archive.

    Attributes:
        file: The archive.
        members: Names, as in the archive.
        config: What `config.json` says of the model.
        metadata: What `metadata.json` says of Keras; empty if it isn't there.
    """

    file: RegularFile
    members: tuple[str, ...]
    config: dict[str, Any]
    metadata: dict[str, Any]

    def weights(self) -> Hdf5File:
        """The weights.

        Raises:
            MissingError: The archive has none.
            UnsupportedError: They are not in HDF5.
            SourceError: Its other subclasses, as `open_hdf5`; ChecksumError if they aren't what was written.
        """
        with within(self.file.place, f"member {_WEIGHTS}"), _archive(self.file) as archive:
            if _WEIGHTS not in self.members:
                others = [name for name in self.members if name.startswith("model.weights")]
                if others:
                    raise UnsupportedError(f"the weights are in {others[0]}, which is read by Keras alone")
                raise MissingError(f"no such member; there are {', '.join(self.members[:20])}")
            member = archive.getinfo(_WEIGHTS)
            if member.compress_type == zipfile.ZIP_STORED:
                start, crc = _start(self.file, member), 0
                for offset in range(0, member.file_size, _PIECE):
                    piece = self.file.read(start + offset, min(_PIECE, member.file_size - offset))
                    crc = zlib.crc32(piece.data, crc)
                if crc != member.CRC:
                    raise ChecksumError(f"its bytes have checksum {crc:#010x}, the archive says {member.CRC:#010x}")
                return open_hdf5(self.file.path, start=start, size=member.file_size)
            with tempfile.TemporaryDirectory(prefix="ckpt2onnx-") as folder:
                path = Path(folder) / _WEIGHTS
                path.write_bytes(_content(archive, member))
                return open_hdf5(path, in_memory=True)


def open_keras_zip(path: Path) -> KerasZip:
    """The archive at a path, with its configuration.

    Raises:
        MissingError: There is no such file, or no configuration in it.
        FormatError: It isn't a zip.
        UnsafeError: A member's name leads out of the archive.
        LimitError: It expands too far, or has too many members.
        CorruptError, ChecksumError: It is damaged or encrypted, or a member is there twice.
    """
    file = RegularFile.at(path)
    with within(file.place), _archive(file) as archive:
        members = archive.infolist()
        if len(members) > _MOST_MEMBERS:
            raise LimitError(f"{len(members)} members; {_MOST_MEMBERS} are allowed")
        seen = set()
        for member in members:
            with within(f"member {member.filename[:80]}"):
                if member.filename in seen:
                    raise CorruptError("it is there twice")
                seen.add(member.filename)
                _check_member(member, file.size)
        names = tuple(member.filename for member in members)
        if "config.json" not in names:
            raise MissingError(f"no member config.json in it; there are {', '.join(names[:20])}")
        config = _json(archive, "config.json")
        metadata = _json(archive, "metadata.json") if "metadata.json" in names else {}
        return KerasZip(file, names, config, metadata)


@contextlib.contextmanager
def _archive(file: RegularFile) -> Iterator[zipfile.ZipFile]:
    """The zip, with everything that Python's reader raises on bad ones turned into our errors."""
    if file.read(0, min(file.size, 2)).tobytes() != b"PK":
        raise FormatError("it doesn't begin as a zip does")
    try:
        with zipfile.ZipFile(file.path) as archive:
            yield archive
    except MemoryError as error:
        raise LimitError("it asks for more memory than there is") from error
    except zipfile.BadZipFile as error:
        kind = ChecksumError if "CRC" in str(error) else CorruptError
        raise kind(f"not a good zip: {str(error)[:_LONGEST]}") from error
    except (zlib.error, EOFError, struct.error, RuntimeError, ValueError, OverflowError, OSError) as error:
        raise CorruptError(f"not a good zip: {str(error)[:_LONGEST]}") from error


def _check_member(member: zipfile.ZipInfo, size: int) -> None:
    parts = member.filename.replace("\\", "/").split("/")
    if ".." in parts or not parts[0] or ":" in parts[0]:
        raise UnsafeError("its name leads out of the archive")
    if member.flag_bits & _ENCRYPTED:
        raise CorruptError("it is encrypted")
    if member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise UnsupportedError(f"it is compressed by method {member.compress_type}; Keras stores members as they are")
    stored = member.compress_type == zipfile.ZIP_STORED
    if member.compress_size > size or (stored and member.file_size != member.compress_size):
        raise CorruptError(f"{member.compress_size} bytes for {member.file_size} in an archive of {size}")
    if member.file_size > max(_FREE_BYTES, _MOST_EXPANSION * member.compress_size):
        raise LimitError(f"{member.compress_size} bytes that claim to expand to {member.file_size}")


def _json(archive: zipfile.ZipFile, name: str) -> dict[str, Any]:
    member = archive.getinfo(name)
    if member.file_size > limits.MAX_CONFIG_BYTES:
        raise LimitError(f"{member.file_size} bytes; {limits.MAX_CONFIG_BYTES} are allowed", where=(f"member {name}",))
    value = parse_json(_content(archive, member), what=f"member {name}")
    if not isinstance(value, dict):
        raise CorruptError("no JSON object", where=(f"member {name}",))
    return value


def _content(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> bytes:
    with archive.open(member) as stream:
        content = stream.read()
    if len(content) != member.file_size:
        raise CorruptError(f"{len(content)} bytes of {member.file_size}", where=(f"member {member.filename}",))
    return content


def _start(file: RegularFile, member: zipfile.ZipInfo) -> int:
    """Where the bytes of a stored member begin: behind its local header, whose name and extra field vary in length."""
    raw = file.read(member.header_offset, _LOCAL_HEADER.size).tobytes()
    signature, name_size, extra_size = _LOCAL_HEADER.unpack(raw)
    if signature != b"PK\3\4":
        raise CorruptError(f"no member begins at byte {member.header_offset}")
    return int(member.header_offset + _LOCAL_HEADER.size + name_size + extra_size)
