"""The table of keras.applications in docs/folding.md, and the counting behind it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

pytest.importorskip("tensorflow")

from tests.bench.applications import SIZES
from tests.bench.applications_page import Cell, Row, read_rows, write_rows
from tests.bench.keras_applications import TOLERANCE, unfolded

pytestmark = pytest.mark.tensorflow


def test_the_page_has_every_network() -> None:
    """A line for each, in which our numbers are right and nothing is folded that isn't there."""
    rows = read_rows()
    assert sorted(rows) == sorted(SIZES)
    for norms, folded, _, left, _, _, _, parity, _ in rows.values():
        assert 0 <= int(norms) - int(folded) <= int(left)
        assert float(parity) <= TOLERANCE


def test_a_table_is_read_as_it_was_written(tmp_path: Path) -> None:
    """What is around the block stays, what was in it goes; a model that doesn't run has no difference."""
    path = tmp_path / "page.md"
    path.write_text("# Title\n<!-- keras-applications -->\noutdated\n<!-- /keras-applications -->\nThe end.\n")
    row = Row(5, Cell(4, 1, 20, 2e-7), Cell(3, 4, 30, "2 inputs"))
    write_rows({"A": row, "B": Row(0, row.ours, Cell(0, 0, 0, "ValueError"))}, "Legend.", path)
    text = path.read_text()
    assert text.startswith("# Title\n<!--") and text.endswith("-->\nThe end.\n") and "outdated" not in text
    assert read_rows(path) == {
        "A": ["5", "4", "3", "1", "4", "20", "30", "2e-07", "2 inputs"],
        "B": ["0", "4", "", "1", "", "20", "", "2e-07", "ValueError"],
    }
    assert Row.read(row.written()) == row


@pytest.mark.parametrize(("held", "count"), [("scale", 1), ("shift", 1), ("other", 0)])
def test_a_batch_norm_that_is_left_is_noticed(held: str, count: int) -> None:
    """By its scale or its shift beside the image; other vectors are none of it."""
    vectors = {"scale": np.array([0.5, 2.0]), "shift": np.array([1.0, -3.0]), "other": np.array([1.0, 1.0])}
    image = helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 2, 4, 4])
    constant = numpy_helper.from_array(vectors[held].astype(np.float32).reshape(1, 2, 1, 1), "c")
    node = helper.make_node("Mul" if held == "scale" else "Add", ["x", "c"], ["y"])
    graph: onnx.GraphProto = helper.make_graph([node], "g", [image], [image], [constant])
    assert unfolded(graph, [[vectors["scale"], vectors["shift"]]]) == count
