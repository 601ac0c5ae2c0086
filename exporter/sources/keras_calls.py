"""The `inbound_nodes` of a layer in both writings, as calls.

Keras 2 writes `[[["conv1", 0, 0, {"training": false}]]]`: calls, each a nest of [layer, call, port, keyword arguments].
Keras 3 writes `[{"args": [...], "kwargs": {...}}]` with `{"class_name": "__keras_tensor__"}` for tensors.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from exporter.errors import CorruptError, UnsupportedError
from exporter.sources.keras_model import KerasCall, TensorRef
from exporter.sources.keras_settings import expect_list, expect_mapping

__all__ = ["read_calls", "read_ends"]

_CONSTANT = "_CONSTANT_VALUE"
_MARKED = frozenset({"class_name", "config"})


def read_calls(nodes: object, names: Collection[str], owner: str) -> tuple[KerasCall, ...]:
    """The calls of one layer; `names` are the model's layers.

    Raises:
        CorruptError: For what neither version of Keras writes, or a tensor of a layer that isn't there.
        UnsupportedError: For an argument that is neither a tensor nor plain data.
    """
    calls = []
    for node in expect_list(nodes, f"{owner}: inbound_nodes"):
        if isinstance(node, Mapping) and "args" in node:
            items = expect_list(node["args"], f"{owner}: args")
            kwargs = expect_mapping(node.get("kwargs", {}), f"{owner}: kwargs")
            args = [_argument(item, names, owner) for item in items]
        else:
            beside: dict[str, Any] = {}
            first = _nested(node, names, owner, beside)
            args = [first[0] if isinstance(first, list) and len(first) == 1 else first]
            kwargs = beside
        calls.append(KerasCall(tuple(args), {key: _argument(value, names, owner) for key, value in kwargs.items()}))
    return tuple(calls)


def read_ends(ends: object, names: Collection[str], owner: str) -> Any:
    """`input_layers` or `output_layers`: one [layer, call, port], or a list or dict of such."""
    if isinstance(ends, Mapping):
        return {key: read_ends(value, names, owner) for key, value in ends.items()}
    if _is_reference(ends, names):
        return _reference(ends, names, owner)
    return [read_ends(item, names, owner) for item in expect_list(ends, owner)]


def _nested(node: object, names: Collection[str], owner: str, kwargs: dict[str, Any]) -> Any:
    """The tensors of one call in the writing of Keras 2; the keyword arguments beside them go into `kwargs`."""
    if isinstance(node, Mapping):
        return {key: _nested(value, names, owner, kwargs) for key, value in node.items()}
    items = expect_list(node, f"{owner}: inbound node")
    if len(items) in (3, 4) and isinstance(items[0], str):
        if len(items) == 4:
            kwargs.update(expect_mapping(items[3], f"{owner}: keyword arguments"))
        if items[0] == _CONSTANT:
            return _argument(items[2], names, owner)
        return _reference(items[:3], names, owner)
    return [_nested(item, names, owner, kwargs) for item in items]


def _argument(value: object, names: Collection[str], owner: str) -> Any:
    """A tensor or plain data, in either writing."""
    if isinstance(value, Mapping):
        if value.get("class_name") == "__ellipsis__":
            return Ellipsis
        if value.keys() >= _MARKED:
            return _marked(value, names, owner)
        return {key: _argument(item, names, owner) for key, item in value.items()}
    if _is_reference(value, names):
        return _reference(value, names, owner)
    if isinstance(value, list | tuple):
        return [_argument(item, names, owner) for item in value]
    return value


def _marked(value: Mapping[str, Any], names: Collection[str], owner: str) -> Any:
    kind, config = value["class_name"], value["config"]
    if kind == "__keras_tensor__":
        history = expect_mapping(config, f"{owner}: tensor").get("keras_history")
        return _reference(history, names, owner)
    if kind == "__slice__":
        parts = expect_mapping(config, f"{owner}: slice")
        return slice(*(_argument(parts.get(key), names, owner) for key in ("start", "stop", "step")))
    if kind in ("__tensor__", "__numpy__"):
        return expect_mapping(config, f"{owner}: array").get("value")
    if kind == "__tuple__":
        return _argument(config, names, owner)
    if kind == "DTypePolicy":
        return expect_mapping(config, f"{owner}: dtype policy").get("name")
    raise UnsupportedError(f"{owner} is called with an argument of kind {str(kind)[:60]!r}, which has no translation")


def _is_reference(value: object, names: Collection[str]) -> bool:
    return (
        isinstance(value, list | tuple)
        and len(value) in (3, 4)
        and isinstance(value[0], str)
        and value[0] in names
        and all(isinstance(item, int) for item in value[1:3])
    )


def _reference(value: object, names: Collection[str], owner: str) -> TensorRef:
    items = expect_list(value, f"{owner}: tensor reference")
    whole = len(items) >= 3 and all(isinstance(item, int) and item >= 0 for item in items[1:3])
    if not whole or not isinstance(items[0], str):
        raise CorruptError(f"{owner}: {str(value)[:80]!r} is no reference to a tensor")
    if items[0] not in names:
        raise CorruptError(f"{owner} takes a tensor of {items[0][:80]!r}, which is not a layer of the model")
    return TensorRef(items[0], items[1], items[2])
