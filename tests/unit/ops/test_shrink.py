"""Shrink: x + bias below -lambd, x - bias above lambd, else 0."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx_ir as ir
import pytest

from exporter.ir.builder import Builder
from exporter.ir.opset import record_of
from exporter.lower.keras.activations import FUNCTIONS
from exporter.lower.keras.ops import Ops
from runtime.kernels import KERNELS
from tests.unit.ops.everywhere import Op, run_everywhere
from tests.unit.targets.networks import Array


def _op(lambd: float, bias: float) -> Op:
    return lambda builder, x: builder.op("Shrink", x, lambd=lambd, bias=bias)


def _meaning(x: Array, lambd: float, bias: float) -> Array:
    return np.asarray(np.sign(x) * np.maximum(np.abs(x) - bias, 0) * (np.abs(x) > lambd))


@pytest.mark.parametrize(("lambd", "bias"), [(0.5, 0.0), (0.25, 0.25)])
def test_it_is_the_same_everywhere(lambd: float, bias: float, tmp_path: Path) -> None:
    """In ONNX without a Transpose around it, by the kernels, and by the engine; a batch norm before it is folded."""
    ran = run_everywhere(_op(lambd, bias), lambda x: _meaning(x, lambd, bias), tmp_path)
    ran.onnx.assert_same()
    assert ran.onnx.ops["Shrink"] == 1
    assert ran.onnx.ops["Transpose"] == 4  # of the input and the three outputs, none between
    np.testing.assert_allclose(ran.result, ran.truth, rtol=1e-6)
    np.testing.assert_allclose(ran.engine, ran.plain, rtol=1e-4, atol=1e-5)
    assert ran.folds[0].into == "conv"


def test_it_is_known_by_its_signature() -> None:
    """The kernel alone says that it works on each element."""
    assert record_of("Shrink").elementwise == "one"


@pytest.mark.parametrize(
    ("name", "wanted"), [("hard_shrink", [-2, 0, 0, 0, 0, 2]), ("soft_shrink", [-1.5, 0, 0, 0, 0, 1.5])]
)
def test_activations_of_keras_are_lowered_to_it(name: str, wanted: list[float]) -> None:
    """At the limit, and for NaN, both are 0, as in Keras."""
    builder = Builder("net")
    x = builder.input("x", ir.DataType.FLOAT, (6,))
    node = FUNCTIONS[name](Ops(builder), x).producer()
    assert node is not None
    attributes = {key: attribute.value for key, attribute in node.attributes.items()}
    given = np.array([-2, -0.5, 0, 0.5, np.nan, 2], np.float32)
    (found,) = KERNELS[node.op_type]([given], attributes)
    assert found.tolist() == wanted
