"""The JSON document of a bundle, checked and typed. Nothing in it is trusted; every refusal says where and why."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from math import prod
from typing import Any, NamedTuple, NoReturn

from runtime.attributes import problem
from runtime.errors import BundleError, UnknownOpError
from runtime.kernels import KERNELS
from runtime.kernels.base import Array, signature
from runtime.npy import DTYPES, TEXT, unescape
from runtime.plan import Graph, Node

__all__ = [
    "FORMAT",
    "VERSION",
    "VERSION_WITH_HALF",
    "VERSION_WITH_TEXT",
    "ArrayInfo",
    "Document",
    "ProbeInfo",
    "Value",
    "parse",
]

FORMAT = "ckpt2onnx bundle"
VERSION = 1
VERSION_WITH_TEXT = 2
"""Of a bundle with strings among its inputs, outputs and arrays."""
VERSION_WITH_HALF = 3
"""Of a bundle with arrays of float16 that are widened to float32."""

_MAX_RANK = 32
_MAX_DEPTH = 32
_MAX_BYTES = 1 << 48

ReadArray = Callable[[str], Array]


class Value(NamedTuple):
    """An input or output of the model: a str in the shape is a size that may vary and has a name, None one without."""

    name: str
    dtype: str
    shape: tuple[int | str | None, ...] | None

    def __str__(self) -> str:
        sizes = "any shape" if self.shape is None else "[" + ", ".join(str(s or "?") for s in self.shape) + "]"
        return f"{self.name}: {self.dtype} {sizes}"


class ArrayInfo(NamedTuple):
    """A stored array: its member is its name escaped; crc32 is of the whole member, header included.

    `width` is the bytes of an element of strings, 0 for numbers; `widened` an array of float16 that the nodes read as
    float32.
    """

    name: str
    dtype: str
    shape: tuple[int, ...]
    crc32: int
    width: int = 0
    widened: bool = False

    @property
    def nbytes(self) -> int:
        """Bytes of the elements."""
        return prod(self.shape) * (self.width or int(DTYPES[self.dtype][2:]))


class ProbeInfo(NamedTuple):
    """Names of stored arrays for the inputs and outputs of one run, and how far each output may be off."""

    inputs: Mapping[str, str]
    outputs: Mapping[str, str]
    tolerances: Mapping[str, float]


class Document(NamedTuple):
    """What the plan member says, before the arrays are read: `graph(read)` makes the graph when they can be."""

    producer: str
    inputs: tuple[Value, ...]
    outputs: tuple[Value, ...]
    arrays: Mapping[str, ArrayInfo]
    probes: tuple[ProbeInfo, ...]
    metadata: Mapping[str, Any]
    nodes: Sequence[Any]

    def graph(self, read: ReadArray) -> Graph:
        """The graph; `read` gives an array by its name.

        Raises:
            BundleError: A node reads what isn't made before it, makes what is there already, or has wrong fields.
            UnknownOpError: It needs an operator or attribute that isn't known.
        """
        inputs = tuple(value.name for value in self.inputs)
        known = {*inputs, *self.arrays}
        reader = _Nodes(read, self.arrays)
        return reader.graph(self.nodes, inputs, [value.name for value in self.outputs], known, 0)


def parse(text: bytes) -> Document:
    """The document in the bytes of the plan member; BundleError says what is wrong with it."""
    document = _object(_load(text), "the plan")
    if document.get("format") != FORMAT:
        _refuse(f"the plan's format is {document.get('format')!r}, expected {FORMAT!r}")
    version = document.get("version")
    if isinstance(version, bool) or version not in (VERSION, VERSION_WITH_TEXT, VERSION_WITH_HALF):
        _refuse(f"the plan's version is {version!r}; this runtime reads versions {VERSION} to {VERSION_WITH_HALF}")
    types = (*DTYPES, TEXT) if version >= VERSION_WITH_TEXT else tuple(DTYPES)
    arrays = [
        _array(member, info, types, version) for member, info in _object(document.get("arrays"), "arrays").items()
    ]
    by_name = {info.name: info for info in arrays}
    probes = [_probe(_object(entry, "probes"), by_name) for entry in _list(document.get("probes"), "probes")]
    return Document(
        _text(document.get("producer"), "producer"),
        _values(document.get("inputs"), "inputs", types),
        _values(document.get("outputs"), "outputs", types),
        by_name,
        tuple(probes),
        _object(document.get("metadata"), "metadata"),
        _list(document.get("nodes"), "nodes"),
    )


def _load(text: bytes) -> Any:
    def constant(name: str) -> NoReturn:
        raise ValueError(f"{name} is not JSON")

    import json  # here, because importing the package doesn't need it

    try:
        return json.loads(text.decode("utf-8"), object_pairs_hook=_no_duplicates, parse_constant=constant)
    except (ValueError, RecursionError) as error:
        raise BundleError(f"the plan is not readable JSON: {error}") from error


def _no_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("the same key twice in one object")
    return found


def _values(entries: Any, what: str, types: Sequence[str]) -> tuple[Value, ...]:
    values = tuple(_value(_object(entry, what), types) for entry in _list(entries, what))
    if len({value.name for value in values}) != len(values):
        _refuse(f"two {what} of the same name")
    return values


def _value(entry: Mapping[str, Any], types: Sequence[str]) -> Value:
    name = _text(entry.get("name"), "a value's name")
    shape = entry.get("shape")
    if shape is not None:
        for size in _list(shape, f"the shape of {name!r}"):
            if not (size is None or isinstance(size, str) or _is_size(size)):
                _refuse(f"{size!r} in the shape of {name!r}")
    return Value(name, _dtype(entry.get("dtype"), name, types), None if shape is None else tuple(shape))


def _array(member: str, entry: Any, types: Sequence[str], version: int) -> ArrayInfo:
    entry = _object(entry, f"array {member!r}")
    try:
        name = unescape(member)
    except ValueError as error:
        raise BundleError(f"the plan has a bad member name: {error}") from error
    shape = _list(entry.get("shape"), f"the shape of {name!r}")
    if len(shape) > _MAX_RANK or not all(_is_size(size) for size in shape) or prod(shape) > _MAX_BYTES:
        _refuse(f"array {name!r} has the shape {str(shape)[:100]}")
    crc32 = entry.get("crc32")
    if not _is_size(crc32) or crc32 >= 1 << 32:
        _refuse(f"array {name!r} has no usable crc32: {crc32!r}")
    dtype, width = _dtype(entry.get("dtype"), name, types), entry.get("width") if entry.get("dtype") == TEXT else 0
    if dtype == TEXT and (not _is_size(width) or not 0 < width <= _MAX_BYTES):
        _refuse(f"array {name!r} of strings has no usable width: {str(width)[:100]}")
    widened = entry.get("widened") if version >= VERSION_WITH_HALF else None
    if widened is not None and (dtype, widened) != ("float16", "float32"):
        _refuse(f"array {name!r} of {dtype} is widened to {str(widened)[:100]!r}, expected float16 and float32")
    return ArrayInfo(name, dtype, tuple(shape), crc32, width, widened is not None)


def _probe(entry: Mapping[str, Any], arrays: Mapping[str, ArrayInfo]) -> ProbeInfo:
    inputs, outputs = _object(entry.get("inputs"), "probes"), _object(entry.get("outputs"), "probes")
    tolerances = _object(entry.get("tolerances"), "probes")
    for name in (*inputs.values(), *outputs.values()):
        if _text(name, "the name of a probe's array") not in arrays:
            _refuse(f"a probe names an array that isn't stored: {name!r}")
    numbers = all(isinstance(number, (int, float)) and number >= 0 for number in tolerances.values())
    if tolerances.keys() != outputs.keys() or not numbers:
        _refuse("a probe's tolerances aren't one number for each output")
    return ProbeInfo(inputs, outputs, tolerances)


class _Nodes:
    """Reads nodes and graphs, nested ones included."""

    def __init__(self, read: ReadArray, arrays: Mapping[str, ArrayInfo]) -> None:
        self._read = read
        self._arrays = arrays

    def graph(
        self, entries: Sequence[Any], inputs: Sequence[str], outputs: Sequence[str], known: set[str], depth: int
    ) -> Graph:
        """A graph whose nodes may read what is in `known`, which has the inputs."""
        if depth > _MAX_DEPTH:
            _refuse(f"graphs nested more than {_MAX_DEPTH} deep")
        known = set(known)
        nodes = []
        for entry in entries:
            node = self._node(_object(entry, "nodes"), known, depth)
            nodes.append(node)
            known.update(name for name in node.outputs if name)
        for name in outputs:
            if name not in known:
                _refuse(f"nothing makes the output {name!r}")
        return Graph(tuple(inputs), tuple(outputs), tuple(nodes))

    def _node(self, entry: Mapping[str, Any], known: set[str], depth: int) -> Node:
        name = _text(entry.get("name"), "a node's name")
        op = _text(entry.get("op"), f"the operator of node {name!r}")
        inputs, outputs = _texts(entry.get("inputs"), name), _texts(entry.get("outputs"), name)
        for read in inputs:
            if read and read not in known:
                _refuse(f"node {name!r} ({op}) reads {read!r}, which nothing makes before it")
        made = [output for output in outputs if output]
        if len(set(made)) != len(made) or known.intersection(made):
            _refuse(f"node {name!r} ({op}) makes a value that is there already: {', '.join(made)}")
        attributes = {
            key: self._attribute(value, known, depth)
            for key, value in _object(entry.get("attributes"), f"the attributes of node {name!r}").items()
        }
        _check_call(op, name, inputs, attributes)
        _check_bodies(op, name, len(inputs), len(outputs), attributes)
        return Node(op, name, inputs, outputs, attributes)

    def _attribute(self, value: Any, known: set[str], depth: int) -> Any:
        """A number, string or list as it is; {"array": name}, {"float": text} and {"graph": ...} as what they mean."""
        if isinstance(value, list):
            return [self._attribute(entry, known, depth) for entry in value]
        if not isinstance(value, dict):
            return value
        if value.keys() == {"array"} and _text(value["array"], "an array's name") in self._arrays:
            return self._read(value["array"])
        if value.keys() == {"float"} and value["float"] in ("inf", "-inf", "nan"):
            return float(value["float"])
        if value.keys() != {"graph"}:
            _refuse(f"an attribute that is neither an array nor a number nor a graph: {str(value)[:100]}")
        return self._subgraph(_object(value["graph"], "a subgraph"), known, depth + 1)

    def _subgraph(self, entry: Mapping[str, Any], known: set[str], depth: int) -> Graph:
        inputs, outputs = _texts(entry.get("inputs"), "a subgraph"), _texts(entry.get("outputs"), "a subgraph")
        if len(set(inputs)) != len(inputs) or known.intersection(inputs):
            _refuse("a subgraph's input has the name of another value")
        return self.graph(_list(entry.get("nodes"), "nodes"), inputs, outputs, known.union(inputs), depth)


def _check_call(op: str, name: str, inputs: Sequence[str], attributes: Mapping[str, Any]) -> None:
    if op not in KERNELS:
        raise UnknownOpError(f"node {name!r} is of the operator {op!r}, which this runtime doesn't have")
    allowed = signature(KERNELS[op])
    unknown, missing = attributes.keys() - allowed.attributes, allowed.required - attributes.keys()
    if unknown:
        raise UnknownOpError(f"node {name!r} ({op}) has attributes that this runtime doesn't know: {sorted(unknown)}")
    if missing:
        _refuse(f"node {name!r} ({op}) lacks the attributes {sorted(missing)}")
    if len(inputs) < allowed.least or ("" in inputs[: allowed.least] and op != "Loop"):
        _refuse(f"node {name!r} ({op}) has {len(inputs)} inputs, needs {allowed.least}")
    if allowed.most is not None and len(inputs) > allowed.most:
        _refuse(f"node {name!r} ({op}) has {len(inputs)} inputs, takes {allowed.most}")
    wrong = problem(op, attributes)
    if wrong is not None:
        _refuse(f"node {name!r} ({op}): {wrong}")


def _check_bodies(op: str, name: str, inputs: int, outputs: int, attributes: Mapping[str, Any]) -> None:
    """Whether the graphs in a node take what it gives them, and give what it says."""
    for key, graph in attributes.items():
        if not isinstance(graph, Graph):
            continue
        scanned = attributes.get("num_scan_inputs", 0)
        given = {"If": 0, "Loop": inputs, "Scan": inputs}.get(op, 0)
        least = {"If": outputs, "Loop": max(outputs, inputs - 2) + 1, "Scan": max(outputs, inputs - scanned)}.get(op, 0)
        if len(graph.inputs) != given or len(graph.outputs) < least:
            _refuse(
                f"the graph {key!r} of node {name!r} ({op}) has {len(graph.inputs)} inputs and {len(graph.outputs)} "
                f"outputs, expected {given} and {least}"
            )


def _refuse(reason: str) -> NoReturn:
    raise BundleError(reason)


def _is_size(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def _dtype(value: Any, name: str, types: Sequence[str]) -> str:
    if not isinstance(value, str) or value not in types:
        _refuse(f"{name!r} has the element type {value!r}, expected one of {', '.join(types)}")
    return value


def _text(value: Any, what: str) -> str:
    return value if isinstance(value, str) else _refuse(f"{what} is not a string: {str(value)[:100]}")


def _texts(value: Any, what: str) -> tuple[str, ...]:
    return tuple(_text(entry, what) for entry in _list(value, what))


def _list(value: Any, what: str) -> list[Any]:
    return value if isinstance(value, list) else _refuse(f"{what}: expected a list, found {str(value)[:100]}")


def _object(value: Any, what: str) -> dict[str, Any]:
    return value if isinstance(value, dict) else _refuse(f"{what}: expected an object, found {str(value)[:100]}")
