"""A network before it meets any weights: operations on tensors of known shape, and the weights they ask for."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = ["Input", "Operation", "Program", "Shape", "Tensor", "Weight", "constant"]

Shape = tuple[int | None, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Tensor:
    """A value of the network; its shape is without the batch, None where a size isn't known."""

    shape: Shape

    @property
    def channels(self) -> int:
        """The size of the last axis, which is always known."""
        size = self.shape[-1]
        assert size is not None
        return size


@dataclass(frozen=True, slots=True)
class Weight:
    """A variable that the network reads.

    Attributes:
        name: Its name within the network's scope, as in `Conv2d_1a_3x3/weights`.
        shape: Its shape.
        part: Of a batch norm: `gamma`, `beta`, `moving_mean` or `moving_variance`.
        absent: What it is where a checkpoint has none of its part; None if it can't be missing.
        usual: Whether the network's own training script makes it.
    """

    name: str
    shape: tuple[int, ...]
    part: str | None = None
    absent: float | None = None
    usual: bool = True


Input = Tensor | Weight | npt.NDArray[Any] | None


@dataclass(frozen=True, slots=True)
class Operation:
    """One node of the IR.

    Attributes:
        op_type: The IR's op.
        source: The layer it comes from.
        inputs: Tensors, weights, constants; None for one that is left out.
        attributes: The op's attributes.
        output: What it computes.
        batch_norm: The batch norm that it is, by name.
    """

    op_type: str
    source: str
    inputs: tuple[Input, ...]
    attributes: Mapping[str, Any]
    output: Tensor
    batch_norm: str | None = None


@dataclass(frozen=True)
class Program:
    """A network: its input, its operations in order, and the tensors that have a name.

    Attributes:
        input: The input.
        operations: In an order in which they can be computed.
        endpoints: Tensors by name: layers within the network's scope, `logits`, `predictions`, ...
    """

    input: Tensor
    operations: tuple[Operation, ...]
    endpoints: Mapping[str, Tensor]

    def needed(self, outputs: Mapping[str, Tensor]) -> Program:
        """The same with the operations alone that these outputs need."""
        wanted, kept = set(outputs.values()), []
        for operation in reversed(self.operations):
            if operation.output in wanted:
                wanted.update(each for each in operation.inputs if isinstance(each, Tensor))
                kept.append(operation)
        return Program(self.input, tuple(reversed(kept)), outputs)

    def weights(self) -> Iterator[Weight]:
        """The weights, in the order in which they are read, each once."""
        seen: dict[str, Weight] = {}
        for operation in self.operations:
            for each in operation.inputs:
                if isinstance(each, Weight) and each.name not in seen:
                    seen[each.name] = each
        return iter(seen.values())


def constant(values: npt.ArrayLike, dtype: npt.DTypeLike = np.float32) -> npt.NDArray[Any]:
    """A constant input of an operation."""
    return np.asarray(values, dtype)
