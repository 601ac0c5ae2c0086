"""Denser features from the same weights."""

from __future__ import annotations

import numpy as np
import pytest

from exporter.errors import UsageError
from exporter.formats.records import Array
from exporter.ir.evaluate import evaluate
from exporter.options import Options
from exporter.zoo.weights_only import restore
from tests.unit.stores import MemoryStore
from tests.unit.zoo.stores import weights_of

_LAST = {
    "mobilenet_v1": "Conv2d_13_pointwise",
    "mobilenet_v2": "Conv_1",
    "mobilenet_v3_small": "Conv_1",
}


def _features(name: str, arrays: dict[str, Array], stride: int, image: Array) -> Array:
    options = Options({"x": image.shape}, (_LAST[name],), {"output_stride": str(stride)})
    if "squeeze_excite" in "".join(arrays):
        arrays = {key: array * ("squeeze_excite" not in key) for key, array in arrays.items()}
    model = restore(MemoryStore(arrays), options).model
    return np.asarray(evaluate(model, {"x": image})[_LAST[name]])


@pytest.mark.parametrize("name", _LAST)
def test_dense_features_hold_the_sparse_ones(name: str) -> None:
    """With 32 n + 1 pixels, every so many of the dense features are what the published stride gives.

    The gates of MobileNet V3 are made constant: they see the means of all features, of which there are more.
    """
    options = {} if name.endswith("small") else {"multiplier": "0.25"}
    arrays = weights_of(name, **options)
    image = np.random.default_rng(1).normal(size=(1, 33, 33, 3)).astype(np.float32)
    sparse, dense = (_features(name, arrays, stride, image) for stride in (32, 8))
    assert dense.shape[1:3] == (5, 5)
    assert sparse.shape[1:3] == (2, 2)
    assert np.allclose(dense[:, ::4, ::4], sparse, rtol=1e-6, atol=1e-9)
    assert sparse.std() > 0


def test_strides_that_cant_be_are_refused() -> None:
    """Powers of two from what the first layers make to the published one."""
    store = MemoryStore(weights_of("mobilenet_v1", multiplier="0.25"))
    with pytest.raises(UsageError, match="it can be 4, 8, 16, 32"):
        restore(store, Options(values={"output_stride": "12"}))
