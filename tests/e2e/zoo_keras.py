"""Networks of keras.applications whose layers are slim's; their variables are saved under slim's names.

Keras rounds the sixth in MobileNet V3's gates differently; it computes slim's here.
"""

from __future__ import annotations

import importlib
from functools import partial
from typing import Any

from exporter.zoo.architecture import Architecture, Shapes
from exporter.zoo.program import Weight
from exporter.zoo.registry import ARCHITECTURES
from sample_ckpts.oracle import tf
from tests.e2e.zoo_check import CLASSES, Network

__all__ = ["KERAS_NETWORKS"]

_GATE = 0.16667

_FULL_WIDTH: Shapes = {"Conv_2/weights": (1, 1, 432, 1024)}
"""Keras keeps this layer of the narrow small MobileNet V3 at its full width, as the published checkpoint does."""


def _build(x: Any, *, name: str, **settings: Any) -> dict[str, Any]:
    """A Keras model on x."""
    applications = tf.keras.applications
    if name.startswith("MobileNetV3"):
        _use_slims_gate()
    shape = tuple(x.shape.as_list()[1:])
    model = getattr(applications, name)(weights=None, input_shape=shape, classes=CLASSES, **settings)
    return {"predictions": model(x, training=False)}


def _use_slims_gate() -> None:
    module: Any = importlib.import_module("tf_keras.src.applications.mobilenet_v3")
    module.hard_sigmoid = lambda x: tf.nn.relu6(x + 3.0) * _GATE
    module.hard_swish = lambda x: x * tf.nn.relu6(x + 3.0) * (1 / 6)


def _renamed(*, architecture: Architecture, stored: Shapes, **options: str) -> dict[str, Any]:
    """Published names to variables, in the order in which both are made."""
    program = architecture.program(architecture.choices(stored, {"classes": str(CLASSES), **options}))
    wanted = [weight for weight in program.weights() if weight.usual]
    pairs = zip(wanted, tf.global_variables(), strict=True)
    return {f"{architecture.scope}/{weight.name}": _shaped(variable, weight) for weight, variable in pairs}


def _shaped(variable: Any, weight: Weight) -> Any:
    """The variable itself; a copy in the published shape, where a dense layer stands for a convolution of size 1."""
    session = tf.get_default_session()
    if tuple(variable.shape.as_list()) == weight.shape:
        return variable
    copy = tf.Variable(tf.reshape(variable, weight.shape))
    session.run(copy.initializer)
    return copy


def _mobilenet(architecture: str, name: str, multiplier: float = 1.0, **settings: Any) -> Network:
    stored = _FULL_WIDTH if architecture == "mobilenet_v3_small" else {}
    rename = partial(_renamed, architecture=ARCHITECTURES[architecture], stored=stored, multiplier=str(multiplier))
    build = partial(_build, name=name, alpha=multiplier, **settings)
    return Network(architecture, build, (128, 128, 3), rename=rename)


def _inception_resnet() -> Network:
    rename = partial(_renamed, architecture=ARCHITECTURES["inception_resnet_v2"], stored={})
    return Network("inception_resnet_v2", partial(_build, name="InceptionResNetV2"), (139, 139, 3), rename=rename)


KERAS_NETWORKS: dict[str, Network] = {
    "inception_resnet_v2": _inception_resnet(),
    "mobilenet_v1": _mobilenet("mobilenet_v1", "MobileNet"),
    "mobilenet_v1_quarter": _mobilenet("mobilenet_v1", "MobileNet", 0.25),
    "mobilenet_v2": _mobilenet("mobilenet_v2", "MobileNetV2"),
    "mobilenet_v2_third": _mobilenet("mobilenet_v2", "MobileNetV2", 0.35),
    "mobilenet_v2_wide": _mobilenet("mobilenet_v2", "MobileNetV2", 1.4),
    "mobilenet_v3_large": _mobilenet("mobilenet_v3_large", "MobileNetV3Large", include_preprocessing=False),
    "mobilenet_v3_small": _mobilenet("mobilenet_v3_small", "MobileNetV3Small", include_preprocessing=False),
    "mobilenet_v3_small_narrow": _mobilenet(
        "mobilenet_v3_small", "MobileNetV3Small", 0.75, include_preprocessing=False
    ),
}
