"""Every case that people brought, from its files to three engines."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
import pytest

from exporter.command_line.cli import main
from tests.e2e.engines import ENGINES
from tests.field.case import CASES, FieldCase, relative_error

_CLOSE = 1e-5
_NAMES = sorted(path.name for path in CASES.iterdir() if path.is_dir())


@dataclass(frozen=True)
class _Ended:
    status: int
    text: str


def _export(case: FieldCase, out: Path, capture: pytest.CaptureFixture[str]) -> _Ended:
    with pytest.raises(SystemExit) as ended:
        main(["export", str(case.source), *case.args, "-o", str(out)], prog_name="ckpt2onnx")
    text = capture.readouterr()
    return _Ended(int(ended.value.code or 0), text.out + text.err)


@pytest.mark.parametrize("name", _NAMES)
def test_a_case_gives_the_numbers_of_tensorflow(name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Within 1e-5 of the largest value in each engine; where that was asked for, with no further outputs."""
    case = FieldCase.read(name)
    out = tmp_path / "model.onnx"
    ended = _export(case, out, capsys)
    assert ended.status == 0, ended.text
    graph = onnx.load(out).graph
    inputs, outputs = [value.name for value in graph.input], [value.name for value in graph.output]
    if case.exact_outputs:
        assert len(outputs) == len(case.expected)
    wanted = case.wanted(outputs)
    for engine, run in ENGINES.items():
        given = run(out, case.fed(inputs), outputs)
        errors = {key: relative_error(given[key], value) for key, value in wanted.items()}
        assert all(error <= _CLOSE for error in errors.values()), (engine, errors)


@pytest.mark.parametrize("name", _NAMES)
def test_a_case_tells_a_planted_error(name: str) -> None:
    """One element that is a ten-thousandth of the largest value off, or NaN, is outside of what may be."""
    for value in FieldCase.read(name).expected.values():
        wide = value.astype(np.float64)
        for wrong in (max(float(np.max(np.abs(wide))), 1.0) * 1e-4, np.nan):
            planted = wide.copy()
            planted.flat[planted.size // 2] += wrong
            assert relative_error(planted, wide) > _CLOSE


def test_every_case_says_what_to_export() -> None:
    """A file, or a checkpoint, that is there."""
    for folder in CASES.iterdir():
        facts = json.loads((folder / "case.json").read_text())
        assert (folder / facts["source"]).exists() or list(folder.glob(facts["source"] + ".index"))


def test_a_detector_exports_without_names(tmp_path: Path) -> None:
    """What its postprocessing gives, in a loop over the images, are the outputs: each is what its author calls it."""
    case = FieldCase.read("ssd_frozen")
    out = tmp_path / "model.onnx"
    with pytest.raises(SystemExit) as ended:
        main(["export", str(case.source), "-o", str(out)], prog_name="ckpt2onnx")
    assert not ended.value.code
    graph = onnx.load(out).graph
    outputs = [value.name for value in graph.output]
    assert sorted(outputs) == ["detection_boxes", "detection_classes", "detection_scores", "num_detections"]
    given = ENGINES["numpy"](out, case.fed([value.name for value in graph.input]), outputs)
    assert all(relative_error(given[key], value) <= _CLOSE for key, value in case.wanted(outputs).items())
