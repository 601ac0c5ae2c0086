"""Small networks for the tests of the passes, and what folding makes of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx_ir as ir

from exporter.ir.builder import Builder
from exporter.ir.evaluate import evaluate
from exporter.passes.pipeline import run
from exporter.report.records import FoldOutcome

Array = npt.NDArray[Any]
Build = Callable[["Net", ir.Value], "ir.Value | dict[str, ir.Value]"]
Layer = Callable[["Net", ir.Value], ir.Value]


class Net:
    """A builder with random weights; everything is named after its layer."""

    def __init__(self, *, dtype: ir.DataType = ir.DataType.DOUBLE, seed: int = 0) -> None:
        self.b = Builder("net")
        self.dtype = dtype
        self.random = np.random.default_rng(seed)

    def weight(self, name: str, array: npt.ArrayLike) -> ir.Value:
        """An initializer with these numbers."""
        plain = np.asarray(array, np.float64).astype(self.dtype.numpy())
        return self.b.weight(name, self.dtype, plain.shape, lambda: plain)

    def normal(self, name: str, *shape: int) -> ir.Value:
        """An initializer with normally distributed numbers."""
        return self.weight(name, self.random.normal(size=shape) / np.sqrt(max(1.0, float(np.prod(shape[:-1])))))

    def batch_norm(
        self, x: ir.Value, name: str = "bn", *, epsilon: float = 1e-3, given: Mapping[str, Any] | None = None
    ) -> ir.Value:
        """A batch norm over the last axis; gamma, beta, mean and variance may be given."""
        assert x.shape is not None
        c = int(str(x.shape[-1]))
        draw = {
            "gamma": self.random.normal(1, 0.5, c),
            "beta": self.random.normal(size=c),
            "mean": self.random.normal(size=c),
            "variance": self.random.uniform(0.3, 2, c),
        }
        values = [
            self.weight(f"{name}/{part}", np.broadcast_to((given or {}).get(part, random), (c,)))
            for part, random in draw.items()
        ]
        with self.b.source(name, batch_norm=name):
            return self.b.op("BatchNormalization", x, *values, epsilon=epsilon)

    def conv(
        self,
        x: ir.Value,
        name: str = "conv",
        *,
        k: int = 3,
        out: int = 6,
        group: int = 1,
        pad: int = 0,
        **attributes: Any,
    ) -> ir.Value:
        """A convolution of any spatial rank, the same in each direction, without bias."""
        assert x.shape is not None
        rank = len(x.shape) - 2
        kernel = self.normal(f"{name}/kernel", *[k] * rank, int(str(x.shape[-1])) // group, out)
        with self.b.source(name):
            return self.b.op("Conv", x, kernel, None, pads=[pad] * 2 * rank, group=group, **attributes)

    def dense(self, x: ir.Value, name: str = "dense", *, out: int = 5, bias: bool = False) -> ir.Value:
        """A dense layer."""
        assert x.shape is not None
        kernel = self.normal(f"{name}/kernel", int(str(x.shape[-1])), out)
        with self.b.source(name):
            return self.b.op("Dense", x, kernel, self.normal(f"{name}/bias", out) if bias else None)

    def op(self, op_type: str, *inputs: ir.Value | None, **attributes: Any) -> ir.Value:
        """Any op, named after its type."""
        with self.b.source(op_type.lower()):
            return self.b.op(op_type, *inputs, **attributes)

    def ints(self, *numbers: int) -> ir.Value:
        """A constant list of int64."""
        return self.b.constant(np.array(numbers, np.int64))


@dataclass(frozen=True)
class Folded:
    """A network after the passes."""

    model: ir.Model
    outcomes: tuple[FoldOutcome, ...]
    error: float
    """The largest difference to the unfolded network, relative to its largest output, both in float64."""

    @property
    def ops(self) -> list[str]:
        """The op types in order."""
        return [node.op_type for node in self.model.graph]

    def weight(self, name: str) -> Array:
        """An initializer of the folded network."""
        value = self.model.graph.initializers[name].const_value
        assert value is not None
        return value.numpy()

    @property
    def outcome(self) -> FoldOutcome:
        """What became of the only affine op."""
        (outcome,) = self.outcomes
        return outcome

    @property
    def reason(self) -> str:
        """Why the only affine op stays."""
        assert self.outcome.reason is not None
        return self.outcome.reason


def network(
    build: Build, shape: Sequence[int | str | None], *, dtype: ir.DataType = ir.DataType.DOUBLE, seed: int = 0
) -> ir.Model:
    """The unfolded network that `build` makes of one input `x`."""
    net = Net(dtype=dtype, seed=seed)
    result = build(net, net.b.input("x", dtype, shape))
    return net.b.finish(result if isinstance(result, dict) else {"y": result})


def feed(shape: Sequence[int | str | None], seed: int = 1) -> Array:
    """An input of that shape, 2 for each size that isn't known, with positive and negative numbers."""
    sizes = [size if isinstance(size, int) else 2 for size in shape]
    return np.random.default_rng(seed).normal(size=sizes)


def difference(before: dict[str, Array], after: dict[str, Array]) -> float:
    """The largest difference of two sets of outputs, relative to the largest number."""
    assert list(before) == list(after)
    worst = 0.0
    for name, wanted in before.items():
        assert wanted.shape == after[name].shape
        scale = float(np.abs(wanted).max(initial=0.0)) or 1.0
        worst = max(worst, float(np.abs(wanted - after[name]).max(initial=0.0)) / scale)
    return worst


def fold(
    build: Build,
    shape: Sequence[int | str | None],
    *,
    dtype: ir.DataType = ir.DataType.DOUBLE,
    seed: int = 0,
    fold: bool = True,
) -> Folded:
    """Builds a network, runs the passes, and compares."""
    model = network(build, shape, dtype=dtype, seed=seed)
    x = feed(shape)
    before = evaluate(model, {"x": x})
    outcomes = run(model, fold=fold)
    return Folded(model, outcomes, difference(before, evaluate(model, {"x": x})))
