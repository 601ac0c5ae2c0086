"""Makes what is the same only once.

`onnx_ir.passes.common` has passes for the same. They share initializers up to a size, whatever is in them, so that two
layers with a bias of zeros would have one between them, under the name of the first; here small floats stay with their
layers, and large ones are shared.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Hashable

import numpy as np
import onnx_ir as ir

from exporter.ir import edit
from exporter.ir.edit import constant_array
from exporter.ir.opset import record_of
from exporter.passes.affine.affine_map import Array

__all__ = ["share_constants", "share_results"]

_LARGE = 1 << 16


def share_results(model: ir.Model) -> None:
    """Of nodes with the same op, inputs and attributes the first stays; subgraphs and random numbers are left alone."""
    graph = model.graph
    seen: dict[Hashable, ir.Node] = {}
    for node in list(graph):
        key = _key(node)
        if key is None:
            continue
        first = seen.setdefault(key, node)
        if first is node or any(output.is_graph_output() for output in node.outputs):
            continue
        for output, same in zip(node.outputs, first.outputs, strict=True):
            edit.replace(graph, output, same)
        graph.remove(node, safe=True)


def _key(node: ir.Node) -> Hashable | None:
    if record_of(node.op_type).random:
        return None
    attributes: list[Hashable] = []
    for name in sorted(node.attributes):
        attribute = node.attributes[name]
        if attribute.type in (ir.AttributeType.GRAPH, ir.AttributeType.GRAPHS):
            return None
        value = attribute.value
        if attribute.type == ir.AttributeType.TENSOR:
            value = (str(value.dtype), tuple(value.shape.numpy()), value.tobytes())
        attributes.append((name, tuple(value) if isinstance(value, list) else value))
    return node.domain, node.op_type, len(node.outputs), tuple(node.inputs), tuple(attributes)


def share_constants(model: ir.Model) -> None:
    """Of equal initializers the first stays.

    Only integers, which are shapes and the like, and floats of 64 KiB or more, where memory matters: each layer keeps a
    bias under its own name, be it zeros.
    """
    graph = model.graph
    alike: dict[Hashable, list[ir.Value]] = defaultdict(list)
    for value in graph.initializers.values():
        tensor = value.const_value
        if tensor is None or value.is_graph_input() or value.is_graph_output():
            continue
        if tensor.dtype.is_floating_point() and tensor.nbytes < _LARGE:
            continue
        alike[tensor.dtype, tuple(tensor.shape.numpy())].append(value)
    for values in alike.values():
        if len(values) == 1:
            continue
        kept: dict[bytes, list[ir.Value]] = defaultdict(list)
        for value in values:
            array = constant_array(value)
            assert array is not None
            candidates = kept[array.reshape(-1)[:64].tobytes()]
            same = next((other for other in candidates if np.array_equal(_bits(other), _bits(value))), None)
            if same is None:
                candidates.append(value)
                continue
            ir.convenience.replace_all_uses_with(value, same)
            del graph.initializers[str(value.name)]


def _bits(value: ir.Value) -> Array:
    """The bytes of an initializer: 0 and -0 differ, NaN equals itself."""
    array = constant_array(value)
    assert array is not None
    return np.ascontiguousarray(array).reshape(-1).view(np.uint8)
