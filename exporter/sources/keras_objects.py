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

__all__ = ["ObjectNode", "map_objects", "object_nodes"]

_NOT_OF_THE_MODEL = (".OPTIMIZER_SLOT", "optimizer/", "save_counter", "keras_api/", "_CHECKPOINTABLE_OBJECT_GRAPH")
_MODEL_CHILDREN = ("layer_with_weights-", "_operations", "_functional")
_DEEPEST = 4


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


def map_objects(model: KerasModel, nodes: Sequence[ObjectNode], store: TensorStore) -> KerasWeights:
    """The weights of a model.

    Args:
        model: The configuration.
        nodes: The checkpoint's object graph; node 0 is what was saved: the model, or something that holds it.
        store: The checkpoint.

    Raises:
        MissingError: If no object in it is a Keras model.
    """
    root = _model_node(nodes)
    if root is None:
        raise MissingError(
            "the checkpoint holds no Keras model: no object in it has children layer_with_weights-0, -1, ...",
            hint="Name the SavedModel or graph that the checkpoint belongs to with --graph",
        )
    variables = {}
    for path, key in _walk(model_tree(model), nodes, root, ()):
        if key in store:
            full = "/".join(path)
            variables[full] = stored_weight(store, full, key)
    used = {variable.key for variable in variables.values()}
    left = [key for key in store if key not in used and not any(part in key for part in _NOT_OF_THE_MODEL)]
    return KerasWeights(store.description, variables, tuple(left))


def _model_node(nodes: Sequence[ObjectNode]) -> int | None:
    """The object nearest to the root that has layers."""
    queue, seen = deque([(0, 0)]), {0}
    while queue and nodes:
        index, depth = queue.popleft()
        if any(name.startswith(_MODEL_CHILDREN) for name in nodes[index].children):
            return index
        for child in nodes[index].children.values() if depth < _DEEPEST else ():
            if child not in seen:
                seen.add(child)
                queue.append((child, depth + 1))
    return None


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
