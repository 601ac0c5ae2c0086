"""The result of each batch norm by itself: where in an exported model it is, and how far it is from the truth there.

A fold leaves no trace in the exported model of which tensor is the batch norm's result now: most often that of the
convolution before it, but an affine also moves through pools, concatenations and reshapes, and into the next layer. So
the tensor is found by its numbers: computed in float64, the folded model differs from the unfolded one by the rounding
of its weights alone, and the first tensor that is as close as that to the batch norm's result is the one. An affine
that has moved on into the layer behind it has none.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx_ir as ir

from exporter.ir.evaluate import evaluate
from exporter.verify.compare import Array, error, limit
from exporter.verify.engines import Engine, Feeds, bundle_engine, onnx_engine
from exporter.verify.references.unfolded_model import float_type
from exporter.verify.verdict import SiteCheck

__all__ = ["Site", "Truths", "check_sites", "locate", "truths"]

_ROUNDED = 1000.0
"""Weights that were rounded, all of them, move a result by some units in the last place; other results are farther."""


@dataclass(frozen=True)
class Truths:
    """What each batch norm of an unfolded model gives.

    Attributes:
        feeds: The inputs.
        results: By batch norm, in float64, channels last.
        noise: The error that the model's own float type makes in each.
    """

    feeds: Feeds
    results: Mapping[str, Array]
    noise: Mapping[str, float]


@dataclass(frozen=True)
class Site:
    """A batch norm, and the tensor of the folded model that holds its result; None if none does."""

    batch_norm: str
    tensor: str | None


def truths(model: ir.Model, feeds: Feeds) -> Truths:
    """The results of all batch norms outside of subgraphs, of a model before any pass."""
    names = {value: name for name, value in _results(model).items()}
    found: dict[str, Array] = {}
    noise: dict[str, float] = {}

    def keep(value: ir.Value, array: Array) -> None:
        if value in names:
            found[names[value]] = array.copy()

    def measure(value: ir.Value, array: Array) -> None:
        if value in names:
            noise[names[value]] = error(array, found[names[value]])

    evaluate(model, feeds, dtype=np.float64, see=keep)
    evaluate(model, feeds, dtype=float_type(model), see=measure)
    return Truths(feeds, found, noise)


def _results(model: ir.Model) -> dict[str, ir.Value]:
    """The last tensor that each batch norm computes."""
    return {
        node.metadata_props["batch_norm"]: node.outputs[0]
        for node in model.graph
        if "batch_norm" in node.metadata_props
    }


def locate(folded: ir.Model, known: Truths) -> list[Site]:
    """Where the results are in the same model after the passes."""
    left = dict(known.results)
    close = min(_ROUNDED * float(np.finfo(float_type(folded)).eps), 0.05)
    tensors: dict[str, str] = {}

    def see(value: ir.Value, array: Array) -> None:
        for name in [name for name, truth in left.items() if _same(array, truth, close)]:
            tensors[name] = str(value.name)
            del left[name]

    evaluate(folded, known.feeds, dtype=np.float64, see=see)
    return [Site(name, tensors.get(name)) for name in known.results]


def _same(array: Array, truth: Array, close: float) -> bool:
    """Whether two results are close; those that aren't are mostly told apart by their first number."""
    if array.shape != truth.shape or not array.size:
        return False
    if abs(float(array.flat[0]) - float(truth.flat[0])) > close * (1 + float(np.abs(truth).max())):
        return False
    return error(array, truth) < close


def check_sites(
    onnx_path: Path | None, npz_path: Path | None, known: Truths, sites: Sequence[Site]
) -> tuple[SiteCheck, ...]:
    """Runs the files with those tensors as further outputs; of the ONNX file as it is written, without optimisations.

    Raises:
        EngineError: A file can't be loaded or run.
    """
    checks: list[SiteCheck] = []
    if onnx_path is not None:
        checks += _check("onnxruntime, as written", onnx_path, known, sites)
    if npz_path is not None:
        checks += _check("NumPy runtime", npz_path, known, sites)
    return tuple(checks)


def _check(engine: str, path: Path, known: Truths, sites: Sequence[Site]) -> Iterator[SiteCheck]:
    wanted = [site.tensor for site in sites if site.tensor is not None]
    found = _with_tensors(path, wanted).run(known.feeds)
    for site in sites:
        truth = known.results[site.batch_norm]
        array = None if site.tensor is None else found.get(site.tensor)
        if array is None:
            yield SiteCheck(engine, site.batch_norm, None, 0.0, 0.0)
        else:
            allowed = limit(known.noise[site.batch_norm], array.dtype)
            yield SiteCheck(engine, site.batch_norm, site.tensor, _error(array, truth), allowed)


def _with_tensors(path: Path, tensors: Sequence[str]) -> Engine:
    if path.suffix == ".npz":
        return bundle_engine(path, also=tensors)
    return onnx_engine(path, optimised=False, also=tensors)


def _error(array: Array, truth: Array) -> float:
    """The error, also of a result whose channels are the second axis, as they are inside of an ONNX file."""
    last = np.moveaxis(array, 1, -1) if array.ndim > 2 else array
    return min(error(array, truth), error(last, truth))
