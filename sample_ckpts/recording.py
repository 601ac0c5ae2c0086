"""Train a graph a few steps, save it as its author would, and record what inference computes from it.

A model is built twice by the same function: once as its author trained it (that graph is what the
checkpoint's `.meta` holds), once as its author would have built it for inference. Both create the same
variables, so the second restores the checkpoint of the first, and its outputs are the recorded truth.

`recorded.npz` holds, under the names the training graph gives its tensors (without `:0`):

- `input/NAME`, `output/NAME`: what was fed and what TensorFlow computed.
- `noise/NAME`: per output, the largest change when every weight and input moves by one float32 rounding.
- `planted/NAME`: the output of a model that is wrong in a small way, which a comparison must tell from right:
  epsilon added outside the square root (where it isn't 1e-3: taken to be 1e-3), or, where there are no
  moving variances, every weight 0.1 % too large.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from sample_ckpts.measuring import Array, assign, measure_noise, plant_error, read_variables
from sample_ckpts.oracle import tf

__all__ = ["PREFIX", "Array", "Build", "Flag", "Model", "make", "tensor_name"]

PREFIX = "model.ckpt"


@dataclass(frozen=True)
class Flag:
    """What a control input is fed while training and at inference."""

    tensor: Any
    training: Any
    inference: Any


@dataclass(frozen=True, kw_only=True)
class Model:
    """A graph that has just been built; fields hold its tensors.

    `inputs` and `outputs` are in the same order in the training and the inference graph. `feeds` are the
    values for placeholders that random numbers don't suit. `train` are the ops of a step; those of a tuple run
    one after the other, in calls of their own. `start` sets variables before training, `fix`
    after it.
    """

    inputs: Sequence[Any]
    outputs: Sequence[Any]
    train: Any = None
    flags: Sequence[Flag] = ()
    feeds: Mapping[Any, Any] = field(default_factory=dict)
    saver: Any = None
    epsilon: float = 1e-3
    start: Callable[[Any], None] | None = None
    fix: Callable[[Any], None] | None = None


Build = Callable[[bool], Model]


def make(
    build: Build,
    folder: Path,
    *,
    seed: int = 1,
    steps: int = 3,
    batch: int = 8,
    perturb: bool = True,
) -> Model:
    """Train and save into `folder`, then record; returns the training model (its tensors' names matter).

    `perturb` moves gamma, beta and the statistics away from where few steps leave them, so that no two
    tensors of a model are alike.
    """
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(seed)
    with _graph(seed):
        model = build(True)
        saver = model.saver or tf.train.Saver(save_relative_paths=True)
        with _session() as session:
            session.run([tf.global_variables_initializer(), tf.local_variables_initializer()])
            if model.start is not None:
                model.start(session)
            with _queues(session):
                for _ in range(steps if model.train is not None else 0):
                    for together in model.train if isinstance(model.train, tuple) else (model.train,):
                        session.run(together, _training_feed(model, rng, batch))
            if perturb:
                _perturb(session, rng, untrained=model.train is None)
            if model.fix is not None:
                model.fix(session)
            path = saver.save(session, str(folder / PREFIX))
        names = [tensor_name(t) for t in model.inputs], [tensor_name(t) for t in model.outputs]
    recorded = _record(build, path, names, np.random.default_rng(seed + 1), seed)
    np.savez_compressed(folder / "recorded.npz", allow_pickle=False, **recorded)
    return model


def tensor_name(tensor: Any) -> str:
    """The tensor's name, without `:0`."""
    return str(tensor.name).removesuffix(":0")


@contextmanager
def _graph(seed: int) -> Iterator[None]:
    tf.keras.backend.clear_session()
    with tf.Graph().as_default():
        tf.set_random_seed(seed)
        yield


@contextmanager
def _session() -> Iterator[Any]:
    config = tf.ConfigProto(intra_op_parallelism_threads=1, inter_op_parallelism_threads=1)
    with tf.Session(config=config) as session:
        yield session


@contextmanager
def _queues(session: Any) -> Iterator[None]:
    coordinator = tf.train.Coordinator()
    if not tf.get_collection(tf.GraphKeys.QUEUE_RUNNERS):
        yield
        return
    threads = tf.train.start_queue_runners(session, coordinator)
    yield
    coordinator.request_stop()
    for runner in tf.get_collection(tf.GraphKeys.QUEUE_RUNNERS):
        session.run(runner.cancel_op)
    coordinator.join(threads, stop_grace_period_secs=5, ignore_live_threads=True)


def _training_feed(model: Model, rng: np.random.Generator, batch: int) -> dict[Any, Any]:
    feed: dict[Any, Any] = {flag.tensor: flag.training for flag in model.flags}
    feed.update(model.feeds)
    known = {tensor.name for tensor in feed}
    for op in tf.get_default_graph().get_operations():
        if op.type == "Placeholder" and op.outputs[0].name not in known:
            feed[op.outputs[0]] = _random(op.outputs[0], rng, batch)
    return feed


def _random(tensor: Any, rng: np.random.Generator, batch: int) -> Array:
    shape = [batch if size is None else size for size in tensor.shape.as_list()]
    dtype = np.dtype(tensor.dtype.base_dtype.as_numpy_dtype)
    if dtype.kind == "f":
        return np.asarray(rng.normal(size=shape), dtype)
    if dtype == np.uint8:
        return rng.integers(0, 256, shape, dtype)
    return np.asarray(rng.integers(0, 2, shape), dtype)


def _perturb(session: Any, rng: np.random.Generator, *, untrained: bool) -> None:
    trainable = {variable.name for variable in tf.trainable_variables()}
    values = {variable: value for variable, value in read_variables(session).items() if value.ndim}
    for variable, value in values.items():
        if variable.name in trainable:
            value = value + 0.1 * rng.normal(size=value.shape)
        else:
            value = value * np.exp(0.3 * rng.normal(size=value.shape))
        if untrained and variable.name.endswith("moving_mean:0"):
            value = value + 0.3 * rng.normal(size=value.shape)
        values[variable] = value
    assign(session, values)


def _record(
    build: Build, path: str, names: tuple[list[str], list[str]], rng: np.random.Generator, seed: int
) -> dict[str, Array]:
    with _graph(seed):
        model = build(False)
        saver = model.saver or tf.train.Saver()
        with _session() as session:
            session.run([tf.global_variables_initializer(), tf.local_variables_initializer()])
            saver.restore(session, path)
            inputs = [
                np.asarray(model.feeds[tensor], tensor.dtype.as_numpy_dtype)
                if tensor in _Keys(model.feeds)
                else _random(tensor, rng, 4)
                for tensor in model.inputs
            ]
            flags = {flag.tensor: flag.inference for flag in model.flags}

            def run(values: Sequence[Array]) -> list[Array]:
                feed = dict(zip(model.inputs, values, strict=True)) | flags
                return [np.asarray(value) for value in session.run(list(model.outputs), feed)]

            outputs = run(inputs)
            noise = measure_noise(session, run, inputs, outputs, rng)
            planted = plant_error(session, run, inputs, model.epsilon)
    arrays = {f"input/{name}": value for name, value in zip(names[0], inputs, strict=True)}
    arrays |= {f"output/{name}": value for name, value in zip(names[1], outputs, strict=True)}
    arrays |= {f"noise/{name}": np.asarray(value) for name, value in zip(names[1], noise, strict=True)}
    return arrays | {f"planted/{name}": value for name, value in zip(names[1], planted, strict=True)}


class _Keys:
    """Membership of a tensor in a mapping, by name: graph tensors don't compare."""

    def __init__(self, mapping: Mapping[Any, Any]) -> None:
        self._names = {tensor.name for tensor in mapping}

    def __contains__(self, tensor: Any) -> bool:
        return tensor.name in self._names
