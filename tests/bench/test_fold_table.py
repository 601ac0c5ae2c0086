"""ckpt2onnx's column of the table of folds."""

from __future__ import annotations

from pathlib import Path

import pytest

import runtime

pytest.importorskip("tensorflow")

from tests.bench.fold_page import Table, read_table, write_table
from tests.bench.fold_patterns import KERAS, PLAIN
from tests.bench.fold_table import as_expected, difference, freeze, mark, ours, tolerance, verdict

pytestmark = [
    pytest.mark.slow,
    pytest.mark.tensorflow,
    pytest.mark.filterwarnings("ignore"),  # TensorFlow's and Keras's own
]


@pytest.mark.parametrize("name", [*KERAS, *PLAIN])
def test_all_that_is_exact_is_folded_and_nothing_else(name: str, tmp_path: Path) -> None:
    """With TensorFlow's numbers, in onnxruntime and in the NumPy runtime; docs/folding.md says the same."""
    frozen = freeze(name)
    cell = verdict(frozen, ours(frozen, tmp_path))
    assert as_expected(frozen, cell), cell
    assert read_table().column("ckpt2onnx")[name] == (frozen.pattern.left, mark(frozen, cell))
    results = runtime.load(tmp_path / "ours.npz").run({frozen.input: frozen.fed})
    for output, wanted in zip(frozen.outputs, frozen.wanted, strict=True):
        assert difference(wanted, results[output]) <= tolerance(frozen)


def test_the_page_has_all_patterns() -> None:
    """In the order in which they are tried."""
    assert list(read_table().rows) == [*KERAS, *PLAIN]


def test_a_table_is_read_as_it_was_written(tmp_path: Path) -> None:
    """Writing again changes nothing; what is around the block stays."""
    path = tmp_path / "page.md"
    path.write_text("# Title\n\n<!-- fold-table -->\noutdated\n<!-- /fold-table -->\n\nThe end.\n")
    table = Table(("a", "b"), {"one": (0, ("F", "P")), "two": (1, ("F", ""))})
    write_table(table, "Legend.", path)
    once = path.read_text()
    write_table(read_table(path), "Legend.", path)
    assert path.read_text() == once
    assert read_table(path) == table
    assert table.totals() == ("2 of 2", "0 of 1")
    assert once.startswith("# Title\n\n<!--") and once.endswith("-->\n\nThe end.\n") and "outdated" not in once
