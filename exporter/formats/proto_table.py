"""Descriptors of protocol buffers from a table of field numbers, made at run time."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from google.protobuf import descriptor_pb2, descriptor_pool

__all__ = ["PACKAGE", "build_pool"]

PACKAGE = "tensorflow"

_Field = descriptor_pb2.FieldDescriptorProto

_SCALARS: dict[str, int] = {
    "double": _Field.TYPE_DOUBLE,
    "float": _Field.TYPE_FLOAT,
    "int64": _Field.TYPE_INT64,
    "uint64": _Field.TYPE_UINT64,
    "int32": _Field.TYPE_INT32,
    "fixed32": _Field.TYPE_FIXED32,
    "bool": _Field.TYPE_BOOL,
    "string": _Field.TYPE_STRING,
    "bytes": _Field.TYPE_BYTES,
    "uint32": _Field.TYPE_UINT32,
    "sint64": _Field.TYPE_SINT64,
}


def build_pool(table: Path) -> Any:
    """A descriptor pool of its own with the messages of `table`, whose first lines say how it is written."""
    lines = [line.split() for line in table.read_text(encoding="utf-8").splitlines()]
    lines = [words for words in lines if words and words[0] != "#"]
    pool = descriptor_pool.DescriptorPool()
    pool.AddSerializedFile(_Builder(lines).file.SerializeToString())
    return pool


class _Builder:
    """Fills one FileDescriptorProto, line by line."""

    def __init__(self, lines: list[list[str]]) -> None:
        self.file = descriptor_pb2.FileDescriptorProto(
            name="ckpt2onnx/messages.proto", package=PACKAGE, syntax="proto3"
        )
        self._enums = {words[1] for words in lines if words[0] == "enum"}
        self._messages: dict[str, Any] = {}
        self._path = ""
        for keyword, *words in lines:
            if keyword in ("message", "enum"):
                self._path = words[0]
                parent, _, name = self._path.rpartition(".")
                is_message = keyword == "message"
                if parent:
                    siblings = getattr(self._messages[parent], "nested_type" if is_message else "enum_type")
                else:
                    siblings = self.file.message_type if is_message else self.file.enum_type
                self._owner = self._messages[self._path] = siblings.add(name=name)
            elif self._path in self._enums:
                self._owner.value.add(number=int(keyword), name=words[0])
            elif words[0] == "map":
                self._map(int(keyword), *words[1:])
            else:
                self._plain(int(keyword), words)

    def _plain(self, number: int, words: list[str]) -> None:
        repeated = words[0] == "repeated"
        type_name, name, *oneof = words[repeated:]
        field = self._add(self._owner, number, type_name, name, repeated)
        if oneof:
            groups = [group.name for group in self._owner.oneof_decl]
            if oneof[1] not in groups:
                self._owner.oneof_decl.add(name=oneof[1])
                groups.append(oneof[1])
            field.oneof_index = groups.index(oneof[1])

    def _map(self, number: int, key: str, value: str, name: str) -> None:
        entry = self._owner.nested_type.add(name=f"{name.title().replace('_', '')}Entry")
        entry.options.map_entry = True
        self._add(entry, 1, key, "key", False)
        self._add(entry, 2, value, "value", False)
        self._add(self._owner, number, f"{self._path}.{entry.name}", name, True)

    def _add(self, owner: Any, number: int, type_name: str, name: str, repeated: bool) -> Any:
        field = owner.field.add(number=number, name=name)
        field.label = _Field.LABEL_REPEATED if repeated else _Field.LABEL_OPTIONAL
        if type_name in _SCALARS:
            field.type = _SCALARS[type_name]
        else:
            field.type = _Field.TYPE_ENUM if type_name in self._enums else _Field.TYPE_MESSAGE
            field.type_name = f".{PACKAGE}.{type_name}"
        return field
