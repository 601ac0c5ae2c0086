"""GraphDef messages as `Graph`s."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from itertools import chain
from typing import Any

from exporter.errors import CorruptError, LimitError
from exporter.formats import limits
from exporter.formats.tensor_proto import expansion, to_array
from exporter.sources.graph import FunctionBody, FunctionCall, Graph, Node, Ref, parse_ref
from exporter.sources.noted_shapes import check_noted_shapes
from exporter.sources.op_defs import OpDefs

__all__ = ["MOST_NODES", "read_graph"]

MOST_NODES = 5_000_000

_LOOP_ENDS = frozenset({"NextIteration", "RefNextIteration"})


def read_graph(graph_def: Any, *, op_list: Iterable[Any] = (), collections: Mapping[str, Any] | None = None) -> Graph:
    """The graph of a GraphDef message.

    Args:
        graph_def: The message; it stays alive with the graph, since attributes are decoded on access.
        op_list: The `OpDef`s that came with it.
        collections: The `collection_def` of a MetaGraphDef; node lists are kept.

    Raises:
        CorruptError: Two nodes of one name, an input that no node provides, a cycle,
            or shapes noted for results that contradict the graph.
        LimitError: More than `MOST_NODES` nodes; or a few stored values stand for too many bytes.
    """
    if len(graph_def.node) > MOST_NODES:
        raise LimitError(f"the graph has {len(graph_def.node)} nodes; at most {MOST_NODES} are read")
    _check_expansion(graph_def)
    op_defs = OpDefs(op_list, decode)
    nodes: dict[str, Node] = {}
    for message in graph_def.node:
        if message.name in nodes or not message.name:
            raise CorruptError("two nodes have the same name" if message.name else "a node has no name").within(
                f"node {message.name}"
            )
        inputs = tuple(parse_ref(name) for name in message.input if not name.startswith("^"))
        controls = tuple(name[1:] for name in message.input if name.startswith("^"))
        _check_count(message, len(inputs), op_defs)
        nodes[message.name] = Node(message.name, message.op, inputs, controls, _Attributes(message, op_defs))
    for node in nodes.values():
        for ref in node.inputs:
            if ref.node not in nodes:
                raise CorruptError(f"its input {str(ref)!r} is not in the graph").within(f"node {node.name}")
        for control in node.controls:
            if control not in nodes:
                raise CorruptError(f"its control input {control!r} is not in the graph").within(f"node {node.name}")
    check_order(nodes)
    check_noted_shapes(graph_def)
    functions = _Functions({function.signature.name: function for function in graph_def.library.function}, op_defs)
    node_lists = {
        name: tuple(collection.node_list.value)
        for name, collection in (collections or {}).items()
        if collection.WhichOneof("kind") == "node_list"
    }
    return Graph(nodes, functions, node_lists)


def _check_expansion(graph_def: Any) -> None:
    """LimitError where the constants of a graph and its functions, of which each is small enough, are too large."""
    total, largest, name = 0, 0, ""
    for node in chain(graph_def.node, *(function.node_def for function in graph_def.library.function)):
        if node.op == "Const" and "value" in node.attr:
            size = expansion(node.attr["value"].tensor)
            total += size
            if size > largest:
                largest, name = size, node.name
    allowed = limits.FREE_EXPANSION + limits.MAX_EXPANSION * graph_def.ByteSize() if total else 0
    if total > allowed:
        raise LimitError(
            f"its constants stand for {total} bytes that aren't stored; {allowed} are allowed", where=(f"node {name}",)
        )


def _check_count(message: Any, count: int, op_defs: OpDefs) -> None:
    """CorruptError for a node with more or fewer inputs than its op takes, or a constant without its value."""
    definition = op_defs[message.op]
    if message.op == "Const" and "value" not in message.attr:
        raise CorruptError("a constant has no value").within(f"node {message.name}")
    if not definition.takes(count):
        wanted = f"at least {definition.fewest}" if definition.has_lists else str(definition.fewest)
        raise CorruptError(f"{message.op} takes {wanted} inputs, and it has {count}").within(f"node {message.name}")


def check_order(nodes: Mapping[str, Node]) -> None:
    """CorruptError for nodes that wait for each other in a circle; only a loop's `NextIteration` may close one."""
    waiting = dict.fromkeys(nodes, 0)
    users: dict[str, list[str]] = {}
    for node in nodes.values():
        if node.op in _LOOP_ENDS:
            continue
        for needed in {ref.node for ref in node.inputs}.union(node.controls):
            if needed in nodes:
                waiting[node.name] += 1
                users.setdefault(needed, []).append(node.name)
    ready = [name for name, count in waiting.items() if count == 0]
    done = 0
    while ready:
        name = ready.pop()
        done += 1
        for user in users.get(name, ()):
            waiting[user] -= 1
            if waiting[user] == 0:
                ready.append(user)
    if done < len(nodes):
        name = next(name for name, count in waiting.items() if count)
        raise CorruptError("it needs its own result: the graph has a cycle that is no loop").within(f"node {name}")


class _Attributes(Mapping[str, Any]):
    """A node's attributes, decoded on access; behind them the defaults of the op."""

    __slots__ = ("_decoded", "_message", "_op_defs")

    def __init__(self, message: Any, op_defs: OpDefs) -> None:
        self._message = message
        self._op_defs = op_defs
        self._decoded: dict[str, Any] = {}

    def __getitem__(self, name: str) -> Any:
        if name in self._decoded:
            return self._decoded[name]
        definition = self._op_defs[self._message.op]
        if name in self._message.attr:
            message, wanted = self._message.attr[name], definition.types.get(name)
            kind = message.WhichOneof("value")
            try:
                if wanted is not None and kind not in (_FIELDS.get(wanted, "list"), "placeholder"):
                    raise CorruptError(f"it is to be of type {wanted}")
                value = decode(message)
            except CorruptError as error:
                raise error.within(f"attribute {name}").within(f"node {self._message.name}") from None
        else:
            value = definition.defaults[name]
        self._decoded[name] = value
        return value

    def __iter__(self) -> Iterator[str]:
        yield from self._message.attr
        yield from (name for name in self._op_defs[self._message.op].defaults if name not in self._message.attr)

    def __len__(self) -> int:
        return sum(1 for _ in self)


_FIELDS = {
    "bool": "b",
    "float": "f",
    "func": "func",
    "int": "i",
    "shape": "shape",
    "string": "s",
    "tensor": "tensor",
    "type": "type",
}
"""Where a value of each type is in an `AttrValue` message; every list is in `list`."""


def decode(value: Any) -> Any:
    """An `AttrValue` message as a plain value; see `Node.attributes`."""
    kind = value.WhichOneof("value")
    if kind in ("i", "f", "b", "s", "type"):
        return getattr(value, kind)
    if kind == "shape":
        return _shape(value.shape)
    if kind == "tensor":
        return to_array(value.tensor, what="tensor value")
    if kind == "func":
        return _call(value.func)
    if kind == "list":
        return _list(value.list)
    return None if kind is None else value.placeholder


def _shape(shape: Any) -> tuple[int | None, ...] | None:
    if shape.unknown_rank:
        return None
    return tuple(None if dim.size < 0 else dim.size for dim in shape.dim)


def _call(function: Any) -> FunctionCall:
    return FunctionCall(function.name, {name: decode(value) for name, value in function.attr.items()})


def _list(values: Any) -> tuple[Any, ...]:
    """At most one of the lists has anything in it."""
    for kind in ("i", "f", "b", "s", "type"):
        if getattr(values, kind):
            return tuple(getattr(values, kind))
    if values.shape:
        return tuple(_shape(shape) for shape in values.shape)
    if values.tensor:
        return tuple(to_array(tensor, what="tensor value") for tensor in values.tensor)
    return tuple(_call(function) for function in values.func)


class _Functions(Mapping[str, FunctionBody]):
    """The function library, each function read when it is first asked for."""

    def __init__(self, messages: Mapping[str, Any], op_defs: OpDefs) -> None:
        self._messages = messages
        self._op_defs = op_defs
        self._read: dict[str, FunctionBody] = {}

    def __getitem__(self, name: str) -> FunctionBody:
        if name not in self._read:
            self._read[name] = self._body(self._messages[name])
        return self._read[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._messages)

    def __len__(self) -> int:
        return len(self._messages)

    def _body(self, message: Any) -> FunctionBody:
        signature = message.signature
        arguments = tuple(argument.name for argument in signature.input_arg)
        members = {node.name: node for node in message.node_def}
        nodes: dict[str, Node] = {}
        try:
            for node in message.node_def:
                data = tuple(self._ref(text, members, arguments) for text in node.input if not text.startswith("^"))
                _check_count(node, len(data), self._op_defs)
                controls = tuple(text[1:] for text in node.input if text.startswith("^") and text[1:] in members)
                nodes[node.name] = Node(node.name, node.op, data, controls, _Attributes(node, self._op_defs))
            outputs = tuple(self._ref(message.ret[arg.name], members, arguments) for arg in signature.output_arg)
        except CorruptError as error:
            raise error.within(f"function {signature.name}") from None
        check_order(nodes)
        return FunctionBody(signature.name, arguments, outputs, nodes)

    def _ref(self, text: str, members: Mapping[str, Any], arguments: tuple[str, ...]) -> Ref:
        """Inside a function `node:output:2` is the third tensor of the result called `output`."""
        name, _, rest = text.partition(":")
        if name not in members:
            if name in arguments:
                return Ref(name, 0)
            raise CorruptError(f"{text!r} is neither an argument nor a node of it")
        output, _, index = rest.partition(":")
        node = members[name]
        position = int(index) if index.isdecimal() else 0
        port = self._op_defs[node.op].port(output, position, _Attributes(node, self._op_defs))
        return Ref(name, position if port is None else port)
