"""No warnings about overflows and the like while a program runs; without the 1 us that `np.errstate` takes."""

from __future__ import annotations

from typing import Any

import numpy as np

try:
    from numpy._core import umath as _umath

    _state: Any = _umath._extobj_contextvar
    _ignore: Any = _umath._make_extobj(all="ignore")
except (ImportError, AttributeError):  # NumPy 1, or one that has renamed them
    _state = None

__all__ = ["restore_warnings", "suppress_warnings"]


def suppress_warnings() -> Any:
    """Begins; returns what `restore_warnings` needs to end it."""
    return np.seterr(all="ignore") if _state is None else _state.set(_ignore)


def restore_warnings(before: Any) -> None:
    """Ends it, in the same thread."""
    if _state is None:
        np.seterr(**before)
    else:
        _state.reset(before)
