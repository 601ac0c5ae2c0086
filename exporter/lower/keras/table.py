"""All layers that have a translation, by class name; operations by `ops:` or `tf:` and theirs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from exporter.lower.keras import (
    activation_layers,
    attention,
    batch_normalization,
    categories,
    conv_lstm,
    convolution,
    dense,
    identity,
    image,
    local,
    merging,
    multi_head,
    normalization,
    op_layer,
    operations,
    pipeline,
    pooling,
    recurrent,
    reshaping,
    spectrogram,
    time_distributed,
    transposed,
)
from exporter.lower.keras.context import Lower

__all__ = ["LAYERS", "keeps_mask"]


def _merged(tables: Iterable[Mapping[str, Lower]]) -> dict[str, Lower]:
    merged: dict[str, Lower] = {}
    for table in tables:
        twice = merged.keys() & table.keys()
        if twice:
            raise ValueError(f"two translations for {', '.join(sorted(twice))}")
        merged.update(table)
    return merged


LAYERS: dict[str, Lower] = _merged(
    [
        activation_layers.LAYERS,
        attention.LAYERS,
        batch_normalization.LAYERS,
        categories.LAYERS,
        conv_lstm.LAYERS,
        convolution.LAYERS,
        dense.LAYERS,
        identity.LAYERS,
        image.LAYERS,
        local.LAYERS,
        merging.LAYERS,
        multi_head.LAYERS,
        normalization.LAYERS,
        op_layer.LAYERS,
        operations.LAYERS,
        pipeline.LAYERS,
        pooling.LAYERS,
        recurrent.LAYERS,
        reshaping.LAYERS,
        spectrogram.LAYERS,
        time_distributed.LAYERS,
        transposed.LAYERS,
    ]
)
"""The function that lowers each class."""

_KEEP_MASK = frozenset(
    {
        "Activation",
        "ActivityRegularization",
        "AlphaDropout",
        "BatchNormalization",
        "BatchNormalizationV1",
        "BatchNormalizationV2",
        "Dense",
        "Dropout",
        "ELU",
        "GaussianDropout",
        "GaussianNoise",
        "GroupNormalization",
        "LayerNormalization",
        "LeakyReLU",
        "PReLU",
        "ReLU",
        "Softmax",
        "SpatialDropout1D",
        "SpatialDropout2D",
        "SpatialDropout3D",
        "SyncBatchNormalization",
        "ThresholdedReLU",
        "UnitNormalization",
    }
)
"""The layers that hand their input's mask on, in both versions of Keras."""

_IN_KERAS_3 = frozenset({"Identity", "Normalization", "Rescaling"})


def keeps_mask(class_name: str, major: int) -> bool:
    """Whether a layer hands its input's mask on; Keras 2 drops it in more of them."""
    return class_name in _KEEP_MASK or (major >= 3 and class_name in _IN_KERAS_3)
