"""One op between two convolutions, by every way that it is run."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import onnx_ir as ir

from exporter.ir.builder import Builder
from exporter.passes.pipeline import run
from exporter.report.records import FoldOutcome
from exporter.targets.npz_bundle import write_bundle
from runtime import load
from tests.unit.passes.nets import Net as Doubles
from tests.unit.passes.nets import network
from tests.unit.targets.networks import Array, Exported, Net, export, feeds

__all__ = ["Op", "Ran", "run_everywhere"]

Op = Callable[[Builder, ir.Value], ir.Value]

_IMAGE = ("N", 8, 8, 3)


@dataclass(frozen=True)
class Ran:
    """What became of `conv(op(conv(x)))`.

    Attributes:
        onnx: The ONNX file, compared with the op's meaning in float64 by onnxruntime.
        engine: The bundle's outputs by the engine.
        plain: The same by the kernels alone.
        truth: What `meaning` gives for the op, from the tensor before it.
        result: The op's result in the bundle.
        folds: What the batch norm before the op became.
    """

    onnx: Exported
    engine: Array
    plain: Array
    truth: Array
    result: Array
    folds: tuple[FoldOutcome, ...]


def run_everywhere(op: Op, meaning: Callable[[Array], Array], folder: Path) -> Ran:
    """Puts an op between convolutions and exports it; `meaning` is the op in NumPy, written independently."""
    net = Net()
    before = net.conv(net.input("x", *_IMAGE), 4)
    result = op(net.b, before)
    y = net.conv(result, 3)
    model = net.finish(y=y, before=before, result=result)
    inputs = feeds(model, seed=7)
    written = export(model, given=inputs)
    path = folder / "model.npz"
    with path.open("wb") as file:
        write_bundle(model, file)
    fast, plain = (load(path, plain=plain).run(inputs) for plain in (False, True))
    return Ran(written, fast["y"], plain["y"], meaning(plain["before"]), plain["result"], _folds(op))


def _folds(op: Op) -> tuple[FoldOutcome, ...]:
    """Of a batch norm in front of the op, behind a convolution."""

    def build(net: Doubles, x: ir.Value) -> ir.Value:
        return op(net.b, net.batch_norm(net.conv(x)))

    return run(network(build, (2, 8, 8, 3)))
