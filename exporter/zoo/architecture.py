"""An architecture: how its network is written down, and what of it the weights and the user decide."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from math import ceil

import numpy as np

from exporter.errors import ExportError, UsageError
from exporter.formats.records import Array
from exporter.report.decisions import Details, Reason
from exporter.zoo.net import Net
from exporter.zoo.program import Program, Shape
from exporter.zoo.style import Style

__all__ = ["Architecture", "Choices", "Option", "Preprocessing", "Shapes"]

Shapes = Mapping[str, tuple[int, ...]]
"""Stored tensors by their names within the network's scope."""

Value = int | float | str

_LARGEST = 2**24
"""No channel count or flattened image of a network is larger."""


@dataclass(frozen=True, slots=True)
class Option:
    """Something that the architecture leaves open.

    Attributes:
        name: What `--set` calls it.
        default: The published value; its type is the option's type.
        help: What it is.
        tensor: A tensor one of whose sizes tells the value.
        per: What that size is divided by.
        axis: Which of its sizes.
    """

    name: str
    default: Value
    help: str
    tensor: str | None = None
    per: int | None = None
    axis: int = -1

    def stored(self, shapes: Shapes) -> Value | None:
        """The value that the weights tell; None if they don't."""
        shape = None if self.tensor is None else shapes.get(self.tensor)
        if not shape or not -len(shape) <= self.axis < len(shape):
            return None
        return shape[self.axis] if self.per is None else _factor(shape[self.axis], self.per)

    def parse(self, text: str) -> Value:
        """The value that the user gave.

        Raises:
            UsageError: It isn't of the option's type.
        """
        try:
            value = type(self.default)(text)
        except ValueError:
            kind = type(self.default).__name__
            raise UsageError(f"--set {self.name}={text}: {self.help}, and {text!r} is no {kind}") from None
        if not isinstance(value, str) and value <= 0:
            raise UsageError(f"--set {self.name}={text}: {self.help}, and it has to be positive")
        return value


def _factor(size: int, whole: int) -> float:
    """The factor that makes `size` of `whole`: the quotient if it is short, else the shortest, with rounding down."""
    for digits in range(4):
        factor = round(size / whole, digits)
        if factor * whole == size:
            return factor
    for digits in range(1, 6):
        factor = float(ceil(size / whole * 10**digits) / 10**digits)
        if int(factor * whole) == size:
            return factor
    return size / whole


class Choices:
    """The options' values: what the user says, else what the weights tell, else the published default.

    Args:
        options: The architecture's options.
        given: By the user, as text.
        shapes: The stored tensors.

    Raises:
        UsageError: The user gave one that there isn't, or one of the wrong type.
    """

    def __init__(self, options: Sequence[Option], given: Mapping[str, str], shapes: Shapes) -> None:
        self.shapes = shapes
        self.values: dict[str, Value] = {}
        self.origins: dict[str, tuple[Reason, Details]] = {}
        unknown = sorted(set(given) - {option.name for option in options})
        if unknown:
            known = ", ".join(f"{o.name} ({o.help}; {o.default})" for o in options) or "none"
            raise UsageError(f"--set {unknown[0]}: the architecture has no such option", hint=f"It has: {known}")
        for option in options:
            stored = option.stored(shapes)
            origin: tuple[Reason, Details]
            if option.name in given:
                value, origin = option.parse(given[option.name]), (Reason.OPTION_GIVEN, {})
            elif stored is not None:
                value, origin = stored, (Reason.OPTION_TOLD, {"tensor": str(option.tensor)})
            else:
                value, origin = option.default, (Reason.OPTION_PUBLISHED, {})
            self.values[option.name], self.origins[option.name] = value, origin

    def integer(self, name: str) -> int:
        """An option's value as a whole number."""
        return int(self.values[name])

    def real(self, name: str) -> float:
        """An option's value as a number."""
        return float(self.values[name])

    def text(self, name: str) -> str:
        """An option's value as text."""
        return str(self.values[name])

    def has(self, tensor: str) -> bool:
        """Whether a tensor is stored."""
        return tensor in self.shapes

    def channels(self, tensor: str, default: int) -> int:
        """The last size of a stored tensor."""
        shape = self.shapes.get(tensor)
        return shape[-1] if shape else default


@dataclass(frozen=True, slots=True)
class Preprocessing:
    """What the published weights were trained to see: `image * scale + shift` of RGB values from 0 to 255.

    Attributes:
        scale: One number for all channels, or one each; none where it is no multiplication by constants.
        shift: Likewise.
        text: The same for people.
    """

    scale: tuple[float, ...]
    shift: tuple[float, ...]
    text: str

    @property
    def affine(self) -> bool:
        """Whether scale and shift are all of it."""
        return bool(self.scale)

    @classmethod
    def from_means(cls, means: Sequence[float]) -> Preprocessing:
        """Each channel's mean taken away."""
        text = f"RGB from 0 to 255, minus the channels' means {', '.join(f'{mean:g}' for mean in means)}"
        return cls((1.0,), tuple(-mean for mean in means), text)

    def constants(self) -> tuple[Array, Array]:
        """Scale and shift as float32 arrays."""
        return np.asarray(self.scale, np.float32), np.asarray(self.shift, np.float32)


Write = Callable[[Net, Choices], None]


@dataclass(frozen=True)
class Architecture:
    """A network that weights can be put into.

    Attributes:
        name: What `--arch` calls it.
        title: For people.
        scope: The scope that its variables are published under; "" for none.
        write: Calls the layers; ends with the endpoints `logits` or `predictions`, or another in `outputs`.
        style: The defaults of its layers.
        size: Height and width that it was published with, or what the weights tell; None for an input that is no image.
        channels: Of the input; or the name of the option that says so.
        options: What it leaves open.
        preprocessing: Of the published weights; None where it isn't known.
        aside: Scopes of what only training needs, as auxiliary heads.
        outputs: The endpoints that are the result: the first one there is.
        generic: Why its names could belong to another network as well; such a one has to be asked for by name.
    """

    name: str
    title: str
    scope: str
    write: Write
    style: Style = field(default_factory=Style)
    size: int | Callable[[Shapes], int] | None = 224
    channels: int | str = 3
    options: tuple[Option, ...] = ()
    preprocessing: Preprocessing | None = None
    aside: tuple[str, ...] = ()
    outputs: tuple[str, ...] = ("predictions", "logits")
    generic: str | None = None

    def choices(self, shapes: Shapes, given: Mapping[str, str] | None = None) -> Choices:
        """The options' values for these weights; tensors that are empty or too large to be meant tell nothing."""
        telling = {name: shape for name, shape in shapes.items() if all(0 < size < _LARGEST for size in shape)}
        return Choices(self.options, given or {}, telling)

    def input_shape(self, choices: Choices) -> Shape:
        """Without the batch."""
        channels = choices.integer(self.channels) if isinstance(self.channels, str) else self.channels
        if self.size is None:
            return (channels,)
        size = self.size(choices.shapes) if callable(self.size) else self.size
        return (size, size, channels)

    def program(self, choices: Choices, shape: Shape | None = None) -> Program:
        """The network with these choices, for an input of this shape.

        Raises:
            UsageError: Shape or choices don't go together.
        """
        net = Net(shape or self.input_shape(choices), self.style)
        try:
            self.write(net, choices)
        except ExportError as error:
            raise error.within(f"architecture {self.name}") from None
        return net.program()
