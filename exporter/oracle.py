"""TensorFlow itself as the truth, where it is installed and can run the source in inference mode."""

from __future__ import annotations

import importlib
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from exporter.errors import UnsupportedError, UsageError
from exporter.formats.records import Array
from exporter.frontend import Unfolded, unfold
from exporter.inference.options import Options
from exporter.report import Decision
from exporter.sources.checkpoint import locate
from exporter.sources.saved_model import is_saved_model
from exporter.verify.data import specs_of
from exporter.verify.truth import Computed

__all__ = ["tensorflow_truth"]

Compute = Callable[[Mapping[str, Array]], Mapping[str, Array]]


def tensorflow_truth(source: Path, graph: Path | None, options: Options) -> Computed:
    """Runs a checkpoint with a .meta, or a SavedModel, in TensorFlow with the flags that the export has set.

    Raises:
        UsageError: TensorFlow isn't installed.
        UnsupportedError: TensorFlow can't run this source in inference mode: it was built for training alone.
    """
    unfolded = unfold(source, graph=graph, options=options)
    _refuse_training(unfolded.decisions)
    tf = _import_tensorflow()
    compute = _saved_model(tf, source, options) if is_saved_model(source) else _checkpoint(tf, source, graph, unfolded)
    description = f"TensorFlow {tf.__version__}, run on the source in inference mode"
    return Computed(compute, specs_of(unfolded.model), description)


def _import_tensorflow() -> Any:
    try:
        return importlib.import_module("tensorflow")
    except ImportError as error:
        raise UsageError(
            f"TensorFlow can't be imported: {error}", hint="Install it with pip install 'ckpt2onnx[tensorflow]'"
        ) from None


def _refuse_training(decisions: tuple[Decision, ...]) -> None:
    """Rewritten statistics, and dropout that no flag switches off, are what TensorFlow would still compute."""
    rewritten = [d for d in decisions if d.kind in ("statistics", "noise") or _is_baked_dropout(d)]
    if rewritten:
        raise UnsupportedError(
            f"TensorFlow can't run this graph in inference mode: it was saved for training ({rewritten[0].subject})",
            hint="Leave out --reference: the unfolded model is the truth then",
        )


def _is_baked_dropout(decision: Decision) -> bool:
    """Dropout whose keep probability isn't 1 once the flags are set."""
    return (
        decision.kind == "dropout" and "keep probability" in decision.reason and "probability 1" not in decision.reason
    )


def _checkpoint(tf: Any, source: Path, graph: Path | None, unfolded: Unfolded) -> Compute:
    located = locate(source)
    meta = graph or (None if located is None else Path(f"{located.prefix}.meta"))
    if located is None or meta is None or not meta.is_file() or meta.suffix != ".meta":
        raise UnsupportedError("TensorFlow needs a checkpoint with its .meta, or a SavedModel")
    inputs = [str(value.name) for value in unfolded.model.graph.inputs]
    outputs = [str(value.name) for value in unfolded.model.graph.outputs]

    def compute(feeds: Mapping[str, Array]) -> dict[str, Array]:
        v1 = tf.compat.v1
        with v1.Graph().as_default() as loaded, v1.Session(graph=loaded) as session:
            saver = v1.train.import_meta_graph(str(meta), clear_devices=True)
            saver.restore(session, str(located.prefix))
            values = {_tensor(loaded, name): feeds[name] for name in inputs}
            values |= _flags(loaded, unfolded.decisions)
            return dict(zip(outputs, session.run([_tensor(loaded, name) for name in outputs], values), strict=True))

    return compute


def _tensor(graph: Any, name: str) -> Any:
    return graph.get_tensor_by_name(name if ":" in name else f"{name}:0")


def _flags(graph: Any, decisions: tuple[Decision, ...]) -> dict[Any, Any]:
    """The placeholders that the export has set, and to what."""
    values = {}
    for decision in decisions:
        if decision.kind in ("flag", "value"):
            tensor = _tensor(graph, decision.subject)
            shape = [size or 1 for size in tensor.shape] if tensor.shape.rank is not None else []
            values[tensor] = np.broadcast_to(np.array(json.loads(decision.choice)), shape)
    return values


def _saved_model(tf: Any, source: Path, options: Options) -> Compute:
    loaded = tf.saved_model.load(str(source if source.is_dir() else source.parent))
    name = options.signature or ("serving_default" if "serving_default" in loaded.signatures else None)
    signature = loaded.signatures[name or next(iter(loaded.signatures))]

    def compute(feeds: Mapping[str, Array]) -> dict[str, Array]:
        found = signature(**{key: tf.constant(array) for key, array in feeds.items()})
        return {key: tensor.numpy() for key, tensor in found.items()}

    return compute
