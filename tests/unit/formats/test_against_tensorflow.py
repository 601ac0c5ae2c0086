"""TensorFlow as judge: what it writes we read to the bit, and it reads what our tests' writers make as we do."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import ml_dtypes
import numpy as np
import pytest

from exporter.formats.checkpoint_v1 import open_v1
from exporter.formats.records import Array, TensorStore
from exporter.formats.sniff import Kind, sniff
from exporter.formats.state_file import read_state_file
from exporter.formats.tensor_bundle import open_bundle
from exporter.formats.tensor_proto import to_array
from exporter.formats.tf_protos import MetaGraphDef, TensorProto, TrackableObjectGraph, parse, parse_text
from tests.hostile.bundle_writer import Bundle
from tests.hostile.edits import good
from tests.hostile.table_writer import table, varint
from tests.unit.formats.test_tensor_bundle import ARRAYS

pytestmark = pytest.mark.tensorflow


def literals(contents: bytes) -> bytes:
    """Snappy data that compress nothing."""
    return varint(len(contents)) + b"\xfc" + (len(contents) - 1).to_bytes(4, "little") + contents


def make_ours(folder: Path) -> None:
    """Checkpoints that TensorFlow never writes here: big-endian, snappy, many small blocks, gaps.

    TensorFlow doesn't swap small floats, though there is nothing to swap.
    """
    for name, big_endian in (("little", False), ("big", True)):
        bundle = Bundle(shards=2, big_endian=big_endian, per_block=3)
        arrays = {tensor: array for tensor, array in ARRAYS.items() if tensor != "fp8" or not big_endian}
        for number, (tensor, array) in enumerate(arrays.items()):
            bundle.data[number % 2] += b"gap"
            bundle.add(tensor, array, shard=number % 2)
        bundle.add_slices("part", np.arange(60).reshape(6, 10), [((0, 6), (0, 4)), ((0, -1), (4, 6))])
        bundle.write(folder / name)
    bundle = good()
    prefix = bundle.write(folder / "snappy")
    Path(f"{prefix}.index").write_bytes(table(sorted(bundle.values().items()), per_block=2, compress=literals))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One run of TensorFlow for all tests here."""
    made = tmp_path_factory.mktemp("tensorflow")
    (made / "ours").mkdir()
    make_ours(made / "ours")
    script = Path(__file__).with_name("write_with_tensorflow.py")
    done = subprocess.run([sys.executable, str(script), str(made)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    return made


def load(path: Path) -> dict[str, Array]:
    """What the script stored."""
    arrays: dict[str, Array] = {}
    with np.load(path) as stored:
        for key in (name.removesuffix(".shape") for name in stored.files if name.endswith(".shape")):
            shape = tuple(stored[f"{key}.shape"])
            if f"{key}.strings" in stored.files:
                array = np.empty(len(stored[f"{key}.strings"]), object)
                array[:] = [bytes.fromhex(text[:-1]) for text in stored[f"{key}.strings"]]
            else:
                name = str(stored[f"{key}.type"])
                dtype = np.dtype(getattr(ml_dtypes, name, name))
                array = stored[key].view(dtype)
            arrays[bytes.fromhex(key).decode()] = array.reshape(shape)
    return arrays


def same(left: Array, right: Array) -> bool:
    """Bit by bit."""
    if left.dtype == object or right.dtype == object:
        return left.dtype == right.dtype and left.shape == right.shape and left.tolist() == right.tolist()
    return (left.dtype, left.shape, left.tobytes()) == (right.dtype, right.shape, right.tobytes())


def compare(store: TensorStore, expected: dict[str, Array]) -> None:
    """All tensors and no others, but for the object graph."""
    assert [name for name in store if not name.startswith("_CHECKPOINTABLE")] == sorted(expected)
    for name, array in expected.items():
        assert same(store.read(name), array), name
        assert store.info(name).shape == array.shape
        assert store.info(name).dtype == array.dtype


def test_v2_of_all_types(folder: Path) -> None:
    """Every type that TensorFlow stores, in every shape; random bits, so every not-a-number too."""
    expected = load(folder / "expected" / "v2.npz")
    assert len(expected) > 140
    assert sniff(folder / "theirs" / "v2.index") is Kind.V2_INDEX
    compare(open_bundle(folder / "theirs" / "v2"), expected)


def test_v1_of_all_types(folder: Path) -> None:
    """Every type that TensorFlow stored in V1."""
    expected = load(folder / "expected" / "v1.npz")
    assert len(expected) > 90
    assert sniff(folder / "theirs" / "v1") is Kind.V1_CHECKPOINT
    compare(open_v1(folder / "theirs" / "v1"), expected)


@pytest.mark.parametrize("version", [1, 2])
@pytest.mark.parametrize("files", ["one", "shards"])
def test_savers(version: int, files: str, folder: Path) -> None:
    """Partitioned variables come together, from one file or from several; the state file leads to them."""
    place = folder / "theirs" / f"saver_{version}_{files}"
    latest = Path(read_state_file(place / "checkpoint").latest)
    assert latest.parent == place
    store: TensorStore = open_v1(latest) if version == 1 else open_bundle(latest)
    assert ("?????" in latest.name) == (version == 1 and files == "shards")
    compare(store, load(folder / "expected" / "saver.npz"))


def test_renamed_saver(folder: Path) -> None:
    """Keys are as the saver says; names of files as the state file has them."""
    latest = read_state_file(folder / "theirs" / "renamed é" / "checkpoint").latest
    assert latest.endswith('renamed é/mo"del')
    assert list(open_bundle(Path(latest))) == ["renamed/key"]


def test_objects(folder: Path) -> None:
    """An object graph is a string; small shards, cut along all axes, come together."""
    for name in ("objects", "policy"):
        store = open_bundle(folder / "theirs" / name)
        compare(store, load(folder / "expected" / f"{name}.npz"))
        graph = parse(TrackableObjectGraph, bytes(store.read("_CHECKPOINTABLE_OBJECT_GRAPH").item()), what=name)
        keys = {attribute.checkpoint_key for node in graph.nodes for attribute in node.attributes}
        assert "m/big/.ATTRIBUTES/VARIABLE_VALUE" in keys
    assert "(1 shard)" not in open_bundle(folder / "theirs" / "policy").description


def test_meta_graphs(folder: Path) -> None:
    """Text and bytes say the same."""
    text, data = folder / "theirs" / "text.meta", folder / "theirs" / "binary.meta"
    assert (sniff(text), sniff(data)) == (Kind.META_GRAPH_TEXT, Kind.META_GRAPH)
    left = parse_text(MetaGraphDef, text.read_bytes(), what="text")
    right = parse(MetaGraphDef, data.read_bytes(), what="data")
    assert len(right.graph_def.node) > 20
    for made in (left, right):
        made.meta_info_def.stripped_op_list.Clear()
    assert left.SerializeToString(deterministic=True) == right.SerializeToString(deterministic=True)


def test_tensor_protos(folder: Path) -> None:
    """Constants of every type, packed in each of TensorFlow's ways."""
    expected = load(folder / "expected" / "protos.npz")
    assert len(expected) > 200
    for number, array in expected.items():
        data = (folder / "theirs" / "protos" / f"{number}.pb").read_bytes()
        assert same(to_array(parse(TensorProto, data, what=number), what=number), array), number


@pytest.mark.parametrize("name", ["little", "big", "snappy"])
def test_tensorflow_reads_ours(name: str, folder: Path) -> None:
    """The other direction: TensorFlow finds in our tests' files what we find there."""
    read = load(folder / "read" / f"{name}.npz")
    store = open_bundle(folder / "ours" / name)
    assert sorted(read) == list(store)
    for tensor, array in read.items():
        assert same(store.read(tensor), array), tensor


def test_the_comparison_sees_one_bit(folder: Path) -> None:
    """A planted error: the last bit of one element of one tensor."""
    expected = load(folder / "expected" / "v2.npz")
    name = "scope/float32/s4_120"
    raw = expected[name].copy()
    raw.view(np.uint8)[0, 0, 0, 0] ^= 1
    with pytest.raises(AssertionError, match="float32"):
        compare(open_bundle(folder / "theirs" / "v2"), {**expected, name: raw})
