"""Where compiled libraries are kept, and which of them may be loaded.

A library is code. It is never looked for beside a model, and loaded only from the cache of this user, where nobody else
may have written: what comes with a model doesn't run.
"""

from __future__ import annotations

import os
import stat
import sys
from pathlib import Path

from runtime.user_cache import user_cache

__all__ = ["first_unsafe", "folder_for", "root"]

_VERSION = 2
"""Of what is in a folder of the cache."""


def root() -> Path | None:
    """Return the folder for libraries, which may not be there; None on systems without owners of files."""
    folder = user_cache()
    return None if folder is None else folder / "native"


def folder_for(digest: str) -> Path | None:
    """Return where the library of a bundle for this processor is, if it is there; None if it can't be anywhere."""
    place = root()
    return None if place is None else place / f"{digest}-{_processor()}"


def first_unsafe(path: Path) -> Path | None:
    """Return the first of a file's folders, or the file, that another user but root owns or may write to.

    In a folder with the sticky bit, such as /tmp, others can't replace what isn't theirs.
    """
    whole = Path(os.path.realpath(path))
    mine = {0, os.getuid()}
    for place in (*reversed(whole.parents), whole):
        try:
            found = place.lstat()
        except OSError:
            return place
        is_shared = bool(found.st_mode & (stat.S_IWGRP | stat.S_IWOTH))
        is_sticky = stat.S_ISDIR(found.st_mode) and bool(found.st_mode & stat.S_ISVTX) and place != whole
        if found.st_uid not in mine or (is_shared and not is_sticky):
            return place
    return None


def _processor() -> str:
    """Return a hash of all that code compiled for this processor depends on."""
    import hashlib  # here, because a run without a library needs neither
    import platform

    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="ascii", errors="replace").splitlines()
    except OSError:
        lines = [platform.processor()]
    told = {line for line in lines if line.startswith(("flags", "Features", "model name", "CPU part"))} or set(lines)
    text = "\n".join([str(_VERSION), platform.system(), platform.machine(), str(sys.maxsize), *sorted(told)])
    return hashlib.blake2b(text.encode(), digest_size=8).hexdigest()
