"""Writes a set of files: all of them whole, or none."""

from __future__ import annotations

import os
import secrets
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from pathlib import Path

from exporter.errors import UsageError

try:
    import fcntl
except ImportError:  # not there on Windows, where files left behind by a kill stay
    fcntl = None  # type: ignore[assignment]

__all__ = ["Writer", "check_targets", "write_files"]

Writer = Callable[[Path], None]
"""Writes one file to the path that it is given, which exists and is empty."""


def check_targets(targets: Iterable[Path], inputs: Iterable[Path] = ()) -> None:
    """Whether files can be written there, before any work is done.

    Args:
        targets: The files to be written.
        inputs: The files that are read, none of which may be overwritten, under whatever name.

    Raises:
        UsageError: A directory doesn't exist or can't be written to; a target is a directory or one of the inputs; two
            are the same.
    """
    paths, sources = list(targets), list(inputs)
    if len({path.absolute() for path in paths}) < len(paths):
        raise UsageError(f"two outputs have the same name, {paths[0]}", hint="Give them different names")
    for path in paths:
        _check_directory(path)
        _check_target(path, sources)


def write_files(writers: Mapping[Path, Writer], *, inputs: Iterable[Path] = ()) -> None:
    """Writes files beside their targets, and renames them once all are complete and on the disk.

    On an error nothing new is left and what was there before is as it was. Only a kill between two renames can leave
    one file new and another old; none is ever half written. A kill may leave files `.<target>.<random>.tmp` behind,
    which the next call for the same target removes. A target that is a symbolic link is replaced, not followed.

    Args:
        writers: What writes each file.
        inputs: The files that are read, none of which may be overwritten.

    Raises:
        UsageError: See `check_targets`; or a file can't be written, as when the disk is full.
    """
    check_targets(writers, inputs)
    with ExitStack() as done:
        _replace_all(_write_all(writers, done))
    for directory in {path.parent for path in writers}:
        _sync_directory(directory)


def _check_directory(path: Path) -> None:
    directory = path.parent
    if not directory.is_dir():
        raise UsageError(f"there is no directory {directory} to write {path.name} to", hint="Create it first")
    if not os.access(directory, os.W_OK | os.X_OK):
        raise UsageError(f"the directory {directory} can't be written to", hint="Choose another one with -o")


def _check_target(path: Path, inputs: Iterable[Path]) -> None:
    if path.is_dir():
        raise UsageError(f"{path} is a directory", hint="Name a file in it")
    for source in inputs:
        if path.exists() and source.exists() and path.samefile(source):
            raise UsageError(f"{path} would overwrite {source}, which is read", hint="Choose another name with -o")


def _write_all(writers: Mapping[Path, Writer], done: ExitStack) -> dict[Path, Path]:
    """All files beside their targets, written at the same time: most of it is copying to the disk's cache."""
    with ThreadPoolExecutor() as pool:
        written = {target: pool.submit(_write_beside, target, writer, done) for target, writer in writers.items()}
    return {target: future.result() for target, future in written.items()}


def _write_beside(target: Path, writer: Writer, done: ExitStack) -> Path:
    """A complete file next to the target, on the disk; it is locked, and removed in the end if it is still there."""
    _remove_leftovers(target)
    path = _beside(target)
    try:
        descriptor = os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o666)
        done.callback(os.close, descriptor)
        done.callback(path.unlink, missing_ok=True)
        _lock(descriptor)
        writer(path)
        os.fsync(descriptor)
    except OSError as error:
        raise _unwritable(target, error) from error
    return path


def _replace_all(written: Mapping[Path, Path]) -> None:
    """Renames all; if one can't be, those before it get their old contents back."""
    with ExitStack() as done, ExitStack() as undo:
        for target, path in written.items():
            try:
                backup = _link_beside(target)
                if backup is not None:
                    done.callback(backup.unlink, missing_ok=True)
                path.replace(target)
            except OSError as error:
                raise _unwritable(target, error) from error
            undo.callback(_restore, target, backup)
        undo.pop_all()


def _link_beside(target: Path) -> Path | None:
    """A second name for what is there now; None if nothing is, or the file system has no such thing."""
    backup = _beside(target)
    with suppress(OSError):
        os.link(target, backup, follow_symlinks=False)
        return backup
    return None


def _restore(target: Path, backup: Path | None) -> None:
    if backup is None:
        target.unlink(missing_ok=True)
    else:
        backup.replace(target)


def _beside(target: Path) -> Path:
    return target.with_name(f"{_prefix(target)}{secrets.token_hex(4)}.tmp")


def _prefix(target: Path) -> str:
    return f".{target.name[:32]}."


def _remove_leftovers(target: Path) -> None:
    """Removes what a killed process has left, which nobody has locked."""
    if fcntl is None:
        return
    for path in target.parent.iterdir():
        if path.name.startswith(_prefix(target)) and path.name.endswith(".tmp"):
            with suppress(OSError), path.open("rb") as file:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                path.unlink()


def _lock(descriptor: int) -> None:
    if fcntl is not None:
        with suppress(OSError):
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)


def _unwritable(target: Path, error: OSError) -> UsageError:
    return UsageError(f"{target} can't be written: {error.strerror or error}", hint="Nothing has been changed")


def _sync_directory(directory: Path) -> None:
    """Waits until the new names are on the disk too, where a directory can be opened for that."""
    with suppress(OSError):
        descriptor = os.open(directory, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
