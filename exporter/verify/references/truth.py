"""What outputs are compared with. Each kind says what it can't find."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
import onnx_ir as ir

import runtime
from exporter.errors import CorruptError, MissingError
from exporter.verify.compare import FACTOR, Array, scale
from exporter.verify.inputs.exercise import exercise
from exporter.verify.references.unfolded_model import Reference, reference_run

__all__ = ["Computed", "Recorded", "Truth", "UnfoldedModel", "recorded_in_bundle"]

Feeds = Mapping[str, Array]


class Truth(Protocol):
    """Gives inputs and the outputs that belong to them.

    Attributes:
        description: What it is, as "the unfolded model in float64".
        blind_spot: What mistakes a comparison with it can't find.
        given: Whether its inputs are somebody's, not made up here.
    """

    @property
    def description(self) -> str:
        """What it is."""
        ...

    @property
    def blind_spot(self) -> str:
        """What a comparison with it can't find."""
        ...

    @property
    def given(self) -> bool:
        """Whether its inputs are somebody's."""
        ...

    def runs(self, data: Feeds | None) -> list[Reference]:
        """One reference for each set of inputs: for `data`, or where that is None for inputs of its own."""
        ...


@dataclass(frozen=True)
class UnfoldedModel:
    """The model before any pass, computed in float64 by `runtime.kernels`."""

    model: ir.Model
    description: str = "the unfolded model, computed in float64"
    blind_spot: str = "mistakes made before folding: in reading the source, or in translating its ops"
    given: bool = False

    def runs(self, data: Feeds | None) -> list[Reference]:
        """With the noise of float32 measured on the same inputs."""
        return [reference_run(self.model, one) for one in _feeds(self.model, data)]


@dataclass(frozen=True)
class Recorded:
    """Inputs and outputs that were stored, by the user or in the bundle."""

    references: Sequence[Reference]
    description: str = "recorded outputs"
    blind_spot: str = "mistakes that the recorded inputs don't touch, nor ones in how the outputs were recorded"
    given: bool = True

    def runs(self, data: Feeds | None) -> list[Reference]:
        """What was recorded; other inputs have no recorded outputs, so that `data` has to be None."""
        return list(self.references)


@dataclass(frozen=True)
class Computed:
    """Outputs that somebody else computes, as TensorFlow from the source.

    Attributes:
        compute: Outputs by name from inputs by name.
        model: The unfolded model of the same source, which tells what to feed.
    """

    compute: Callable[[Feeds], Mapping[str, Array]]
    model: ir.Model
    description: str = "TensorFlow's outputs"
    blind_spot: str = "mistakes that the inputs don't touch"
    given: bool = False

    def runs(self, data: Feeds | None) -> list[Reference]:
        """Computed now."""
        return [Reference(one, self.compute(one)) for one in _feeds(self.model, data)]


def _feeds(model: ir.Model, data: Feeds | None) -> list[Feeds]:
    return [one.feeds for one in exercise(model).sets] if data is None else [data]


def recorded_in_bundle(path: Path) -> Recorded:
    """The probes of a bundle, as the truth.

    Raises:
        CorruptError: The file isn't a sound bundle.
        MissingError: There are no probes in it.
    """
    try:
        net = runtime.load(path, calibrate=False)
    except runtime.NetError as error:
        raise CorruptError(f"{path} can't be loaded: {error}") from error
    if not net.probes:
        raise MissingError(
            f"{path} holds no recorded outputs", hint="Give a source with --against, or inputs and outputs with --data"
        )
    return Recorded(
        [Reference(probe.inputs, probe.outputs, _noise(probe)) for probe in net.probes],
        "the outputs recorded in the bundle at export",
        "mistakes made before folding, nor ones that its few inputs don't touch",
        given=False,
    )


def _noise(probe: runtime.Probe) -> dict[str, float]:
    """The noise that the tolerances of a probe stand for."""
    return {
        name: probe.tolerances[name] / FACTOR / max(float(np.max(scale(array), initial=0.0)), 1e-300)
        for name, array in probe.outputs.items()
    }
