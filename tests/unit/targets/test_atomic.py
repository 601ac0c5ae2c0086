"""A set of files is written whole or not at all, whatever goes wrong."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable
from pathlib import Path
from unittest import mock

import pytest

from exporter.errors import UsageError
from exporter.targets.atomic import check_targets, write_files


def _text(text: str) -> Callable[[Path], None]:
    def write(path: Path) -> None:
        path.write_text(text)

    return write


def _names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_both_files_are_written(tmp_path: Path) -> None:
    """New ones and over old ones, with the rights that any new file has, and nothing else left."""
    onnx, npz = tmp_path / "m.onnx", tmp_path / "m.npz"
    onnx.write_text("old")
    write_files({onnx: _text("one"), npz: _text("two")})
    assert (onnx.read_text(), npz.read_text()) == ("one", "two")
    assert _names(tmp_path) == ["m.npz", "m.onnx"]
    mask = os.umask(0)
    os.umask(mask)
    assert npz.stat().st_mode & 0o777 == 0o666 & ~mask
    assert onnx.stat().st_nlink == 1


@pytest.mark.parametrize("failure", [RuntimeError("a bug"), KeyboardInterrupt()])
def test_a_failing_writer_leaves_everything_as_it_was(tmp_path: Path, failure: BaseException) -> None:
    """The error comes through; the old files are there, half-written ones aren't."""
    onnx, npz = tmp_path / "m.onnx", tmp_path / "m.npz"
    onnx.write_text("old")

    def fail(path: Path) -> None:
        path.write_text("half")
        raise failure

    with pytest.raises(type(failure)):
        write_files({onnx: _text("new"), npz: fail})
    assert onnx.read_text() == "old"
    assert _names(tmp_path) == ["m.onnx"]


def test_a_full_disk_is_an_error_for_people(tmp_path: Path) -> None:
    """With the reason, and nothing written."""

    def fail(path: Path) -> None:
        raise OSError(28, "No space left on device")

    with pytest.raises(
        UsageError, match=r"m\.onnx can't be written: No space left on device\. Nothing has been changed"
    ):
        write_files({tmp_path / "m.onnx": fail})
    assert _names(tmp_path) == []


@pytest.mark.parametrize("old", [True, False])
def test_a_failing_rename_is_undone(tmp_path: Path, old: bool) -> None:
    """If the first file, which goes last, can't be put in place, the other one is as it was again, or gone."""
    first, second = tmp_path / "a", tmp_path / "b"
    if old:
        first.write_text("old a")
        second.write_text("old b")
    replace = Path.replace

    def fail_for_first(path: Path, target: Path) -> Path:
        if target == first:
            raise OSError(1, "Operation not permitted")
        return replace(path, target)

    with mock.patch.object(Path, "replace", fail_for_first), pytest.raises(UsageError, match="a can't be written"):
        write_files({first: _text("new a"), second: _text("new b")})
    assert _names(tmp_path) == (["a", "b"] if old else [])
    assert not old or (first.read_text(), second.read_text()) == ("old a", "old b")


def test_targets_that_cannot_be(tmp_path: Path) -> None:
    """A missing directory, a directory as target, one name twice, an input under another name: each says so."""
    source = tmp_path / "model.pb"
    source.write_text("input")
    link = tmp_path / "link.onnx"
    link.hardlink_to(source)
    with pytest.raises(UsageError, match=r"there is no directory .*nowhere to write m\.onnx to"):
        check_targets([tmp_path / "nowhere" / "m.onnx"])
    with pytest.raises(UsageError, match="is a directory"):
        check_targets([tmp_path])
    with pytest.raises(UsageError, match="two outputs have the same name"):
        check_targets([tmp_path / "m.npz", tmp_path / "m.npz"])
    for target in (source, link):
        with pytest.raises(UsageError, match="would overwrite"):
            write_files({target: _text("x")}, inputs=[source])
    assert source.read_text() == "input"


def test_a_directory_without_write_permission(tmp_path: Path) -> None:
    """Is refused before any work, for a user whom permissions bind."""
    folder = tmp_path / "locked"
    folder.mkdir(mode=0o555)
    tmp_path.chmod(0o755)
    if os.access(folder, os.W_OK):
        with mock.patch("os.access", return_value=False), pytest.raises(UsageError, match="can't be written to"):
            check_targets([folder / "m.onnx"])
    else:
        with pytest.raises(UsageError, match="can't be written to"):
            check_targets([folder / "m.onnx"])


_KILLED = textwrap.dedent(
    """
    import os, sys, time
    from pathlib import Path
    from exporter.targets.atomic import write_files
    folder = Path(sys.argv[1])

    def slow(path):
        with path.open("wb") as file:
            for i in range(10_000):
                file.write(bytes(1000))
                file.flush()
                if i == 3:
                    os.write(1, b"writing\\n")
                time.sleep(0.001)

    write_files({folder / "m.onnx": slow, folder / "m.npz": slow})
    """
)


def test_a_killed_export_leaves_the_old_files(tmp_path: Path) -> None:
    """SIGKILL in the middle: the target is as it was; the next export removes what was left lying about."""
    (tmp_path / "m.onnx").write_text("old")
    process = subprocess.Popen([sys.executable, "-c", _KILLED, tmp_path], stdout=subprocess.PIPE)
    assert process.stdout is not None
    assert [process.stdout.readline() for _ in range(2)] == [b"writing\n"] * 2
    process.send_signal(signal.SIGKILL)
    process.wait()
    process.stdout.close()
    assert (tmp_path / "m.onnx").read_text() == "old"
    left = [name for name in _names(tmp_path) if name.endswith(".tmp")]
    assert len(left) == 2
    write_files({tmp_path / "m.onnx": _text("new"), tmp_path / "m.npz": _text("new")})
    assert _names(tmp_path) == ["m.npz", "m.onnx"]


def test_two_exports_at_once_dont_disturb_each_other(tmp_path: Path) -> None:
    """One that writes is not taken for one that was killed: its file is locked."""
    process = subprocess.Popen([sys.executable, "-c", _KILLED, tmp_path], stdout=subprocess.PIPE)
    assert process.stdout is not None
    assert [process.stdout.readline() for _ in range(2)] == [b"writing\n"] * 2
    write_files({tmp_path / "m.onnx": _text("new")})
    time.sleep(0.01)
    assert len([name for name in _names(tmp_path) if name.endswith(".tmp")]) == 2
    process.kill()
    process.wait()
    process.stdout.close()


_REPEATED = textwrap.dedent(
    """
    import sys
    from pathlib import Path
    from exporter.targets.atomic import write_files
    folder, name = Path(sys.argv[1]), sys.argv[2]
    for number in range(200):
        files = [folder / "m.onnx", folder / "m.npz"]
        write_files({file: lambda path: path.write_text(f"{name} {number}") for file in files})
    """
)


def test_exports_to_one_target_at_once_all_end_well(tmp_path: Path) -> None:
    """Whoever switches last wins, with both files; nobody finds that a file of its own has gone."""
    processes = [subprocess.Popen([sys.executable, "-c", _REPEATED, tmp_path, name]) for name in "abc"]
    assert [process.wait() for process in processes] == [0, 0, 0]
    assert _names(tmp_path) == ["m.npz", "m.onnx"]
    assert (tmp_path / "m.npz").read_text() == (tmp_path / "m.onnx").read_text()
    assert (tmp_path / "m.npz").read_text().endswith(" 199")


def test_a_link_is_replaced_not_followed(tmp_path: Path) -> None:
    """What a symbolic link points to isn't the export's to change."""
    other, target = tmp_path / "other", tmp_path / "m.onnx"
    other.write_text("somebody's")
    target.symlink_to(other)
    write_files({target: _text("new")})
    assert other.read_text() == "somebody's"
    assert target.read_text() == "new"
    assert not target.is_symlink()
