"""A model written down in Keras's terms, where Keras isn't installed: its configuration, and nothing that computes.

    from exporter.zoo.keras_terms import BatchNormalization, Conv2D, Dense, Flatten, Input, Sequential

    net = Sequential([
        Input((28, 28, 1)),
        Conv2D(32, 3, activation="relu"),
        BatchNormalization(),
        Flatten(),
        Dense(10, activation="softmax"),
    ])

Any layer of `keras.layers` can be named; what its arguments mean, and what they are by default, is what Keras says.
Layers without a name get those that Keras gives them in a fresh process: `dense`, `dense_1`, and so on. A file with
such a model, or with one of Keras itself, is used as `--arch nets.py:net`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import partial
from typing import Any

__all__ = ["Input", "Layer", "Sequential"]

_POSITIONAL: dict[str, tuple[str, ...]] = {
    "Activation": ("activation",),
    "BatchNormalization": ("axis", "momentum", "epsilon"),
    "Bidirectional": ("layer", "merge_mode"),
    "Dense": ("units", "activation", "use_bias"),
    "Dropout": ("rate",),
    "Embedding": ("input_dim", "output_dim"),
    "GRU": ("units", "activation"),
    "LSTM": ("units", "activation"),
    "Permute": ("dims",),
    "ReLU": ("max_value",),
    "RepeatVector": ("n",),
    "Rescaling": ("scale", "offset"),
    "Reshape": ("target_shape",),
    "SimpleRNN": ("units", "activation"),
    "TimeDistributed": ("layer",),
}
_BY_KIND: tuple[tuple[str, tuple[str, ...]], ...] = (
    (r"Depthwise.*", ("kernel_size", "strides", "padding")),
    (r"(Separable)?Conv.*", ("filters", "kernel_size", "strides", "padding")),
    (r"Global.*", ()),
    (r".*Pooling\dD", ("pool_size", "strides", "padding")),
    (r"ZeroPadding.*", ("padding",)),
    (r"Cropping.*", ("cropping",)),
    (r"UpSampling.*", ("size",)),
)


@dataclass(frozen=True)
class Layer:
    """A layer: its class in `keras.layers`, and its arguments by name."""

    class_name: str
    arguments: dict[str, Any]


class Sequential:
    """A chain of layers.

    Args:
        layers: The layers, or more chains; an `Input` first, if no layer says its `input_shape`.
        name: What it is called.
    """

    def __init__(self, layers: Iterable[Layer | Sequential] = (), name: str = "sequential") -> None:
        self._layers, self._name = list(layers), name

    def add(self, layer: Layer | Sequential) -> None:
        """Appends a layer."""
        self._layers.append(layer)

    def to_json(self) -> str:
        """The configuration, as `Model.to_json()` of Keras writes it."""
        return json.dumps(self._record({}, self._name))

    def _record(self, counts: dict[str, int], name: str) -> dict[str, Any]:
        records = [_record(layer, counts) for layer in self._layers]
        return {"class_name": "Sequential", "config": {"name": name, "layers": records}}


def Input(shape: Iterable[int | None], *, dtype: str = "float32", name: str = "input") -> Layer:  # noqa: N802 - as Keras
    """The input of a chain, without the batch."""
    return Layer("InputLayer", {"batch_shape": [None, *shape], "dtype": dtype, "name": name})


def __getattr__(name: str) -> Any:
    """Any class of `keras.layers`."""
    if not name[:1].isupper():
        raise AttributeError(name)
    return partial(_made, name)


def _made(class_name: str, *values: Any, **arguments: Any) -> Layer:
    names = _POSITIONAL.get(class_name)
    if names is None:
        names = next((found for kind, found in _BY_KIND if re.fullmatch(kind, class_name)), ())
    if len(values) > len(names):
        raise TypeError(f"{class_name}: write the arguments by name, as in {class_name}(axis=1)")
    return Layer(class_name, {**dict(zip(names, values, strict=False)), **arguments})


def _record(layer: Layer | Sequential, counts: dict[str, int]) -> dict[str, Any]:
    if isinstance(layer, Sequential):
        return layer._record(counts, _next("Sequential", counts))
    config = {}
    for name, value in layer.arguments.items():
        config[name] = _record(value, counts) if isinstance(value, Layer | Sequential) else value
    shape = config.pop("input_shape", None)
    if shape is not None:
        config["batch_input_shape"] = [None, *shape]
    config.setdefault("name", _next(layer.class_name, counts))
    return {"class_name": layer.class_name, "config": config}


def _next(class_name: str, counts: dict[str, int]) -> str:
    """The name that Keras gives: `MaxPooling2D` is max_pooling2d, then max_pooling2d_1."""
    snake = re.sub("([a-z])([A-Z])", r"\1_\2", re.sub("(.)([A-Z][a-z]+)", r"\1_\2", class_name)).lower()
    count = counts.get(snake, 0)
    counts[snake] = count + 1
    return f"{snake}_{count}" if count else snake
