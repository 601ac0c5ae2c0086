"""What tests ask of a net that the engine runs."""

from __future__ import annotations

from runtime.engine.executor import Compiled
from runtime.net import Net

__all__ = ["compiled"]


def compiled(net: Net) -> Compiled:
    """Return the engine behind a net."""
    assert isinstance(net.executor, Compiled)
    return net.executor
