"""The list of planted bugs keeps up with the code."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.mutations import MUTATIONS, Mutation, planted

_ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("mutation", MUTATIONS, ids=lambda mutation: mutation.bug.replace(" ", "_"))
def test_a_bug_has_its_place(mutation: Mutation) -> None:
    """What a bug replaces stands in its file once, and the file still compiles with the bug."""
    text = (_ROOT / mutation.file).read_text(encoding="utf-8")
    compile(planted(mutation, text), mutation.file, "exec")
