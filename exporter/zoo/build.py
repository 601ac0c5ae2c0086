"""A network with its weights as the unfolded IR model."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import onnx_ir as ir

from exporter.errors import ValueInputError
from exporter.ir.builder import Builder
from exporter.report.diagnosis import NormValues, diagnose, with_statistics
from exporter.report.records import BatchNorm
from exporter.zoo.architecture import Preprocessing
from exporter.zoo.fit import Candidate
from exporter.zoo.program import Input, Operation, Tensor, Weight
from exporter.zoo.weights import Weights

__all__ = ["Built", "InputSpec", "build"]


@dataclass(frozen=True, slots=True)
class InputSpec:
    """What the model's input is to be.

    Attributes:
        name: Its name.
        batch: The batch size; None for any.
        preprocessing: What to do with it first, in the graph.
    """

    name: str
    batch: int | None
    preprocessing: Preprocessing | None


@dataclass(frozen=True, slots=True)
class Built:
    """The model, and what is to be said of its batch norms.

    Attributes:
        model: The IR model.
        batch_norms: Where the parameters of each came from.
        warnings: Of statistics that can't be meant.
    """

    model: ir.Model
    batch_norms: tuple[BatchNorm, ...]
    warnings: tuple[str, ...]


def build(candidate: Candidate, weights: Weights, spec: InputSpec) -> Built:
    """Writes the network down with the IR's builder.

    Raises:
        ValueInputError: A stored variance is negative, or a number isn't finite.
    """
    builder = _Building(candidate, weights)
    builder.start(spec)
    for operation in candidate.program.operations:
        builder.append(operation)
    model = builder.ir.finish({name: builder.value(x) for name, x in candidate.program.endpoints.items()})
    steps = weights.steps()
    return Built(
        model, with_statistics(builder.batch_norms, builder.norms, steps), tuple(diagnose(builder.norms, steps))
    )


class _Building:
    """The values that exist so far."""

    def __init__(self, candidate: Candidate, weights: Weights) -> None:
        self.ir = Builder(candidate.architecture.name)
        self.batch_norms: list[BatchNorm] = []
        self.norms: list[NormValues] = []
        self._candidate, self._weights = candidate, weights
        self._tensors: dict[Tensor, ir.Value] = {}
        self._variables: dict[str, ir.Value] = {}

    def start(self, spec: InputSpec) -> None:
        """The input, and what happens to it before the network."""
        program = self._candidate.program
        shape = ("N" if spec.batch is None else spec.batch, *program.input.shape)
        value = self.ir.input(spec.name, ir.DataType.FLOAT, shape)
        if spec.preprocessing is not None:
            with self.ir.source("preprocessing"):
                scale, shift = spec.preprocessing.constants()
                value = value if (scale == 1).all() else self.ir.op("Mul", value, self.ir.constant(scale))
                value = self.ir.op("Add", value, self.ir.constant(shift))
        self._tensors[program.input] = value

    def append(self, operation: Operation) -> None:
        """One operation."""
        source, metadata = self._candidate.key(operation.source), {}
        if operation.batch_norm is not None:
            metadata["batch_norm"] = source
            self._describe(source, operation)
        with self.ir.source(source, **metadata):
            inputs = [self.value(each) for each in operation.inputs]
            self._tensors[operation.output] = self.ir.op(operation.op_type, *inputs, **operation.attributes)

    def value(self, each: Input) -> Any:
        """The IR's value of an operation's input."""
        if each is None:
            return None
        if isinstance(each, Tensor):
            return self._tensors[each]
        if not isinstance(each, Weight):
            return self.ir.constant(each)
        if each.name not in self._variables:
            name, read = self._candidate.key(each.name), self._weights.reader(each)
            self._variables[each.name] = self.ir.weight(name, ir.DataType.FLOAT, each.shape, read)
        return self._variables[each.name]

    def _describe(self, name: str, operation: Operation) -> None:
        """Notes where the parameters of a batch norm came from; keeps the values for the diagnosis."""
        parts = {each.part: each for each in operation.inputs if isinstance(each, Weight)}
        origins = {}
        for part, weight in parts.items():
            key = self._weights.key(weight)
            absent = "1 (scale=False)" if part == "gamma" else "0 (center=False)"
            origins[part] = absent if key is None else f"stored as {key}"
        gamma, mean, variance = (
            self._weights.reader(parts[part])() for part in ("gamma", "moving_mean", "moving_variance")
        )
        if (variance < 0).any():
            raise ValueInputError(
                f"batch norm {name}: the variance stored as {self._weights.key(parts['moving_variance'])} is negative, "
                f"{float(variance.min()):g} at least"
            )
        epsilon = operation.attributes["epsilon"]
        self.norms.append(NormValues(name, epsilon, gamma, mean, variance))
        self.batch_norms.append(
            BatchNorm(
                name=name,
                channels=parts["gamma"].shape[0],
                epsilon=float(epsilon),
                gamma=origins["gamma"],
                beta=origins["beta"],
                mean=origins["moving_mean"],
                variance=origins["moving_variance"],
            )
        )
