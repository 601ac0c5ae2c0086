"""The inference function: what the front end for TensorFlow graphs lowers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from exporter.sources.graph import Graph, Node, Ref
from exporter.sources.model import Variable

__all__ = ["BATCH_NORM", "LOOP", "InferenceModel", "Input", "LoopBody", "Output"]

BATCH_NORM = "BatchNorm"
"""The op type of a batch norm that was recognised in arithmetic: inputs x, gamma, beta, mean, variance (each of shape
[C]); attributes `epsilon` (float) and `axis` (int, of the channels in x)."""

LOOP = "Loop"
"""The op type of a loop: inputs are the loop variables before the first step, outputs what they are after the last one;
attributes `body` (`LoopBody`) and `assigned`, the variables that its steps assign to and the model reads."""


@dataclass(frozen=True, slots=True)
class LoopBody:
    """A step of a loop.

    Attributes:
        states: The loop variables at the start of a step; no node provides these tensors.
        nodes: In topological order, inner loops among them; they may use every tensor of the graph around the loop.
        condition: Computed from `states`: whether there is another step.
        following: The loop variables after a step.
    """

    states: tuple[Ref, ...]
    nodes: tuple[Node, ...]
    condition: Ref
    following: tuple[Ref, ...]


@dataclass(frozen=True, slots=True)
class Input:
    """A tensor that the function is given: any output of any node of the source graph, cut off from what made it.

    Attributes:
        name: The TensorFlow name without `:0`.
        ref: The tensor.
        dtype: TensorFlow's type number (1 float, 3 int32, ...).
        shape: Sizes, None for an unknown one; None altogether for an unknown rank.
        written: The batch that the graph was written for, where `shape` leaves open what the file has as a number.
    """

    name: str
    ref: Ref
    dtype: int
    shape: tuple[int | None, ...] | None
    written: int | None = None


@dataclass(frozen=True, slots=True)
class Output:
    """A tensor that the function returns."""

    name: str
    ref: Ref


@dataclass(frozen=True)
class InferenceModel:
    """A graph without anything of training.

    Attributes:
        graph: Only nodes that the outputs need, in topological order; function calls are inlined, conditions that are
            known are resolved. A recognised batch norm is a `BATCH_NORM` node or a `FusedBatchNorm*` node with
            `is_training` false; a `FusedBatchNorm*` with `is_training` true keeps its own statistics on purpose.
            `Switch`/`Merge`/`If` on data have become `Select` of both branches. Nodes that an `Input` replaces are
            left out. Loops are `LOOP` nodes, whose nodes are in the body and not here.
        inputs: In the order they are to have.
        outputs: In the order they are to have.
        variables: By node name (nodes of `VARIABLE_OPS` in the graph).
        batch_norms: Name of each batch norm node's batch norm: node name to the name in the report.
    """

    graph: Graph
    inputs: tuple[Input, ...]
    outputs: tuple[Output, ...]
    variables: Mapping[str, Variable]
    batch_norms: Mapping[str, str]
