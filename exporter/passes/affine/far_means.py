"""Subtracts the mean in front of a batch norm that isn't folded, where it is far from 0.

    (x - mean) / sqrt(variance + epsilon) * gamma + beta

Engines compute x scale + (beta - mean scale), the error of which grows with mean / sqrt(variance): with inputs of
30000 +- 20 only four digits are right. Where the mean is subtracted by an op of its own, they compute what TensorFlow
does.

    y = BatchNormalization(x, gamma, beta, mean, variance)
    ->
    z = Sub(x, mean); y = BatchNormalization(z, gamma, beta, 0, variance)
"""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from exporter.ir.evaluate import Constants
from exporter.ir.ops import is_op
from exporter.passes.affine.cancellation import FACTOR
from exporter.passes.naming import Namer

__all__ = ["subtract_far_means"]


def subtract_far_means(model: ir.Model) -> None:
    """Splits batch norms whose moving mean is more than `FACTOR` standard deviations from 0 in a channel."""
    namer, constants = Namer(model.graph), Constants()
    for node in list(model.graph.all_nodes()):
        if not is_op(node, "BatchNormalization") or len(node.inputs) < 5:
            continue
        if not all(constants.is_constant(value) for value in node.inputs[3:5]):
            continue
        numbers, variance = (constants.array(value) for value in node.inputs[3:5] if value is not None)
        if not np.any(np.abs(numbers) > FACTOR * np.sqrt(np.maximum(variance, 0))):
            continue
        x, mean = node.inputs[0], node.inputs[3]
        assert x is not None and mean is not None and mean.dtype is not None and node.graph is not None
        name = str(node.name)
        centred = ir.node("Sub", [x, mean], name=namer.node(f"{name}/mean"), metadata_props=dict(node.metadata_props))
        centred.metadata_props.pop("batch_norm", None)
        result = centred.outputs[0]
        result.name, result.shape, result.type = namer.value(f"{x.name}/centred"), x.shape, x.type
        node.graph.insert_before(node, centred)
        shape = () if mean.shape is None else tuple(int(str(dim)) for dim in mean.shape.dims)
        node.replace_input_with(0, result)
        node.replace_input_with(3, namer.constant(f"{name}/no_mean", np.zeros(shape, mean.dtype.numpy())))
