"""Judges lowered ops by TensorFlow after all passes, in every engine."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
import onnx_ir as ir
import onnxruntime

from exporter.passes.pipeline import run as run_passes
from exporter.targets.onnx_file import onnx_model
from tests.unit.lower.oracle import Case, assert_close, evaluated, lower_case

__all__ = ["check_everywhere"]

Array = npt.NDArray[Any]
_LEVELS = onnxruntime.GraphOptimizationLevel


def check_everywhere(case: Case, knowledge: str, *, opset: int = 17) -> onnx.ModelProto:
    """Lowers a case and compares it with TensorFlow in NumPy and, after all passes, in onnxruntime; returns the ONNX.

    onnx.checker has to accept it with full check.
    """
    model, feeds, expected = lower_case(case, knowledge)
    _compare(case, evaluated(model, feeds), expected, "as lowered")
    run_passes(model)
    _compare(case, evaluated(model, feeds), expected, "folded")
    proto = ir.serde.serialize_model(onnx_model(model, opset=opset))
    onnx.checker.check_model(proto, full_check=True)
    for level in (_LEVELS.ORT_DISABLE_ALL, _LEVELS.ORT_ENABLE_ALL):
        _compare(case, _by_onnxruntime(proto, feeds, level), expected, str(level))
    return proto


def _compare(case: Case, actual: Mapping[str, Array], expected: Mapping[str, Array], where: str) -> None:
    for name, array in expected.items():
        assert_close(actual[name], np.asarray(array), case.units, f"{case.name}, {name}, {where}")


def _by_onnxruntime(proto: onnx.ModelProto, feeds: Mapping[str, Array], level: Any) -> dict[str, Array]:
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = level
    options.intra_op_num_threads = 1
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(proto.SerializeToString(), options, providers=["CPUExecutionProvider"])
    names = [output.name for output in session.get_outputs()]
    given = {value.name: feeds[value.name] for value in session.get_inputs()}
    return dict(zip(names, session.run(names, given), strict=True))
