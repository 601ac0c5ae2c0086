"""What computes outputs from inputs: onnxruntime and the NumPy runtime on the files, both as a user would run them."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime as ort
from onnxruntime.capi import onnxruntime_pybind11_state as ort_errors

import runtime
from exporter.verify.compare import Array
from exporter.verify.onnx_head import with_more_outputs
from runtime.bundle import read
from runtime.document import Value
from runtime.engine.executor import Compiled
from runtime.engine.selection import Policy
from runtime.net import Net
from runtime.plan import Graph

__all__ = ["Engine", "EngineError", "Feeds", "bundle_engine", "onnx_engine"]

Feeds = Mapping[str, Array]

_INPUT_ORDERS = "input_orders"


class EngineError(Exception):
    """An engine can't load a file, or fails to run it; the message is the engine's."""


@dataclass(frozen=True)
class Engine:
    """Something that computes outputs by name; inputs are given in TensorFlow's layout.

    Attributes:
        name: What it is, for people.
        outputs: The names of the outputs.
        run: All outputs; EngineError if it fails.
        traces: Whether `run` gives results inside of the model, too.
        channels_last: Whether all results inside are laid out as in TensorFlow.
        input_shapes: Of an ONNX file, its inputs' sizes by name; what is no number is open.
        output_shapes: The same of its outputs.
    """

    name: str
    outputs: tuple[str, ...]
    run: Callable[[Feeds], dict[str, Array]]
    channels_last: bool = False
    traces: bool = False
    input_shapes: Mapping[str, Sequence[object]] = field(default_factory=dict)
    output_shapes: Mapping[str, Sequence[object]] = field(default_factory=dict)


def onnx_engine(path: Path, *, optimised: bool, also: Sequence[str] = ()) -> Engine:
    """onnxruntime on the CPU, with all of its graph optimisations or none. EngineError if it doesn't load the file.

    `also` are tensors inside the model that become outputs too, as far as there are such.
    """
    options = ort.SessionOptions()
    options.log_severity_level = 4
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    level = ort.GraphOptimizationLevel
    options.graph_optimization_level = level.ORT_ENABLE_ALL if optimised else level.ORT_DISABLE_ALL
    name = f"onnxruntime, {'optimised' if optimised else 'as written'}"
    try:
        if also:  # weights in a file beside it stay there
            options.add_session_config_entry("session.model_external_initializers_file_folder_path", str(path.parent))
        model, elsewhere = with_more_outputs(path, list(dict.fromkeys(also))) if also else (path, {})
        if elsewhere:
            values = [ort.OrtValue.ortvalue_from_numpy(array) for array in elsewhere.values()]
            options.add_external_initializers(list(elsewhere), values)
        session = ort.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    except _ORT_ERRORS as error:
        raise EngineError(f"{name} can't load {path.name}: {_first_line(error)}") from error
    orders = json.loads(session.get_modelmeta().custom_metadata_map.get(_INPUT_ORDERS, "{}"))
    outputs = tuple(output.name for output in session.get_outputs())
    types: dict[str, np.dtype[Any] | None] = {value.name: _FLOATS.get(value.type) for value in session.get_inputs()}

    def run(feeds: Feeds) -> dict[str, Array]:
        given = {key: _given(array, orders.get(key), types.get(key)) for key, array in feeds.items()}
        try:
            return dict(zip(outputs, session.run(outputs, given), strict=True))
        except _ORT_ERRORS as error:
            raise EngineError(f"{name} can't run {path.name}: {_first_line(error)}") from error

    shapes = [{end.name: tuple(end.shape) for end in ends} for ends in (session.get_inputs(), session.get_outputs())]
    return Engine(name, outputs, run, input_shapes=shapes[0], output_shapes=shapes[1])


def bundle_engine(path: Path, *, also: Sequence[str] = ()) -> Engine:
    """The NumPy runtime. EngineError if it doesn't load the file. `also` is as for `onnx_engine`."""
    try:
        net = _net_with_outputs(path, also) if also else runtime.load(path, calibrate=False)
    except runtime.NetError as error:
        raise EngineError(f"the NumPy runtime can't load {path.name}: {error}") from error

    def run(feeds: Feeds) -> dict[str, Array]:
        try:
            return net.run(feeds)
        except runtime.NetError as error:
            raise EngineError(f"the NumPy runtime can't run {path.name}: {error}") from error

    return Engine("NumPy runtime", tuple(value.name for value in net.outputs), run, channels_last=True)


def _net_with_outputs(path: Path, tensors: Sequence[str]) -> Net:
    bundle = read(path)
    own, graph = {value.name for value in bundle.outputs}, bundle.graph
    made = {name for node in graph.nodes for name in node.outputs}
    more = tuple(name for name in dict.fromkeys(tensors) if name in made - own)
    outputs = (*bundle.outputs, *(Value(name, "float32", None) for name in more))
    graph = Graph(graph.inputs, (*graph.outputs, *more), graph.nodes)
    more_outputs = bundle._replace(graph=graph, outputs=outputs)
    return Net(more_outputs, Compiled(more_outputs, Policy("standard")))


_FLOATS: dict[str, np.dtype[Any]] = {"tensor(float16)": np.dtype(np.float16), "tensor(float)": np.dtype(np.float32)}


def _given(array: Array, order: list[int] | None, dtype: np.dtype[Any] | None) -> Array:
    """An input in the order of axes and in the float type that the file wants."""
    moved = array if order is None else array.transpose(order)
    return moved.astype(dtype, copy=False) if dtype is not None and array.dtype.kind == "f" else moved


def _first_line(error: Exception) -> str:
    return str(error).strip().splitlines()[0][:300]


_ORT_ERRORS: tuple[type[Exception], ...] = (
    RuntimeError,
    ValueError,
    *(kind for kind in vars(ort_errors).values() if isinstance(kind, type) and issubclass(kind, Exception)),
)
"""onnxruntime's errors have no base class of their own."""
