"""Networks whose losses are networks or policies themselves: what is meant as the output isn't the last tensor."""

from __future__ import annotations

from typing import Any

import numpy as np

from sample_ckpts.oracle import tf
from sample_ckpts.recording import Model
from tests.corpus.blocks import fit, images, vectors
from tests.corpus.case import Case

__all__ = ["CASES"]


def _norm(x: Any, training: bool) -> Any:
    return tf.layers.batch_normalization(x, training=training, momentum=0.7)


def _updated(step: Any) -> Any:
    with tf.control_dependencies(tf.get_collection(tf.GraphKeys.UPDATE_OPS)):
        return step()


def _features(x: Any) -> Any:
    """A pretrained network, given as arrays; its last pooling is used by nobody."""
    random = np.random.RandomState(3)
    found = []
    for _ in range(2):
        kernel = tf.constant(random.normal(0, 0.3, (3, 3, int(x.shape[-1]), 4)).astype(np.float32))
        x = tf.nn.relu(tf.nn.conv2d(x, kernel, [1, 1, 1, 1], "SAME"))
        found.append(x)
        x = tf.nn.avg_pool(x, [1, 2, 2, 1], [1, 2, 2, 1], "SAME")
    return found


def _style_transfer(training: bool) -> Model:
    """The loss compares features of the picture that is made with those of the one given."""
    x = images()
    y = tf.nn.relu(_norm(tf.layers.conv2d(x, 6, 3, padding="same", use_bias=False), training))
    y = tf.nn.tanh(tf.layers.conv2d(y, 3, 3, padding="same")) * 150 + 127.5
    given, made = _features(x), _features(y)
    gram = tf.reshape(made[0], [-1, 4])
    style = tf.nn.l2_loss(tf.matmul(gram, gram, transpose_a=True) / 1000.0 - 0.3)
    loss = 1e-5 * (2 * tf.nn.l2_loss(made[1] - given[1]) + style + tf.nn.l2_loss(y[:, 1:] - y[:, :-1]))
    train = _updated(lambda: tf.train.AdamOptimizer(1e-3).minimize(loss))
    return Model(inputs=[x], outputs=[y], train=train)


def _q_values(training: bool) -> Model:
    """The greedy action is left over; the loss takes the value of the action that was chosen then."""
    x, chosen = vectors(), tf.placeholder(tf.int32, [None], "chosen")
    target = tf.placeholder(tf.float32, [None], "target")

    def net(state: Any, scope: str) -> Any:
        with tf.variable_scope(scope):
            hidden = tf.nn.relu(_norm(tf.layers.dense(state, 8, use_bias=False), training))
            return tf.layers.dense(hidden, 3)

    values = net(x, "online")
    action = tf.argmax(values, 1, name="action")
    later = net(vectors(name="later"), "target")
    tf.group(*[a.assign(b) for a, b in zip(tf.global_variables("target"), tf.global_variables("online"), strict=True)])
    taken = tf.reduce_sum(values * tf.one_hot(chosen, 3), 1)
    loss = tf.reduce_mean(tf.square(target + 0.9 * tf.stop_gradient(tf.reduce_max(later, 1)) - taken))
    train = _updated(lambda: tf.train.AdamOptimizer(1e-3).minimize(loss, var_list=tf.trainable_variables("online")))
    return Model(inputs=[x], outputs=[values, action], train=train, feeds={chosen: np.arange(8) % 3})


def _actor_critic(training: bool) -> Model:
    """The value is read behind a stopped gradient, the policy before a logarithm."""
    x, chosen = vectors(), tf.placeholder(tf.int32, [None], "chosen")
    gain = tf.placeholder(tf.float32, [None], "gain")
    hidden = tf.nn.relu(_norm(tf.layers.dense(x, 8, use_bias=False), training))
    policy = tf.nn.softmax(tf.layers.dense(hidden, 3), name="policy")
    value = tf.squeeze(tf.layers.dense(hidden, 1), 1, name="value")
    log = tf.log(tf.clip_by_value(policy, 1e-20, 1.0))
    entropy = -tf.reduce_sum(policy * log, 1)
    advantage = gain - tf.stop_gradient(value)
    loss = -tf.reduce_sum(tf.reduce_sum(log * tf.one_hot(chosen, 3), 1) * advantage + 0.01 * entropy)
    loss += 0.5 * tf.nn.l2_loss(gain - value)
    train = _updated(lambda: tf.train.RMSPropOptimizer(1e-3).minimize(loss))
    return Model(inputs=[x], outputs=[policy, value], train=train, feeds={chosen: np.arange(8) % 3})


def _old_policy(training: bool) -> Model:
    """The ratio to a policy that is a copy of an earlier one."""
    x, chosen = vectors(), tf.placeholder(tf.int32, [None], "chosen")
    gain = tf.placeholder(tf.float32, [None], "gain")

    def net(scope: str, trainable: bool) -> Any:
        with tf.variable_scope(scope):
            hidden = tf.layers.dense(x, 8, use_bias=False, trainable=trainable)
            hidden = tf.layers.batch_normalization(hidden, training=training, momentum=0.7, trainable=trainable)
            return tf.layers.dense(tf.nn.tanh(hidden), 3, tf.nn.softmax, trainable=trainable)

    new, old = net("new", trainable=True), net("old", trainable=False)
    tf.group(*[a.assign(b) for a, b in zip(tf.global_variables("old"), tf.global_variables("new"), strict=True)])
    index = tf.stack([tf.range(tf.shape(chosen)[0]), chosen], 1)
    ratio = tf.gather_nd(new, index) / tf.gather_nd(old, index)
    loss = -tf.reduce_mean(tf.minimum(ratio * gain, tf.clip_by_value(ratio, 0.8, 1.2) * gain))
    train = _updated(lambda: tf.train.AdamOptimizer(1e-3).minimize(loss))
    return Model(inputs=[x], outputs=[new], train=train, feeds={chosen: np.arange(8) % 3})


def _generator(x: Any, training: bool) -> Any:
    with tf.variable_scope("generator", reuse=tf.AUTO_REUSE):
        y = tf.layers.conv2d(x, 16, 3, padding="same", use_bias=False, name="conv")
        y = tf.nn.relu(tf.layers.batch_normalization(y, training=training, momentum=0.7, name="bn"))
        return tf.layers.conv2d(tf.depth_to_space(y, 2), 3, 3, padding="same", activation=tf.nn.tanh, name="last")


def _discriminator(x: Any) -> Any:
    with tf.variable_scope("discriminator", reuse=tf.AUTO_REUSE):
        y = tf.nn.leaky_relu(tf.layers.conv2d(x, 4, 4, 2, padding="same", name="conv"))
        logits = tf.layers.dense(tf.layers.flatten(y), 1, name="dense")
        return tf.nn.sigmoid(logits), logits


def _super_resolution(training: bool) -> Model:
    """A generator in training, once more as it is used, a discriminator with a sigmoid that nobody reads."""
    x, real = images(), tf.placeholder(tf.float32, [None, 16, 16, 3], "real")
    made, used = _generator(x, training=True), _generator(x, training=False)
    (_, of_real), (_, of_made) = _discriminator(real), _discriminator(made)

    def judged(logits: Any, value: float) -> Any:
        labels = tf.fill(tf.shape(logits), value)
        return tf.reduce_mean(tf.nn.sigmoid_cross_entropy_with_logits(logits=logits, labels=labels))

    losses = {
        "generator": 1e-2 * judged(of_made, 1.0) + tf.losses.mean_squared_error(made, real),
        "discriminator": judged(of_real, 1.0) + judged(of_made, 0.0),
    }
    train = tf.group(
        *[tf.train.AdamOptimizer(1e-3).minimize(v, var_list=tf.trainable_variables(k)) for k, v in losses.items()],
        *tf.get_collection(tf.GraphKeys.UPDATE_OPS),
    )
    return Model(inputs=[x], outputs=[used], train=train)


def _hard_samples(training: bool) -> Model:
    """Class probabilities whose rows the loss puts into one, to pick by label."""
    x = images(6)
    label = tf.placeholder(tf.int32, [None], "label")
    box = tf.placeholder(tf.float32, [None, 4], "box")
    y = tf.nn.relu(_norm(tf.layers.conv2d(x, 6, 3, use_bias=False), training))
    y = tf.nn.relu(tf.layers.conv2d(y, 6, 3))
    scores = tf.squeeze(tf.layers.conv2d(y, 2, 2, activation=tf.nn.softmax), [1, 2], name="scores")
    boxes = tf.squeeze(tf.layers.conv2d(y, 4, 2), [1, 2], name="boxes")
    picked = tf.gather(tf.reshape(scores, [-1, 1]), 2 * tf.range(tf.shape(label)[0]) + label)
    worst, _ = tf.nn.top_k(tf.squeeze(-tf.log(picked + 1e-10)), 4)
    loss = tf.reduce_mean(worst) + tf.reduce_mean(tf.reduce_sum(tf.square(boxes - box), 1))
    train = _updated(lambda: tf.train.MomentumOptimizer(1e-3, 0.9).minimize(loss))
    return Model(inputs=[x], outputs=[scores, boxes], train=train, feeds={label: np.arange(8) % 2})


def _next_step(training: bool) -> Model:
    """Every step predicts the one after it, so that the loss leaves the last out; a spare layer is left over."""
    x = tf.placeholder(tf.float32, [None, 6, 4], "x")
    labels = tf.placeholder(tf.int32, [None, 6], "labels")
    y = tf.nn.relu(_norm(tf.layers.conv1d(x, 8, 1, use_bias=False), training))
    logits = tf.layers.conv1d(y, 5, 1, name="logits")
    tf.add(y, tf.layers.conv1d(y, 8, 1, name="spare"), name="spare_sum")
    loss = tf.nn.sparse_softmax_cross_entropy_with_logits(logits=logits[:, :-1], labels=labels[:, 1:])
    train = _updated(lambda: tf.train.AdamOptimizer(1e-3).minimize(tf.reduce_mean(loss)))
    return Model(inputs=[x], outputs=[logits], train=train, feeds={labels: np.arange(48).reshape(8, 6) % 5})


def _teacher_forcing(training: bool) -> Model:
    """The labels are an input as well, and an accuracy compares with them."""
    x, y = vectors(), tf.placeholder(tf.int32, [None, 5], "y")
    before = tf.concat([tf.ones_like(y[:, :1]), y[:, :-1]], 1)
    table = tf.get_variable("table", [7, 6], initializer=tf.truncated_normal_initializer())
    hidden = _norm(tf.layers.dense(x, 6, use_bias=False), training)
    logits = tf.layers.dense(tf.nn.relu(tf.nn.embedding_lookup(table, before) + hidden[:, None]), 7, name="logits")
    right = tf.to_float(tf.equal(tf.to_int32(tf.argmax(logits, -1)), y))
    tf.summary.scalar("accuracy", tf.reduce_mean(right))
    smoothed = 0.9 * tf.one_hot(y, 7) + 0.1 / 7
    loss = tf.nn.softmax_cross_entropy_with_logits_v2(logits=logits, labels=smoothed)
    train = _updated(lambda: tf.train.AdamOptimizer(1e-3).minimize(tf.reduce_mean(loss)))
    feeds = {x: np.random.RandomState(5).normal(size=(8, 6)), y: np.arange(40).reshape(8, 5) % 7}
    return Model(inputs=[x, y], outputs=[logits], train=train, feeds=feeds)


def _pretrained_head(training: bool) -> Model:
    """The classifier that came with a network nobody trains any more."""
    x = images()
    y = tf.layers.conv2d(x, 6, 3, use_bias=False, trainable=False)
    y = tf.nn.relu(tf.layers.batch_normalization(y, training=False, trainable=False))
    flat = tf.layers.flatten(y)
    tf.layers.dense(flat, 10, tf.nn.softmax, trainable=False, name="old_head")
    hidden = tf.nn.relu(_norm(tf.layers.dense(flat, 5, use_bias=False), training))
    new = tf.layers.dense(hidden, 3, name="new_head")
    return Model(inputs=[x], outputs=[new], train=fit(new))


def _conditional_random_field(training: bool) -> Model:
    """Labels pick from the scores and from a table of transitions; a loop over the steps normalises."""
    x = tf.placeholder(tf.float32, [None, 5, 4], "x")
    tags = tf.placeholder(tf.int32, [None, 5], "tags")
    y = tf.nn.relu(_norm(tf.layers.conv1d(x, 6, 1, use_bias=False), training))
    scores = tf.layers.dense(y, 3, name="scores")
    table = tf.get_variable("transitions", [3, 3], initializer=tf.truncated_normal_initializer())
    rows = 3 * tf.range(tf.size(tags))
    unary = tf.reduce_sum(tf.reshape(tf.gather(tf.reshape(scores, [-1]), rows + tf.reshape(tags, [-1])), [-1, 5]), 1)
    binary = tf.reduce_sum(tf.gather(tf.reshape(table, [-1]), 3 * tags[:, :-1] + tags[:, 1:]), 1)

    def step(before: Any, now: Any) -> Any:
        return tf.reduce_logsumexp(before[:, :, None] + table[None], 1) + now

    steps = tf.scan(step, tf.transpose(scores[:, 1:], [1, 0, 2]), initializer=scores[:, 0])
    likelihood = unary + binary - tf.reduce_logsumexp(steps[-1], 1)
    train = _updated(lambda: tf.train.AdamOptimizer(1e-3).minimize(-tf.reduce_mean(likelihood)))
    return Model(inputs=[x], outputs=[scores], train=train, feeds={tags: np.arange(40).reshape(8, 5) % 3})


def _centers(training: bool) -> Model:
    """A loss that draws embeddings to the centre of their class, which is assigned, beside a classifier's."""
    x, label = vectors(), tf.placeholder(tf.int32, [None], "label")
    hidden = tf.nn.relu(_norm(tf.layers.dense(x, 8, use_bias=False), training))
    inner = tf.layers.dense(hidden, 4, name="inner")
    embedding = tf.nn.l2_normalize(inner, 1, name="embedding")
    logits = tf.layers.dense(inner, 3, name="logits")
    centers = tf.get_variable("centers", [3, 4], initializer=tf.zeros_initializer(), trainable=False)
    moved = tf.scatter_sub(centers, label, 0.05 * (tf.gather(centers, label) - inner))
    loss = tf.reduce_mean(tf.nn.sparse_softmax_cross_entropy_with_logits(logits=logits, labels=label))
    with tf.control_dependencies([moved]):
        loss += 0.01 * tf.reduce_mean(tf.square(inner - tf.gather(centers, label)))
    train = _updated(lambda: tf.train.AdagradOptimizer(0.1).minimize(loss))
    return Model(inputs=[x], outputs=[embedding, logits], train=train, feeds={label: np.arange(8) % 3})


def _boxes(training: bool) -> Model:
    """Boxes that are put together of a layer's parts; the loss reads some of the parts, and a part of the boxes."""
    x = images()
    label = tf.placeholder(tf.float32, [None, 6, 6, 2, 6], "label")
    y = tf.nn.relu(_norm(tf.layers.conv2d(x, 6, 3, use_bias=False), training))
    raw = tf.reshape(tf.layers.conv2d(y, 12, 1, name="raw"), [-1, 6, 6, 2, 6])
    centers = tf.sigmoid(raw[..., 0:2]) * 8
    sizes = tf.exp(raw[..., 2:4]) * np.array([[1, 2], [2, 1]], np.float32)
    boxes = tf.concat([centers, sizes, tf.sigmoid(raw[..., 4:5]), tf.sigmoid(raw[..., 5:])], -1, name="boxes")
    found = tf.nn.sigmoid_cross_entropy_with_logits(labels=label[..., 4:5], logits=raw[..., 4:5])
    named = tf.nn.sigmoid_cross_entropy_with_logits(labels=label[..., 5:], logits=raw[..., 5:])
    placed = tf.reduce_sum(tf.square(boxes[..., 0:4] - label[..., 0:4]), -1, keepdims=True)
    loss = tf.reduce_mean(tf.reduce_sum(label[..., 4:5] * placed * 1e-3 + found + named, [1, 2, 3, 4]))
    train = _updated(lambda: tf.train.AdamOptimizer(1e-3).minimize(loss))
    return Model(inputs=[x], outputs=[boxes], train=train)


def _two_optimizers(training: bool) -> Model:
    """One loss of two heads, weighed by variables; one optimizer trains the trunk, another one the heads."""
    x, label = vectors(), tf.placeholder(tf.int32, [None], "label")
    wanted = tf.placeholder(tf.float32, [None, 1], "wanted")
    with tf.variable_scope("shared"):
        hidden = tf.nn.selu(_norm(tf.layers.dense(x, 8, use_bias=False), training))
    value, scores = tf.layers.dense(hidden, 1, name="heads/value"), tf.layers.dense(hidden, 3, name="heads/scores")
    spread = tf.get_variable("heads/spread", [2], initializer=tf.zeros_initializer())
    losses = tf.losses.huber_loss(wanted, value), tf.losses.sparse_softmax_cross_entropy(label, scores)
    loss = tf.exp(-spread[0]) * losses[0] + tf.exp(-spread[1]) * losses[1] + tf.reduce_sum(spread)
    optimizers = {"shared": tf.train.AdamOptimizer(1e-3), "heads": tf.train.AdadeltaOptimizer(0.1)}
    steps = [one.minimize(loss, var_list=tf.trainable_variables(scope)) for scope, one in optimizers.items()]
    train = _updated(lambda: tf.group(*steps))
    return Model(inputs=[x], outputs=[value, scores], train=train, feeds={label: np.arange(8) % 3})


CASES = (
    Case("judged_style_transfer", _style_transfer, 1),
    Case("judged_q_values", _q_values, 1),
    Case("judged_actor_critic", _actor_critic, 1),
    Case("judged_old_policy", _old_policy, 1),
    Case("judged_two_optimizers", _two_optimizers, 1),
    Case("judged_super_resolution", _super_resolution, 1),
    Case("judged_hard_samples", _hard_samples, 1),
    Case("judged_next_step", _next_step, 1),
    Case("judged_teacher_forcing", _teacher_forcing, 1),
    Case("judged_conditional_random_field", _conditional_random_field, 1),
    Case("judged_centers", _centers, 1),
    Case("judged_boxes", _boxes, 1),
    Case("judged_pretrained_head", _pretrained_head, 2),
)
