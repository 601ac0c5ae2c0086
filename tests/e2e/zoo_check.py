"""Networks that somebody else's code builds, with random weights, statistics and betas, saved as published checkpoints
are: without a graph, in either format; exported, and compared with TensorFlow's inference outputs.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

import exporter
from sample_ckpts.measuring import assign, measure_noise, plant_error, read_variables
from sample_ckpts.oracle import tf
from tests.e2e.engines import ENGINES
from tests.e2e.recorded import Array, Recorded

__all__ = ["CLASSES", "Network", "check", "make", "save"]

CLASSES = 7


@dataclass(frozen=True)
class Network:
    """A network that somebody else's code builds.

    Attributes:
        architecture: What `--arch` calls it.
        build: From images to the outputs by their endpoints' names.
        shape: Of an input, without the batch.
        epsilon: Of its batch norms.
        rename: From the network's variables to those to save, by their published names; None: they have them already.
        options: What the weights don't tell, for `--set`.
    """

    architecture: str
    build: Callable[[Any], dict[str, Any]]
    shape: tuple[int, ...]
    epsilon: float = 1e-3
    rename: Callable[[], dict[str, Any]] | None = None
    options: dict[str, str] = field(default_factory=dict)


def make(network: Network, folder: Path) -> Recorded:
    """Saves the weights as `v1.ckpt` and as `v2.ckpt.*`, and returns images with what TensorFlow makes of them."""
    images = np.random.default_rng(5).uniform(-1, 1, [2, *network.shape]).astype(np.float32)
    with tf.Graph().as_default(), tf.Session() as session:
        x, outputs = _build(network, session)
        saved = None if network.rename is None else network.rename()
        for version in (1, 2):
            _save(session, folder / f"v{version}.ckpt", saved, version)
        return _record(session, x, outputs, images, network.epsilon)


def save(network: Network, folder: Path) -> Path:
    """Saves the weights alone, as `v2.ckpt.*`."""
    with tf.Graph().as_default(), tf.Session() as session:
        _build(network, session)
        _save(session, folder / "v2.ckpt", None if network.rename is None else network.rename(), 2)
    return folder / "v2.ckpt"


def _build(network: Network, session: Any) -> tuple[Any, dict[str, Any]]:
    """The images' placeholder and the outputs, with all weights at random."""
    tf.set_random_seed(1)
    x = tf.placeholder(tf.float32, [None, *network.shape], "input")
    outputs = network.build(x)
    session.run(tf.global_variables_initializer())
    _randomise(session)
    return x, outputs


def _save(session: Any, path: Path, variables: Any, version: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    saver = tf.train.Saver(variables, write_version=version)
    saver.save(session, str(path), write_meta_graph=False, write_state=False)


def _record(session: Any, x: Any, outputs: Mapping[str, Any], images: Array, epsilon: float) -> Recorded:
    """The outputs, what float32 alone can do to them, and what they are with a planted error."""

    def run(inputs: Sequence[Array]) -> list[Array]:
        return list(session.run(list(outputs.values()), {x: inputs[0]}))

    found = run([images])
    noise = measure_noise(session, run, [images], found, np.random.default_rng(2))
    planted = plant_error(session, run, [images], epsilon)
    return Recorded(
        {"input": images},
        dict(zip(outputs, found, strict=True)),
        dict(zip(outputs, noise, strict=True)),
        dict(zip(outputs, planted, strict=True)),
    )


def _randomise(session: Any) -> None:
    """Statistics, betas, gammas and biases as different from their initial values as training makes them."""
    rng = np.random.default_rng(1)
    values = read_variables(session)
    for variable, value in values.items():
        name = variable.op.name
        if name.endswith(("moving_mean", "beta", "biases")):
            values[variable] = np.asarray(rng.normal(0, 0.1, value.shape))
        elif name.endswith(("moving_variance", "gamma")):
            values[variable] = np.asarray(rng.uniform(0.5, 1.5, value.shape))
    assign(session, values)


def check(name: str, network: Network, folder: Path) -> list[str]:
    """What is wrong with a network's exports: both formats, by name and by recognition, in all engines."""
    recorded = make(network, folder)
    outputs = list(recorded.outputs)
    found = [f"{name}: a planted error would not be seen"] if recorded.worst(recorded.planted) is None else []
    for source, asked in (("v1.ckpt", None), ("v2.ckpt", network.architecture)):
        model = folder / f"{source}.onnx"
        report = exporter.export(
            folder / source,
            model,
            arch=asked,
            inputs={"input": (None, *network.shape)},
            outputs=outputs,
            values=network.options,
        )
        chosen = [decision.choice for decision in report.decisions if decision.kind == "architecture"]
        if chosen != [network.architecture]:
            found.append(f"{name} {source}: taken for {chosen}")
        for engine, run in ENGINES.items():
            worst = recorded.worst(run(model, recorded.inputs, outputs))
            found += [] if worst is None else [f"{name} {source} {engine}: {worst}"]
    return found
