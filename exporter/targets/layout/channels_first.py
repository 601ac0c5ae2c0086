"""The channels-last ops as ONNX ops on [N, C, *space]."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from exporter.targets.layout.axes import channels_first, sizes_of
from exporter.targets.layout.parameters import in_order, with_features
from exporter.targets.layout.roles import data_rank
from exporter.targets.layout.site import Emit, Site
from exporter.targets.layout.ties import rank_of

__all__ = ["CHANNELS_FIRST"]


def _conv(site: Site) -> None:
    """Kernel [*k, C / group, M] -> [M, C / group, *k]."""
    space = data_rank(site.node) - 2
    kernel = _kernel(site, (space + 1, space, *range(space)))
    site.emit("Conv", [site.new(0), kernel, site.new(2)], _window(site, kernel))


def _conv_transpose(site: Site) -> None:
    """Kernel [*k, M / group, C] -> [C, M / group, *k]."""
    space = data_rank(site.node) - 2
    kernel = _kernel(site, (space + 1, space, *range(space)))
    site.emit("ConvTranspose", [site.new(0), kernel, site.new(2)], _window(site, kernel))


def _kernel(site: Site, order: tuple[int, ...]) -> ir.Value:
    kernel = site.emitter.take(site.old(1), order)
    assert kernel is not None
    return kernel


def _window(site: Site, kernel: ir.Value) -> dict[str, object]:
    attributes = site.attributes()
    if kernel.shape is not None and kernel.shape.is_static():
        attributes["kernel_shape"] = sizes_of(kernel)[2:]
    return attributes


def _same(site: Site) -> None:
    site.emit(site.node.op_type, [site.new(i) for i in range(len(site.node.inputs))], site.attributes())


def _depth_to_space(site: Site) -> None:
    """TensorFlow's order of the channels is ONNX's DCR."""
    site.emit("DepthToSpace", [site.new(0)], {**site.attributes(), "mode": "DCR"})


def _resize(site: Site) -> None:
    """Regions, scales and sizes go with the axes."""
    order = channels_first(data_rank(site.node))
    attributes = site.attributes("axes")
    axes = site.node.attributes.get_ints("axes")
    if axes is not None:
        rank = len(order)
        attributes["axes"] = [order.index(axis % rank) for axis in axes]
        inputs = [site.plain(i) for i in range(1, len(site.node.inputs))]
    else:
        twice = (*order, *(axis + len(order) for axis in order))
        orders = (twice, order, order)
        inputs = [in_order(site, i, orders[i - 1]) for i in range(1, len(site.node.inputs))]
    site.emit("Resize", [site.new(0), *inputs], attributes)


def _batch_normalization(site: Site) -> None:
    """Parameters of a matrix whose features are permuted are permuted too. With an unknown rank it is arithmetic.

    ONNX's epsilon is a float32 whatever is normalised: of doubles the variance gets what that lacks.
    """
    if rank_of(site.old(0)) < 2:  # (x - mean) / sqrt(variance + epsilon) * scale + bias, the channels last
        x, gamma, beta, centre, spread = (site.new(i) for i in range(5))
        tiny = site.emitter.scalar(site.node.attributes.get_float("epsilon", 1e-5), x)
        deviation = site.inner("Sqrt", [site.inner("Add", [spread, tiny], {})], {})
        normal = site.inner("Div", [site.inner("Sub", [x, centre], {}), deviation], {})
        site.emit("Add", [site.inner("Mul", [normal, gamma], {}), beta])
        return
    permutation = site.layout.features.of(site.node.outputs[0])
    scale, bias, mean, variance = (with_features(site, i, permutation) for i in range(1, 5))
    epsilon = float(site.node.attributes.get_float("epsilon", 1e-5) or 0)
    rest = epsilon - float(np.float32(epsilon))
    if rest and site.old(0).dtype is ir.DataType.DOUBLE:
        variance = site.inner("Add", [variance, site.emitter.scalar(rest, variance)], {})
    parameters = (scale, bias, mean, variance)
    site.emit("BatchNormalization", [site.new(0), *parameters], site.attributes())


CHANNELS_FIRST: dict[str, Emit] = {
    "AveragePool": _same,
    "BatchNormalization": _batch_normalization,
    "Conv": _conv,
    "ConvTranspose": _conv_transpose,
    "DepthToSpace": _depth_to_space,
    "LRN": _same,
    "MaxPool": _same,
    "Resize": _resize,
    "SpaceToDepth": _same,
}
