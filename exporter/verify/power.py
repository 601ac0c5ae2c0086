"""What a verification would have noticed: for each weight tensor, which of its channels.

A channel of a convolution or a product, set to 0, moves that channel of its result by what it was, and scaled by 1.02
by a fiftieth of it; what follows element by element (a bias, an activation, a sum) carries the change on to the next
tensor that is compared, where it has to be beyond the limit. So all channels of a layer take one look, and no run.
A column of an embedding's table likewise. A row of a recurrent layer's matrices moves all steps and units behind the
first one: some are changed, one at a time, and run.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np
import onnx_ir as ir

from exporter.ir.edit import constant_array
from exporter.ir.evaluate import evaluate, evaluate_node
from exporter.verify.compare import Array
from exporter.verify.cost import operations, sizes_in
from exporter.verify.layers import Layer
from exporter.verify.references.unfolded_model import Reference, sampled
from exporter.verify.verdict import WeightPower
from exporter.verify.yardstick import Yardstick

__all__ = ["LINEAR", "RECURRENT", "SCALED", "is_alive", "power"]

SCALED = 1.02
LINEAR = frozenset({"Conv", "ConvTranspose", "Dense", "MatMul", "Gemm"})
_ELEMENTWISE = frozenset(
    {
        "Add", "Sub", "Mul", "Div", "Relu", "LeakyRelu", "Elu", "Selu", "Clip", "Sigmoid", "Tanh", "HardSigmoid",
        "Softplus", "Softsign", "HardSwish", "Identity", "BatchNormalization", "PRelu", "Neg", "Exp", "Sqrt", "Mish",
        "Gelu", "Erf", "Max", "Min",
    }
)  # fmt: skip
RECURRENT = frozenset({"GRU", "LSTM", "RNN"})
_FAR = 8
_SOME = (3, 24)
_WORK = 1_000_000_000


def power(
    folded: ir.Model,
    layers: Sequence[Layer],
    references: Sequence[Reference],
    results: Sequence[Mapping[str, Array]],
) -> tuple[WeightPower, ...]:
    """One record for each kernel of the folded model.

    Args:
        folded: The model after the passes, as it was exported.
        layers: The tensors that are compared.
        references: The runs.
        results: Of the folded model in each run.
    """
    compared = {layer.tensor: layer.name for layer in layers}
    found = []
    for node in folded.graph:
        if node.op_type in RECURRENT:
            found += [_planted(folded, value, references, results, compared, rows=True) for value in node.inputs[1:3]]
            continue
        value = _kernel(node)
        kernel = constant_array(value)
        if value is None or kernel is None or kernel.ndim < 2 or kernel.dtype.kind != "f":
            continue
        alive = is_alive(kernel, rows=False)
        zeroed, scaled, met = np.zeros(0, np.bool_), np.zeros(0, np.bool_), False
        awake = np.zeros(0, np.bool_)
        for reference, known in zip(references, results, strict=True):
            yardsticks = {tensor: reference.layers[name] for tensor, name in compared.items()}
            look = _Look(node, known, yardsticks)
            a, b = look.noticed()
            met |= look.met
            awake = look.awake if not awake.size else awake | look.awake
            zeroed, scaled = (a, b) if not zeroed.size else (zeroed | a, scaled | b)
        if not met:
            found.append(_planted(folded, value, references, results, compared))
            continue
        if zeroed.size != alive.size:  # a transposed convolution with groups, or a product of another layout
            alive = np.ones(zeroed.size, np.bool_)
        missed = tuple(int(c) for c in np.flatnonzero(alive & awake & ~(zeroed & scaled)))
        asleep = tuple(int(c) for c in np.flatnonzero(alive & ~awake))
        found.append(WeightPower(str(value.name), int((alive & awake).sum()), missed, asleep))
    return tuple(one for one in found if one is not None)


def _kernel(node: ir.Node) -> ir.Value | None:
    """The input of a node whose last axis is that of its result: a kernel, or the table of an embedding."""
    if node.op_type == "Gather":
        return None if node.attributes.get_int("axis", 0) else node.inputs[0]
    return node.inputs[1] if node.op_type in LINEAR and len(node.inputs) > 1 else None


def is_alive(kernel: Array, *, rows: bool) -> Array:
    """Which channels aren't 0: of a kernel [..., C], or by rows the gates of one of [D, G*H, I]."""
    return np.asarray(np.any(kernel.reshape(-1, kernel.shape[-1]) != 0, axis=1 if rows else 0))


class _Noticed(Exception):  # noqa: N818 - no error: what a run was made for
    """Ends a run in which a difference has been seen."""


def _planted(
    folded: ir.Model,
    kernel: ir.Value | None,
    references: Sequence[Reference],
    results: Sequence[Mapping[str, Array]],
    compared: Mapping[str, str],
    *,
    rows: bool = False,
) -> WeightPower | None:
    """What is known of a kernel whose results aren't compared before something mixes them up.

    Some channels are changed, one at a time, and stand for all of them. None if it is no constant, or the runs are too
    much work.
    """
    weights = constant_array(kernel)
    if kernel is None or weights is None or weights.ndim < 2 or weights.dtype.kind != "f":
        return None
    shapes = {name: array.shape for name, array in references[0].inputs.items()}
    work = operations(folded, sizes_in(folded, shapes))
    if work > _WORK:
        return None
    channels = [int(c) for c in np.flatnonzero(is_alive(weights, rows=rows))]
    count = min(max(_WORK // max(work, 1) // 4, _SOME[0]), _SOME[1])
    some = [channels[i] for i in sorted({int(i) for i in np.linspace(0, len(channels) - 1, count)})] if channels else []
    noticed = {one: _is_noticed(folded, kernel, one, references, results, compared, rows=rows) for one in some}
    missed, asleep = (tuple(one for one in some if noticed[one] is how) for how in (False, None))
    of = len(channels) if len(channels) > len(some) else None
    return WeightPower(str(kernel.name), len(some) - len(asleep), missed, asleep, of)


def _is_noticed(
    folded: ir.Model,
    kernel: ir.Value,
    channel: int,
    references: Sequence[Reference],
    results: Sequence[Mapping[str, Array]],
    compared: Mapping[str, str],
    *,
    rows: bool,
) -> bool | None:
    """Whether a channel that is a fiftieth too large is noticed in one of the runs; None if it changes nothing."""
    before = kernel.const_value
    assert before is not None
    changed = np.array(before.numpy())
    flat = changed.reshape(-1, changed.shape[-1])
    flat[channel if rows else (slice(None), channel)] *= changed.dtype.type(SCALED)
    kernel.const_value = ir.tensor(changed, name=kernel.name)
    try:
        found = [_differs(folded, *run, compared) for run in zip(references, results, strict=True)]
    finally:
        kernel.const_value = before
    return True if True in found else False if False in found else None


def _differs(
    folded: ir.Model, reference: Reference, known: Mapping[str, Array], compared: Mapping[str, str]
) -> bool | None:
    """Whether a run differs by more than is allowed; None if it doesn't differ at all."""
    moved = False

    def see(value: ir.Value, array: Array) -> None:
        nonlocal moved
        name = str(value.name)
        if name in known and not moved:
            moved = not np.array_equal(sampled(array), known[name], equal_nan=True)
        if name in compared and reference.layers[compared[name]].worst(sampled(array)).ratio > 1:
            raise _Noticed

    try:
        outputs = evaluate(folded, reference.inputs, dtype=np.float64, see=see)
    except _Noticed:
        return True
    if any(reference.yardsticks[name].worst(outputs[name]).ratio > 1 for name in reference.yardsticks):
        return True
    return False if moved else None


class _Look:
    """One kernel in one run.

    Attributes:
        met: Whether anything that is compared was met.
        awake: Of each channel whether it computes anything but 0.
    """

    def __init__(self, node: ir.Node, results: Mapping[str, Array], yardsticks: Mapping[str, Yardstick]) -> None:
        self.met = False
        self.awake = np.zeros(0, np.bool_)
        self._node, self._results, self._yardsticks = node, results, yardsticks

    def noticed(self) -> tuple[Array, Array]:
        """Of each channel: whether it would be missed, and whether a fiftieth of it would."""
        output = self._node.outputs[0]
        whole = self._results.get(str(output.name))
        if whole is None:
            return np.zeros(0, np.bool_), np.zeros(0, np.bool_)
        bias = constant_array(self._node.inputs[2]) if len(self._node.inputs) > 2 else None
        rest = np.zeros(1) if bias is None else np.asarray(bias, np.float64).reshape(-1)
        self.awake = np.any(whole != rest, axis=0)
        changed = [rest + 0 * whole, rest + SCALED * (whole - rest)]
        seen = [np.zeros(whole.shape[-1], np.bool_) for _ in changed]
        for yardstick, before, after in self._carried(output, whole, changed):
            self.met = True
            for i, one in enumerate(after):
                seen[i] |= yardstick.noticed(np.abs(one - before))
        return seen[0], seen[1]

    def _carried(
        self, value: ir.Value, whole: Array, changed: list[Array]
    ) -> Iterator[tuple[Yardstick, Array, list[Array]]]:
        """The compared tensors that the change comes to, channel by channel."""
        pending = [(value, whole, changed, 0)]
        while pending:
            value, whole, changed, far = pending.pop()
            yardstick = self._yardsticks.get(str(value.name))
            if yardstick is not None and yardstick.truth.shape == whole.shape:
                yield yardstick, whole, changed
            if far == _FAR:
                continue
            for node, index in value.uses():
                if node.op_type in _ELEMENTWISE and (others := self._others(node, index, whole)) is not None:
                    following = [self._apply(node, index, others, one) for one in (whole, *changed)]
                    if all(one.shape == whole.shape for one in following):
                        pending.append((node.outputs[0], following[0], following[1:], far + 1))

    def _others(self, node: ir.Node, index: int, whole: Array) -> list[Array | None] | None:
        """The other operands, where they go with each element or each channel; None where one doesn't."""
        found: list[Array | None] = []
        for i, value in enumerate(node.inputs):
            if i == index or value is None:
                found.append(None)
                continue
            array = constant_array(value)
            if array is None:
                array = self._results.get(str(value.name))
                if array is None or array.shape != whole.shape:
                    return None
            elif array.size not in (1, whole.shape[-1]):
                return None
            else:
                array = array.reshape(-1) if array.size > 1 else array.reshape(())
            found.append(np.asarray(array, np.float64) if array.dtype.kind == "f" else array)
        return found

    def _apply(self, node: ir.Node, index: int, others: list[Array | None], one: Array) -> Array:
        inputs = [one if i == index else other for i, other in enumerate(others)]
        with np.errstate(all="ignore"):
            return evaluate_node(node, inputs)[0]
