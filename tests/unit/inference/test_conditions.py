"""Conditions in all forms: found, resolved where the predicate is known, both sides kept where it is data."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from exporter.errors import LimitError, MissingError
from exporter.inference.control_flow.conditions import find_conditions, original, take
from exporter.inference.control_flow.nest_loops import all_nodes
from exporter.inference.control_flow.one_sided import nest_conditions
from exporter.inference.findings import Findings
from exporter.inference.model import IF, LOOP
from exporter.inference.training.flags import resolve_flags
from exporter.sources.graph import FunctionCall, Ref
from tests.unit.inference.graphs import FLOAT, INT32, Draft


def _merged(g: Draft, predicate: Ref, *, true_first: bool = False, name: str = "cond", kind: str = "") -> Ref:
    """`tf.cond(predicate, lambda: relu(x), lambda: tanh(x))`, version 1; relu and tanh get `name` as their scope."""
    on_false, on_true = g.switch(f"{name}/Switch", Ref("x"), predicate, f"{kind}Switch")
    sides = [g.add(f"{name}/tanh", "Tanh", on_false), g.add(f"{name}/relu", "Relu", on_true)]
    return g.add(f"{name}/Merge", f"{kind}Merge", *(sides[::-1] if true_first else sides))


def _called(g: Draft, predicate: Ref, op: str = "If") -> Ref:
    """The same, version 2."""
    calls = []
    for side, inner_op in (("then", "Relu"), ("else", "Tanh")):
        inner = Draft()
        inner.add("y", inner_op, Ref("x"))
        calls.append(g.function(f"{side}_{len(g.functions)}", ["x"], [Ref("y")], inner))
    return g.add("if", op, predicate, Ref("x"), then_branch=calls[0], else_branch=calls[1])


def _resolved(g: Draft, output: Ref) -> list[str]:
    """The op types on the way to the output, with known conditions resolved."""
    rewriter, inliner = g.inliner()
    resolve_flags(rewriter, inliner, [output], Findings())
    return [node.op for node in rewriter.order([output])]


@pytest.mark.parametrize("kind", ["", "Ref"])
@pytest.mark.parametrize("true_first", [False, True])
@pytest.mark.parametrize("value", [False, True])
def test_a_known_merge_is_resolved(value: bool, true_first: bool, kind: str) -> None:
    """The side that the constant says is taken, in whichever order the Merge has its sides, of values or references."""
    g = Draft()
    g.placeholder("x")
    output = _merged(g, g.const("predicate", np.array(value)), true_first=true_first, kind=kind)
    assert _resolved(g, output) == ["Placeholder", "Relu" if value else "Tanh"]


@pytest.mark.parametrize("op", ["If", "StatelessIf"])
@pytest.mark.parametrize("value", [False, True])
def test_a_known_if_is_inlined(value: bool, op: str) -> None:
    """The function of the side that the constant says takes the place of the op."""
    g = Draft()
    g.placeholder("x")
    output = _called(g, g.const("predicate", np.array(value)), op)
    assert _resolved(g, output) == ["Placeholder", "Relu" if value else "Tanh"]


@pytest.mark.parametrize("op", ["Select", "SelectV2"])
@pytest.mark.parametrize("value", [False, True])
def test_a_known_select_is_resolved(value: bool, op: str) -> None:
    """One of its two operands is taken."""
    g = Draft()
    x = g.placeholder("x")
    sides = g.add("relu", "Relu", x), g.add("tanh", "Tanh", x)
    output = g.add("select", op, g.const("predicate", np.array(value)), *sides)
    assert _resolved(g, output) == ["Placeholder", "Relu" if value else "Tanh"]


def test_a_select_of_many_values_is_arithmetic() -> None:
    """A mask that happens to be constant isn't a condition."""
    g = Draft()
    x = g.placeholder("x")
    mask = g.const("mask", np.array([True, False, True, True]))
    output = g.add("select", "SelectV2", mask, g.add("relu", "Relu", x), g.add("tanh", "Tanh", x))
    assert "SelectV2" in _resolved(g, output)


@pytest.mark.parametrize("outer", [False, True])
@pytest.mark.parametrize("inner", [False, True])
def test_nested_conditions(outer: bool, inner: bool) -> None:
    """A condition inside a branch of another: each takes its own side."""
    g = Draft()
    x = g.placeholder("x")
    first, second = g.const("outer", np.array(outer)), g.const("inner", np.array(inner))
    on_false, on_true = g.switch("o/Switch", x, first)
    _, inner_predicate = g.switch("o/predicate", second, first)
    in_false, in_true = g.switch("o/i/Switch", on_true, inner_predicate)
    merged = g.add("o/i/Merge", "Merge", g.add("o/i/elu", "Elu", in_false), g.add("o/i/relu", "Relu", in_true))
    output = g.add("o/Merge", "Merge", g.add("o/tanh", "Tanh", on_false), merged)
    taken = "Tanh" if not outer else "Relu" if inner else "Elu"
    assert _resolved(g, output) == ["Placeholder", taken]


def test_the_index_of_a_merge() -> None:
    """The second result of a resolved Merge is the position of the side that was taken."""
    g = Draft()
    g.placeholder("x")
    output = _merged(g, g.const("predicate", np.array(True)))
    rewriter, inliner = g.inliner()
    (condition,) = find_conditions(rewriter, [output])
    take(rewriter, inliner, condition, True)
    index = rewriter.value(Ref(output.node, 1))
    assert index is not None
    assert index == 1


def test_predicates_are_seen_through_copies() -> None:
    """Identities and switches on the way to a Switch don't hide the flag."""
    g = Draft()
    g.placeholder("x")
    flag = g.flag("flag")
    copied = g.add("pred_id", "Identity", g.add("switch_t", "Identity", flag))
    output = _merged(g, copied)
    rewriter = g.rewriter()
    (condition,) = find_conditions(rewriter, [output])
    assert condition.predicate == flag
    assert original(rewriter, copied) == flag
    assert (condition.if_true, condition.if_false) == (Ref("cond/relu"), Ref("cond/tanh"))


def test_a_branch_that_no_data_enters() -> None:
    """A branch of constants is alive by its control input alone, and is told all the same."""
    g = Draft()
    x = g.placeholder("x", ())
    predicate = g.flag("flag")
    _, on_true = g.switch("Switch", predicate, predicate)
    g.add("switch_t", "Identity", on_true)
    g.add("one", "Const", controls=["switch_t"], value=np.float32(1), dtype=1)
    data_false, _ = g.switch("data", x, predicate)
    output = g.add("Merge", "Merge", data_false, Ref("one"))
    (condition,) = find_conditions(g.rewriter(), [output])
    assert (condition.if_true, condition.if_false) == (Ref("one"), data_false)


def test_a_loop_is_no_condition() -> None:
    """The Merge of a while loop joins two rounds, not two sides."""
    g = Draft()
    start = g.const("start", 0)
    enter = g.add("Enter", "Enter", start)
    g.add("Merge", "Merge", enter, Ref("NextIteration"))
    g.add("Less", "Less", Ref("Merge"), g.const("limit", 3))
    leave, stay = g.switch("Switch", Ref("Merge"), g.add("LoopCond", "LoopCond", Ref("Less")))
    g.add("NextIteration", "NextIteration", g.add("plus", "AddV2", stay, g.const("one", 1)))
    output = g.add("Exit", "Exit", leave)
    assert find_conditions(g.rewriter(), [output]) == []


@pytest.mark.parametrize("version", [1, 2])
def test_a_condition_on_data_stays(version: int) -> None:
    """Both sides are computed and one is selected; the report says what it depends on."""
    g = Draft()
    x = g.placeholder("x", (None, 4))
    predicate = g.add("greater", "Greater", g.mean("mean", x, (0, 1)), g.const("zero", 0.0))
    output = _merged(g, predicate) if version == 1 else _called(g, predicate)
    found = g.infer(output.node)
    assert {"Relu", "Tanh", "SelectV2"} <= set(found.ops)
    assert not {"Merge", "Switch", "If"} & set(found.ops)
    assert found.decided("condition") == {output.node: "kept"}
    (select,) = (node for node in found.model.graph if node.op == "SelectV2")
    assert [found.model.graph.nodes[ref.node].op for ref in select.inputs] == ["Greater", "Relu", "Tanh"]


def test_a_missing_function_is_named() -> None:
    """A call of what the library hasn't got is an error with both names."""
    g = Draft()
    x = g.placeholder("x")
    call = g.add("call", "StatefulPartitionedCall", x, f=FunctionCall("lost"))
    with pytest.raises(MissingError, match=r"node call: .*'lost'"):
        _resolved(g, call)


def test_endless_recursion_is_refused() -> None:
    """A function that calls itself ends in an error, not in a full memory."""
    g = Draft()
    inner = Draft()
    inner.add("again", "PartitionedCall", Ref("x"), f=FunctionCall("f"))
    call = g.function("f", ["x"], [Ref("again")], inner)
    output = g.add("call", "PartitionedCall", g.placeholder("x"), f=call)
    with pytest.raises(LimitError, match="nested"):
        _resolved(g, output)


def test_inlined_names_say_where_they_come_from() -> None:
    """The nodes of a function are under the name of the call; two calls don't mix."""
    g = Draft()
    inner = Draft()
    inner.add("y", "Relu", Ref("x"))
    call = g.function("f", ["x"], [Ref("y")], inner)
    first = g.add("a", "PartitionedCall", g.placeholder("x"), f=call)
    second = g.add("b", "PartitionedCall", first, f=call)
    rewriter, inliner = g.inliner()
    resolve_flags(rewriter, inliner, [second], Findings())
    assert [node.name for node in rewriter.order([second])] == ["x", "a/y", "b/y"]


def test_a_loop_on_a_side_is_in_its_branch() -> None:
    """Of a condition in a branch of another one, too: where its side isn't taken, it need not even end."""
    g, cond, body, inner, outer, other = Draft(), Draft(), Draft(), Draft(), Draft(), Draft()
    cond.add("less", "Less", Ref("a"), cond.const("limit", 10.0), T=FLOAT)
    body.add("more", "AddV2", Ref("a"), body.const("one", 1.0), T=FLOAT)
    functions: dict[str, Any] = {
        "cond": inner.function("c", ["a"], [Ref("less")], cond),
        "body": inner.function("b", ["a"], [Ref("more")], body),
    }
    inner.add("while", "StatelessWhile", Ref("v"), T=(FLOAT,), **functions)
    other.add("same", "Identity", Ref("v"), T=FLOAT)
    loop, same = (
        outer.function("loop", ["v"], [Ref("while")], inner),
        outer.function("same", ["v"], [Ref("same")], other),
    )
    outer.add("positive", "Greater", Ref("v"), outer.const("zero", 0.0), T=FLOAT)
    outer.add("choice", "If", Ref("positive"), Ref("v"), then_branch=loop, else_branch=same, Tout=(FLOAT,))
    nested = g.function("nested", ["v"], [Ref("choice")], outer)
    x = g.placeholder("x", ())
    large = g.add("large", "Greater", x, g.const("hundred", 100.0), T=FLOAT)
    y = g.add("y", "If", large, x, then_branch=g.function("plain", ["v"], [Ref("same")], other), else_branch=nested)
    g.functions |= {**outer.functions, **inner.functions}
    found = g.infer(y.node)
    wanted = [output.ref for output in found.model.outputs]
    (outer_if,) = [node for node in nest_conditions(list(found.model.graph), wanted) if node.op == IF]
    assert outer_if.inputs == (large,)
    branches = outer_if.attribute("branches")
    assert not [node for node in all_nodes(branches.then) if node.op in (IF, LOOP)]
    (inner_if,) = [node for node in branches.otherwise if node.op == IF]
    assert [node.op for node in inner_if.attribute("branches").then if node.op == LOOP] == [LOOP]
    assert [node.op for node in inner_if.attribute("branches").otherwise] == ["Identity"]


def _nested(g: Draft, output: Ref) -> list[Any]:
    """The nodes of an inference function with its conditions nested."""
    found = g.infer(output.node)
    return nest_conditions(list(found.model.graph), [result.ref for result in found.model.outputs])


def test_what_may_fail_is_computed_on_its_side_alone() -> None:
    """An index that the other side is there to keep out isn't looked up; what is before the condition stays there."""
    g = Draft()
    x, index = g.placeholder("x", (None, 4)), g.placeholder("index", (), dtype=INT32)
    table = g.add("table", "Relu", x)
    predicate = g.add("inside", "Less", index, g.const("size", 3))
    data_false, data_true = g.switch("data", table, predicate)
    _, place = g.switch("place", index, predicate)
    row = g.add("row", "GatherV2", data_true, place, g.const("axis", 0))
    output = g.add("merge", "Merge", g.add("first", "Tanh", data_false), row)
    nodes = _nested(g, output)
    (condition,) = [node for node in nodes if node.op == IF]
    branches = condition.attribute("branches")
    assert [node.op for node in branches.then] == ["GatherV2"]
    assert [node.op for node in branches.otherwise] == ["Tanh"]
    assert "Relu" in [node.op for node in nodes]


@pytest.mark.parametrize("number", [-1, 0, 1, 2, 7])
@pytest.mark.parametrize("version", [1, 2])
def test_a_known_case_is_resolved(version: int, number: int) -> None:
    """The side of that number is taken, and the last if there is none."""
    g = Draft()
    x = g.placeholder("x")
    index = g.const("index", number)
    if version == 1:
        switch = g.add("split", "_SwitchN", x, index, num_outs=3)
        sides = [g.add(op.lower(), op, Ref(switch.node, port)) for port, op in enumerate(_THREE)]
        output = g.add("merge", "Merge", *sides[::-1])
    else:
        output = _case(g, index)
    assert _resolved(g, output) == ["Placeholder", _THREE[number if 0 <= number < 3 else 2]]


@pytest.mark.parametrize("op", ["Case", "StatelessCase"])
def test_a_case_on_data_is_a_row_of_selections(op: str) -> None:
    """Each side but the last by its number."""
    g = Draft()
    g.placeholder("x", (None, 4))
    output = _case(g, g.placeholder("index", (), dtype=INT32), op)
    found = g.infer(output.node)
    assert {*_THREE} <= set(found.ops)
    assert found.ops.count("SelectV2") == found.ops.count("Equal") == 2


_THREE = ("Relu", "Tanh", "Elu")


def _case(g: Draft, index: Ref, op: str = "Case") -> Ref:
    calls = []
    for inner_op in _THREE:
        inner = Draft()
        inner.add("y", inner_op, Ref("x"))
        calls.append(g.function(inner_op, ["x"], [Ref("y")], inner))
    return g.add("case", op, index, Ref("x"), branches=tuple(calls), Tout=(FLOAT,))
