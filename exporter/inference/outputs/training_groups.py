"""Weights that are trained together, and what one group of them makes for another: actors for critics.

An optimiser's gradients come from one loss, so that their arithmetic hangs together; that of another loss stands by
itself.
"""

from __future__ import annotations

from exporter.inference.graph.op_types import LAYER_OPS
from exporter.inference.graph.queries import behind, variable_behind
from exporter.inference.outputs.partition import Forward
from exporter.sources.graph import Ref

__all__ = ["made_for_others"]

_JOINS = frozenset({"Concat", "ConcatV2"})


def made_for_others(search: Forward) -> list[Ref]:
    """Tensors that weights of one group make and layers of another read, which the first are trained through."""
    losses = _losses(search)
    groups = _groups(search, losses)
    if len(set(groups.values())) < 2:
        return []
    passed = set()  # the losses, and the variables of the layers that their gradients come through
    read: dict[str, set[str]] = {}  # the tensors of the forward computation that the gradients of a loss read
    for name, loss in losses.items():
        for ref in search.rewriter.inputs(search.rewriter.node(name)):
            if ref.node not in search.gradients:
                passed.add((loss, variable_behind(search.rewriter, ref)))
                read.setdefault(loss, set()).add(ref.node)
    found: dict[Ref, None] = {}
    for node in search.nodes:
        if node.op not in LAYER_OPS or node.name not in search.weighted or len(node.inputs) < 2:
            continue
        data, kernel = search.rewriter.inputs(node)[:2]
        reader = variable_behind(search.rewriter, kernel)
        makers = {groups.get(name) for name in search.weights_before(data)} if reader in groups else set()
        others = makers - {None, groups.get(str(reader))}
        if len(makers) != 1 or len(others) != 1 or (maker := next(iter(others))) is None:
            continue
        behind_reader = {ref for ref in read.get(groups[str(reader)], ()) if reader in search.weights_before(Ref(ref))}
        one_loss = behind_reader and behind_reader <= read.get(maker, set())
        if (maker, reader) in passed and not one_loss:
            found[_alone(search, data)] = None
    return list(found)


def _losses(search: Forward) -> dict[str, str]:
    """For each node of backpropagation one that stands for all that hang together with it."""
    parents: dict[str, str] = {}

    def root(name: str) -> str:
        while parents.setdefault(name, name) != name:
            parents[name] = parents[parents[name]]
            name = parents[name]
        return name

    for name in sorted(search.gradients):
        for ref in search.rewriter.inputs(search.rewriter.node(name)):
            if ref.node in search.gradients and search.rewriter.node(ref.node).inputs:
                parents[root(name)] = root(ref.node)
    return {name: root(name) for name in search.gradients}


def _groups(search: Forward, losses: dict[str, str]) -> dict[str, str]:
    """For each variable that one loss alone trains, that loss."""
    found: dict[str, set[str]] = {}
    for node in search.nodes:
        inputs = search.rewriter.inputs(node) if "Apply" in node.op else ()
        name = variable_behind(search.rewriter, inputs[0]) if inputs else None
        if name is not None:
            found.setdefault(name, set()).update(losses[ref.node] for ref in inputs[1:] if ref.node in losses)
    return {name: next(iter(seeds)) for name, seeds in found.items() if len(seeds) == 1}


def _alone(search: Forward, ref: Ref) -> Ref:
    """What a network has made, before it is joined with inputs."""
    ref = behind(search.rewriter, ref)
    node = search.rewriter.node(ref.node)
    made = [other for other in search.rewriter.inputs(node) if other.node in search.weighted]
    return _alone(search, made[0]) if node.op in _JOINS and len(made) == 1 else ref
