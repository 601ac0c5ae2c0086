"""Judges lowered ops by TensorFlow: the same graph is run there, and lowered and evaluated here."""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx_ir as ir

from exporter.formats import tf_protos
from exporter.inference.model import InferenceModel, Input, Output
from exporter.ir.evaluate import attributes_of, evaluate
from exporter.lower.tensorflow import lower_tensorflow
from exporter.sources.graph import Graph, Node, Ref, parse_ref
from exporter.sources.graph_def import read_graph
from runtime.kernels import KERNELS

__all__ = ["Case", "Judged", "assert_close", "check", "evaluated", "judge", "lower_case", "needed", "tensorflow"]

Array = npt.NDArray[Any]
Build = Callable[..., Any]

FLOAT32_EPS = 2.0**-23


def tensorflow() -> Any:
    """TensorFlow, imported without the noise it makes."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import tensorflow as tf
    return tf


@dataclass(frozen=True)
class Case:
    """A small graph and what it is fed.

    Attributes:
        name: Of the test.
        build: `build(tf, *placeholders)` returns a tensor, or several.
        feeds: One array per placeholder.
        units: How many float32 epsilons, of the largest result, the results may differ by; 0: not at all.
        shapes: Which knowledge of the inputs' sizes to try: `static`, `batch` (unknown), `none` (known but the last).
    """

    name: str
    build: Build
    feeds: Sequence[Any]
    units: float = 16
    shapes: Sequence[str] = field(default=("static", "batch", "none"))


def _declared(array: Array, knowledge: str) -> list[int | None]:
    shape: list[int | None] = list(array.shape)
    if knowledge == "batch" and shape:
        shape[0] = None
    if knowledge == "none" and shape:
        shape[:-1] = [None] * (len(shape) - 1)
    return shape


@dataclass(frozen=True)
class Judged:
    """A graph as TensorFlow wrote it, and what TensorFlow made of it.

    Attributes:
        graph: The GraphDef, serialised.
        inputs: The placeholders: name, dtype number, declared shape.
        outputs: The tensors that were asked for, as `node:index`; `y0`, `y1`, ... in the model.
        feeds: By placeholder.
        expected: By output of the model.
        units: What the case allows.
    """

    graph: bytes
    inputs: tuple[Input, ...]
    outputs: tuple[str, ...]
    feeds: Mapping[str, Array]
    expected: Mapping[str, Array]
    units: float

    def lower(self, name: str) -> ir.Model:
        """Lower the graph, without TensorFlow."""
        message = tf_protos.parse(tf_protos.message("GraphDef"), self.graph, what="graph")
        outputs = tuple(Output(f"y{i}", parse_ref(tensor)) for i, tensor in enumerate(self.outputs))
        model = InferenceModel(
            graph=needed(read_graph(message), [o.ref for o in outputs], {i.ref.node for i in self.inputs}),
            inputs=self.inputs,
            outputs=outputs,
            variables={},
            batch_norms={},
        )
        return lower_tensorflow(model, name=name)


def judge(case: Case, knowledge: str) -> Judged:
    """Build the graph of a case in TensorFlow and run it there."""
    tf = tensorflow()
    graph = tf.Graph()
    with graph.as_default():
        placeholders = [
            tf.compat.v1.placeholder(array.dtype, _declared(array, knowledge), name=f"x{i}")
            for i, array in enumerate(case.feeds)
        ]
        results = case.build(tf, *placeholders)
        results = list(results) if isinstance(results, list | tuple) else [results]
        with tf.compat.v1.Session(graph=graph) as session:
            expected = session.run(results, dict(zip(placeholders, case.feeds, strict=True)))
    inputs = tuple(
        Input(p.op.name, Ref(p.op.name), p.dtype.as_datatype_enum, tuple(_declared(array, knowledge)))
        for p, array in zip(placeholders, case.feeds, strict=True)
    )
    return Judged(
        graph=graph.as_graph_def().SerializeToString(),
        inputs=inputs,
        outputs=tuple(tensor.name for tensor in results),
        feeds={entry.name: array for entry, array in zip(inputs, case.feeds, strict=True)},
        expected={f"y{i}": array for i, array in enumerate(expected)},
        units=case.units,
    )


def lower_case(case: Case, knowledge: str) -> tuple[ir.Model, Mapping[str, Array], Mapping[str, Array]]:
    """The lowered graph of a case, what it is fed, and what TensorFlow makes of it."""
    judged = judge(case, knowledge)
    return judged.lower(case.name), judged.feeds, judged.expected


def needed(graph: Graph, outputs: Sequence[Ref], given: set[str]) -> Graph:
    """The nodes that the outputs need, in the order of the file."""
    kept: set[str] = set()
    pending = [ref.node for ref in outputs]
    while pending:
        name = pending.pop()
        if name in kept or name in given:
            continue
        kept.add(name)
        pending.extend(ref.node for ref in graph.nodes[name].inputs)
    nodes: dict[str, Node] = {node.name: node for node in graph if node.name in kept}
    return Graph(nodes)


def run(model: ir.Model, feeds: Mapping[str, Array]) -> dict[str, Array]:
    """The model's outputs; every result on the way has to have the dtype and shape that the IR says it has."""
    known: dict[ir.Value, Array] = {value: feeds[str(value.name)] for value in model.graph.inputs}
    for value in model.graph.initializers.values():
        assert value.const_value is not None
        known[value] = value.const_value.numpy()
    for node in model.graph:
        inputs = [None if v is None else known[v] for v in node.inputs]
        results = KERNELS[node.op_type](inputs, attributes_of(node))
        for value, array in zip(node.outputs, results, strict=False):
            _assert_as_declared(value, array)
            known[value] = array
    return {str(value.name): known[value] for value in model.graph.outputs}


def evaluated(model: ir.Model, feeds: Mapping[str, Array]) -> dict[str, Array]:
    """Node by node, each result checked against what the IR says of it; with loops as a whole, in float32."""
    if any(node.op_type == "Loop" for node in model.graph):
        return evaluate(model, feeds, dtype=np.float32)
    return run(model, feeds)


def _assert_as_declared(value: ir.Value, array: Array) -> None:
    where = f"{value.name} of {value.producer()}"
    assert value.dtype is not None and value.dtype.numpy() == array.dtype, f"{where} is {array.dtype}"
    if value.shape is not None:
        assert len(value.shape) == array.ndim, f"{where} has shape {array.shape}"
        for declared, size in zip(value.shape, array.shape, strict=True):
            assert not isinstance(declared, int) or declared == size, f"{where} has shape {array.shape}"


def assert_close(actual: Array, expected: Array, units: float, what: str = "") -> None:
    """The same dtype, shape, and numbers up to `units` float32 epsilons of the largest one."""
    assert actual.dtype == expected.dtype, f"{what}: {actual.dtype} for {expected.dtype}"
    assert actual.shape == expected.shape, f"{what}: {actual.shape} for {expected.shape}"
    if actual.dtype.kind != "f" or units == 0:
        np.testing.assert_array_equal(actual, expected, err_msg=what)
        return
    finite = np.isfinite(expected)
    np.testing.assert_array_equal(actual[~finite], expected[~finite], err_msg=what)
    scale = max(1e-30, float(np.max(np.abs(expected[finite]), initial=0)))
    eps = FLOAT32_EPS if actual.dtype != np.float16 else 2.0**-10
    np.testing.assert_allclose(actual[finite] / scale, expected[finite] / scale, rtol=0, atol=units * eps, err_msg=what)


def check(case: Case, knowledge: str) -> ir.Model:
    """Lowers a case, evaluates it and compares it with TensorFlow; returns the lowered model."""
    model, feeds, expected = lower_case(case, knowledge)
    actual = run(model, feeds)
    for name, array in expected.items():
        assert_close(actual[name], np.asarray(array), case.units, f"{case.name}, {name}")
    return model
