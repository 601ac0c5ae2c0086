"""What lowering a Keras model says and refuses, without Keras: names, batch norms, warnings, impossible numbers."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
import pytest

from exporter.errors import CorruptError, ValueInputError
from exporter.ir.evaluate import evaluate
from exporter.lower.keras.driver import LoweredKeras, lower_keras
from exporter.sources.keras_config import read_model
from exporter.sources.keras_legacy import map_legacy
from tests.unit.lower_keras.oracle import relative_error
from tests.unit.stores import MemoryStore

_DENSE = {"class_name": "Dense", "config": {"name": "d", "units": 3}}
_NORM = {"class_name": "BatchNormalization", "config": {"name": "n", "axis": [1], "epsilon": 1e-3, "scale": False}}
_X = np.array([[1, -2, 3, 0.5], [0, 1, -1, 2]], np.float32)


def _document(**norm: Any) -> dict[str, Any]:
    layers = copy.deepcopy(
        [{"class_name": "InputLayer", "config": {"name": "x", "batch_shape": [None, 4]}}, _DENSE, _NORM]
    )
    layers[2]["config"].update(norm)  # type: ignore[attr-defined]
    return {"class_name": "Sequential", "config": {"name": "s", "layers": layers}}


def _arrays() -> dict[str, Any]:
    rng = np.random.default_rng(0)
    return {
        "d/kernel": rng.normal(0, 1, (4, 3)).astype(np.float32),
        "d/bias": rng.normal(0, 1, 3).astype(np.float32),
        "n/beta": rng.normal(0, 1, 3).astype(np.float32),
        "n/moving_mean": rng.normal(0, 1, 3).astype(np.float32),
        "n/moving_variance": np.array([0.5, 1e-3, 2], np.float32),
    }


def _lower(arrays: dict[str, Any], **norm: Any) -> LoweredKeras:
    model = read_model(_document(**norm))
    groups = {layer: {key: key for key in arrays if key.startswith(f"{layer}/")} for layer in ("d", "n")}
    return lower_keras(model, map_legacy(model, groups, MemoryStore(arrays)), name="s")


def _run(lowered: LoweredKeras) -> Any:
    return evaluate(lowered.model, {"x": _X}, dtype=np.float32)["n"]


def test_names_and_sources() -> None:
    """Inputs, outputs and weights have Keras's names; nodes say which layer and batch norm they come from."""
    model = _lower(_arrays()).model
    assert [value.name for value in model.graph.inputs] == ["x"]
    assert [value.name for value in model.graph.outputs] == ["n"]
    assert {"d/kernel", "d/bias", "n/beta", "n/moving_mean", "n/moving_variance"} <= set(model.graph.initializers)
    assert [dict(node.metadata_props) for node in model.graph] == [{"source": "d"}, {"source": "n", "batch_norm": "n"}]


@pytest.mark.parametrize(
    "inside", [[], [{"class_name": "InputLayer", "config": {"name": "y", "batch_shape": [None, 4]}}]]
)
def test_a_model_without_layers_gives_what_it_is_given(inside: list[Any]) -> None:
    """As a Sequential that nothing was added to does, between layers; the next layer has its weights all the same."""
    document = _document()
    nothing = {"class_name": "Sequential", "config": {"name": "nothing", "layers": inside}}
    document["config"]["layers"].insert(1, nothing)
    model, arrays = read_model(document), _arrays()
    groups = {layer: {key: key for key in arrays if key.startswith(f"{layer}/")} for layer in ("nothing", "d", "n")}
    found = lower_keras(model, map_legacy(model, groups, MemoryStore(arrays)), name="s")
    np.testing.assert_array_equal(_run(found), _run(_lower(arrays)))


def test_what_a_batch_norm_has() -> None:
    """Each parameter is stored somewhere, or left out, and the record says so."""
    (norm,) = _lower(_arrays()).batch_norms
    assert (norm.name, norm.channels, norm.epsilon) == ("n", 3, 1e-3)
    assert norm.gamma == "1 (scale=False)"
    assert norm.variance == "stored as n/moving_variance"


def test_the_numbers() -> None:
    """Epsilon is added inside the root; outside of it the result is another."""
    arrays = _arrays()
    centred = _X @ arrays["d/kernel"] + arrays["d/bias"] - arrays["n/moving_mean"]
    expected = centred / np.sqrt(arrays["n/moving_variance"] + 1e-3) + arrays["n/beta"]
    planted = centred / (np.sqrt(arrays["n/moving_variance"]) + 1e-3) + arrays["n/beta"]
    found = _run(_lower(arrays))
    assert relative_error(found, expected) < 1e-6
    assert relative_error(found, planted) > 1e-3


def test_statistics_that_were_never_updated() -> None:
    """Mean 0 and variance 1 everywhere: a warning that names the layer."""
    arrays = _arrays() | {"n/moving_mean": np.zeros(3, np.float32), "n/moving_variance": np.ones(3, np.float32)}
    (warning,) = _lower(arrays).warnings
    assert "exactly 0 and 1" in warning
    assert "(n)" in warning


def test_channels_that_are_switched_off() -> None:
    """Gamma 0: a warning that counts them, for whoever wants to prune."""
    (warning,) = _lower(_arrays() | {"n/gamma": np.array([0, 2, 0], np.float32)}, scale=True).warnings
    assert "switched off" in warning
    assert "n: 2 of 3" in warning


@pytest.mark.parametrize("bad", [np.nan, np.inf, -0.1])
def test_impossible_variances(bad: float) -> None:
    """NaN, infinity and negative variances are refused, naming the weight."""
    arrays = _arrays()
    arrays["n/moving_variance"][1] = bad
    with pytest.raises(ValueInputError, match="n/moving_variance"):
        _lower(arrays)


def test_not_a_number_in_a_kernel() -> None:
    """A NaN in any weight is refused when it is read."""
    arrays = _arrays()
    arrays["d/kernel"][0, 0] = np.nan
    with pytest.raises(ValueInputError, match="d/kernel"):
        _run(_lower(arrays))


def test_another_shape() -> None:
    """A weight of another shape than the configuration makes it is refused with both shapes."""
    arrays = _arrays() | {"d/kernel": np.zeros((5, 3), np.float32)}
    with pytest.raises(CorruptError, match=r"d/kernel.*\[5, 3\].*\[4, 3\]"):
        _lower(arrays)


def test_mixed_precision_is_exported_as_float32() -> None:
    """A policy that computes in half precision gives the float32 model, and a warning."""
    lowered = _lower(_arrays(), dtype={"class_name": "DTypePolicy", "config": {"name": "mixed_float16"}})
    assert "float32 is exported" in lowered.warnings[0]
    assert relative_error(_run(lowered), _run(_lower(_arrays()))) == 0
