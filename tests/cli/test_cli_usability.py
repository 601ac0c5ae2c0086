"""What the command line promises beside its results: nothing is lost, and it tells what it does."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import click
import numpy as np
import pytest

from exporter.command_line.cli import main
from exporter.targets.opsets import DEFAULT_OPSET
from tests.cli.terminal import SAMPLES, Terminal

_ONE = SAMPLES / "one_neuron"
_ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("name", ["model.npz", "model.onnx", "model.py"])
def test_a_file_of_another_is_not_overwritten(terminal: Terminal, name: str) -> None:
    """Data beside the ONNX file, of its name, stays; the hint --force overwrites it, and our own need no such thing."""
    command: list[str | Path] = ["export", _ONE, "-o", "model.onnx", "--to", "numpy", "--to", "onnx"]
    if name.endswith(".npz"):
        np.savez(name, digits=np.arange(10))
    else:
        Path(name).write_text("precious")
    error = terminal.fails(*command, status=2)
    assert name in error and "--force" in error
    assert terminal(*command, "--force").status == 0
    assert terminal(*command).status == 0


def test_an_empty_file_is_nothing_to_lose(terminal: Terminal) -> None:
    """As `mktemp` makes one to be written over."""
    Path("model.npz").touch()
    assert terminal("export", _ONE, "-o", "model.onnx").status == 0


def test_run_overwrites_no_bundle(terminal: Terminal) -> None:
    """Neither the one that runs nor another; outputs of before are overwritten."""
    for name in ("model.onnx", "other.onnx"):
        assert terminal("export", _ONE, "-o", name).status == 0
    np.savez("inputs.npz", Placeholder=np.zeros((2, 1), np.float32))
    for name in ("other.npz", "model.npz"):
        assert name in terminal.fails("run", "model.npz", "inputs.npz", "-o", name, status=2)
    for _ in range(2):
        assert terminal("run", "model.npz", "inputs.npz", "-o", "outputs.npz").status == 0


@pytest.mark.parametrize("command", ["export", "inspect", "verify", "run"])
def test_every_default_is_in_the_help(command: str) -> None:
    """Of each option that may be left out, the output and the opset among them."""
    options = [each for each in main.commands[command].params if isinstance(each, click.Option) and not each.required]
    silent = {"--verbose", "--quiet", "--debug", "--help"}
    for option in options:
        assert option.show_default or silent & {*option.opts}, option.opts
    opset = next((option for option in options if "--opset" in option.opts), None)
    assert opset is None or str(opset.show_default).split()[0] == str(DEFAULT_OPSET)


def test_how_much_is_said(terminal: Terminal, monkeypatch: pytest.MonkeyPatch) -> None:
    """-q: warnings alone, and the files all the same; -v: every parameter; before or after the command."""
    monkeypatch.delenv("COLUMNS", raising=False)  # which would wrap lines; the workers of pytest-xdist set it
    for arguments in (("-q", "export", _ONE), ("export", _ONE, "-q")):
        ended = terminal(*arguments, "-o", "model.onnx")
        assert ended.status == 0
        assert all(line.startswith("warning: ") for line in ended.out.splitlines())
        assert Path("model.onnx").is_file()
    assert "moving_mean, moving_variance" in terminal("export", _ONE, "-o", "model.onnx", "-v").out


@pytest.mark.parametrize("arguments", [["--debug", "inspect", "nothing"], ["inspect", "nothing", "--debug"]])
def test_the_traceback_is_shown_on_request(terminal: Terminal, arguments: list[str]) -> None:
    """--debug before or after the command."""
    assert "Traceback" in terminal(*arguments).err
    assert "Traceback" not in terminal("inspect", "nothing").err


@pytest.mark.parametrize("columns", [60, 80, 120, None])
def test_lines_are_as_wide_as_the_terminal(columns: int | None, tmp_path: Path) -> None:
    """COLUMNS is kept to, but for names that are longer; in a pipe each batch norm is one row with its whole name."""
    environment = {**os.environ, "PYTHONPATH": str(_ROOT), "COLUMNS": str(columns or "")}
    command = [sys.executable, "-m", "exporter", "export", str(SAMPLES / "inception"), "-o", "m.onnx"]
    text = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=True).stdout
    if columns is not None:
        wide = [line for line in text.splitlines() if len(line) > columns and str(SAMPLES) not in line]
        assert all(len(max(line.split(), key=len)) + 30 > columns for line in wide), wide
    norm = "Mixed_5b/Branch_3/Conv2d_0b_1x1/BatchNorm"
    assert len(re.findall(rf"^  (?:InceptionV3/)?{norm}\b", text, re.MULTILINE)) == 1
    assert (f"  InceptionV3/{norm} " in text) == (columns is None)


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_shells_complete(terminal: Terminal, shell: str) -> None:
    """A script for each, that asks this program."""
    assert "_CKPT2ONNX_COMPLETE" in terminal("completion", shell).out


def test_completion_knows_options_and_architectures() -> None:
    """Options by their beginning, and the names that --arch takes."""
    from click.shell_completion import ShellComplete

    complete = ShellComplete(main, {}, "ckpt2onnx", "_CKPT2ONNX_COMPLETE")
    assert "--no-fold" in [item.value for item in complete.get_completions(["export"], "--no")]
    assert "resnet_v1_50" in [item.value for item in complete.get_completions(["export", "--arch"], "resnet")]
