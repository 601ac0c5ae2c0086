"""What a family of random models is: it draws specifications, and builds the model of one."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.e2e.recorded import Array

__all__ = ["Built", "Family", "IllegalSpecError", "Spec", "without_one_part"]

Spec = dict[str, Any]
"""All that was drawn of a model, as JSON: the same specification builds the same model."""


class IllegalSpecError(Exception):
    """A specification that no model can be built of, such as one that shrinking has cut too much out of."""


@dataclass(frozen=True)
class Built:
    """A saved model, and what TensorFlow says of it.

    Attributes:
        source: What to export.
        inputs: What was fed, by the names that the exported model has to give its inputs.
        expected: The outputs at inference, by the names that it has to give its outputs.
        named: The arguments of `exporter.export` that name inputs and outputs; empty where the file says them.
        noise: For each output, how far it moves when inputs and weights move by one rounding; 0 where left out.
        options: Arguments of `exporter.export` that a person too would have to give.
        spare: Outputs that may be there or not when none is named, such as the classes beside the logits.
    """

    source: Path
    inputs: Mapping[str, Array]
    expected: Mapping[str, Array]
    named: Mapping[str, Any] = field(default_factory=dict)
    noise: Mapping[str, float] = field(default_factory=dict)
    options: Mapping[str, Any] = field(default_factory=dict)
    spare: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Family:
    """A kind of random models.

    Attributes:
        name: What `--kind` calls it.
        draw: Draws the specification of a model.
        build: Builds and saves the model of a specification in a folder; raises `IllegalSpecError` where there is none.
        smaller: Specifications of smaller models, to shrink one that fails; each is tried in turn.
    """

    name: str
    draw: Callable[[random.Random], Spec]
    build: Callable[[Spec, Path], Built]
    smaller: Callable[[Spec], Iterator[Spec]]


def without_one_part(spec: Spec) -> Iterator[Spec]:
    """The specification without one element of one of its lists, however deep, for each of them."""
    yield from (shrunk for shrunk in _without(spec) if isinstance(shrunk, dict))


def _without(value: Any) -> Iterator[Any]:
    if isinstance(value, list):
        for i in range(len(value)):
            yield [*value[:i], *value[i + 1 :]]
    items = (
        list(enumerate(value)) if isinstance(value, list) else list(value.items()) if isinstance(value, dict) else []
    )
    for key, inner in items:
        for smaller in _without(inner):
            copied = value.copy()
            copied[key] = smaller
            yield copied
