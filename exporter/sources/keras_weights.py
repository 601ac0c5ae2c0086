"""The weights of a Keras model by the layers they belong to, wherever they are stored."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial

from exporter.formats.records import TensorStore
from exporter.sources.model import Variable

__all__ = ["KerasWeights", "stored_weight"]


@dataclass(frozen=True)
class KerasWeights:
    """Weights by path.

    Attributes:
        description: Where they come from, for people.
        variables: By path: the names of the models around a layer, its own name, the attributes of its parts, then the
            weight's name, as `encoder/bn1/gamma` or `lstm/cell/kernel`. What the file doesn't have isn't in it.
        unused: Keys of stored tensors that belong to no layer, sorted; optimizer state and metrics are left out.
    """

    description: str
    variables: Mapping[str, Variable]
    unused: tuple[str, ...] = ()


def stored_weight(store: TensorStore, path: str, key: str) -> Variable:
    """The weight of that path, which the store has under a key."""
    info = store.info(key)
    return Variable(node=path, key=key, kind=info.kind, shape=info.shape, read=partial(store.read, key))
