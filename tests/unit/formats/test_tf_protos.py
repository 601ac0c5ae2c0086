"""The messages are TensorFlow's, field by field, and bad bytes are named."""

from __future__ import annotations

import subprocess
import sys

import pytest

from exporter.errors import CorruptError, FormatError, LimitError
from exporter.formats import tf_protos
from exporter.formats.tf_protos import (
    BundleEntryProto,
    BundleHeaderProto,
    GraphDef,
    MetaGraphDef,
    NodeDef,
    message,
    parse,
    parse_text,
)


def test_bundle_entry_of_the_worked_example() -> None:
    """Field numbers and wire types are TensorFlow's own."""
    entry = parse(BundleEntryProto, bytes.fromhex("0801120412020801280435 81a5da2b"), what="x")
    assert (entry.dtype, entry.shape.dim[0].size, entry.size, entry.crc32c) == (1, 1, 4, 0x2BDAA581)
    assert parse(BundleHeaderProto, bytes.fromhex("08011a020801"), what="x").version.producer == 1


def test_extent_tells_a_length_of_zero_from_none() -> None:
    """An absent length means all of the dimension."""
    extent = message("TensorSliceProto.Extent")
    assert not extent().HasField("length")
    assert extent.FromString(b"\x10\x00").HasField("length")


def test_maps_are_maps() -> None:
    """A node's attributes are looked up by name."""
    node = NodeDef(name="n", attr={"padding": tf_protos.AttrValue(s=b"SAME")})
    again = parse(NodeDef, node.SerializeToString(), what="x")
    assert again.attr["padding"].s == b"SAME"
    assert again.attr["padding"].WhichOneof("value") == "s"


@pytest.mark.parametrize("data", [b"\x0a\x05ab", b"\xff" * 11, b"\x0a\x03\x0a\x01\xff"])
def test_broken_bytes_name_the_file(data: bytes) -> None:
    """Cut off, no tag, a name that isn't UTF-8: all are one kind of error, which says where."""
    with pytest.raises(CorruptError, match=r"file m\.pb: .* not a valid GraphDef"):
        parse(GraphDef, data, what="file m.pb")


def test_bytes_nested_too_deep() -> None:
    """Depth costs no stack."""
    value = b""
    for _ in range(300):
        value = b"\x0a\x01a\x12" + _varint(len(value)) + value
        value = b"\x12" + _varint(len(value)) + value
        value = b"\x52" + _varint(len(value)) + value
    with pytest.raises(CorruptError):
        parse(tf_protos.AttrValue, value, what="x")


def _varint(value: int) -> bytes:
    out = bytearray()
    while value >= 0x80:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*out, value])


def test_a_bomb_of_empty_messages() -> None:
    """A hundred megabytes of them would take five gigabytes; a million in a file that has other content is read."""
    node = b"\x0a\x0c\x0a\x02ab\x12\x06NoOpXX"
    with pytest.raises(LimitError, match="1200000 of them"):
        parse(tf_protos.GraphDef, node + b"\x0a\x00" * 1_200_000, what="file g.pb")
    assert len(parse(tf_protos.GraphDef, node + b"\x0a\x00" * 1000, what="file g.pb").node) == 1001
    values = parse(tf_protos.TensorProto, b"\x22\xf0\x93\x09" + b"\x0a\x00\x01" * 50_000 + bytes(0), what="t")
    assert len(values.tensor_content) == 150_000


def test_text_skips_what_the_table_leaves_out() -> None:
    """Fields of newer versions and Any values are no error beside known ones."""
    text = 'meta_info_def { any_info { [type.googleapis.com/a.B] { x: 1 } } tags: "serve" new_field: 3 }'
    assert list(parse_text(MetaGraphDef, text, what="x").meta_info_def.tags) == ["serve"]


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("", FormatError),
        ("something: 1", FormatError),
        ("node {", CorruptError),
        ('node { name: "\\377" }', CorruptError),
        ("node: 3", CorruptError),
        ("versions { producer: 99999999999999999999 }", CorruptError),
        (b"node { name: '\xff' }", CorruptError),
        ("\0\1\2", CorruptError),
        ('node { attr { key: "a" value { func { ' + 'attr { key: "a" value { func { ' * 3000, LimitError),
    ],
)
def test_broken_text(text: str | bytes, error: type[Exception]) -> None:
    """Each way a text can be wrong has its class; none is Python's own."""
    with pytest.raises(error, match=r"^file m"):
        parse_text(GraphDef, text, what="file m.pbtxt")


@pytest.mark.tensorflow
def test_no_clash_with_tensorflow() -> None:
    """The classes work, and differ from TensorFlow's, when it is imported in the same process, before or after."""
    code = """
import sys
if sys.argv[1] == "before":
    import tensorflow
from exporter.formats.tf_protos import GraphDef
import tensorflow
theirs = tensorflow.compat.v1.GraphDef()
theirs.node.add(name="a", op="Const").attr["value"].tensor.CopyFrom(tensorflow.make_tensor_proto([1.0, 2.0]))
ours = GraphDef.FromString(theirs.SerializeToString())
assert type(ours) is not type(theirs)
assert ours.SerializeToString(deterministic=True) == theirs.SerializeToString(deterministic=True)
"""
    for order in ("before", "after"):
        subprocess.run([sys.executable, "-c", code, order], check=True, capture_output=True)


@pytest.mark.tensorflow
def test_fields_are_those_of_tensorflow() -> None:
    """Every field in the table has TensorFlow's number, type and label."""
    code = """
from exporter.formats import tf_protos
from tensorflow.core.protobuf import meta_graph_pb2, saved_model_pb2, tensor_bundle_pb2, trackable_object_graph_pb2
from tensorflow.core.util import saved_tensor_slice_pb2
from tensorflow.python.training import checkpoint_state_pb2
from google.protobuf import descriptor_pool
theirs = descriptor_pool.Default()
seen = 0
def check(message):
    global seen
    if message.name.startswith("Keras"):
        return
    other = theirs.FindMessageTypeByName(message.full_name)
    for field in message.fields:
        twin = other.fields_by_number[field.number]
        assert (field.name, field.type, field.is_repeated) == (twin.name, twin.type, twin.is_repeated), field.full_name
        if field.message_type:
            assert field.message_type.full_name == twin.message_type.full_name
        group, other_group = field.containing_oneof, twin.containing_oneof
        assert (group and group.name) == (other_group and other_group.name), field.full_name
        seen += 1
    for nested in message.nested_types:
        check(nested)
for message in tf_protos.GraphDef.DESCRIPTOR.file.message_types_by_name.values():
    check(message)
assert seen > 250, seen
"""
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)
