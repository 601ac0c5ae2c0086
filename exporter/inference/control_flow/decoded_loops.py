"""Loops that decode a batch of encoded images one by one: the images become the batch.

    strings [N] -> loop: read -> DecodeJpeg -> resize ...        what a serving signature does (tf.map_fn)
    images [N, H, W, C] -> loop: one image -> resize ...         what is exported

So the model begins where there are numbers, inside of a loop too, and what is done to each image is part of it.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from exporter.inference.control_flow.open_loops import COLLECTORS
from exporter.inference.graph.op_types import DATA_SOURCES
from exporter.inference.graph.queries import RANDOM_OPS, STEPWISE
from exporter.inference.graph.ranks import hinted_shape
from exporter.inference.graph.result_types import result_type
from exporter.inference.graph.rewriter import Rewriter
from exporter.sources.graph import Node, Ref

__all__ = ["cut_decoders_in_loops"]

_DECODERS = frozenset({"DecodeAndCropJpeg", "DecodeBmp", "DecodeImage", "DecodeJpeg", "DecodePng"})

_ON_THE_WAY = frozenset({"DecodeBase64", "Identity", "Reshape", "Snapshot", "Squeeze"})
"""What may be done to a string before it is decoded."""

_READS = {"TensorArrayReadV3": (2, 1), "TensorListGetItem": (0, 1)}
"""Which inputs of a read are the list and the number."""

_FILLS = {"TensorArrayScatterV3": 2, "TensorListFromTensor": 0}
"""Which input of what makes a list of a tensor that tensor is."""

_INT32 = 3


@dataclass(frozen=True)
class _Decoded:
    """A decoder in a loop: what it reads, all of it, and which element at a step."""

    decoder: Node
    strings: Ref
    listed: Node
    index: Ref


def cut_decoders_in_loops(rewriter: Rewriter, outputs: Iterable[Ref], given: Iterable[Ref]) -> dict[Ref, str]:
    """Puts a placeholder for a batch of images in the place of the strings; returns them, and what decoded each.

    Loops that draw random numbers, or read other data, stay as they are, and the model begins behind them.

    Args:
        rewriter: The graph, with its loops open.
        outputs: What is to be computed.
        given: The inputs that are named.
    """
    made: dict[Ref, str] = {}
    stop = frozenset(given)
    outputs = list(outputs)
    for collector in [node for node in rewriter.order(outputs, stop=stop) if node.op in COLLECTORS]:
        nodes = rewriter.order([Ref(collector.name)], stop=stop)
        sources = [n for n in nodes if STEPWISE in n.attributes and n.op in DATA_SOURCES | RANDOM_OPS]
        found = [_decoded(rewriter, node) for node in sources]
        cuts = [cut for cut in found if cut is not None]
        if len(cuts) == len(found):
            made |= {_cut(rewriter, cut): cut.decoder.name for cut in cuts}
    return made


def _decoded(rewriter: Rewriter, node: Node) -> _Decoded | None:
    if node.op not in _DECODERS:
        return None
    read = rewriter.producer(rewriter.inputs(node)[0])
    while read.op in _ON_THE_WAY:
        read = rewriter.producer(rewriter.inputs(read)[0])
    if read.op not in _READS:
        return None
    held, index = (rewriter.inputs(read)[place] for place in _READS[read.op])
    listed = _plain(rewriter, held)
    if listed.op not in _FILLS:
        return None
    strings = rewriter.inputs(listed)[_FILLS[listed.op]]
    return _Decoded(node, Ref(_plain(rewriter, strings).name, strings.port), listed, index)


def _plain(rewriter: Rewriter, ref: Ref) -> Node:
    """What makes a tensor, behind copies."""
    node = rewriter.producer(ref)
    while node.op == "Identity":
        node = rewriter.producer(rewriter.inputs(node)[0])
    return node


def _cut(rewriter: Rewriter, cut: _Decoded) -> Ref:
    """One image of the batch in the place of what was decoded; the batch is as large as there were strings."""
    decoder = cut.decoder
    dtype = result_type(rewriter, decoder)
    sizes = hinted_shape(decoder, 0) or (None, None, decoder.attribute("channels", 0) or None)
    images = rewriter.add(f"{decoder.name}/images", "Placeholder", dtype=dtype, shape=(None, *sizes))
    axis = rewriter.constant(f"{decoder.name}/axis", np.array(0, np.int32), _INT32)
    attributes = {"Tparams": dtype, "Tindices": _INT32, "Taxis": _INT32}
    one = rewriter.add(f"{decoder.name}/image", "GatherV2", (images, cut.index, axis), **attributes)
    rewriter.redirect(Ref(decoder.name), one)
    for name in dict.fromkeys((*rewriter.graph.nodes, *rewriter.added())):
        node = rewriter.node(name)
        inputs = rewriter.inputs(node)
        if node.op == "Shape" and _plain(rewriter, inputs[0]).name == cut.strings.node:
            rewriter.redirect(Ref(name), _count(rewriter, images, name, int(node.attribute("out_type", _INT32)), 1))
        elif node.op == "TensorListLength" and _plain(rewriter, inputs[0]).name == cut.listed.name:
            rewriter.redirect(Ref(name), _count(rewriter, images, name, _INT32, 0))
    return images


def _count(rewriter: Rewriter, images: Ref, name: str, dtype: int, rank: int) -> Ref:
    """How many images there are, as a scalar or a vector."""
    sizes = rewriter.add(
        f"{name}/images", "Shape", (images,), out_type=dtype, T=result_type(rewriter, rewriter.node(images.node))
    )
    bounds = [
        rewriter.constant(f"{name}/{what}", np.array([n], np.int32), _INT32)
        for what, n in (("from", 0), ("to", 1), ("by", 1))
    ]
    masks = {"begin_mask": 0, "end_mask": 0, "ellipsis_mask": 0, "new_axis_mask": 0, "shrink_axis_mask": 1 - rank}
    return rewriter.add(f"{name}/count", "StridedSlice", (sizes, *bounds), T=dtype, Index=_INT32, **masks)
