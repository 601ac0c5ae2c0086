"""Graphs written down node by node, for what TensorFlow can't run here and for what has to be refused."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx_ir as ir

from exporter.inference.model import InferenceModel, Input, Output
from exporter.lower.tensorflow import lower_tensorflow
from exporter.sources.graph import Graph, Node, Ref, parse_ref
from exporter.sources.model import Variable
from tests.unit.lower.oracle import run

__all__ = ["const", "lower", "lower_and_run", "node"]

Array = npt.NDArray[Any]

NUMBERS = {"float32": 1, "float64": 2, "int32": 3, "int64": 9, "bool": 10, "float16": 19}


def node(name: str, op: str, *inputs: str, **attributes: Any) -> Node:
    """A node whose inputs are written as `x` or `x:1`."""
    return Node(name, op, tuple(parse_ref(text) for text in inputs), (), attributes)


def const(name: str, value: Any) -> Node:
    """A constant."""
    return node(name, "Const", value=np.asarray(value))


def lower(
    nodes: Sequence[Node],
    feeds: Mapping[str, Array],
    outputs: Sequence[str],
    *,
    variables: Sequence[Variable] = (),
    batch_norms: Mapping[str, str] | None = None,
    shapes: Mapping[str, tuple[int | None, ...] | None] | None = None,
) -> ir.Model:
    """The lowered model; the inputs have the shapes of what they are fed, or those in `shapes`."""
    known = shapes or {}
    inputs = tuple(
        Input(name, Ref(name), NUMBERS[str(array.dtype)], known.get(name, array.shape)) for name, array in feeds.items()
    )
    model = InferenceModel(
        graph=Graph({entry.name: entry for entry in nodes}),
        inputs=inputs,
        outputs=tuple(Output(name, parse_ref(name)) for name in outputs),
        variables={variable.node: variable for variable in variables},
        batch_norms=batch_norms or {},
    )
    return lower_tensorflow(model, name="handmade")


def lower_and_run(nodes: Sequence[Node], feeds: Mapping[str, Array], output: str, **options: Any) -> Array:
    """What the lowered model makes of the feeds."""
    return run(lower(nodes, feeds, [output], **options), feeds)[output]
