"""Whether what an iterator hands out are batches, made by the dataset behind it, and of which size."""

from __future__ import annotations

from exporter.inference.graph.rewriter import Rewriter
from exporter.sources.graph import FunctionCall, Graph, Node, Ref

__all__ = ["batch_size"]

_BATCHING = frozenset(
    {"BatchDataset", "BatchDatasetV2", "PaddedBatchDataset", "PaddedBatchDatasetV2", "ParallelBatchDataset"}
)
"""Datasets that make batches; their second input says how large."""

_KEEPING = frozenset(
    {
        "AssertCardinalityDataset",
        "CacheDataset",
        "CacheDatasetV2",
        "FilterDataset",
        "FinalizeDataset",
        "MapDataset",
        "ModelDataset",
        "OptimizeDataset",
        "OptimizeDatasetV2",
        "OptionsDataset",
        "ParallelMapDataset",
        "ParallelMapDatasetV2",
        "PrefetchDataset",
        "RepeatDataset",
        "ShuffleAndRepeatDataset",
        "ShuffleAndRepeatDatasetV2",
        "ShuffleDataset",
        "ShuffleDatasetV2",
        "ShuffleDatasetV3",
        "SkipDataset",
        "TakeDataset",
    }
)
"""Datasets whose elements are those of their first input, one by one."""


def batch_size(rewriter: Rewriter, node: Node) -> int | None:
    """How many elements the dataset behind an `IteratorGetNext` joins to one; None if it doesn't, or isn't known."""
    iterator = rewriter.producer(rewriter.inputs(node)[0])
    factory = iterator.attribute("dataset_factory")
    if isinstance(factory, FunctionCall):
        body = rewriter.graph.functions.get(factory.name)
        return None if body is None or not body.outputs else _size(Rewriter(Graph(body.nodes)), body.outputs[0])
    for maker in rewriter.graph:
        if maker.op == "MakeIterator" and rewriter.producer(rewriter.inputs(maker)[1]).name == iterator.name:
            return _size(rewriter, rewriter.inputs(maker)[0])
    return None


def _size(rewriter: Rewriter, dataset: Ref) -> int | None:
    while dataset.node in rewriter:
        node = rewriter.producer(dataset)
        if node.op in _BATCHING:
            value = rewriter.value(rewriter.inputs(node)[1])
            return None if value is None or value.size != 1 else int(value.item())
        if node.op not in _KEEPING:
            return None
        dataset = rewriter.inputs(node)[0]
    return None
