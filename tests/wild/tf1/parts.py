"""The layers that scripts are made of, as people write them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from sample_ckpts.oracle import slim, tf
from sample_ckpts.recording import Flag
from tests.corpus import batch_norm_handmade
from tests.wild.family import IllegalSpecError

__all__ = ["Script"]

_BY_HAND = ("ema_in_cond", "ema_beside_cond", "pop_assign", "moving_average", "keep_dims")


@dataclass
class Script:
    """A training or inference graph being written.

    Attributes:
        training: Which of them.
        value: What layers take as `training`: a tensor or a bool.
        flags: The control inputs.
        count: For the names of layers.
    """

    training: bool
    value: Any
    flags: list[Flag] = field(default_factory=list)
    count: int = 0

    def layer(self, spec: dict[str, Any], x: Any) -> Any:
        """One layer and what comes after it."""
        self.count += 1
        with tf.variable_scope(f"layer_{self.count}"):
            y = getattr(self, f"_{spec['op']}")(spec, x)
            for i, part in enumerate(spec["after"]):
                what, _, which = part.partition(":")
                with tf.variable_scope(f"{what}_{i}"):
                    y = getattr(self, f"_{what}")(which, y)
            return y

    def _dense(self, spec: dict[str, Any], x: Any) -> Any:
        if spec["by"] == "slim":
            return slim.fully_connected(x, spec["width"], activation_fn=None)
        if spec["by"] == "nn":
            kernel = tf.get_variable("w", [x.shape[-1].value, spec["width"]])
            y = tf.matmul(x, kernel)
            return tf.nn.bias_add(y, tf.get_variable("b", [spec["width"]])) if spec["bias"] else y
        return tf.layers.dense(x, spec["width"], use_bias=spec["bias"])

    def _conv(self, spec: dict[str, Any], x: Any) -> Any:
        self._fits(spec, x)
        rank = x.shape.rank - 2
        if spec["by"] == "slim":
            bias = {} if spec["bias"] else {"biases_initializer": None}
            return slim.convolution(
                x, spec["width"], spec["kernel"], spec["stride"], spec["padding"].upper(), activation_fn=None, **bias
            )
        if spec["by"] == "nn":
            kernel = tf.get_variable("w", [spec["kernel"]] * rank + [x.shape[-1].value, spec["width"]])
            y = tf.nn.convolution(x, kernel, spec["padding"].upper(), strides=[spec["stride"]] * rank)
            return tf.nn.bias_add(y, tf.get_variable("b", [spec["width"]])) if spec["bias"] else y
        make = tf.layers.conv2d if rank == 2 else tf.layers.conv1d
        return make(x, spec["width"], spec["kernel"], spec["stride"], spec["padding"], use_bias=spec["bias"])

    def _fits(self, spec: dict[str, Any], x: Any) -> None:
        sizes = [size for size in x.shape.as_list()[1:-1] if size is not None]
        if sizes and min(sizes) < spec["kernel"]:
            raise IllegalSpecError

    def _depthwise(self, spec: dict[str, Any], x: Any) -> Any:
        self._fits(spec, x)
        kernel = tf.get_variable("w", [spec["kernel"], spec["kernel"], x.shape[-1].value, 1 + spec["width"] % 2])
        stride = spec["stride"]
        return tf.nn.depthwise_conv2d(x, kernel, [1, stride, stride, 1], spec["padding"].upper())

    def _separable(self, spec: dict[str, Any], x: Any) -> Any:
        self._fits(spec, x)
        return tf.layers.separable_conv2d(
            x, spec["width"], spec["kernel"], spec["stride"], spec["padding"], use_bias=spec["bias"]
        )

    def _transposed(self, spec: dict[str, Any], x: Any) -> Any:
        return tf.layers.conv2d_transpose(
            x, spec["width"], spec["kernel"], spec["stride"], spec["padding"], use_bias=spec["bias"]
        )

    def _pool(self, spec: dict[str, Any], x: Any) -> Any:
        self._fits(spec, x)
        if x.shape.rank == 3:
            return tf.layers.max_pooling1d(x, spec["kernel"], spec["stride"], spec["padding"])
        make = tf.layers.average_pooling2d if spec["bias"] else tf.layers.max_pooling2d
        return make(x, spec["kernel"], spec["stride"], spec["padding"])

    def _residual(self, spec: dict[str, Any], x: Any) -> Any:
        width = x.shape[-1].value
        if x.shape.rank == 4:
            return x + tf.layers.conv2d(x, width, spec["kernel"], padding="same")
        return x + tf.layers.dense(x, width, tf.nn.tanh)

    def _gate(self, spec: dict[str, Any], x: Any) -> Any:
        both = tf.layers.dense(x, 2 * spec["width"])
        a, b = tf.split(both, 2, -1)
        return a * tf.sigmoid(b)

    def _lrn(self, spec: dict[str, Any], x: Any) -> Any:
        return tf.nn.local_response_normalization(x, spec["kernel"])

    def _pad(self, spec: dict[str, Any], x: Any) -> Any:
        by = [[0, 0], [1, 2], [2, 0], [0, 0]]
        return tf.pad(x, by, "REFLECT" if spec["bias"] else "CONSTANT")

    def _resize(self, spec: dict[str, Any], x: Any) -> Any:
        make = tf.image.resize_bilinear if spec["bias"] else tf.image.resize_nearest_neighbor
        return make(x, [7, 8], align_corners=spec["stride"] == 2)

    def _rnn(self, spec: dict[str, Any], x: Any) -> Any:
        cell = {3: tf.nn.rnn_cell.GRUCell, 4: tf.nn.rnn_cell.BasicLSTMCell}.get(spec["width"], tf.nn.rnn_cell.LSTMCell)
        made = cell(spec["width"])
        return tf.nn.dynamic_rnn(made, x, dtype=tf.float32)[0]

    def _attention(self, spec: dict[str, Any], x: Any) -> Any:
        query, key = (tf.layers.dense(x, spec["width"]) for _ in range(2))
        weights = tf.nn.softmax(tf.matmul(query, key, transpose_b=True) / spec["width"] ** 0.5)
        return tf.matmul(weights, tf.layers.dense(x, spec["width"]))

    def _norm(self, which: str, x: Any) -> Any:
        if which in _BY_HAND:
            make = getattr(batch_norm_handmade, which)
            value = self.value if tf.is_tensor(self.value) else tf.constant(self.value)
            return make(x, value)
        if which == "keras":
            make = tf.keras.layers.BatchNormalization(momentum=0.7)
            y = make(x, training=self.value)
            for update in make.updates if self.training else ():
                tf.add_to_collection(tf.GraphKeys.UPDATE_OPS, update)
            return y
        if which.startswith("slim"):
            where = {"updates_collections": None} if which == "slim_in_place" else {}
            return slim.batch_norm(x, is_training=self.value, decay=0.7, scale=x.shape[-1].value % 2 == 0, **where)
        options = {"layers_unfused": {"fused": False}, "layers_renorm": {"renorm": True}}.get(which, {})
        if which == "layers_no_scale":
            options = {"scale": False}
        return tf.layers.batch_normalization(x, training=self.value, momentum=0.7, **options)

    def _drop(self, which: str, x: Any) -> Any:
        if which == "layers":
            return tf.layers.dropout(x, 0.3, training=self.value)
        if which == "slim":
            return slim.dropout(x, 0.8, is_training=self.value)
        if which == "noise":
            noise = tf.random_normal(tf.shape(x), stddev=0.1)
            if tf.is_tensor(self.value):
                return tf.cond(self.value, lambda: x + noise, lambda: x)
            return x + noise if self.value else x
        if which == "spatial":
            ones = [1] * (x.shape.rank - 2)
            shape = [tf.shape(x)[0], *ones, x.shape[-1].value]
            return tf.layers.dropout(x, 0.3, noise_shape=shape, training=self.value)
        keep = tf.placeholder_with_default(1.0, [], "keep_prob") if which == "keep_prob" else None
        if keep is None:
            keep = tf.placeholder(tf.float32, [], "rate")
            self.flags.append(Flag(keep, 0.4, 0.0))
            return tf.nn.dropout(x, rate=keep)
        self.flags.append(Flag(keep, 0.6, 1.0))
        return tf.nn.dropout(x, keep_prob=keep)

    def _act(self, which: str, x: Any) -> Any:
        if which == "prelu":
            slope = tf.get_variable("slope", x.shape[-1:], initializer=tf.constant_initializer(0.2))
            return tf.maximum(0.0, x) + slope * tf.minimum(0.0, x)
        if which == "maxout":
            if x.shape[-1].value % 2:
                return tf.nn.relu(x)
            shape = tf.concat([tf.shape(x)[:-1], [x.shape[-1].value // 2, 2]], 0)
            y = tf.reduce_max(tf.reshape(x, shape), -1)
            y.set_shape([*x.shape.as_list()[:-1], x.shape[-1].value // 2])
            return y
        return getattr(tf.nn, which)(x)
