"""Strings, in arrays of `str` objects: tables, case, joins, matches."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from runtime.kernels.base import Array, Function, broadcast_shapes, texts

__all__ = ["OPS"]

Int64 = int
"""An attribute that may be any int64, as no size or axis may."""

_MOST_LETTERS = 1 << 28
"""How long the strings that are made may be, all together: joins of joins grow fast."""

_LOWER = {code: code + 32 for code in range(ord("A"), ord("Z") + 1)}
_UPPER = {code + 32: code for code in range(ord("A"), ord("Z") + 1)}


def label_encoder(
    x: Array,
    *,
    keys_strings: Sequence[str] | None = None,
    keys_int64s: Sequence[Int64] | None = None,
    values_strings: Sequence[str] | None = None,
    values_int64s: Sequence[Int64] | None = None,
    values_floats: Sequence[float] | None = None,
    default_string: str = "_Unused",
    default_int64: Int64 = -1,
    default_float: float = 0.0,
) -> Array:
    """The value at the place that x has among the keys, the default where it has none; of equal keys the first."""
    keys: Any = keys_strings if keys_strings is not None else keys_int64s
    choices: tuple[tuple[Any, Any, Any], ...] = (
        (values_strings, default_string, object),
        (values_int64s, default_int64, np.int64),
        (values_floats, default_float, np.float32),
    )
    given = [choice for choice in choices if choice[0] is not None]
    if keys is None or (keys_strings is None) == (keys_int64s is None) or len(given) != 1:
        raise ValueError("a table has keys of one type and values of one type")
    values, default, dtype = given[0]
    if len(values) != len(keys):
        raise ValueError(f"a table with {len(keys)} keys and {len(values)} values")
    if (x.dtype.kind == "O") != (keys_strings is not None):
        raise ValueError(f"keys of another type than {x.dtype}")
    table = dict(zip(reversed(keys), reversed(values)))
    found = np.empty(x.size, dtype)
    found[:] = [table.get(item, default) for item in x.reshape(-1).tolist()]
    return found.reshape(x.shape)


def string_normalizer(
    x: Array,
    *,
    case_change_action: str = "NONE",
    is_case_sensitive: int = 0,
    locale: str = "C",
    stopwords: Sequence[str] | None = None,
) -> Array:
    """x with its ASCII letters in LOWER or UPPER case; the locale is C, and there are no stopwords."""
    tables: dict[str, dict[int, int]] = {"LOWER": _LOWER, "UPPER": _UPPER, "NONE": {}}
    if case_change_action not in tables or stopwords or locale != "C":
        raise ValueError(f"case_change_action {case_change_action!r}, locale {locale!r}, stopwords {stopwords!r}")
    table = tables[case_change_action]
    return texts((item.translate(table) for item in x.reshape(-1).tolist()), x.shape)


def string_concat(a: Array, b: Array) -> Array:
    """a followed by b, with broadcasting."""
    pairs = list(zip(*(x.reshape(-1).tolist() for x in np.broadcast_arrays(a, b))))
    letters = sum(len(p) + len(q) for p, q in pairs)
    if letters > _MOST_LETTERS:
        raise ValueError(f"strings of {letters} letters in all, more than {_MOST_LETTERS}")
    return texts((p + q for p, q in pairs), broadcast_shapes(a.shape, b.shape))


OPS: dict[str, Function] = {
    "LabelEncoder": label_encoder,
    "StringConcat": string_concat,
    "StringNormalizer": string_normalizer,
}
