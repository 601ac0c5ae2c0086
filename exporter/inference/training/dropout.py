"""Dropout and other noise of training become the identity.

Found from the random op forwards, whatever wrote the pattern:

    x / keep_prob * floor(keep_prob + uniform)             TensorFlow 0.5 to 1.12
    x * (1 / (1 - rate)) * cast(uniform >= rate)           1.13 to 2.4
    select(uniform >= rate, x * (1 / (1 - rate)), 0)       since
    x * mask / keep_prob                                   written by hand
    (x * mask + alpha * (1 - mask)) * a + b                alpha dropout
    x + normal * stddev, x * (1 + normal * stddev)         Gaussian noise and dropout; stddev may be fed
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from exporter.inference.findings import Findings
from exporter.inference.graph.op_types import PLACEHOLDERS
from exporter.inference.graph.queries import RANDOM_OPS, variable_behind
from exporter.inference.graph.rewriter import Rewriter
from exporter.report.decisions import Choice, Reason
from exporter.sources.graph import Node, Ref
from exporter.sources.model import VARIABLE_OPS

__all__ = ["drop_noise"]

_TRAINS = re.compile(r"(Resource)?(Sparse)?Apply[A-Z]")
"""Ops by which optimizers change the variable that is their first input."""

_NORMAL_OPS = frozenset(op for op in RANDOM_OPS if "Normal" in op)

_RECURRENT = frozenset({"CudnnRNN", "CudnnRNNV2", "CudnnRNNV3"})
"""Ops that drop by themselves what one of their layers gives to the next."""

_SUMS = frozenset({"Add", "AddV2"})
_COPIES = frozenset({"Identity", "Cast", "Reshape", "StopGradient"})
_DIVISIONS = frozenset({"RealDiv", "Div"})
_COMPARISONS = frozenset({"GreaterEqual", "Greater", "Less", "LessEqual"})
_SELECTS = frozenset({"Select", "SelectV2"})

_LONGEST = 10

_Consumers = Mapping[Ref, list[tuple[Node, int]]]


@dataclass(frozen=True, slots=True)
class _Mask:
    """A random mask: its tensor, and the tensor that says how much it keeps (or, `rate`, how much it drops)."""

    tensor: Ref
    parameter: Ref
    rate: bool


def drop_noise(rewriter: Rewriter, outputs: list[Ref], findings: Findings) -> None:
    """Redirects what noise has been applied to, to what it was before; randomness of other kinds is left alone."""
    for node in [node for node in rewriter.order(outputs) if node.op in RANDOM_OPS]:
        nodes = rewriter.order(outputs)
        if not any(other.name == node.name for other in nodes):
            continue
        consumers = rewriter.consumers(nodes)
        mask = _find_mask(rewriter, consumers, Ref(node.name))
        if mask is not None:
            _drop_masked(rewriter, consumers, mask, findings)
        elif node.op in _NORMAL_OPS:
            _drop_gaussian(rewriter, consumers, Ref(node.name), findings)
    for node in rewriter.order(outputs):
        rate = float(node.attribute("dropout", 0.0)) if node.op in _RECURRENT else 0.0
        if rate and node.attribute("is_training", True):  # between its layers; lowering has none
            findings.decide("dropout", node.name, Choice.IDENTITY, Reason.DROPOUT_KEEPING, keep=1 - rate)


def _find_mask(rewriter: Rewriter, consumers: _Consumers, ref: Ref) -> _Mask | None:
    """From the random tensor to where it is compared, by `>=` or by `floor(keep_prob + uniform)`."""
    parameter: Ref | None = None
    for _ in range(_LONGEST):
        users = consumers.get(ref, [])
        if len(users) != 1:
            return None
        node, position = users[0]
        others = [other for i, other in enumerate(rewriter.inputs(node)) if i != position]
        if node.op in _COMPARISONS:
            keeps_small = node.op.startswith("Less") == (position == 0)
            return _Mask(Ref(node.name), others[0], rate=not keeps_small)
        if node.op == "Floor":
            return None if parameter is None else _Mask(Ref(node.name), parameter, rate=False)
        if node.op in _SUMS | {"Sub"}:
            parameter = others[0] if _known(rewriter, others[0]) != 0 else parameter
        elif node.op not in _COPIES and not (node.op == "Mul" and _known(rewriter, others[0]) is not None):
            return None
        ref = Ref(node.name)
    return None


def _known(rewriter: Rewriter, ref: Ref) -> float | None:
    value = rewriter.value(ref)
    return None if value is None or value.size != 1 else float(value.reshape(-1)[0])


def _drop_masked(rewriter: Rewriter, consumers: _Consumers, mask: _Mask, findings: Findings) -> None:
    ref = mask.tensor
    if _drop_alpha(rewriter, consumers, ref, findings):
        return
    users = consumers.get(ref, [])
    while len(users) == 1 and users[0][0].op in _COPIES:
        ref = Ref(users[0][0].name)
        users = consumers.get(ref, [])
    for node, position in users:
        inputs = rewriter.inputs(node)
        if node.op == "Mul":
            data = inputs[1 - position]
        elif node.op in _SELECTS and position == 0 and _all_zero(rewriter, inputs[2]):
            data = inputs[1]
        else:
            continue
        _drop(rewriter, consumers, node, data, mask, findings)
    _settle(rewriter, mask, findings)


def _drop_alpha(rewriter: Rewriter, consumers: _Consumers, ref: Ref, findings: Findings) -> bool:
    """Alpha dropout, of self-normalising networks: `(x * mask + alpha * (1 - mask)) * a + b`, all else constant."""
    while len(consumers.get(ref, [])) == 1 and consumers[ref][0][0].op == "Cast":
        ref = Ref(consumers[ref][0][0].name)
    users = {node.op: node for node, _ in consumers.get(ref, [])}
    if set(users) != {"Mul", "Sub"} or _known(rewriter, rewriter.inputs(users["Sub"])[0]) != 1:
        return False
    data = next((other for other in rewriter.inputs(users["Mul"]) if other != ref), None)
    end = _sole(consumers, Ref(users["Mul"].name))
    while end is not None:
        following = _sole(consumers, Ref(end.name))
        if following is None or following.op not in _SUMS | {"Mul"}:
            break
        if not any(_known(rewriter, other) is not None for other in rewriter.inputs(following)):
            break
        end = following
    if data is None or end is None or end.op not in _SUMS:
        return False
    rewriter.redirect(Ref(end.name), data)
    findings.decide("dropout", end.name, Choice.IDENTITY, Reason.ALPHA_DROPOUT)
    return True


def _sole(consumers: _Consumers, ref: Ref) -> Node | None:
    users = consumers.get(ref, [])
    return users[0][0] if len(users) == 1 else None


def _all_zero(rewriter: Rewriter, ref: Ref) -> bool:
    node = rewriter.producer(ref)
    if node.op == "ZerosLike":
        return True
    if node.op == "Fill":
        ref = rewriter.inputs(node)[1]
    value = rewriter.value(ref)
    return value is not None and not np.any(value)


def _drop(rewriter: Rewriter, consumers: _Consumers, node: Node, data: Ref, mask: _Mask, findings: Findings) -> None:
    keep = _known(rewriter, mask.parameter)
    keep = 1 - keep if mask.rate and keep is not None else keep
    code, mask_code = (Reason.DROPOUT, Reason.MASK) if keep is None else (Reason.DROPOUT_KEEPING, Reason.MASK_KEEPING)
    details = {} if keep is None else {"keep": keep}
    unscaled = _unscaled(rewriter, data, mask, keep)
    if unscaled is not None:
        rewriter.redirect(Ref(node.name), unscaled)
        findings.decide("dropout", node.name, Choice.IDENTITY, code, **details)
        return
    after = [
        user for user, position in consumers.get(Ref(node.name), []) if _rescales(rewriter, user, position, mask, keep)
    ]
    if len(after) == len(consumers.get(Ref(node.name), [])) == 1:
        rewriter.redirect(Ref(after[0].name), data)
        findings.decide("dropout", after[0].name, Choice.IDENTITY, code, **details)
        return
    rewriter.redirect(Ref(node.name), data)
    findings.decide("dropout", node.name, Choice.IDENTITY, mask_code, **details)
    findings.warn(f"{node.name} drops values at random without rescaling the others; it is left out at inference")


def _unscaled(rewriter: Rewriter, data: Ref, mask: _Mask, keep: float | None) -> Ref | None:
    """What was scaled up by 1 / keep_prob to make `data`."""
    node = rewriter.producer(data)
    while node.op in ("Identity", "Cast"):
        node = rewriter.producer(rewriter.inputs(node)[0])
    inputs = rewriter.inputs(node)
    for position in range(len(inputs)):
        if _rescales(rewriter, node, position, mask, keep):
            return inputs[position]
    return None


def _rescales(rewriter: Rewriter, node: Node, position: int, mask: _Mask, keep: float | None) -> bool:
    """Whether a node divides its input at `position` by the keep probability of the mask."""
    if node.op not in _DIVISIONS | {"Mul"} or (node.op in _DIVISIONS and position != 0):
        return False
    factor = rewriter.inputs(node)[1 - position]
    value = _known(rewriter, factor)
    if value is not None and keep is not None:
        expected = keep if node.op in _DIVISIONS else 1 / keep if keep else np.inf
        return bool(np.isclose(value, expected, rtol=1e-4))
    if keep is not None:
        return False
    return _sources(rewriter, factor) == _sources(rewriter, mask.parameter)


def _sources(rewriter: Rewriter, ref: Ref) -> frozenset[str]:
    """The leaves that a tensor is computed from, constants aside."""
    nodes = rewriter.order([ref])
    return frozenset(node.name for node in nodes if node.op != "Const" and not node.inputs) | frozenset(
        node.name for node in nodes if node.op == "PlaceholderWithDefault"
    )


def _settle(rewriter: Rewriter, mask: _Mask, findings: Findings) -> None:
    """A placeholder that says how much to keep is 1, one that says how much to drop is 0, wherever else it is used."""
    sources = _sources(rewriter, mask.parameter)
    if len(sources) != 1:
        return
    source = rewriter.node(next(iter(sources)))
    if not source.op.startswith("Placeholder"):
        return
    wanted = 0.0 if mask.rate else 1.0
    for value in (1.0, 0.0):
        array = np.array(value, np.float32)
        rewriter.put(Node(source.name, "Const", (), (), {"value": array, "dtype": source.attribute("dtype", 1)}))
        if _known(rewriter, mask.parameter) == wanted:
            findings.decide("flag", source.name, value, Reason.KEEP_PROBABILITY)
            return
    rewriter.put(source)


def _is_level(rewriter: Rewriter, ref: Ref) -> bool:
    """Whether it is one number that is fed, or kept in a variable: how loud the noise is, whatever the data are.

    A level that an optimizer trains is the model's own, as in StyleGAN; the graph has to show that it trains others.
    """
    node = rewriter.producer(ref)
    while node.op in ("Identity", "ReadVariableOp"):
        node = rewriter.producer(rewriter.inputs(node)[0])
    if node.op in PLACEHOLDERS:
        return node.attribute("shape") in (None, ())
    if node.op not in VARIABLE_OPS or node.attribute("shape") != ():
        return False
    trained = {variable_behind(rewriter, user.inputs[0]) for user in rewriter.graph if _TRAINS.match(user.op)}
    return bool(trained) and node.name not in trained


def _drop_gaussian(rewriter: Rewriter, consumers: _Consumers, ref: Ref, findings: Findings) -> None:
    """`x + normal * constant` and `x * (1 + normal * constant)`; noise that depends on data is the model's own."""
    mean = 0.0
    for _ in range(_LONGEST):
        users = consumers.get(ref, [])
        if len(users) != 1 or users[0][0].op not in _SUMS | _COPIES | {"Mul"}:
            return
        node, position = users[0]
        others = [other for i, other in enumerate(rewriter.inputs(node)) if i != position]
        value = _known(rewriter, others[0]) if others and node.op not in _COPIES else 0.0
        if value is None and node.op == "Mul" and mean == 0 and _is_level(rewriter, others[0]):
            value = 0.0
        if value is None:
            neutral = 0.0 if node.op in _SUMS else 1.0
            if mean == neutral:
                rewriter.redirect(Ref(node.name), others[0])
                code = Reason.NORMAL_NOISE
                findings.decide("noise", node.name, Choice.IDENTITY, code, mean=neutral, node=ref.node)
            return
        if node.op in _SUMS:
            mean += value
        elif node.op == "Mul":
            mean *= value
        ref = Ref(node.name)
