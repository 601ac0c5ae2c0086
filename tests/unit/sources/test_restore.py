"""Variables are found under the keys that the graph's own restore ops name; else by name."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pytest

from exporter.errors import CorruptError
from exporter.formats.records import Array
from exporter.formats.tf_protos import NodeDef
from exporter.sources.restore import Bindings, bind_variables
from tests.unit.sources.messages import node, read, strings
from tests.unit.stores import MemoryStore

_MATRIX = np.arange(12, dtype=np.float32).reshape(3, 4)


def _saver(keys: list[str], parts: list[str] | None = None, scope: str = "save") -> list[NodeDef]:
    """A RestoreV2 of these keys."""
    return [
        strings(f"{scope}/Const", "model"),
        strings(f"{scope}/names", *keys),
        strings(f"{scope}/parts", *(parts or [""] * len(keys))),
        node(f"{scope}/RestoreV2", "RestoreV2", f"{scope}/Const", f"{scope}/names", f"{scope}/parts"),
    ]


def _variable(name: str, *shape: int) -> NodeDef:
    return node(name, "VariableV2", dtype=1, shape=shape or (3, 4))


def _bound(nodes: list[NodeDef], arrays: Mapping[str, Array], restore_op: str | None = None) -> Bindings:
    return bind_variables(read(nodes), MemoryStore(dict(arrays)), restore_op=restore_op)


def test_a_plain_saver() -> None:
    """The key of each variable is its position in the list of names."""
    nodes = [_variable("a"), _variable("b", 2), *_saver(["a", "b"])]
    nodes += [node("save/A", "Assign", "a", "save/RestoreV2"), node("save/B", "Assign", "b", "save/RestoreV2:1")]
    found = _bound(nodes, {"a": _MATRIX, "b": np.ones(2, np.float32)})
    assert {name: variable.key for name, variable in found.variables.items()} == {"a": "a", "b": "b"}
    assert found.by_name == ()
    assert found.variables["b"].shape == (2,)
    np.testing.assert_array_equal(found.variables["a"].read(), _MATRIX)


def test_renamed_keys() -> None:
    """`Saver({"old/name": a})`: the graph says so, though a tensor of the variable's own name is there too."""
    nodes = [_variable("a"), *_saver(["old/name"]), node("save/A", "Assign", "a", "save/RestoreV2")]
    found = _bound(nodes, {"old/name": _MATRIX, "a": np.zeros((3, 4), np.float32)})
    assert found.variables["a"].key == "old/name"
    np.testing.assert_array_equal(found.variables["a"].read(), _MATRIX)


def test_resource_variables() -> None:
    """AssignVariableOp of a copy of the restored tensor."""
    nodes = [node("a", "VarHandleOp", dtype=1, shape=(3, 4)), *_saver(["key"])]
    nodes += [node("id", "Identity", "save/RestoreV2", T=1), node("save/A", "AssignVariableOp", "a", "id")]
    assert _bound(nodes, {"key": _MATRIX}).variables["a"].key == "key"


def test_partitions() -> None:
    """A part of a partitioned variable is read as that part of the whole."""
    nodes = [_variable("w/part_0", 2, 4), _variable("w/part_1", 1, 4)]
    nodes += _saver(["w", "w"], ["3 4 0,2:0,4", "3 4 2,1:0,4"])
    nodes += [node(f"save/{i}", "Assign", f"w/part_{i}", f"save/RestoreV2:{i}") for i in range(2)]
    found = _bound(nodes, {"w": _MATRIX}).variables
    assert (found["w/part_0"].shape, found["w/part_1"].shape) == ((2, 4), (1, 4))
    np.testing.assert_array_equal(found["w/part_0"].read(), _MATRIX[:2])
    np.testing.assert_array_equal(found["w/part_1"].read(), _MATRIX[2:])


def test_a_saver_that_reshapes() -> None:
    """`Saver(reshape=True)`: the numbers in the variable's own shape."""
    nodes = [_variable("a", 4, 3), *_saver(["a"]), node("shape", "Const", dtype=3, value=np.array([4, 3], np.int32))]
    nodes += [node("save/R", "Reshape", "save/RestoreV2", "shape", T=1), node("save/A", "Assign", "a", "save/R")]
    variable = _bound(nodes, {"a": _MATRIX}).variables["a"]
    assert variable.shape == (4, 3)
    np.testing.assert_array_equal(variable.read(), _MATRIX.reshape(4, 3))


def test_a_reshape_that_cannot_be() -> None:
    """Another number of values is left as it is stored, for whoever uses it to refuse."""
    nodes = [_variable("a", 5, 3), *_saver(["a"]), node("shape", "Const", dtype=3, value=np.array([5, 3], np.int32))]
    nodes += [node("save/R", "Reshape", "save/RestoreV2", "shape", T=1), node("save/A", "Assign", "a", "save/R")]
    assert _bound(nodes, {"a": _MATRIX}).variables["a"].shape == (3, 4)


def test_by_name_as_a_fallback() -> None:
    """Without restore ops the name is the key, and that is reported."""
    found = _bound([_variable("a"), _variable("b")], {"a": _MATRIX})
    assert found.variables["a"].key == "a"
    assert found.by_name == ("a", "b")
    assert found.missing == {"b": "b"}


def test_keys_that_are_missing() -> None:
    """A key that the checkpoint hasn't got is reported as the saver calls it."""
    nodes = [_variable("a"), *_saver(["old/name"]), node("save/A", "Assign", "a", "save/RestoreV2")]
    found = _bound(nodes, {"a": _MATRIX})
    assert found.missing == {"a": "old/name"}
    assert not found.variables


@pytest.mark.parametrize("chosen", ["first", "second"])
def test_several_savers(chosen: str) -> None:
    """Where two savers restore one variable from different keys, the file's own one is followed."""
    nodes = [_variable("a")]
    for scope in ("first", "second"):
        nodes += [*_saver([f"{scope}/key"], scope=scope), node(f"{scope}/A", "Assign", "a", f"{scope}/RestoreV2")]
        nodes += [node(f"{scope}/shard", "NoOp", f"^{scope}/A"), node(f"{scope}/all", "NoOp", f"^{scope}/shard")]
    arrays = {"first/key": _MATRIX, "second/key": _MATRIX + 1}
    assert _bound(nodes, arrays, f"{chosen}/all").variables["a"].key == f"{chosen}/key"


def test_the_saver_whose_keys_are_there() -> None:
    """A second saver is followed where the checkpoint hasn't got the first one's key."""
    nodes = [_variable("a")]
    for scope in ("first", "second"):
        nodes += [*_saver([f"{scope}/key"], scope=scope), node(f"{scope}/A", "Assign", "a", f"{scope}/RestoreV2")]
    assert _bound(nodes, {"second/key": _MATRIX}).variables["a"].key == "second/key"


def test_initialisers_are_no_restores() -> None:
    """An assignment of anything but a restored tensor doesn't bind."""
    nodes = [_variable("a"), node("init", "Const", dtype=1, value=_MATRIX), node("set", "Assign", "a", "init")]
    assert _bound(nodes, {"a": _MATRIX}).by_name == ("a",)


def test_a_position_that_is_not_restored() -> None:
    """The fifth of two restored tensors is an error that names the op."""
    nodes = [_variable("a"), *_saver(["a", "b"]), node("save/A", "Assign", "a", "save/RestoreV2:4")]
    with pytest.raises(CorruptError, match="node save/RestoreV2: it restores 2 tensors"):
        _bound(nodes, {"a": _MATRIX})


def test_names_that_are_computed() -> None:
    """Keys that aren't constants can't be known."""
    nodes = [_variable("a"), *_saver(["a"]), node("save/A", "Assign", "a", "save/RestoreV2")]
    nodes[2] = node("save/names", "Placeholder", dtype=7)
    with pytest.raises(CorruptError, match=r"save/names: .*constant"):
        _bound(nodes, {"a": _MATRIX})
