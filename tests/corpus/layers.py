"""Linear layers of every kind, each with a batch norm behind it, and the blocks that networks are built of."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from sample_ckpts.oracle import slim, tf
from sample_ckpts.recording import Model
from tests.corpus.blocks import model
from tests.corpus.case import Case

__all__ = ["CASES"]

Block = Callable[[Any, bool], Any]


def norm(y: Any, training: bool, **options: Any) -> Any:
    """A batch norm as training left it in the graph: `is_training` is a Python bool."""
    return tf.layers.batch_normalization(y, training=training, momentum=0.7, **options)


def _net(training: bool, block: Block, shape: list[int | None]) -> Model:
    x = tf.placeholder(tf.float32, [None, *shape], "x")
    y = block(x, training)
    return model(x, tf.layers.dense(tf.layers.flatten(y), 3, name="logits"))


def _layer(x: Any, training: bool, *, layer: str, **options: Any) -> Any:
    """A layer of tf.layers, a batch norm, a ReLU."""
    return tf.nn.relu(norm(getattr(tf.layers, layer)(x, 4, **options), training))


def _variable(shape: list[int], name: str = "kernel") -> Any:
    return tf.get_variable(name, shape, initializer=tf.truncated_normal_initializer(stddev=0.3))


def _op(x: Any, training: bool, *, op: Callable[[Any, Any], Any], kernel: list[int]) -> Any:
    """An op of tf.nn with a kernel of the author's own, bias_add, a batch norm, a ReLU."""
    y = op(x, _variable(kernel))
    y = tf.nn.bias_add(y, tf.get_variable("bias", y.shape[-1:], initializer=tf.truncated_normal_initializer()))
    return tf.nn.relu(norm(y, training))


def _grouped(x: Any, training: bool) -> Any:
    """AlexNet's way: split, convolve each half, join."""
    halves = [tf.layers.conv2d(half, 3, 3) for half in tf.split(x, 2, axis=3)]
    return tf.nn.relu(norm(tf.concat(halves, 3), training))


def _separable_by_hand(x: Any, training: bool) -> Any:
    """MobileNet v1: depthwise and pointwise, each with a batch norm and ReLU6."""
    y = tf.nn.depthwise_conv2d(x, _variable([3, 3, 4, 2], "depthwise"), [1, 2, 2, 1], "SAME")
    y = tf.nn.relu6(norm(y, training))
    y = tf.nn.conv2d(y, _variable([1, 1, 8, 5], "pointwise"), [1, 1, 1, 1], "SAME")
    return tf.nn.relu6(norm(y, training))


def _atrous_ops(x: Any, training: bool) -> Any:
    """A dilated convolution as releases before 1.13 wrote it: SpaceToBatchND, convolution, BatchToSpaceND."""
    paddings = [[2, 4], [2, 4]]
    y = tf.space_to_batch_nd(x, [2, 2], paddings)
    y = tf.nn.conv2d(y, _variable([3, 3, 4, 4]), [1, 1, 1, 1], "VALID")
    y = tf.batch_to_space_nd(y, [2, 2], [[0, 2], [0, 2]])
    return tf.nn.relu(norm(y, training))


def _transposed(x: Any, training: bool, *, padding: str, dynamic: bool) -> Any:
    """conv2d_transpose with its output shape given as numbers, or computed from the batch."""
    size = 16 if padding == "SAME" else 17
    shape = tf.stack([tf.shape(x)[0], size, size, 5]) if dynamic else [8, size, size, 5]
    y = tf.nn.conv2d_transpose(x, _variable([3, 3, 5, 4]), shape, [1, 2, 2, 1], padding)
    return tf.nn.relu(norm(y, training))


def _tensordot(x: Any, training: bool) -> Any:
    return tf.nn.relu(norm(tf.tensordot(x, _variable([4, 5]), [[2], [0]]), training))


def _einsum(x: Any, training: bool) -> Any:
    return tf.nn.relu(norm(tf.einsum("bti,ij->btj", x, _variable([4, 5])), training))


def _matmul_transposed(x: Any, training: bool) -> Any:
    y = tf.matmul(x, _variable([5, 6]), transpose_b=True) + tf.get_variable("bias", [5])
    return tf.nn.relu(norm(y, training))


def _bias_added(x: Any, training: bool) -> Any:
    """A bias by `+`, of shape [1, 1, 1, C], and a scale by `*` before the batch norm."""
    y = tf.layers.conv2d(x, 4, 3, use_bias=False) + _variable([1, 1, 1, 4], "shift")
    return tf.nn.relu(norm(y * _variable([4], "scale") - 0.3, training))


def _shared_kernel(x: Any, training: bool) -> Any:
    """One kernel, two convolutions, a batch norm of its own behind each."""
    kernel = _variable([3, 3, 4, 4])
    first = tf.nn.conv2d(x, kernel, [1, 1, 1, 1], "SAME")
    second = tf.nn.conv2d(tf.nn.tanh(x), kernel, [1, 1, 1, 1], "SAME")
    return tf.nn.relu(norm(first, training)) + tf.nn.relu(norm(second, training))


def _used_twice(x: Any, training: bool) -> Any:
    """The convolution's result goes around the batch norm too."""
    y = tf.layers.conv2d(x, 4, 3)
    return tf.nn.relu(norm(y, training)) + tf.nn.sigmoid(y)


def _residual(x: Any, training: bool) -> Any:
    y = tf.nn.relu(norm(tf.layers.conv2d(x, 4, 3, padding="same", use_bias=False), training))
    y = norm(tf.layers.conv2d(y, 4, 3, padding="same", use_bias=False), training)
    return tf.nn.relu(x + y)


def _preactivated(x: Any, training: bool) -> Any:
    """ResNet v2: batch norm and ReLU come before the convolution; the first has nothing to be folded into."""
    y = tf.nn.relu(norm(x, training))
    y = tf.layers.conv2d(y, 6, 3, padding="same", use_bias=False)
    y = tf.layers.conv2d(tf.nn.relu(norm(y, training)), 4, 3, padding="same")
    return x + y


def _dense_block(x: Any, training: bool) -> Any:
    """DenseNet: batch norms of ever longer concatenations."""
    for _ in range(2):
        y = tf.layers.conv2d(tf.nn.relu(norm(x, training)), 3, 3, padding="same")
        x = tf.concat([x, y], axis=-1)
    return x


def _inception(x: Any, training: bool) -> Any:
    """Branches, joined and then normalised together."""
    one = tf.layers.conv2d(x, 2, 1)
    three = tf.layers.conv2d(tf.nn.relu(tf.layers.conv2d(x, 2, 1)), 3, 3, padding="same")
    pooled = tf.layers.conv2d(tf.layers.average_pooling2d(x, 3, 1, "same"), 2, 1)
    return tf.nn.relu(norm(tf.concat([one, three, pooled], -1), training))


def _squeeze_excite(x: Any, training: bool) -> Any:
    y = norm(tf.layers.conv2d(x, 6, 3, padding="same"), training)
    weights = tf.reduce_mean(y, [1, 2], keepdims=True)
    weights = tf.layers.conv2d(tf.nn.relu(tf.layers.conv2d(weights, 2, 1)), 6, 1, activation=tf.nn.sigmoid)
    return y * weights


def _u_net(x: Any, training: bool) -> Any:
    down = tf.nn.relu(norm(tf.layers.conv2d(x, 4, 3, padding="same"), training))
    deep = tf.layers.max_pooling2d(down, 2, 2)
    deep = tf.nn.relu(norm(tf.layers.conv2d(deep, 6, 3, padding="same"), training))
    up = norm(tf.layers.conv2d_transpose(deep, 4, 2, 2), training)
    near = tf.image.resize_nearest_neighbor(deep, tf.shape(down)[1:3])
    return tf.concat([down, up, near], 3)


def _sub_pixel(x: Any, training: bool) -> Any:
    y = norm(tf.layers.conv2d(x, 12, 3, padding="same"), training)
    return tf.space_to_depth(tf.nn.relu(tf.depth_to_space(y, 2)), 4)


def _padded(x: Any, training: bool) -> Any:
    """ResNet's fixed padding, then a strided VALID convolution; the batch norm stands before the padding."""
    y = norm(tf.layers.conv2d(x, 4, 1), training)
    y = tf.pad(y, [[0, 0], [1, 1], [1, 1], [0, 0]])
    return tf.layers.conv2d(y, 4, 3, strides=2, use_bias=False)


def _pooled_between(x: Any, training: bool) -> Any:
    """An average pool between the convolution and its batch norm."""
    y = tf.layers.average_pooling2d(tf.layers.conv2d(x, 4, 3), 2, 2, "same")
    return tf.nn.relu(norm(y, training))


def _max_between(x: Any, training: bool) -> Any:
    """A max pool in between: negative gammas forbid folding through it."""
    y = tf.layers.max_pooling2d(tf.layers.conv2d(x, 4, 3), 2, 2)
    return tf.nn.relu(norm(y, training))


def _forward_valid(x: Any, training: bool) -> Any:
    """A batch norm after a ReLU, in front of a convolution that doesn't pad."""
    y = norm(tf.nn.relu(tf.layers.conv2d(x, 4, 3)), training)
    return tf.layers.conv2d(y, 4, 3)


def _forward_flatten(x: Any, training: bool) -> Any:
    """A batch norm after a ReLU, then flatten and dense."""
    return norm(tf.nn.relu(tf.layers.conv2d(x, 4, 3)), training)


def _resized_between(x: Any, training: bool) -> Any:
    y = tf.image.resize_bilinear(tf.layers.conv2d(x, 4, 3), [9, 7], align_corners=True)
    return tf.nn.relu(norm(y, training))


def _flattened_norm(x: Any, training: bool) -> Any:
    """The batch norm counts every pixel of the flattened map as a channel."""
    return tf.nn.relu(norm(tf.layers.flatten(tf.layers.conv2d(x, 2, 5)), training))


def _recalibrated(x: Any, training: bool) -> Any:
    """Two affine transformations by hand around a batch norm without its own."""
    y = norm(tf.layers.conv2d(x, 4, 3), training, scale=False, center=False)
    y = y * tf.get_variable("gain", [4]) + tf.get_variable("offset", [4], initializer=tf.ones_initializer())
    return tf.nn.relu(y / 1.7 - 0.2)


def _pools(x: Any, training: bool) -> Any:
    y = norm(tf.layers.conv2d(x, 4, 1), training)
    pools = [
        tf.nn.max_pool(y, [1, 3, 3, 1], [1, 2, 2, 1], "SAME"),
        tf.nn.avg_pool(y, [1, 3, 3, 1], [1, 2, 2, 1], "SAME"),
        tf.nn.max_pool(y, [1, 2, 2, 1], [1, 2, 2, 1], "VALID"),
        tf.nn.avg_pool(y, [1, 2, 2, 1], [1, 2, 2, 1], "VALID"),
        slim.max_pool2d(y, [2, 2]),
    ]
    return tf.concat(pools, 3)


def _pools_odd(x: Any, training: bool) -> Any:
    """Sizes that don't divide: the padding is uneven."""
    y = norm(tf.layers.conv2d(x, 4, 2, padding="same"), training)
    y = tf.nn.avg_pool(y, [1, 4, 3, 1], [1, 3, 2, 1], "SAME")
    return tf.nn.max_pool(y, [1, 2, 2, 1], [1, 2, 2, 1], "SAME")


def _normalised_response(x: Any, training: bool) -> Any:
    y = tf.nn.relu(norm(tf.layers.conv2d(x, 6, 3), training))
    return tf.nn.lrn(y, depth_radius=2, bias=1.0, alpha=0.02, beta=0.75)


_IMAGE: list[int | None] = [8, 8, 4]
_LAYERS: dict[str, tuple[Block, list[int | None], int]] = {
    "conv2d_valid": (partial(_layer, layer="conv2d", kernel_size=3), _IMAGE, 1),
    "conv2d_same": (partial(_layer, layer="conv2d", kernel_size=3, padding="same"), _IMAGE, 1),
    "conv2d_stride": (partial(_layer, layer="conv2d", kernel_size=3, strides=2, padding="same"), _IMAGE, 1),
    "conv2d_stride_odd": (partial(_layer, layer="conv2d", kernel_size=2, strides=3, padding="same"), [7, 9, 4], 1),
    "conv2d_even": (partial(_layer, layer="conv2d", kernel_size=(4, 2), padding="same"), _IMAGE, 1),
    "conv2d_dilated": (partial(_layer, layer="conv2d", kernel_size=3, dilation_rate=2, padding="same"), _IMAGE, 1),
    "conv1d": (partial(_layer, layer="conv1d", kernel_size=3, padding="same"), [9, 4], 1),
    "conv1d_stride": (partial(_layer, layer="conv1d", kernel_size=3, strides=2), [9, 4], 1),
    "conv3d": (partial(_layer, layer="conv3d", kernel_size=3, padding="same"), [4, 5, 6, 2], 1),
    "separable": (partial(_layer, layer="separable_conv2d", kernel_size=3, depth_multiplier=2), _IMAGE, 1),
    "separable_1d": (partial(_layer, layer="separable_conv1d", kernel_size=3), [9, 4], 1),
    "transposed_same": (partial(_layer, layer="conv2d_transpose", kernel_size=3, strides=2, padding="same"), _IMAGE, 1),
    "transposed_valid": (partial(_layer, layer="conv2d_transpose", kernel_size=4, strides=2), _IMAGE, 1),
    "transposed_3d": (
        partial(_layer, layer="conv3d_transpose", kernel_size=3, strides=2, padding="same"),
        [3, 3, 3, 2],
        1,
    ),
    "dense": (partial(_layer, layer="dense"), [6], 1),
    "dense_rank3": (partial(_layer, layer="dense"), [5, 4], 1),
    "dense_rank4": (partial(_layer, layer="dense"), [3, 5, 4], 1),
    "depthwise": (
        partial(_op, op=lambda x, k: tf.nn.depthwise_conv2d(x, k, [1, 1, 1, 1], "SAME"), kernel=[3, 3, 4, 2]),
        _IMAGE,
        1,
    ),
    "depthwise_stride": (
        partial(_op, op=lambda x, k: tf.nn.depthwise_conv2d(x, k, [1, 2, 2, 1], "VALID"), kernel=[3, 3, 4, 1]),
        _IMAGE,
        1,
    ),
    "depthwise_dilated": (
        partial(
            _op,
            op=lambda x, k: tf.nn.depthwise_conv2d(x, k, [1, 1, 1, 1], "SAME", rate=[2, 2]),
            kernel=[3, 3, 4, 1],
        ),
        _IMAGE,
        1,
    ),
    "atrous": (partial(_op, op=lambda x, k: tf.nn.atrous_conv2d(x, k, 2, "SAME"), kernel=[3, 3, 4, 5]), _IMAGE, 1),
    "atrous_ops": (_atrous_ops, _IMAGE, 1),
    "explicit_padding": (
        partial(
            _op,
            op=lambda x, k: tf.nn.conv2d(x, k, [1, 1, 1, 1], [[0, 0], [2, 1], [0, 1], [0, 0]]),
            kernel=[3, 3, 4, 5],
        ),
        _IMAGE,
        1,
    ),
    "grouped": (_grouped, _IMAGE, 1),
    "mobilenet": (_separable_by_hand, _IMAGE, 2),
    "transposed_dynamic": (partial(_transposed, padding="SAME", dynamic=True), _IMAGE, 1),
    "transposed_dynamic_valid": (partial(_transposed, padding="VALID", dynamic=True), _IMAGE, 1),
    "tensordot": (_tensordot, [5, 4], 1),
    "einsum": (_einsum, [5, 4], 1),
    "matmul_transposed": (_matmul_transposed, [6], 1),
    "bias_added": (_bias_added, _IMAGE, 1),
    "shared_kernel": (_shared_kernel, _IMAGE, 2),
    "residual": (_residual, _IMAGE, 2),
    "inception": (_inception, _IMAGE, 1),
    "squeeze_excite": (_squeeze_excite, _IMAGE, 1),
    "u_net": (_u_net, _IMAGE, 3),
    "sub_pixel": (_sub_pixel, _IMAGE, 1),
    "padded": (_padded, _IMAGE, 1),
    "pooled_between": (_pooled_between, _IMAGE, 1),
    "forward_valid": (_forward_valid, _IMAGE, 1),
    "forward_flatten": (_forward_flatten, _IMAGE, 1),
    "resized_between": (_resized_between, _IMAGE, 1),
    "recalibrated": (_recalibrated, _IMAGE, 1),
    "pools": (_pools, _IMAGE, 1),
    "pools_odd": (_pools_odd, [7, 9, 4], 1),
    "lrn": (_normalised_response, _IMAGE, 1),
}
_KEPT: dict[str, tuple[Block, int, int]] = {
    "used_twice": (_used_twice, 1, 1),
    "preactivated": (_preactivated, 2, 1),
    "dense_block": (_dense_block, 2, 2),
    "max_between": (_max_between, 1, 1),
    "flattened_norm": (_flattened_norm, 1, 1),
}


CASES = (
    *(
        Case(f"layer_{name}", partial(_net, block=block, shape=shape), found)
        for name, (block, shape, found) in _LAYERS.items()
    ),
    *(
        Case(f"layer_{name}", partial(_net, block=block, shape=_IMAGE), found, kept=kept)
        for name, (block, found, kept) in _KEPT.items()
    ),
)
