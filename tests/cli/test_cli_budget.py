"""How long a verification takes, and what is shown of it meanwhile."""

from __future__ import annotations

import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest

from exporter.verify.allowance import listening
from exporter.verify.model_files import verify_model
from tests.cli.terminal import SAMPLES, Terminal

_SAMPLE = SAMPLES / "handmade_v2"


@pytest.fixture
def exported(terminal: Terminal) -> Path:
    """A small export in the terminal's folder."""
    assert terminal("export", _SAMPLE, "-o", "m.onnx").status == 0
    return terminal.folder / "m.onnx"


def test_with_no_time_the_most_telling_is_compared_and_the_rest_said(exported: Path, terminal: Terminal) -> None:
    """Outputs and layers of the file as it is written; what was left out is in the verdict, its words and its JSON."""
    whole, short = (verify_model(exported, against=_SAMPLE, budget=budget) for budget in (None, 0))
    assert whole.left_out == ()
    assert {check.engine for check in short.checks} == {"onnxruntime, as written"}
    assert {check.engine for check in short.layers} == {"onnxruntime, as written"}
    assert len(short.left_out) >= 4
    ended = terminal("verify", "m.onnx", "--against", _SAMPLE, "--budget", "0")
    assert (ended.status, ended.err) == (0, "")
    assert ended.out.count("left out, for lack of time") == len(short.left_out)
    told = terminal("verify", "m.onnx", "--against", _SAMPLE, "--budget", "1000", "--json").json
    assert told["left_out"] == []


def test_each_stage_is_told_in_order(exported: Path) -> None:
    """To whoever listens; afterwards to nobody."""
    heard: list[str] = []
    with listening(heard.append):
        verify_model(exported, against=_SAMPLE)
    verify_model(exported, against=_SAMPLE)
    assert heard[0] == "reading the files"
    assert len(heard) == len(dict.fromkeys(heard)) >= 6


@pytest.mark.parametrize("quiet", [False, True])
def test_a_terminal_shows_what_is_done(quiet: bool, exported: Path) -> None:
    """On standard error, and only where that is a terminal that wasn't asked to be quiet; never in the output."""
    command = [sys.executable, "-m", "exporter", "verify", str(exported), *(["-q"] if quiet else [])]
    root = str(Path(__file__).parents[2])
    environment = {**os.environ, "PYTHONPATH": root, "TERM": "xterm", "COLUMNS": "120"}
    leader, follower = pty.openpty()
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=follower, env=environment)
    os.close(follower)
    shown = b""
    while True:
        try:
            piece = os.read(leader, 65536)
        except OSError:
            break
        if not piece:
            break
        shown += piece
    os.close(leader)
    out, _ = process.communicate()
    assert process.returncode == 0
    assert (b"finding out what" in shown) != quiet
    assert b"\x1b" not in out
