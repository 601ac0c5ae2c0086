"""`--report`: a page of what an export or a verification has found, by the suffix of the file."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import onnx
import pytest

from tests.cli.terminal import SAMPLES, Terminal

_SAMPLE = SAMPLES / "handmade_v2"


def test_an_export_and_its_verification_have_pages(terminal: Terminal) -> None:
    """Where parameters came from, what was folded, all layers, and the hashes of the files that were compared."""
    assert terminal("export", _SAMPLE, "-o", "m.onnx", "--report", "export.md").status == 0
    page = Path("export.md").read_text(encoding="utf-8")
    digest = hashlib.sha256(Path("m.onnx").read_bytes()).hexdigest()
    assert digest in page
    assert "batch norms folded" in page
    assert terminal("verify", "m.onnx", "--against", _SAMPLE, "--report", "verdict.json").status == 0
    document = json.loads(Path("verdict.json").read_text(encoding="utf-8"))
    files = {file["role"]: file for file in document["provenance"]["files"]}
    assert files["model"]["sha256"] == digest
    assert {"model", "bundle", "source"} <= set(files)
    assert document["origin"]["batch_norms"]
    assert document["origin"]["folds"]
    assert all(norm["statistics"]["largest"] > 0 for norm in document["origin"]["batch_norms"])
    for form in ("html", "xml"):
        assert terminal("verify", "m.onnx", "--report", f"stored.{form}", "-q").status == 0
        assert Path(f"stored.{form}").stat().st_size > 500


def test_a_page_is_written_of_what_is_off(terminal: Terminal) -> None:
    """Status 1, and the page says which layer is the first."""
    assert terminal("export", _SAMPLE, "-o", "m.onnx", "--to", "onnx").status == 0
    model = onnx.load("m.onnx")
    kernel = next(tensor for tensor in model.graph.initializer if len(tensor.dims) >= 2)
    wrong = onnx.numpy_helper.to_array(kernel) * np.float32(1.02)
    kernel.CopyFrom(onnx.numpy_helper.from_array(wrong, kernel.name))
    onnx.save(model, "m.onnx")
    assert terminal("verify", "m.onnx", "--against", _SAMPLE, "--report", "verdict.xml").status == 1
    assert int(ElementTree.parse("verdict.xml").getroot().attrib["failures"]) > 1


@pytest.mark.parametrize("name", ["page.pdf", "gone/page.html", "mine.md"])
def test_a_name_that_will_not_do_is_refused_before_any_work(name: str, terminal: Terminal) -> None:
    """Nothing is exported then; what is there and is no report stays."""
    Path("mine.md").write_text("mine", encoding="utf-8")
    error = terminal.fails("export", _SAMPLE, "-o", "m.onnx", "--report", name, status=2)
    assert name in error or "gone" in error
