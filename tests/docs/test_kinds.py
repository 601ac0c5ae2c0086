"""Every kind of source that the README lists is exported by a test."""

from __future__ import annotations

import importlib
import re
from collections.abc import Mapping

import pytest

from tests.docs.pages import README

TESTED_BY = {
    "TF1 checkpoint": "tests.e2e.test_corpus:test_outputs_are_those_of_tensorflow",
    "weights-only checkpoint": "tests.e2e.test_zoo:test_weights_alone_compute_what_tensorflow_does",
    "TF2 object-based checkpoint": "tests.e2e.test_tensorflow_kinds:test_outputs_are_those_of_tensorflow",
    "SavedModel": "tests.e2e.test_tensorflow_kinds:test_outputs_are_those_of_tensorflow",
    "GraphDef": "tests.e2e.test_tensorflow_kinds:test_outputs_are_those_of_tensorflow",
    "Keras `.keras`": "tests.e2e.test_keras_export:test_every_kind_of_file",
    "Keras weights": "tests.e2e.test_keras_export:test_every_kind_of_file",
}
"""What a row begins with, and the test that exports such a file and compares it with TensorFlow or Keras."""

WITHOUT_TENSORFLOW = {
    "TF1 checkpoint": "tests.cli.test_cli_processes:test_no_command_needs_tensorflow",
    "weights-only checkpoint": "tests.e2e.test_zoo_commands:test_export_by_name_computes_what_was_recorded",
    "TF2 object-based checkpoint": "tests.e2e.test_tensorflow_kinds:test_export_does_without_tensorflow",
    "SavedModel": "tests.e2e.test_tensorflow_kinds:test_export_does_without_tensorflow",
    "GraphDef": "tests.e2e.test_tensorflow_kinds:test_export_does_without_tensorflow",
    "Keras `.keras`": "tests.e2e.test_keras_export:test_every_kind_of_file",
    "Keras weights": "tests.e2e.test_keras_export:test_every_kind_of_file",
}
"""The test that exports such a file where neither TensorFlow nor Keras can be imported."""


def _rows() -> list[str]:
    """The first cells of the table of kinds."""
    section = README.read_text().partition("## What it takes")[2].partition("\n## ")[0]
    return [row for row in re.findall(r"^\| ([^|]+) \|", section, re.MULTILINE) if row != "kind"]


def _test_of(row: str, tests: Mapping[str, str] = TESTED_BY) -> str | None:
    return next((test for start, test in tests.items() if row.startswith(start)), None)


def test_there_are_kinds() -> None:
    """The table is found: one row for each entry above."""
    assert len(_rows()) == len(TESTED_BY)


@pytest.mark.parametrize("tests", [TESTED_BY, WITHOUT_TENSORFLOW], ids=["numbers", "imports"])
@pytest.mark.parametrize("row", _rows())
def test_each_kind_is_tested(row: str, tests: Mapping[str, str]) -> None:
    """The row has a test, also one without TensorFlow, and that test exists."""
    test = _test_of(row, tests)
    assert test is not None
    module, _, function = test.partition(":")
    assert callable(getattr(importlib.import_module(module), function))


def test_an_untested_kind_would_be_noticed() -> None:
    """A row of another kind has no test."""
    assert _test_of("TFLite flatbuffer") is None
