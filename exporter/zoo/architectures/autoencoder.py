"""A dense autoencoder of TF1's Keras layers: dense_i, then batch_normalization_i and an activation, as Keras counts."""

from __future__ import annotations

from itertools import count
from typing import get_args

from exporter.errors import UsageError
from exporter.zoo.architecture import Architecture, Choices, Option
from exporter.zoo.net import Net
from exporter.zoo.style import Activation, Norm, Style

__all__ = ["DENSE_AUTOENCODER"]

_DEFAULT_UNITS = (128, 64, 32, 64, 128, 784)


def _numbered(name: str, number: int) -> str:
    return f"{name}_{number}" if number else name


def _units(choices: Choices) -> tuple[int, ...]:
    """The sizes of the dense layers that are stored."""
    found = []
    for number in count():
        name = f"{_numbered('dense', number)}/kernel"
        if not choices.has(name):
            break
        found.append(choices.channels(name, 0))
    return tuple(found) or _DEFAULT_UNITS


def _activation(choices: Choices, option: str) -> Activation | None:
    name = choices.text(option)
    if name == "linear":
        return None
    known: tuple[Activation, ...] = get_args(Activation)
    for each in known:
        if each == name:
            return each
    raise UsageError(
        f"--set {option}={name}: there is no such activation", hint=f"There are linear, {', '.join(known)}"
    )


def _write(net: Net, choices: Choices) -> None:
    *hidden, last = _units(choices)
    norm = Norm(epsilon=choices.real("epsilon"), scale=True)
    x = net.input
    for number, units in enumerate(hidden):
        name = _numbered("dense", number)
        bias = "bias" if choices.has(f"{name}/bias") else None
        x = net.dense(name, x, units, bias=bias, activation=None)
        x = net.norm(_numbered("batch_normalization", number), x, norm, _activation(choices, "activation"))
    name = _numbered("dense", len(hidden))
    x = net.dense(name, x, last, activation=_activation(choices, "output_activation"))
    net.endpoint("restored", x)


DENSE_AUTOENCODER = Architecture(
    "dense_autoencoder",
    "a dense autoencoder of Keras layers",
    "",
    _write,
    Style(kernel="kernel", bias="bias"),
    size=None,
    channels="features",
    options=(
        Option("features", 784, "the number of features", "dense/kernel", axis=0),
        Option("activation", "relu", "behind each batch norm"),
        Option("output_activation", "sigmoid", "behind the last layer"),
        Option("epsilon", 1e-3, "what batch norms add to the variance"),
    ),
    outputs=("restored",),
    generic="names like dense_1 don't tell the activations: relu, and sigmoid at the end, are a guess",
)
