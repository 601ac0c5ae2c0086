"""Weights as Keras 3 stores them (`.weights.h5`, and inside `.keras`): by class and number, not by name.

`layers/conv2d_1/vars/0` is the first weight of the model's second Conv2D. Parts of a layer lie under their attribute,
as `layers/lstm/cell/vars/0`, layers of a nested model under its `layers`. Newer files have each layer's name beside
its weights; then that decides.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterator

from exporter.errors import CorruptError
from exporter.formats.records import TensorStore
from exporter.sources.keras_model import KerasModel
from exporter.sources.keras_slots import WeightTree, model_tree
from exporter.sources.keras_weights import KerasWeights, stored_weight

__all__ = ["map_v3", "snake_case"]

_CONTAINERS = ("layers", "_layer_checkpoint_dependencies")
_NOT_OF_THE_MODEL = ("optimizer/", "metrics/", "_optimizer/")
_BOUNDARY = re.compile(r"(?<=.)(?=[A-Z][a-z])|(?<=[a-z])(?=[A-Z])")


def map_v3(model: KerasModel, store: TensorStore, name_of: Callable[[str], str | None]) -> KerasWeights:
    """The weights of a model.

    Args:
        model: The configuration.
        store: The file, keys being paths.
        name_of: The layer name that a group of weights (`layers/conv2d/vars`) is marked with, None without one.

    Raises:
        CorruptError: Where a layer has another number of weights than the configuration makes.
    """
    variables = {}
    mapping = _Mapping(store, name_of)
    for path, key in mapping.walk(model_tree(model), "", ()):
        full = "/".join(path)
        variables[full] = stored_weight(store, full, key)
    used = {variable.key for variable in variables.values()}
    others = [key for key in store if not key.startswith(_NOT_OF_THE_MODEL) and "seed_generator" not in key]
    left = [key for key in others if key not in used]
    return KerasWeights(store.description, variables, tuple(left))


def snake_case(name: str) -> str:
    """As in conv2d_transpose, p_re_lu, simple_rnn."""
    return _BOUNDARY.sub("_", re.sub(r"\W", "", name)).lower()


class _Mapping:
    def __init__(self, store: TensorStore, name_of: Callable[[str], str | None]) -> None:
        self._name_of = name_of
        self._keys = set(store)
        self._groups: set[str] = set()
        for key in self._keys:
            parts = key.split("/")
            self._groups.update("/".join(parts[:count]) for count in range(1, len(parts)))

    def walk(self, tree: WeightTree, place: str, path: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], str]]:
        """Each stored weight of a layer at a place, with its path."""
        yield from self._own(tree, place, path)
        for part in tree.parts:
            attribute = next((a for a in part.attributes if f"{place}{a}" in self._groups), part.attributes[0])
            yield from self.walk(part.tree, f"{place}{attribute}/", (*path, part.attributes[0]))
        if tree.container:
            yield from self._members(tree, place, path)

    def _own(self, tree: WeightTree, place: str, path: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], str]]:
        most = len(tree.own) + tree.repeated + 1
        stored = [key for key in (f"{place}vars/{i}" for i in range(most)) if key in self._keys]
        if tree.repeated and len(stored) == len(tree.own) + tree.repeated:
            stored = stored[tree.repeated :]
        if stored and tree.own and len(stored) != len(tree.own):
            count = f"more than {len(tree.own)}" if len(stored) > len(tree.own) else str(len(stored))
            raise CorruptError(
                f"layer {'/'.join(path)} ({tree.class_name}): {count} weights are stored in {place}vars, "
                f"the configuration makes {len(tree.own)} ({', '.join(slot.name for slot in tree.own)})",
                hint="Give the configuration that these weights belong to",
            )
        for slot, key in zip(tree.own, stored, strict=False):
            yield (*path, slot.name), key

    def _members(self, tree: WeightTree, place: str, path: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], str]]:
        names = _CONTAINERS if tree.container == "layers" else (tree.container,)
        container = next((name for name in names if f"{place}{name}" in self._groups), names[0])
        inside = f"{place}{container}/"
        marked = {}
        for group in sorted(group.removeprefix(inside) for group in self._groups if group.startswith(inside)):
            name = None if "/" in group else self._name_of(f"{inside}{group}/vars")
            if name is not None:
                marked[name] = group
        seen: Counter[str] = Counter()
        for member in (member for member in tree.members if member.is_layer):
            kind = snake_case(member.stored_as or member.class_name)
            numbered = f"{kind}_{seen[kind]}" if seen[kind] else kind
            seen[kind] += 1
            group = marked.get(member.name, numbered)
            yield from self.walk(member, f"{inside}{group}/", (*path, member.name))
