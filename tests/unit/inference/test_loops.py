"""Loops of both versions: opened into the graph, and put together again."""

from __future__ import annotations

import numpy as np
import pytest

from exporter.errors import CorruptError
from exporter.inference.control_flow.nest_loops import all_nodes, nest_loops
from exporter.inference.control_flow.open_loops import with_open_loops
from exporter.inference.graph.queries import LOOP_RESULT, LOOP_STATE
from exporter.inference.model import LOOP
from exporter.sources.graph import FunctionCall, Graph, Node, Ref
from tests.unit.inference.graphs import INT32, Draft


def _enter(g: Draft, name: str, value: Ref, *, constant: bool = False, frame: str = "frame") -> Ref:
    return g.add(name, "Enter", value, frame_name=frame.encode(), is_constant=constant)


def _frame(g: Draft, x: Ref, *, scope: str = "while", frame: str = "frame", body_op: str = "Tanh") -> Ref:
    """`while i < 3: i += 1; y = tanh(y) + w`, version 1; returns y after it."""
    values = {"i": g.const(f"{scope}/zero", 0), "y": x}
    w = _enter(g, f"{scope}/w", g.variable(f"{scope}/kernel"), constant=True, frame=frame)
    merges = {}
    for name, value in values.items():
        entered = _enter(g, f"{scope}/{name}/Enter", value, frame=frame)
        merges[name] = g.add(f"{scope}/{name}/Merge", "Merge", entered, Ref(f"{scope}/{name}/NextIteration"))
    limit = g.const(f"{scope}/limit", 3)
    condition = g.add(f"{scope}/LoopCond", "LoopCond", g.add(f"{scope}/Less", "Less", merges["i"], limit))
    for name, merge in merges.items():
        g.add(f"{scope}/{name}/Switch", "Switch", merge, condition)
    one = g.const(f"{scope}/one", 1)
    following = {
        "i": g.add(f"{scope}/add", "AddV2", Ref(f"{scope}/i/Switch", 1), one),
        "y": g.add(f"{scope}/sum", "AddV2", g.add(f"{scope}/body", body_op, Ref(f"{scope}/y/Switch", 1)), w),
    }
    for name, value in following.items():
        g.add(f"{scope}/{name}/NextIteration", "NextIteration", value)
    return g.add(f"{scope}/y/Exit", "Exit", Ref(f"{scope}/y/Switch"))


def _function(g: Draft, x: Ref, op: str = "While") -> Ref:
    """The same, version 2, with the weight handed on from step to step."""
    condition, body = Draft(), Draft()
    condition.add("less", "Less", Ref("i"), condition.const("limit", 3))
    body.add("add", "AddV2", Ref("i"), body.const("one", 1))
    body.add("sum", "AddV2", body.add("body", "Tanh", Ref("y")), Ref("w"))
    body.add("copy", "Identity", Ref("w"))
    arguments = ["i", "y", "w"]
    calls = [
        g.function("cond", arguments, [Ref("less")], condition),
        g.function("body", arguments, [Ref("add"), Ref("sum"), Ref("copy")], body),
    ]
    g.add("while", op, g.const("zero", 0), x, g.variable("kernel"), cond=calls[0], body=calls[1], T=(INT32, 1, 1))
    return Ref("while", 1)


def test_frames_become_one_loop() -> None:
    """Variables, body and condition of a version 1 loop; the weight is outside of it."""
    g = Draft()
    found = g.infer(str(_frame(g, g.placeholder("x"))))
    (loop,) = (node for node in found.model.graph if node.op == LOOP)
    body = loop.attribute("body")
    assert sorted(node.op for node in body.nodes if node.op not in ("Identity", "Const")) == [
        "AddV2",
        "AddV2",
        "Less",
        "Tanh",
    ]
    assert {str(ref) for ref in loop.inputs} == {"while/i/Enter", "while/y/Enter"}
    assert "while/kernel" in found.model.variables
    assert "Switch" not in {node.op for node in all_nodes(found.model.graph)}


@pytest.mark.parametrize("op", ["While", "StatelessWhile"])
def test_functions_become_one_loop(op: str) -> None:
    """What no step changes is no loop variable, though the functions hand it on."""
    g = Draft()
    y = _function(g, g.placeholder("x"), op)
    found = g.infer(str(g.add("y", "Identity", y)))
    (loop,) = (node for node in found.model.graph if node.op == LOOP)
    assert {str(ref) for ref in loop.inputs} == {"zero", "x"}
    assert len(loop.attribute("body").states) == 2


def test_every_node_comes_after_what_it_needs() -> None:
    """In the graph, and in the body of a loop."""
    g = Draft()
    y = g.add("y", "Relu", _frame(g, g.add("before", "Relu", g.placeholder("x"))))
    found = g.infer(str(y))
    seen = {entry.ref.node for entry in found.model.inputs}

    def check(nodes: list[Node]) -> None:
        for node in nodes:
            assert {ref.node for ref in node.inputs} <= seen, node.name
            if node.op == LOOP:
                body = node.attribute("body")
                seen.update(ref.node for ref in body.states)
                check(list(body.nodes))
                assert {ref.node for ref in (*body.following, body.condition)} <= seen
            seen.add(node.name)

    check(list(found.model.graph))


def test_what_nobody_needs_of_a_loop_is_gone() -> None:
    """A variable that only gathers what backpropagation would need."""
    g = Draft()
    _function(g, g.placeholder("x"))
    found = g.infer(str(g.add("count", "Identity", Ref("while"))))
    (loop,) = (node for node in found.model.graph if node.op == LOOP)
    assert len(loop.inputs) == 1
    assert "Tanh" not in {node.op for node in all_nodes(found.model.graph)}


def test_a_loop_without_a_variable_left_is_no_loop() -> None:
    """The result of a variable that no step changes is what it was."""
    g = Draft()
    _function(g, g.placeholder("x"))
    found = g.infer(str(g.add("w", "Neg", Ref("while", 2))))
    assert LOOP not in found.ops


def test_a_graph_without_loops_stays_as_it_is() -> None:
    """The very same object, so that nothing is copied."""
    g = Draft()
    g.add("y", "Relu", g.placeholder("x"))
    graph = Graph(g.nodes)
    assert with_open_loops(graph)[0] is graph


def _state(name: str, loop: str, before: str, after: str) -> Node:
    return Node(name, LOOP_STATE, (Ref(before), Ref(after)), (), {"loop": loop})


def _result(name: str, loop: str, state: str, condition: str) -> Node:
    return Node(name, LOOP_RESULT, (Ref(state), Ref(condition)), (), {"loop": loop})


def _opened(*, crossed: bool = False) -> list[Node]:
    """A loop `b` in a loop `a`; crossed, a variable of `b` leaks out into the condition of `a`."""
    return [
        Node("x", "Relu"),
        _state("sa", "a", "x", "na"),
        _state("sb", "b", "sa", "nb"),
        Node("nb", "Tanh", (Ref("sb"),)),
        Node("cb", "Less", (Ref("sb"), Ref("x"))),
        _result("rb", "b", "sb", "cb"),
        Node("na", "Neg", (Ref("rb"),)),
        Node("ca", "Less", (Ref("sb" if crossed else "sa"), Ref("x"))),
        _result("ra", "a", "sa", "ca"),
    ]


def test_loops_are_nested() -> None:
    """The inner loop is a node of the outer one's body."""
    nodes = nest_loops(_opened(), {"b": ("count",)})
    assert [node.op for node in nodes] == ["Relu", LOOP, "Identity"]
    inner = [node for node in nodes[1].attribute("body").nodes if node.op == LOOP]
    assert [ref.node for ref in inner[0].inputs] == ["sa"]
    assert inner[0].attribute("assigned") == ("count",)
    assert nodes[1].attribute("assigned") == ()


def test_loops_that_overlap_are_refused() -> None:
    """A file that was tampered with: an error, no endless search."""
    with pytest.raises(CorruptError, match="loop"):
        nest_loops(_opened(crossed=True), {})


def test_a_loop_without_a_condition_is_refused() -> None:
    """Its results are gone, but not its variables."""
    nodes = [Node("x", "Relu"), _state("s", "a", "x", "n"), Node("n", "Tanh", (Ref("s"),))]
    with pytest.raises(CorruptError, match="condition"):
        nest_loops(nodes, {})


def test_a_function_that_is_its_own_step_is_refused() -> None:
    """The inliner's bound on depth holds for loops."""
    g = Draft()
    body = Draft()
    body.add("inner", "While", Ref("x"), cond=FunctionCall("cond"), body=FunctionCall("body"), T=(1,))
    condition = Draft()
    condition.add("less", "Less", Ref("x"), Ref("x"))
    g.function("cond", ["x"], [Ref("less")], condition)
    call = g.function("body", ["x"], [Ref("inner")], body)
    g.add("y", "While", g.placeholder("x"), cond=FunctionCall("cond"), body=call, T=(1,))
    with pytest.raises(Exception, match="nested more than 64 deep"):
        g.infer("y")


def test_flags_are_found_in_loops() -> None:
    """Noise in each step, on a flag that is fed from outside of the loop."""
    g = Draft()
    x = g.placeholder("x")
    flag = _enter(g, "while/flag", g.flag("is_training"), constant=True)
    y = _frame(g, x)
    off, on = g.switch("while/cond/Switch", Ref("while/body"), flag)
    noise = g.add("while/noise", "RandomStandardNormal", g.const("while/shape", [2]), controls=["while/cond/Switch"])
    merged = g.add("while/merged", "Merge", off, g.add("while/noisy", "AddV2", on, noise))
    g.nodes["while/sum"] = Node("while/sum", "AddV2", (merged, Ref("while/w")))
    found = g.infer(str(y))
    assert found.decided("flag") == {"is_training": "false"}
    assert [entry.name for entry in found.model.inputs] == ["x"]


def test_data_that_a_loop_fetches_are_no_input() -> None:
    """Each step would get other ones."""
    g = Draft()
    x = g.placeholder("x")
    y = _frame(g, x)
    g.add("iterator", "IteratorV2")
    handle = _enter(g, "while/iterator", Ref("iterator"), constant=True)
    data = g.add("while/data", "IteratorGetNext", handle, output_types=(1,), output_shapes=((None, 4),))
    g.nodes["while/sum"] = Node("while/sum", "AddV2", (Ref("while/body"), data))
    found = g.infer(str(y))
    assert [entry.name for entry in found.model.inputs] == ["x"]
    assert "IteratorGetNext" in found.ops


def test_a_limit_that_is_fed_stays_an_input() -> None:
    """How many steps there are may depend on what the model is given."""
    g = Draft()
    y = _frame(g, g.placeholder("x"))
    g.nodes["while/limit"] = Node("while/limit", "Placeholder", (), (), {"dtype": INT32, "shape": ()})
    found = g.infer(str(y))
    assert {entry.name for entry in found.model.inputs} == {"while/limit", "x"}


def test_what_decides_about_another_step_is_no_output() -> None:
    """Neither is the condition of a loop on the data, a scalar, nor what it is computed from."""
    g = Draft()
    x = g.placeholder("x")
    entered = _enter(g, "while/Enter", g.dense("layer", x))
    merge = g.add("while/Merge", "Merge", entered, Ref("while/NextIteration"))
    total = g.add("while/Sum", "Sum", g.add("while/Abs", "Abs", merge), g.const("while/axes", np.array([0, 1])))
    less = g.add("while/Less", "Less", total, g.const("while/limit", 50.0))
    g.add("while/Switch", "Switch", merge, g.add("while/LoopCond", "LoopCond", less))
    grown = g.add("while/mul", "Mul", Ref("while/Switch", 1), g.const("while/factor", 1.5))
    g.add("while/NextIteration", "NextIteration", grown)
    g.dense("out", g.add("while/Exit", "Exit", Ref("while/Switch")))
    found = g.infer()
    assert [output.name for output in found.model.outputs] == ["out/MatMul"]
