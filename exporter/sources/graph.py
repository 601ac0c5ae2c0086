"""A TensorFlow graph as plain Python: nodes by name, their inputs, and attributes decoded when asked for."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from exporter.errors import CorruptError

__all__ = ["FunctionBody", "FunctionCall", "Graph", "Node", "Ref", "parse_ref"]


class Ref(NamedTuple):
    """One output of a node: `conv1` is `conv1:0`."""

    node: str
    port: int = 0

    def __str__(self) -> str:
        return self.node if self.port == 0 else f"{self.node}:{self.port}"


def parse_ref(text: str) -> Ref:
    """`x`, `x:0` and `x:1` as TensorFlow writes tensor names. CorruptError for what is no such name."""
    name, colon, port = text.rpartition(":")
    if not colon:
        return Ref(text, 0)
    if not name or not port.isdecimal():
        raise CorruptError(f"{text!r} is no tensor name")
    return Ref(name, int(port))


@dataclass(frozen=True, slots=True)
class FunctionCall:
    """The value of an attribute that names a function: what a call op calls, with the attributes it is given."""

    name: str
    attributes: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Node:
    """One operation.

    Attributes:
        name: Unique in its graph.
        op: The op type, as in `Conv2D`.
        inputs: The tensors it takes, in order.
        controls: The nodes that have to run before it.
        attributes: Decoded on access: int, float, bool, `bytes` for strings, TensorFlow's type number for types, a
            tuple of int or None (unknown) for shapes or None for an unknown rank, arrays for tensors, `FunctionCall`
            for functions, tuples of these for lists. What the file leaves out has the default of the op's definition.
    """

    name: str
    op: str
    inputs: tuple[Ref, ...] = ()
    controls: tuple[str, ...] = ()
    attributes: Mapping[str, Any] = field(default_factory=dict)

    def attribute(self, name: str, default: Any = None) -> Any:
        """An attribute, or `default` where neither the node nor the op's definition has it."""
        return self.attributes.get(name, default)


@dataclass(frozen=True, slots=True)
class FunctionBody:
    """A function of the library.

    Attributes:
        name: Its name.
        arguments: Names of its arguments; inside, `Ref(argument, 0)` is the value passed.
        outputs: What it returns, in order.
        nodes: Its operations, by name; references are `Ref`s as in a graph.
    """

    name: str
    arguments: tuple[str, ...]
    outputs: tuple[Ref, ...]
    nodes: Mapping[str, Node]


@dataclass(frozen=True)
class Graph:
    """Nodes by name, in the file's order; an input may name a node that comes later.

    Attributes:
        nodes: Every node.
        functions: The function library, by name.
        collections: TF1 collections that are lists of names, as `update_ops`.
    """

    nodes: Mapping[str, Node]
    functions: Mapping[str, FunctionBody] = field(default_factory=dict)
    collections: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    def __contains__(self, name: object) -> bool:
        return name in self.nodes

    def __iter__(self) -> Iterator[Node]:
        return iter(self.nodes.values())

    def __len__(self) -> int:
        return len(self.nodes)
