"""Channels that are constants: what a scale of exactly 0 leaves behind, followed through the graph.

That some channels of a tensor x are constants is said by an affine map A with x = A(x): scale 0 and the constant as
shift in those channels, scale 1 and shift 0 in the others. So if an op lets affine maps pass, f(A(x)) = B(f(x)), then
f(x) = B(f(x)); and a linear op may take A as it takes any map of its input, without the other users of x having to.

Numbers are taken to be finite: x * 0 is 0 here, where a NaN or an infinity at run time would have made it NaN.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import TypeVar

import numpy as np
import onnx_ir as ir

from exporter.ir.edit import broadcasts_to
from exporter.ir.evaluate import Constants, evaluate_node
from exporter.ir.opset import record_of
from exporter.passes.affine.absorb import Ledger, Taken, check_range, folded_weights
from exporter.passes.affine.affine_map import Affine, Array
from exporter.passes.affine.branches import BRANCHES
from exporter.passes.affine.carriers import CARRIERS
from exporter.passes.affine.linear import LINEAR
from exporter.passes.affine.refusal import Refused
from exporter.passes.affine.rounding import EXACT, Ends, check_noise
from exporter.passes.affine.steps import Step
from exporter.passes.affine.weighted import Weighted, weighted

__all__ = ["ConstantChannels"]

_T = TypeVar("_T")

_Masked = tuple[Array, Array]
"""Numbers, and whether they are known to be constant, broadcasting against each other."""


class ConstantChannels:
    """Which channels of which values are constants; nodes are to be noted in the graph's order.

    Args:
        constants: The graph's constants.
        ledger: Where linear ops note the constants among their inputs.

    Attributes:
        taken: The linear ops with constants among their inputs, and how many channels these are.
    """

    def __init__(self, constants: Constants, ledger: Ledger) -> None:
        self._constants = constants
        self._ledger = ledger
        self._known: dict[ir.Value, Affine] = {}
        self.taken: list[tuple[Weighted, int]] = []

    def of(self, value: ir.Value | None) -> Affine | None:
        """The map that says which channels of a value are which constants; None if there are none."""
        return None if value is None else self._known.get(value)

    def note_site(self, x: ir.Value, output: ir.Value, affine: Affine) -> None:
        """The output is affine(x): constant where the scale is 0, or x is."""
        known = self.of(x)
        self._learn(output, affine if known is None else known.then(affine))

    def note(self, node: ir.Node) -> None:
        """What follows for the outputs of a node; a linear op takes the constants among its inputs."""
        known = [index for index, value in enumerate(node.inputs) if value is not None and value in self._known]
        if not known or not node.outputs:
            return
        op = weighted(node, self._constants)
        if op is not None:
            self._take(op)
            return
        if record_of(node.op_type).elementwise is not None:
            self._elementwise(node)
        carrier = CARRIERS.get(node.op_type) or BRANCHES.get(node.op_type)
        if carrier is None or node.domain not in ("", "channels_last"):
            return
        step = Step(node, self._constants)
        for index in known:
            way = _first(partial(carrier.down, step, index), self._facts(node.inputs[index]))
            if way is not None and way.parameter is None:
                for output, affine in way.maps.items():
                    self._learn(node.outputs[output], affine)

    def operand(self, node: ir.Node) -> tuple[int, Array] | None:
        """Of a node with two inputs of which one is constant in all channels: the index of the other, and the constant.

        None if the constant's tensor would make the other larger.
        """
        if len(node.inputs) != 2:
            return None
        whole = [known is not None and not known.scale.any() for known in map(self.of, node.inputs)]
        if whole[0] == whole[1]:
            return None
        index = whole.index(False)
        x, other = node.inputs[index], node.inputs[1 - index]
        if self._constants.is_constant(x) or not broadcasts_to(other, x):
            return None
        known = self.of(other)
        assert known is not None
        return index, known.shift

    def _learn(self, value: ir.Value, affine: Affine) -> None:
        """That affine(x), which the value is, doesn't depend on x where the scale is 0."""
        scale, shift = np.broadcast_arrays(affine.scale, affine.shift)
        dead = scale == 0
        if not dead.any() or not np.isfinite(shift[dead]).all():
            return
        fact = Affine.of(np.where(dead, 0.0, 1.0), np.where(dead, shift, 0.0), affine.rank)
        before = self._known.get(value)
        self._known[value] = fact if before is None else before.then(fact)

    def _elementwise(self, node: ir.Node) -> None:
        """Constant where all inputs are."""
        value = node.outputs[0]
        if value.dtype is None or not value.dtype.is_floating_point() or value.shape is None:
            return
        varying = [v for v in node.inputs if v is not None and not self._constants.is_constant(v)]
        if any(v.dtype is None or not v.dtype.is_floating_point() for v in varying):
            return
        inputs = [None if v is None else self._masked(v) for v in node.inputs]
        with np.errstate(all="ignore"):
            (result, *_) = evaluate_node(node, [None if i is None else i[0] for i in inputs])
        dead = np.asarray(True)
        for masked in inputs:
            dead = dead if masked is None else dead & masked[1]
        rank = len(value.shape)
        if result.ndim <= rank and dead.ndim <= rank:
            live = np.where(dead, 0.0, 1.0)
            self._learn(value, Affine.of(live, np.where(dead, result, 0.0), rank))

    def _masked(self, value: ir.Value) -> _Masked:
        known = self.of(value)
        if known is not None:
            return known.shift, known.scale == 0
        if self._constants.is_constant(value):
            return self._constants.array(value), np.asarray(True)
        return np.zeros((1,) * (0 if value.shape is None else len(value.shape))), np.asarray(False)

    def _facts(self, value: ir.Value | None) -> Iterator[Affine]:
        """All that is known, then what is 0 alone: zeros pass where other constants don't."""
        known = self.of(value)
        if known is None:
            return
        yield known
        scale, shift = np.broadcast_arrays(known.scale, known.shift)
        if known.has_shift and np.any((scale == 0) & (shift == 0)):
            yield Affine.of(np.where((scale == 0) & (shift == 0), 0.0, 1.0), 0.0, known.rank)

    def _take(self, op: Weighted) -> None:
        """The constants go into the bias, and their rows of the kernel become 0; one that others use stays as it is."""
        if len(op.weights.uses()) > 1:
            return
        x = op.node.inputs[op.x]
        found = _first(lambda fact: (self._taken(op, fact), fact), self._facts(x))
        if found is None:
            return
        taken, fact = found
        self._ledger.write(op, taken)
        count = int(np.count_nonzero(fact.scale == 0))
        if fact.scale.size == 1:
            last = x.shape[-1] if x is not None and x.shape is not None and len(x.shape) else 1
            count = last if isinstance(last, int) else 1
        self.taken.append((op, count))
        # an output channel that has only zeros left in its kernel is its bias
        output = op.node.outputs[0]
        if op.node.op_type not in ("Conv", "Dense") or output.shape is None:
            return
        if op.group == 1 and taken.before.scale.any():
            return
        kernel, bias = folded_weights(op, taken, self._constants)
        live = kernel.reshape(-1, kernel.shape[-1]).any(axis=0).astype(np.float64)
        shift = np.zeros(1) if bias is None else bias
        self._learn(output, Affine.of(live, np.where(live == 0, shift, 0.0), len(output.shape)))

    def _taken(self, op: Weighted, fact: Affine) -> Taken:
        LINEAR[op.node.op_type].take_input(op, fact)
        taken = self._ledger.with_input(op, fact)
        check_range(op, taken, self._constants)
        ends = Ends(between=False, behind=True)
        check_noise(op, self._ledger.so_far(op), Ledger().with_input(op, fact), EXACT, ends, self._constants)
        return taken


def _first(go: Callable[[Affine], _T], facts: Iterator[Affine]) -> _T | None:
    """What the first fact gives that isn't refused."""
    for fact in facts:
        try:
            return go(fact)
        except Refused:
            continue
    return None
