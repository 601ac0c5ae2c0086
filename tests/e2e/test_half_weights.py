"""--weights float16: half the bytes in the bundle and the programs, the same function in all files, its error told."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest

import exporter
import runtime
from exporter.command_line.render import report_lines
from exporter.errors import UsageError
from exporter.verify.compare import error
from exporter.verify.model_files import verify_model
from tests.e2e.written_reader import Model
from tests.unit.targets.c_builds import built, needs

_SAMPLE = Path(__file__).parents[2] / "sample_ckpts" / "inception"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same model with its weights as they are (`whole`) and in float16 (`half`)."""
    place = tmp_path_factory.mktemp("half")
    exporter.export(_SAMPLE, place / "whole.onnx", to=["c"])
    exporter.export(_SAMPLE, place / "half.onnx", to=["numpy", "pyz", "c"], weights="float16")
    return place


def test_weights_take_half_the_bytes(folder: Path) -> None:
    """In the bundle and in the C program, but for biases."""
    plain, half = (_weights(folder / f"{name}.npz") for name in ("whole", "half"))
    assert half < 0.52 * plain
    sizes = [(folder / f"{name}_c" / f"{name}.bin").stat().st_size for name in ("whole", "half")]
    assert sizes[1] < 0.65 * sizes[0]  # small arrays end at multiples of 64 bytes


def _weights(path: Path) -> int:
    with np.load(path) as arrays:
        return sum(arrays[name].nbytes for name in arrays if "probe" not in name and "plan" not in name)


def test_the_report_tells_the_error(folder: Path, tmp_path: Path) -> None:
    """What it says of each output is how far the bundle is from that of an export without rounding."""
    report = exporter.export(_SAMPLE, tmp_path / "m.onnx", weights="float16")
    assert report.half is not None
    assert any("weights in float16: " in line for line in report_lines(report, None))
    whole = runtime.load(folder / "whole.npz")
    half = runtime.load(folder / "half.npz")
    inputs = whole.probes[0].inputs
    before, after = whole.run(inputs), half.run(inputs)
    for name, told in report.half.errors:
        assert told == pytest.approx(error(after[name], before[name]), rel=0.02)
        assert 1e-6 < told < 0.05


def test_all_files_compute_the_same(folder: Path) -> None:
    """The examples of the bundle hold for ONNX, bundle and programs; those of the unrounded one don't."""
    for name in ("half.onnx", "half.py", "half.pyz"):
        assert verify_model(folder / name).ok
    probe = runtime.load(folder / "whole.npz").probes[0]
    found = runtime.load(folder / "half.npz").run(probe.inputs)
    assert all(np.max(np.abs(found[n] - probe.outputs[n])) > probe.tolerances[n] for n in probe.outputs)


def test_a_reader_written_from_the_format_alone(folder: Path) -> None:
    """FORMAT.md says how weights are widened."""
    model = Model(folder / "half.npz")
    for inputs, outputs, tolerances in model.probes:
        found = model.run(inputs)
        for name, expected in outputs.items():
            limit = max(tolerances[name], 2e-6 * float(np.abs(expected).max()))
            assert np.abs(found[name] - expected).max() <= limit


def test_against_the_source(folder: Path, tmp_path: Path) -> None:
    """The same rounding is done to the source's weights; a weight that is another one is found."""
    assert verify_model(folder / "half.onnx", against=_SAMPLE).state == "good"
    changed = tmp_path / "half.onnx"
    model = onnx.load(folder / "half.onnx")
    kernel = next(t for t in model.graph.initializer if len(t.dims) == 4)
    array: Any = onnx.numpy_helper.to_array(kernel) * np.float32(1.01)
    kernel.CopyFrom(onnx.numpy_helper.from_array(array, kernel.name))
    onnx.save(model, changed)
    assert verify_model(changed, against=_SAMPLE).state == "off"


@pytest.mark.parametrize("settings", [{"sites": True}, {"reference": "tensorflow"}])
def test_numbers_before_rounding_are_no_truth(folder: Path, settings: dict[str, Any]) -> None:
    """What would compare with unrounded weights is refused, and says so."""
    with pytest.raises(UsageError, match="float16"):
        verify_model(folder / "half.onnx", against=_SAMPLE, **settings)


def test_other_types_are_refused(tmp_path: Path) -> None:
    """A form of weights that there isn't is wrong usage, before anything is read."""
    with pytest.raises(UsageError, match="int3"):
        exporter.export(_SAMPLE, tmp_path / "m.onnx", weights="int3")  # type: ignore[arg-type]


@needs("cc", "make")
@pytest.mark.parametrize("flags", ["-O2 -march=native", "-O2", "-O1 -DHALF_VECTOR=0"])
def test_the_c_program_widens_them(folder: Path, flags: str) -> None:
    """With the processor's instruction, with vectors by arithmetic, and one by one."""
    done = built(folder / "half_c", f"CFLAGS={flags} -Werror")
    assert done.returncode == 0, done.stdout + done.stderr
