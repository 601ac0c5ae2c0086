"""The engines an exported model has to agree in."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path

import onnxruntime

import runtime
from tests.e2e.recorded import Array

__all__ = ["ENGINES", "onnx_session"]

Engine = Callable[[Path, Mapping[str, Array], list[str]], dict[str, Array]]


def onnx_session(path: Path, *, optimised: bool) -> onnxruntime.InferenceSession:
    """A single-threaded session, with all of onnxruntime's graph optimisations or none."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 3
    levels = onnxruntime.GraphOptimizationLevel
    options.graph_optimization_level = levels.ORT_ENABLE_ALL if optimised else levels.ORT_DISABLE_ALL
    return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])


def _onnxruntime(model: Path, inputs: Mapping[str, Array], outputs: list[str], *, optimised: bool) -> dict[str, Array]:
    session = onnx_session(model, optimised=optimised)
    return dict(zip(outputs, session.run(outputs, dict(inputs)), strict=True))


def _numpy(model: Path, inputs: Mapping[str, Array], outputs: list[str]) -> dict[str, Array]:
    found = runtime.load(model.with_suffix(".npz")).run(dict(inputs))
    return {name: found[name] for name in outputs}


ENGINES: dict[str, Engine] = {
    "onnxruntime without optimisations": partial(_onnxruntime, optimised=False),
    "onnxruntime": partial(_onnxruntime, optimised=True),
    "numpy": _numpy,
}
