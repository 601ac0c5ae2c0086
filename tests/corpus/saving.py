"""How the checkpoint was written: renamed keys, partitions, shards, the first format, sessions; and broken values."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np

from sample_ckpts.oracle import tf
from sample_ckpts.recording import Model
from tests.corpus.blocks import conv_net, dense_net, fit, images, model, vectors
from tests.corpus.case import Case

__all__ = ["CASES"]


def _norm(training: bool) -> Any:
    return lambda z: tf.layers.batch_normalization(z, training=training, momentum=0.7, name="bn")


def _net(training: bool) -> tuple[Any, Any]:
    x = vectors()
    return x, dense_net(x, _norm(training))


def _saved(training: bool, **options: Any) -> Model:
    x, y = _net(training)
    train = fit(y, tf.train.AdamOptimizer(0.01))
    saver = tf.train.Saver(save_relative_paths=True, **options)
    return Model(inputs=[x], outputs=[y], train=train, saver=saver)


def _renamed(training: bool) -> Model:
    """The keys in the file are not the variables' names: some are even each other's."""
    x, y = _net(training)
    train = fit(y)
    names = {f"model/v{index}": variable for index, variable in enumerate(tf.global_variables())}
    by_name = {v.op.name: v for v in tf.global_variables()}
    names["bn/gamma"], names["bn/beta"] = by_name["bn/beta"], by_name["bn/gamma"]
    for key in [k for k, v in names.items() if k.startswith("model/") and v.op.name in ("bn/gamma", "bn/beta")]:
        del names[key]
    return Model(inputs=[x], outputs=[y], train=train, saver=tf.train.Saver(names, save_relative_paths=True))


def _model_only(training: bool) -> Model:
    """Only the model's variables: no slots, no step."""
    x, y = _net(training)
    variables = tf.global_variables()
    train = fit(y, tf.train.AdamOptimizer(0.01))
    return Model(inputs=[x], outputs=[y], train=train, saver=tf.train.Saver(variables, save_relative_paths=True))


def _two_savers(training: bool) -> Model:
    """A second Saver in the graph, made after the one that wrote the file."""
    x, y = _net(training)
    train = fit(y)
    saver = tf.train.Saver(save_relative_paths=True)
    by_name = {f"pretrained/{v.op.name}": v for v in tf.trainable_variables()}
    tf.train.Saver(by_name, name="pretrained")
    return Model(inputs=[x], outputs=[y], train=train, saver=saver)


def _partitioned(training: bool, parts: int, axis: int) -> Model:
    x = vectors()
    partitioner = tf.fixed_size_partitioner(parts, axis)
    with tf.variable_scope("net", partitioner=partitioner):
        weights = tf.get_variable("weights", [6, 8])
        y = tf.matmul(x, weights)
    y = _norm(training)(y)
    return model(x, tf.layers.dense(tf.nn.relu(y), 3))


def _partitioned_embedding(training: bool) -> Model:
    tokens = tf.placeholder(tf.int32, [None, 4], "tokens")
    table = tf.get_variable("table", [10, 3], partitioner=tf.min_max_variable_partitioner(3, min_slice_size=8))
    y = tf.nn.embedding_lookup(table, tokens, partition_strategy="div")
    y = _norm(training)(tf.layers.dense(tf.reshape(y, [-1, 12]), 5))
    return model(tokens, tf.layers.dense(tf.nn.relu(y), 3))


def _scaffold(training: bool) -> Model:
    """What MonitoredTrainingSession adds to a graph: a finalised Scaffold with its own saver."""
    x, y = _net(training)
    tf.train.get_or_create_global_step()
    train = fit(y, tf.train.AdamOptimizer(0.01))
    tf.summary.scalar("mean", tf.reduce_mean(y))
    scaffold = tf.train.Scaffold(saver=tf.train.Saver(sharded=True, save_relative_paths=True))
    scaffold.finalize()
    tf.get_default_graph()._unsafe_unfinalize()
    return Model(inputs=[x], outputs=[y], train=train, saver=scaffold.saver)


def _imported(training: bool) -> Model:
    """The model came in by import_graph_def's scope: every name has a prefix."""
    with tf.name_scope("tower_0"), tf.variable_scope("tower"):
        x, y = _net(training)
    return model(x, y)


def _devices(training: bool) -> Model:
    """Nodes are pinned to devices that aren't here, and colocated with each other."""
    with tf.device("/job:localhost/replica:0/task:0/device:CPU:0"):
        x, y = _net(training)
        return model(x, y)


def _initial_values(training: bool) -> Model:
    """Variables of other types and shapes next to the model's: scalars, strings' lengths, booleans, halves."""
    x, y = _net(training)
    train = fit(y)
    for name, value in (
        ("half", np.ones([2, 3], np.float16)),
        ("long", np.arange(4, dtype=np.int64)),
        ("truth", np.array([True, False])),
        ("empty", np.zeros([0, 3], np.float32)),
        ("text", np.array([b"a", b"", b"long text"])),
        ("complex", np.array([1 + 2j], np.complex64)),
    ):
        tf.Variable(value, trainable=False, name=name)
    return Model(inputs=[x], outputs=[y], train=train)


def _number_trouble(training: bool, variable: str, value: float) -> Model:
    x = images()
    y = conv_net(x, _norm(training))
    train = fit(y)

    def spoil(session: Any) -> None:
        (spoiled,) = [v for v in tf.global_variables() if v.op.name == variable]
        array = session.run(spoiled)
        array.flat[0] = value
        spoiled.load(array, session)

    return Model(inputs=[x], outputs=[y], train=train, fix=spoil)


def _trainable_only(training: bool) -> Model:
    x, y = _net(training)
    train = fit(y)
    saver = tf.train.Saver(tf.trainable_variables(), save_relative_paths=True)
    return Model(inputs=[x], outputs=[y], train=train, saver=saver)


def _no_statistics(training: bool) -> Model:
    """Batch statistics on purpose, as image-to-image networks keep them: there are no moving ones to find."""
    x = images()

    def norm(z: Any) -> Any:
        gamma = tf.get_variable("gamma", z.shape[-1:], initializer=tf.ones_initializer())
        beta = tf.get_variable("beta", z.shape[-1:], initializer=tf.zeros_initializer())
        return tf.nn.fused_batch_norm(z, gamma, beta, epsilon=1e-5, is_training=True)[0]

    return model(x, conv_net(x, norm))


CASES = (
    Case("save_v1", partial(_saved, write_version=1), 1),
    Case("save_v1_sharded", partial(_saved, write_version=1, sharded=True), 1),
    Case("save_sharded", partial(_saved, sharded=True), 1),
    Case("save_keep", partial(_saved, max_to_keep=1), 1),
    Case("save_renamed", _renamed, 1),
    Case("save_model_only", _model_only, 1),
    Case("save_two_savers", _two_savers, 1),
    Case("save_partitioned_rows", partial(_partitioned, parts=3, axis=0), 1),
    Case("save_partitioned_columns", partial(_partitioned, parts=4, axis=1), 1),
    Case("save_partitioned_resource", partial(_partitioned, parts=2, axis=0), 1, resource=True),
    Case("save_partitioned_embedding", _partitioned_embedding, 1),
    Case("save_scaffold", _scaffold, 1),
    Case("save_scopes", _imported, 1),
    Case("save_devices", _devices, 1),
    Case("save_other_types", _initial_values, 1),
    Case("save_trainable_only", _trainable_only, 1, refused="MissingError"),
    Case("statistics_none", _no_statistics, 1, refused="MissingError"),
    Case(
        "statistics_kept",
        _no_statistics,
        options={"keep_batch_statistics": True},
        any_batch=False,
    ),
    Case(
        "value_negative_variance",
        partial(_number_trouble, variable="bn/moving_variance", value=-1.0),
        1,
        refused="ValueInputError",
    ),
    Case(
        "value_nan_gamma",
        partial(_number_trouble, variable="bn/gamma", value=float("nan")),
        1,
        refused="ValueInputError",
    ),
    Case(
        "value_infinite_mean",
        partial(_number_trouble, variable="bn/moving_mean", value=float("inf")),
        1,
        refused="ValueInputError",
    ),
)
