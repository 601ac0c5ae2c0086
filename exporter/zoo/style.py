"""What layers have in common unless they say otherwise: slim's arg scopes as records."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

__all__ = ["Activation", "Norm", "Padding", "Style"]

Padding = Literal["same", "valid", "fixed"]
"""`same` and `valid` as in TensorFlow; `fixed` pads by the kernel alone, whatever the size of the image."""

Activation = Literal["relu", "relu6", "leaky_relu", "hard_swish", "hard_sigmoid", "sigmoid", "tanh"]


@dataclass(frozen=True, slots=True)
class Norm:
    """A batch norm.

    Attributes:
        epsilon: What is added to the variance.
        scale: Whether there is a gamma.
        center: Whether there is a beta.
        scope: What its scope is called within the layer.
    """

    epsilon: float = 1e-3
    scale: bool = False
    center: bool = True
    scope: str = "BatchNorm"


@dataclass(frozen=True, slots=True)
class Style:
    """The defaults of layers.

    Attributes:
        padding: Of convolutions and pools.
        activation: Behind convolutions and dense layers; None for none.
        norm: The batch norm between a layer and its activation; a layer that has one has no bias.
        kernel: What the weights of a layer are called.
        bias: What its bias is called; None for layers without.
    """

    padding: Padding = "same"
    activation: Activation | None = "relu"
    norm: Norm | None = None
    kernel: str = "weights"
    bias: str | None = "biases"
