"""Weights as Keras 2 stores them in .h5 files: per layer of the model, a list of names.

The list has the layer's trainable weights first, then the others; those of a nested model likewise, for all of its
layers at once. Names end like the weight's own (`inner/dd/kernel:0`) and decide wherever they are unambiguous; the
order decides the rest, as the two directions of a `Bidirectional`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from exporter.errors import CorruptError, UnsupportedError
from exporter.formats.records import TensorStore
from exporter.sources.keras_model import KerasModel
from exporter.sources.keras_slots import Slot, WeightTree, model_tree
from exporter.sources.keras_weights import KerasWeights, stored_weight

__all__ = ["map_legacy", "refuse_theano"]

_Path = tuple[str, ...]
_Entry = tuple[_Path, _Path, Slot]


def map_legacy(model: KerasModel, groups: Mapping[str, Mapping[str, str]], store: TensorStore) -> KerasWeights:
    """The weights of a model.

    Args:
        model: The configuration.
        groups: By layer name: the weights' names in their order, with the key each is stored under.
        store: Where they are.

    Raises:
        CorruptError: Where a layer's names contradict what the configuration makes of it.
    """
    variables = {}
    used = set()
    whole = model_tree(model)
    trees = [tree for tree in whole.members if any(True for _ in tree.slots())]
    inside = _group_of_all(whole, groups)
    if inside is not None:
        found = [(whole, inside)]
    else:
        stored = [keys for keys in groups.values() if keys]
        counts = [sum(1 for _ in tree.slots()) for tree in trees]
        found = [(tree, groups.get(tree.name, {})) for tree in trees]
        if any(tree.name not in groups for tree in trees) and counts == [len(keys) for keys in stored]:
            found = list(zip(trees, stored, strict=True))  # layers were numbered anew
    for tree, keys in found:
        for path, name in _assign(tree, list(keys)).items():
            full = "/".join(path if tree is whole else (tree.name, *path))
            variables[full] = stored_weight(store, full, keys[name])
            used.add(keys[name])
    left = {key for keys in groups.values() for key in keys.values()} - used
    return KerasWeights(store.description, variables, tuple(sorted(left)))


def _group_of_all(tree: WeightTree, groups: Mapping[str, Mapping[str, str]]) -> Mapping[str, str] | None:
    """The one group with the weights of all layers, as where the model was a layer of the one that was saved."""
    members = {member.name: sum(1 for _ in member.slots()) for member in tree.members}
    weighted = {name for name, count in members.items() if count}
    stored = {name: keys for name, keys in groups.items() if keys}
    if len(stored) != 1 or weighted & stored.keys() or len(weighted) < 2:
        return None
    (keys,) = stored.values()
    return keys if len(keys) == sum(members.values()) else None


def _assign(tree: WeightTree, names: Sequence[str]) -> dict[_Path, str]:
    """Which of the stored names each weight of a layer has."""
    entries = list(tree.slots())
    found = {}
    for path, members, slot in entries:
        alike = [name for name in names if _last(name) in (slot.name, *slot.aliases)]
        found[path] = [name for name in alike if _passes(name, members)]
    certain = {path: matches[0] for path, matches in found.items() if len(matches) == 1}
    if len(set(certain.values())) == len(entries) or len(names) != len(entries):
        return certain
    return _by_order(tree, names)


def _last(name: str) -> str:
    return name.rpartition("/")[2].partition(":")[0]


def _passes(name: str, members: _Path) -> bool:
    """Whether the names of the layers around a weight are in its stored name, in order."""
    parts = iter(name.split("/"))
    return all(member in parts for member in members)


def _by_order(tree: WeightTree, names: Sequence[str]) -> dict[_Path, str]:
    trainable, fixed = _legacy_order(tree)
    assigned = {}
    known = {name for _, _, slot in tree.slots() for name in (slot.name, *slot.aliases)}
    for (path, _, slot), name in zip([*trainable, *fixed], names, strict=True):
        if _last(name) in known and _last(name) not in (slot.name, *slot.aliases):
            raise CorruptError(
                f"layer {tree.name} ({tree.class_name}): weight {name!r} is stored where {'/'.join(path)} is expected",
                hint="Give the configuration that these weights belong to",
            )
        assigned[path] = name
    return assigned


def _legacy_order(tree: WeightTree, path: _Path = ()) -> tuple[list[_Entry], list[_Entry]]:
    """The trainable weights and the others, in Keras's order; a frozen layer has only others."""
    if not tree.trainable:
        return [], list(_everything(tree, path))
    trainable: list[_Entry] = [((*path, slot.name), (), slot) for slot in tree.own if slot.trainable]
    fixed: list[_Entry] = [((*path, slot.name), (), slot) for slot in tree.own if not slot.trainable]
    for step, child in _children(tree):
        inner = _legacy_order(child, (*path, step))
        trainable += inner[0]
        fixed += inner[1]
    return trainable, fixed


def _everything(tree: WeightTree, path: _Path) -> Iterator[_Entry]:
    for slot in tree.own:
        yield (*path, slot.name), (), slot
    for step, child in _children(tree):
        yield from _everything(child, (*path, step))


def _children(tree: WeightTree) -> Iterator[tuple[str, WeightTree]]:
    for part in tree.parts:
        yield part.attributes[0], part.tree
    for member in tree.members:
        yield member.name, member


def refuse_theano(model: KerasModel, backend: object) -> None:
    """UnsupportedError for convolutions of the Theano backend, whose kernels are mirrored along each spatial axis."""
    found = next((tree for tree in _every(model_tree(model)) if "Conv" in tree.class_name and tree.own), None)
    if backend == "theano" and found is not None:
        raise UnsupportedError(
            f"layer {found.name} ({found.class_name}): its kernel was stored by Keras on Theano, mirrored, "
            "which is not translated",
            hint="Load the model with Keras 2.0 to 2.2 on TensorFlow, which converts it, and save it again",
        )


def _every(tree: WeightTree) -> Iterator[WeightTree]:
    yield tree
    for inner in (*(part.tree for part in tree.parts), *tree.members):
        yield from _every(inner)
