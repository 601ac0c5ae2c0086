"""TensorFlow as the judge: the 1.x API of a current release, loaded when first touched.

`tf` is `tensorflow.compat.v1` in graph mode with the Keras of its time, `slim` is `tf_slim` (whose
`batch_norm` is what `tf.contrib.layers.batch_norm` was). Importing this module imports neither.
"""

from __future__ import annotations

import importlib
import os
import sys
import warnings
from collections.abc import Callable
from typing import Any

__all__ = ["slim", "slim_nets", "tf"]


class _Lazy:
    """A module that is loaded at the first look at one of its attributes."""

    def __init__(self, load: Callable[[], Any]) -> None:
        self._load = load

    def __getattr__(self, name: str) -> Any:
        return getattr(self._load(), name)


def _tensorflow() -> Any:
    if "tensorflow" not in sys.modules:
        os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
        os.environ["TF_USE_LEGACY_KERAS"] = "1"
        module = importlib.import_module("tensorflow.compat.v1")
        module.logging.set_verbosity(module.logging.ERROR)
        module.disable_v2_behavior()
        warnings.filterwarnings("ignore", message=".*is deprecated and will be removed.*")
    return importlib.import_module("tensorflow.compat.v1")


# What tf_slim 1.1 looks up in TensorFlow's modules, where it was until 2023.
_MOVED = (
    ("tensorflow.python.framework.ops", "Tensor"),
    ("tensorflow.python.framework.ops", "IndexedSlices"),
    ("tensorflow.python.ops.control_flow_ops", "cond"),
)


def _slim() -> Any:
    api = _tensorflow()
    for module, name in _MOVED:
        place = importlib.import_module(module)
        if not hasattr(place, name):
            setattr(place, name, getattr(api, name))
    layers = importlib.import_module("tf_keras.src.legacy_tf_layers")
    sys.modules.setdefault("tf_keras.legacy_tf_layers", layers)
    return importlib.import_module("tf_slim")


def _slim_nets() -> Any:
    _slim()
    return importlib.import_module("tf_slim.nets")


tf: Any = _Lazy(_tensorflow)
slim: Any = _Lazy(_slim)
slim_nets: Any = _Lazy(_slim_nets)
