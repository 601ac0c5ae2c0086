"""Every layer but convolutions, as loops that a person reads: one function for each op."""

from __future__ import annotations

from collections.abc import Callable

from exporter.targets.c_program.call import Call
from exporter.targets.c_program.elementwise import ELEMENTWISE
from exporter.targets.c_program.moving import MOVING
from exporter.targets.c_program.sums import SUMS
from exporter.targets.c_program.windows import WINDOWS

__all__ = ["GENERIC"]

GENERIC: dict[str, Callable[[Call], list[str]]] = {**ELEMENTWISE, **MOVING, **SUMS, **WINDOWS}
"""The code of each op's body; NotImplementedError for a form that isn't there."""
