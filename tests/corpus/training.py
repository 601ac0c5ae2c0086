"""What else a training graph holds: losses, metrics, optimizers, summaries, schedules, averages of the weights."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from sample_ckpts.oracle import slim, tf
from sample_ckpts.recording import Flag, Model
from tests.corpus.blocks import conv_net, dense_net, images, vectors
from tests.corpus.case import Case

__all__ = ["CASES"]


def _norm(training: bool) -> Any:
    return lambda z: tf.layers.batch_normalization(z, training=training, momentum=0.7)


def _updates() -> Any:
    return tf.group(*tf.get_collection(tf.GraphKeys.UPDATE_OPS))


def _classifier(training: bool) -> tuple[Any, Any]:
    x = vectors()
    return x, dense_net(x, _norm(training))


def _labels() -> Any:
    return tf.placeholder(tf.int64, [None], "labels")


def _step(loss: Any, optimizer: Any = None) -> Any:
    with tf.control_dependencies([_updates()]):
        return (optimizer or tf.train.GradientDescentOptimizer(0.05)).minimize(loss)


def _sparse(training: bool) -> Model:
    """Logits into the loss, nothing after them: the logits are the output."""
    x, logits = _classifier(training)
    loss = tf.reduce_mean(tf.nn.sparse_softmax_cross_entropy_with_logits(labels=_labels(), logits=logits))
    return Model(inputs=[x], outputs=[logits], train=_step(loss))


def _softmax(training: bool) -> Model:
    """Probabilities beside the loss: they are the end of the forward computation."""
    x, logits = _classifier(training)
    y = tf.nn.softmax(logits, name="probabilities")
    labels = tf.placeholder(tf.float32, [None, 3], "labels")
    loss = tf.reduce_mean(tf.nn.softmax_cross_entropy_with_logits_v2(labels=labels, logits=logits))
    return Model(inputs=[x], outputs=[y], train=_step(loss))


def _softmax_of_known_batch(training: bool) -> Model:
    """The loss flattens logits whose shape it knows, and computes with constants to do so."""
    x = tf.placeholder(tf.float32, [8, 6], "x")
    logits = dense_net(x, _norm(training))
    loss = tf.losses.softmax_cross_entropy(tf.one_hot(tf.placeholder(tf.int32, [x.shape[0]], "labels"), 3), logits)
    return Model(inputs=[x], outputs=[logits], train=_step(loss))


def _log_loss(training: bool) -> Model:
    """Cross entropy by hand, from the probabilities."""
    x, logits = _classifier(training)
    y = tf.nn.softmax(logits)
    labels = tf.placeholder(tf.float32, [None, 3], "labels")
    loss = tf.reduce_mean(-tf.reduce_sum(labels * tf.log(y + 1e-8), axis=[1]))
    return Model(inputs=[x], outputs=[y], train=_step(loss))


def _sigmoid(training: bool) -> Model:
    x, logits = _classifier(training)
    y = tf.sigmoid(logits, name="scores")
    labels = tf.placeholder(tf.float32, [None, 3], "labels")
    loss = tf.losses.sigmoid_cross_entropy(labels, logits)
    return Model(inputs=[x], outputs=[y], train=_step(loss))


def _accuracy(training: bool) -> Model:
    """argmax feeds only the accuracy; it could be meant as well, so either may be exported."""
    x, logits = _classifier(training)
    labels = _labels()
    predicted = tf.argmax(logits, 1, name="prediction")
    accuracy = tf.reduce_mean(tf.cast(tf.equal(predicted, labels), tf.float32), name="accuracy")
    tf.summary.scalar("accuracy", accuracy)
    loss = tf.losses.sparse_softmax_cross_entropy(labels, logits)
    tf.summary.scalar("loss", loss)
    summaries = tf.summary.merge_all()
    return Model(inputs=[x], outputs=[predicted, logits], train=[_step(loss), summaries])


def _metrics(training: bool) -> Model:
    """tf.metrics keep local variables of their own; the classes and the probabilities are ends alike."""
    x, logits = _classifier(training)
    labels = _labels()
    y = tf.nn.softmax(logits)
    predicted = tf.argmax(y, 1)
    _, update = tf.metrics.accuracy(labels, predicted)
    _, top = tf.metrics.mean(tf.cast(tf.nn.in_top_k(y, labels, 2), tf.float32))
    return Model(
        inputs=[x],
        outputs=[y, predicted],
        train=[_step(tf.losses.sparse_softmax_cross_entropy(labels, logits)), update, top],
    )


def _thresholds(training: bool) -> Model:
    """Metrics that compare scores and predictions with thresholds before they meet the labels."""
    x, logits = _classifier(training)
    scores = tf.sigmoid(logits, name="scores")
    predicted = tf.round(scores, name="predicted")
    labels = tf.placeholder(tf.float32, [None, 3], "labels")
    metrics = (
        tf.metrics.auc(labels, scores),
        tf.metrics.precision(labels, predicted),
        tf.metrics.recall(labels, predicted),
    )
    train = [_step(tf.losses.sigmoid_cross_entropy(labels, logits)), *(update for _, update in metrics)]
    return Model(inputs=[x], outputs=[scores, predicted], train=train)


def _confusion(training: bool) -> Model:
    """A confusion matrix, which checks labels and predictions before it counts them."""
    x, logits = _classifier(training)
    labels, predicted = _labels(), tf.argmax(logits, 1)
    matrix = tf.confusion_matrix(labels, predicted, num_classes=3)
    train = [_step(tf.losses.sparse_softmax_cross_entropy(labels, logits)), matrix]
    return Model(inputs=[x], outputs=[logits, predicted], train=train)


def _regularised(training: bool) -> Model:
    x = vectors()
    regularizer = tf.keras.regularizers.l2(1e-3)
    hidden = tf.layers.dense(x, 6, tf.nn.relu, kernel_regularizer=regularizer)
    y = tf.layers.dense(_norm(training)(hidden), 3, kernel_regularizer=regularizer)
    target = tf.placeholder(tf.float32, [None, 3], "target")
    weights = tf.add_n([tf.nn.l2_loss(v) for v in tf.trainable_variables() if "kernel" in v.name])
    loss = tf.losses.mean_squared_error(target, y) + 1e-3 * weights
    return Model(inputs=[x], outputs=[y], train=_step(loss + tf.losses.get_regularization_loss()))


def _clipped(training: bool) -> Model:
    """Gradients computed, clipped by their global norm and applied by hand."""
    x, logits = _classifier(training)
    loss = tf.losses.sparse_softmax_cross_entropy(_labels(), logits)
    step = tf.train.get_or_create_global_step()
    rate = tf.train.exponential_decay(0.1, step, 2, 0.96, staircase=True)
    variables = tf.trainable_variables()
    gradients, norm = tf.clip_by_global_norm(tf.gradients(loss, variables), 5.0)
    tf.summary.scalar("gradient_norm", norm)
    tf.summary.scalar("rate", rate)
    for variable in variables:
        tf.summary.histogram(variable.op.name, variable)
    with tf.control_dependencies([_updates()]):
        train = tf.train.MomentumOptimizer(rate, 0.9).apply_gradients(zip(gradients, variables, strict=True), step)
    return Model(inputs=[x], outputs=[logits], train=[train, tf.summary.merge_all()])


def _optimized(training: bool, optimizer: Callable[[], Any]) -> Model:
    x, logits = _classifier(training)
    loss = tf.losses.sparse_softmax_cross_entropy(_labels(), logits)
    return Model(inputs=[x], outputs=[logits], train=_step(loss, optimizer()))


_OPTIMIZERS: dict[str, Callable[[], Any]] = {
    "adam": lambda: tf.train.AdamOptimizer(0.01),
    "momentum": lambda: tf.train.MomentumOptimizer(0.01, 0.9, use_nesterov=True),
    "rmsprop": lambda: tf.train.RMSPropOptimizer(0.01, momentum=0.9, centered=True),
    "adagrad": lambda: tf.train.AdagradOptimizer(0.01),
    "adadelta": lambda: tf.train.AdadeltaOptimizer(0.5),
    "ftrl": lambda: tf.train.FtrlOptimizer(0.01),
    "proximal": lambda: tf.train.ProximalAdagradOptimizer(0.01),
}


def _averaged(training: bool, shadows: bool) -> Model:
    """ExponentialMovingAverage over the weights. `shadows`: the inference graph restores the averages."""
    x, logits = _classifier(training)
    loss = tf.losses.sparse_softmax_cross_entropy(_labels(), logits)
    average = tf.train.ExponentialMovingAverage(0.6)
    if not training:
        mapping = average.variables_to_restore() if shadows else None
        return Model(inputs=[x], outputs=[logits], saver=tf.train.Saver(mapping))
    with tf.control_dependencies([_step(loss)]):
        train = average.apply(tf.trainable_variables())
    return Model(inputs=[x], outputs=[logits], train=train)


def _multi_task(training: bool) -> Model:
    """One trunk, two heads with a loss each."""
    x = images()
    hidden = tf.nn.relu(_norm(training)(tf.layers.conv2d(x, 4, 3, use_bias=False)))
    hidden = tf.layers.flatten(hidden)
    kind = tf.nn.softmax(tf.layers.dense(hidden, 3), name="kind")
    box = tf.layers.dense(hidden, 4, name="box")
    labels, target = tf.placeholder(tf.float32, [None, 3], "kinds"), tf.placeholder(tf.float32, [None, 4], "boxes")
    loss = tf.reduce_mean(tf.square(kind - labels)) + tf.losses.huber_loss(target, box)
    return Model(inputs=[x], outputs=[kind, box], train=_step(loss))


def _autoencoder(training: bool) -> Model:
    """The input is the target too: the loss depends on nothing but the input."""
    x = vectors()
    y = tf.layers.dense(tf.nn.relu(_norm(training)(tf.layers.dense(x, 4))), 6, name="restored")
    return Model(inputs=[x], outputs=[y], train=_step(tf.reduce_mean(tf.square(y - x))))


def _summed_up(training: bool) -> Model:
    """A loss without labels, of which people look at multiples and sums only."""
    x = vectors()
    y = tf.layers.dense(tf.nn.relu(_norm(training)(tf.layers.dense(x, 4))), 6, name="restored")
    loss = tf.reduce_mean(tf.square(y - x))
    tf.summary.scalar("loss_in_percent", 100.0 * loss)
    tf.summary.scalar("total", loss + 1e-3)
    return Model(inputs=[x], outputs=[y], train=_step(loss))


def _actor_critic(training: bool) -> Model:
    """Policy and value; the graph draws an action from the policy too."""
    x = vectors()
    hidden = tf.nn.relu(_norm(training)(tf.layers.dense(x, 5)))
    policy = tf.nn.softmax(tf.layers.dense(hidden, 3), name="policy")
    value = tf.squeeze(tf.layers.dense(hidden, 1), 1, name="value")
    drawn = tf.squeeze(tf.multinomial(tf.log(policy), 1), 1, name="drawn")
    actions, advantages = tf.placeholder(tf.int32, [None], "actions"), tf.placeholder(tf.float32, [None], "advantages")
    chosen = tf.log(tf.reduce_sum(policy * tf.one_hot(actions, 3), 1) + 1e-8)
    error = tf.square(tf.placeholder(tf.float32, [None], "returns") - value)
    train = [_step(tf.reduce_mean(error) - tf.reduce_mean(chosen * advantages)), drawn]
    return Model(inputs=[x], outputs=[policy, value], train=train)


def _sampled_classes(training: bool) -> Model:
    """The loss draws a few classes to tell the labels from, and applies the weights of these alone."""
    x = vectors()
    y = tf.nn.relu(_norm(training)(tf.layers.dense(x, 5)))
    weights, biases = tf.get_variable("weights", [20, 5]), tf.get_variable("biases", [20])
    labels = tf.placeholder(tf.int64, [None, 1], "labels")
    train = _step(tf.reduce_mean(tf.nn.nce_loss(weights, biases, labels, y, 4, 20)))
    return Model(inputs=[x], outputs=[y], train=train)


def _recognised_text(training: bool) -> Model:
    """Scores for each step of a line, for which the graph also searches a text."""
    x = tf.placeholder(tf.float32, [None, 5, 6], "x")
    y = tf.layers.dense(tf.nn.relu(_norm(training)(tf.layers.dense(x, 5))), 4)
    scores = tf.transpose(y, [1, 0, 2], name="scores")
    lengths = tf.fill([tf.shape(x)[0]], 5)
    decoded, _ = tf.nn.ctc_beam_search_decoder(scores, lengths)
    text = tf.sparse_tensor_to_dense(decoded[0], default_value=-1, name="text")
    target = tf.placeholder(tf.float32, [5, None, 4], "target")
    return Model(inputs=[x], outputs=[scores], train=[_step(tf.reduce_mean(tf.square(scores - target))), text])


def _encoder_as_layer(training: bool) -> Model:
    """A Keras model is a layer of the network; what it computes of its own `Input` stands beside it."""
    inner = tf.keras.Input((6,), name="inner")
    hidden = tf.keras.layers.BatchNormalization(momentum=0.7)(tf.keras.layers.Dense(5)(inner))
    encoder = tf.keras.Model(inner, tf.keras.layers.Dense(4)(hidden))
    first, second = vectors(name="first"), vectors(name="second")
    y = tf.nn.sigmoid(tf.layers.dense(tf.abs(encoder(first, training=False) - encoder(second, training=False)), 1))
    loss = tf.reduce_mean(tf.square(y - tf.placeholder(tf.float32, [None, 1], "target")))
    train = _step(loss) if training else None
    return Model(inputs=[first, second], outputs=[y], train=train, feeds={inner: np.zeros([8, 6])})


def _triplet(training: bool) -> Model:
    """An embedding trained by distances within the batch."""
    x, embedded = _classifier(training)
    embedded = tf.nn.l2_normalize(embedded, axis=1, name="embedding")
    distances = tf.reduce_sum(tf.square(embedded[:, None] - embedded[None]), 2)
    labels = _labels()
    same = tf.cast(tf.equal(labels[:, None], labels[None]), tf.float32)
    loss = tf.reduce_mean(same * distances) + tf.reduce_mean((1 - same) * tf.nn.relu(0.5 - distances))
    return Model(inputs=[x], outputs=[embedded], train=_step(loss, tf.train.AdamOptimizer(0.01)))


def _tower_pair(training: bool) -> Model:
    """The training network and, sharing its variables, the one its author evaluated."""
    x = images()
    value = tf.placeholder(tf.bool, [], "is_training")
    y = conv_net(x, lambda z: slim.batch_norm(z, is_training=value, decay=0.7, scope="bn"))
    loss = tf.losses.softmax_cross_entropy(tf.placeholder(tf.float32, [None, 3], "labels"), y)
    saver = tf.train.Saver(max_to_keep=2, save_relative_paths=True)
    return Model(inputs=[x], outputs=[y], train=_step(loss), flags=[Flag(value, True, False)], saver=saver)


def _slim_train(training: bool) -> Model:
    """slim.learning.create_train_op: the updates are a barrier in front of the loss."""
    x = images()
    y = conv_net(x, lambda z: slim.batch_norm(z, is_training=training, decay=0.7))
    tf.losses.softmax_cross_entropy(tf.placeholder(tf.float32, [None, 3], "labels"), y, label_smoothing=0.1)
    loss = tf.losses.get_total_loss()
    optimizer = tf.train.RMSPropOptimizer(0.01)
    train = slim.learning.create_train_op(loss, optimizer, clip_gradient_norm=1.0, summarize_gradients=True)
    return Model(inputs=[x], outputs=[y], train=train)


def _weighted(training: bool) -> Model:
    """Weights of the classes are data of the loss, not of the model."""
    x, logits = _classifier(training)
    labels = _labels()
    weights = tf.gather(tf.constant(np.array([1.0, 2.0, 0.5], np.float32)), labels)
    return Model(
        inputs=[x], outputs=[logits], train=_step(tf.losses.sparse_softmax_cross_entropy(labels, logits, weights))
    )


CASES = (
    Case("loss_sparse", _sparse, 1),
    Case("loss_softmax", _softmax, 1),
    Case("loss_softmax_known_batch", _softmax_of_known_batch, 1, any_batch=False),
    Case("loss_by_hand", _log_loss, 1),
    Case("loss_sigmoid", _sigmoid, 1),
    Case("loss_accuracy", _accuracy, 1, spare=1),
    Case("loss_metrics", _metrics, 1, spare=1),
    Case("loss_thresholds", _thresholds, 1, spare=1),
    Case("loss_confusion", _confusion, 1, spare=1),
    Case("loss_confusion_if", _confusion, 1, spare=1, control_flow=2, resource=True),
    Case("loss_regularised", _regularised, 1),
    Case("loss_clipped", _clipped, 1),
    Case("loss_multi_task", _multi_task, 1),
    Case("loss_autoencoder", _autoencoder, 1),
    Case("loss_summed_up", _summed_up, 1),
    Case("loss_actor_critic", _actor_critic, 1),
    Case("loss_sampled_classes", _sampled_classes, 1),
    Case("loss_recognised_text", _recognised_text, 1, any_batch=False),
    Case("loss_encoder_as_layer", _encoder_as_layer, 2),
    Case("loss_triplet", _triplet, 1, names=True),
    Case("loss_class_weights", _weighted, 1),
    Case("train_flag_and_saver", _tower_pair, 1),
    Case("train_slim", _slim_train, 1),
    *(Case(f"optimizer_{name}", partial(_optimized, optimizer=make), 1) for name, make in _OPTIMIZERS.items()),
    Case("average_raw", partial(_averaged, shadows=False), 1),
    Case("average_shadows", partial(_averaged, shadows=True), 1, options={"ema": True}),
)
