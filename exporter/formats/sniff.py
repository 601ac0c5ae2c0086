"""What a file is, by its contents; its name is never looked at."""

from __future__ import annotations

import enum
import re
import struct
import zipfile
from pathlib import Path

from exporter.errors import SourceError
from exporter.formats.files import RegularFile
from exporter.formats.sstable import FOOTER_BYTES, MAGIC, Table
from exporter.formats.varint import read_varint

__all__ = ["Kind", "sniff"]

_HEAD_BYTES = 1 << 16


class Kind(enum.Enum):
    """What files turn out to be; the value is for people."""

    V2_INDEX = "the index of a TensorFlow V2 checkpoint"
    V1_CHECKPOINT = "a TensorFlow V1 checkpoint"
    STATE_FILE = "the state file of a checkpoint directory"
    GRAPH_DEF = "a TensorFlow graph (GraphDef)"
    META_GRAPH = "a TensorFlow meta graph (MetaGraphDef)"
    SAVED_MODEL = "a TensorFlow SavedModel"
    GRAPH_DEF_TEXT = "a TensorFlow graph (GraphDef) as text"
    META_GRAPH_TEXT = "a TensorFlow meta graph (MetaGraphDef) as text"
    SAVED_MODEL_TEXT = "a TensorFlow SavedModel as text"
    HDF5 = "an HDF5 file"
    KERAS_ZIP = "a Keras v3 archive"
    ZIP = "a zip archive"
    CUT_ZIP = "a zip archive that is cut short"
    CUT_KERAS = "a Keras v3 archive that is cut short"
    BUNDLE = "a bundle for the NumPy runtime, which an export has written"
    ARRAYS = "NumPy arrays"
    PYTORCH = "a PyTorch checkpoint"
    PICKLE = "a Python pickle, as older PyTorch checkpoints are"
    SAFETENSORS = "a safetensors file"
    IMAGE = "an image"
    JSON = "JSON text"
    ONNX = "an ONNX model"
    TFLITE = "a TensorFlow Lite model"
    LFS_POINTER = "a git-lfs pointer, which stands for a file that wasn't downloaded"
    GZIP = "gzip data"
    TAR = "a tar archive"
    EMPTY = "an empty file"
    DIRECTORY = "a directory"
    UNKNOWN = "of no known format (the data files of a checkpoint can't be told by their contents)"


_MAGIC = (
    (0, b"\x89HDF\r\n\x1a\n", Kind.HDF5),
    (0, b"version https://git-lfs.github.com/spec/", Kind.LFS_POINTER),
    (0, b"\x1f\x8b", Kind.GZIP),
    (4, b"TFL3", Kind.TFLITE),
    (0, b"\x93NUMPY", Kind.ARRAYS),
    (0, b"\x89PNG\r\n", Kind.IMAGE),
    (0, b"\xff\xd8\xff", Kind.IMAGE),
    (8, b'{"', Kind.SAFETENSORS),
    *((0, bytes([0x80, protocol]), Kind.PICKLE) for protocol in (2, 3, 4, 5)),
    (257, b"ustar", Kind.TAR),
)

_TEXT_FIELDS = (
    (("model_checkpoint_path", "all_model_checkpoint_paths"), Kind.STATE_FILE),
    (("node", "library", "versions"), Kind.GRAPH_DEF_TEXT),
    (
        ("meta_info_def", "graph_def", "saver_def", "collection_def", "signature_def", "object_graph_def"),
        Kind.META_GRAPH_TEXT,
    ),
    (("saved_model_schema_version", "meta_graphs"), Kind.SAVED_MODEL_TEXT),
)

_FIRST_FIELD = re.compile(rb"(?:\s|#[^\n]*\n)*([a-z_]+)\s*[:{<]")
_JSON_OBJECT = re.compile(rb"\s*\{\s*[\"}]")
_OP_NAME = re.compile(rb"[A-Za-z0-9_>][A-Za-z0-9_.>/\-]*")


def sniff(path: Path) -> Kind:
    """The kind of the file at a path.

    Raises:
        MissingError: There is no such file.
        UnsafeError: It is a pipe, socket or device.
        SourceError: It ends as a TensorFlow checkpoint does, but is damaged.
    """
    if path.is_dir():
        return Kind.DIRECTORY
    file = RegularFile.at(path)
    if not file.size:
        return Kind.EMPTY
    head = file.read(0, min(file.size, _HEAD_BYTES)).tobytes()
    if file.size >= FOOTER_BYTES and file.read(file.size - len(MAGIC)).tobytes() == MAGIC:
        # V1 and V2 differ in the entry under the empty key: field 1 is a message in V1, a number in V2
        key, value = Table(file).first() or (None, memoryview(b""))
        return Kind.V1_CHECKPOINT if key == b"" and value.tobytes()[:1] == b"\x0a" else Kind.V2_INDEX
    for offset, magic, kind in _MAGIC:
        if head.startswith(magic, offset):
            return kind
    if head.startswith(b"PK"):
        return _zip(path, head)
    if _JSON_OBJECT.match(head):
        return Kind.JSON
    match = _FIRST_FIELD.match(head)
    name = match[1].decode("ascii") if match else ""
    text = next((kind for names, kind in _TEXT_FIELDS if name in names), None)
    return text or _proto(head) or Kind.UNKNOWN


def _zip(path: Path, head: bytes) -> Kind:
    """By the names of what is in it; where the list at its end is missing, by the names at the beginning."""
    try:
        with zipfile.ZipFile(path) as archive:
            names = set(archive.namelist())
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError, OverflowError, struct.error, MemoryError):
        keras = any(name in head for name in (b"metadata.json", b"config.json", b"model.weights.h5"))
        return Kind.CUT_KERAS if keras else Kind.CUT_ZIP
    if "config.json" in names and "metadata.json" in names:
        return Kind.KERAS_ZIP
    if any(name.rpartition("/")[2] == "data.pkl" for name in names):
        return Kind.PYTORCH
    if names and all(name.endswith(".npy") for name in names):
        return Kind.BUNDLE if "__plan__.npy" in names else Kind.ARRAYS
    return Kind.ZIP


def _proto(head: bytes) -> Kind | None:
    """By the first fields: 1 is the schema version, always 1, in a SavedModel; the version, from 3, in ONNX."""
    try:
        if head[0] == 0x08:
            version, position = read_varint(head, 1)
            if version == 1 and head[position : position + 1] == b"\x12":
                return Kind.SAVED_MODEL
            return Kind.ONNX if 3 <= version < 100 and head[position] in b"\x12\x1a\x22\x28\x32\x3a\x42" else None
        if head[0] in (0x0A, 0x12, 0x22):
            return _graph(head)
    except (SourceError, IndexError):
        pass
    return None


def _graph(head: bytes) -> Kind | None:
    """A graph begins with a node, whose fields 1 and 2 are its name and operation; a meta graph with anything else."""
    if head[0] == 0x22:
        return Kind.GRAPH_DEF if head[2] in (0x08, 0x10) else None
    size, position = read_varint(head, 1)
    if head[0] == 0x12:
        return Kind.META_GRAPH if head[position : position + 1] == b"\x0a" else None
    end = position + size
    if end <= len(head) and head[end : end + 1] not in (b"", b"\x0a", b"\x12", b"\x1a", b"\x22"):
        return None
    if head[position] == 0x0A:
        length, start = read_varint(head, position + 1)
        position = start + length
        if position < end and head[position] == 0x12:
            length, start = read_varint(head, position + 1)
            if _OP_NAME.fullmatch(head[start : start + length]) and start + length <= end:
                return Kind.GRAPH_DEF
    return Kind.META_GRAPH if head[position] in (0x12, 0x1A, 0x22, 0x2A, 0x32, 0x38) else None
