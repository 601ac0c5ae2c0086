"""Writes a set of files: all of them whole, or none."""

from __future__ import annotations

import os
import re
import secrets
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from exporter.errors import UsageError

try:
    import fcntl
except ImportError:  # not there on Windows, where files left behind by a kill stay
    fcntl = None  # type: ignore[assignment]

__all__ = ["Writer", "check_targets", "write_files"]

Writer = Callable[[Path], None]
"""Writes one file to the path that it is given, which exists and is empty."""


def check_targets(targets: Iterable[Path], inputs: Iterable[Path] = (), folders: Collection[Path] = ()) -> None:
    """Whether files can be written there, before any work is done.

    Args:
        targets: The files to be written.
        inputs: The files that are read, none of which may be overwritten, under whatever name.
        folders: Directories that will be made, where they aren't there.

    Raises:
        UsageError: A directory doesn't exist or can't be written to; a target is a directory or one of the inputs; two
            are the same.
    """
    paths, sources = list(targets), list(inputs)
    if len({path.absolute() for path in paths}) < len(paths):
        raise UsageError(f"two outputs have the same name, {paths[0]}", hint="Give them different names")
    for path in paths:
        is_new = path.parent in folders and not path.parent.exists()
        first = path.parent if is_new else path
        directory = first.parent
        if not directory.is_dir():
            raise UsageError(f"there is no directory {directory} to write {first.name} to", hint="Create it first")
        if not os.access(directory, os.W_OK | os.X_OK):
            raise UsageError(f"the directory {directory} can't be written to", hint="Choose another one with -o")
        if path.is_dir():
            raise UsageError(f"{path} is a directory", hint="Name a file in it")
        for source in sources:
            if path.exists() and source.exists() and path.samefile(source):
                raise UsageError(f"{path} would overwrite {source}, which is read", hint="Choose another name with -o")


def write_files(
    writers: Mapping[Path, Writer],
    *,
    inputs: Iterable[Path] = (),
    superseded: Callable[[], Iterable[Path]] = tuple,
    folders: Collection[Path] = (),
) -> None:
    """Writes files beside their targets, and renames them once all are complete and on the disk.

    The first of `writers` is renamed last: it is the one that may refer to the others, so that it switches from the old
    files to the new. Of several calls for the same targets at once, the last one to switch wins with all of its files.

    On an error nothing new is left and what was there before is as it was. Only a kill between two renames can leave
    one file new and another old; none is ever half written. A kill may leave files `.<target>.<random>.tmp` behind,
    which the next call for the same target removes. A target that is a symbolic link is replaced, not followed.

    Args:
        writers: What writes each file.
        inputs: The files that are read, none of which may be overwritten.
        superseded: Called after the switch: files that only the old ones referred to, which are removed, unless they
            have just been written.
        folders: Directories for some of the files, which are made where they aren't there.

    Raises:
        UsageError: See `check_targets`; or a file can't be written, as when the disk is full.
    """
    check_targets(writers, inputs, folders)
    directories = sorted({path.parent for path in writers})
    with ExitStack() as done:
        for folder in folders:
            _make(folder, done)
        with _locked(directories):
            for target in writers:
                _remove_leftovers(target)
        with ThreadPoolExecutor() as pool:  # most of it is copying to the disk's cache
            futures = {target: pool.submit(_write_beside, target, writer, done) for target, writer in writers.items()}
        written = {target: future.result() for target, future in futures.items()}
        with _locked(directories):
            _replace_all(dict(reversed(written.items())))
            for path in superseded():
                if path not in written:
                    with suppress(OSError):
                        path.unlink()
    _sync(directories)


def _make(folder: Path, done: ExitStack) -> None:
    """A directory, which is removed in the end if there is nothing in it."""
    try:
        folder.mkdir(exist_ok=True)
    except OSError as error:
        raise _unwritable(folder, error) from error

    def tidy() -> None:
        with suppress(OSError):
            folder.rmdir()

    done.callback(tidy)


def _write_beside(target: Path, writer: Writer, done: ExitStack) -> Path:
    """A complete file next to the target, on the disk; it is locked, and removed in the end if it is still there."""
    try:
        path, descriptor = _create_beside(target)
        done.callback(os.close, descriptor)
        done.callback(path.unlink, missing_ok=True)
        writer(path)
        os.fsync(descriptor)
    except OSError as error:
        raise _unwritable(target, error) from error
    return path


def _create_beside(target: Path) -> tuple[Path, int]:
    """An empty file next to the target, locked; another one where it was taken for a leftover before it was locked."""
    while True:
        path = _beside(target)
        descriptor = os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o666)
        _lock(descriptor)
        if path.exists():
            return path, descriptor
        os.close(descriptor)


def _replace_all(written: Mapping[Path, Path]) -> None:
    """Renames all, in order; if one can't be, those before it get their old contents back.

    The last is renamed when the names of the others are on the disk.
    """
    last = list(written)[-1:]
    with ExitStack() as done, ExitStack() as undo:
        for target, path in written.items():
            try:
                if target in last and len(written) > 1:
                    _sync({other.parent for other in written})
                existed, backup = os.path.lexists(target), _link_beside(target)
                if backup is not None:
                    done.callback(backup.unlink, missing_ok=True)
                undo.callback(_restore, target, backup, existed)
                path.replace(target)
            except OSError as error:
                raise _unwritable(target, error) from error
        undo.pop_all()


def _link_beside(target: Path) -> Path | None:
    """A second name for what is there now; None if nothing is, or the file system has no such thing."""
    backup = _beside(target)
    with suppress(OSError):
        os.link(target, backup, follow_symlinks=False)
        return backup
    return None


def _restore(target: Path, backup: Path | None, existed: bool) -> None:
    """Undoes a rename; what can't be undone doesn't hide why it has to be."""
    with suppress(OSError):
        if backup is not None:
            backup.replace(target)
        elif not existed:
            target.unlink(missing_ok=True)


def _beside(target: Path) -> Path:
    return target.with_name(f"{_prefix(target)}{secrets.token_hex(4)}.tmp")


def _prefix(target: Path) -> str:
    return f".{target.name[:32]}."


def _remove_leftovers(target: Path) -> None:
    """Removes what a killed process has left, which nobody has locked."""
    if fcntl is None:
        return
    leftover = re.compile(rf"{re.escape(_prefix(target))}[0-9a-f]{{8}}\.tmp")
    for path in target.parent.iterdir():
        if leftover.fullmatch(path.name):
            with suppress(OSError), path.open("rb") as file:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                path.unlink()


@contextmanager
def _locked(directories: Iterable[Path]) -> Iterator[None]:
    """Lets one process at a time rename in these directories, where the file system has locks."""
    with ExitStack() as done:
        for directory in directories:
            with suppress(OSError):
                descriptor = os.open(directory, os.O_RDONLY)
                done.callback(os.close, descriptor)
                _lock(descriptor)
        yield


def _lock(descriptor: int) -> None:
    """Waits for a lock, which the system gives back when the process ends."""
    if fcntl is not None:
        with suppress(OSError):
            fcntl.flock(descriptor, fcntl.LOCK_EX)


def _unwritable(target: Path, error: OSError) -> UsageError:
    return UsageError(f"{target} can't be written: {error.strerror or error}", hint="Nothing has been changed")


def _sync(directories: Iterable[Path]) -> None:
    """Waits until new names are on the disk too, where a directory can be opened for that."""
    for directory in directories:
        with suppress(OSError):
            descriptor = os.open(directory, os.O_RDONLY)
            try:
                os.fsync(descriptor)
            finally:
                os.close(descriptor)
