"""Weights of a Keras model in TensorFlow's object-based checkpoints, as `save_weights` in TF format makes them.

The checkpoint holds a graph of objects, each a set of named children; a variable has a key. A tf.keras model's children
are `layer_with_weights-0`, `layer_with_weights-1`, ... in the order of its layers; a Keras 3 model has a list
`_operations` of all layers and operations, a sequential one below `_functional`.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from exporter.errors import CorruptError, MissingError
from exporter.formats.records import TensorStore
from exporter.sources.keras_model import KerasModel
from exporter.sources.keras_slots import WeightTree, model_tree
from exporter.sources.keras_weights import KerasWeights, stored_weight
from exporter.sources.model import Variable

__all__ = ["ObjectNode", "map_objects", "object_nodes"]

_NOT_OF_THE_MODEL = (".OPTIMIZER_SLOT", "optimizer/", "save_counter", "keras_api/", "_CHECKPOINTABLE_OBJECT_GRAPH")
_MODEL_CHILDREN = ("layer_with_weights-", "_operations", "_functional")
_DEEPEST = 4
_SIZES = {
    "Conv1D": "filters",
    "Conv2D": "filters",
    "Conv2DTranspose": "filters",
    "Conv3D": "filters",
    "Conv3DTranspose": "filters",
    "Dense": "units",
}
"""The setting of each class that is one of the last two sizes of its kernel."""


@dataclass(frozen=True, slots=True)
class ObjectNode:
    """An object: its children by name (numbers of nodes), and the key of its value, if it is a variable."""

    children: Mapping[str, int]
    key: str | None


def object_nodes(graph: Any) -> list[ObjectNode]:
    """The nodes of a parsed `TrackableObjectGraph`.

    Raises:
        CorruptError: For a child that isn't there.
    """
    nodes = []
    count = len(graph.nodes)
    for index, node in enumerate(graph.nodes):
        children = {child.local_name: child.node_id for child in node.children}
        if any(not 0 <= child < count for child in children.values()):
            raise CorruptError(
                f"object {index} of the checkpoint has a child that isn't there", where=("object graph",)
            )
        keys = [attribute.checkpoint_key for attribute in node.attributes if attribute.name == "VARIABLE_VALUE"]
        nodes.append(ObjectNode(children, keys[0] if keys else None))
    return nodes


def map_objects(
    model: KerasModel, nodes: Sequence[ObjectNode], store: TensorStore
) -> tuple[KerasWeights, tuple[str, ...]]:
    """The weights of a model, and what was chosen to get them.

    Of several models in a checkpoint, as a generator and a discriminator, the one is taken whose weights fit the
    configuration; of those that fit alike the one that is called like it, else the first.

    Args:
        model: The configuration.
        nodes: The checkpoint's object graph; node 0 is what was saved: the model, or something that holds it.
        store: The checkpoint.

    Raises:
        MissingError: If no object in it is a Keras model.
    """
    found = list(_models(nodes))
    if not found:
        raise MissingError(
            "the checkpoint holds no Keras model: no object in it has children layer_with_weights-0, -1, ...",
            hint="Name the SavedModel or graph that the checkpoint belongs to with --graph",
        )
    tree = model_tree(model)
    mapped = {}
    for name, index in found:
        paths = (("/".join(path), key) for path, key in _walk(tree, nodes, index, ()) if key in store)
        mapped[name] = {path: stored_weight(store, path, key) for path, key in paths}
    misfits = {name: _misfit(model, tree, mapped[name], nodes, index) for name, index in found}
    fitting = [name for name, misfit in misfits.items() if misfit == min(misfits.values())]
    chosen = model.name if model.name in fitting else fitting[0]
    variables = mapped[chosen]
    used = {variable.key for variable in variables.values()}
    left = [key for key in store if key not in used and not any(part in key for part in _NOT_OF_THE_MODEL)]
    return KerasWeights(store.description, variables, tuple(left)), _choice(model, [*mapped], fitting, chosen)


def _models(nodes: Sequence[ObjectNode]) -> Iterator[tuple[str, int]]:
    """The objects that have layers, nearest to the root first, by the names that lead to them; not what is in them."""
    queue, seen = deque([("", 0, 0)]), {0}
    while queue and nodes:
        name, index, depth = queue.popleft()
        children = nodes[index].children
        if any(child.startswith(_MODEL_CHILDREN) for child in children):
            yield name, index
            continue
        for child, number in children.items() if depth < _DEEPEST else ():
            if number not in seen:
                seen.add(number)
                queue.append((f"{name}/{child}" if name else child, number, depth + 1))


def _misfit(
    model: KerasModel, tree: WeightTree, variables: Mapping[str, Variable], nodes: Sequence[ObjectNode], index: int
) -> int:
    """How many weights of an object's model are missing, left over, or of another size than their layer."""
    pending, seen = [index], {index}
    while pending:
        new = set(nodes[pending.pop()].children.values()) - seen
        seen |= new
        pending += new
    keys = {key for number in seen if (key := nodes[number].key) is not None}
    keys = {key for key in keys if not any(part in key for part in _NOT_OF_THE_MODEL)}
    missing = sum(1 for _ in tree.slots()) - len(variables)
    left = len(keys - {variable.key for variable in variables.values()})
    sizes = ((layer.settings.raw(_SIZES.get(layer.class_name, "")), layer.name) for layer in model.layers)
    kernels = ((size, variables.get(f"{name}/kernel")) for size, name in sizes if isinstance(size, int))
    return missing + left + sum(kernel is not None and size not in kernel.shape[-2:] for size, kernel in kernels)


def _choice(model: KerasModel, names: Sequence[str], fitting: Sequence[str], chosen: str) -> tuple[str, ...]:
    if len(names) == 1:
        return ()
    note = f"of the models in the checkpoint ({', '.join(sorted(names))}) the weights of {chosen}"
    if len(fitting) == 1:
        return (f"{note}, which fit the configuration best",)
    if chosen == model.name:
        return (f"{note}, which is called like the configuration",)
    others = ", ".join(name for name in fitting if name != chosen)
    return (f"{note}; those of {others} fit as well, and are taken where the configuration is called so",)


def _walk(
    tree: WeightTree, nodes: Sequence[ObjectNode], index: int, path: tuple[str, ...]
) -> Iterator[tuple[tuple[str, ...], str]]:
    children = nodes[index].children
    for slot in tree.own:
        child = _first(children, (slot.name, *slot.aliases, f"_{slot.name}"))
        key = None if child is None else nodes[child].key
        if key is not None:
            yield (*path, slot.name), key
    for part in tree.parts:
        child = _first(children, part.attributes)
        if child is not None:
            yield from _walk(part.tree, nodes, child, (*path, part.attributes[0]))
    for member, child in _members(tree, nodes, index):
        yield from _walk(member, nodes, child, (*path, member.name))


def _members(tree: WeightTree, nodes: Sequence[ObjectNode], index: int) -> Iterator[tuple[WeightTree, int]]:
    """The layers of a model, or the cells of a stack, with their objects."""
    children = nodes[index].children
    if "_functional" in children and "_operations" not in children:
        children = nodes[children["_functional"]].children
    listed = _first(children, ("_operations",) if tree.container == "layers" else (tree.container,))
    if listed is not None:
        children = nodes[listed].children
        numbered = [(member, str(number)) for number, member in enumerate(tree.members)]
    else:
        weighted = [member for member in tree.members if any(True for _ in member.slots())]
        numbered = [(member, f"layer_with_weights-{number}") for number, member in enumerate(weighted)]
    for member, name in numbered:
        if name in children:
            yield member, children[name]


def _first(children: Mapping[str, int], names: Sequence[str]) -> int | None:
    return next((children[name] for name in names if name in children), None)
