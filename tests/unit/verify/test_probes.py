"""Probes: cheap, the same each time, in the outputs' own types, and with tolerances that noise explains."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx_ir as ir
import pytest

import runtime
from exporter.ir.builder import Builder
from exporter.ir.evaluate import evaluate
from exporter.targets.npz_bundle import write_bundle
from exporter.verify.probes import BUDGET, example, probes
from exporter.verify.references.unfolded_model import Reference, reference_run

FLOAT = ir.DataType.FLOAT


def _classifier(size: int = 8) -> ir.Model:
    b = Builder("m")
    random = np.random.default_rng(1)
    kernel = random.standard_normal((3, 3, 3, 16)).astype(np.float32)
    y = b.op("Conv", b.input("x", FLOAT, ("N", size, size, 3)), b.constant(kernel), None)
    y = b.op("ReduceMean", y, b.constant(np.array([1, 2])), keepdims=0)
    return b.finish({"y": y, "label": b.op("ArgMax", y, axis=-1)})


def test_a_bundle_passes_its_own_probes(tmp_path: Path) -> None:
    """Both outputs are stored, in their own types, and the runtime reproduces them."""
    model = _classifier()
    (probe,) = probes(model)
    assert {name: array.dtype.name for name, array in probe.outputs.items()} == {"y": "float32", "label": "int64"}
    assert probe.inputs["x"].shape == (16, 8, 8, 3)
    assert probe.tolerances["label"] == 0
    assert 0 < probe.tolerances["y"] < 1e-4
    write_bundle(model, tmp_path / "m.npz", probes=[probe])
    deviations = runtime.load(tmp_path / "m.npz").check()
    assert len(deviations) == 2
    assert all(deviation.good for deviation in deviations)


def test_a_wrong_bundle_fails_its_probes(tmp_path: Path) -> None:
    """A thousandth in one weight is more than the tolerance."""
    model = _classifier()
    made = probes(model)
    weight = next(v for v in model.graph.initializers.values() if v.shape == ir.Shape([3, 3, 3, 16]))
    assert weight.const_value is not None
    changed = weight.const_value.numpy().copy()
    changed[0, 0, 0] *= np.float32(1.001)
    weight.const_value = ir.tensor(changed, name=weight.name)
    write_bundle(model, tmp_path / "m.npz", probes=made)
    assert not all(deviation.good for deviation in runtime.load(tmp_path / "m.npz").check())


def test_probes_are_the_same_each_time_and_leave_the_model_alone() -> None:
    """So that exporting twice gives the same bytes."""
    model = _classifier()
    before = [value.name for value in model.graph.outputs]
    (a,), (b,) = probes(model), probes(model)
    assert [value.name for value in model.graph.outputs] == before
    for name in a.outputs:
        np.testing.assert_array_equal(a.outputs[name], b.outputs[name])
    assert a.tolerances == b.tolerances


def test_models_that_are_too_much_work_have_none() -> None:
    """Export has to stay quick; which model is too large depends on its shapes alone."""
    b = Builder("m")
    kernel = b.weight("k", FLOAT, (3, 3, 512, 512), lambda: pytest.fail("the weights were read"))
    y = b.op("Conv", b.input("x", FLOAT, ("N", 512, 512, 512)), kernel, None)
    assert BUDGET < 2 * 510 * 510 * 9 * 512 * 512
    assert probes(b.finish({"y": y})) == ()


def test_models_without_random_inputs_have_none() -> None:
    """As of strings."""
    b = Builder("m")
    assert probes(b.finish({"y": b.op("Identity", b.input("x", ir.DataType.STRING, (2,)))})) == ()


@pytest.mark.parametrize("dtype", [ir.DataType.FLOAT16, ir.DataType.FLOAT, ir.DataType.DOUBLE])
def test_noise_is_that_of_the_models_own_type(dtype: ir.DataType) -> None:
    """Half precision is noisier than single, single than double."""
    b = Builder("m")
    matrix = np.random.default_rng(2).standard_normal((50, 40)).astype(dtype.numpy())
    model = b.finish({"y": b.op("Dense", b.input("x", dtype, ("N", 50)), b.constant(matrix), None)})
    x = np.random.default_rng(3).standard_normal((4, 50)).astype(dtype.numpy())
    found = reference_run(model, {"x": x})
    eps = float(np.finfo(dtype.numpy()).eps)
    assert 0.1 * eps < found.noise["y"] < 20 * eps
    np.testing.assert_array_equal(found.outputs["y"], evaluate(model, {"x": x})["y"])


def test_positions_that_are_not_there_make_no_probe() -> None:
    """Random lengths may point behind the last row, which isn't the model's fault."""
    b = Builder("m")
    rows = b.constant(np.eye(3, dtype=np.float32))
    positions = b.op("Add", b.input("length", ir.DataType.INT64, ("N",)), b.constant(np.array(1000)))
    assert probes(b.finish({"y": b.op("Gather", rows, positions, axis=0)})) == ()


def test_a_shape_that_no_array_has_is_no_error() -> None:
    """An input that says the sizes of a result may be drawn with more of them than NumPy has axes: no example then."""
    b = Builder("m")
    filled = b.op("ConstantOfShape", b.input("sizes", ir.DataType.INT64, ("N",)))
    probes(b.finish({"y": b.op("Abs", filled)}))


def test_what_takes_long_makes_no_probe(monkeypatch: pytest.MonkeyPatch) -> None:
    """A few functions of a large tensor that is made of a small input; fewer runs of them would do."""
    b = Builder("m")
    total = b.op("ReduceSum", b.input("x", FLOAT, ("N", 4)), b.constant(np.array([0, 1])), keepdims=0)
    y = b.op("Expand", total, b.constant(np.array([1 << 16])))
    for _ in range(10):
        y = b.op("Exp", y)
    model = b.finish({"y": b.op("ReduceMax", y, b.constant(np.array([0])), keepdims=0)})
    assert isinstance(example(model), Reference)
    monkeypatch.setattr("exporter.verify.probes.MOST_OPERATIONS", 1 << 22)
    assert isinstance(example(model), str)


def test_an_input_of_very_many_elements_is_not_drawn() -> None:
    """However small its elements are."""
    b = Builder("m")
    assert example(b.finish({"y": b.op("Not", b.input("x", ir.DataType.BOOL, (1 << 23,)))})) == "too large"
