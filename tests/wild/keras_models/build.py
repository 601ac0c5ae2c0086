"""Builds the model of a specification with Keras, saves it, and records what Keras makes of random inputs."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from tests.e2e.recorded import Array
from tests.unit.lower_keras.oracle import keras_of, leaves
from tests.wild.family import Built, IllegalSpecError, Spec
from tests.wild.keras_models.saving import save
from tests.wild.keras_models.values import fed, perturbed, randomise
from tests.wild.keras_models.wiring import Wiring

__all__ = ["build"]

_LARGEST = 1e30


def build(spec: Spec, folder: Path) -> Built:
    """The model of a specification, saved in a folder, with Keras's outputs at inference.

    Raises:
        IllegalSpecError: Nothing is left of it, Keras can't run or save it, or its numbers overflow.
    """
    keras = keras_of(spec["major"])
    keras.backend.clear_session()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            keras.mixed_precision.set_global_policy(spec["dtype"])
            model, places = _model(keras, spec)
        finally:
            keras.mixed_precision.set_global_policy("float32")
        rng = np.random.default_rng(spec["seed"])
        randomise(model, rng, spec["magnitude"])
        described = [spec["inputs"][place] for place in places]
        feeds = [fed(*each, rng, spec["magnitude"]) for each in zip(described, model.inputs, strict=True)]
        try:
            saved = save(model, spec["saved"], folder, feeds)
        except Exception as error:
            raise IllegalSpecError(str(error)) from error
        if not all(np.isfinite(value).all() and np.abs(value).max(initial=0) < _LARGEST for value in saved.outputs):
            raise IllegalSpecError("the numbers overflow")
        if not all(value.size for value in saved.outputs):
            raise IllegalSpecError("an output without elements")
        noise = _noise(model, feeds, saved.outputs, rng)
        if "float16" in spec["dtype"]:
            largest = [max(1.0, float(np.abs(array).max(initial=0))) for array in saved.outputs]
            noise = [value + _HALF * size for value, size in zip(noise, largest, strict=True)]
    in_graph = spec["saved"] in ("saved_model", "export")
    outputs = saved.outputs if in_graph else [_widened(value, spec["dtype"]) for value in saved.outputs]
    expected = dict(zip(saved.output_names, outputs, strict=True))
    inputs = dict(zip(saved.input_names, feeds, strict=True))
    return Built(
        saved.source,
        inputs,
        expected,
        noise=dict(zip(saved.output_names, noise, strict=True)),
        options={} if saved.graph is None else {"graph": saved.graph},
    )


_HALF = 1e-3
"""A rounding in half precision; a model of mixed precision is exported in float32."""


def _widened(value: Array, dtype: str) -> Array:
    return value.astype(np.float32) if dtype.startswith("mixed_") and value.dtype == np.float16 else value


def _model(keras: Any, spec: Spec) -> tuple[Any, list[int]]:
    """A functional model of the last tensors that nothing takes, and the places of the inputs they come from."""
    inputs = []
    for number, each in enumerate(spec["inputs"]):
        if len(each["shape"]) != len(each["fed"]):
            raise IllegalSpecError("an input without a size")
        kind = "int32" if each["words"] else None
        inputs.append(keras.Input(tuple(each["shape"]), name=f"in{number}", **({"dtype": kind} if kind else {})))
    wiring = Wiring(keras, inputs)
    for node in spec["nodes"]:
        wiring.add(node)
    outputs = wiring.ends(spec["outputs"])
    if not outputs:
        raise IllegalSpecError("nothing is left")
    places = wiring.reached(outputs)
    inputs = [inputs[place] for place in places]
    try:
        model = _joined(keras, inputs, outputs)
        if not model.weights:
            model = _joined(keras, inputs, [keras.layers.Dense(3)(outputs[0]), *outputs[1:]])
    except Exception as error:
        raise IllegalSpecError(str(error)) from error
    return model, places


def _joined(keras: Any, inputs: Sequence[Any], outputs: Sequence[Any]) -> Any:
    return keras.Model(inputs if len(inputs) > 1 else inputs[0], outputs if len(outputs) > 1 else outputs[0])


def _noise(model: Any, feeds: Sequence[Array], outputs: Sequence[Array], rng: np.random.Generator) -> list[float]:
    """How far each output moves when inputs and weights do by one rounding of the type they are computed in."""
    moved = [0.0] * len(outputs)
    for _ in range(2):
        with perturbed(model, rng):
            shifted = [value * (1 + _rounding(value, rng)) if value.dtype.kind == "f" else value for value in feeds]
            results = [
                np.asarray(leaf) for leaf in leaves(model(shifted if len(shifted) > 1 else shifted[0], training=False))
            ]
        if [value.shape for value in results] != [value.shape for value in outputs]:
            raise IllegalSpecError("a signature with outputs in another order")
        for place, (a, b) in enumerate(zip(results, outputs, strict=True)):
            difference = np.abs(a.astype(np.float64) - b.astype(np.float64))
            largest = float(np.max(difference, initial=0.0))
            if not np.isfinite(largest):
                raise IllegalSpecError("the numbers overflow with a rounding")
            moved[place] = max(moved[place], largest)
    return moved


def _rounding(value: Array, rng: np.random.Generator) -> Array:
    signs = rng.choice([-1, 1], value.shape).astype(value.dtype)
    return np.asarray(signs * np.finfo(value.dtype).eps)
