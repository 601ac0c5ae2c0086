"""Finds the inputs: what the outputs need and the graph can't compute."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from exporter.errors import UnsupportedError, UsageError
from exporter.inference.batches import batch_size
from exporter.inference.findings import Findings
from exporter.inference.groups import DATA_SOURCES, PLACEHOLDERS
from exporter.inference.loops import COLLECTORS
from exporter.inference.markers import BOOL, RANDOM_OPS, STEPWISE, has_computed_default
from exporter.inference.model import Input
from exporter.inference.ranks import hinted_shape
from exporter.inference.rewriter import Rewriter
from exporter.sources.graph import Node, Ref

__all__ = ["cut_input", "find_inputs", "use_defaults"]

_UINT8 = 4
_FLOAT = 1
_STRING = 7

_Shape = tuple[int | None, ...] | None


def cut_input(rewriter: Rewriter, ref: Ref) -> Ref:
    """Puts a placeholder in the place of a tensor, so that nothing before it belongs to the model; returns it."""
    node = rewriter.node(ref.node)
    if node.op in ("Placeholder", "PlaceholderV2"):
        return ref
    dtype, shape = _dtype(rewriter, node, ref.port), _shape(rewriter, node, ref.port)
    placeholder = rewriter.add(f"{ref}/input", "Placeholder", dtype=dtype, shape=shape)
    rewriter.redirect(ref, placeholder)
    return placeholder


def use_defaults(rewriter: Rewriter, outputs: Iterable[Ref], given: Iterable[Ref], findings: Findings) -> None:
    """A placeholder that nobody has named as an input takes a default that is one number or what layers compute."""
    named = frozenset(given)
    for node in rewriter.order(outputs, stop=named):
        if node.op != "PlaceholderWithDefault" or Ref(node.name) in named:
            continue
        default = rewriter.value(rewriter.inputs(node)[0])
        if has_computed_default(rewriter, node):
            rewriter.redirect(Ref(node.name), rewriter.inputs(node)[0])
            reason = f"what the network computes there; --input {node.name} makes it an input"
            findings.decide("value", node.name, "its default", reason)
        elif default is not None and default.size == 1:
            rewriter.redirect(Ref(node.name), rewriter.inputs(node)[0])
            findings.decide("value", node.name, str(default.item()), "its default; --set gives it another value")


def find_inputs(
    rewriter: Rewriter,
    outputs: list[Ref],
    given: Mapping[Ref, _Shape],
    findings: Findings,
) -> list[Input]:
    """The inputs, in the graph's order.

    Args:
        rewriter: The graph, without training.
        outputs: What is to be computed.
        given: Tensors that the user names as inputs, with the shapes they say (None: as in the graph).

    Raises:
        UnsupportedError: Random numbers are part of the model.
        UsageError: A tensor is named that the outputs don't need.
    """
    cut = set(given)
    while True:
        nodes = rewriter.order(outputs, stop=frozenset(cut))
        used = {ref for node in nodes for ref in rewriter.inputs(node)} | {rewriter.resolve(ref) for ref in outputs}
        new = {ref for ref in used if ref not in cut and _is_source(rewriter, rewriter.node(ref.node))}
        if not new:
            break
        cut |= new
    needed = [ref for ref in cut if ref in used]
    drawn = [node for node in nodes if node.op in RANDOM_OPS]
    if drawn and not needed:
        needed = [Ref(node.name) for node in drawn]
    elif drawn:
        raise _randomness(drawn)
    position = {node.name: i for i, node in enumerate(rewriter.graph)}
    needed.sort(key=lambda ref: (position.get(ref.node, len(position)), ref))
    idle = [str(ref) for ref in given if ref not in needed]
    if idle:
        raise UsageError(
            f"the outputs don't need the input {', '.join(idle)}", hint="Leave it out, or name other outputs"
        )
    for ref in needed:
        _warn_of_flag(rewriter.node(ref.node), findings)
    return [_input(rewriter, ref, given.get(ref)) for ref in needed]


def _is_source(rewriter: Rewriter, node: Node) -> bool:
    """A placeholder, what queues and decoders give out, and what a loop over decoders has collected."""
    if node.op in COLLECTORS:
        return any(other.op in DATA_SOURCES for other in rewriter.order([Ref(node.name)]))
    if STEPWISE in node.attributes:
        return False
    return node.op in DATA_SOURCES or (node.op in PLACEHOLDERS and node.attribute("dtype") != _STRING)


def _randomness(drawn: list[Node]) -> UnsupportedError:
    names = ", ".join(f"{node.name} ({node.op})" for node in drawn[:6])
    return UnsupportedError(
        f"random numbers are part of the model: {names}",
        hint=f"Export up to there with --output, or take them as an input: --input {drawn[0].name}",
    )


def _warn_of_flag(node: Node, findings: Findings) -> None:
    if node.op in PLACEHOLDERS and node.attribute("dtype") == BOOL:
        findings.warn(
            f"{node.name} is a bool that stays an input; if it is a flag, give it with --set {node.name}=VALUE"
        )


def _input(rewriter: Rewriter, ref: Ref, shape: _Shape) -> Input:
    node = rewriter.node(ref.node)
    return Input(
        str(ref), ref, _dtype(rewriter, node, ref.port), _shape(rewriter, node, ref.port) if shape is None else shape
    )


def _dtype(rewriter: Rewriter, node: Node, port: int) -> int:
    """TensorFlow's type number of a result that is cut off from what makes it."""
    for name in ("dtype", "T"):
        if node.attribute(name) is not None:
            return int(node.attribute(name))
    for name in ("output_types", "component_types", "Tout"):
        types = node.attribute(name)
        if types is not None and port < len(types):
            return int(types[port])
    if node.op.startswith("Decode"):
        return int(node.attribute("out_type", _UINT8))
    if node.op.startswith("Parse"):
        return _parsed(node, port)[0]
    if node.op.startswith("Read"):
        return _STRING
    for name in ("SrcT", "DstT"):
        if node.attribute(name) is not None:
            return int(node.attribute("DstT"))
    first = rewriter.inputs(node)
    return _dtype(rewriter, rewriter.node(first[0].node), first[0].port) if first else _FLOAT


def _parsed(node: Node, port: int) -> tuple[int, _Shape]:
    """The dense results of `ParseExample` come after three for each sparse one."""
    types, shapes = node.attribute("Tdense", ()), node.attribute("dense_shapes", ())
    dense = port - 3 * len(node.attribute("sparse_types", ()))
    if not 0 <= dense < len(types):
        return _FLOAT, None
    batch = () if "Single" in node.op else (None,)
    return int(types[dense]), None if shapes[dense] is None else (*batch, *shapes[dense])


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
        return _parsed(node, port)[1]
    hint = hinted_shape(node, port)
    if hint is not None:
        return _any_batch(node, hint)
    if node.op.startswith("QueueDequeue"):
        return _queued(rewriter, node, port)
    if node.op in ("DecodeJpeg", "DecodePng", "DecodeBmp", "DecodeAndCropJpeg", "DecodeImage"):
        return (None, None, node.attribute("channels", 0) or None)
    return None


def _any_batch(node: Node, shape: tuple[int | None, ...]) -> _Shape:
    """A queue hands out batches of one size; the model takes any."""
    return (None, *shape[1:]) if "Many" in node.op or "UpTo" in node.op else shape


def _queued(rewriter: Rewriter, node: Node, port: int) -> _Shape:
    queue = rewriter.producer(rewriter.inputs(node)[0])
    shapes = queue.attribute("shapes", ())
    if port >= len(shapes) or shapes[port] is None:
        return None
    return (None, *shapes[port]) if "Many" in node.op or "UpTo" in node.op else tuple(shapes[port])
