"""Edits on a graph are seen by all that is read afterwards."""

from __future__ import annotations

from exporter.inference.graph.rewriter import Rewriter
from exporter.sources.graph import Graph, Node, Ref


def test_what_nodes_need_is_told_anew_after_an_edit() -> None:
    """Orders are kept between edits alone, and belong to the caller."""
    rewriter = Rewriter(Graph({"a": Node("a", "Placeholder"), "b": Node("b", "Relu", (Ref("a"),))}, {}))
    first = rewriter.order([Ref("b")])
    assert [node.name for node in first] == ["a", "b"]
    first.clear()
    assert [node.name for node in rewriter.order([Ref("b")])] == ["a", "b"]
    rewriter.redirect(Ref("a"), rewriter.add("c", "Placeholder"))
    assert [node.name for node in rewriter.order([Ref("b")])] == ["c", "b"]
    rewriter.put(Node("b", "NoOp"))
    assert [node.name for node in rewriter.order([Ref("b")])] == ["b"]
