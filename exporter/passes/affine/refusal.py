"""Why something can't be done: raised while planning, printed in the report."""

from __future__ import annotations

import onnx_ir as ir

__all__ = ["Refused", "label"]


class Refused(Exception):  # noqa: N818 - a decision, not an error
    """This way isn't exact, or isn't there; the message says why, so that it can follow "because"."""


def label(node: ir.Node) -> str:
    """What a node is called in a report: its op and where it comes from."""
    source = node.metadata_props.get("source") or str(node.name)
    return source if node.domain == "passes" else f"{node.op_type} {source}"
