"""Folds batch norms, biases and constant factors into the linear ops around them.

Each site (see `collect`) is tried in this order, as long as something of it is left: all of it up into what makes its
input; all of it down into what uses its output; then its scale, or its shift, alone. Everything is exact in real
numbers, computed in float64 and rounded once, and costs no digits (see `cancellation` and `rounding`). What can't go
anywhere stays, as the cheapest op, with the reason.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, replace

import numpy as np
import onnx_ir as ir

from exporter.ir import edit
from exporter.ir.edit import constant_array
from exporter.ir.evaluate import Constants
from exporter.ir.opset import record_of
from exporter.passes.affine.absorb import Ledger, storage, write_weights
from exporter.passes.affine.affine_map import Affine
from exporter.passes.affine.cancellation import FACTOR, Exactness, centred
from exporter.passes.affine.collect import Site, collect, order_matters, readers, source_of
from exporter.passes.affine.constant_channels import ConstantChannels
from exporter.passes.affine.leftover import write_leftover
from exporter.passes.affine.plan import Plan, Planner
from exporter.passes.affine.refusal import Refused
from exporter.passes.affine.rounding import EXACT, Ends, check_noise, is_narrow
from exporter.passes.affine.weighted import Weighted
from exporter.passes.naming import Namer
from exporter.report.records import FoldOutcome

__all__ = ["affine_sources", "fold_affine"]


def fold_affine(model: ir.Model, keep: Collection[str] = ()) -> tuple[FoldOutcome, ...]:
    """Folds what is exact in place, and tells of each batch norm and each other affine op what became of it.

    Each subgraph is folded by itself: nothing moves across its border. The ops whose sources are in `keep` stay.

    ValueInputError for a batch norm with a negative variance, NaN or infinity.
    """
    graphs = (model.graph, *model.graph.subgraphs())
    return tuple(outcome for graph in graphs for outcome in _Folding(model, graph, keep).run())


def affine_sources(model: ir.Model) -> tuple[str, ...]:
    """The sources of all ops that may be affine maps, in the graph's order."""
    nodes = (node for node in model.graph.all_nodes() if record_of(node.op_type).affine)
    return tuple(dict.fromkeys(source_of(node) for node in nodes))


@dataclass(frozen=True)
class _Attempt:
    """One way to get rid of a part of an affine map.

    Attributes:
        part: What is to be moved.
        rest: What stays then.
        up: Whether it goes to the producers rather than to the users.
        what: The part's name in the report.
    """

    part: Affine
    rest: Affine
    up: bool
    what: str


_AGAIN = 8
"""How many earlier sites are tried again when a later one was composed into them."""


class _Folding:
    def __init__(self, model: ir.Model, graph: ir.Graph, keep: Collection[str]) -> None:
        self._model, self._graph = model, graph
        self._namer = Namer(model.graph)
        self._constants = Constants()
        self._ledger = Ledger()
        self._channels = ConstantChannels(self._constants, self._ledger)
        self._exactness = Exactness(self._constants)
        self._sites = collect(graph, self._constants, self._namer, self._channels, self._exactness, keep)
        whole = "model" if graph is model.graph else "subgraph"
        self._planner = Planner(graph, self._constants, self._sites, self._ledger, whole=whole)
        self._joined: set[Site] = set()
        self._changed: list[Site] = []

    def run(self) -> tuple[FoldOutcome, ...]:
        # what computes only constants that are known now
        _remove_unused(self._graph, but=self._constants)
        gone = [self._sites.pop(node) for node in list(self._sites) if node.graph is None]
        how = "its result is a constant, and nothing is computed for it"
        outcomes = [FoldOutcome(site.batch_norms, site.source, None, how, None, site.dead) for site in gone]
        for site in self._sites.values():
            # as much of it as can be, then of the earlier sites that something of it was moved to
            self._changed = []
            self._move(site)
            for earlier in self._changed[:_AGAIN]:
                self._move(earlier)
        for site in self._sites.values():
            divide = (node := site.input.producer()) is not None and self._exactness.subtracts(node)
            # the two maps, one after the other, as which it is written
            rounded = site.scaled_first or not self._exactness.is_exact(site.input)
            centre = None if rounded else self._centred(site)
            if centre is not None and centre[1].is_identity:
                centre = None
            write_leftover(self._graph, self._namer, site, centre=centre, divide=divide)
        _remove_unused(self._graph)
        edit.remove_dead(self._model)
        namer = Namer(self._model.graph)
        for op, mapped in self._ledger:
            if op.node.graph is None:
                continue
            write_weights(op, mapped, self._constants, namer, self._ledger.bias_name(op))
        _remove_unused(self._graph)
        edit.remove_dead(self._model)
        outcomes += [_outcome(site) for site in self._sites.values() if site not in self._joined]
        for op, count in self._channels.taken:
            if op.node.graph is not None:
                source = op.node.metadata_props.get("source") or str(op.node.name)
                how = f"{count} constant input channels into kernel and bias: their part of the kernel is 0 now"
                outcomes.append(FoldOutcome((), source, source, how, None, rescaled=True))
        return tuple(outcomes)

    def _move(self, site: Site) -> None:
        while not site.affine.is_identity:
            reasons: list[str] = []
            if not any(self._try(site, attempt, reasons) for attempt in self._attempts(site)):
                site.reason = "; ".join(dict.fromkeys(reasons[:2]))
                return

    def _attempts(self, site: Site) -> Iterator[_Attempt]:
        affine = site.affine
        nothing = Affine.of(1.0, 0.0, affine.rank)
        what = " and ".join(["scale"] * affine.has_scale + ["shift"] * affine.has_shift)
        for up in (True, False):
            yield _Attempt(affine, nothing, up, what)
        parts = self._centred(site)
        if affine.has_scale and affine.has_shift:
            scale, shift, inner = affine.scale_only(), affine.shift_only(), affine.inner_shift()
            yield _Attempt(scale, shift, True, "scale")
            if parts is None and inner is not None:
                yield _Attempt(scale, inner, False, "scale")
            if inner is not None:
                yield _Attempt(inner, scale, True, "shift")
            yield _Attempt(shift, scale, False, "shift")
        if parts is not None and not parts[1].is_identity:
            front, rest = parts
            what = " and ".join(["scale"] * rest.has_scale + ["shift"] * rest.has_shift)
            yield _Attempt(rest, front, False, what)

    def _centred(self, site: Site) -> tuple[Affine, Affine] | None:
        """A shift that has to stay in front, and what is behind it; None if the shift doesn't have to."""
        if not site.affine.has_shift or site.cancels(self._exactness) is None:
            return None
        return centred(site.affine, storage(site.output))

    def _check_digits(self, site: Site, plan: Plan, attempt: _Attempt) -> None:
        """Refused if numbers that are exact, or nearly cancelled by the shift, would be rounded before that."""
        why = site.cancels(self._exactness)
        if not attempt.up:
            for other, affine in plan.before:
                if order_matters(affine, other, self._exactness):
                    raise Refused("another shift cancels what it leaves, and that depends on how it was rounded")
            moved = not plan.inputs and all(record_of(node.op_type).moves for node in plan.passed)
            moved &= attempt.rest.is_identity and not site.centred
            if why is not None and not attempt.rest.has_shift and not moved:
                raise Refused(why)
            return
        sums = [node for node in plan.passed if node.op_type in ("Add", "Sub", "Sum")]
        tables = [op for op, _ in plan.outputs if op.node.op_type == "Gather"]
        if sums and not all(_is_mixed(op, self._constants) for op in tables):
            raise Refused("a difference of numbers that are nearly the same would be one of rounded numbers")
        if attempt.part.has_scale and any(self._exactness.subtracts(op.node) for op, _ in plan.outputs):
            raise Refused("differences of exact numbers would be ones of rounded numbers")
        for other, affine in plan.after:
            both = replace(other, affine=other.affine.then(affine), spread=None, left=None)
            if order_matters(other.affine, site, self._exactness) and both.cancels(self._exactness) is not None:
                raise Refused("its shift cancels what the scale before it has rounded, and that depends on the order")
        if why is None:
            return
        if not self._exactness.is_exact(site.input):
            if attempt.part.has_scale and attempt.rest.has_shift:
                raise Refused(why)
            return
        if not attempt.rest.is_identity or (sums and attempt.part.has_shift) or len(tables) < len(plan.outputs):
            raise Refused("what its shift is added to is exact, and would be rounded before")

    def _try(self, site: Site, attempt: _Attempt, reasons: list[str]) -> bool:
        go: Callable[[Site, Affine], Plan] = self._planner.up if attempt.up else self._planner.down
        try:
            if not attempt.up:
                dtype = storage(site.output)
                with np.errstate(over="ignore"):
                    stays = attempt.rest.shift.astype(dtype).astype(np.float64)
                if not np.isfinite(stays).all():
                    raise Refused(f"the shift that stays would overflow {dtype.name}")
            plan = go(site, attempt.part)
            self._check_digits(site, plan, attempt)
            self._check_noise(site, plan, attempt)
        except Refused as refused:
            reasons.append(str(refused))
            return False
        self._carry_out(site, plan, attempt)
        return True

    def _check_noise(self, site: Site, plan: Plan, attempt: _Attempt) -> None:
        """Refused if it makes the rounding errors of a linear op in half precision larger."""
        nothing_left = attempt.rest.is_identity
        if is_narrow(site.output.dtype) and not nothing_left and (plan.before or plan.after):
            raise Refused("in half precision a part of it in another affine op is one more rounding")
        casts = [node.op_type == "Cast" and is_narrow(node.outputs[0].dtype) for node, _ in readers(site.output)]
        rounded = is_narrow(site.output.dtype) or (bool(casts) and all(casts))
        alone, ends = Ledger(), Ends(nothing_left, rounded)
        for op, affine in plan.outputs:
            check_noise(op, self._ledger.so_far(op), alone.with_output(op, affine), site.noise, ends, self._constants)
        ends = Ends(nothing_left, True)
        for op, affine in plan.inputs:
            check_noise(op, self._ledger.so_far(op), alone.with_input(op, affine), site.noise, ends, self._constants)

    def _carry_out(self, site: Site, plan: Plan, attempt: _Attempt) -> None:
        if not attempt.up:
            site.centred |= attempt.rest.has_shift and site.cancels(self._exactness) is not None
            left, scale = np.broadcast_arrays(site.size(self._exactness), np.abs(attempt.part.scale))
            site.left = np.divide(left, scale, out=np.ones(left.shape), where=scale != 0)
        site.affine = attempt.rest
        site.original = None
        site.how.append(_how(plan, attempt))
        site.rescaled |= attempt.part.has_scale and bool(plan.outputs or plan.inputs)
        site.into += [op.node.metadata_props.get("source") or str(op.node.name) for op, _ in plan.outputs + plan.inputs]
        for op, affine in plan.outputs:
            self._ledger.write(op, self._ledger.with_output(op, affine))
            self._ledger.suggest_bias(op, site.bias)
        for op, affine in plan.inputs:
            self._ledger.write(op, self._ledger.with_input(op, affine))
        for other, affine in plan.after:
            other.noise = other.noise.then(other.output.dtype, site.noise, affine)
            other.compose(affine)
            self._changed.append(other)
        for other, affine in plan.before:
            other.noise = site.noise.then(site.output.dtype, other.noise, other.affine)
            other.scaled_first = site.scaled_first or (other.scaled_first and not affine.has_shift)
            other.affine = affine.then(other.affine)
        site.noise = EXACT
        self._write_constants(plan)
        others = [other for other, _ in plan.after + plan.before]
        for other in others:
            other.original = None
        if others and site.affine.is_identity:
            # composed into others, wholly, it is reported with the first of them
            others[0].absorb(site)
            self._joined.add(site)

    def _write_constants(self, plan: Plan) -> None:
        for node, index, affine in plan.constants:
            old = node.inputs[index]
            assert old is not None
            array = (self._constants.compute(old) * affine.scale + affine.shift).astype(storage(old))
            node.replace_input_with(index, self._namer.constant(str(old.name), array))
        for node, index, array in plan.parameters:
            if len(node.inputs) <= index:
                node.resize_inputs(index + 1)
            value = self._namer.constant(f"{node.name}/value", array.astype(storage(node.outputs[0])))
            node.replace_input_with(index, value)


def _remove_unused(graph: ir.Graph, *, but: Constants | None = None) -> None:
    """Removes nodes without subgraphs whose results nothing uses; `but` those that are constant."""
    for node in reversed(graph):
        needed = any(output.uses() or output.is_graph_output() for output in node.outputs)
        needed |= any(attribute.type == ir.AttributeType.GRAPH for attribute in node.attributes.values())
        if not needed and not (but is not None and but.is_constant(node.outputs[0])):
            graph.remove(node, safe=True)


def _is_mixed(op: Weighted, constants: Constants) -> bool:
    """Whether the entries of a table differ as much as they are large, so that differences don't cancel them."""
    table = constant_array(op.weights)
    table = constants.compute(op.weights) if table is None else table
    axis = op.lookup[0]
    deviation = np.std(table, axis=axis, dtype=np.float64)
    return bool(
        np.all(np.abs(np.mean(table, axis=axis, dtype=np.float64)) <= FACTOR * np.maximum(deviation, deviation.mean()))
    )


def _how(plan: Plan, attempt: _Attempt) -> str:
    targets = []
    if plan.outputs or plan.inputs:
        gather = all(op.node.op_type == "Gather" for op, _ in plan.outputs + plan.inputs)
        kernel = "table" if gather else "kernel"
        parts = {"scale": kernel, "shift": "table" if gather else "bias", "scale and shift": f"{kernel} and bias"}
        targets.append("table" if gather else parts[attempt.what])
    if plan.before or plan.after:
        targets.append("another affine op")
    if plan.constants:
        targets.append("a constant")
    direction = "into" if attempt.up else "forward into"
    past = list(dict.fromkeys(node.op_type for node in plan.passed))
    way = f", past {' and '.join(past)}" if past else ""
    kept = "; shift kept" if attempt.rest.has_shift else "; scale kept" if attempt.rest.has_scale else ""
    return f"{attempt.what} {direction} {' and '.join(targets) or 'nothing'}{way}{kept}"


def _outcome(site: Site) -> FoldOutcome:
    into = ", ".join(dict.fromkeys(site.into)) or None
    how = "; ".join(dict.fromkeys(site.how)) or ("the identity, left out" if site.affine.is_identity else "kept")
    reason = None if site.affine.is_identity else site.reason
    return FoldOutcome(site.batch_norms, site.source, into, how, reason, site.dead, site.rescaled)
