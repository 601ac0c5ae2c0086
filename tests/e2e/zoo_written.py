"""Networks that no package builds, written with TensorFlow's own ops: they judge how layers compute, not which there
are, since they were written beside the architectures.
"""

from __future__ import annotations

from typing import Any

from sample_ckpts.oracle import slim, tf
from tests.e2e.zoo_check import CLASSES, Network

__all__ = ["WRITTEN_NETWORKS"]


def _variable(name: str, shape: list[int], spread: float = 0.05) -> Any:
    return tf.get_variable(name, shape, initializer=tf.truncated_normal_initializer(stddev=spread))


def _response(x: Any) -> Any:
    return tf.nn.lrn(x, 4, bias=1.0, alpha=0.001 / 9.0, beta=0.75)


def _cifar10(x: Any) -> dict[str, Any]:
    def conv(x: Any) -> Any:
        kernel = _variable("weights", [5, 5, x.shape.as_list()[-1], 64])
        return tf.nn.relu(tf.nn.bias_add(tf.nn.conv2d(x, kernel, 1, "SAME"), _variable("biases", [64])))

    def dense(x: Any, units: int) -> Any:
        return tf.matmul(x, _variable("weights", [x.shape.as_list()[-1], units])) + _variable("biases", [units])

    with tf.variable_scope("conv1"):
        y = _response(tf.nn.max_pool(conv(x), [1, 3, 3, 1], [1, 2, 2, 1], "SAME"))
    with tf.variable_scope("conv2"):
        y = tf.nn.max_pool(_response(conv(y)), [1, 3, 3, 1], [1, 2, 2, 1], "SAME")
    y = tf.reshape(y, [-1, 6 * 6 * 64])
    for scope, units in (("local3", 384), ("local4", 192)):
        with tf.variable_scope(scope):
            y = tf.nn.relu(dense(y, units))
    with tf.variable_scope("softmax_linear"):
        return {"logits": dense(y, CLASSES)}


def _cifarnet(x: Any) -> dict[str, Any]:
    with tf.variable_scope("CifarNet"):
        y = _response(slim.max_pool2d(slim.conv2d(x, 64, 5, scope="conv1"), 2, 2))
        y = slim.max_pool2d(_response(slim.conv2d(y, 64, 5, scope="conv2")), 2, 2)
        y = slim.fully_connected(slim.flatten(y), 384, scope="fc3")
        y = slim.fully_connected(y, 192, scope="fc4")
        logits = slim.fully_connected(y, CLASSES, activation_fn=None, scope="logits")
    return {"logits": logits, "predictions": tf.nn.softmax(logits)}


def _norm(x: Any, name: str) -> Any:
    return slim.batch_norm(x, epsilon=1e-5, scale=True, is_training=False, scope=name)


def _linear(x: Any, units: int, name: str) -> Any:
    with tf.variable_scope(name):
        return tf.matmul(x, _variable("Matrix", [x.shape.as_list()[-1], units])) + _variable("bias", [units])


def _discriminator(x: Any) -> dict[str, Any]:
    with tf.variable_scope("discriminator"):
        y = x
        for number, depth in enumerate((8, 16, 32, 64)):
            with tf.variable_scope(f"d_h{number}_conv"):
                kernel = _variable("w", [5, 5, y.shape.as_list()[-1], depth], 0.1)
                y = tf.nn.bias_add(tf.nn.conv2d(y, kernel, 2, "SAME"), _variable("biases", [depth]))
            y = tf.nn.leaky_relu(_norm(y, f"d_bn{number}") if number else y, 0.2)
        logits = _linear(tf.reshape(y, [-1, 3 * 3 * 64]), 1, "d_h4_lin")
    return {"logits": logits, "predictions": tf.nn.sigmoid(logits)}


def _generator(z: Any) -> dict[str, Any]:
    with tf.variable_scope("generator"):
        y = tf.reshape(_linear(z, 3 * 3 * 64, "g_h0_lin"), [-1, 3, 3, 64])
        y = tf.nn.relu(_norm(y, "g_bn0"))
        for number, depth in enumerate((32, 16, 8, 3), start=1):
            with tf.variable_scope(f"g_h{number}"):
                kernel = _variable("w", [5, 5, depth, y.shape.as_list()[-1]], 0.2)
                side = 3 * 2**number
                y = tf.nn.conv2d_transpose(y, kernel, [tf.shape(z)[0], side, side, depth], 2, "SAME")
                y = tf.nn.bias_add(y, _variable("biases", [depth]))
            y = tf.nn.relu(_norm(y, f"g_bn{number}")) if number < 4 else tf.nn.tanh(y)
    return {"image": y}


def _slim_discriminator(x: Any) -> dict[str, Any]:
    norm = {"normalizer_fn": slim.batch_norm, "normalizer_params": {"is_training": False}}
    with tf.variable_scope("Discriminator"):
        y = x
        for number in range(4):
            scope, settings = f"conv{number + 1}", norm if number else {}
            y = slim.conv2d(y, 8 << number, 4, stride=2, activation_fn=tf.nn.leaky_relu, scope=scope, **settings)
        y = slim.conv2d(y, 1, 1, padding="VALID", activation_fn=None)
    return {"logits": tf.reshape(y, [-1, 1])}


def _slim_generator(z: Any) -> dict[str, Any]:
    norm = {"normalizer_fn": slim.batch_norm, "normalizer_params": {"is_training": False}}
    with tf.variable_scope("Generator"):
        y = z[:, None, None, :]
        y = slim.conv2d_transpose(y, 32, 4, stride=1, padding="VALID", scope="deconv1", **norm)
        y = slim.conv2d_transpose(y, 16, 4, stride=2, scope="deconv2", **norm)
        y = slim.conv2d_transpose(y, 8, 4, stride=2, activation_fn=None, scope="deconv3")
        return {"logits": slim.conv2d(y, 3, 1, padding="VALID", activation_fn=None, scope="logits")}


WRITTEN_NETWORKS: dict[str, Network] = {
    "cifar10": Network("cifar10", _cifar10, (24, 24, 3)),
    "cifarnet": Network("cifarnet", _cifarnet, (32, 32, 3)),
    "dcgan_discriminator": Network("dcgan_discriminator", _discriminator, (48, 48, 3), 1e-5),
    "dcgan_generator": Network("dcgan_generator", _generator, (20,), 1e-5),
    "slim_dcgan_discriminator": Network("slim_dcgan_discriminator", _slim_discriminator, (16, 16, 3)),
    "slim_dcgan_generator": Network("slim_dcgan_generator", _slim_generator, (20,)),
}
