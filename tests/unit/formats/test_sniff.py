"""Files are told by what is in them."""

from __future__ import annotations

import gzip
import io
import tarfile
import zipfile
from pathlib import Path

import numpy as np
import pytest

from exporter.errors import CorruptError, MissingError, UnsafeError
from exporter.formats.sniff import Kind, sniff
from exporter.formats.tf_protos import GraphDef, MetaGraphDef, SavedModel, message
from tests.hostile.bundle_writer import Bundle
from tests.hostile.table_writer import table
from tests.hostile.v1_writer import V1File


def graph(nodes: int) -> GraphDef:
    """A graph of so many constants."""
    made = GraphDef()
    made.versions.producer = 21
    for number in range(nodes):
        made.node.add(name=f"scope/c{number}", op="Const").attr["value"].tensor.tensor_content = bytes(100_000)
    return made


def meta_graph(*, ops: bool = True) -> MetaGraphDef:
    """A meta graph, with or without the list of its operations."""
    made = MetaGraphDef(graph_def=graph(1))
    made.meta_info_def.tags.append("serve")
    made.meta_info_def.tensorflow_version = "2.21.0"
    if ops:
        made.meta_info_def.stripped_op_list.op.add(name="Const")
    return made


def zipped(*names: str) -> bytes:
    """A zip of empty members."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        for name in names:
            archive.writestr(name, "")
    return stream.getvalue()


def tarred() -> bytes:
    """A tar of one file."""
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as archive:
        archive.addfile(tarfile.TarInfo("model.ckpt.index"))
    return stream.getvalue()


KINDS: list[tuple[bytes, Kind]] = [
    (b"", Kind.EMPTY),
    (graph(1).SerializeToString(), Kind.GRAPH_DEF),
    (graph(3).SerializeToString(), Kind.GRAPH_DEF),
    (graph(0).SerializeToString(), Kind.GRAPH_DEF),
    (meta_graph().SerializeToString(), Kind.META_GRAPH),
    (meta_graph(ops=False).SerializeToString(), Kind.META_GRAPH),
    (MetaGraphDef(graph_def=graph(1)).SerializeToString(), Kind.META_GRAPH),
    (SavedModel(saved_model_schema_version=1, meta_graphs=[meta_graph()]).SerializeToString(), Kind.SAVED_MODEL),
    (b'node {\n  name: "a"\n}\n', Kind.GRAPH_DEF_TEXT),
    (b'# a comment\n\nnode{name:"a"}', Kind.GRAPH_DEF_TEXT),
    (b'meta_info_def {\n  tags: "serve"\n}', Kind.META_GRAPH_TEXT),
    (b"saved_model_schema_version: 1", Kind.SAVED_MODEL_TEXT),
    (b'model_checkpoint_path: "m"', Kind.STATE_FILE),
    (b"\x89HDF\r\n\x1a\n" + bytes(99), Kind.HDF5),
    (zipped("metadata.json", "config.json", "model.weights.h5"), Kind.KERAS_ZIP),
    (zipped("archive/data.pkl"), Kind.PYTORCH),
    (zipped("x.npy"), Kind.ARRAYS),
    (zipped("x.npy", "__plan__.npy"), Kind.BUNDLE),
    (zipped("readme.txt"), Kind.ZIP),
    (b"PK\x03\x04 broken", Kind.CUT_ZIP),
    (b"PK\x03\x04 metadata.json", Kind.CUT_KERAS),
    (b' {"class_name": "Sequential"}', Kind.JSON),
    (b"\x08\x0a\x12\x07pytorch", Kind.ONNX),
    (b"\x1c\0\0\0TFL3\0\0", Kind.TFLITE),
    (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n", Kind.LFS_POINTER),
    (gzip.compress(b"x"), Kind.GZIP),
    (tarred(), Kind.TAR),
    (np.linspace(-1, 1, 1000, dtype=np.float32).tobytes(), Kind.UNKNOWN),
    (b"\x0a", Kind.UNKNOWN),
    (b"\x08", Kind.UNKNOWN),
    (b"\x22\x02", Kind.UNKNOWN),
    (b"just some words", Kind.UNKNOWN),
]


@pytest.mark.parametrize(("data", "kind"), KINDS, ids=[f"{i}-{kind.name}" for i, (_, kind) in enumerate(KINDS)])
def test_kinds(data: bytes, kind: Kind, tmp_path: Path) -> None:
    """The name of the file has no say."""
    (tmp_path / "file.pb").write_bytes(data)
    assert sniff(tmp_path / "file.pb") is kind


def test_checkpoints(tmp_path: Path) -> None:
    """An index, a V1 file, and a data file, which could be anything."""
    bundle = Bundle()
    bundle.add("a", np.linspace(1, 2, 100))
    bundle.write(tmp_path / "m")
    file = V1File()
    file.add("a", np.ones(2, np.float32))
    file.write(tmp_path / "v1")
    assert sniff(tmp_path / "m.index") is Kind.V2_INDEX
    assert sniff(tmp_path / "v1") is Kind.V1_CHECKPOINT
    assert sniff(tmp_path / "m.data-00000-of-00001") is Kind.UNKNOWN
    assert sniff(tmp_path) is Kind.DIRECTORY


def test_no_file(tmp_path: Path) -> None:
    """What can't be looked at is an error, not a kind; so is a checkpoint that is damaged."""
    with pytest.raises(MissingError):
        sniff(tmp_path / "m")
    with pytest.raises(MissingError, match="null"):
        sniff(tmp_path / "m\0")
    with pytest.raises(UnsafeError):
        sniff(Path("/dev/zero"))
    (tmp_path / "m").write_bytes(table([(b"", b"")])[:-20] + b"\xff" * 12 + table([])[-8:])
    with pytest.raises(CorruptError, match="footer"):
        sniff(tmp_path / "m")


@pytest.mark.parametrize("name", ["GraphDef", "MetaGraphDef", "SavedModel"])
def test_every_beginning_of_a_message(name: str, tmp_path: Path) -> None:
    """A cut-off file is of its kind or of none; it is no error here."""
    data = {"GraphDef": graph(1), "MetaGraphDef": meta_graph(), "SavedModel": SavedModel(meta_graphs=[meta_graph()])}
    assert type(data[name]) is message(name)
    for size in range(1, 80):
        (tmp_path / "m").write_bytes(data[name].SerializeToString()[:size])
        assert isinstance(sniff(tmp_path / "m"), Kind)
