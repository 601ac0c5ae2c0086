"""JSON from files: what is JSON comes through, what Python's parser takes besides doesn't."""

from __future__ import annotations

import pytest

from exporter.errors import CorruptError, LimitError
from exporter.formats import limits
from exporter.formats.json_text import parse_json


def test_values() -> None:
    """Numbers, texts, lists and objects are Python's own."""
    text = '{"a": [1, -2.5e3, true, null, "\\u00e9\\ud83d\\ude00"], "b": {}}'
    expected = {"a": [1, -2500.0, True, None, "é😀"], "b": {}}
    assert parse_json(text, what="x") == expected
    assert parse_json(text.encode(), what="x") == expected


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[1,]",
        '{"a": NaN}',
        "[Infinity]",
        "[-Infinity]",
        "1e999",
        '{"a": 1, "a": 2}',
        '["\\ud800"]',
        '{"\\ud800": 1}',
        b"\xff\xfe\xfd",
        "9" * 5000,
        "1 2",
    ],
)
def test_no_json(text: str | bytes) -> None:
    """One class of error, which says where the text is from."""
    with pytest.raises(CorruptError, match=r"^file m: "):
        parse_json(text, what="file m")


@pytest.mark.parametrize("depth", [limits.MAX_JSON_DEPTH + 1, 100_000])
def test_too_deep(depth: int) -> None:
    """Depth is a limit, and costs no stack."""
    with pytest.raises(LimitError, match="deeper than 100"):
        parse_json("[" * depth + "]" * depth, what="x")
    assert parse_json("[" * limits.MAX_JSON_DEPTH + "]" * limits.MAX_JSON_DEPTH, what="x")


def test_too_long(monkeypatch: pytest.MonkeyPatch) -> None:
    """Length is a limit, looked at before anything is parsed."""
    monkeypatch.setattr(limits, "MAX_CONFIG_BYTES", 10)
    with pytest.raises(LimitError, match="12 bytes"):
        parse_json('"123456789 "', what="x")
