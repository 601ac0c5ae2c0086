"""What lookup tables hold: found where the file fills them, and put onto the ops that look something up.

    InitializeTableV2(table, keys, values)                constants, or a few ops on constants
    InitializeTableFromTextFileV2(table, path)            a vocabulary in the SavedModel's assets
    LookupTableImportV2(table, RestoreV2(...), ...)       a mutable table, whose contents are in the checkpoint

These run once, before anything else does; nothing of a model's results depends on them but through the table. They may
be in a function that is called with the table's handle.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from exporter.errors import LimitError, MissingError
from exporter.formats.dtypes import DATA_TYPES
from exporter.formats.records import Array
from exporter.inference.graph.inline import CALLS
from exporter.inference.graph.rewriter import Rewriter
from exporter.sources.graph import FunctionCall, Graph, Node, Ref
from exporter.sources.model import SourceModel
from exporter.sources.vocabulary import read_table_file

__all__ = ["LOOKUPS", "TABLE", "TABLE_OPS", "Table", "bind_tables"]

TABLE = "table"
"""The attribute of an op on a table that holds the `Table`; its inputs are those without the table's handle."""

LOOKUPS = frozenset({"LookupTableFind", "LookupTableFindV2", "LookupTableSize", "LookupTableSizeV2"})

TABLE_OPS = frozenset(
    {
        "AnonymousHashTable",
        "AnonymousMutableHashTable",
        "AnonymousMutableHashTableOfTensors",
        "HashTable",
        "HashTableV2",
        "MutableDenseHashTableV2",
        "MutableHashTable",
        "MutableHashTableOfTensorsV2",
        "MutableHashTableV2",
    }
)

_FROM_TENSORS = frozenset({"InitializeTable", "InitializeTableV2", "LookupTableImport", "LookupTableImportV2"})
_FROM_FILE = frozenset({"InitializeTableFromTextFile", "InitializeTableFromTextFileV2"})
_FILLING = _FROM_TENSORS | _FROM_FILE

_COPIES = frozenset({"Identity", "ReadVariableOp", "Snapshot", "StopGradient"})
_RESTORES = frozenset({"RestoreV2"})

_DEEPEST, _MOST_CALLS, _LONGEST, _LONGEST_RANGE = 32, 10_000, 64, 1 << 24


@dataclass(frozen=True, slots=True)
class Table:
    """What a table holds.

    Attributes:
        keys: [N], integers or `bytes`.
        values: [N, ...], what is found for each.
    """

    keys: Array
    values: Array


def bind_tables(rewriter: Rewriter, outputs: list[Ref], source: SourceModel) -> None:
    """Puts its table onto each op that looks something up for the outputs, and takes the handle away.

    An op on a table that nothing fills keeps its handle, and so is refused when it is lowered.

    Raises:
        MissingError: The file of a vocabulary isn't there.
        CorruptError: It isn't what the graph says.
    """
    needed = [node for node in rewriter.order(outputs) if node.op in LOOKUPS and TABLE not in node.attributes]
    if not needed:
        return
    tables = _Tables(source, rewriter.graph)
    for node in needed:
        handle = rewriter.producer(rewriter.inputs(node)[0])
        while handle.op == "Identity":
            handle = rewriter.producer(rewriter.inputs(handle)[0])
        table = tables.of(handle)
        if table is not None:
            attributes = {**node.attributes, TABLE: table}
            rewriter.put(Node(node.name, node.op, rewriter.inputs(node)[1:], node.controls, attributes))


@dataclass(frozen=True)
class _Scope:
    """The nodes of the graph or of a function, and what the function's arguments are in the scope that calls it."""

    nodes: Mapping[str, Node]
    arguments: Mapping[str, Ref]
    around: _Scope | None

    def behind(self, ref: Ref) -> tuple[_Scope, Node, int] | None:
        """What makes a tensor, behind copies and arguments; None where that can't be told."""
        scope: _Scope | None = self
        for _ in range(_LONGEST):
            assert scope is not None
            if ref.node in scope.arguments:
                ref, scope = scope.arguments[ref.node], scope.around
                continue
            node = scope.nodes.get(ref.node)
            if node is None:
                return None
            if node.op not in _COPIES:
                return scope, node, ref.port
            ref = node.inputs[0]
        return None


class _Tables:
    def __init__(self, source: SourceModel, graph: Graph) -> None:
        self._source = source
        self._graph = graph
        self._fills: dict[str, bool] = {}
        self._filled: dict[str, tuple[_Scope, Node]] = {}
        self._shared: dict[str, tuple[_Scope, Node]] = {}
        self._found: dict[str, Table | None] = {}
        for scope, node in self._filling():
            handle = scope.behind(node.inputs[0])
            if handle is None or handle[1].op not in TABLE_OPS:
                continue
            restored = node.op.startswith("LookupTableImport")
            for known, key in ((self._filled, handle[1].name), (self._shared, _shared_name(handle[1]))):
                if key and (known is self._shared or handle[0].around is None) and (restored or key not in known):
                    known[key] = scope, node

    def of(self, handle: Node) -> Table | None:
        """The contents of a table; None if nothing in the file fills it with what is known."""
        if handle.name not in self._found:
            filled = self._filled.get(handle.name) or self._shared.get(_shared_name(handle))
            self._found[handle.name] = None if filled is None else self._read(*filled)
        return self._found[handle.name]

    def _filling(self) -> Iterator[tuple[_Scope, Node]]:
        """Every op that fills a table, in the graph and in the functions that it calls."""
        pending, calls = [(_Scope(self._graph.nodes, {}, None), 0)], 0
        while pending:
            scope, depth = pending.pop()
            for node in scope.nodes.values():
                if node.op in _FILLING:
                    yield scope, node
                call = node.attribute("f") if node.op in CALLS else None
                if not isinstance(call, FunctionCall) or depth == _DEEPEST or not self._fills_tables(call.name):
                    continue
                calls += 1
                if calls > _MOST_CALLS:
                    raise LimitError(f"more than {_MOST_CALLS} calls of functions that fill tables")
                body = self._graph.functions[call.name]
                arguments = dict(zip(body.arguments, node.inputs, strict=False))
                pending.append((_Scope(body.nodes, arguments, scope), depth + 1))

    def _fills_tables(self, name: str) -> bool:
        """Whether a function, or one that it calls, fills a table."""
        if name not in self._fills:
            self._fills[name] = False
            body = self._graph.functions.get(name)
            nodes = () if body is None else body.nodes.values()
            called = (node.attribute("f") for node in nodes if node.op in CALLS)
            self._fills[name] = any(node.op in _FILLING for node in nodes) or any(
                isinstance(call, FunctionCall) and self._fills_tables(call.name) for call in called
            )
        return self._fills[name]

    def _read(self, scope: _Scope, node: Node) -> Table | None:
        if node.op in _FROM_FILE:
            return self._from_file(scope, node)
        keys, values = (self._value(scope, ref) for ref in node.inputs[1:3])
        if keys is None or values is None or keys.ndim != 1 or values.shape[:1] != keys.shape:
            return None
        return Table(keys, values)

    def _from_file(self, scope: _Scope, node: Node) -> Table | None:
        table, path = scope.behind(node.inputs[0]), scope.behind(node.inputs[1])
        if table is None or path is None:
            return None
        file = self._asset(self._initial(path[1]))
        dtypes = [_dtype(table[1].attribute(name)) for name in ("key_dtype", "value_dtype")]
        if file is None or None in dtypes:
            return None
        keys, values = read_table_file(
            file,
            columns=(int(node.attribute("key_index", 0)), int(node.attribute("value_index", 0))),
            dtypes=[dtype for dtype in dtypes if dtype is not None],
            size=int(node.attribute("vocab_size", -1)),
            delimiter=node.attribute("delimiter", b"\t"),
            offset=int(node.attribute("offset", 0)),
        )
        return Table(keys, values)

    def _initial(self, node: Node) -> Node:
        """What is assigned to the variable that holds the path of an asset."""
        for other in self._graph if node.op == "VarHandleOp" else ():
            if other.op == "AssignVariableOp" and other.inputs[0].node == node.name:
                return self._graph.nodes[other.inputs[1].node]
        return node

    def _asset(self, node: Node) -> Path | None:
        """The file of a path in the graph: the SavedModel's asset, or a file of that name beside the graph's file."""
        asset = self._source.assets.get(node.name)
        value = node.attribute("value") if node.op == "Const" else None
        if asset is None and (value is None or np.size(value) != 1):
            return None
        if asset is None:
            # never the path itself: a file that is exported must not make others be read from anywhere
            written = np.asarray(value).reshape(-1)[0].decode("utf-8", "surrogateescape")
            place = self._source.path if self._source.path.is_dir() else self._source.path.parent
            name = written.replace("\\", "/").rpartition("/")[2]
            asset = next((file for file in (place / name, place / "assets" / name) if file.is_file()), place / name)
        if not asset.is_file():
            raise MissingError(
                f"table {node.name} is filled from the file {asset.name}, which isn't at {asset}",
                hint=f"Put the vocabulary there: {asset}",
            )
        return asset

    def _value(self, scope: _Scope, ref: Ref, depth: int = 16) -> Array | None:
        """The value of a tensor that tables are filled with."""
        found = scope.behind(ref)
        if found is None or depth == 0:
            return None
        scope, node, port = found
        if node.op == "Const":
            return np.asarray(node.attribute("value"))
        if node.name in self._source.variables and scope.around is None:
            return self._source.variables[node.name].read()
        if node.op in _RESTORES:
            names, store = self._value(scope, node.inputs[1]), self._source.store
            if names is None or store is None or port >= names.size:
                return None
            key = names.reshape(-1)[port].decode("utf-8", "surrogateescape")
            return store.read(key) if key in store else None
        function = _FUNCTIONS.get(node.op)
        if function is None:
            return None
        inputs = [self._value(scope, other, depth - 1) for other in node.inputs]
        given = [value for value in inputs if value is not None]
        return function(node, *given) if len(given) == len(inputs) else None


def _range(node: Node, start: Array, limit: Array, delta: Array) -> Array | None:
    if not 0 <= int(limit) - int(start) <= _LONGEST_RANGE or int(delta) == 0:
        return None
    return np.arange(start.item(), limit.item(), delta.item()).astype(start.dtype)


def _cast(node: Node, x: Array) -> Array | None:
    dtype = _dtype(node.attribute("DstT"))
    return x.astype(dtype) if dtype is not None and "O" not in (dtype.kind, x.dtype.kind) else None


_FUNCTIONS: dict[str, Callable[..., Array | None]] = {
    "Cast": _cast,
    "Range": _range,
    "Reshape": lambda node, x, shape: x.reshape([int(size) for size in shape]),
    "Size": lambda node, x: np.array(x.size, np.int64),
}
"""The few ops that TensorFlow's own library puts before a table."""


def _dtype(number: object) -> np.dtype[np.generic] | None:
    kind = DATA_TYPES.get(number) if isinstance(number, int) else None
    return None if kind is None else kind.dtype


def _shared_name(handle: Node) -> str:
    """What makes two nodes the same table, where it is given."""
    name = handle.attribute("shared_name", b"")
    return name.decode("utf-8", "replace") if isinstance(name, bytes) else str(name)
