"""Mutants that TensorFlow reads as well: the same tensors, the same numbers once exported, or refused by us.

`python -m tests.fuzz --format against_tensorflow_graph`, or `_v1`, `_v2`. We read first: TensorFlow is asked about what
we accept alone.
"""

from __future__ import annotations

import os
import random
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

import runtime
from exporter.api import export
from exporter.formats.checkpoint_v1 import open_v1
from exporter.formats.tensor_bundle import open_bundle
from exporter.formats.tf_protos import GraphDef, parse
from tests.fuzz.formats import mutated_v1
from tests.fuzz.mutators import mutate_bytes, mutate_message
from tests.hostile.edits import good
from tests.hostile.graph_edits import damage
from tests.hostile.table_writer import table

__all__ = ["DIFFERENTIAL", "OtherNumbersError", "compare_tensors"]

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

_CLOSE = 1e-4
_MOST = 1_000_000
"""Elements of an input up to which a mutant is run."""

_GRAPHS: dict[int, bytes] = {}


class OtherNumbersError(AssertionError):
    """TensorFlow has read something else."""


def _tensorflow() -> Any:
    import tensorflow as tf

    return tf


def _v2(rng: random.Random, folder: Path) -> None:
    bundle = good()
    values = bundle.values()
    key = rng.choice(sorted(values))
    values[key] = mutate_bytes(rng, values[key])
    prefix = bundle.write(folder / "m")
    Path(f"{prefix}.index").write_bytes(table(sorted(values.items())))
    compare_tensors(prefix, open_bundle(prefix))


def _v1(rng: random.Random, folder: Path) -> None:
    path = mutated_v1(rng, folder)
    compare_tensors(path, open_v1(path))


def compare_tensors(prefix: Path, ours: Any) -> None:
    """Reads ours first: what we refuse TensorFlow needn't be asked for."""
    read = {name: np.asarray(ours.read(name)) for name in ours}
    try:
        reader = _tensorflow().train.load_checkpoint(str(prefix))
        theirs = {name: np.asarray(reader.get_tensor(name)) for name in reader.get_variable_to_shape_map()}
    except Exception:  # noqa: BLE001 - TensorFlow refuses it, in one of its ways
        return
    for name in read.keys() & theirs.keys():
        mine, known = read[name], theirs[name]
        if mine.shape != known.shape or mine.dtype != known.dtype or _bits(mine) != _bits(known):
            raise OtherNumbersError(f"tensor {name!r} of {prefix.name}: {mine!r}, TensorFlow reads {known!r}"[:500])


def _bits(array: Any) -> object:
    return array.tolist() if array.dtype == object else array.tobytes()


def _graph(rng: random.Random, folder: Path) -> None:
    message = parse(GraphDef, _seed(rng.randrange(3)), what="seed")
    if rng.random() < 0.7:
        damage(message, rng)
    else:
        mutate_message(rng, message)
    path = folder / "m.pb"
    path.write_bytes(message.SerializeToString())
    export(path, folder / "m.onnx")
    net = runtime.load(folder / "m.npz")
    given = np.random.default_rng(0)
    feeds: dict[str, Any] = {}
    for value in net.inputs:
        shape = [size if isinstance(size, int) else 2 for size in value.shape or ()]
        if np.prod(shape, dtype=float) > _MOST:
            return
        feeds[value.name] = given.standard_normal(shape).astype(value.dtype)
    _compare_outputs(message, feeds, net.run(feeds))


def _compare_outputs(message: Any, feeds: Mapping[str, Any], found: Mapping[str, Any]) -> None:
    tf = _tensorflow()
    graph = tf.Graph()
    try:
        with graph.as_default():
            tf.graph_util.import_graph_def(
                tf.compat.v1.GraphDef.FromString(message.SerializeToString()), name="", return_elements=None
            )
        tensors = {name: _tensor(graph, name) for name in found}
        with tf.compat.v1.Session(graph=graph) as session:
            known = session.run(tensors, {_tensor(graph, name): array for name, array in feeds.items()})
    except Exception:  # noqa: BLE001 - TensorFlow refuses it, in one of its ways
        return
    for name, truth in known.items():
        mine = np.asarray(found[name])
        if mine.shape != truth.shape or not _close(mine, truth):
            raise OtherNumbersError(f"{name}: {mine.reshape(-1)[:6]}, TensorFlow has {truth.reshape(-1)[:6]}"[:500])


def _close(mine: Any, truth: Any) -> bool:
    if truth.dtype.kind != "f":
        return bool(np.array_equal(mine, truth))
    size = float(np.max(np.abs(truth[np.isfinite(truth)]), initial=1e-30))
    return bool(np.allclose(mine, truth, rtol=_CLOSE, atol=_CLOSE * size, equal_nan=True))


def _tensor(graph: Any, name: str) -> Any:
    return graph.get_tensor_by_name(name if ":" in name else f"{name}:0")


def _seed(number: int) -> bytes:
    """One of a few frozen graphs, made by TensorFlow."""
    if not _GRAPHS:
        for index, build in enumerate((_dense, _images, _sequences)):
            tf = _tensorflow()
            graph, draw = tf.Graph(), np.random.default_rng(index)
            with graph.as_default():
                build(tf.compat.v1, lambda *shape, d=draw: d.standard_normal(shape).astype(np.float32))
            _GRAPHS[index] = graph.as_graph_def().SerializeToString()
    return _GRAPHS[number]


_Draw = Callable[..., Any]


def _dense(tf: Any, draw: _Draw) -> None:
    x = tf.placeholder(tf.float32, [None, 6], name="x")
    y = tf.nn.bias_add(tf.matmul(x, draw(6, 5)), draw(5))
    y = tf.nn.relu(y) * draw(5) + draw(5)
    y = tf.concat([y, tf.tanh(y), tf.sigmoid(y[:, 1:3])], 1)
    y = tf.where(tf.greater(y, 0.1), y, 0.3 * y) - tf.reduce_mean(y, 1, keepdims=True)
    tf.nn.softmax(tf.matmul(y, draw(12, 4)), name="y")


def _images(tf: Any, draw: _Draw) -> None:
    x = tf.placeholder(tf.float32, [None, 8, 8, 3], name="x")
    y = tf.nn.conv2d(tf.pad(x, [[0, 0], [1, 1], [1, 1], [0, 0]]), draw(3, 3, 3, 4), [1, 2, 2, 1], "VALID")
    y = tf.nn.fused_batch_norm(
        y, draw(4), draw(4), draw(4), np.abs(draw(4)) + 0.1, is_training=False, data_format="NHWC"
    )[0]
    y = tf.nn.max_pool2d(tf.nn.relu6(y), 2, 2, "SAME")
    y = tf.nn.depthwise_conv2d(y, draw(2, 2, 4, 2), [1, 1, 1, 1], "SAME")
    y = tf.image.resize_nearest_neighbor(y, [4, 4])
    tf.matmul(tf.reshape(y, [-1, 4 * 4 * 8]), draw(128, 3), name="y")


def _sequences(tf: Any, draw: _Draw) -> None:
    x = tf.placeholder(tf.float32, [None, 5, 4], name="x")
    y = tf.transpose(x, [1, 0, 2])
    y = tf.stack([tf.squeeze(part, 0) for part in tf.split(y, 5, 0)], 1)
    y = tf.tensordot(y, draw(4, 6), 1)
    y = tf.cumsum(y, 1) + tf.gather(draw(7, 6), [0, 2, 4, 6, 1])
    y = tf.math.rsqrt(tf.reduce_sum(tf.square(y), 2, keepdims=True) + 1e-3) * y
    tf.reduce_max(tf.maximum(y, tf.expand_dims(tf.reduce_mean(y, 1), 1)), [1], name="y")


DIFFERENTIAL = {"against_tensorflow_graph": _graph, "against_tensorflow_v1": _v1, "against_tensorflow_v2": _v2}
"""What TensorFlow judges, by name."""
