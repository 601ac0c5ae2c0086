"""Writes a model as a bundle for the NumPy runtime, byte for byte as runtime/FORMAT.md lays it down."""

from __future__ import annotations

import hashlib
import json
import zipfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from math import isfinite
from pathlib import Path
from typing import IO, Any, NamedTuple

import numpy as np
import numpy.typing as npt
import onnx_ir as ir

from exporter._version import __version__
from exporter.errors import UnsupportedError
from exporter.foreign import on_foreign_data
from exporter.ir.half import HalfTensor
from exporter.ir.text import array_of
from runtime import Probe
from runtime.bundle import PLAN
from runtime.document import FORMAT, VERSION, VERSION_WITH_HALF, VERSION_WITH_TEXT
from runtime.kernels import KERNELS
from runtime.kernels.base import signature
from runtime.npy import DTYPES, TEXT, escape, header

__all__ = ["ModelPlan", "content_id", "plan_of", "shape_of", "write_bundle"]

_Array = npt.NDArray[Any]

_EPOCH = (1980, 1, 1, 0, 0, 0)


class ModelPlan(NamedTuple):
    """What a bundle says of a model, for other targets that go by the same names.

    Attributes:
        inputs, outputs: As in the plan of a bundle.
        nodes: The same.
        arrays: What is stored, by name.
        types: For each value the element type and the shape, as far as they are known.
    """

    inputs: list[dict[str, Any]]
    outputs: list[dict[str, Any]]
    nodes: list[dict[str, Any]]
    arrays: Mapping[str, _Array | ir.TensorProtocol]
    types: Mapping[str, tuple[str | None, tuple[int | str | None, ...] | None]]


def plan_of(model: ir.Model) -> ModelPlan:
    """The plan that `write_bundle` writes.

    Raises:
        UnsupportedError: As there.
    """
    _refuse_unsupported(model)
    plan = _Plan()
    document = plan.document(model, (), {})
    return ModelPlan(document["inputs"], document["outputs"], document["nodes"], plan.arrays, plan.types())


def shape_of(held: _Array | ir.TensorProtocol) -> tuple[int, ...]:
    """The shape of a stored array, which isn't read for that."""
    return held.shape if isinstance(held, np.ndarray) else tuple(held.shape.numpy())


@on_foreign_data("writing it as a bundle")
def write_bundle(
    model: ir.Model,
    path: str | Path | IO[bytes],
    *,
    probes: Sequence[Probe] = (),
    metadata: Mapping[str, Any] | None = None,
) -> None:
    """Writes `model` as an .npz, one weight in memory at a time; the same model gives the same bytes.

    The file is written in place: who needs it whole or not at all writes beside and renames.

    Args:
        model: A channels-last model, folded or not.
        path: The file, overwritten if it is there; or an open one.
        probes: Runs that the bundle can be checked with.
        metadata: What to note about the model; anything JSON can hold.

    Raises:
        UnsupportedError: The model has operators, attributes or element types that the runtime hasn't; it names all.
        OSError: The file can't be written.
    """
    _refuse_unsupported(model)
    if not isinstance(path, (str, Path)):
        _write(model, path, probes, metadata or {})
        return
    with Path(path).open("wb") as file:
        _write(model, file, probes, metadata or {})


@on_foreign_data("writing it as a bundle")
def content_id(model: ir.Model, probes: Sequence[Probe], metadata: Mapping[str, Any]) -> str:
    """A 128-bit BLAKE2b, in hex, of all that `write_bundle` would write: the same for the same bundle.

    Args:
        model, probes, metadata: As for `write_bundle`.

    Raises:
        UnsupportedError: As `write_bundle`.
    """
    _refuse_unsupported(model)
    plan = _Plan()
    content = hashlib.blake2b(_text(plan.document(model, probes, metadata)), digest_size=16)
    for name, held in plan.arrays.items():
        array = _plain(held)
        content.update(b"half" if isinstance(held, HalfTensor) else b"")
        content.update(_text([name, array.dtype.str if array.dtype.kind == "S" else array.dtype.name, array.shape]))
        content.update(_elements(array))
    return content.hexdigest()


def _write(model: ir.Model, file: IO[bytes], probes: Sequence[Probe], metadata: Mapping[str, Any]) -> None:
    plan = _Plan()
    document = plan.document(model, probes, metadata)
    with zipfile.ZipFile(file, "w") as archive:
        document["arrays"] = dict(_write_array(archive, name, held) for name, held in plan.arrays.items())
        text = _text(document)
        _write_member(archive, PLAN, header("uint8", [len(text)]), text)


def _text(document: Any) -> bytes:
    return json.dumps(document, sort_keys=True, separators=(",", ":"), allow_nan=False).encode("ascii")


def _write_array(archive: zipfile.ZipFile, name: str, held: _Array | ir.TensorProtocol) -> tuple[str, Any]:
    """Writes one array; returns its entry in the plan."""
    array, member = _plain(held), escape(name)
    if array.dtype.kind == "S":
        width = array.dtype.itemsize
        crc32 = _write_member(archive, member, header(TEXT, array.shape, width), _elements(array))
        return member, {"dtype": TEXT, "shape": list(array.shape), "crc32": crc32, "width": width}
    dtype = array.dtype.name
    crc32 = _write_member(archive, member, header(dtype, array.shape), _elements(array))
    widened = {"widened": "float32"} if isinstance(held, HalfTensor) else {}
    return member, {"dtype": dtype, "shape": list(array.shape), "crc32": crc32, **widened}


def _plain(held: _Array | ir.TensorProtocol) -> _Array:
    """The array as it is stored: strings as UTF-8 of one width, weights that are widened in float16."""
    if isinstance(held, HalfTensor):
        return held.half
    array = held if isinstance(held, np.ndarray) else array_of(held)
    if array.dtype == object:
        texts = [item.encode("utf-8") for item in array.reshape(-1)]
        if any(item.endswith(b"\0") for item in texts):
            raise UnsupportedError(
                "a bundle can't hold a string that ends with a zero byte", hint="Export to ONNX alone: --to onnx"
            )
        width = max([1, *map(len, texts)])
        return np.array(texts, f"S{width}").reshape(array.shape)
    return np.ascontiguousarray(array).reshape(array.shape)


def _elements(array: _Array) -> memoryview:
    """The bytes of the elements as they are stored."""
    stored = array if array.dtype.kind == "S" else array.astype(DTYPES[array.dtype.name], copy=False)
    return np.ascontiguousarray(stored).reshape(-1).view(np.uint8).data


def _write_member(archive: zipfile.ZipFile, name: str, head: bytes, content: bytes | memoryview) -> int:
    """Writes a stored member without a date; returns its CRC-32."""
    info = zipfile.ZipInfo(f"{name}.npy", _EPOCH)
    info.create_system = 3
    info.external_attr = 0o644 << 16
    info.file_size = len(head) + len(content)
    with archive.open(info, "w") as member:
        member.write(head)
        member.write(content)
    return info.CRC


class _Plan:
    """Names the values of a model and turns its nodes into JSON.

    Attributes:
        arrays: What has to be stored, by name, in the order in which it was first met.
    """

    def __init__(self) -> None:
        self.arrays: dict[str, _Array | ir.TensorProtocol] = {}
        self._names: dict[ir.Value, str] = {}
        self._taken: set[str] = set()

    def document(self, model: ir.Model, probes: Sequence[Probe], metadata: Mapping[str, Any]) -> dict[str, Any]:
        """The whole plan but for the description of the arrays."""
        for value in (*model.graph.inputs, *model.graph.outputs):
            self.name(value)
        nodes = self.nodes(model.graph)
        read = [value for node in model.graph.all_nodes() for value in node.inputs if value is not None]
        stored = [value for value in read if value.is_initializer()]
        version = VERSION  # the lowest that has what the bundle needs
        if any(v.dtype == ir.DataType.STRING for v in (*model.graph.inputs, *model.graph.outputs, *stored)):
            version = VERSION_WITH_TEXT
        if any(isinstance(held, HalfTensor) for held in self.arrays.values()):
            version = VERSION_WITH_HALF
        return {
            "format": FORMAT,
            "version": version,
            "producer": f"ckpt2onnx {__version__}",
            "metadata": dict(metadata),
            "inputs": [_describe(value, self.name(value)) for value in model.graph.inputs],
            "nodes": nodes,
            "outputs": [_describe(value, self.name(value)) for value in model.graph.outputs],
            "probes": [self.probe(number, probe) for number, probe in enumerate(probes)],
        }

    def name(self, value: ir.Value) -> str:
        """The value's own name, or with a number if a value of another graph has it."""
        if value not in self._names:
            self._names[value] = self._unique(value.name or "value")
            if value.is_initializer() and value.const_value is not None:
                self.arrays[self._names[value]] = value.const_value
        return self._names[value]

    def _unique(self, wanted: str) -> str:
        name, number = wanted, 1
        while name in self._taken:
            number += 1
            name = f"{wanted}_{number}"
        self._taken.add(name)
        return name

    def types(self) -> dict[str, tuple[str | None, tuple[int | str | None, ...] | None]]:
        """The element type and the shape of each named value."""
        return {
            name: (None if value.dtype is None else _dtype_name(value.dtype), None if shape is None else tuple(shape))
            for value, name in self._names.items()
            for shape in (_sizes(value),)
        }

    def nodes(self, graph: ir.Graph) -> list[dict[str, Any]]:
        """The nodes of a graph."""
        found = []
        for node in graph:
            inputs = ["" if value is None else self.name(value) for value in node.inputs]
            while inputs and not inputs[-1]:
                inputs.pop()
            name = node.name or node.op_type
            attributes = {key: self._attribute(f"{name}/{key}", value) for key, value in node.attributes.items()}
            outputs = [self.name(value) if value.name else "" for value in node.outputs]
            entry = {"op": node.op_type, "name": name, "inputs": inputs, "outputs": outputs, "attributes": attributes}
            found.append(entry)
        return found

    def _attribute(self, name: str, attribute: ir.Attr) -> Any:
        value = attribute.value
        if attribute.type == ir.AttributeType.GRAPH:
            inputs = [self.name(entry) for entry in value.inputs]
            nodes = self.nodes(value)
            return {"graph": {"inputs": inputs, "nodes": nodes, "outputs": [self.name(end) for end in value.outputs]}}
        if attribute.type == ir.AttributeType.TENSOR:
            unique = self._unique(name)
            self.arrays[unique] = value
            return {"array": unique}
        return [_scalar(entry) for entry in value] if isinstance(value, (list, tuple)) else _scalar(value)

    def probe(self, number: int, probe: Probe) -> dict[str, Any]:
        """The entry of a probe, whose arrays are stored too."""
        return {
            "inputs": self._store(f"__probe__/{number}/inputs", probe.inputs),
            "outputs": self._store(f"__probe__/{number}/outputs", probe.outputs),
            "tolerances": dict(probe.tolerances),
        }

    def _store(self, folder: str, arrays: Mapping[str, _Array]) -> dict[str, str]:
        names = {key: self._unique(f"{folder}/{key}") for key in arrays}
        self.arrays.update((name, arrays[key]) for key, name in names.items())
        return names


def _scalar(value: Any) -> Any:
    """A number or string; JSON has no infinities, so they are spelled out."""
    if isinstance(value, float) and not isfinite(value):
        return {"float": str(value)}
    return value.decode("utf-8") if isinstance(value, bytes) else value


def _describe(value: ir.Value, name: str) -> dict[str, Any]:
    return {"name": name, "dtype": _dtype_name(value.dtype), "shape": _sizes(value)}


def _sizes(value: ir.Value) -> list[int | str | None] | None:
    return None if value.shape is None else [d if isinstance(d, int) else d.value for d in value.shape]


def _dtype_name(dtype: ir.DataType | None) -> str:
    return "unknown" if dtype is None else dtype.name.lower() if dtype == ir.DataType.STRING else dtype.numpy().name


def _refuse_unsupported(model: ir.Model) -> None:
    problems = sorted(set(_problems(model)))
    if problems:
        raise UnsupportedError(
            f"the NumPy runtime can't hold this model: {'; '.join(problems)}",
            hint="Export it to ONNX alone",
        )


def _problems(model: ir.Model) -> Iterator[str]:
    for node in model.graph.all_nodes():
        kernel = KERNELS.get(node.op_type)
        known = node.attributes.keys() if kernel is None else signature(kernel).attributes
        if kernel is None:
            yield f"operator {node.op_type}"
        yield from (f"attribute {key} of {node.op_type}" for key in node.attributes.keys() - known)
        held = ((value.name, value.const_value) for value in node.inputs if value is not None)
        yield from _bad_types((name, tensor.dtype) for name, tensor in held if tensor is not None)
    yield from _bad_types((value.name, value.dtype) for value in (*model.graph.inputs, *model.graph.outputs))


def _bad_types(values: Iterable[tuple[str | None, ir.DataType | None]]) -> Iterator[str]:
    for name, dtype in values:
        if _dtype_name(dtype) not in (*DTYPES, TEXT):
            yield f"element type {_dtype_name(dtype)} of {name!r}"
