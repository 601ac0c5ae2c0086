"""The networks of tf_slim, under the names that their authors published."""

from __future__ import annotations

from functools import partial
from typing import Any

from sample_ckpts.oracle import slim, slim_nets, tf
from tests.e2e.zoo_check import CLASSES, Network

__all__ = ["SLIM_NETWORKS"]


def _inception(x: Any, *, version: int, **settings: Any) -> dict[str, Any]:
    nets = slim_nets.inception
    with slim.arg_scope(getattr(nets, f"inception_v{version}_arg_scope")()):
        network = getattr(nets, f"inception_v{version}")
        _, points = network(x, CLASSES, is_training=False, **settings)
    return {"predictions": points["Predictions"], "logits": points["Logits"]}


def _resnet(x: Any, *, version: int, layers: int, **settings: Any) -> dict[str, Any]:
    module = {1: slim_nets.resnet_v1, 2: slim_nets.resnet_v2}[version]
    with slim.arg_scope(slim_nets.resnet_utils.resnet_arg_scope()):
        network = getattr(module, f"resnet_v{version}_{layers}")
        logits, points = network(x, CLASSES, is_training=False, **settings)
    predictions = tf.squeeze(points["predictions"], [1, 2])
    return {"predictions": predictions, "logits": tf.squeeze(logits, [1, 2])}


def _plain(x: Any, *, module: str, network: str) -> dict[str, Any]:
    nets = getattr(slim_nets, module)
    scope = getattr(nets, f"{'vgg' if module == 'vgg' else network}_arg_scope")
    with slim.arg_scope(scope()):
        logits, _ = getattr(nets, network)(x, CLASSES, is_training=False)
    return {"logits": logits}


def _resnets() -> dict[str, Network]:
    found = {}
    for version in (1, 2):
        for layers in (50, 101, 152, 200):
            name = f"resnet_v{version}_{layers}"
            found[name] = Network(name, partial(_resnet, version=version, layers=layers), (64, 64, 3), 1e-5)
        for stride in (8, 16):
            name = f"resnet_v{version}_50"
            build = partial(_resnet, version=version, layers=50, output_stride=stride)
            found[f"{name}_stride_{stride}"] = Network(
                name, build, (65, 65, 3), 1e-5, options={"output_stride": str(stride)}
            )
    return found


SLIM_NETWORKS: dict[str, Network] = {
    "inception_v1": Network("inception_v1", partial(_inception, version=1), (224, 224, 3)),
    "inception_v2": Network("inception_v2", partial(_inception, version=2), (224, 224, 3)),
    "inception_v3": Network("inception_v3", partial(_inception, version=3), (299, 299, 3)),
    "inception_v2_narrow": Network(
        "inception_v2", partial(_inception, version=2, depth_multiplier=0.25), (224, 224, 3)
    ),
    "inception_v3_narrow": Network(
        "inception_v3", partial(_inception, version=3, depth_multiplier=0.25), (299, 299, 3)
    ),
    **_resnets(),
    "vgg_a": Network("vgg_a", partial(_plain, module="vgg", network="vgg_a"), (224, 224, 3)),
    "vgg_16": Network("vgg_16", partial(_plain, module="vgg", network="vgg_16"), (224, 224, 3)),
    "vgg_19": Network("vgg_19", partial(_plain, module="vgg", network="vgg_19"), (224, 224, 3)),
    "alexnet_v2": Network("alexnet_v2", partial(_plain, module="alexnet", network="alexnet_v2"), (224, 224, 3)),
    "overfeat": Network("overfeat", partial(_plain, module="overfeat", network="overfeat"), (231, 231, 3)),
}
