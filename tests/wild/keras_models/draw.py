"""Draws specifications: inputs, layers and how they are joined, sizes, magnitudes, and how the model is saved."""

from __future__ import annotations

import random
from typing import Any

from tests.wild.family import Spec
from tests.wild.keras_models.layers import KINDS

__all__ = ["SAVED", "draw"]

SAVED = {
    2: ["keras", "h5", "weights", "saved_model", "checkpoint"],
    3: ["keras", "h5", "weights", "export", "checkpoint"],
}
"""The kinds of files of each version of Keras."""

_MAGNITUDES = ["plain", "plain", "plain", "offset", "variances", "large", "zero"]


def draw(rng: random.Random) -> Spec:
    """A model of 2 to 14 layers."""
    major = rng.choice([2, 3])
    return {
        "major": major,
        "saved": rng.choice(SAVED[major]),
        "seed": rng.randrange(1 << 30),
        "magnitude": rng.choice(_MAGNITUDES),
        "dtype": rng.choice(["float32"] * 12 + ["float16", "mixed_float16"]),
        "inputs": [_input(rng) for _ in range(rng.choice([1, 1, 1, 2, 2, 3]))],
        "nodes": _nodes(rng, major, rng.randint(2, 14), depth=0),
        "outputs": rng.choice([1, 1, 2, 3]),
    }


def _input(rng: random.Random) -> dict[str, Any]:
    rank = rng.choice([0, 2, 3, 3, 4, 4, 4, 5])
    space = {0: [rng.choice([3, 6])], 2: [], 3: [rng.choice([4, 7])], 4: [6, rng.choice([6, 9])], 5: [3, 5, 6]}[rank]
    opened = rng.choice(["none", "none", "first", "all"])
    shape = [None if opened == "all" or (opened == "first" and not i) else size for i, size in enumerate(space)]
    channels = [] if rank == 0 else [rng.choice([2, 3, 4])]
    return {"shape": [*shape, *channels], "fed": [*space, *channels], "words": rank == 0}


def _nodes(rng: random.Random, major: int, count: int, depth: int) -> list[dict[str, Any]]:
    names = [name for name, kind in KINDS.items() if major in kind.majors]
    weights = [KINDS[name].weight for name in names]
    nodes = []
    for _ in range(count):
        name = rng.choices(names, weights)[0]
        node: dict[str, Any] = {"kind": name, "options": KINDS[name].draw(rng)}
        if rng.random() < 0.08 and depth < 2:
            way = rng.choice(["functional", "sequential"])
            node = {"kind": "model", "options": {"way": way}, "nodes": _nodes(rng, major, rng.randint(1, 4), depth + 1)}
        if rng.random() < 0.06:
            node["again"] = True
        nodes.append({**node, "at": round(rng.random() ** 2, 3)})
    return nodes
