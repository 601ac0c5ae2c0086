"""slim's own networks, a few channels wide, as their training scripts leave them."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from sample_ckpts.oracle import slim, slim_nets, tf
from sample_ckpts.recording import Flag, Model
from tests.corpus.case import Case

__all__ = ["CASES"]

Net = Callable[[Any, Any], list[Any]]
"""From images and the flag to the ends of the network; the last one goes into the loss."""
_CLASSES = 5
_NARROW: dict[str, Any] = {"depth_multiplier": 0.05, "min_depth": 4}


def _inception_v1(x: Any, training: Any) -> list[Any]:
    nets = slim_nets.inception
    with slim.arg_scope(nets.inception_v1_arg_scope()):
        net, _ = nets.inception_v1_base(x, final_endpoint="Mixed_4b")
        net = tf.reduce_mean(net, [1, 2], keepdims=True)
        return [slim.conv2d(net, _CLASSES, [1, 1], activation_fn=None, normalizer_fn=None)]


def _inception_v2(x: Any, training: Any) -> list[Any]:
    nets = slim_nets.inception
    with slim.arg_scope(nets.inception_v2_arg_scope()):
        _, points = nets.inception_v2(x, _CLASSES, is_training=training, **_NARROW)
    return [points["Predictions"]]


def _inception_v3(x: Any, training: Any) -> list[Any]:
    nets = slim_nets.inception
    with slim.arg_scope(nets.inception_v3_arg_scope(batch_norm_decay=0.8)):
        _, points = nets.inception_v3(x, _CLASSES, is_training=training, create_aux_logits=False, **_NARROW)
    return [points["Predictions"]]


def _resnet(x: Any, training: Any, version: int) -> list[Any]:
    module = {1: slim_nets.resnet_v1, 2: slim_nets.resnet_v2}[version]
    block, network = getattr(module, f"resnet_v{version}_block"), getattr(module, f"resnet_v{version}")
    blocks = [block("block1", 4, 2, 2), block("block2", 6, 2, 1)]
    with slim.arg_scope(slim_nets.resnet_utils.resnet_arg_scope(batch_norm_decay=0.8)):
        logits, points = network(x, blocks, _CLASSES, is_training=training)
    return [points["predictions"], logits]


def _net(training: bool, net: Net, size: int, placeholder: bool) -> Model:
    x = tf.placeholder(tf.float32, [None, size, size, 3], "images")
    flags, value = [], training
    if placeholder:
        value = tf.placeholder(tf.bool, [], "is_training")
        flags = [Flag(value, True, False)]
    with slim.arg_scope([slim.batch_norm, slim.dropout], is_training=value):
        outputs = net(x, value)
    labels = tf.placeholder(tf.float32, [None, *outputs[-1].shape.as_list()[1:]], "labels")
    tf.losses.mean_squared_error(labels, outputs[-1])
    train = slim.learning.create_train_op(tf.losses.get_total_loss(), tf.train.MomentumOptimizer(0.01, 0.9))
    return Model(inputs=[x], outputs=outputs, train=train, flags=flags)


_NETS: dict[str, tuple[Net, int, int, int]] = {
    "inception_v1": (_inception_v1, 48, 21, 0),
    "inception_v2": (_inception_v2, 64, 68, 0),
    "inception_v3": (_inception_v3, 75, 94, 0),
    "resnet_v1": (partial(_resnet, version=1), 33, 15, 0),
    "resnet_v2": (partial(_resnet, version=2), 33, 13, 5),
}

CASES = tuple(
    Case(
        f"slim_{name}{'_flag' if placeholder else ''}",
        partial(_net, net=net, size=size, placeholder=placeholder),
        found,
        kept=kept,
        spare=int(name.startswith("resnet")),
        steps=1,
    )
    for name, (net, size, found, kept) in _NETS.items()
    for placeholder in (False, True)
)
