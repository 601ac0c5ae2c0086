"""The functions take what Python people would give them, and mean the same as the command line."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import exporter
from exporter.errors import UsageError
from tests.hostile.keras_files import archive

_SAMPLES = Path(__file__).parents[2] / "sample_ckpts"
_ONE = _SAMPLES / "one_neuron"


def _written(folder: Path, **options: Any) -> tuple[bytes, bytes]:
    exporter.export(_ONE, folder / "model.onnx", **options)
    return (folder / "model.onnx").read_bytes(), (folder / "model.npz").read_bytes()


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({"inputs": ["Placeholder"]}, {"inputs": {"Placeholder": None}}),
        ({"inputs": {"Placeholder": [None, 1]}}, {"inputs": {"Placeholder": (None, 1)}}),
        ({"values": {"training": False}}, {"values": {"training": "false"}}),
        ({"outputs": ["hidden1/Relu"]}, {"outputs": iter(("hidden1/Relu",))}),
        ({"outputs": ["hidden1/Relu"]}, {"outputs": "hidden1/Relu"}),
        ({"inputs": ["Placeholder"]}, {"inputs": "Placeholder"}),
        ({"keep_batch_statistics": False}, {"keep_batch_statistics": ()}),
        (
            {"keep_batch_statistics": True, "values": {"training": 1}},
            {"keep_batch_statistics": [""], "values": {"training": "1"}},
        ),
    ],
)
def test_two_ways_to_say_it(tmp_path: Path, one: dict[str, Any], other: dict[str, Any]) -> None:
    """Names alone, in any iterable or with shapes, values as Python objects or text: the same bytes."""
    assert _written(tmp_path, **one) == _written(tmp_path, **other)


def test_options_are_named(tmp_path: Path) -> None:
    """Only source and output go by position, so that no flag is taken for another."""
    with pytest.raises(TypeError):
        exporter.export(_ONE, tmp_path / "model.onnx", None)  # type: ignore[call-arg]


def test_the_default_output_is_in_the_current_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Named after the source."""
    monkeypatch.chdir(tmp_path)
    report = exporter.export(_ONE / "model.ckpt.meta")
    assert [file.path for file in report.files] == ["model.ckpt.onnx", "model.ckpt.npz"]


def test_errors_are_exceptions(tmp_path: Path) -> None:
    """A wrong name is an `ExportError` that knows its exit status, its place and what to do."""
    with pytest.raises(exporter.ExportError) as caught:
        exporter.export(_ONE, tmp_path / "model.onnx", outputs=["hidden1/relu"])
    assert isinstance(caught.value, UsageError)
    assert caught.value.exit_code == 2
    assert caught.value.hint == "Did you mean hidden1/Relu?"
    assert not list(tmp_path.iterdir())


def test_the_report_is_data(tmp_path: Path) -> None:
    """`to_json` gives lists and dicts that JSON can hold, equal for two exports but for the time they took."""
    reports = [exporter.export(_ONE, tmp_path / "model.onnx").to_json() for _ in range(2)]
    for report in reports:
        del report["seconds"]
    assert reports[0] == reports[1]


def test_run_and_inspect(tmp_path: Path) -> None:
    """The other functions, on both files of one export."""
    exporter.export(_ONE, tmp_path / "model.onnx")
    x = np.array([[0.5]], np.float32)
    a, b = (exporter.run(tmp_path / name, {"Placeholder": x}) for name in ("model.onnx", "model.npz"))
    assert a.keys() == b.keys()
    for name in a:
        np.testing.assert_allclose(a[name], b[name], rtol=1e-6)
    found = exporter.inspect(_ONE)
    assert [spec.name for spec in found.outputs] == list(a)


def test_what_is_not_there() -> None:
    """Other names are no attributes of the package."""
    with pytest.raises(AttributeError, match="no attribute 'exprot'"):
        _ = exporter.exprot


@pytest.mark.parametrize("options", [{"inputs": {"y": (None, 4)}}, {"inputs": "y"}, {"outputs": "y"}])
def test_names_that_a_keras_model_hasnt_got(tmp_path: Path, options: dict[str, Any]) -> None:
    """A wrong name of an input is no less an error than one of an output, and the right ones are in it."""
    source = archive(tmp_path / "model.keras")
    with pytest.raises(UsageError, match=r"there is no (input|output) 'y'.* are (x|d)$"):
        exporter.export(source, tmp_path / "model.onnx", **options)
    assert exporter.export(source, tmp_path / "model.onnx", inputs={"x": (2, 4)}).inputs[0].shape == (2, 4)
