"""The IR as an ONNX model, and that as a file."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import IO

import onnx
import onnx_ir as ir

from exporter._version import __version__
from exporter.foreign import on_foreign_data
from exporter.targets.layout.standard import InputLayout, in_standard_ops
from exporter.targets.onnx_wire import is_small, raw_size, weights, without_weights, write_data, write_onnx
from exporter.targets.opsets import DEFAULT_OPSET
from exporter.targets.padded_pools import keep_padding_apart

__all__ = ["INPUT_ORDERS", "LARGEST_INLINE", "check_model", "data_files", "onnx_model", "onnx_writers"]

LARGEST_INLINE = 1536 << 20
"""Bytes of weights up to which they are in the model file itself; a protobuf message can't be larger than 2 GiB."""

INPUT_ORDERS = "input_orders"
"""Metadata entry: JSON, for each input that isn't as TensorFlow has it the order of its axes, `{"x": [0, 3, 1, 2]}`."""


@on_foreign_data("writing it as ONNX")
def onnx_model(
    model: ir.Model,
    *,
    opset: int = DEFAULT_OPSET,
    input_layout: InputLayout = "nhwc",
    metadata: Mapping[str, str] | None = None,
) -> ir.Model:
    """The ONNX model that computes what a channels-last model computes, under the same names of inputs and outputs.

    `model` isn't changed. Its weights are shared: those that have to be transposed are when they are written.

    Args:
        model: A channels-last model.
        opset: 13 to the newest that the installed onnx knows.
        input_layout: "nhwc" keeps TensorFlow's shapes; with "nchw" image inputs become [N, C, H, W], which leaves no
            Transpose; which ones is in the metadata of the result, under `INPUT_ORDERS`.
        metadata: What else to note in the model.

    Raises:
        UnsupportedError: The opset can't say all of it; the message names all that it can't say.
        UsageError: No such opset.
    """
    result, orders = in_standard_ops(model, opset=opset, input_layout=input_layout)
    keep_padding_apart(result)
    result.producer_name = "ckpt2onnx"
    result.producer_version = __version__
    notes = dict(metadata or {})
    if orders:
        notes[INPUT_ORDERS] = json.dumps(orders, sort_keys=True)
    result.metadata_props.update(sorted(notes.items()))
    if any(value.shape is None for value in result.graph.outputs):  # onnx may infer their rank
        inferred = onnx.shape_inference.infer_shapes(_skeleton(result))
        for value, found in zip(result.graph.outputs, inferred.graph.output, strict=True):
            if value.shape is None and found.type.tensor_type.HasField("shape"):
                value.shape = ir.Shape([dim.dim_value or None for dim in found.type.tensor_type.shape.dim])
    check_model(result)
    return result


def check_model(model: ir.Model) -> None:
    """onnx.checker's checks with its shape inference, of the model without its large weights: fast at any size.

    An input of unknown rank, which the checker doesn't allow though runtimes do, gets the shape inference alone. What
    it raises is a bug of ours.
    """
    proto = _skeleton(model)
    if all(value.shape is not None for value in (*model.graph.inputs, *model.graph.outputs)):
        onnx.checker.check_model(proto, full_check=True)
    else:
        onnx.shape_inference.infer_shapes(proto, check_type=True, strict_mode=True)


def _skeleton(model: ir.Model) -> onnx.ModelProto:
    """The model with its large weights as inputs."""
    proto = without_weights(model)
    for value in model.graph.initializers.values():
        tensor = value.const_value
        if tensor is not None and is_small(tensor):
            proto.graph.initializer.append(ir.serde.serialize_tensor(tensor))
            proto.graph.initializer[-1].name = value.name or ""
        else:
            proto.graph.input.append(ir.serde.serialize_value(value))
    return proto


def onnx_writers(
    model: ir.Model, path: Path, *, largest_inline: int = LARGEST_INLINE
) -> dict[Path, Callable[[Path], None]]:
    """What has to be written where: the file itself, and if the weights are too large for it, one with them beside it.

    The second one is called after what is in it, `<path>.<128-bit BLAKE2b, in hex>.data`: a file never refers to
    weights that aren't its own, and one is not changed by an export of another model to the same path.

    Each writer takes the path to write to, which may be another one than the key, as `atomic.write_files` needs it.
    """
    if sum(raw_size(tensor) for _, tensor in weights(model)) <= largest_inline:
        return {path: lambda to: _write(to, lambda file: write_onnx(model, file))}
    content = hashlib.blake2b(digest_size=16)
    write_data(model, content.update)
    data = path.with_name(f"{path.name}.{content.hexdigest()}.data")
    return {
        path: lambda to: _write(to, lambda file: write_onnx(model, file, data_name=data.name)),
        data: lambda to: _write(to, lambda file: write_data(model, file.write)),
    }


def data_files(path: Path) -> list[Path]:
    """The files that hold weights of exports to this path, old ones and new ones."""
    name = re.compile(rf"{re.escape(path.name)}\.[0-9a-f]{{32}}\.data")
    return sorted(file for file in path.parent.iterdir() if name.fullmatch(file.name))


def _write(path: Path, write: Callable[[IO[bytes]], object]) -> None:
    with path.open("wb") as file:
        write(file)
