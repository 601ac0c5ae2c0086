"""Checkpoints whose tensors have the right names and absurd shapes, or absurd names."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from exporter.zoo.recognise import ranked
from exporter.zoo.registry import ARCHITECTURES
from tests.unit.zoo.stores import shapes_of

Shape = tuple[int, ...]

_ABSURD: dict[str, Callable[[Shape], Shape]] = {
    "scalars": lambda shape: (),
    "empty": lambda shape: (0,) * len(shape),
    "ones": lambda shape: (1,) * len(shape),
    "vast": lambda shape: (2**62,) * len(shape),
    "vectors": lambda shape: shape[-1:],
    "deeper": lambda shape: (*shape, 1, 1),
}


@pytest.mark.parametrize("kind", _ABSURD)
@pytest.mark.parametrize("name", ARCHITECTURES)
def test_absurd_shapes_fit_nothing_and_break_nothing(name: str, kind: str) -> None:
    """They are differences, whatever the options make of them; but an autoencoder may be of single neurons."""
    shapes = {key: _ABSURD[kind](shape) for key, shape in shapes_of(name).items()}
    absurd = kind != "ones" or ARCHITECTURES[name].generic is None
    assert absurd != any(fit.exact for fit in ranked([ARCHITECTURES[name]], shapes))


def test_deep_names_take_no_time() -> None:
    """A name of thousands of scopes is looked at from its end alone."""
    shapes = shapes_of("cifar10") | {"/".join(["a1"] * 30_000) + f"/{number}": (1,) for number in range(20)}
    best = ranked(ARCHITECTURES.values(), shapes)[0]
    assert best.architecture.name == "cifar10"
    assert "20 that the network doesn't have" in best.differences()[-1]
