"""The networks of `keras.applications` that are exported to compare, with random weights and statistics."""

from __future__ import annotations

from typing import Any

import numpy as np

__all__ = ["SIZES", "network"]

SIZES = {
    "ConvNeXtTiny": 32,
    "DenseNet121": 32,
    "EfficientNetB0": 32,
    "InceptionV3": 75,
    "MobileNetV2": 32,
    "MobileNetV3Small": 32,
    "NASNetMobile": 32,
    "ResNet50V2": 32,
    "Xception": 71,
}
"""Height and width of the smallest image that each network takes, or 32."""

_RANGES = {
    "variance": (0.5, 2.0),
    "mean": (-0.5, 0.5),
    "beta": (-0.3, 0.3),
    "gamma": (0.5, 1.5),
    "bias": (-0.2, 0.2),
}


def network(name: str, keras: Any, size: int | None = None) -> Any:
    """A network of ten classes without a softmax at its end; `keras` is Keras 2 or 3."""
    keras.utils.set_random_seed(0)
    size = SIZES[name] if size is None else size
    make = getattr(keras.applications, name)
    model = make(weights=None, input_shape=(size, size, 3), classes=10, classifier_activation=None)
    rng = np.random.default_rng(0)
    for weight in model.weights:
        path = getattr(weight, "path", weight.name)
        found = [limits for part, limits in _RANGES.items() if part in path]
        if found:
            weight.assign(rng.uniform(*found[0], tuple(weight.shape)).astype(np.float32))
    return model
