"""TensorFlow itself as the truth, where it is installed and can run the source in inference mode."""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from exporter.errors import UnsupportedError, UsageError
from exporter.foreign import is_from_library
from exporter.formats.records import Array
from exporter.formats.sniff import Kind, sniff
from exporter.frontend import Unfolded
from exporter.inference.graph.inline import CALLS
from exporter.options import Options
from exporter.report.decisions import Decision, Reason
from exporter.sources.checkpoint import locate
from exporter.sources.keras_source import is_keras
from exporter.sources.saved_model import SERVE, is_saved_model
from exporter.verify.references.keras_library import keras_reference
from exporter.verify.references.truth import Computed

__all__ = ["reference_of"]

_Load = Callable[[Any], Mapping[str, Any]]
"""Loads graph and weights into a session; gives the tensors that don't go by their own names in the exported model."""

_DEFAULT = "serving_default"


def reference_of(source: Path, graph: Path | None, options: Options) -> Callable[[Unfolded], Computed]:
    """What makes TensorFlow, or Keras, the truth about the unfolded model of a source.

    TensorFlow runs a checkpoint with a .meta, a SavedModel or a frozen graph with the flags that the export has set;
    Keras a Keras model. What neither can load is refused before one is imported, which takes a while.

    Raises:
        UsageError: What runs this source isn't installed.
        UnsupportedError: Neither can load it. Making the truth raises it for a graph that was built for training alone,
            and computing for what TensorFlow or Keras can't load or run.
    """
    if is_keras(source, graph):
        return keras_reference(source, graph, options)
    loader = _loader(source, graph, options)
    if importlib.util.find_spec("tensorflow") is None:
        raise _not_installed("there is no such package")
    return partial(_tensorflow_truth, loader)


def _tensorflow_truth(loader: Callable[[Any, Any], Mapping[str, Any]], unfolded: Unfolded) -> Computed:
    _refuse_training(unfolded.decisions)
    tf = _import_tensorflow()
    description = f"TensorFlow {tf.__version__}, run on the source in inference mode"
    return Computed(partial(_compute, tf, partial(loader, tf), unfolded), unfolded.model, description)


def _import_tensorflow() -> Any:
    try:
        return importlib.import_module("tensorflow")
    except ImportError as error:
        raise _not_installed(str(error)) from None


def _not_installed(why: str) -> UsageError:
    return UsageError(
        f"TensorFlow can't be imported: {why}", hint="Install it with pip install 'ckpt2onnx[tensorflow]'"
    )


def _refuse_training(decisions: tuple[Decision, ...]) -> None:
    """Rewritten statistics, and dropout that no flag switches off, are what TensorFlow would still compute."""
    for decision in decisions:
        if decision.kind in ("statistics", "noise") or (decision.kind == "dropout" and not _keeps_all(decision)):
            raise _unable(f"it was saved for training ({decision.subject})")


def _keeps_all(dropout: Decision) -> bool:
    """Whether it drops nothing once the flags are set as decided."""
    keep = dropout.details.get("keep")
    if dropout.code is Reason.DROPOUT_KEEPING and isinstance(keep, float):
        return bool(np.isclose(keep, 1, rtol=0, atol=5e-7))
    return dropout.code is Reason.DROPOUT


def _unable(reason: str) -> UnsupportedError:
    return UnsupportedError(
        f"TensorFlow can't run this graph in inference mode: {reason}",
        hint="Leave out --reference: the unfolded model is the truth then",
    )


def _compute(tf: Any, load: _Load, unfolded: Unfolded, feeds: Mapping[str, Array]) -> dict[str, Array]:
    """The outputs by the names that they have in the exported model."""
    v1 = tf.compat.v1
    inputs = [str(value.name) for value in unfolded.model.graph.inputs]
    outputs = [str(value.name) for value in unfolded.model.graph.outputs]
    try:
        with v1.Graph().as_default() as loaded, v1.Session(graph=loaded) as session:
            named = load(session)
            values = {_tensor(loaded, name, named): feeds[name] for name in inputs} | dict(
                _flags(loaded, unfolded.decisions)
            )
            found = session.run([_tensor(loaded, name, named) for name in outputs], values)
    except Exception as error:  # what TensorFlow raises is of many kinds
        if not is_from_library(error):
            raise
        raise _unable(" ".join(str(error).split())[:200]) from error
    return dict(zip(outputs, found, strict=True))


def _tensor(graph: Any, name: str, named: Mapping[str, Any]) -> Any:
    return named[name] if name in named else graph.get_tensor_by_name(name if ":" in name else f"{name}:0")


def _flags(graph: Any, decisions: tuple[Decision, ...]) -> Iterator[tuple[Any, Array]]:
    """The tensors that the export has set, and to what; those that have taken their default do so in TensorFlow too."""
    for decision in decisions:
        if decision.kind in ("flag", "value") and not isinstance(decision.value, str):
            tensor = _tensor(graph, decision.subject, {})
            shape = [size or 1 for size in tensor.shape] if tensor.shape.rank is not None else []
            yield tensor, np.broadcast_to(np.array(decision.value), shape)


def _loader(source: Path, graph: Path | None, options: Options) -> Callable[[Any, Any], Mapping[str, Any]]:
    """What loads this kind of source, given TensorFlow and a session; nothing is imported to tell."""
    if is_saved_model(source):
        return partial(_load_saved_model, str(source if source.is_dir() else source.parent), options)
    located = locate(source)
    meta = graph or (None if located is None else Path(f"{located.prefix}.meta"))
    if located is not None and meta is not None and meta.is_file() and sniff(meta) in _METAS:
        return partial(_load_checkpoint, str(meta), str(located.prefix))
    if source.is_file() and sniff(source) in (Kind.GRAPH_DEF, Kind.GRAPH_DEF_TEXT):
        return partial(_load_graph, source)
    raise UnsupportedError(
        f"TensorFlow can't load {source} by itself: there is no .meta with its graph, and it is no SavedModel, frozen "
        "graph or Keras model",
        hint="Leave out --reference: the unfolded model is the truth then",
    )


_METAS = (Kind.META_GRAPH, Kind.META_GRAPH_TEXT)


def _load_checkpoint(meta: str, prefix: str, tf: Any, session: Any) -> dict[str, Any]:
    tf.compat.v1.train.import_meta_graph(meta, clear_devices=True).restore(session, prefix)
    return {}


def _load_graph(path: Path, tf: Any, session: Any) -> dict[str, Any]:
    """A frozen graph; TensorFlow parses it, as text or as bytes."""
    graph_def = tf.compat.v1.GraphDef()
    if sniff(path) is Kind.GRAPH_DEF_TEXT:
        importlib.import_module("google.protobuf.text_format").Parse(path.read_text(encoding="utf-8"), graph_def)
    else:
        graph_def.ParseFromString(path.read_bytes())
    with session.graph.as_default():
        tf.import_graph_def(graph_def, name="")
    return {}


def _load_saved_model(folder: str, options: Options, tf: Any, session: Any) -> dict[str, Any]:
    signatures = tf.compat.v1.saved_model.load(session, [SERVE], folder).signature_def
    names = sorted(name for name in signatures if signatures[name].outputs)
    if options.outputs or not names:
        return {}
    signature = signatures[options.signature or (_DEFAULT if _DEFAULT in names else names[0])]
    ends = {key: session.graph.get_tensor_by_name(info.name) for key, info in _ends(signature)}
    return ends if any(ends[key].op.type in CALLS for key in signature.outputs) else {}


def _ends(signature: Any) -> list[tuple[str, Any]]:
    """The inputs and outputs of a signature, by its names for them."""
    return [*signature.inputs.items(), *signature.outputs.items()]
