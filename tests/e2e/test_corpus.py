"""Every construction of the corpus, from the checkpoint to three engines, without being told any names."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest

import exporter
from exporter import errors
from exporter.report.records import Report
from sample_ckpts.recording import PREFIX
from tests.corpus.build import MODULES, cases
from tests.corpus.case import Case
from tests.e2e.engines import ENGINES
from tests.e2e.recorded import Recorded, distance

pytestmark = [pytest.mark.slow, pytest.mark.tensorflow]

_ALL = [(module, case) for module in MODULES for case in cases(module)]
_EXPORTED = [(module, case) for module, case in _ALL if case.refused is None]
_REFUSED = [(module, case) for module, case in _ALL if case.refused is not None]


def _ids(table: list[tuple[str, Case]]) -> list[str]:
    return [case.name for _, case in table]


@dataclass(frozen=True)
class Exported:
    """A case, what was recorded of it, and what its export gave."""

    case: Case
    facts: dict[str, Any]
    recorded: Recorded
    onnx: Path
    report: Report


def _facts(folder: Path) -> dict[str, Any]:
    facts: dict[str, Any] = json.loads((folder / "case.json").read_text())
    return facts


def _export(folder: Path, out: Path) -> Report:
    facts = _facts(folder)
    options: dict[str, Any] = dict(facts["options"])
    if facts["names"]:
        options |= {"inputs": facts["inputs"], "outputs": facts["outputs"]}
    return exporter.export(folder / PREFIX, out, **options)


@pytest.fixture(scope="module", params=_EXPORTED, ids=_ids(_EXPORTED))
def exported(
    request: pytest.FixtureRequest, corpus: Callable[[str], Path], tmp_path_factory: pytest.TempPathFactory
) -> Exported:
    """One case, exported."""
    module, case = request.param
    folder = corpus(module) / case.name
    out = tmp_path_factory.mktemp(case.name) / "model.onnx"
    report = _export(folder, out)
    return Exported(case, _facts(folder), Recorded.read(folder), out, report)


def test_only_the_natural_inputs_and_outputs_are_left(exported: Exported) -> None:
    """The exported function has the author's inputs and outputs; flags, labels and rates are gone."""
    graph = onnx.load(exported.onnx).graph
    assert {value.name for value in graph.input} == set(exported.facts["inputs"])
    outputs = {value.name for value in graph.output}
    assert outputs <= set(exported.facts["outputs"])
    assert len(outputs) >= len(exported.facts["outputs"]) - exported.case.spare


@pytest.mark.parametrize("engine", ENGINES)
def test_outputs_are_those_of_tensorflow(exported: Exported, engine: str) -> None:
    """Within float32 noise of what TensorFlow computes at inference, for the recorded batch and for its first row."""
    names = [value.name for value in onnx.load(exported.onnx).graph.output]
    assert exported.recorded.worst(ENGINES[engine](exported.onnx, exported.recorded.inputs, names)) is None
    if exported.case.any_batch:
        row = exported.recorded.first_row()
        assert row.worst(ENGINES[engine](exported.onnx, row.inputs, names)) is None


def test_batch_norms_are_found_and_folded(exported: Exported) -> None:
    """Each batch norm is in the report, and no more of them stay than can't be folded exactly."""
    found = [norm.name for norm in exported.report.batch_norms]
    assert len(found) == exported.case.batch_norms
    outcomes = {name: exported.report.fold_of(name) for name in found}
    kept = [name for name, outcome in outcomes.items() if outcome is None or outcome.reason is not None]
    assert len(kept) <= exported.case.kept


_DECISIONS = frozenset({"end_argmax", "end_argmax_int32", "end_cast_uint8", "end_greater"})
"""Cases that give nothing but classes and truth values, which such an error need not change."""


@pytest.mark.parametrize(("module", "case"), _EXPORTED, ids=_ids(_EXPORTED))
def test_the_tolerance_tells_a_planted_error(corpus: Callable[[str], Path], module: str, case: Case) -> None:
    """Epsilon outside the root, or weights 0.1 % off, is at least twice outside some output's tolerance."""
    recorded = Recorded.read(corpus(module) / case.name)
    floats = {name: value for name, value in recorded.planted.items() if value.dtype.kind == "f"}
    assert bool(floats) != (case.name in _DECISIONS)
    assert not floats or any(
        distance(value, recorded.outputs[name]) > 2 * recorded.tolerance(name) for name, value in floats.items()
    )


@pytest.mark.parametrize(("module", "case"), _REFUSED, ids=_ids(_REFUSED))
def test_what_can_not_be_right_is_refused(
    corpus: Callable[[str], Path], tmp_path: Path, module: str, case: Case
) -> None:
    """The error is of the class the command line's exit status needs, and nothing is written."""
    assert case.refused is not None
    with pytest.raises(getattr(errors, case.refused)):
        _export(corpus(module) / case.name, tmp_path / "model.onnx")
    assert not list(tmp_path.iterdir())


def test_a_recorded_batch_is_not_constant(corpus: Callable[[str], Path]) -> None:
    """No recorded output is the same number everywhere: such a one would prove nothing."""
    folder = corpus("batch_norm_layers")
    for case in cases("batch_norm_layers"):
        for value in Recorded.read(folder / case.name).outputs.values():
            assert np.ptp(value.astype(np.float64)) > 0
