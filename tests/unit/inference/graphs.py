"""Small TensorFlow graphs written down node by node, with the weights that belong to them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from exporter.formats.records import Array
from exporter.inference.findings import Findings
from exporter.inference.graph.inline import Inliner
from exporter.inference.graph.rewriter import Rewriter
from exporter.inference.model import InferenceModel
from exporter.inference.pipeline import to_inference
from exporter.options import Options
from exporter.report.records import BatchNorm
from exporter.sources.graph import FunctionBody, FunctionCall, Graph, Node, Ref
from exporter.sources.model import Signature, SourceModel, Variable
from tests.unit.stores import MemoryStore

__all__ = ["BOOL", "FLOAT", "INT32", "STRING", "Draft", "Inferred"]

FLOAT, INT32, STRING, BOOL = 1, 3, 7, 10


@dataclass(frozen=True)
class Inferred:
    """What became of a draft."""

    model: InferenceModel
    batch_norms: tuple[BatchNorm, ...]
    findings: Findings

    @property
    def ops(self) -> list[str]:
        """The op types that are left, in order."""
        return [node.op for node in self.model.graph]

    def decided(self, kind: str) -> dict[str, str]:
        """The decisions of a kind: subject to choice."""
        return {d.subject: d.choice for d in self.findings.decisions if d.kind == kind}


@dataclass
class Draft:
    """A graph being written; every method that adds a node returns its first result."""

    nodes: dict[str, Node] = field(default_factory=dict)
    functions: dict[str, FunctionBody] = field(default_factory=dict)
    weights: dict[str, Array] = field(default_factory=dict)
    signatures: dict[str, Signature] = field(default_factory=dict)

    def add(self, name: str, op: str, *inputs: Ref, controls: Sequence[str] = (), **attributes: Any) -> Ref:
        """Any node."""
        assert name not in self.nodes, name
        self.nodes[name] = Node(name, op, inputs, tuple(controls), attributes)
        return Ref(name)

    def placeholder(self, name: str, shape: tuple[int | None, ...] | None = (None, 4), dtype: int = FLOAT) -> Ref:
        """An input, label or flag."""
        return self.add(name, "Placeholder", dtype=dtype, shape=shape)

    def flag(self, name: str, *, default: bool | None = None) -> Ref:
        """A scalar bool placeholder, perhaps with a default."""
        if default is None:
            return self.placeholder(name, (), BOOL)
        value = self.const(f"{name}/default", np.array(default))
        return self.add(name, "PlaceholderWithDefault", value, dtype=BOOL, shape=())

    def const(self, name: str, value: Any) -> Ref:
        """A constant; Python floats and ints become float32 and int32."""
        array = np.asarray(value)
        if array.dtype.kind in "fi":
            array = array.astype(np.float32 if array.dtype.kind == "f" else np.int32)
        number = {"f": FLOAT, "i": INT32, "b": BOOL}[array.dtype.kind]
        return self.add(name, "Const", value=array, dtype=number)

    def variable(self, name: str, shape: tuple[int, ...] = (4,), value: float = 0.5, *, resource: bool = False) -> Ref:
        """A variable with its reading, which is returned."""
        self.weights[name] = np.full(shape, value, np.float32)
        if resource:
            handle = self.add(name, "VarHandleOp", dtype=FLOAT, shape=shape)
            return self.add(f"{name}/read", "ReadVariableOp", handle, dtype=FLOAT)
        return self.add(f"{name}/read", "Identity", self.add(name, "VariableV2", dtype=FLOAT, shape=shape))

    def dense(self, name: str, x: Ref, units: int = 4) -> Ref:
        """`x @ kernel`."""
        return self.add(f"{name}/MatMul", "MatMul", x, self.variable(f"{name}/kernel", (4, units)), T=FLOAT)

    def fused(self, name: str, x: Ref, *, training: bool, averaged: bool = True) -> Ref:
        """A fused batch norm with its four variables; in training mode with updates of the moving ones."""
        parameters = [self.variable(f"{name}/{part}") for part in ("gamma", "beta")]
        moving = [self.variable(f"{name}/{part}") for part in ("moving_mean", "moving_variance")]
        given = [self.const(f"{name}/empty_{i}", np.zeros(0)) for i in range(2)] if training else moving
        y = self.add(f"{name}/Fused", "FusedBatchNormV3", x, *parameters, *given, is_training=training, epsilon=1e-3)
        if training and averaged:
            self.average(f"{name}/moving_mean", Ref(y.node, 1))
            self.average(f"{name}/moving_variance", Ref(y.node, 2))
        return y

    def average(self, variable: str, statistic: Ref) -> Ref:
        """`variable -= (variable - statistic) * 0.1`."""
        scope = f"{variable}/AssignMovingAvg"
        difference = self.add(f"{scope}/sub", "Sub", Ref(f"{variable}/read"), statistic)
        step = self.add(f"{scope}/mul", "Mul", difference, self.const(f"{scope}/decay", 0.1))
        op = "AssignSubVariableOp" if self.nodes[variable].op == "VarHandleOp" else "AssignSub"
        return self.add(scope, op, Ref(variable), step)

    def mean(self, name: str, x: Ref, axes: Sequence[int] = (0,), *, keep: bool = False) -> Ref:
        """A mean over constant axes."""
        return self.add(name, "Mean", x, self.const(f"{name}/axes", np.array(axes)), keep_dims=keep)

    def switch(self, name: str, data: Ref, predicate: Ref, op: str = "Switch") -> tuple[Ref, Ref]:
        """What is alive when the predicate is false, and what is alive when it is true."""
        node = self.add(name, op, data, predicate)
        return Ref(node.node, 0), Ref(node.node, 1)

    def function(self, name: str, arguments: Sequence[str], outputs: Sequence[Ref], inner: Draft) -> FunctionCall:
        """A function of the library, made of another draft's nodes; returns the value of an attribute that names it."""
        self.functions[name] = FunctionBody(name, tuple(arguments), tuple(outputs), inner.nodes)
        return FunctionCall(name)

    def graph(self) -> Graph:
        """All of it."""
        return Graph(dict(self.nodes), dict(self.functions))

    def rewriter(self) -> Rewriter:
        """All of it, to be edited by one stage."""
        return Rewriter(self.graph())

    def inliner(self) -> tuple[Rewriter, Inliner]:
        """The same with what inlines functions."""
        rewriter = self.rewriter()
        return rewriter, Inliner(rewriter)

    def source(self) -> SourceModel:
        """As if read from a checkpoint that holds `weights`."""
        store = MemoryStore(self.weights)
        variables, missing = {}, {}
        for node in self.nodes.values():
            if node.op not in ("VariableV2", "Variable", "VarHandleOp"):
                continue
            if node.name in store:
                info = store.info(node.name)
                read = self.weights[node.name].copy
                variables[node.name] = Variable(node.name, node.name, info.kind, info.shape, read)
            else:
                missing[node.name] = node.name
        return SourceModel(Path("draft"), "a draft", self.graph(), store, variables, missing, self.signatures)

    def infer(self, *outputs: str, **options: Any) -> Inferred:
        """The inference function."""
        return Inferred(*to_inference(self.source(), Options(outputs=outputs, **options)))
