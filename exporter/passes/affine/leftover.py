"""Writes what is left of a site: nothing, one cheap op, or two."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import onnx_ir as ir

from exporter.ir.ops import domain_of
from exporter.passes.affine.absorb import storage
from exporter.passes.affine.affine_map import Affine, Array
from exporter.passes.affine.collect import Original, Site
from exporter.passes.naming import Namer

__all__ = ["write_leftover"]


def write_leftover(
    graph: ir.Graph, namer: Namer, site: Site, *, centre: tuple[Affine, Affine] | None = None, divide: bool = False
) -> None:
    """Replaces a site by the fewest ops that compute it.

    nothing, for the identity; the op it was, if it is still that one; Mul, Add, Neg or Sub, where one is enough;
    BatchNormalization where scale and shift run along the channels of vectors or images; otherwise Mul and Add. With a
    `centre`, its two maps are written like that one after the other. With `divide`, x is divided by 1 / scale, which no
    engine merges into the weights of the op before it.
    """
    source = dict(site.node.metadata_props)
    name, x = str(site.node.name), site.input
    namer.release(site.output.name)
    with np.errstate(all="ignore"):
        divisor = 1 / site.affine.scale
        finite = np.isfinite(divisor.astype(np.float32)).all()
    # dividing is of use where the scale would change a kernel's digits
    if divide and finite and np.any(np.abs(np.frexp(site.affine.scale)[0]) != 0.5):
        ops: list[_Op] = [("Div", [None, _constant(namer, site, "divisor", divisor)], ())]
        if site.affine.has_shift:
            ops.append(("Add", [None, _constant(namer, site, "shift", site.affine.shift)], ()))
    elif centre is None or site.affine.is_identity:
        ops = _ops(namer, site, site.affine, site.original)
    else:
        ops = [op for affine in centre for op in _ops(namer, site, affine, None)]
    for op_type, operands, attributes in ops:
        # None among the operands is the place of x
        inputs = [x if operand is None else operand for operand in operands]
        node = ir.Node(
            domain_of(op_type), op_type, inputs, attributes, num_outputs=1, name=namer.node(name), metadata_props=source
        )
        graph.insert_before(site.node, node)
        x = node.outputs[0]
        x.name = namer.value(f"{site.source}/{op_type}")
        x.shape, x.type = site.output.shape, site.output.type
    old = site.output
    if x.producer() is not None and x.name is not None and x is not site.input:
        # an output of the model keeps its name
        namer.release(x.name)
        x.name, old.name = namer.value(str(old.name)), None
        ir.convenience.replace_all_uses_with(old, x, replace_graph_outputs=True)
    else:
        _bypass(graph, namer, site)
    graph.remove(site.node, safe=True)


def _constant(namer: Namer, site: Site, name: str, array: Array) -> ir.Value:
    """A new constant, without leading axes of size 1."""
    sizes = list(array.shape)
    while sizes and sizes[0] == 1:
        sizes.pop(0)
    return namer.constant(f"{site.source}/{name}", array.reshape(sizes).astype(storage(site.output)))


_RANKS = (2, 4, 5)
"""Where BatchNormalization is no trouble: a sequence [N, T, C] is often not in a convolution's layout."""

_Op = tuple[str, list[ir.Value | None], Iterable[ir.Attr]]


def _ops(namer: Namer, site: Site, affine: Affine, original: Original | None) -> list[_Op]:
    if affine.is_identity:
        return []
    splits = original is not None and original.op_type == "BatchNormalization" and affine.rank not in _RANKS
    inputs = [value for value in original.inputs if value is not None] if original is not None else []
    still_there = all((value.producer() or value).graph is not None for value in inputs)
    if original is not None and not splits and still_there:
        x = site.input
        return [(original.op_type, [None if v is x else v for v in original.inputs], original.attributes)]
    if np.all(affine.scale == -1):
        if not affine.has_shift:
            return [("Neg", [None], ())]
        return [("Sub", [_constant(namer, site, "shift", affine.shift), None], ())]
    if affine.has_scale and affine.has_shift and affine.rank in _RANKS and affine.varying == [affine.rank - 1]:
        # a number per channel for scale or shift: one op is less traffic than two
        return [_batch_normalization(namer, site, affine, storage(site.output))]
    ops: list[_Op] = []
    if affine.has_scale:
        ops.append(("Mul", [None, _constant(namer, site, "scale", affine.scale)], ()))
    if affine.has_shift:
        ops.append(("Add", [None, _constant(namer, site, "shift", affine.shift)], ()))
    return ops


def _batch_normalization(namer: Namer, site: Site, affine: Affine, dtype: np.dtype[np.generic]) -> _Op:
    channels = max(affine.scale.size, affine.shift.size)

    def constant(name: str, array: Array) -> ir.Value:
        full = np.broadcast_to(array.reshape(-1), (channels,))
        return namer.constant(f"{site.source}/{name}", full.astype(dtype))

    inputs = [
        None,
        constant("scale", affine.scale),
        constant("shift", affine.shift),
        constant("mean", np.zeros(1)),
        constant("variance", np.ones(1)),
    ]
    return "BatchNormalization", inputs, [ir.AttrFloat32("epsilon", 0.0)]


def _bypass(graph: ir.Graph, namer: Namer, site: Site) -> None:
    """Joins the site's input and output, now the same."""
    x, y = site.input, site.output
    if not y.is_graph_output():
        ir.convenience.replace_all_uses_with(y, x)
        return
    name, y.name = str(y.name), None
    producer = x.producer()
    if producer is not None and not x.is_graph_output():
        namer.release(x.name)
        x.name = namer.value(name)
    else:
        node = ir.node("Identity", [x], name=namer.node(str(site.node.name)), metadata_props=site.node.metadata_props)
        graph.insert_before(site.node, node)
        copy = node.outputs[0]
        copy.name, copy.shape, copy.type = namer.value(name), y.shape, y.type
        x = copy
    ir.convenience.replace_all_uses_with(y, x, replace_graph_outputs=True)
