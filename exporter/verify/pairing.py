"""Inputs and outputs of a file that another exporter wrote, paired with the source's: by name, else by shape."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from exporter.verify.compare import Array
from exporter.verify.engines import Engine, Feeds

__all__ = ["pair", "paired"]

Sizes = Sequence[object]


def pair(wanted: Mapping[str, Sequence[int]], found: Mapping[str, Sizes]) -> dict[str, str]:
    """For each name that is wanted the name in the file: the same, the same but for `:0`, or the only one that fits.

    Args:
        wanted: Shapes by name.
        found: Shapes by name; what is no number there fits any size.
    """
    pairs = {name: name for name in wanted if name in found}
    for name in wanted:
        plain = [other for other in found if other not in pairs.values() and _plain(other) == _plain(name)]
        if name not in pairs and len(plain) == 1:
            pairs[name] = plain[0]
    for name, shape in wanted.items():
        if name not in pairs:
            fitting = [other for other in found if other not in pairs.values() and _fits(shape, found[other])]
            rivals = [one for one in wanted if one not in pairs and one != name and _fits(wanted[one], shape)]
            if len(fitting) == 1 and not rivals:
                pairs[name] = fitting[0]
    return pairs


def paired(engine: Engine, inputs: Mapping[str, Array], outputs: Mapping[str, Array]) -> tuple[Engine, list[str]]:
    """An engine that goes by the source's names, and what was paired under different ones."""
    given = pair({name: array.shape for name, array in inputs.items()}, engine.input_shapes)
    made = pair({name: array.shape for name, array in outputs.items()}, engine.output_shapes)
    other = [f"{theirs} is taken for {own}" for own, theirs in {**given, **made}.items() if own != theirs]
    if not other:
        return engine, []
    names = {theirs: own for own, theirs in made.items()}

    def run(feeds: Feeds) -> dict[str, Array]:
        results = engine.run({given.get(name, name): array for name, array in feeds.items()})
        return {names.get(name, name): array for name, array in results.items()}

    return replace(engine, run=run, outputs=tuple(names.get(name, name) for name in engine.outputs)), other


def _plain(name: str) -> str:
    return name.removesuffix(":0")


def _fits(shape: Sequence[int], sizes: Sizes) -> bool:
    return len(shape) == len(sizes) and all(
        not isinstance(size, int) or size == own for own, size in zip(shape, sizes, strict=True)
    )
