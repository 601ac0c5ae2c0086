"""Finds the inputs: what the outputs need and the graph can't compute."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from exporter.errors import UnsupportedError, UsageError
from exporter.inference.control_flow.open_loops import COLLECTORS
from exporter.inference.findings import Findings
from exporter.inference.graph.op_types import DATA_SOURCES, PLACEHOLDERS, PYTHON_CALLS
from exporter.inference.graph.queries import BOOL, RANDOM_OPS, STEPWISE, has_computed_default
from exporter.inference.graph.ranks import hinted_shape
from exporter.inference.graph.result_types import result_type
from exporter.inference.graph.rewriter import Rewriter
from exporter.inference.graph.rounds import rounds
from exporter.inference.inputs.dataset_batch import batch_size
from exporter.inference.model import Input
from exporter.report.decisions import Choice, Reason
from exporter.sources.graph import Node, Ref

__all__ = ["Given", "cut_input", "find_inputs", "use_defaults"]

_WRITTEN = "written_for_batch"
"""The attribute of a placeholder in the place of another tensor: the first size of that."""

_Shape = tuple[int | None, ...] | None


@dataclass(frozen=True, slots=True)
class Given:
    """A tensor that the user names as an input.

    Attributes:
        name: As it is in the file.
        node: The placeholder for it, as it was before any value was set.
        declared: Whether it is a placeholder in the file, too.
        shape: What the user says; None: as in the graph.
    """

    name: str
    node: Node
    declared: bool
    shape: _Shape


def cut_input(rewriter: Rewriter, ref: Ref) -> Ref:
    """Puts a placeholder in the place of a tensor, so that nothing before it belongs to the model; returns it."""
    node = rewriter.node(ref.node)
    if node.op in ("Placeholder", "PlaceholderV2"):
        return ref
    dtype, shape = result_type(rewriter, node, ref.port), _shape(rewriter, node, ref.port)
    attributes: dict[str, Any] = {"dtype": dtype, "shape": shape, _WRITTEN: _batch(rewriter, node, ref.port)}
    placeholder = rewriter.add(f"{ref}/input", "Placeholder", **attributes)
    rewriter.redirect(ref, placeholder)
    return placeholder


def use_defaults(rewriter: Rewriter, outputs: Iterable[Ref], given: Iterable[Ref], findings: Findings) -> None:
    """A placeholder that nobody has named as an input takes a default that is one number or what layers compute.

    It takes any default where the user has named others.
    """
    named = frozenset(given)
    for node in rewriter.order(outputs, stop=named):
        if node.op != "PlaceholderWithDefault" or Ref(node.name) in named:
            continue
        default = rewriter.value(rewriter.inputs(node)[0])
        if has_computed_default(rewriter, node):
            rewriter.redirect(Ref(node.name), rewriter.inputs(node)[0])
            findings.decide("value", node.name, Choice.ITS_DEFAULT, Reason.COMPUTED_DEFAULT)
        elif default is not None and default.size == 1:
            rewriter.redirect(Ref(node.name), rewriter.inputs(node)[0])
            findings.decide("value", node.name, default.item(), Reason.NUMBER_DEFAULT)
        elif named:
            rewriter.redirect(Ref(node.name), rewriter.inputs(node)[0])
            findings.decide("value", node.name, Choice.ITS_DEFAULT, Reason.UNNAMED_DEFAULT)


def find_inputs(
    rewriter: Rewriter,
    outputs: list[Ref],
    given: Mapping[Ref, Given],
    findings: Findings,
) -> list[Input]:
    """The inputs, in the graph's order.

    Args:
        rewriter: The graph, without training.
        outputs: What is to be computed.
        given: Tensors that the user names as inputs, by the placeholders for them.

    Raises:
        UnsupportedError: Random numbers are part of the model.
        UsageError: A tensor is named that the outputs don't need, unless it is a placeholder: that stays an input.
    """
    cut = set(given)
    for _ in rounds("finding the inputs"):
        nodes = rewriter.order(outputs, stop=frozenset(cut))
        used = {ref for node in nodes for ref in rewriter.inputs(node)} | {rewriter.resolve(ref) for ref in outputs}
        new = {ref for ref in used if ref not in cut and _is_source(rewriter, rewriter.node(ref.node))}
        if not new:
            break
        cut |= new
    needed = [ref for ref in cut if ref in used]
    idle = [ref for ref in given if ref not in needed]
    drawn = [node for node in nodes if node.op in RANDOM_OPS]
    if drawn and not needed:
        needed = [Ref(node.name) for node in drawn]
    elif drawn:
        names = ", ".join(f"{node.name} ({node.op})" for node in drawn[:6])
        raise UnsupportedError(
            f"random numbers are part of the model: {names}",
            hint=f"Export up to there with --output, or take them as an input: --input {drawn[0].name}",
        )
    if idle:
        _check_idle(rewriter, [given[ref] for ref in idle], needed)
    for ref in needed:
        node = rewriter.node(ref.node)
        if node.op in PLACEHOLDERS and node.attribute("dtype") == BOOL:
            findings.warn(
                f"{node.name} is a bool that stays an input; if it is a flag, give it with --set {node.name}=VALUE"
            )
    for ref in idle:
        name = given[ref].name
        findings.warn(f"the outputs don't need {name}; it stays an input, as it was asked for, and changes nothing")
    position = {node.name: i for i, node in enumerate(rewriter.graph)}
    inputs = sorted([*needed, *idle], key=lambda ref: (position.get(ref.node, len(position)), ref))
    return [_input(rewriter, ref, given.get(ref)) for ref in inputs]


def _check_idle(rewriter: Rewriter, idle: list[Given], needed: list[Ref]) -> None:
    """Refuse inputs that the outputs need only through an op that isn't computed, and other tensors they don't need."""
    for ref in needed:
        node = rewriter.node(ref.node)
        behind = {other.name for other in rewriter.order([ref])} - {ref.node}
        through = [other.name for other in idle if other.node.name in behind]
        if through and node.op in PYTHON_CALLS:
            raise UnsupportedError(
                f"the outputs need the input {', '.join(through)} only through {node.name} ({node.op}), which is "
                "Python code that isn't in the file",
                hint=f"Export what comes after it: --input {ref}",
            )
        if through:
            raise UsageError(
                f"the outputs need the input {', '.join(through)} only through {node.name} ({node.op}), where the data "
                "of the model begin",
                hint=f"Name that instead: --input {ref}",
            )
    others = [entry.name for entry in idle if not entry.declared]
    if others:
        raise UsageError(
            f"the outputs don't need the input {', '.join(others)}", hint="Leave it out, or name other outputs"
        )


def _is_source(rewriter: Rewriter, node: Node) -> bool:
    """A placeholder, what queues and decoders give out, and what a loop over decoders has collected."""
    if node.op in COLLECTORS:
        needed = rewriter.order([Ref(node.name)])
        return any(other.op in DATA_SOURCES and STEPWISE in other.attributes for other in needed)
    if STEPWISE in node.attributes:
        return False
    return node.op in DATA_SOURCES or node.op in PLACEHOLDERS


def _input(rewriter: Rewriter, ref: Ref, given: Given | None) -> Input:
    node = rewriter.node(ref.node) if given is None else given.node
    shape = None if given is None else given.shape
    known = _shape(rewriter, node, ref.port)
    if shape is not None and known and len(known) != len(shape):
        sizes, right = (",".join("?" if size is None else str(size) for size in each) for each in (shape, known))
        raise UsageError(
            f"--input {ref}={sizes} has {len(shape)} sizes, and the graph's {ref} has {len(known)}: {right}",
            hint=f"Write --input {ref}={right}, with other numbers where they may differ",
        )
    found = known if shape is None else shape
    written = _batch(rewriter, node, ref.port) if found and found[0] is None else None
    return Input(str(ref), ref, result_type(rewriter, node, ref.port), found, written)


def _batch(rewriter: Rewriter, node: Node, port: int) -> int | None:
    """The first size of a tensor as the file has it."""
    if _WRITTEN in node.attributes:
        written: int | None = node.attribute(_WRITTEN)
        return written
    if "Many" in node.op or "UpTo" in node.op:
        count = rewriter.value(rewriter.inputs(node)[1])
        return None if count is None or count.size != 1 else int(count.item())
    shapes = node.attribute("output_shapes") or ()
    shape = shapes[port] if port < len(shapes) else hinted_shape(node, port)
    return shape[0] if shape else None


def _shape(rewriter: Rewriter, node: Node, port: int) -> _Shape:
    if node.op in PLACEHOLDERS:
        hint = hinted_shape(node, port)
        return node.attribute("shape") if hint is None else hint
    shapes = node.attribute("output_shapes")
    if shapes is not None and port < len(shapes):
        known: _Shape = shapes[port]
        batched = known and node.op.startswith("Iterator") and known[0] == batch_size(rewriter, node)
        return (None, *known[1:]) if known and batched else known
    if node.op.startswith("Parse"):
        # the dense results of `ParseExample` come after three for each sparse one
        shapes = node.attribute("dense_shapes", ())
        dense = port - 3 * len(node.attribute("sparse_types", ()))
        if not 0 <= dense < len(shapes) or shapes[dense] is None:
            return None
        return tuple(shapes[dense]) if "Single" in node.op else (None, *shapes[dense])
    # a queue hands out batches of one size; the model takes any
    batches = "Many" in node.op or "UpTo" in node.op
    hint = hinted_shape(node, port)
    if hint is not None:
        return (None, *hint[1:]) if batches else hint
    if node.op.startswith("QueueDequeue"):
        shapes = rewriter.producer(rewriter.inputs(node)[0]).attribute("shapes", ())
        if port >= len(shapes) or shapes[port] is None:
            return None
        return (None, *shapes[port]) if batches else tuple(shapes[port])
    if node.op in ("DecodeJpeg", "DecodePng", "DecodeBmp", "DecodeAndCropJpeg", "DecodeImage"):
        return (None, None, node.attribute("channels", 0) or None)
    return None
