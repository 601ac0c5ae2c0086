"""Which architecture a checkpoint's tensors are, by their names and shapes alone."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache

from exporter.errors import UsageError
from exporter.zoo.architecture import Architecture, Shapes
from exporter.zoo.fit import Candidate, Fit, compare, scope_of
from exporter.zoo.outputs import select
from exporter.zoo.program import Shape

__all__ = ["fit", "ranked"]


def fit(
    architecture: Architecture,
    stored: Shapes,
    *,
    given: Mapping[str, str] | None = None,
    shape: Shape | None = None,
    outputs: Sequence[str] = (),
) -> Fit | None:
    """An architecture held against all tensors of a checkpoint.

    Args:
        architecture: The architecture.
        stored: All stored tensors, by key.
        given: Options that the user set.
        shape: The input's shape without the batch, if not the published one.
        outputs: Endpoints to export; what they don't need may be missing.

    Returns:
        None if not one of its names is there.

    Raises:
        UsageError: Options or shape don't go with it.
    """
    scope = scope_of(_published_names(architecture), stored, architecture.scope)
    if scope is None:
        return None
    prefix = f"{scope}/" if scope else ""
    inside = {key.removeprefix(prefix): size for key, size in stored.items() if key.startswith(prefix)}
    choices = architecture.choices(inside, given)
    program = architecture.program(choices, shape)
    needed = program.needed(select(architecture, program, scope, outputs))
    every = frozenset(weight.name for weight in program.weights())
    return compare(Candidate(architecture, scope, choices, needed, every), inside, stored)


@lru_cache(maxsize=256)
def _published_names(architecture: Architecture) -> frozenset[str]:
    """The names of its weights with the published options."""
    return frozenset(weight.name for weight in architecture.program(architecture.choices({})).weights())


def ranked(architectures: Iterable[Architecture], stored: Shapes, outputs: Sequence[str] = ()) -> list[Fit]:
    """All that have anything in common with a checkpoint, the best first."""
    found = []
    for architecture in architectures:
        try:
            each = fit(architecture, stored, outputs=outputs)
        except UsageError:
            continue
        if each is not None:
            found.append(each)
    return sorted(found, key=lambda each: (not each.exact, -each.score))
