"""Whole habits of repositories: towers, tied and normalised kernels, augmentation, conditional inputs, odd names."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np

from sample_ckpts.oracle import slim, tf
from sample_ckpts.recording import Flag, Model
from tests.corpus.blocks import conv_net, dense_net, fit, images, model, vectors
from tests.corpus.case import Case

__all__ = ["CASES"]


def _norm(training: bool, **options: Any) -> Any:
    return lambda z: tf.layers.batch_normalization(z, training=training, momentum=0.7, **options)


def _kernel(shape: list[int], name: str = "kernel") -> Any:
    return tf.get_variable(name, shape, initializer=tf.truncated_normal_initializer(stddev=0.3))


def _scope(name: str) -> Any:
    return tf.variable_scope(name, reuse=tf.AUTO_REUSE)


def _train_and_test(training: bool, wanted: str) -> Model:
    """The network twice over the same variables: as it trains, and as it is evaluated."""
    x, held_out = images(), images(name="test_images")

    def net(batch: Any, is_training: bool) -> Any:
        with _scope("net"):
            y = tf.layers.conv2d(batch, 4, 3, use_bias=False, name="conv")
            y = tf.layers.batch_normalization(y, training=is_training, momentum=0.7, name="bn")
            return tf.layers.dense(tf.layers.flatten(tf.nn.relu(y)), 3, name="logits")

    trained, tested = net(x, training), net(held_out, False)
    train = fit(trained)
    if wanted == "train":
        return Model(inputs=[x], outputs=[trained], train=train)
    return Model(inputs=[held_out], outputs=[tested], train=train)


def _towers(training: bool) -> Model:
    """Two towers, of which only the first one's updates are collected; the second one is exported."""
    x = images()
    target = tf.placeholder(tf.float32, [None, 3], "target")
    losses, outputs, updates = [], [], []
    parts, targets = tf.split(x, 2), tf.split(target, 2)
    for index in range(2):
        with tf.name_scope(f"tower_{index}"), _scope("net"):
            y = tf.layers.conv2d(parts[index], 4, 3, use_bias=False, name="conv")
            y = tf.layers.batch_normalization(y, training=training, momentum=0.7, name="bn")
            y = tf.layers.dense(tf.layers.flatten(tf.nn.relu(y)), 3, name="logits")
            outputs.append(y)
            losses.append(tf.reduce_mean(tf.square(y - targets[index])))
        if not index:
            updates = tf.get_collection(tf.GraphKeys.UPDATE_OPS)
    with tf.control_dependencies([tf.group(*updates)]):
        train = tf.train.GradientDescentOptimizer(0.05).minimize(tf.add_n(losses))
    return Model(inputs=[parts[1]], outputs=[outputs[1]], train=train)


def _spectral(training: bool) -> Model:
    """Spectral norm: the kernel is divided by its norm, and each step assigns the vector that estimates it."""
    x = images()
    kernel = _kernel([3, 3, 3, 4])
    matrix = tf.reshape(kernel, [-1, 4])
    u = tf.get_variable("u", [1, 4], initializer=tf.truncated_normal_initializer(), trainable=False)
    v_hat = tf.nn.l2_normalize(tf.matmul(u, matrix, transpose_b=True))
    u_hat = tf.nn.l2_normalize(tf.matmul(v_hat, matrix))
    sigma = tf.squeeze(tf.matmul(tf.matmul(v_hat, matrix), u_hat, transpose_b=True))
    if training:
        with tf.control_dependencies([u.assign(u_hat)]):
            kernel = tf.reshape(matrix / sigma, kernel.shape)
    else:
        kernel = tf.reshape(matrix / sigma, kernel.shape)
    y = _norm(training)(tf.nn.conv2d(x, kernel, [1, 1, 1, 1], "SAME"))
    return model(x, tf.layers.dense(tf.layers.flatten(tf.nn.leaky_relu(y)), 3))


def _weight_norm(training: bool) -> Model:
    """Weight normalisation: direction and length are variables of their own."""
    x = vectors()
    direction, length = _kernel([6, 5], "v"), tf.get_variable("g", [5], initializer=tf.ones_initializer())
    kernel = length * tf.nn.l2_normalize(direction, 0)
    return model(x, tf.layers.dense(tf.nn.relu(_norm(training)(tf.matmul(x, kernel))), 3))


def _masked(training: bool) -> Model:
    """Pruning: the kernel is multiplied by a mask that isn't trained."""
    x = images()
    mask = tf.get_variable("mask", [3, 3, 3, 4], initializer=tf.ones_initializer(), trainable=False)
    y = tf.nn.conv2d(x, _kernel([3, 3, 3, 4]) * mask, [1, 1, 1, 1], "VALID")
    return model(x, tf.layers.dense(tf.layers.flatten(tf.nn.relu(_norm(training)(y))), 3))


def _standardised(training: bool) -> Model:
    """Weight standardisation: the kernel's own mean and variance."""
    x = images()
    kernel = _kernel([3, 3, 3, 4])
    mean, variance = tf.nn.moments(kernel, [0, 1, 2], keepdims=True)
    y = tf.nn.conv2d(x, (kernel - mean) / tf.sqrt(variance + 1e-5), [1, 1, 1, 1], "SAME")
    return model(x, tf.layers.dense(tf.layers.flatten(tf.nn.relu(_norm(training)(y))), 3))


def _cosine(training: bool) -> Model:
    """A classifier by angles: both the features and the kernel have length one."""
    x = vectors()
    features = tf.nn.l2_normalize(_norm(training)(tf.layers.dense(x, 5)), axis=1)
    return model(x, 16.0 * tf.matmul(features, tf.nn.l2_normalize(_kernel([5, 3]), axis=0)))


def _tied(training: bool) -> Model:
    """An autoencoder whose decoder is the encoder's kernel, transposed; each has a batch norm."""
    x = vectors()
    kernel = _kernel([6, 4])
    hidden = tf.nn.relu(_norm(training)(tf.matmul(x, kernel)))
    y = _norm(training)(tf.matmul(hidden, kernel, transpose_b=True))
    return model(x, tf.nn.sigmoid(y))


def _tied_convolution(training: bool) -> Model:
    x = images()
    kernel = _kernel([3, 3, 3, 4])
    hidden = tf.nn.relu(_norm(training)(tf.nn.conv2d(x, kernel, [1, 2, 2, 1], "SAME")))
    y = tf.nn.conv2d_transpose(hidden, kernel, tf.shape(x), [1, 2, 2, 1], "SAME")
    y.set_shape([None, 8, 8, 3])
    return model(x, tf.nn.tanh(_norm(training)(y)))


def _conditional(training: bool) -> Model:
    """A conditional generator: here `labels` is an input of the network, not of the loss."""
    z, labels = vectors(4, "z"), tf.placeholder(tf.int32, [None], "labels")
    y = tf.concat([z, tf.one_hot(labels, 3)], 1)
    y = tf.nn.tanh(dense_net(y, _norm(training)))
    return Model(inputs=[z, labels], outputs=[y], train=fit(y))


def _augmented(training: bool) -> Model:
    """Random flips and shifts in the graph, under the training flag."""
    x = images()
    value = tf.placeholder(tf.bool, [], "is_training")

    def augment() -> Any:
        flipped = tf.map_fn(lambda image: tf.image.random_flip_left_right(image, seed=1), x)
        padded = tf.pad(flipped, [[0, 0], [1, 1], [1, 1], [0, 0]])
        return tf.random_crop(padded, tf.shape(x), seed=2) + tf.random_uniform([], -0.1, 0.1)

    y = tf.cond(value, augment, lambda: x)
    y.set_shape([None, 8, 8, 3])
    y = conv_net(y, lambda z: tf.layers.batch_normalization(z, training=value, momentum=0.7))
    return model(x, y, [Flag(value, True, False)])


def _mapped_decoder(training: bool) -> Model:
    """A batch of JPEG strings, decoded and resized one by one in a loop; the network begins with the images."""
    if training:
        strings = tf.placeholder(tf.string, [None], "jpegs")
        batch = tf.map_fn(_decoded, strings, dtype=tf.float32, name="decode")
        inputs = batch.graph.get_tensor_by_name("decode/while/DecodeJpeg:0")
    else:
        inputs = tf.placeholder(tf.uint8, [None, None, None, 3])
        batch = tf.map_fn(_resized, inputs, dtype=tf.float32, name="decode")
    y = conv_net(batch, _norm(training))
    pixels = np.random.default_rng(1).integers(0, 255, (8, 9, 7, 3)).astype(np.uint8)
    with tf.Graph().as_default(), tf.Session() as session:
        encoded = [session.run(tf.image.encode_png(image)) for image in pixels]
    return Model(inputs=[inputs], outputs=[y], train=fit(y), feeds={strings: encoded} if training else {})


def _decoded(string: Any) -> Any:
    return _resized(tf.image.decode_jpeg(string, channels=3))


def _resized(pixels: Any) -> Any:
    image = tf.image.resize_images(tf.image.convert_image_dtype(pixels, tf.float32), [8, 8])
    image.set_shape([8, 8, 3])
    return image


def _standardised_image(training: bool) -> Model:
    """The graph standardises each image by its own mean and deviation."""
    x = images()
    mean, variance = tf.nn.moments(x, [1, 2, 3], keepdims=True)
    deviation = tf.maximum(tf.sqrt(variance), 1.0 / np.sqrt(192.0).astype(np.float32))
    return model(x, conv_net((x - mean) / deviation, _norm(training)))


def _printed(training: bool) -> Model:
    """tf.Print, check_numerics and gradient tricks on the way."""
    x = vectors()
    hidden = tf.Print(tf.layers.dense(x, 6), [tf.shape(x)], "shape ", first_n=1)
    hidden = tf.verify_tensor_all_finite(_norm(training)(hidden), "not finite")
    hard = tf.cast(hidden > 0, tf.float32)
    straight_through = hidden + tf.stop_gradient(hard - hidden)
    return model(x, tf.layers.dense(tf.nn.relu(hidden) + 0.1 * straight_through, 3))


def _odd_names(training: bool) -> Model:
    """Dots, dashes, and names that differ only in case."""
    x = tf.placeholder(tf.float32, [None, 6], "Input-1.data")
    with tf.variable_scope("Model.v2/block-1"):
        y = tf.layers.dense(x, 5, name="fc.1")
        y = tf.nn.relu(tf.layers.batch_normalization(y, training=training, momentum=0.7, name="bn-1.0"))
        y = tf.layers.dense(y, 3, name="FC.1b")
    return model(x, tf.nn.softmax(y, name="Softmax.out"))


def _deep(training: bool) -> Model:
    """A chain of more than a thousand ops."""
    x = vectors()
    y = tf.layers.dense(x, 4)
    for _ in range(600):
        y = tf.nn.leaky_relu(y, 0.999)
    y = tf.layers.batch_normalization(y, training=training)
    return Model(inputs=[x], outputs=[tf.layers.dense(y, 3)])


def _segmentation(training: bool) -> Model:
    """A fully convolutional network of unknown size: down, up to the size of the skip, joined."""
    x = tf.placeholder(tf.float32, [None, None, None, 3], "images")
    skip = tf.nn.relu(_norm(training)(tf.layers.conv2d(x, 4, 3, padding="same", use_bias=False)))
    down = tf.nn.relu(_norm(training)(tf.layers.conv2d(skip, 6, 3, strides=2, padding="same")))
    down = tf.layers.average_pooling2d(down, 3, 1, "same")
    up = tf.image.resize_bilinear(down, tf.shape(skip)[1:3])
    y = tf.layers.conv2d(tf.concat([skip, up], 3), 2, 1)
    return _sized(x, y, 7, 10)


def _transposed_unknown(training: bool) -> Model:
    """conv2d_transpose back to the input's own, unknown, size."""
    x = tf.placeholder(tf.float32, [None, None, None, 3], "images")
    down = tf.nn.relu(_norm(training)(tf.layers.conv2d(x, 4, 4, strides=2, padding="same")))
    shape = tf.shape(x)
    size = tf.stack([shape[0], shape[1], shape[2], 2])
    y = tf.nn.conv2d_transpose(down, _kernel([4, 4, 2, 4]), size, [1, 2, 2, 1], "SAME")
    y.set_shape([None, None, None, 2])
    return _sized(x, y, 6, 10)


def _sized(x: Any, y: Any, height: int, width: int) -> Model:
    """Feeds for a network that gives an image of the size it gets."""
    train, rng = fit(y), np.random.default_rng(2)
    target = tf.get_default_graph().get_tensor_by_name("target:0")
    feeds = {x: rng.normal(size=(8, height, width, 3)), target: rng.normal(size=(8, height, width, 2))}
    return Model(inputs=[x], outputs=[y], train=train, feeds=feeds)


def _vae_decoder(training: bool) -> Model:
    """The decoder of a variational autoencoder: cut at the sample."""
    x = vectors()
    hidden = tf.nn.relu(_norm(training)(tf.layers.dense(x, 8)))
    mean, log_variance = tf.layers.dense(hidden, 2), tf.layers.dense(hidden, 2)
    sample = tf.add(mean, tf.exp(0.5 * log_variance) * tf.random_normal(tf.shape(mean)), name="sample")
    decoded = tf.nn.relu(_norm(training)(tf.layers.dense(sample, 8)))
    y = tf.layers.dense(decoded, 6, name="restored")
    return Model(inputs=[sample], outputs=[y], train=fit(y))


def _vae_encoder(training: bool) -> Model:
    """Its encoder: the mean and the logarithm of the variance, asked for by name."""
    x = vectors()
    hidden = tf.nn.relu(_norm(training)(tf.layers.dense(x, 8)))
    mean, log_variance = tf.layers.dense(hidden, 2, name="mean"), tf.layers.dense(hidden, 2, name="log_variance")
    sample = mean + tf.exp(0.5 * log_variance) * tf.random_normal(tf.shape(mean))
    y = tf.layers.dense(tf.nn.relu(tf.layers.dense(sample, 8)), 6)
    return Model(inputs=[x], outputs=[mean, log_variance], train=fit(y))


def _first_channels(training: bool) -> Model:
    """NCHW throughout: residual, concat on axis 1, pools, means over [2, 3], bias_add."""
    x = tf.placeholder(tf.float32, [None, 3, 8, 8], "images")
    first: dict[str, Any] = {"data_format": "channels_first"}
    y = tf.layers.conv2d(x, 4, 3, padding="same", use_bias=False, **first)
    y = tf.nn.relu(_norm(training, axis=1, fused=True)(y))
    z = tf.layers.conv2d(y, 4, 3, padding="same", **first)
    y = y + _norm(training, axis=1, fused=True)(z)
    pooled = tf.layers.average_pooling2d(y, 3, 1, "same", **first)
    y = tf.concat([y, pooled, tf.layers.max_pooling2d(y, 3, 1, "same", **first)], axis=1)
    y = tf.pad(y, [[0, 0], [0, 0], [1, 1], [1, 1]])
    y = tf.layers.conv2d(y, 5, 3, strides=2, **first)
    return model(x, tf.layers.dense(tf.reduce_mean(y, [2, 3]), 3))


def _transposed_to_first(training: bool) -> Model:
    """NHWC at the door, NCHW inside: TensorFlow's own recipe for graphics cards."""
    x = images()
    y = tf.transpose(x, [0, 3, 1, 2])
    y = slim.conv2d(
        y,
        4,
        [3, 3],
        data_format="NCHW",
        normalizer_fn=slim.batch_norm,
        normalizer_params={"data_format": "NCHW", "is_training": training, "decay": 0.7, "fused": True},
    )
    y = slim.max_pool2d(y, [2, 2], data_format="NCHW")
    y = tf.transpose(y, [0, 2, 3, 1])
    return model(x, tf.layers.dense(tf.layers.flatten(y), 3))


CASES = (
    Case("idiom_train_tower", partial(_train_and_test, wanted="train"), 1, names=True),
    Case("idiom_test_tower", partial(_train_and_test, wanted="test"), 1, names=True),
    Case("idiom_second_tower", _towers, 1, names=True),
    Case("idiom_spectral_norm", _spectral, 1),
    Case("idiom_weight_norm", _weight_norm, 1),
    Case("idiom_masked", _masked, 1),
    Case("idiom_weight_standardised", _standardised, 1),
    Case("idiom_cosine", _cosine, 1),
    Case("idiom_tied", _tied, 2),
    Case("idiom_tied_convolution", _tied_convolution, 2),
    Case("idiom_conditional", _conditional, 1),
    Case("idiom_augmented", _augmented, 1),
    Case("idiom_augmented_if", _augmented, 1, control_flow=2, resource=True),
    Case("idiom_mapped_decoder", _mapped_decoder, 1),
    Case("idiom_standardised_image", _standardised_image, 1),
    Case("idiom_printed", _printed, 1),
    Case("idiom_odd_names", _odd_names, 1),
    Case("idiom_deep", _deep, 1),
    Case("idiom_segmentation", _segmentation, 2),
    Case("idiom_transposed_unknown", _transposed_unknown, 1),
    Case("idiom_vae_decoder", _vae_decoder, 1, names=True),
    Case("idiom_vae_encoder", _vae_encoder, 1, names=True),
    Case("idiom_first_channels", _first_channels, 2),
    Case("idiom_transposed_to_first", _transposed_to_first, 1),
)
