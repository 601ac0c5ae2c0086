"""TensorFlow's strings, which are bytes, as ONNX's, which are UTF-8."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from exporter.lower.tf.context import RefusalError

__all__ = ["texts"]


def texts(array: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """The same array of `str`; refused where an element is no UTF-8."""
    found = np.empty(array.size, object)
    try:
        found[:] = [item.decode("utf-8") if isinstance(item, bytes) else str(item) for item in array.reshape(-1)]
    except UnicodeDecodeError as error:
        raise RefusalError(f"a string that isn't UTF-8: {bytes(error.object[:40])!r}") from error
    return found.reshape(array.shape)
