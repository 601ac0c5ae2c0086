"""Tensors inside of functions by the names that messages and TensorFlow give them."""

from __future__ import annotations

import pytest

from exporter.errors import UsageError
from exporter.sources.graph import Ref
from exporter.sources.model import Signature
from tests.unit.inference.graphs import BOOL, FLOAT, Draft


def _called(*, twice: bool = False, branch: bool = False) -> Draft:
    """A signature whose function calls one that has `dense/Relu` in it, perhaps twice, or in a condition on data."""
    g, inner, outer = Draft(), Draft(), Draft()
    inner.add("dense/Relu", "Relu", Ref("a"), T=FLOAT)
    inner.add("scaled", "Mul", Ref("dense/Relu"), inner.const("two", 2.0), T=FLOAT)
    call = outer.function("inner", ["a"], [Ref("scaled")], inner)
    if branch:
        outer.add("large", "Any", Ref("b"), outer.const("axes", [0, 1]))
        outer.add("call", "If", Ref("large"), Ref("b"), then_branch=call, else_branch=call, Tcond=BOOL, Tout=(FLOAT,))
    else:
        outer.add("call", "PartitionedCall", Ref("b"), f=call)
    if twice:
        outer.add("again", "PartitionedCall", Ref("call"), f=call)
    last = "again" if twice else "call"
    x = g.placeholder("serving_default_x")
    function = g.function("outer", ["b"], [Ref(last)], outer)
    g.functions |= outer.functions
    y = g.add("StatefulPartitionedCall", "StatefulPartitionedCall", x, f=function)
    g.signatures["serving_default"] = Signature({"x": x}, {"y": y})
    return g


@pytest.mark.parametrize(
    "name", ["StatefulPartitionedCall/call/dense/Relu", "dense/Relu", "dense/Relu:0", "{{node dense/Relu}}"]
)
def test_a_tensor_in_a_function(name: str) -> None:
    """By its whole name, by that in the function, and as TensorFlow's errors have it; also inside of a condition."""
    for branch in (False, True):
        if branch and name != "StatefulPartitionedCall/call/dense/Relu":
            continue
        found = _called(branch=branch).infer(name)
        assert [output.name for output in found.model.outputs] == ["StatefulPartitionedCall/call/dense/Relu"]
        assert "Mul" not in found.ops


def test_an_input_in_a_function() -> None:
    """What comes before it isn't needed."""
    found = _called().infer(inputs={"dense/Relu": None})
    assert [entry.name for entry in found.model.inputs] == ["StatefulPartitionedCall/call/dense/Relu"]
    assert [output.name for output in found.model.outputs] == ["y"]


def test_a_value_in_a_function() -> None:
    """--set reaches into functions, too."""
    found = _called().infer(values={"two": "3"})
    assert found.decided("value") == {"StatefulPartitionedCall/call/two": "3"}


def test_a_name_that_two_functions_have() -> None:
    """The error gives whole names, and each of them is taken."""
    g = _called(twice=True)
    with pytest.raises(UsageError, match=r"2 functions have") as caught:
        g.infer("dense/Relu")
    for name in ("StatefulPartitionedCall/call/dense/Relu", "StatefulPartitionedCall/again/dense/Relu"):
        assert name in str(caught.value)
        assert [output.name for output in g.infer(name).model.outputs] == [name]


def test_a_wrong_name_is_told_the_nearest_in_functions() -> None:
    """Suggestions are looked for inside of functions as well, and can be taken as they stand."""
    g = _called()
    with pytest.raises(UsageError, match=r"Did you mean StatefulPartitionedCall/call/dense/Relu\?"):
        g.infer("StatefulPartitionedCall/call/dense/relu")


def test_a_signature_s_output_by_its_key() -> None:
    """As `saved_model_cli` shows it; inputs keep the signature's names then."""
    found = _called().infer("y")
    assert [entry.name for entry in found.model.inputs] == ["x"]
    assert [output.name for output in found.model.outputs] == ["y"]
