"""What a layer's lowering function is given: its settings, inputs and weights, and the means to build."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NoReturn

import onnx_ir as ir

from exporter.errors import CorruptError, UnsupportedError
from exporter.lower.keras.dtypes import variable_dtype
from exporter.lower.keras.ops import Ops
from exporter.lower.keras.weights import WeightTable
from exporter.report.diagnosis import NormValues
from exporter.report.records import BatchNorm
from exporter.sources.keras_model import KerasLayer, flatten
from exporter.sources.keras_settings import Settings

__all__ = ["Findings", "LayerContext", "Lower", "Result", "Tensor"]


@dataclass(slots=True, eq=False)
class Tensor:
    """A value between layers, with the mask that Keras hands along with it: bool, [N, T], true where there is data.

    The mask belongs to the tensor, and whoever takes it away does so for all who use the tensor after.
    """

    value: ir.Value
    mask: ir.Value | None = None


Result = ir.Value | Tensor | tuple[ir.Value | Tensor, ...]
"""What a layer gives: a value, one with a mask of its own, or several."""


class Findings:
    """What lowering has to say beside the model: batch norms and their values by name; warnings, each of them once."""

    def __init__(self) -> None:
        self.batch_norms: dict[str, BatchNorm] = {}
        self.norms: dict[str, NormValues] = {}
        self.warnings: dict[str, None] = {}

    def warn(self, text: str) -> None:
        """Notes a warning, once."""
        self.warnings[text] = None


@dataclass(frozen=True)
class LayerContext:
    """One call of one layer.

    Attributes:
        ops: Builds nodes.
        layer: The layer.
        path: Names of the models around it, and its own; attributes of the parts in between.
        args: Positional arguments, tensors as `Tensor`.
        kwargs: Arguments by name, likewise.
        weights: Of the whole model.
        findings: Where a batch norm or a warning goes.
        major: The version of Keras that wrote the configuration: 2 or 3.
        lower: Lowers a layer inside this one: (layer, path, arguments) -> what it gives.
        used: Positions and names of the arguments that have been asked for.
    """

    ops: Ops
    layer: KerasLayer
    path: tuple[str, ...]
    args: tuple[Any, ...]
    kwargs: Mapping[str, Any]
    weights: WeightTable
    findings: Findings
    major: int
    lower: Callable[[KerasLayer, tuple[str, ...], Sequence[Any]], tuple[Tensor, ...]]
    used: set[int | str] = field(default_factory=set)

    @property
    def settings(self) -> Settings:
        """The layer's configuration."""
        return self.layer.settings

    @property
    def name(self) -> str:
        """The layer's path as text: `encoder/bn1`."""
        return "/".join(self.path)

    @property
    def tensors(self) -> tuple[Tensor, ...]:
        """The tensors of the first argument."""
        self.used.add(0)
        return tuple(leaf for leaf in flatten(self.args[0] if self.args else None) if isinstance(leaf, Tensor))

    @property
    def xs(self) -> tuple[ir.Value, ...]:
        """Their values."""
        return tuple(tensor.value for tensor in self.tensors)

    @property
    def x(self) -> ir.Value:
        """The value of the first argument, if it is one tensor."""
        if len(self.tensors) != 1:
            raise CorruptError(f"{self.settings.owner} is called with {len(self.tensors)} tensors, expected one")
        return self.tensors[0].value

    @property
    def mask(self) -> ir.Value | None:
        """The mask of the first tensor, or the one given by name."""
        given = self.kwargs.get("mask")
        if isinstance(given, Tensor):
            return given.value
        return self.tensors[0].mask if self.tensors else None

    @property
    def dtype(self) -> ir.DataType:
        """The type of the layer's weights, which it computes in."""
        return variable_dtype(self.settings)

    @property
    def channels_first(self) -> bool:
        """Whether the layer's tensors are [N, C, *space]."""
        return self.settings.choice("data_format", {"channels_last": False, "channels_first": True}, "channels_last")

    def argument(self, name: str, position: int) -> Any:
        """An argument given by name or position; None where it isn't given."""
        self.used.update((name, position))
        if name in self.kwargs:
            return self.kwargs[name]
        return self.args[position] if position < len(self.args) else None

    def channels(self, x: ir.Value, axis: int = -1) -> int:
        """The size of an axis that has to be known."""
        size = self.ops.size(x, axis)
        if not isinstance(size, int):
            raise UnsupportedError(f"{self.settings.owner}: the size of axis {axis} of its input isn't known")
        return size

    def weight(self, name: str, shape: Sequence[int]) -> ir.Value:
        """A weight of the layer; CorruptError if it is stored in another shape than the configuration makes it."""
        return self.weights.value("/".join((*self.path, name)), shape, self.dtype)

    def has(self, name: str) -> bool:
        """Whether a weight is stored."""
        return self.weights.has("/".join((*self.path, name)))

    def refuse(self, reason: str) -> NoReturn:
        """UnsupportedError that names the layer."""
        raise UnsupportedError(f"{self.settings.owner}: {reason}")


Lower = Callable[[LayerContext], Result]
