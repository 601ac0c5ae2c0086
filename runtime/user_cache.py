"""The folder for what is found out about this machine and kept for later."""

from __future__ import annotations

import os
import sys
from pathlib import Path

__all__ = ["user_cache"]


def user_cache() -> Path | None:
    """Return this user's folder, which may not be there; None on systems without owners of files."""
    if not hasattr(os, "getuid"):
        return None
    given = os.environ.get("XDG_CACHE_HOME", "")
    try:
        usual = Path.home() / ("Library/Caches" if sys.platform == "darwin" else ".cache")
    except RuntimeError:  # there is no home
        return None
    return (Path(given) if Path(given).is_absolute() else usual) / "ckpt2onnx"
