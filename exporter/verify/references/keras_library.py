"""Keras itself as the truth, where it is installed: it loads a model and its weights, and runs them at inference."""

from __future__ import annotations

import importlib
import importlib.util
import os
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from exporter.errors import UnsupportedError, UsageError
from exporter.foreign import is_from_library
from exporter.formats.records import Array
from exporter.formats.sniff import Kind, sniff
from exporter.frontend import Unfolded, unfold
from exporter.options import Options
from exporter.sources.keras_files import open_keras
from exporter.verify.references.truth import Computed

__all__ = ["keras_reference"]

_LEGACY, _CURRENT = "tf_keras", "keras"
_TRAINING_OFF = {"training": False}


def keras_reference(source: Path, graph: Path | None, options: Options) -> Callable[[Unfolded], Computed]:
    """What makes Keras the truth: `tf_keras` about what Keras 2 wrote, `keras` about what Keras 3 did.

    Of what a configuration names nothing is run that isn't Keras's own: it is read here first, which refuses code.

    Raises:
        UsageError: That Keras isn't installed.
        UnsupportedError: The configuration names classes that aren't Keras's. Computing raises it too, for what Keras
            can't load or run.
    """
    if options.custom:
        raise _unable("its configuration names classes that aren't Keras's (--custom)")
    major = open_keras(source, graph_file=graph).complete()[0].major
    name = _CURRENT if major > 2 else _LEGACY
    if importlib.util.find_spec(name) is None:
        raise _not_installed(name, "there is no such package")

    def truth(unfolded: Unfolded) -> Computed:
        whole = unfold(source, graph=graph, options=replace(options, outputs=())) if options.outputs else unfolded
        names = [str(value.name) for value in whole.model.graph.outputs]
        keras = _import_keras(name)
        compute = partial(_compute, partial(_load, keras, source, graph), names, unfolded)
        return Computed(compute, unfolded.model, f"Keras {keras.__version__}, run on the source at inference")

    return truth


def _import_keras(name: str) -> Any:
    os.environ.setdefault("KERAS_BACKEND", "tensorflow")
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise _not_installed(name, str(error)) from None


def _not_installed(name: str, why: str) -> UsageError:
    return UsageError(f"{name} can't be imported: {why}", hint="Install it with pip install 'ckpt2onnx[tensorflow]'")


def _unable(reason: str) -> UnsupportedError:
    return UnsupportedError(
        f"Keras can't run this model: {reason}", hint="Leave out --reference: the unfolded model is the truth then"
    )


def _load(keras: Any, source: Path, graph: Path | None) -> Any:
    if graph is None:
        return keras.models.load_model(str(source), compile=False)
    if sniff(graph) is Kind.JSON:
        model = keras.models.model_from_json(graph.read_text(encoding="utf-8"))
    else:
        model = keras.models.load_model(str(graph), compile=False)
    status = model.load_weights(str(_as_keras_names(source)))
    if hasattr(status, "expect_partial"):
        status.expect_partial()
    return model


def _as_keras_names(source: Path) -> Path:
    """A TensorFlow checkpoint by its prefix."""
    return source.with_suffix("") if source.suffix == ".index" else source


def _compute(
    load: Callable[[], Any], names: list[str], unfolded: Unfolded, feeds: Mapping[str, Array]
) -> dict[str, Array]:
    """The outputs by the names that they have in the exported model."""
    inputs = [feeds[str(value.name)] for value in unfolded.model.graph.inputs]
    wanted = [str(value.name) for value in unfolded.model.graph.outputs]
    try:
        model = load()
        found = _leaves(model(_given(model, inputs), **_TRAINING_OFF))
    except Exception as error:  # what Keras raises is of many kinds
        if not is_from_library(error):
            raise
        raise _unable(" ".join(str(error).split())[:200] or type(error).__name__) from error
    if len(found) != len(names):
        raise _unable(f"it gives {len(found)} outputs, where its configuration tells of {len(names)}")
    known = dict(zip(names, found, strict=True))
    return {name: known[name] for name in wanted}


def _given(model: Any, inputs: list[Array]) -> Any:
    """The inputs in the form that the model takes them."""
    if isinstance(getattr(model, "input", None), Mapping):
        return dict(zip(sorted(model.input), inputs, strict=True))
    return inputs if len(inputs) > 1 else inputs[0]


def _leaves(nest: Any) -> list[Array]:
    """The tensors of lists, tuples and dicts, these by sorted keys, as arrays."""
    if isinstance(nest, Mapping):
        return [leaf for key in sorted(nest) for leaf in _leaves(nest[key])]
    if isinstance(nest, list | tuple):
        return [leaf for item in nest for leaf in _leaves(item)]
    return [np.asarray(nest)]
