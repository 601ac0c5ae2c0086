"""What an export that works prints and writes."""

from __future__ import annotations

import shutil
from pathlib import Path

import onnx
import pytest

from exporter.inspection import Inspection
from exporter.report.records import Report
from tests.cli.checkpoints import PREFIX, copied
from tests.cli.terminal import SAMPLES, Terminal, contents

_ONE = SAMPLES / "one_neuron"


def _files(terminal: Terminal) -> dict[str, bytes]:
    return {name: data for name, data in contents(terminal.folder).items() if name.startswith("model")}


def test_both_files_and_a_report(terminal: Terminal) -> None:
    """Status 0, nothing on standard error, two files, and a report that names what matters."""
    ended = terminal("export", SAMPLES / "handmade", "-o", "model.onnx")
    assert (ended.status, ended.err) == (0, "")
    assert sorted(contents(terminal.folder)) == ["model.npz", "model.onnx"]
    for word in ("tf_x", "layer_2/add", "layer_0/bn", "layer_0/MatMul", "phase_train", "false", "2 of 2 batch norms"):
        assert word in ended.out
    assert "wrote model.onnx" in ended.out and "wrote model.npz" in ended.out


def test_the_report_as_json(terminal: Terminal) -> None:
    """--json prints the report and nothing else; its keys are the report's fields."""
    report = terminal("export", _ONE, "-o", "model.onnx", "--json").json
    assert set(report) == set(Report.__dataclass_fields__)
    assert [entry["name"] for entry in report["inputs"]] == ["Placeholder"]
    assert report["inputs"][0]["shape"] == ["N", 1]
    assert [norm["name"] for norm in report["batch_norms"]] == [
        "hidden1/batch_normalization",
        "output/batch_normalization",
    ]
    assert all(fold["reason"] is None for fold in report["folds"])
    assert {(d["kind"], d["subject"], d["choice"]) for d in report["decisions"]} >= {("flag", "training", "false")}
    assert {Path(file["path"]).name: file["bytes"] for file in report["files"]} == {
        name: len(data) for name, data in _files(terminal).items()
    }


def test_inspect_as_json(terminal: Terminal) -> None:
    """--json prints what was found; its keys are the record's fields; nothing is written."""
    found = terminal("inspect", _ONE, "--json").json
    assert set(found) == set(Inspection.__dataclass_fields__)
    assert found["problem"] is None
    assert "hidden1/dense/kernel" in {tensor["name"] for tensor in found["tensors"] if not tensor["slot"]}
    assert not contents(terminal.folder)


@pytest.mark.parametrize(
    ("sample", "words"),
    [
        ("gan_gamma", ["generator/Tanh", "--output"]),
        ("autoencoder_trainable_only", ["batch_normalization_4/moving_variance"]),
        ("inception_weights", ["weights", "InceptionV3/Conv2d_1a_3x3/BatchNorm"]),
    ],
)
def test_inspect_tells_what_an_export_lacks(terminal: Terminal, sample: str, words: list[str]) -> None:
    """A source that can be opened can be inspected, with status 0; what stands in the way of an export is said."""
    ended = terminal("inspect", SAMPLES / sample)
    assert (ended.status, ended.err) == (0, "")
    text = " ".join(ended.out.split())
    assert all(word in text for word in words)


def test_statistics_that_were_never_updated(terminal: Terminal) -> None:
    """Moving means of 0 and variances of 1: a warning with the name of every layer, and both files."""
    ended = terminal("export", SAMPLES / "autoencoder_not_updated", "-o", "model.onnx", "--json")
    warning = " ".join(ended.json["warnings"])
    for number in ("", "_1", "_2", "_3", "_4"):
        assert f"batch_normalization{number}" in warning
    assert sorted(_files(terminal)) == ["model.npz", "model.onnx"]


def test_no_warning_without_a_reason(terminal: Terminal) -> None:
    """A network that has been trained long enough is exported without a word of warning."""
    assert terminal("export", SAMPLES / "autoencoder", "-o", "model.onnx", "--json").json["warnings"] == []


def test_existing_files_are_replaced(terminal: Terminal) -> None:
    """An export over an older one leaves the same bytes as an export into an empty folder."""
    terminal("export", _ONE, "-o", "model.onnx")
    first = _files(terminal)
    assert terminal("export", SAMPLES / "handmade", "-o", "model.onnx").status == 0
    assert _files(terminal) != first
    assert terminal("export", _ONE, "-o", "model.onnx").status == 0
    assert _files(terminal) == first
    assert len(contents(terminal.folder)) == 2


@pytest.mark.parametrize(
    "source",
    [
        PREFIX,
        f"{PREFIX}.index",
        f"{PREFIX}.meta",
        f"{PREFIX}.data-00000-of-00001",
        "checkpoint",
        ".",
        f"../run/./{PREFIX}",
    ],
)
def test_every_form_of_the_source_gives_the_same_bytes(terminal: Terminal, source: str) -> None:
    """The prefix, any of the files, the state file and the directory are one and the same checkpoint."""
    copied("one_neuron", terminal.folder / "run")
    terminal("export", _ONE / PREFIX, "-o", "model.onnx")
    expected = _files(terminal)
    assert terminal("export", terminal.folder / "run" / source, "-o", "model.onnx").status == 0
    assert _files(terminal) == expected


def test_without_a_name_the_source_gives_it(terminal: Terminal) -> None:
    """`model.ckpt.meta` becomes `model.ckpt.onnx` and `model.ckpt.npz` in the current directory."""
    for name in (PREFIX, f"{PREFIX}.meta", f"{PREFIX}.index", f"{PREFIX}.data-00000-of-00001"):
        assert terminal("export", _ONE / name).status == 0
        assert sorted(_files(terminal)) == [f"{PREFIX}.npz", f"{PREFIX}.onnx"]


def test_odd_names_are_fine(terminal: Terminal) -> None:
    """Spaces, glob characters and other letters in paths mean nothing but themselves."""
    folder = terminal.folder / "lauf [1] *größe?"
    shutil.copytree(_ONE, folder)
    for file in list(folder.iterdir()):
        file.rename(folder / file.name.replace("model.ckpt", "model[a] b.ckpt"))
    (folder / "checkpoint").write_text('model_checkpoint_path: "model[a] b.ckpt"\n')
    for source in (folder, folder / "model[a] b.ckpt", folder / "model[a] b.ckpt.meta"):
        assert terminal("export", source, "-o", "größe [2].onnx").status == 0
    assert sorted(name for name in contents(terminal.folder) if name.startswith("gr")) == [
        "größe [2].npz",
        "größe [2].onnx",
    ]


def test_names_with_a_port_and_shapes(terminal: Terminal) -> None:
    """`x` and `x:0` are the same tensor; a shape given for an input is the model's."""
    options = ["--input", "Placeholder:0=4,1", "--output", "hidden1/Relu:0"]
    report = terminal("export", _ONE, "-o", "model.onnx", "--json", *options).json
    assert [(spec["name"], spec["shape"]) for spec in report["inputs"]] == [("Placeholder", [4, 1])]
    assert [(spec["name"], spec["shape"]) for spec in report["outputs"]] == [("hidden1/Relu", [4, 1])]


def test_each_option_changes_what_it_says(terminal: Terminal) -> None:
    """--opset, --no-fold, --input-layout and --keep-batch-statistics are seen in the file."""

    def exported(*options: str) -> onnx.ModelProto:
        assert terminal("export", SAMPLES / "inception", "-o", "model.onnx", *options).status == 0
        return onnx.load("model.onnx")

    plain = exported()
    assert plain.graph.input[0].type.tensor_type.shape.dim[3].dim_value == 3
    assert exported("--input-layout", "nchw").graph.input[0].type.tensor_type.shape.dim[1].dim_value == 3
    assert exported("--opset", "13").opset_import[0].version == 13
    assert exported("--opset", "21").opset_import[0].version == 21
    ops = {node.op_type for node in plain.graph.node}
    unfolded = {node.op_type for node in exported("--no-fold").graph.node}
    assert "BatchNormalization" in unfolded - ops
    kept = {node.op_type for node in exported("--keep-batch-statistics").graph.node}
    assert "ReduceMean" in kept - ops or "BatchNormalization" in kept - ops


def test_a_later_export_is_the_same(terminal: Terminal) -> None:
    """The bytes depend on the checkpoint alone, not on what the process has done before."""
    terminal("export", _ONE, "-o", "model.onnx")
    first = _files(terminal)
    terminal("export", SAMPLES / "handmade_v2", "-o", "other.onnx")
    terminal("export", _ONE, "-o", "model.onnx")
    assert _files(terminal) == first
