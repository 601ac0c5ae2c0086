"""Reports and verdicts as files: each form says the result, in a form that programs of its kind can read."""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from xml.etree import ElementTree

import pytest

from exporter.errors import UsageError
from exporter.pages.writing import check_report_path, write_report
from exporter.report.records import FileUsed, FileWritten
from tests.unit.pages.made_up import made_up_report, made_up_verdict

_VOID = {"meta", "link", "br", "wbr", "line", "rect", "circle"}


class _Page(HTMLParser):
    """Checks that every element is closed, and keeps attributes and text."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.links: list[str] = []
        self.tags: list[str] = []
        self.text = ""
        self.feed(text)
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.links += [value or "" for name, value in attrs if name in ("src", "href", "srcset", "action", "data")]
        if tag not in _VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag not in _VOID:
            assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data


def _written(folder: Path, form: str, found: object) -> str:
    path = folder / f"report{form}"
    write_report(found, path)  # type: ignore[arg-type]
    return path.read_text(encoding="utf-8")


def test_a_page_loads_nothing_and_shows_all(tmp_path: Path) -> None:
    """All layers, batch norms and plots are in one file; names are escaped; nothing refers outside."""
    page = _Page(_written(tmp_path, ".html", made_up_verdict(40)))
    assert [link for link in page.links if not link.startswith("#") and link != "data:,"] == []
    assert page.tags.count("svg") == 2 * 3
    assert page.tags.count("table") >= 6
    assert "MobileNet/expanded_conv_39/depthwise_separable_convolution/BatchNorm" in page.text
    assert "moving statistics (<a> & b)" in page.text
    assert page.tags.count("circle") == 40 * 3 + 40


@pytest.mark.parametrize(("off", "word"), [(None, "parity"), (3, "no parity")])
def test_every_form_tells_good_from_off(off: int | None, word: str, tmp_path: Path) -> None:
    """The same verdict in all forms: the word, and how many comparisons failed."""
    verdict = made_up_verdict(5, off=off)
    failed = sum(not check.ok for check in verdict.checks) + sum(not check.ok for check in verdict.layers)
    assert (failed > 0) == (off is not None)
    assert re.search(rf'class="verdict">{word}<', _written(tmp_path, ".html", verdict))
    assert f"**{word}**" in _written(tmp_path, ".md", verdict)
    document = json.loads(_written(tmp_path, ".json", verdict))
    assert document["state"] == ("good" if off is None else "off")
    assert sum(not check["ok"] for check in (*document["checks"], *document["layers"])) == failed
    root = ElementTree.fromstring(_written(tmp_path, ".xml", verdict))
    assert int(root.attrib["failures"]) == len(root.findall(".//failure")) == failed + (off is not None)
    assert int(root.attrib["tests"]) == len(root.findall(".//testcase"))


def test_layers_that_are_off_come_first(tmp_path: Path) -> None:
    """In a long table they would otherwise be out of sight."""
    page = _written(tmp_path, ".md", made_up_verdict(5, off=3))
    rows = [
        line for line in page.splitlines() if "expanded\\_conv" in line and ("| off |" in line or "| good |" in line)
    ]
    assert ["| off |" in row for row in rows] == [True, True, False, False, False]


def test_files_are_hashed(tmp_path: Path) -> None:
    """With SHA-256, of what is there; what isn't there any more is said."""
    (tmp_path / "m.onnx").write_bytes(b"model")
    read = (FileUsed("model", str(tmp_path / "m.onnx")), FileUsed("source", str(tmp_path / "gone")))
    document = json.loads(_written(tmp_path, ".json", replace(made_up_verdict(1), read=read)))
    first, second = document["provenance"]["files"]
    assert (first["sha256"], first["bytes"]) == (hashlib.sha256(b"model").hexdigest(), 5)
    assert second["sha256"] is None


def test_an_export_has_its_page(tmp_path: Path) -> None:
    """Where parameters came from, what was folded and what not, and why; the export's own check."""
    report = replace(made_up_report(9), files=(FileWritten(str(tmp_path / "m.onnx"), 5),))
    page = _written(tmp_path, ".md", report)
    assert "7 of 9 batch norms folded" in page
    assert "two consumers" in page
    assert "0.25 of what noise explains" in page
    assert "never updated" in page
    assert "few steps" in page
    root = ElementTree.fromstring(_written(tmp_path, ".xml", report))
    assert root.attrib["skipped"] == "2"


def test_the_same_result_gives_the_same_bytes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With the time of SOURCE_DATE_EPOCH."""
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1700000000")
    for form in (".html", ".md", ".json", ".xml"):
        assert _written(tmp_path, form, made_up_verdict(3)) == _written(tmp_path, form, made_up_verdict(3))
    assert "2023-11-14 22:13:20 UTC" in _written(tmp_path, ".md", made_up_verdict(3))


@pytest.mark.parametrize("name", ["report.pdf", "report", "gone/report.html", "notes.md", "read.json"])
def test_what_cannot_be_written_is_refused_before_any_work(name: str, tmp_path: Path) -> None:
    """Another suffix, no directory, a file that is no report, a file that is read; a report may be replaced."""
    (tmp_path / "notes.md").write_text("mine", encoding="utf-8")
    (tmp_path / "read.json").write_text("ckpt2onnx report", encoding="utf-8")
    with pytest.raises(UsageError):
        check_report_path(tmp_path / name, [tmp_path / "read.json"])
    _written(tmp_path, ".html", made_up_verdict(1))
    check_report_path(tmp_path / "report.html")


def test_notebooks_show_tables() -> None:
    """A few lines as text; tables, escaped and not endless, as HTML."""
    verdict, report = made_up_verdict(300, off=200), made_up_report(300)
    assert 2 <= len(repr(verdict).splitlines()) <= 10
    assert 2 <= len(repr(report).splitlines()) <= 10
    assert "expanded_conv_200" in repr(verdict)
    for text in (verdict._repr_html_(), report._repr_html_()):
        page = _Page(text)
        assert "table" in page.tags
        assert page.tags.count("tr") < 150
    assert "moving statistics (<a> & b)" in _Page(report._repr_html_()).text
