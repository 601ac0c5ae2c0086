"""The inference function: what the front end for TensorFlow graphs lowers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from exporter.sources.graph import Graph, Node, Ref
from exporter.sources.model import Variable

__all__ = ["BATCH_NORM", "IF", "LOOP", "Branches", "InferenceModel", "Input", "LoopBody", "Output", "read_inside"]

BATCH_NORM = "BatchNorm"
"""The op type of a batch norm that was recognised in arithmetic: inputs x, gamma, beta, mean, variance (each of shape
[C]); attributes `epsilon` (float) and `axis` (int, of the channels in x)."""

LOOP = "Loop"
"""The op type of a loop: inputs are the loop variables before the first step, outputs what they are after the last one;
attributes `body` (`LoopBody`) and `assigned`, the variables that its steps assign to and the model reads."""

IF = "Condition"
"""The op type of a condition of which only the side that is taken is computed: the input is what decides, outputs what
the taken side gives; attribute `branches` (`Branches`)."""


@dataclass(frozen=True, slots=True)
class Branches:
    """The sides of a condition; their nodes may use every tensor of the graph around it.

    Attributes:
        then: What is computed if it is true, in topological order.
        if_true: What that gives.
        otherwise: What is computed if it is false.
        if_false: What that gives.
    """

    then: tuple[Node, ...]
    if_true: tuple[Ref, ...]
    otherwise: tuple[Node, ...]
    if_false: tuple[Ref, ...]


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
            `Switch`/`Merge`/`If`/`Case` on data have become `SelectV2` of both branches, which `branches` may make `IF`
            nodes of. Nodes that an `Input` replaces are left out. Loops are `LOOP` nodes, whose nodes are in the body
            and not here.
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


def read_inside(node: Node) -> tuple[tuple[Node, ...], tuple[Ref, ...]]:
    """The nodes inside of a `LOOP` or `IF`, not those in these, and the tensors that it takes from among them."""
    body, branches = node.attribute("body"), node.attribute("branches")
    if node.op == LOOP:
        return body.nodes, (body.condition, *body.following)
    if node.op == IF:
        return (*branches.then, *branches.otherwise), (*branches.if_true, *branches.if_false)
    return (), ()
