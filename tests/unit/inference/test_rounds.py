"""No search goes on for ever, whatever holds a condition, and names are found free in a time that is linear."""

from __future__ import annotations

import pytest

from exporter.errors import LimitError
from exporter.inference.graph.rewriter import Rewriter
from exporter.inference.graph.rounds import rounds
from exporter.sources.graph import Graph, Node, Ref
from tests.unit.inference.graphs import BOOL, FLOAT, Draft


def test_a_search_ends_in_one_paragraph() -> None:
    """It says what was searched for, after how many rounds, and what to do."""
    with pytest.raises(LimitError, match=r"^counting was still going on after 3 rounds\. Name .*--output$"):
        for _ in rounds("counting", 3):
            pass


@pytest.mark.parametrize("known", [True, False])
@pytest.mark.parametrize("results", [0, 1])
def test_a_condition_that_only_a_control_edge_holds(known: bool, results: int) -> None:
    """A check or a print on data, with results or without, is opened once at most, and the model is what is left."""
    g = Draft()
    side = Draft()
    value = side.add("value", "Identity", Ref("a"), T=FLOAT)
    calls = [g.function(name, ["a"], [value] * results, side) for name in ("then", "else")]
    x = g.placeholder("x")
    predicate = g.const("known", True) if known else g.add("large", "Any", x, g.const("axes", [0, 1]))
    g.add("check", "If", predicate, x, then_branch=calls[0], else_branch=calls[1], Tcond=BOOL)
    y = g.add("y", "Relu", g.dense("dense", x))
    g.nodes["y"] = Node("y", "Relu", g.nodes["y"].inputs, ("check",), g.nodes["y"].attributes)
    assert g.infer(y.node).ops[-1] == "Relu"


def test_equal_names_are_numbered_in_turn() -> None:
    """The hundred thousandth node of one name is found a free one as fast as the second."""
    rewriter = Rewriter(Graph({}))
    names = [rewriter.add("name", "NoOp").node for _ in range(100_000)]
    assert names[:3] == ["name", "name_1", "name_2"] and len(set(names)) == len(names)
    rewriter.put(Node("other_1", "NoOp"))
    assert [rewriter.add("other", "NoOp").node for _ in range(3)] == ["other", "other_2", "other_3"]
