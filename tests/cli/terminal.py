"""Runs commands as a shell would see them end, without a process for each."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from exporter.command_line.cli import main

__all__ = ["SAMPLES", "Ended", "Terminal", "contents"]

SAMPLES = Path(__file__).parents[2] / "sample_ckpts"


@dataclass(frozen=True)
class Ended:
    """What a command left behind: its exit status, standard output and standard error."""

    status: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """Standard output as JSON."""
        return json.loads(self.out)


@dataclass(frozen=True)
class Terminal:
    """A working directory to run commands in."""

    folder: Path
    capture: pytest.CaptureFixture[str]

    def __call__(self, *arguments: str | Path) -> Ended:
        """Runs `ckpt2onnx` with these arguments to its end."""
        self.capture.readouterr()
        with pytest.raises(SystemExit) as ended:
            main([str(argument) for argument in arguments], prog_name="ckpt2onnx")
        out, err = self.capture.readouterr()
        return Ended(int(ended.value.code or 0), out, err)

    def fails(self, *arguments: str | Path, status: int) -> str:
        """Runs a command that fails: one paragraph on standard error, and no file made, changed or gone.

        Returns:
            The paragraph.
        """
        before = contents(self.folder)
        ended = self(*arguments)
        assert (ended.status, ended.out) == (status, ""), ended
        assert ended.err.startswith("ckpt2onnx: ")
        assert ended.err.count("\n") == 1, ended.err
        assert contents(self.folder) == before
        return ended.err


def contents(folder: Path) -> dict[str, bytes]:
    """Every file under a folder, hidden ones too."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
