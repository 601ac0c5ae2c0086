"""Draws specifications: inputs, layers and how they are joined, sizes, magnitudes, and how the model is saved."""

from __future__ import annotations

import random
from collections.abc import Mapping
from typing import Any

from tests.wild.family import Spec
from tests.wild.keras_models.layers import KINDS, MASKED

__all__ = ["SAVED", "draw", "draw_masked"]

SAVED = {
    2: ["keras", "h5", "weights", "saved_model", "checkpoint"],
    3: ["keras", "h5", "weights", "export", "checkpoint"],
}
"""The kinds of files of each version of Keras."""

_MAGNITUDES = ["plain", "plain", "plain", "offset", "variances", "large", "zero"]


def draw(rng: random.Random) -> Spec:
    """A model of 2 to 14 layers."""
    major = rng.choice([2, 3])
    inputs = [_input(rng) for _ in range(rng.choice([1, 1, 1, 2, 2, 3]))]
    return {
        "major": major,
        "saved": rng.choice(SAVED[major]),
        "seed": rng.randrange(1 << 30),
        "magnitude": rng.choice(_MAGNITUDES),
        "dtype": rng.choice(["float32"] * 12 + ["float16", "mixed_float16"]),
        "inputs": inputs,
        "nodes": [
            *(_embedding(rng, place) for place, each in enumerate(inputs) if each["words"]),
            *_nodes(rng, major, rng.randint(2, 14), depth=0),
        ],
        "outputs": rng.choice([1, 1, 2, 3]),
    }


def _embedding(rng: random.Random, place: int) -> dict[str, Any]:
    return {"kind": "Embedding", "options": KINDS["Embedding"].draw(rng), "of": place}


def draw_masked(rng: random.Random) -> Spec:
    """A model of 2 to 9 layers behind embeddings and series with masks."""
    spec = draw(rng)
    spec["magnitude"], spec["dtype"] = "plain", "float32"
    spec["inputs"] = [_series(rng) for _ in range(rng.choice([1, 2, 2, 3]))]
    spec["nodes"] = [
        *(_masking(rng, each, place) for place, each in enumerate(spec["inputs"])),
        *_nodes(rng, spec["major"], rng.randint(2, 9), depth=0, weights=MASKED),
    ]
    return spec


def _series(rng: random.Random) -> dict[str, Any]:
    size, words = rng.choice([5, 5, 5, 3]), rng.random() < 0.6
    channels = [] if words else [rng.choice([3, 4, 4])]
    shape = [None if rng.random() < 0.4 else size, *channels]
    return {"shape": shape, "fed": [size, *channels], "words": words}


def _masking(rng: random.Random, given: dict[str, Any], place: int) -> dict[str, Any]:
    """The layer that begins a mask, most of the time, of this input."""
    masks = rng.random() < 0.85
    node: dict[str, Any] = {"kind": "Masking" if masks else "Dense", "options": {} if masks else {"units": 4}}
    if given["words"]:
        node = {
            "kind": "Embedding",
            "options": {"input_dim": 9, "output_dim": rng.choice([4, 4, 3]), "mask_zero": masks},
        }
    return {**node, "of": place}


def _input(rng: random.Random) -> dict[str, Any]:
    rank = rng.choice([0, 2, 3, 3, 4, 4, 4, 5])
    space = {0: [rng.choice([3, 6])], 2: [], 3: [rng.choice([4, 7])], 4: [6, rng.choice([6, 9])], 5: [3, 5, 6]}[rank]
    opened = rng.choice(["none", "none", "first", "all"])
    shape = [None if opened == "all" or (opened == "first" and not i) else size for i, size in enumerate(space)]
    channels = [] if rank == 0 else [rng.choice([2, 3, 4])]
    return {"shape": [*shape, *channels], "fed": [*space, *channels], "words": rank == 0}


def _nodes(
    rng: random.Random, major: int, count: int, depth: int, weights: Mapping[str, int] | None = None
) -> list[dict[str, Any]]:
    often = weights or {name: kind.weight for name, kind in KINDS.items()}
    names = [name for name in often if major in KINDS[name].majors]
    nodes = []
    for _ in range(count):
        name = rng.choices(names, [often[each] for each in names])[0]
        node: dict[str, Any] = {"kind": name, "options": KINDS[name].draw(rng)}
        if rng.random() < 0.08 and depth < 2:
            way = rng.choice(["functional", "sequential"])
            inner = _nodes(rng, major, rng.randint(1, 4), depth + 1, weights)
            node = {"kind": "model", "options": {"way": way}, "nodes": inner}
        if rng.random() < 0.06:
            node["again"] = True
        nodes.append({**node, "at": round(rng.random() ** 2, 3)})
    return nodes
