"""What Keras 1 wrote: refused, as its settings and weights have other names and meanings."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from exporter.errors import UnsupportedError

__all__ = ["refuse_keras_1"]

_ONLY_IN_1 = frozenset({"b_regularizer", "border_mode", "dim_ordering", "nb_filter", "nb_row", "subsample"})
"""Settings that Keras 2 has under other names."""

_UNITS = frozenset({"Dense", "GRU", "LSTM", "SimpleRNN"})
"""Classes whose `units` were `output_dim`."""

_CLASSES_OF_1 = frozenset(
    {
        "AtrousConvolution1D",
        "AtrousConvolution2D",
        "Deconvolution2D",
        "Highway",
        "MaxoutDense",
        "Merge",
        "TimeDistributedDense",
    }
)


def refuse_keras_1(record: Mapping[str, Any], owner: str, version: str = "") -> None:
    """UnsupportedError for a layer or a file of Keras 1, whose settings and weights have other names and meanings."""
    config, class_name = record.get("config"), record.get("class_name")
    settings = config.keys() if isinstance(config, Mapping) else set()
    old = _ONLY_IN_1 & settings or (class_name in _UNITS and "output_dim" in settings)
    if class_name in _CLASSES_OF_1 or old or version.startswith("1."):
        raise UnsupportedError(
            f"{owner} was written by Keras 1{f' ({version})' if version else ''}, which is not translated",
            hint="Load the model with Keras 2.0 to 2.2, which converts it, and save it again",
        )
