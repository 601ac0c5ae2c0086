"""Plans where an affine map goes: nothing in the graph changes before a plan is complete and carried out."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import onnx_ir as ir

from exporter.ir.evaluate import Constants
from exporter.passes.affine.absorb import Ledger, check_range
from exporter.passes.affine.affine_map import Affine, Array
from exporter.passes.affine.branches import BRANCHES
from exporter.passes.affine.cancellation import keeps_digits
from exporter.passes.affine.carriers import CARRIERS
from exporter.passes.affine.collect import Site, is_site, readers
from exporter.passes.affine.linear import LINEAR
from exporter.passes.affine.refusal import Refused, label
from exporter.passes.affine.steps import Carrier, Step, Way
from exporter.passes.affine.weighted import Weighted, weighted

__all__ = ["Plan", "Planner"]

_MOST_VISITS = 2000
"""Values that one plan may look at: a guard against graphs in which the alternatives multiply."""

_DEEPEST = 150
"""Nodes that may be passed on the way to one linear op; planning is recursive."""


@dataclass
class Plan:
    """What carrying an affine map somewhere means.

    Attributes:
        inputs: Linear ops whose input is mapped, in order.
        outputs: Linear ops whose output is mapped.
        before: Sites that are composed with a map of their input.
        after: Sites that are composed with a map of their output.
        constants: Constants to be mapped: a node, the index of its input, the map.
        parameters: Constants to be replaced: a node, the index of its input, the new value.
        passed: The nodes passed on the way.
    """

    inputs: list[tuple[Weighted, Affine]] = field(default_factory=list)
    outputs: list[tuple[Weighted, Affine]] = field(default_factory=list)
    before: list[tuple[Site, Affine]] = field(default_factory=list)
    after: list[tuple[Site, Affine]] = field(default_factory=list)
    constants: list[tuple[ir.Node, int, Affine]] = field(default_factory=list)
    parameters: list[tuple[ir.Node, int, Array]] = field(default_factory=list)
    passed: list[ir.Node] = field(default_factory=list)

    def mark(self) -> tuple[int, ...]:
        """How far it has come, for `back_to`."""
        return tuple(len(steps) for steps in self._lists())

    def back_to(self, mark: tuple[int, ...]) -> None:
        """Forgets what was planned after the mark."""
        for steps, length in zip(self._lists(), mark, strict=True):
            del steps[length:]

    def _lists(self) -> tuple[list[Any], ...]:
        return self.inputs, self.outputs, self.before, self.after, self.constants, self.parameters, self.passed


class Planner:
    """Follows an affine map up or down a graph.

    Args:
        graph: The graph.
        constants: Its constants.
        sites: All sites in it.
        ledger: What linear ops have taken so far.
        whole: What the graph is called in reasons: "model" or "subgraph".
    """

    def __init__(
        self,
        graph: ir.Graph,
        constants: Constants,
        sites: Mapping[ir.Node, Site],
        ledger: Ledger,
        *,
        whole: str = "model",
    ) -> None:
        self._whole = whole
        self._graph = graph
        self._constants = constants
        self._sites = sites
        self._ledger = ledger
        self._visits = 0
        self._depth = 0

    def up(self, site: Site, affine: Affine) -> Plan:
        """How the producers of the site's input can take the map. Refused if they can't."""
        return self._start(lambda plan: self._up(plan, site.node, 0, affine))

    def down(self, site: Site, affine: Affine) -> Plan:
        """How all users of the site's output can take the map. Refused if they can't."""
        return self._start(lambda plan: self._down(plan, site.output, affine))

    def _start(self, go: Callable[[Plan], None]) -> Plan:
        self._visits = self._depth = 0
        plan = Plan()
        go(plan)
        return plan

    def _visit(self) -> None:
        self._visits += 1
        if self._visits > _MOST_VISITS or self._depth > _DEEPEST:
            raise Refused("the way to a linear op is too long")

    def _up(self, plan: Plan, user: ir.Node, index: int, affine: Affine) -> None:
        """Maps the value that is the user's input at that index."""
        value = user.inputs[index]
        if affine.is_identity:
            return
        assert value is not None
        self._visit()
        node = value.producer()
        if self._constants.is_constant(value):
            plan.constants.append((user, index, affine))
            return
        if node is None:
            raise Refused(f"{value.name} is an input of the {self._whole}")
        if node.graph is not self._graph:
            raise Refused(f"{value.name} comes from outside of the subgraph")
        if value.is_graph_output():
            raise Refused(f"the result of {label(node)} is the output {value.name} of the {self._whole}")
        users = readers(value)
        if len(users) > 1:
            raise Refused(f"the result of {label(node)} has {len(users)} users")
        if any(user.graph is not self._graph for user, _ in users):
            raise Refused(f"the result of {label(node)} is used in a subgraph")
        if is_site(node):
            site = self._sites[node]
            if site.affine.is_identity:  # a site of which nothing is left is no obstacle
                self._up(plan, node, 0, affine)
            else:
                _check_digits(site.affine, affine)
                plan.after.append((site, affine))
            return
        op = weighted(node, self._constants)
        if op is not None:
            LINEAR[node.op_type].take_output(op, affine)
            check_range(op, self._ledger.with_output(op, affine), self._constants)
            plan.outputs.append((op, affine))
            return
        self._any_way(plan, node, self._carrier(node).up(Step(node, self._constants), value.index() or 0, affine))

    def _any_way(self, plan: Plan, node: ir.Node, ways: list[Way]) -> None:
        """The first of the alternatives that can be gone."""
        for number, way in enumerate(ways):
            mark = plan.mark()
            plan.passed.append(node)
            if way.parameter is not None:
                plan.parameters.append((node, *way.parameter))
            try:
                with self._deeper():
                    for index, affine in way.maps.items():
                        self._up(plan, node, index, affine)
                return
            except Refused:
                plan.back_to(mark)
                if number == len(ways) - 1:
                    raise

    @contextmanager
    def _deeper(self) -> Iterator[None]:
        self._depth += 1
        try:
            yield
        finally:
            self._depth -= 1

    def _down(self, plan: Plan, value: ir.Value, affine: Affine) -> None:
        """Maps the value for all its users."""
        if affine.is_identity:
            return
        if value.is_graph_output():
            raise Refused(f"{value.name} is an output of the {self._whole}")
        for user, index in readers(value):
            self._visit()
            if user.graph is not self._graph:
                raise Refused(f"{value.name} is used in a subgraph")
            op = weighted(user, self._constants)
            if is_site(user):
                site = self._sites[user]
                if site.affine.is_identity:
                    self._down(plan, site.output, affine)
                else:
                    _check_digits(affine, site.affine)
                    plan.before.append((site, affine))
            elif op is not None and index == op.x:
                LINEAR[user.op_type].take_input(op, affine)
                check_range(op, self._ledger.with_input(op, affine), self._constants)
                plan.inputs.append((op, affine))
            else:
                way = self._carrier(user).down(Step(user, self._constants), index, affine)
                plan.passed.append(user)
                if way.parameter is not None:
                    plan.parameters.append((user, *way.parameter))
                with self._deeper():
                    for output, mapped in way.maps.items():
                        self._down(plan, user.outputs[output], mapped)

    def _carrier(self, node: ir.Node) -> Carrier:
        found = CARRIERS.get(node.op_type) or BRANCHES.get(node.op_type)
        if node.op_type != "Split" and any(output.uses() for output in node.outputs[1:]):
            raise Refused(f"{label(node)} has results of another kind, too")
        if found is None or node.domain not in ("", "channels_last"):
            raise Refused(f"{label(node)} is neither linear with constant weights nor lets an affine map pass")
        return found


def _check_digits(first: Affine, second: Affine) -> None:
    """Refused if one of two shifts is so large that the other would be lost in it."""
    if not keeps_digits(first, second):
        raise Refused("the shift would be lost in a much larger one")
