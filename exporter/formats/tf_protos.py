"""The protocol buffers of TensorFlow's files, without TensorFlow and without protoc.

The classes are built from `tf_protos.txt` when this module is imported (about 2 ms), in a descriptor pool of
their own: importing TensorFlow in the same process, before or after, clashes with nothing.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Self, TypeVar

from google.protobuf import message_factory, text_format
from google.protobuf.message import DecodeError

from exporter.errors import CorruptError, FormatError, LimitError
from exporter.formats.proto_table import PACKAGE, build_pool

__all__ = [
    "AttrValue",
    "BundleEntryProto",
    "BundleHeaderProto",
    "CheckpointState",
    "FunctionDef",
    "GraphDef",
    "Message",
    "MetaGraphDef",
    "NodeDef",
    "OpDef",
    "OpList",
    "SavedModel",
    "SavedTensorSlices",
    "TensorProto",
    "TensorShapeProto",
    "TensorSliceProto",
    "TrackableObjectGraph",
    "message",
    "parse",
    "parse_text",
]

_POOL = build_pool(Path(__file__).with_name("tf_protos.txt"))


def message(name: str) -> Any:
    """The class of a message by its name in `tf_protos.txt`, as in `NodeDef` or `TensorShapeProto.Dim`."""
    full_name = f"{PACKAGE}.{name.removeprefix(f'{PACKAGE}.')}"
    return message_factory.GetMessageClass(_POOL.FindMessageTypeByName(full_name))


if TYPE_CHECKING:

    class Message:
        """Any message: its fields are attributes."""

        def __init__(self, **fields: Any) -> None: ...
        def __getattr__(self, name: str) -> Any: ...
        def __setattr__(self, name: str, value: Any) -> None: ...
        def HasField(self, name: str) -> bool: ...  # noqa: N802
        def WhichOneof(self, name: str) -> str | None: ...  # noqa: N802
        def ByteSize(self) -> int: ...  # noqa: N802
        @classmethod
        def FromString(cls, data: bytes) -> Self: ...  # noqa: N802
        def SerializeToString(self, *, deterministic: bool = False) -> bytes: ...  # noqa: N802

    class AttrValue(Message): ...

    class BundleEntryProto(Message): ...

    class BundleHeaderProto(Message): ...

    class CheckpointState(Message): ...

    class FunctionDef(Message): ...

    class GraphDef(Message): ...

    class MetaGraphDef(Message): ...

    class NodeDef(Message): ...

    class OpDef(Message): ...

    class OpList(Message): ...

    class SavedModel(Message): ...

    class SavedTensorSlices(Message): ...

    class TensorProto(Message): ...

    class TensorShapeProto(Message): ...

    class TensorSliceProto(Message): ...

    class TrackableObjectGraph(Message): ...

else:
    from google.protobuf.message import Message

    AttrValue = message("AttrValue")
    BundleEntryProto = message("BundleEntryProto")
    BundleHeaderProto = message("BundleHeaderProto")
    CheckpointState = message("CheckpointState")
    FunctionDef = message("FunctionDef")
    GraphDef = message("GraphDef")
    MetaGraphDef = message("MetaGraphDef")
    NodeDef = message("NodeDef")
    OpDef = message("OpDef")
    OpList = message("OpList")
    SavedModel = message("SavedModel")
    SavedTensorSlices = message("SavedTensorSlices")
    TensorProto = message("TensorProto")
    TensorShapeProto = message("TensorShapeProto")
    TensorSliceProto = message("TensorSliceProto")
    TrackableObjectGraph = message("TrackableObjectGraph")

_EMPTY = b"\n\0"
"""Field 1, as the nodes of a graph are, of length 0."""

_MOST_EMPTY = 1_000_000

M = TypeVar("M", bound=Message)


def parse(cls: type[M], data: bytes, *, what: str) -> M:
    """A message from its bytes.

    Args:
        cls: One of the classes above.
        data: All of the message.
        what: Where the bytes are from, for errors: `file run/model.meta`.

    Raises:
        CorruptError: The bytes aren't such a message: cut off, nested deeper than 100, a name that isn't UTF-8.
        LimitError: More than half of it are empty messages, each of which takes fifty times its size in memory.
    """
    empty = data.count(_EMPTY)
    if empty > _MOST_EMPTY and 4 * empty > len(data):
        raise LimitError(f"it consists of empty messages, {empty} of them", where=(what,))
    try:
        return cls.FromString(data)
    except DecodeError as error:
        found = f"its {len(data)} bytes are not a valid {cls.__name__} message"
        raise CorruptError(found, where=(what,)) from error


def parse_text(cls: type[M], text: str | bytes, *, what: str) -> M:
    """A message from protobuf's text format; of a field given twice the last one counts, as it does in bytes.

    Fields that the table doesn't have are skipped, as they are in binary; but a text of which nothing is left
    is something else.

    Raises:
        FormatError: Nothing in it is a field of such a message.
        CorruptError: It breaks off, contradicts the field types or isn't UTF-8; the error has line and column.
        LimitError: It is nested deeper than 100, as the limit is for bytes.
    """
    result = cls()
    try:
        decoded = text if isinstance(text, str) else text.decode("utf-8")
        text_format.Merge(decoded, result, allow_unknown_field=True, descriptor_pool=_POOL)
    except UnicodeDecodeError as error:
        raise CorruptError(f"not UTF-8 text at byte {error.start}", where=(what,)) from error
    except text_format.ParseError as error:
        found = f"not the text of a {cls.__name__} message: {str(error)[:200]}"
        raise CorruptError(found, where=(what,)) from error
    except RecursionError as error:
        raise LimitError(f"the text of a {cls.__name__} message is nested too deep", where=(what,)) from error
    if not result.ByteSize():
        raise FormatError(f"no field of a {cls.__name__} message in it", where=(what,))
    return result
