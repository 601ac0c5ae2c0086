"""Every kind of file that a Keras model is saved in, with the names that its inputs and outputs have in it."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from tests.e2e.recorded import Array
from tests.unit.lower_keras.oracle import leaves

__all__ = ["Saved", "save"]


@dataclass(frozen=True)
class Saved:
    """A saved model: its files, and what TensorFlow makes of the inputs, by the names they have in the file."""

    source: Path
    graph: Path | None
    input_names: list[str]
    output_names: list[str]
    outputs: list[Array]


def save(model: Any, kind: str, folder: Path, feeds: Sequence[Array]) -> Saved:
    """Saves a model as one kind of file, and runs it."""
    if kind in ("saved_model", "export"):
        return _signature(model, kind, folder, feeds)
    source, graph = _files(model, kind, folder)
    results = leaves(model(list(feeds) if len(feeds) > 1 else feeds[0], training=False))
    outputs = [np.asarray(leaf) for leaf in results]
    return Saved(source, graph, [_layer_name(each) for each in model.inputs], _output_names(model), outputs)


def _files(model: Any, kind: str, folder: Path) -> tuple[Path, Path | None]:
    if kind in ("keras", "h5"):
        path = folder / f"model.{kind}"
        logging.disable(logging.WARNING)
        model.save(path)
        logging.disable(logging.NOTSET)
        return path, None
    graph = folder / "model.json"
    graph.write_text(model.to_json())
    if kind == "weights":
        path = folder / "model.weights.h5"
        model.save_weights(path)
        return path, graph
    import tensorflow as tf

    prefix = tf.train.Checkpoint(model=model).save(str(folder / "ckpt"))
    if len(tf.train.list_variables(prefix)) < len(model.weights):
        raise ValueError("Keras leaves weights out of the checkpoint, such as those of stacked cells")
    return Path(prefix), graph


def _signature(model: Any, kind: str, folder: Path, feeds: Sequence[Array]) -> Saved:
    """A SavedModel, whose names and numbers are those of its signature, run by TensorFlow."""
    import tensorflow as tf

    path = folder / "saved"
    if kind == "export":
        model.export(str(path), verbose=False)
    else:
        model.save(str(path), save_format="tf")
    signature = tf.saved_model.load(str(path)).signatures["serving_default"]
    names = sorted(signature.structured_input_signature[1])
    given = {_layer_name(each): value for each, value in zip(model.inputs, feeds, strict=True)}
    if set(given) != set(names):
        given = dict(zip(names, feeds, strict=True))
    results = signature(**{name: tf.constant(value) for name, value in given.items()})
    order = _output_names(model)
    if set(order) != set(results):
        order = sorted(results, key=lambda name: int(name.rpartition("_")[2]))
    return Saved(path, None, list(given), order, [np.asarray(results[name]) for name in order])


def _layer_name(tensor: Any) -> str:
    history = tensor._keras_history
    return str((history.operation if hasattr(history, "operation") else history.layer).name)


def _output_names(model: Any) -> list[str]:
    names: list[str] = []
    for tensor in model.outputs:
        name, count = _layer_name(tensor), 0
        while name in names:
            count += 1
            name = f"{_layer_name(tensor)}_{count}"
        names.append(name)
    return names
