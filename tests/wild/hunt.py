"""Draws models of a family until the time is up, shrinks those that fail, and sorts them by cause."""

from __future__ import annotations

import json
import random
import shutil
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from tests.wild.family import Family, IllegalSpecError, Spec
from tests.wild.judge import RIGHT, Outcome, judge

__all__ = ["Found", "Tally", "hunt", "outcome_of", "shrink"]


@dataclass(frozen=True)
class Found:
    """The smallest model that was found of a cause."""

    seed: int
    spec: Spec
    outcome: Outcome


@dataclass
class Tally:
    """What came of a hunt.

    Attributes:
        causes: How many models there are of each cause, `right` among them.
        found: For each cause but `right`, a small model of it.
        illegal: How many specifications gave no model.
    """

    causes: Counter[str] = field(default_factory=Counter)
    found: dict[str, Found] = field(default_factory=dict)
    illegal: int = 0

    def text(self) -> str:
        """A line for each cause, the most frequent first, each with its smallest model."""
        lines = [f"{sum(self.causes.values())} models, {self.causes[RIGHT]} right, {self.illegal} drawn in vain"]
        for cause, count in self.causes.most_common():
            if cause != RIGHT:
                found = self.found[cause]
                lines += [f"{count:5} {cause}", f"      seed {found.seed}: {found.outcome.text}"]
                lines.append(f"      {json.dumps(found.spec, sort_keys=True)}")
        return "\n".join(lines)


def outcome_of(family: Family, spec: Spec, *, with_verify: bool = False) -> Outcome:
    """Builds a model in a folder of its own, and judges it.

    Raises:
        IllegalSpecError: There is no model of this specification.
    """
    folder = Path(tempfile.mkdtemp(prefix="wild-"))
    try:
        (folder / "model").mkdir()
        return judge(family.build(spec, folder / "model"), folder, with_verify=with_verify)
    finally:
        shutil.rmtree(folder)


def shrink(family: Family, spec: Spec, cause: str, *, seconds: float = 20) -> Spec:
    """The smallest specification that fails for the same cause, as far as one step at a time gets to it."""
    end = time.monotonic() + seconds
    while True:
        for smaller in family.smaller(spec):
            if time.monotonic() > end:
                return spec
            try:
                same = outcome_of(family, smaller).cause == cause
            except IllegalSpecError:
                continue
            if same:
                spec = smaller
                break
        else:
            return spec


def hunt(
    family: Family, *, seconds: float, seed: int, most: int | None = None, say: Callable[[str], None] = print
) -> Tally:
    """Models of seeds from `seed` on until the time is up, or there are enough of them.

    Args:
        family: The kind of models.
        seconds: How long.
        seed: The first model's; the same seed gives the same models.
        most: How many models at most.
        say: Is told of each new cause.
    """
    tally, end = Tally(), time.monotonic() + seconds
    while time.monotonic() < end and (most is None or sum(tally.causes.values()) < most):
        spec = family.draw(random.Random(seed))
        seed += 1
        try:
            outcome = outcome_of(family, spec)
        except IllegalSpecError:
            tally.illegal += 1
            continue
        tally.causes[outcome.cause] += 1
        if outcome.kind != RIGHT and outcome.cause not in tally.found:
            small = shrink(family, spec, outcome.cause)
            tally.found[outcome.cause] = Found(seed - 1, small, outcome)
            say(f"seed {seed - 1}: {outcome.cause}: {outcome.text}\n  {json.dumps(small, sort_keys=True)}")
    return tally
