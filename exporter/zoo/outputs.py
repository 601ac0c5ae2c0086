"""Which tensors of a network are its results: the published ones, or layers that the user names."""

from __future__ import annotations

from collections.abc import Sequence
from difflib import get_close_matches

from exporter.errors import UsageError
from exporter.zoo.architecture import Architecture
from exporter.zoo.program import Program, Tensor

__all__ = ["select"]


def select(architecture: Architecture, program: Program, scope: str, asked: Sequence[str]) -> dict[str, Tensor]:
    """Outputs by the names that they are to have.

    Args:
        architecture: The architecture.
        program: Its network.
        scope: The scope that a name may begin with.
        asked: Layers as `Mixed_7c`, `InceptionV3/Mixed_7c` or with `:0`; empty for the published result.

    Raises:
        UsageError: There is no such layer.
    """
    if not asked:
        name = next(name for name in architecture.outputs if name in program.endpoints)
        return {name: program.endpoints[name]}
    found = {}
    for name in asked:
        plain = name.removesuffix(":0")
        spellings = (plain, plain.removeprefix(f"{scope}/"), plain.removeprefix(f"{architecture.scope}/"))
        endpoint = next((spelling for spelling in spellings if spelling in program.endpoints), None)
        if endpoint is None:
            close = get_close_matches(plain.removeprefix(f"{scope}/"), program.endpoints, n=3, cutoff=0.5)
            last = list(program.endpoints)[-4:]
            hint = f"Did you mean {', '.join(close)}?" if close else f"The last ones are {', '.join(last)}"
            raise UsageError(f"--output {name}: {architecture.name} has no layer of that name", hint=hint)
        found[plain] = program.endpoints[endpoint]
    return found
