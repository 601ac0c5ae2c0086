"""What onnxruntime makes of one node, optimisations off: the judge of the NumPy kernels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

Array = npt.NDArray[Any]

OPSET = 18


def onnxruntime_says(
    op: str, inputs: Sequence[Array | None], attributes: Mapping[str, Any], outputs: int = 1, opset: int = OPSET
) -> list[Array]:
    """The outputs of one standard ONNX node on these inputs."""
    onnx = pytest.importorskip("onnx")
    helper = onnx.helper
    names = ["" if x is None else f"i{number}" for number, x in enumerate(inputs)]
    results = [f"o{number}" for number in range(outputs)]
    node = helper.make_node(op, names, results, **attributes)
    given = [(name, x) for name, x in zip(names, inputs, strict=True) if x is not None]
    infos = [helper.make_tensor_value_info(n, helper.np_dtype_to_tensor_dtype(x.dtype), x.shape) for n, x in given]
    graph = helper.make_graph([node], "one", infos, [onnx.ValueInfoProto(name=name) for name in results])
    return _run(helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=10), dict(given))


def _run(model: Any, feeds: Mapping[str, Array]) -> list[Array]:
    ort = pytest.importorskip("onnxruntime")
    options = ort.SessionOptions()
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.intra_op_num_threads = 1
    options.log_severity_level = 4
    session = ort.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    return [np.asarray(y) for y in session.run(None, dict(feeds))]
