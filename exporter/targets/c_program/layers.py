"""Ops become layers: a convolution takes the Add and the clamp behind it along, a reshape may be nothing but a view."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import inf
from typing import Any

import numpy.typing as npt

from exporter.targets.c_program.specialise import Fixed, Op
from exporter.targets.c_program.tensors import Frame
from exporter.targets.c_program.winograd import is_winograd
from runtime.kernels.window import Window, window

__all__ = ["VIEWS", "Layer", "frame_of", "is_depthwise", "is_linear", "layers_of", "window_of"]

_Array = npt.NDArray[Any]

VIEWS = frozenset({"Dropout", "Flatten", "Identity", "Reshape", "Squeeze", "Unsqueeze"})


@dataclass(frozen=True)
class Layer:
    """One function of the program.

    Attributes:
        op: The op that does the work.
        inputs: The values that it reads, without the constants of a convolution.
        output: The value that it makes, in the end; of several the first that is read.
        more: The others that are read.
        parts: The layers that it consists of, if some rows of all are calculated at a time.
        residual: A value that is added before the clamp.
        low, high: The bounds that the result is clamped to.
        names: The nodes in it.
    """

    op: Op
    inputs: tuple[str, ...]
    output: str
    residual: str | None = None
    low: float = -inf
    high: float = inf
    names: tuple[str, ...] = ()
    more: tuple[str, ...] = ()
    parts: tuple[Layer, ...] = ()

    @property
    def outputs(self) -> tuple[str, ...]:
        """All values that it makes and that are read."""
        return (self.output, *self.more)


def layers_of(fixed: Fixed) -> list[Layer]:
    """The layers in an order in which they can run."""
    readers: dict[str, list[int]] = {}
    for number, op in enumerate(fixed.ops):
        for name in op.inputs:
            readers.setdefault(name, []).append(number)
    made = {name: number for number, op in enumerate(fixed.ops) for name in op.outputs}
    taken: set[int] = set()
    at: dict[int, Layer] = {}
    for number, op in enumerate(fixed.ops):
        if number in taken:
            continue
        follow = _Follow(fixed, readers, made, taken)
        end, layer = (follow.convolution if is_linear(op, fixed) else follow.alone)(number, op)
        at[end] = layer
    return [at[number] for number in sorted(at)]


def is_linear(op: Op, fixed: Fixed) -> bool:
    """Whether it is a convolution or a dense layer with constant weights, in float32."""
    if op.op not in ("Conv", "Dense", "MatMul") or op.inputs[0] in fixed.constants:
        return False
    if fixed.types[op.inputs[0]] != "float32":
        return False
    if any(name and name not in fixed.constants for name in op.inputs[1:]):
        return False
    rank = len(fixed.shapes[op.inputs[1]])
    return rank in (3, 4) if op.op == "Conv" else rank == 2


def is_depthwise(op: Op, fixed: Fixed) -> bool:
    """Whether a convolution makes each channel of one by itself."""
    w = fixed.shapes[op.inputs[1]]
    return op.attributes.get("group", 1) > 1 and w[-2] == 1 and w[-1] == op.attributes["group"]


@dataclass
class _Follow:
    """What can be done in the same function as an op."""

    fixed: Fixed
    readers: Mapping[str, Sequence[int]]
    made: Mapping[str, int]
    taken: set[int]

    def alone(self, number: int, op: Op) -> tuple[int, Layer]:
        """An op by itself; a value times its sigmoid is one."""
        if op.op == "Sigmoid" and (after := self._only_reader(op.outputs[0])) is not None:
            last = self.fixed.ops[after]
            if last.op == "Mul" and sorted(last.inputs) == sorted((op.inputs[0], op.outputs[0])):
                self.taken.add(after)
                swish = Op("Swish", last.name, op.inputs, last.outputs, {})
                return after, Layer(swish, op.inputs, last.outputs[0], names=(op.name, last.name))
        inputs = tuple(name for name in op.inputs if name)
        read = [name for name in op.outputs if name in self.readers or name in self.fixed.outputs] or op.outputs[:1]
        return number, Layer(op, inputs, read[0], names=(op.name,), more=tuple(read[1:]))

    def convolution(self, number: int, op: Op) -> tuple[int, Layer]:
        """A convolution with the addition and the clamp after it; it runs where the last of them was."""
        end, out, names = number, op.outputs[0], [op.name]
        residual = None
        after = self._only_reader(out)
        if after is not None and (other := self._added(after, out)) is not None:
            self.taken.add(after)
            end, residual, out = after, other, self.fixed.ops[after].outputs[0]
            names.append(self.fixed.ops[after].name)
            after = self._only_reader(out)
        low, high = -inf, inf
        if after is not None and (bounds := self._bounds(self.fixed.ops[after])) is not None:
            self.taken.add(after)
            end, out, (low, high) = after, self.fixed.ops[after].outputs[0], bounds
            names.append(self.fixed.ops[after].name)
        return end, Layer(op, (op.inputs[0],), out, residual, low, high, tuple(names))

    def _only_reader(self, name: str) -> int | None:
        numbers = self.readers.get(name, [])
        free = len(numbers) == 1 and numbers[0] not in self.taken and name not in self.fixed.outputs
        return numbers[0] if free else None

    def _added(self, number: int, name: str) -> str | None:
        """The other operand of an addition of two tensors of the same shape."""
        op = self.fixed.ops[number]
        if op.op != "Add" or len(set(op.inputs)) != 2:
            return None
        other = op.inputs[1] if op.inputs[0] == name else op.inputs[0]
        alike = self.fixed.shapes[other] == self.fixed.shapes[name]
        return other if alike and other not in self.fixed.constants else None

    def _bounds(self, op: Op) -> tuple[float, float] | None:
        if op.op == "Relu":
            return 0.0, inf
        if op.op != "Clip" or any(name and name not in self.fixed.constants for name in op.inputs[1:]):
            return None
        low, high = [*(self.fixed.constants[name] if name else None for name in op.inputs[1:]), None, None][:2]
        return (-inf if low is None else float(low.reshape(-1)[0]), inf if high is None else float(high.reshape(-1)[0]))


def window_of(op: Op, fixed: Fixed) -> Window:
    """How the kernel of a convolution or pool slides over its input."""
    attributes = op.attributes
    kernel = attributes.get("kernel_shape") or fixed.shapes[op.inputs[1]][:-2]
    return window(
        fixed.shapes[op.inputs[0]][1:-1],
        kernel,
        attributes.get("strides"),
        attributes.get("dilations"),
        attributes.get("pads"),
        attributes.get("auto_pad", "NOTSET"),
    )


def frame_of(layer: Layer, fixed: Fixed) -> Frame:
    """The zeros that a convolution wants around its input."""
    layer = layer.parts[0] if layer.parts else layer
    if layer.op.op != "Conv" or not is_linear(layer.op, fixed):
        return Frame()
    win = window_of(layer.op, fixed)
    (top, bottom), (left, right) = win.pads if len(win.pads) == 2 else ((0, 0), *win.pads)
    if is_winograd(layer.op, win, fixed):
        return Frame(top, left, bottom - win.out[0] % -4, right - win.out[1] % -4)
    return Frame(top, left, bottom, right)
