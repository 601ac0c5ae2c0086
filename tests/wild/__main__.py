"""`python -m tests.wild --seconds N --seed S [--kind K] [--most N]`; exit status 1 if a model failed."""

from __future__ import annotations

import argparse
import importlib
import json
import sys

from tests.wild.family import Family
from tests.wild.hunt import hunt, outcome_of
from tests.wild.judge import RIGHT

_FAMILIES = {
    "keras": ("tests.wild.keras_models", "FAMILY"),
    "masks": ("tests.wild.keras_models", "MASKS"),
    "tf1": ("tests.wild.tf1", "FAMILY"),
}
"""The module of each kind, and its family's name in it; imported when asked for: kinds don't share one TensorFlow."""


def _family(kind: str) -> Family:
    module, name = _FAMILIES[kind]
    found = getattr(importlib.import_module(module), name)
    assert isinstance(found, Family)
    return found


def main() -> int:
    """Hunts, or judges one specification again."""
    parser = argparse.ArgumentParser(prog="python -m tests.wild", description=__doc__)
    parser.add_argument("--seconds", type=float, default=120)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--most", type=int, help="how many models at most")
    parser.add_argument("--kind", choices=sorted(_FAMILIES), default="tf1")
    parser.add_argument("--spec", help="judge this model alone, as the tally prints it")
    arguments = parser.parse_args()
    family = _family(arguments.kind)
    if arguments.spec:
        outcome = outcome_of(family, json.loads(arguments.spec), with_verify=True)
        print(f"{outcome.cause}: {outcome.text}")
        return int(outcome.kind != RIGHT)
    tally = hunt(family, seconds=arguments.seconds, seed=arguments.seed, most=arguments.most)
    print(tally.text())
    return int(set(tally.causes) != {RIGHT})


if __name__ == "__main__":
    sys.exit(main())
