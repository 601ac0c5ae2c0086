"""Tensors by the names that users give: `x` and `x:0`, with a suggestion where there is none of that name."""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Iterable, Mapping

from exporter.errors import UsageError
from exporter.inference.graph.inline import CALLS, Inliner
from exporter.inference.graph.rewriter import Rewriter
from exporter.inference.graph.rounds import rounds
from exporter.sources.graph import Node, Ref, parse_ref

__all__ = ["find_tensor", "open_calls"]

_SHOWN = re.compile(r"^\{\{node (.*)\}\}$")
"""How TensorFlow writes a node's name in messages."""

_SHOWN_AT_MOST = 6


def find_tensor(rewriter: Rewriter, name: str, *, what: str, openers: Iterable[Callable[[], None]] = ()) -> Ref:
    """The tensor of that name, perhaps inside of a function.

    Args:
        rewriter: The graph.
        name: As the graph has it, as messages have it (`call/name`), or as TensorFlow has it inside of a function.
        what: The option that it was given with.
        openers: What brings more of what functions hold into the graph; called one by one until the tensor is there.

    Raises:
        UsageError: There is none, or there are several; the message names them, or the nearest.
    """
    plain = _SHOWN.sub(r"\1", name)
    ref = parse_ref(plain) if plain else Ref(plain)
    if ref.node in rewriter:
        return ref
    for open_more in openers:
        open_more()
        if ref.node in rewriter:
            return ref
        inside = [other for other in dict.fromkeys(rewriter.added()) if other.endswith(f"/{ref.node}")]
        if len(inside) == 1:
            return Ref(inside[0], ref.port)
        if inside:
            raise UsageError(
                f"{len(inside)} functions have a tensor {name!r}, given as {what}",
                hint=f"Give its whole name: {' or '.join(inside[:_SHOWN_AT_MOST])}",
            )
    near = _results_of(rewriter, ref.node)
    if not near:  # the same but for the scope or for case first, then similar names
        known = [*rewriter.graph.nodes, *rewriter.added()]
        last = ref.node.rpartition("/")[2].lower()
        same = [other for other in known if other.rpartition("/")[2].lower() == last]
        near = (same or difflib.get_close_matches(ref.node, known, n=3, cutoff=0.6))[:3]
    hint = f"Did you mean {' or '.join(near)}?" if near else "`inspect` lists the graph's inputs and outputs"
    raise UsageError(f"there is no tensor {name!r} in the graph, given as {what}", hint=hint)


def open_calls(rewriter: Rewriter, inliner: Inliner) -> None:
    """Puts the bodies of all calls into the graph, and of the calls in them; conditions and loops stay as they are."""
    names = list(dict.fromkeys((*rewriter.graph.nodes, *rewriter.added())))
    for _ in rounds("opening the graph's functions"):
        calls = [node for node in map(rewriter.node, names) if node.op in CALLS]
        if not calls:
            return
        before = set(rewriter.added())
        for node in calls:
            inliner.expand(node)
        names = [name for name in rewriter.added() if name not in before]


_MOST_ENDS = 50
_STATE = ("Apply", "Assign", "Const", "NoOp", "Placeholder", "ReadVariable", "VarHandle", "VarIs", "Variable")


def _results_of(rewriter: Rewriter, scope: str) -> list[str]:
    """What a scope of that name computes: its tensors that nothing in it takes, those of most nodes first.

    Not what only reads variables, as the slots of optimizers do, nor penalties of weights; of a class the scores, too.
    """
    nodes = {name: rewriter.node(name) for name in rewriter.graph.nodes if name.startswith(f"{scope}/")}
    taken = {ref.node for node in nodes.values() for ref in node.inputs}
    ends = [name for name, node in nodes.items() if name not in taken and not node.op.startswith(_STATE)]
    made_of = {name: _behind(nodes, name) for name in ends[-_MOST_ENDS:]}
    ops = {name: {nodes[one].op for one in behind} for name, behind in made_of.items()}
    computed = [name for name in made_of if "L2Loss" not in ops[name] and any(map(_computes, ops[name]))]
    found = dict[str, None]()
    for name in sorted(computed or made_of, key=lambda name: -len(made_of[name])):
        if nodes[name].op == "ArgMax" and nodes[name].inputs[0].node in nodes:
            found[nodes[name].inputs[0].node] = None
        found[name] = None
    return list(found)[:3]


def _computes(op: str) -> bool:
    return op != "Identity" and not op.startswith(_STATE)


def _behind(nodes: Mapping[str, Node], end: str) -> set[str]:
    """The nodes that a tensor is computed from, and its own."""
    seen, pending = {end}, [end]
    while pending:
        new = {ref.node for ref in nodes[pending.pop()].inputs if ref.node in nodes} - seen
        seen |= new
        pending += new
    return seen
