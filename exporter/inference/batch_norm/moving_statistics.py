"""Batch statistics become the moving statistics that training kept of them.

For each statistic on the way to the outputs the variable is found that the graph updates from it. Where the updates
were stripped from the graph, variables of the same scope that are called like moving statistics are taken, and that is
said.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np

from exporter.errors import MissingError
from exporter.formats.records import Array
from exporter.inference.batch_norm.moving_averages import Updates, is_statistic
from exporter.inference.findings import Findings
from exporter.inference.graph.op_types import DATA_SOURCES, PLACEHOLDERS
from exporter.inference.graph.queries import FUSED_BATCH_NORMS, MOMENTS, behind, over_batch, variable_behind
from exporter.inference.graph.rewriter import Rewriter
from exporter.report.decisions import Choice, Reason
from exporter.sources.graph import Node, Ref

__all__ = ["Checkpoint", "KeptNames", "use_moving_statistics"]

KeptNames = Callable[[str], bool]

_MEAN_NAMES = ("moving_mean", "pop_mean", "running_mean", "mean_ema", "mean")
_VARIANCE_NAMES = (
    "moving_variance",
    "moving_var",
    "pop_var",
    "pop_variance",
    "running_var",
    "running_variance",
    "variance",
)


@dataclass(frozen=True)
class Checkpoint:
    """What the stage needs to know of the weights.

    Attributes:
        keys: The keys that there are.
        variable: Gives the variable node for a key.
        value: The value of a variable, by its node's name; None if it isn't stored.
        of_keras_export: Whether Keras 3 has exported the model, which loses the training argument of its layers behind
            a `Resizing`: what is in training mode there isn't meant to be.
    """

    keys: frozenset[str]
    variable: Callable[[str], Ref]
    value: Callable[[str], Array | None]
    of_keras_export: bool = False


def use_moving_statistics(
    rewriter: Rewriter,
    outputs: list[Ref],
    updates: Updates,
    checkpoint: Checkpoint,
    findings: Findings,
    *,
    keep: KeptNames,
) -> None:
    """Rewrites every batch norm in training mode that `keep` doesn't name.

    No flag is left that says otherwise, so the graph normalises by the batch wherever it runs. Where the moving
    statistics were never updated, that is what the model means, and it stays so.

    Raises:
        MissingError: A batch norm has no moving statistics, neither by updates nor by names.
    """
    stage = _Stage(rewriter, updates, checkpoint, findings)
    for node in rewriter.order(outputs):
        if node.op in FUSED_BATCH_NORMS and node.attribute("is_training", True):
            if keep(node.name):
                findings.decide("statistics", node.name, Choice.BATCH_STATISTICS, Reason.KEPT_AS_ASKED)
            elif not _normalises_samples(rewriter, node):
                stage.fused(node)
    stage.unfused(outputs, keep)
    stage.complain()
    stage.warn()


def _normalises_samples(rewriter: Rewriter, node: Node) -> bool:
    """Whether the input is reshaped so that each sample is a channel: layer normalisation, which keeps its own."""
    shape_of = rewriter.producer(rewriter.inputs(node)[0])
    if shape_of.op != "Reshape":
        return False
    parts = rewriter.producer(rewriter.inputs(shape_of)[1])
    first = rewriter.value(rewriter.inputs(parts)[0]) if parts.op == "Pack" else rewriter.value(Ref(parts.name))
    return first is not None and first.size > 0 and int(first.reshape(-1)[0]) == 1


class _Stage:
    def __init__(self, rewriter: Rewriter, updates: Updates, checkpoint: Checkpoint, findings: Findings) -> None:
        self.rewriter = rewriter
        self.updates = updates
        self.checkpoint = checkpoint
        self.findings = findings
        self.lost: list[Node] = []
        self.kept: set[Ref] = set()
        self.meant: list[str] = []
        self.replaced: list[str] = []

    def fused(self, node: Node) -> None:
        """`FusedBatchNorm*(x, gamma, beta, [], [], is_training=True)` gets the moving mean and variance."""
        names = [self.updates.variable(Ref(node.name, port)) for port in (1, 2)]
        known = [name for name in names if name is not None]
        if len(known) < len(names):
            refs = self._by_scope(node)
        elif self._keeps_unused(node.name, known):
            return
        else:
            refs = [self._reading(name) for name in known]
            self._say(node.name, known)
        if refs is None:
            return
        x, gamma, beta = self.rewriter.inputs(node)[:3]
        attributes = {**node.attributes, "is_training": False}
        self.rewriter.put(Node(node.name, node.op, (x, gamma, beta, *refs), (), attributes))
        for port, ref in zip((1, 2), refs, strict=True):
            self.rewriter.redirect(Ref(node.name, port), ref)

    def unfused(self, outputs: list[Ref], keep: KeptNames) -> None:
        """Means and variances that arithmetic takes over the batch."""
        self._without_renormalisation(outputs)
        needed = {node.name for node in self.rewriter.order(outputs)}
        exact = self.updates.averaged()
        others = [item for item in self.updates.statistics() if item not in exact]
        unfused = {name for name in needed if self.rewriter.node(name).op not in FUSED_BATCH_NORMS}
        taken = [(ref, variable) for ref, variable in [*exact, *others] if ref.node in unfused]
        for ref, variable in taken:
            node = self.rewriter.node(ref.node)
            if keep(node.name):
                self.findings.decide("statistics", str(ref), Choice.BATCH_STATISTICS, Reason.KEPT_AS_ASKED)
                continue
            beside = {other for _, other in taken if _scope(other) == _scope(variable)}
            if self._keeps_unused(str(ref), sorted(beside)):
                self.kept.add(behind(self.rewriter, ref))
                continue
            reading = self._reading(variable)
            if (ref, variable) not in exact:
                reading = self._shaped_like(node, variable, reading)
            self.rewriter.redirect(ref, reading)
            self._say(str(ref), [variable])
        for node in self.rewriter.order(outputs):
            if node.op in ("Rsqrt", "Sqrt"):
                self._leftover(node, keep)

    def _keeps_unused(self, subject: str, variables: list[str]) -> bool:
        """Keeps the batch's statistics where all that were to be kept of them are as they were initialised."""
        values = [self.checkpoint.value(variable) for variable in variables]
        # moving statistics begin as all zeros or all ones
        initial = all(value is not None and (np.all(value == 0) or np.all(value == 1)) for value in values)
        if self.checkpoint.of_keras_export or len(values) < 2 or not initial:
            return False
        kept = Choice.BATCH_STATISTICS
        self.findings.decide("statistics", subject, kept, Reason.NEVER_UPDATED, variables=tuple(variables))
        self.meant += [_scope(name) or name for name in variables]
        return True

    def _without_renormalisation(self, outputs: list[Ref]) -> None:
        """Batch renormalisation's corrections r and d, which are 1 and 0 at inference.

        r = stddev / moving stddev, d = (mean - moving mean) / moving stddev
        """
        for node in self.rewriter.order(outputs):
            if node.op not in ("RealDiv", "Div") or self._deviation(self.rewriter.inputs(node)[1]) is None:
                continue
            numerator = self.rewriter.node(behind(self.rewriter, self.rewriter.inputs(node)[0]).node)
            if numerator.op not in ("Sqrt", "Sub") or not is_statistic(
                self.rewriter, self.rewriter.inputs(numerator)[0]
            ):
                continue
            value = 1.0 if numerator.op == "Sqrt" else 0.0
            constant = self.rewriter.constant(f"{node.name}/inference", np.array(value, np.float32), 1)
            self.rewriter.redirect(Ref(node.name), constant)
            self.findings.decide("statistics", node.name, value, Reason.RENORMALISATION)

    def _deviation(self, ref: Ref) -> str | None:
        """The averaged standard deviation that a divisor is, perhaps bounded from below."""
        node = self.rewriter.node(behind(self.rewriter, ref).node)
        candidates = self.rewriter.inputs(node) if node.op in ("Maximum", "Add", "AddV2") else (ref,)
        names = [variable_behind(self.rewriter, candidate) for candidate in candidates]
        return next((name for name in names if name in self.updates.deviations), None)

    def _leftover(self, root: Node, keep: KeptNames) -> None:
        """A variance of the batch under a root that no update accounts for."""
        under = self.rewriter.inputs(root)[0]
        node = self.rewriter.producer(under)
        terms = self.rewriter.inputs(node) if node.op in ("Add", "AddV2") else (under,)
        for term in terms:
            ref = behind(self.rewriter, term)
            node = self.rewriter.node(ref.node)
            if node.op not in MOMENTS or not is_statistic(self.rewriter, ref) or ref in self.kept:
                continue
            starts = {other.op for other in self.rewriter.order([ref])} & (PLACEHOLDERS | DATA_SOURCES)
            if not starts:  # weight standardisation, which takes the statistics of kernels
                continue
            if keep(root.name):
                self.findings.decide("statistics", root.name, Choice.BATCH_STATISTICS, Reason.KEPT_AS_ASKED)
            else:
                self._unfused_by_scope(root, ref)

    def _unfused_by_scope(self, root: Node, variance: Ref) -> None:
        squares = self.rewriter.producer(self.rewriter.inputs(self.rewriter.node(variance.node))[0])
        means = [behind(self.rewriter, ref) for ref in self.rewriter.inputs(squares)]
        mean = next((ref for ref in means if self.rewriter.node(ref.node).op in MOMENTS), None)
        if mean is None or not over_batch(self.rewriter, self.rewriter.node(mean.node)):
            return
        refs = self._by_scope(root)
        for old, new in zip((mean, variance), refs or (), strict=refs is not None):
            statistic = self.rewriter.node(old.node)
            self.rewriter.redirect(old, self._shaped_like(statistic, variable_behind(self.rewriter, new) or "", new))

    def _reading(self, variable: str) -> Ref:
        """A tensor with a variable's value."""
        node = self.rewriter.node(variable)
        if node.op != "VarHandleOp":
            return Ref(variable)
        return self.rewriter.add(
            f"{variable}/read_moving", "ReadVariableOp", [Ref(variable)], dtype=node.attribute("dtype")
        )

    def _shaped_like(self, statistic: Node, variable: str, value: Ref) -> Ref:
        """[C] in the shape of the statistic: with ones in the place of the axes it was taken over, if they stay."""
        if statistic.op not in MOMENTS or not statistic.attribute("keep_dims", False):
            return value
        if len(self.rewriter.node(variable).attribute("shape") or ()) > 1:
            return value
        axes = self.rewriter.value(self.rewriter.inputs(statistic)[1])
        assert axes is not None
        rank = axes.size + 1
        reduced = {int(axis) % rank for axis in axes.reshape(-1)}
        shape = np.array([1 if axis in reduced else -1 for axis in range(rank)], np.int32)
        target = self.rewriter.constant(f"{statistic.name}/shape", shape, 3)
        return self.rewriter.add(f"{statistic.name}/moving", "Reshape", [value, target], T=1, Tshape=3)

    def _say(self, subject: str, variables: list[str]) -> None:
        self.findings.decide("statistics", subject, tuple(variables), Reason.UPDATED_BY_GRAPH)
        self.replaced += [_scope(name) or name for name in variables]

    def _by_scope(self, node: Node) -> list[Ref] | None:
        """The moving statistics by their names, beside gamma or beta or in the scope of the op; None if none."""
        for scope in self._scopes(node):
            mean = self._key(scope, _MEAN_NAMES)
            variance = self._key(scope, _VARIANCE_NAMES)
            if mean is not None and variance is not None:
                refs = [self.checkpoint.variable(mean), self.checkpoint.variable(variance)]
                if self._keeps_unused(node.name, [ref.node for ref in refs]):
                    return None
                self.findings.decide("statistics", node.name, (mean, variance), Reason.NAMED_LIKE_STATISTICS)
                self.replaced.append(_scope(mean) or node.name)
                return refs
        self.lost.append(node)
        return None

    def _scopes(self, node: Node) -> list[str]:
        """Scopes to look in: that of the parameters, then those around the op, innermost first."""
        parameters = [variable_behind(self.rewriter, ref) for ref in self.rewriter.inputs(node)[1:3]]
        scopes = [name.rpartition("/")[0] for name in parameters if name is not None]
        scope = node.name
        while "/" in scope:
            scope = scope.rpartition("/")[0]
            scopes.append(scope)
        return scopes

    def _key(self, scope: str, names: tuple[str, ...]) -> str | None:
        return next((f"{scope}/{name}" for name in names if f"{scope}/{name}" in self.checkpoint.keys), None)

    def warn(self) -> None:
        """Says what TensorFlow, or the user, may have seen otherwise."""
        if self.meant:
            self.findings.warn(
                f"{_named(self.meant)}: normalised by the batch itself, as the graph has it; no flag says otherwise, "
                "and their moving statistics are exactly as they were initialised"
            )
        if self.replaced:
            self.findings.warn(
                f"{_named(self.replaced)}: the graph as written normalises by the batch wherever it runs, so "
                "TensorFlow gives other numbers for it; the moving statistics are taken, and --keep-batch-statistics "
                "keeps the batch's"
            )

    def complain(self) -> None:
        """Raises if batch norms have no moving statistics, naming all of them and what there is in their place."""
        if not self.lost:
            return
        complaints = []
        for node in self.lost[:20]:
            scopes = self._scopes(node)
            nearest = [key for key in sorted(self.checkpoint.keys) if scopes and key.startswith(f"{scopes[0]}/")]
            wanted = f"{scopes[0]}/moving_mean and {scopes[0]}/moving_variance" if scopes else "moving statistics"
            there = f"there are only {', '.join(nearest[:6])}" if nearest else "there is nothing in its scope"
            complaints.append(f"{node.name} wants {wanted}, and {there}")
        more = f" and {len(self.lost) - 20} more" if len(self.lost) > 20 else ""
        raise MissingError(
            f"{len(self.lost)} batch norms normalise by the batch, and have no moving statistics in the checkpoint: "
            f"{'; '.join(complaints)}{more}",
            hint=_HINT,
        )


def _scope(name: str) -> str:
    return name.rpartition("/")[0]


def _named(subjects: Iterable[str]) -> str:
    names = list(dict.fromkeys(subjects))
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return ", ".join(names[:_NAMED]) + more


_NAMED = 4

_HINT = (
    "Save all variables (tf.global_variables(), not tf.trainable_variables()), or keep the batch's own statistics with "
    "--keep-batch-statistics"
)
