"""Which checkpoint key a variable of a TF1 graph is restored from: as the graph's own restore ops say.

A name is only the fallback: `Saver({"renamed/key": w})` and partitioned variables are stored under other keys.

    w  <- Assign(w, RestoreV2(prefix, ["renamed/key", ...], ["", "10 5 4,3:0,5", ...]):0)
    h  <- AssignVariableOp(h, Identity(RestoreV2(...):1))

A SavedModel of TensorFlow 2 has the same inside a function, which is called with the variables' handles.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace

from exporter.errors import CorruptError
from exporter.formats.records import Array, TensorStore
from exporter.formats.tensor_slice import apply_spec, parse_spec
from exporter.sources.graph import FunctionCall, Graph, Node, Ref
from exporter.sources.model import VARIABLE_OPS, Variable

__all__ = ["Bindings", "bind_variables"]

_RESTORE_OPS = frozenset({"RestoreV2", "Restore", "RestoreSlice"})
_ASSIGN_OPS = frozenset({"Assign", "AssignVariableOp"})
_CALLS = frozenset({"PartitionedCall", "StatefulPartitionedCall"})
_PASS_THROUGH = frozenset({"Identity", "IdentityN", "Reshape", "Cast"})


@dataclass(frozen=True, slots=True)
class Bindings:
    """What `bind_variables` found.

    Attributes:
        variables: By node name.
        missing: Variable nodes whose key the checkpoint hasn't got: node name to key.
        by_name: Variable nodes that no restore op sets, bound by their name alone.
    """

    variables: Mapping[str, Variable]
    missing: Mapping[str, str]
    by_name: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Place:
    """A key, the part of its tensor that the variable is ("" for all of it), and whether it is reshaped for it."""

    key: str
    part: str = ""
    reshaped: bool = False


def bind_variables(
    graph: Graph, store: TensorStore, *, restore_op: str | None = None, names: Mapping[str, str] | None = None
) -> Bindings:
    """Finds each variable of the graph in the checkpoint.

    Args:
        graph: The graph, with the saver's ops in it or not.
        store: The checkpoint.
        restore_op: `saver_def.restore_op_name`: where several savers restore a variable from different keys, this one's
            comes first.
        names: What people call what is stored under a key, where that says more than the key.
    """
    places: dict[str, list[_Place]] = {}
    restores = _Restores(graph.nodes)
    first = _controlled_by(graph, restore_op) if restore_op in graph else {}
    assigns = [node for node in graph if node.op in _ASSIGN_OPS and len(node.inputs) > 1 and node.name not in first]
    for node in (*first.values(), *assigns):
        target, place = _behind(graph, node.inputs[0]), restores.place(node.inputs[1])
        if target.op in VARIABLE_OPS and place is not None:
            places.setdefault(target.name, []).append(place)
    for variable, place in _restored_by_functions(graph):
        places.setdefault(variable, []).append(place)
    variables, missing, by_name = {}, {}, []
    by_label: dict[str, list[str]] = {}
    for key, label in (names or {}).items():
        by_label.setdefault(label, []).append(key)
    for node in graph:
        if node.op not in VARIABLE_OPS:
            continue
        found = places.get(node.name)
        if found is None:
            by_name.append(node.name)
            found = [_Place(node.name)]
        found = [*found, *(_Place(key) for key in by_label.get(node.name, ()))]
        place = next((p for p in found if p.key in store), None)
        if place is None:
            missing[node.name] = found[0].key
        else:
            variables[node.name] = _variable(node, place, store, (names or {}).get(place.key, ""))
    return Bindings(variables, missing, tuple(by_name))


def _controlled_by(graph: Graph, name: str | None) -> dict[str, Node]:
    """The assignments that a `restore_all` NoOp waits for, also through NoOps of shards."""
    found: dict[str, Node] = {}
    seen: set[str] = set()
    pending = [name] if name else []
    while pending:
        node = graph.nodes[pending.pop()]
        if node.name in seen:
            continue
        seen.add(node.name)
        if node.op in _ASSIGN_OPS and len(node.inputs) > 1:
            found[node.name] = node
        else:
            pending.extend(reversed(node.controls))
            if node.op == "Identity":
                pending.extend(ref.node for ref in node.inputs)
    return found


def _restored_by_functions(graph: Graph) -> Iterator[tuple[str, _Place]]:
    """Variables whose handles are passed to a function that restores them."""
    for node in graph:
        call = node.attribute("f") if node.op in _CALLS else None
        body = graph.functions.get(call.name) if isinstance(call, FunctionCall) else None
        if body is None or not any(inner.op in _RESTORE_OPS for inner in body.nodes.values()):
            continue
        arguments = dict(zip(body.arguments, node.inputs, strict=False))
        restores = _Restores(body.nodes)
        for inner in body.nodes.values():
            handle = arguments.get(inner.inputs[0].node) if inner.op in _ASSIGN_OPS else None
            place = restores.place(inner.inputs[1]) if handle is not None else None
            if handle is not None and place is not None and _behind(graph, handle).op in VARIABLE_OPS:
                yield _behind(graph, handle).name, place


def _behind(graph: Graph, ref: Ref) -> Node:
    """What is behind copies of a tensor."""
    node = graph.nodes[ref.node]
    while node.op in _PASS_THROUGH and node.inputs:
        node = graph.nodes[node.inputs[min(ref.port, len(node.inputs) - 1)].node]
    return node


class _Restores:
    """The places that each restore op reads, found once an op."""

    def __init__(self, nodes: Mapping[str, Node]) -> None:
        self._nodes = nodes
        self._found: dict[str, list[_Place]] = {}

    def place(self, ref: Ref) -> _Place | None:
        """Where a restored tensor comes from; None for a tensor that no restore op makes."""
        reshaped, node = False, self._nodes.get(ref.node)
        while node is not None and node.op in _PASS_THROUGH and node.inputs:
            reshaped |= node.op == "Reshape"
            ref = node.inputs[0]
            node = self._nodes.get(ref.node)
        if node is None or node.op not in _RESTORE_OPS:
            return None
        if node.name not in self._found:
            names = _strings(self._nodes, node.inputs[1])
            parts = _strings(self._nodes, node.inputs[2]) if len(node.inputs) > 2 else [""] * len(names)
            self._found[node.name] = [_Place(name, part) for name, part in zip(names, parts, strict=False)]
        places = self._found[node.name]
        if ref.port >= len(places):
            raise CorruptError(f"it restores {len(places)} tensors, not a tensor {ref.port}").within(
                f"node {node.name}"
            )
        return replace(places[ref.port], reshaped=reshaped)


def _strings(nodes: Mapping[str, Node], ref: Ref) -> list[str]:
    node = nodes[ref.node]
    while node.op in _PASS_THROUGH and node.inputs and node.inputs[0].node in nodes:
        node = nodes[node.inputs[0].node]
    items: Array | None = node.attribute("value") if node.op == "Const" else None
    if items is None or items.dtype != object:
        raise CorruptError("the names it restores are no constant strings").within(f"node {node.name}")
    return [item.decode("utf-8", "surrogateescape") for item in items.reshape(-1)]


def _variable(node: Node, place: _Place, store: TensorStore, label: str) -> Variable:
    info = store.info(place.key)
    part, shape, read = parse_spec(place.part), info.shape, functools.partial(store.read, place.key)
    if part is not None:
        whole, extents = part
        shape, read = tuple(s.stop - s.start for s in extents.within(whole)), functools.partial(_part, store, place)
    declared = node.attribute("shape")
    if place.reshaped and declared is not None and None not in declared and math.prod(declared) == math.prod(shape):
        shape, read = declared, functools.partial(_reshaped, read, declared)
    return Variable(node.name, place.key, info.kind, shape, read, label)


def _reshaped(read: Callable[[], Array], shape: tuple[int, ...]) -> Array:
    """As `Saver(reshape=True)` restores: the same numbers in the variable's own shape."""
    return read().reshape(shape)


def _part(store: TensorStore, place: _Place) -> Array:
    return apply_spec(place.part, store.read(place.key)).copy()
