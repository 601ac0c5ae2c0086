"""Random damage to a graph, of kinds that a file keeps readable."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

__all__ = ["EDITS", "damage"]


def _other_op(graph: Any, node: Any, draw: random.Random) -> None:
    node.op = draw.choice(graph.node).op


def _other_input(graph: Any, node: Any, draw: random.Random) -> None:
    if node.input:
        node.input[draw.randrange(len(node.input))] = draw.choice(graph.node).name


def _other_port(graph: Any, node: Any, draw: random.Random) -> None:
    if node.input:
        index = draw.randrange(len(node.input))
        node.input[index] = f"{node.input[index].lstrip('^').partition(':')[0]}:{draw.choice([1, 2, 7])}"


def _lost_input(graph: Any, node: Any, draw: random.Random) -> None:
    if node.input:
        del node.input[draw.randrange(len(node.input))]


def _more_inputs(graph: Any, node: Any, draw: random.Random) -> None:
    node.input.insert(0, draw.choice(graph.node).name)


def _swapped_inputs(graph: Any, node: Any, draw: random.Random) -> None:
    given = list(node.input)
    del node.input[:]
    node.input.extend(given[::-1])


def _lost_attribute(graph: Any, node: Any, draw: random.Random) -> None:
    if node.attr:
        del node.attr[draw.choice(sorted(node.attr))]


def _other_attribute(graph: Any, node: Any, draw: random.Random) -> None:
    """One of another node: another type, or another value of the same."""
    other = draw.choice([n for n in graph.node if n.attr])
    if node.attr:
        node.attr[draw.choice(sorted(node.attr))].CopyFrom(other.attr[draw.choice(sorted(other.attr))])


def _other_value(graph: Any, node: Any, draw: random.Random) -> None:
    if not node.attr:
        return
    value = node.attr[draw.choice(sorted(node.attr))]
    kind = value.WhichOneof("value")
    if kind == "i":
        value.i = draw.choice([-1, 0, 1 << 40])
    elif kind == "f":
        value.f = draw.choice([float("nan"), float("inf"), -1.0, 0.0])
    elif kind == "b":
        value.b = not value.b
    elif kind == "s":
        value.s = draw.choice([b"", b"NCHW", b"VALID", b"\xff"])
    elif kind == "type":
        value.type = draw.choice([0, 2, 3, 7, 10, 20])
    elif kind == "shape" and value.shape.dim:
        value.shape.dim[0].size = draw.choice([-1, 0, 3, 1 << 40])
    elif kind == "tensor" and value.tensor.tensor_shape.dim:
        value.tensor.tensor_shape.dim[0].size = draw.choice([-1, 0, 3, 1 << 40])


def _lost_node(graph: Any, node: Any, draw: random.Random) -> None:
    graph.node.remove(node)


def _renamed_node(graph: Any, node: Any, draw: random.Random) -> None:
    node.name = draw.choice(["", draw.choice(graph.node).name, node.name.upper(), "../x"])


EDITS: tuple[Callable[[Any, Any, random.Random], None], ...] = (
    _other_op,
    _other_input,
    _other_port,
    _lost_input,
    _more_inputs,
    _swapped_inputs,
    _lost_attribute,
    _other_attribute,
    _other_value,
    _lost_node,
    _renamed_node,
)


def damage(graph: Any, draw: random.Random) -> str:
    """One to three edits of a GraphDef message in place; returns what they were."""
    done = []
    for _ in range(draw.choice([1, 1, 1, 2, 3])):
        edit, node = draw.choice(EDITS), draw.choice(graph.node)
        done.append(f"{edit.__name__.strip('_')} {node.name} ({node.op})")
        edit(graph, node, draw)
    return "; ".join(done)
