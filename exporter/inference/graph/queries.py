"""What shows that a part of a graph belongs to training, and the groups of ops that several stages look for."""

from __future__ import annotations

from exporter.inference.graph.op_types import LAYER_OPS
from exporter.inference.graph.rewriter import Rewriter
from exporter.sources.graph import FunctionCall, Node, Ref
from exporter.sources.model import VARIABLE_OPS

__all__ = [
    "ASSIGN_OPS",
    "BOOL",
    "CONDITION",
    "CONDITIONAL",
    "COSMETIC",
    "FUSED_BATCH_NORMS",
    "LOOP_RESULT",
    "LOOP_STATE",
    "MERGES",
    "MOMENTS",
    "PREDICATES",
    "RANDOM_OPS",
    "SHAPE_OPS",
    "STEPWISE",
    "SWITCHES",
    "VARIABLE_READS",
    "assigns",
    "behind",
    "has_computed_default",
    "loop_of",
    "over_batch",
    "training_op",
    "variable_behind",
]

BOOL = 10
"""TensorFlow's type number of bool."""

CONDITION = "of_condition"
"""The attribute of a SelectV2 that stands for a condition on data: its name, the same for all results of one."""

CONDITIONAL = "on_one_side_of_a_condition"
"""The attribute of what TensorFlow computes only where its side of some condition is taken."""

FUSED_BATCH_NORMS = frozenset({"FusedBatchNorm", "FusedBatchNormV2", "FusedBatchNormV3"})

RANDOM_OPS = frozenset(
    {
        "Multinomial",
        "ParameterizedTruncatedNormal",
        "RandomGamma",
        "RandomPoisson",
        "RandomPoissonV2",
        "RandomShuffle",
        "RandomStandardNormal",
        "RandomUniform",
        "RandomUniformInt",
        "StatefulRandomBinomial",
        "StatefulStandardNormalV2",
        "StatefulTruncatedNormal",
        "StatefulUniform",
        "StatefulUniformInt",
        "StatelessMultinomial",
        "StatelessRandomNormal",
        "StatelessRandomNormalV2",
        "StatelessRandomUniform",
        "StatelessRandomUniformInt",
        "StatelessRandomUniformIntV2",
        "StatelessRandomUniformV2",
        "StatelessTruncatedNormal",
        "StatelessTruncatedNormalV2",
        "TruncatedNormal",
    }
)

ASSIGN_OPS = frozenset(
    {
        "Assign",
        "AssignAdd",
        "AssignAddVariableOp",
        "AssignSub",
        "AssignSubVariableOp",
        "AssignVariableOp",
    }
)

STEPWISE = "runs_in_every_step_of"
"""The attribute that names the loop of an op that does something else at each step, whatever it is given."""

SHAPE_OPS = frozenset({"Shape", "ShapeN", "Size", "Rank"})

COSMETIC = frozenset(
    {"Identity", "Squeeze", "Reshape", "ExpandDims", "Cast", "StopGradient", "EnsureShape", "Snapshot"}
)
"""Ops that leave the numbers of a statistic as they are."""

LOOP_STATE = "LoopState"
"""A loop variable at the start of a step: its value before the loop, and after the step before; then, of a loop on one
side of conditions, what decides about them, which has to be there first."""

LOOP_RESULT = "LoopResult"
"""A loop variable after the last step: its `LOOP_STATE`, and whether there is another step."""

MOMENTS = frozenset({"Mean", "Sum"})

PREDICATES = frozenset(
    {"Equal", "Greater", "GreaterEqual", "Less", "LessEqual", "LogicalAnd", "LogicalNot", "LogicalOr", "NotEqual"}
)
"""Comparisons, and what puts their results together."""

MERGES = frozenset({"Merge", "RefMerge"})

SWITCHES = frozenset({"Switch", "RefSwitch", "_SwitchN"})

VARIABLE_READS = SWITCHES | {"Identity", "ReadVariableOp", "Cast", "Snapshot", "StopGradient"}


def training_op(node: Node) -> str | None:
    """What in this op is of training, in words; None if nothing is."""
    if node.op in RANDOM_OPS:
        return "random numbers are drawn"
    if node.op in ASSIGN_OPS:
        return "a variable is assigned to"
    if node.op in FUSED_BATCH_NORMS and node.attribute("is_training", True):
        return "batch statistics are used"
    return None


def loop_of(node: Node) -> str:
    """The loop of a `LOOP_STATE` or `LOOP_RESULT`."""
    return str(node.attribute("loop"))


def assigns(rewriter: Rewriter, call: FunctionCall) -> bool:
    """Whether a function assigns to variables."""
    body = rewriter.graph.functions.get(call.name)
    return body is not None and any(node.op in ASSIGN_OPS for node in body.nodes.values())


def over_batch(rewriter: Rewriter, node: Node) -> bool:
    """Whether a reduction with constant axes goes over axis 0."""
    axes = rewriter.value(rewriter.inputs(node)[1]) if len(node.inputs) > 1 else None
    return axes is not None and 0 in axes.reshape(-1)


def behind(rewriter: Rewriter, ref: Ref) -> Ref:
    """The tensor behind ops that leave its numbers as they are."""
    ref = rewriter.resolve(ref)
    node = rewriter.node(ref.node)
    while node.op in COSMETIC and node.inputs:
        ref = rewriter.inputs(node)[0]
        node = rewriter.node(ref.node)
    return ref


def variable_behind(rewriter: Rewriter, ref: Ref) -> str | None:
    """The name of the variable that a tensor is a reading of (perhaps reshaped); None if it is something else."""
    node = rewriter.producer(ref)
    while node.op in VARIABLE_READS | COSMETIC and node.inputs:
        node = rewriter.producer(rewriter.inputs(node)[0])
    return node.name if node.op in VARIABLE_OPS else None


def has_computed_default(rewriter: Rewriter, node: Node) -> bool:
    """Whether it is a placeholder whose default layers compute: a place where cached activations may be fed."""
    if node.op != "PlaceholderWithDefault":
        return False
    return any(needed.op in LAYER_OPS for needed in rewriter.order(rewriter.inputs(node)))
