"""JSON text from files, within bounds; what Python's parser lets through though it is no JSON is refused."""

from __future__ import annotations

import json
import math
from typing import Any

from exporter.errors import CorruptError, LimitError
from exporter.formats import limits
from exporter.formats.places import within

__all__ = ["parse_json"]


def parse_json(text: str | bytes, *, what: str) -> Any:
    """The value of a JSON text: dicts, lists, str, int, finite float, bool, None.

    Args:
        text: All of it; bytes are UTF-8.
        what: Where it is from, for errors: `model_config of file m.h5`.

    Raises:
        LimitError: Longer than `limits.MAX_CONFIG_BYTES`, or nested deeper than `limits.MAX_JSON_DEPTH`.
        CorruptError: It isn't JSON, an object has a key twice, a number isn't finite, or a text isn't Unicode.
    """
    with within(what):
        if len(text) > limits.MAX_CONFIG_BYTES:
            raise LimitError(f"{len(text)} bytes of JSON; {limits.MAX_CONFIG_BYTES} are allowed")
        try:
            value = json.loads(text, object_pairs_hook=_object, parse_constant=_no_number, parse_float=_float)
        except RecursionError as error:
            raise LimitError(f"JSON nested deeper than {limits.MAX_JSON_DEPTH}") from error
        except ValueError as error:
            raise CorruptError(f"not JSON text: {error}") from error
        _check(value)
        return value


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    result = dict(pairs)
    if len(result) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise CorruptError(f"a JSON object has the key {twice!r} twice")
    return result


def _no_number(literal: str) -> float:
    raise CorruptError(f"{literal} is no JSON number")


def _float(literal: str) -> float:
    value = float(literal)
    if not math.isfinite(value):
        raise CorruptError(f"{literal[:40]} is larger than any number")
    return value


def _check(value: Any) -> None:
    """Depth and text, level by level: no recursion."""
    level, depth = [value], 0
    while level:
        for item in level:
            for text in (item,) if isinstance(item, str) else item if isinstance(item, dict) else ():
                try:
                    text.encode("utf-8")
                except UnicodeEncodeError as error:
                    raise CorruptError(f"a text with half a character in it: {text[:40]!r}") from error
        containers = [item for item in level if isinstance(item, dict | list)]
        depth += bool(containers)
        if depth > limits.MAX_JSON_DEPTH:
            raise LimitError(f"JSON nested deeper than {limits.MAX_JSON_DEPTH}")
        level = [part for item in containers for part in (item.values() if isinstance(item, dict) else item)]
