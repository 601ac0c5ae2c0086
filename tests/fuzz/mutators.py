"""Changes of messages, JSON documents and bytes that keep them readable enough to get far."""

from __future__ import annotations

import random
from collections.abc import Iterator
from copy import deepcopy
from typing import Any

from google.protobuf.descriptor import FieldDescriptor

from tests.hostile.test_bundle_mutations import NUMBERS, some_bytes

__all__ = ["mutate_bytes", "mutate_json", "mutate_message"]

_SIGNED = [*NUMBERS, *(-number for number in NUMBERS)]
_JSON: list[Any] = [
    *_SIGNED,
    10**30,
    0.5,
    1e308,
    True,
    False,
    None,
    "",
    "x",
    "/",
    "relu",
    "NaN",
    [],
    [0],
    {},
    [[]],
    [None],
    {"a": 1},
]


def mutate_bytes(rng: random.Random, data: bytes) -> bytes:
    """A few places changed."""
    for _ in range(rng.randrange(1, 5)):
        data = some_bytes(rng, data)
    return data


def mutate_message(rng: random.Random, message: Any) -> None:
    """Changes a few fields of a protobuf message, at any depth."""
    for _ in range(rng.randrange(1, 4)):
        places = list(_places(message, 0))
        if places:
            _mutate_field(rng, *rng.choice(places))


def _places(message: Any, depth: int) -> Iterator[tuple[Any, FieldDescriptor]]:
    for field, value in message.ListFields():
        yield message, field
        if field.type != FieldDescriptor.TYPE_MESSAGE or depth > 12:
            continue
        if not field.is_repeated:
            yield from _places(value, depth + 1)
        elif not _is_map(field):
            for each in value:
                yield from _places(each, depth + 1)
        elif field.message_type.fields_by_name["value"].type == FieldDescriptor.TYPE_MESSAGE:
            for key in value:
                yield from _places(value[key], depth + 1)


def _is_map(field: FieldDescriptor) -> bool:
    return field.message_type is not None and field.message_type.GetOptions().map_entry


def _mutate_field(rng: random.Random, message: Any, field: FieldDescriptor) -> None:
    value = getattr(message, field.name)
    if rng.random() < 0.1:
        message.ClearField(field.name)
    elif field.is_repeated and not _is_map(field):
        _mutate_list(rng, value, field)
    elif field.type not in (FieldDescriptor.TYPE_MESSAGE, FieldDescriptor.TYPE_GROUP):
        _assign(message, field, _scalar(rng, field, value))


def _mutate_list(rng: random.Random, values: Any, field: FieldDescriptor) -> None:
    if not values:
        return
    index, choice = rng.randrange(len(values)), rng.randrange(4)
    if choice == 0:
        del values[index]
    elif choice == 1 and len(values) < 1000:
        values.extend([values[index]] * rng.randrange(1, 3))
    elif field.type == FieldDescriptor.TYPE_MESSAGE:
        values[index].CopyFrom(values[rng.randrange(len(values))])
    else:
        try:
            values[index] = _scalar(rng, field, values[index])
        except (TypeError, ValueError):
            return


def _scalar(rng: random.Random, field: FieldDescriptor, value: Any) -> Any:
    if isinstance(value, bool):
        return not value
    if isinstance(value, (int, float)):
        return rng.choice([*_SIGNED, value + 1, value - 1])
    data = value.encode("utf-8") if isinstance(value, str) else value
    changed = mutate_bytes(rng, data[:10_000]) + data[10_000:]
    return changed.decode("utf-8", "replace") if isinstance(value, str) else changed


def _assign(message: Any, field: FieldDescriptor, value: Any) -> None:
    try:
        setattr(message, field.name, value)
    except (TypeError, ValueError, OverflowError):
        return


def mutate_json(rng: random.Random, document: Any) -> Any:
    """The document with a few values replaced, left out, repeated or swapped."""
    for _ in range(rng.randrange(1, 4)):
        places = list(_holders(document))
        if places:
            _mutate_holder(rng, *rng.choice(places), rng.choice(places))
    return document


def _holders(document: Any) -> Iterator[tuple[Any, Any]]:
    keys = list(document) if isinstance(document, dict) else range(len(document)) if isinstance(document, list) else []
    for key in keys:
        yield document, key
        yield from _holders(document[key])


def _mutate_holder(rng: random.Random, holder: Any, key: Any, other: tuple[Any, Any]) -> None:
    choice = rng.randrange(6)
    if choice == 0:
        del holder[key]
    elif choice == 1 and isinstance(holder, list):
        holder.insert(key, deepcopy(holder[key]))
    elif choice == 2:
        found = other[0][other[1]] if not isinstance(other[0], list) or other[1] < len(other[0]) else None
        holder[key] = found if not isinstance(found, (dict, list)) else None
    else:
        holder[key] = deepcopy(rng.choice(_JSON))
