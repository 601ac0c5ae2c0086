"""What was chosen at export, as exported files keep it."""

from __future__ import annotations

import json

import pytest

from exporter.errors import CorruptError
from exporter.options import Options

_ALL = Options(
    inputs={"x": (None, 8), "y": None},
    outputs=("a", "b"),
    values={"training": "true"},
    signature="serve",
    ema=True,
    keep_batch_statistics=("",),
    arch="nets.py:net",
    include_preprocessing=True,
    dtype="float32",
    fold=False,
    weights="float16",
)


@pytest.mark.parametrize("options", [Options(), _ALL], ids=["defaults", "all"])
def test_options_come_back_as_they_were(options: Options) -> None:
    """The text says all of it."""
    assert Options.from_json(options.to_json()) == options


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("inputs", {"x": "8"}),
        ("inputs", {"x": [1.5]}),
        ("inputs", ["x"]),
        ("outputs", "a"),
        ("outputs", [1]),
        ("values", {"training": True}),
        ("signature", 1),
        ("ema", "yes"),
        ("keep_batch_statistics", True),
        ("dtype", None),
        ("fold", 0),
    ],
)
def test_what_nobody_can_have_chosen_is_refused(name: str, value: object) -> None:
    """Metadata is part of a file that anyone may have written."""
    stored = {**json.loads(_ALL.to_json()), name: value}
    with pytest.raises(CorruptError, match="doesn't say what was chosen at export"):
        Options.from_json(json.dumps(stored))


@pytest.mark.parametrize("text", ["", "{}", "[]", "3", '{"inputs": {}}', "[" * 100_000])
def test_other_text_is_refused(text: str) -> None:
    """Text that isn't JSON, or has not all of it."""
    with pytest.raises(CorruptError, match="'export_options'"):
        Options.from_json(text)
