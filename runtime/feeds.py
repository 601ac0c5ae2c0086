"""What a caller gives, as the model's inputs: by name and order, in their types, shapes checked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from runtime.budget import FREE_BYTES
from runtime.document import Value
from runtime.errors import FAILURES, InputError
from runtime.kernels.base import Array
from runtime.npy import TEXT

__all__ = ["converted", "in_order"]


def in_order(values: Sequence[Value], feeds: Mapping[str, Any]) -> list[Any]:
    """What is fed by name, in the order of the inputs; InputError if names are missing or unknown."""
    if not isinstance(feeds, Mapping):
        raise InputError(f"the inputs are given as {type(feeds).__name__}, expected a mapping from names to arrays")
    try:
        found = [feeds[value.name] for value in values]
    except KeyError:
        found = []
    if len(found) == len(values) == len(feeds):
        return found
    names = {value.name for value in values}
    wrong = [f"no input is called {name!r}" for name in sorted(feeds.keys() - names, key=str)]
    wrong += [f"input {name!r} is missing" for name in sorted(names - feeds.keys())]
    raise InputError(f"{'; '.join(wrong)}; the model takes {_listing(values)}")


def converted(values: Sequence[Value], arrays: Sequence[Any]) -> list[Array]:
    """Arrays of the inputs' types; InputError if they aren't as many, or a type, rank or size is wrong."""
    if len(arrays) != len(values):
        raise InputError(f"{len(arrays)} arrays given, expected {len(values)}: {_listing(values)}")
    found = [_convert(value, array) for value, array in zip(values, arrays)]
    _check_shapes(values, found)
    return found


def _listing(values: Sequence[Value]) -> str:
    return "; ".join(map(str, values)) or "no inputs"


def _convert(value: Value, given: Any) -> Array:
    """The array in the type of the input, if that changes no value in it."""
    try:
        array = np.asarray(given)
    except FAILURES as error:
        raise InputError(f"input {value.name!r} is no array: {error}") from error
    if array.nbytes > FREE_BYTES and any(not step and size > 1 for step, size in zip(array.strides, array.shape)):
        raise InputError(
            f"input {value.name!r} repeats elements, {array.nbytes} bytes in all: pass a copy if it is meant"
        )
    if value.dtype == TEXT:
        return _texts(value, array)
    wanted = np.dtype(value.dtype)
    if array.dtype == wanted:
        return array
    if array.dtype.kind not in "biuf":
        raise InputError(f"input {value.name!r} is {array.dtype}, expected {wanted}")
    with np.errstate(all="ignore"):
        converted = array.astype(wanted)
        same = np.can_cast(array.dtype, wanted) or np.array_equal(
            converted.astype(array.dtype), array, equal_nan=array.dtype.kind == "f"
        )
    if not same:
        raise InputError(
            f"input {value.name!r} is {array.dtype}, and converting it to {wanted} would change values; "
            f"if that is meant, pass x.astype({wanted.name!r})"
        )
    return converted


def _texts(value: Value, array: Array) -> Array:
    """Strings, given as `str` or as UTF-8, as `str` objects."""
    found = np.empty(array.size, object)
    try:
        found[:] = [item.decode("utf-8") if isinstance(item, bytes) else item for item in array.reshape(-1).tolist()]
    except UnicodeDecodeError as error:
        raise InputError(f"input {value.name!r} has a string that isn't UTF-8: {error}") from error
    if array.dtype.kind not in "OSU" or not all(isinstance(item, str) for item in found):
        raise InputError(f"input {value.name!r} is {array.dtype}, expected strings")
    return found.reshape(array.shape)


def _check_shapes(values: Sequence[Value], arrays: Sequence[Array]) -> None:
    """Ranks, fixed sizes, and sizes of the same name agree."""
    sizes: dict[str, tuple[int, str]] = {}
    for value, array in zip(values, arrays):
        found = array.shape
        if value.shape is None:
            continue
        if len(found) != len(value.shape):
            raise InputError(f"input {value.name!r} has rank {len(found)}, shape {list(found)}; expected {value}")
        for size, dim in zip(found, value.shape):
            if isinstance(dim, int) and size != dim:
                raise InputError(f"input {value.name!r} has the shape {list(found)}; expected {value}")
            if isinstance(dim, str) and sizes.setdefault(dim, (size, value.name))[0] != size:
                other = f"{sizes[dim][0]} in {sizes[dim][1]!r}"
                raise InputError(f"input {value.name!r} has {size} for {dim}, which is {other}")
