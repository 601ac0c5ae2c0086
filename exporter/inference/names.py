"""Tensors by the names that users give: `x` and `x:0`, with a suggestion where there is none of that name."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

from exporter.errors import UsageError
from exporter.inference.rewriter import Rewriter
from exporter.sources.graph import Ref, parse_ref

__all__ = ["find_tensor"]


def find_tensor(rewriter: Rewriter, name: str, *, what: str) -> Ref:
    """The tensor of that name.

    Raises:
        UsageError: There is none; the message names the nearest.
    """
    ref = parse_ref(name) if name else Ref(name)
    if ref.node not in rewriter:
        near = _near(ref.node, rewriter.graph.nodes)
        hint = f"Did you mean {' or '.join(near)}?" if near else "`inspect` lists the graph's inputs and outputs"
        raise UsageError(f"there is no tensor {name!r} in the graph, given as {what}", hint=hint)
    return ref


def _near(name: str, names: Iterable[str]) -> list[str]:
    """Names like this one: the same but for the scope or for case first, then similar ones."""
    known = list(names)
    last = name.rpartition("/")[2].lower()
    same = [other for other in known if other.rpartition("/")[2].lower() == last]
    return (same or difflib.get_close_matches(name, known, n=3, cutoff=0.6))[:3]
