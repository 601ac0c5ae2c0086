"""Live Keras models as the judge: their configuration and weights go through our reader, their results are true."""

from __future__ import annotations

import importlib
import json
import os
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

from exporter.formats.records import Array
from exporter.ir.evaluate import evaluate
from exporter.lower.keras.driver import LoweredKeras, lower_keras
from exporter.sources.keras_config import read_model
from exporter.sources.keras_legacy import map_legacy
from exporter.sources.keras_weights import KerasWeights
from tests.unit.stores import MemoryStore

__all__ = [
    "Case",
    "Judged",
    "check",
    "error_of",
    "judge",
    "keras_of",
    "leaves",
    "live_weights",
    "lower",
    "outputs_of",
    "parameters",
    "randomise",
    "relative_error",
]


def keras_of(major: int) -> Any:
    """Keras 3, or tf.keras as of Keras 2."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return importlib.import_module("keras" if major == 3 else "tf_keras")


def randomise(model: Any, seed: int = 0) -> None:
    """Every weight at random, variances positive."""
    rng = np.random.default_rng(seed)
    for weight in model.weights:
        name = getattr(weight, "path", weight.name)
        shape = tuple(weight.shape)
        if np.dtype(getattr(weight.dtype, "name", weight.dtype)).kind != "f":
            continue
        values = rng.normal(0, 0.5, shape)
        if "variance" in name or "stddev" in name:
            values = rng.uniform(0.5, 2, shape)
        weight.assign(values.astype(np.float32))
    for layer in model.layers:
        if hasattr(layer, "finalize_state"):
            layer.finalize_state()


def live_weights(model: Any, read: Any) -> KerasWeights:
    """The weights of a live model."""
    arrays, groups = listed_weights(model)
    return map_legacy(read, groups, MemoryStore(arrays))


def listed_weights(model: Any) -> tuple[dict[str, Array], dict[str, dict[str, str]]]:
    """The weights of a live model by key, and the keys by layer and name, as an .h5 file lists them."""
    arrays: dict[str, Array] = {}
    groups: dict[str, dict[str, str]] = {}
    for layer in model.layers:
        names = groups.setdefault(layer.name, {})
        for weight in [*layer.trainable_weights, *layer.non_trainable_weights]:
            name = getattr(weight, "path", weight.name)
            key = f"{layer.name}/{name}"
            names[name] = key
            arrays[key] = np.asarray(weight)
    return arrays, groups


def lower(model: Any, *, name: str = "model") -> LoweredKeras:
    """A live model through our reader."""
    read = read_model(json.loads(model.to_json()))
    return lower_keras(read, live_weights(model, read), name=name)


def relative_error(found: Array, expected: Array) -> float:
    """The largest difference over the largest magnitude."""
    assert found.shape == expected.shape, f"{found.shape} is not {expected.shape}"
    if expected.dtype.kind in "biu":
        return float(np.max(found != expected, initial=0))
    scale = float(np.max(np.abs(expected), initial=0)) or 1.0
    return float(np.max(np.abs(found.astype(np.float64) - expected), initial=0)) / scale


@dataclass(frozen=True)
class Judged:
    """A network as Keras describes it, and what Keras makes of it at inference.

    Attributes:
        config: What `to_json` gives.
        weights: By key.
        groups: The keys by layer and name.
        feeds: One array for each input.
        expected: One array for each output.
    """

    config: str
    weights: Mapping[str, Array]
    groups: Mapping[str, Mapping[str, str]]
    feeds: Sequence[Array]
    expected: Sequence[Array]

    def lower(self) -> LoweredKeras:
        """Lower the network, without Keras."""
        read = read_model(json.loads(self.config))
        return lower_keras(read, map_legacy(read, self.groups, MemoryStore(self.weights)), name="model")

    def error(self) -> float:
        """Measure how far our meaning is from Keras's, over all outputs, relative to each one's largest value."""
        lowered = self.lower().model
        names = [str(value.name) for value in lowered.graph.inputs]
        results = evaluate(lowered, dict(zip(names, self.feeds, strict=True)), dtype=np.float32)
        found = [results[str(value.name)] for value in lowered.graph.outputs]
        return max(relative_error(a, b) for a, b in zip(found, self.expected, strict=True))


def judge(model: Any, feeds: Sequence[Array]) -> Judged:
    """Run a live model in Keras."""
    weights, groups = listed_weights(model)
    return Judged(model.to_json(), weights, groups, feeds, outputs_of(model, feeds))


def error_of(model: Any, feeds: Sequence[Array]) -> float:
    """How far our meaning of a model is from Keras's own at inference, over all outputs."""
    return judge(model, feeds).error()


def outputs_of(model: Any, feeds: Sequence[Array]) -> list[Array]:
    """What Keras makes of the inputs at inference, one array after another."""
    results = model(feeds[0] if len(feeds) == 1 else list(feeds), training=False)
    return [np.asarray(leaf) for leaf in leaves(results)]


def leaves(nest: Any) -> Iterator[Any]:
    """The tensors of lists and dicts, these by their sorted keys."""
    if isinstance(nest, Mapping):
        for key in sorted(nest):
            yield from leaves(nest[key])
    elif isinstance(nest, list | tuple):
        for item in nest:
            yield from leaves(item)
    else:
        yield nest


@dataclass(frozen=True)
class Case:
    """A small network.

    Attributes:
        name: Of the test.
        build: `build(keras, *inputs)` returns a tensor, or several.
        shapes: The inputs' shapes without the batch; None for a size that isn't known.
        majors: The versions of Keras that have what it needs.
        feeds: What to feed; floats at random where it is left out.
        units: How many float32 epsilons the results may differ by, relative to the largest.
    """

    name: str
    build: Callable[..., Any]
    shapes: Sequence[Sequence[int | None]]
    majors: Sequence[int] = (2, 3)
    feeds: Sequence[Array] | None = None
    units: float = 64

    def model(self, major: int) -> Any:
        """The network with random weights in one version of Keras."""
        keras = keras_of(major)
        dtypes = [feed.dtype.name for feed in self.arrays()]
        inputs = [keras.Input(tuple(shape), dtype=d) for shape, d in zip(self.shapes, dtypes, strict=True)]
        outputs = self.build(keras, *inputs)
        model = keras.Model(inputs if len(inputs) > 1 else inputs[0], outputs)
        randomise(model)
        return model

    def arrays(self) -> list[Array]:
        """What it is fed: two samples of each input."""
        if self.feeds is not None:
            return list(self.feeds)
        rng = np.random.default_rng(1)
        return [
            rng.normal(0, 1, (2, *(5 if n is None else n for n in shape))).astype(np.float32) for shape in self.shapes
        ]


def check(case: Case, major: int) -> None:
    """Fails where our meaning of a network is further from Keras's than float32 noise."""
    error = error_of(case.model(major), case.arrays())
    allowed = case.units * float(np.finfo(np.float32).eps)
    assert error <= allowed, f"relative error {error:.3g}, allowed {allowed:.3g}"


def parameters(cases: Sequence[Case]) -> list[Any]:
    """Each case with each version of Keras, for pytest."""
    return [pytest.param(case, major, id=f"{case.name}-keras{major}") for case in cases for major in case.majors]
