"""A Keras model as plain records: layers, the calls made on them, and which tensors go in and out."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from exporter.sources.keras_settings import Settings

__all__ = ["KerasCall", "KerasLayer", "KerasModel", "TensorRef", "flatten", "references"]


class TensorRef(NamedTuple):
    """One output of one call of a layer; for an input layer, the input itself."""

    layer: str
    call: int
    port: int


@dataclass(frozen=True, slots=True)
class KerasCall:
    """One use of a layer.

    Attributes:
        args: Positional arguments: a `TensorRef`, a number, string, bool, None or slice, or lists and dicts of these.
        kwargs: Arguments by name, of the same kinds.
    """

    args: tuple[Any, ...]
    kwargs: Mapping[str, Any]


@dataclass(frozen=True)
class KerasLayer:
    """A layer of a model.

    Attributes:
        name: Unique in its model.
        class_name: As in `Conv2D`.
        origin: `keras` for a layer, `ops` for an operation of Keras 3 (`keras.ops.add`), `tf` for a TensorFlow function
            that tf.keras recorded, `custom` for what is none of Keras's own.
        settings: Its configuration.
        calls: Its uses; empty for an input.
        model: Its contents, if it is a model.
        trainable: Whether its weights are trainable, which decides their order in older files.
        written_as: The class as the file has it, where a person has said that it is another one.
    """

    name: str
    class_name: str
    origin: str
    settings: Settings
    calls: tuple[KerasCall, ...] = ()
    model: KerasModel | None = None
    trainable: bool = True
    written_as: str | None = None

    @property
    def is_input(self) -> bool:
        """Whether it stands for an input of the model."""
        return self.class_name == "InputLayer"


@dataclass(frozen=True)
class KerasModel:
    """A sequential or functional model.

    Attributes:
        name: Its name.
        layers: In the file's order, which is the order of weights too.
        inputs: A `TensorRef` or a list, tuple or dict of them, as the model was made with.
        outputs: Likewise.
        is_sequential: Whether it is a `Sequential`.
        major: The version of Keras that wrote it, 2 or 3: a few functions have changed between them.
    """

    name: str
    layers: tuple[KerasLayer, ...]
    inputs: Any
    outputs: Any
    is_sequential: bool = False
    major: int = 3


def flatten(nest: object) -> list[Any]:
    """The leaves of lists, tuples and dicts (by sorted keys, as Keras does)."""
    if isinstance(nest, Mapping):
        return [leaf for key in sorted(nest) for leaf in flatten(nest[key])]
    if isinstance(nest, list | tuple) and not isinstance(nest, TensorRef):
        return [leaf for item in nest for leaf in flatten(item)]
    if isinstance(nest, slice):
        return [leaf for item in (nest.start, nest.stop, nest.step) for leaf in flatten(item)]
    return [nest]


def references(call: KerasCall) -> Iterator[TensorRef]:
    """Every tensor that a call takes."""
    for leaf in flatten([list(call.args), dict(call.kwargs)]):
        if isinstance(leaf, TensorRef):
            yield leaf
