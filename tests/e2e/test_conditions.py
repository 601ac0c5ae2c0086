"""Conditions, and lists that depend on data, from SavedModels and frozen graphs to every engine."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import onnx
import pytest

import exporter
import runtime
from tests.e2e.engines import ENGINES
from tests.e2e.recorded import Array

if TYPE_CHECKING:
    from tests.e2e.condition_models import ConditionCase

pytestmark = [pytest.mark.slow, pytest.mark.tensorflow]

_CLOSE = 1e-5

_NAMES = [
    *("endless", "sizes", "empty", "kinds", "nested", "in_steps", "in_the_condition"),
    *("numbered", "cheap", "looked_up", "interleaved", "mapped", "convolved"),
    *("kept_rows", "lists", "beam_search"),
]


@pytest.fixture(scope="module")
def cases() -> Mapping[str, ConditionCase]:
    """All of them by name, where TensorFlow is imported only if one is wanted."""
    from tests.e2e.condition_models import CASES

    assert sorted(_NAMES) == sorted(case.name for case in CASES)
    return {case.name: case for case in CASES}


def _saved(case: ConditionCase, folder: Path) -> tuple[Path, list[dict[str, Array]], list[dict[str, Array]]]:
    """A SavedModel, what it is fed and what TensorFlow gives."""
    import tensorflow as tf

    specs = [tf.TensorSpec(spec.shape, spec.dtype, f"in{i}") for i, spec in enumerate(case.inputs)]

    def named(*given: Any) -> dict[str, Any]:
        return {f"out{i}": y for i, y in enumerate(tf.nest.flatten(case.function(*given)))}

    function = tf.function(named, input_signature=specs).get_concrete_function()
    tf.saved_model.save(tf.Module(), str(folder / "model"), signatures=function)
    fed = [{f"in{i}": x for i, x in enumerate(run)} for run in case.runs]
    wanted = [{key: y.numpy() for key, y in function(*map(tf.constant, run)).items()} for run in case.runs]
    return folder / "model", fed, wanted


def _frozen(case: ConditionCase, folder: Path) -> tuple[Path, list[dict[str, Array]], list[dict[str, Array]]]:
    """A frozen graph with `Switch`, `_SwitchN` and `Merge`, what it is fed and what TensorFlow gives."""
    import tensorflow as tf
    from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2

    function = tf.function(case.function, input_signature=case.inputs).get_concrete_function()
    frozen = convert_variables_to_constants_v2(function, lower_control_flow=True)
    (folder / "model.pb").write_bytes(frozen.graph.as_graph_def().SerializeToString())
    names, outputs = ([t.name.removesuffix(":0") for t in ts] for ts in (frozen.inputs, frozen.outputs))
    results = [tf.nest.flatten(function(*map(tf.constant, run))) for run in case.runs]
    wanted = [{name: y.numpy() for name, y in zip(outputs, found, strict=True)} for found in results]
    return folder / "model.pb", [dict(zip(names, run, strict=True)) for run in case.runs], wanted


_FORMS = {"saved": _saved, "frozen": _frozen}


def _distance(y: Array, expected: Array) -> float:
    """The largest difference, as a share of the largest number; infinite for another shape, type or text."""
    if y.shape != expected.shape:
        return np.inf
    if expected.dtype == object:
        return 0.0 if list(y.reshape(-1)) == [text.decode() for text in expected.reshape(-1)] else np.inf
    if y.dtype != expected.dtype:
        return np.inf
    wide, true = y.astype(np.float64), expected.astype(np.float64)
    return float(np.max(np.abs(wide - true), initial=0) / max(np.max(np.abs(true), initial=0), 1e-30))


def _all_nodes(graph: onnx.GraphProto) -> Iterator[onnx.NodeProto]:
    for node in graph.node:
        yield node
        for attribute in node.attribute:
            if attribute.type == onnx.AttributeProto.GRAPH:
                yield from _all_nodes(attribute.g)


def _plain(model: Path, inputs: Mapping[str, Array], outputs: list[str]) -> dict[str, Array]:
    found = runtime.load(model.with_suffix(".npz"), plain=True).run(dict(inputs))
    return {name: found[name] for name in outputs}


@pytest.mark.parametrize("form", _FORMS)
@pytest.mark.parametrize("name", _NAMES)
def test_every_side_is_that_of_tensorflow(
    cases: Mapping[str, ConditionCase], tmp_path: Path, name: str, form: str
) -> None:
    """In every engine, with an `If` where it matters which side is computed, in a file that the checker accepts."""
    source, fed, wanted = _FORMS[form](cases[name], tmp_path)
    out = tmp_path / "out.onnx"
    exporter.export(source, out, outputs=list(wanted[0]) if form == "frozen" else ())
    model = onnx.load(out)
    onnx.checker.check_model(model, full_check=True)
    found = Counter(node.op_type for node in _all_nodes(model.graph))
    most = cases[name].conditions
    assert 0 < found["If"] <= most if most else not found["If"]
    for run in (*ENGINES.values(), _plain):
        for inputs, expected in zip(fed, wanted, strict=True):
            given = run(out, inputs, list(expected))
            assert all(_distance(given[key], y) < _CLOSE for key, y in expected.items())


@pytest.mark.parametrize("name", ["endless", "nested"])
def test_the_other_side_is_told_apart(cases: Mapping[str, ConditionCase], tmp_path: Path, name: str) -> None:
    """What one side gives isn't taken for what another gives."""
    _, _, wanted = _saved(cases[name], tmp_path)
    assert _distance(wanted[0]["out0"], wanted[1]["out0"]) > _CLOSE
