"""Everything that can go wrong with an export is one paragraph, the right exit status, and no file touched."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import exporter.api
from exporter.formats.records import Array
from tests.cli.checkpoints import PREFIX, copied, regraphed, reweighted
from tests.cli.terminal import SAMPLES, Terminal, contents

_DATA = f"{PREFIX}.data-00000-of-00001"
_OUTPUT = "output/batch_normalization/batchnorm/add_1"


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--output", "output/batch_normalization/batchnorm/add_11"], [f"Did you mean {_OUTPUT}"]),
        (["--output", "hidden1/relu"], ["hidden1/relu", "Did you mean hidden1/Relu?"]),
        (["--output", "nothing like it"], ["'nothing like it'", "--output", "inspect"]),
        (["--output", ""], ["''", "--output"]),
        (["--input", "placeholder"], ["'placeholder'", "--input", "Did you mean Placeholder?"]),
        (["--input", "Placeholder=4,x"], ["Placeholder=4,x", "?,224,224,3"]),
        (["--set", "trainnig=false"], ["'trainnig'", "--set", "Did you mean training"]),
        (["--set", "training"], ["--set training", "NAME=VALUE"]),
        (["--set", "training=perhaps"], ["training=perhaps", "bool"]),
        (["--ema"], ["--ema", "averaged"]),
        (["--opset", "12"], ["12", "13"]),
        (["--opset", "1000"], ["1000", "--opset"]),
        (["--keep-batch-statistics", "hiden1"], ["hiden1", "--keep-batch-statistics"]),
        (["-o", "model.npz"], ["model.npz", ".onnx"]),
        (["-o", "model"], ["model", ".onnx"]),
    ],
)
def test_wrong_usage(terminal: Terminal, options: list[str], words: list[str]) -> None:
    """Status 2: what was given, and what could be meant."""
    error = terminal.fails("export", SAMPLES / "one_neuron", "-o", "model.onnx", *options, status=2)
    assert all(word in error for word in words), error


@pytest.mark.parametrize("arguments", [[], ["export"], ["exprot"], ["export", "x", "--opste", "13"], ["run", "m.npz"]])
def test_what_the_parser_refuses(terminal: Terminal, arguments: list[str]) -> None:
    """Status 2 for a command line that makes no sense, with how it is used."""
    ended = terminal(*arguments)
    assert (ended.status, ended.out) == (2, "")
    assert ended.err.startswith("Usage: ckpt2onnx")
    assert not contents(terminal.folder)


def test_several_networks_are_listed(terminal: Terminal) -> None:
    """Status 2: a generator beside a discriminator is a choice, so the candidates are listed with their shapes."""
    error = terminal.fails("export", SAMPLES / "gan_gamma", "-o", "model.onnx", status=2)
    for candidate in ("generator/Tanh [?, 16, 16, 1] (from z)", "discriminator/Sigmoid", "--output"):
        assert candidate in error


def _cut_data(folder: Path) -> None:
    os.truncate(folder / _DATA, (folder / _DATA).stat().st_size // 2)


def _flip_data(folder: Path) -> None:
    content = (folder / _DATA).read_bytes()
    (folder / _DATA).write_bytes(bytes(byte ^ 0x10 for byte in content))


def _cut_index(folder: Path) -> None:
    os.truncate(folder / f"{PREFIX}.index", 200)


def _cut_meta(folder: Path) -> None:
    os.truncate(folder / f"{PREFIX}.meta", 70_000)


def _drop_data(folder: Path) -> None:
    (folder / _DATA).unlink()


def _drop_meta(folder: Path) -> None:
    (folder / f"{PREFIX}.meta").unlink()


def _pointer(folder: Path) -> None:
    (folder / f"{PREFIX}.meta").write_text("version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n")


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (_cut_data, [_DATA, "bytes"]),
        (_flip_data, [_DATA]),
        (_cut_index, [f"{PREFIX}.index"]),
        (_cut_meta, [f"{PREFIX}.meta"]),
        (_drop_data, [_DATA]),
        (_drop_meta, ["weights alone", "--graph"]),
        (_pointer, [f"{PREFIX}.meta"]),
    ],
)
def test_broken_files(terminal: Terminal, spoil: Any, words: list[str]) -> None:
    """Status 3: the file that is broken or missing, and what is wrong with it."""
    prefix = copied("one_neuron", terminal.folder / "run")
    spoil(prefix.parent)
    error = terminal.fails("export", prefix, "-o", "model.onnx", status=3)
    assert all(word in error for word in words), error


def test_a_missing_shard_is_named(terminal: Terminal) -> None:
    """Status 3: one of three data files is gone."""
    prefix = reweighted("one_neuron", terminal.folder / "run", {}, shards=3)
    Path(f"{prefix}.data-00001-of-00003").unlink()
    assert f"{PREFIX}.data-00001-of-00003" in terminal.fails("export", prefix, "-o", "model.onnx", status=3)


def _nan(array: Array) -> Array:
    array[0] = np.nan
    return array


@pytest.mark.parametrize(
    ("key", "change", "words"),
    [
        ("output/dense/kernel", _nan, ["tensor output/dense/kernel", "NaN"]),
        ("output/dense/kernel", lambda a: a * np.float32(np.inf), ["tensor output/dense/kernel", "infinite"]),
        (
            "hidden1/batch_normalization/moving_variance",
            lambda a: -a,
            ["hidden1/batch_normalization", "moving_variance", "variance"],
        ),
        ("hidden1/batch_normalization/moving_mean", _nan, ["hidden1/batch_normalization", "moving_mean", "nan"]),
        ("hidden1/batch_normalization/gamma", _nan, ["hidden1/batch_normalization/gamma"]),
        ("hidden1/batch_normalization/gamma", None, ["hidden1/batch_normalization/gamma"]),
        ("output/dense/kernel", lambda a: a.repeat(3, axis=0), ["output/dense/kernel", "3"]),
        ("output/dense/kernel", lambda a: a.astype(np.int32), ["output/dense/kernel"]),
    ],
)
def test_weights_that_cannot_be_meant(terminal: Terminal, key: str, change: Any, words: list[str]) -> None:
    """Status 3: the tensor or batch norm, and which of its numbers are wrong."""
    prefix = reweighted("one_neuron", terminal.folder / "run", {key: change})
    error = terminal.fails("export", prefix, "-o", "model.onnx", status=3)
    assert all(word in error for word in words), error


def test_statistics_that_were_not_saved(terminal: Terminal) -> None:
    """Status 3: only trainable variables were saved, so each tensor that is missing is named."""
    error = terminal.fails("export", SAMPLES / "autoencoder_trainable_only", "-o", "model.onnx", status=3)
    for number in ("", "_1", "_2", "_3", "_4"):
        assert f"batch_normalization{number}/moving_mean" in error
        assert f"batch_normalization{number}/moving_variance" in error
    assert "tf.global_variables()" in error


def _other_ops(meta: Any) -> None:
    for node in meta.graph_def.node:
        if node.name == "hidden1/Relu":
            node.op = "HyperbolicRelu"
        if node.name == "output/dense/MatMul":
            node.op = "MatMulTimesPi"


def test_ops_without_translation(terminal: Terminal) -> None:
    """Status 4: all of them in one error, with the nodes' names."""
    prefix = regraphed("one_neuron", terminal.folder / "run", _other_ops)
    error = terminal.fails("export", prefix, "-o", "model.onnx", status=4)
    for word in ("HyperbolicRelu", "hidden1/Relu", "MatMulTimesPi", "output/dense/MatMul"):
        assert word in error


def test_an_op_beside_the_path_does_not_matter(terminal: Terminal) -> None:
    """What the outputs don't need may be anything."""
    prefix = regraphed("one_neuron", terminal.folder / "run", _other_ops)
    assert terminal("export", prefix, "-o", "model.onnx", "--output", "hidden1/dense/MatMul").status == 0


def _empty(folder: Path) -> Path:
    (folder / "empty").mkdir()
    return folder / "empty"


def _text(folder: Path) -> Path:
    (folder / "notes.txt").write_text("not a model\n")
    return folder / "notes.txt"


def _nothing(folder: Path) -> Path:
    shutil.copytree(SAMPLES / "one_neuron", folder / "run")
    return folder / "run" / "modle.ckpt"


def _pipe(folder: Path) -> Path:
    os.mkfifo(folder / "pipe")
    return folder / "pipe"


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (_empty, ["empty", "no checkpoint"]),
        (_text, ["notes.txt"]),
        (_nothing, ["modle.ckpt", "model.ckpt"]),
        (_pipe, ["pipe"]),
    ],
)
def test_what_is_no_source(terminal: Terminal, make: Any, words: list[str]) -> None:
    """Status 3: nothing there, or nothing that a model could be made of."""
    error = terminal.fails("export", make(terminal.folder), "-o", "model.onnx", status=3)
    assert all(word in error for word in words), error


def test_a_missing_directory_is_not_made(terminal: Terminal) -> None:
    """Status 2 for a mistyped directory, which is not created."""
    error = terminal.fails("export", SAMPLES / "one_neuron", "-o", "biuld/model.onnx", status=2)
    assert "biuld" in error
    assert not (terminal.folder / "biuld").exists()


@pytest.mark.parametrize("name", [f"{PREFIX}.onnx", "../link.onnx"])
def test_inputs_are_never_overwritten(terminal: Terminal, name: str) -> None:
    """Status 2 for an output that is one of the files read, also under another name."""
    prefix = copied("one_neuron", terminal.folder / "run")
    meta = Path(f"{prefix}.meta")
    target = meta.parent / name
    if name.startswith(".."):
        target.symlink_to(meta)
    else:
        meta.rename(target)
    source = [prefix, "--graph", target] if not meta.exists() else [prefix]
    assert "overwrite" in terminal.fails("export", *source, "-o", target, status=2)


def test_a_bug_says_so(terminal: Terminal, monkeypatch: pytest.MonkeyPatch) -> None:
    """Status 70 for an exception that nobody foresaw, with what it is and how to see more."""

    def surprise(*_: object, **__: object) -> None:
        raise KeyError("surprise")

    monkeypatch.setattr(exporter.api, "unfold", surprise)
    error = terminal.fails("export", SAMPLES / "one_neuron", "-o", "model.onnx", status=70)
    for word in ("bug", "KeyError", "surprise", "--debug"):
        assert word in error


@pytest.mark.parametrize("source", [SAMPLES / "autoencoder_trainable_only", Path("nothing")])
def test_debug_shows_the_traceback(terminal: Terminal, source: Path) -> None:
    """With --debug the traceback comes before the paragraph; the exit status is the same."""
    ended = terminal("--debug", "export", source, "-o", "model.onnx")
    assert ended.status == 3
    assert ended.err.startswith("Traceback (most recent call last)")
    assert ended.err.splitlines()[-1].startswith("ckpt2onnx: ")
