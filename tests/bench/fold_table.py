"""What is folded, by whom: ckpt2onnx beside tf2onnx, Keras's own export, and optimisers after them.

    python -m tests.bench.fold_table [--ours | --write] [PATTERN ...]

Each pattern is frozen to a GraphDef with random statistics and exported by each tool. A cell says F if nothing affine
is left that could have been folded exactly, P if one Mul or Add of two is left, a dot if more is, and an error's name
where the tool fails or its numbers (onnxruntime, optimisations off) differ from TensorFlow's. onnxslim's column needs
the package `onnxslim`. The exit status is 1 if ckpt2onnx's column isn't as it should be.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import keras
import numpy as np
import numpy.typing as npt
import onnx
import onnxruntime as ort
import tensorflow as tf
from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2

import exporter
from exporter.errors import ExportError
from tests.bench.fold_page import Table, write_table
from tests.bench.fold_patterns import KERAS, PLAIN, Pattern, reseed

__all__ = ["Frozen", "Verdict", "as_expected", "difference", "freeze", "main", "mark", "ours", "tolerance", "verdict"]

Array = npt.NDArray[Any]

_BATCH = 2
_TOLERANCE = 2e-5
_HALF = 4e-3

_FAILURES: tuple[type[Exception], ...] = (ArithmeticError, AssertionError, AttributeError, ImportError, LookupError)
_FAILURES += (OSError, RuntimeError, TypeError, ValueError, ExportError)


@dataclass(frozen=True)
class Frozen:
    """A pattern as a GraphDef, and what TensorFlow computes with it."""

    name: str
    pattern: Pattern
    graph: Any
    model: Any
    input: str
    outputs: tuple[str, ...]
    fed: Array
    wanted: tuple[Array, ...]


@dataclass(frozen=True)
class Verdict:
    """What a tool made of a pattern.

    Attributes:
        left: The number of affine ops that are left; a BatchNormalization counts as two.
        error: The largest difference to TensorFlow, relative to the largest output.
        failure: The tool's error, if it failed.
    """

    left: int
    error: float
    failure: str | None = None


def freeze(name: str) -> Frozen:
    """Builds a pattern, gives it random statistics, and freezes it."""
    pattern = KERAS[name] if name in KERAS else PLAIN[name]
    reseed(name)
    model = None
    if name in KERAS:
        x = keras.Input(pattern.shape)
        model = keras.Model(x, pattern.build(x))
        model.set_weights([_statistics(weight.path, weight.shape) for weight in model.weights])
    spec = tf.TensorSpec((None, *pattern.shape), pattern.dtype, name="x")
    function = tf.function(pattern.build if model is None else (lambda x: model(x, training=False)))
    concrete = convert_variables_to_constants_v2(function.get_concrete_function(spec))
    fed = _input(pattern)
    wanted = concrete(tf.constant(fed))
    arrays = tuple(np.asarray(array) for array in (wanted if isinstance(wanted, list | tuple) else [wanted]))
    outputs = tuple(tensor.name.split(":")[0] for tensor in concrete.outputs)
    return Frozen(name, pattern, concrete.graph.as_graph_def(), model, "x", outputs, fed, arrays)


def _statistics(path: str, shape: tuple[int, ...]) -> Array:
    random = np.random.default_rng(list(path.encode()))
    if "variance" in path:
        return random.uniform(0.3, 2, shape).astype(np.float32)
    scale = np.sqrt(max(1.0, float(np.prod(shape[:-1]))))
    return np.asarray(random.normal(size=shape) / scale, np.float32)


def _input(pattern: Pattern) -> Array:
    random = np.random.default_rng(0)
    if pattern.dtype == "int32":
        return random.integers(0, 9, (_BATCH, *pattern.shape)).astype(np.int32)
    return random.normal(size=(_BATCH, *pattern.shape)).astype(np.float32)


def verdict(frozen: Frozen, model: onnx.ModelProto) -> Verdict:
    """Counts and runs an ONNX model."""
    options = ort.SessionOptions()
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.log_severity_level = 4
    session = ort.InferenceSession(model.SerializeToString(), options)
    (given,) = session.get_inputs()
    results = session.run(None, {given.name: frozen.fed})
    error = max(difference(a, np.asarray(b)) for a, b in zip(frozen.wanted, results, strict=True))
    return Verdict(affine_ops(model.graph), error)


def difference(wanted: Array, got: Array) -> float:
    """The largest difference, relative to the largest number."""
    if wanted.shape != got.shape:
        return float("inf")
    return float(np.abs(wanted.astype(np.float64) - got).max() / np.abs(wanted).max())


def affine_ops(graph: onnx.GraphProto) -> int:
    """The float Mul, Add, Sub, Div and BatchNormalization (as two) of a graph, but for the bias of a matrix product."""
    kinds = {output: node.op_type for node in graph.node for output in node.output}
    integers = {i.name for i in graph.initializer if i.data_type in (onnx.TensorProto.INT64, onnx.TensorProto.INT32)}
    integers |= {output for node in graph.node if node.op_type == "Shape" for output in node.output}
    left = 0
    for node in graph.node:
        if node.op_type == "BatchNormalization":
            left += 2
        elif node.op_type in ("Add", "Div", "Mul", "Neg", "Sub") and not integers.intersection(node.input):
            bias = node.op_type == "Add" and any(kinds.get(name) in ("MatMul", "Einsum") for name in node.input)
            left += not bias
    return left


def ours(frozen: Frozen, folder: Path) -> onnx.ModelProto:
    """By ckpt2onnx, from the frozen graph."""
    source, target = folder / "frozen.pb", folder / "ours.onnx"
    source.write_bytes(frozen.graph.SerializeToString())
    exporter.export(source, target, outputs=frozen.outputs)
    return onnx.load(target)


def _tf2onnx(frozen: Frozen, folder: Path) -> onnx.ModelProto:
    import tf2onnx

    names = [f"{name}:0" for name in frozen.outputs]
    model: onnx.ModelProto
    model, _ = tf2onnx.convert.from_graph_def(
        frozen.graph, input_names=[f"{frozen.input}:0"], output_names=names, opset=15
    )
    return model


def _keras(frozen: Frozen, folder: Path) -> onnx.ModelProto:
    frozen.model.export(folder / "keras.onnx", format="onnx", verbose=False)
    return onnx.load(folder / "keras.onnx")


def _basic(model: onnx.ModelProto, folder: Path) -> onnx.ModelProto:
    options = ort.SessionOptions()
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_ENABLE_BASIC
    options.optimized_model_filepath = str(folder / "basic.onnx")
    options.log_severity_level = 4
    ort.InferenceSession(model.SerializeToString(), options)
    return onnx.load(folder / "basic.onnx")


def _slim(model: onnx.ModelProto, folder: Path) -> onnx.ModelProto:
    import onnxslim

    slim: onnx.ModelProto = onnxslim.slim(model)
    return slim


def _columns(frozen: Frozen, folder: Path, *, only_ours: bool) -> dict[str, Verdict]:
    cells = {"ckpt2onnx": _attempt(frozen, lambda: ours(frozen, folder))}
    if only_ours:
        return cells
    for column, convert in (("tf2onnx", _tf2onnx), ("Keras", _keras)):
        if column == "Keras" and frozen.model is None:
            continue
        cells[column] = _attempt(frozen, partial(convert, frozen, folder))
        for name, optimise in _OPTIMISERS.items():
            cells[f"{column}, {name}"] = _attempt(frozen, partial(_optimised, optimise, convert, frozen, folder))
    return cells


_Convert = Callable[[Frozen, Path], onnx.ModelProto]
_Optimise = Callable[[onnx.ModelProto, Path], onnx.ModelProto]


def _optimised(optimise: _Optimise, convert: _Convert, frozen: Frozen, folder: Path) -> onnx.ModelProto:
    return optimise(convert(frozen, folder), folder)


_OPTIMISERS: dict[str, _Optimise] = {"ORT basic": _basic}
if find_spec("onnxslim") is not None:
    _OPTIMISERS["onnxslim"] = _slim


def _attempt(frozen: Frozen, convert: Callable[[], onnx.ModelProto]) -> Verdict:
    try:
        return verdict(frozen, convert())
    except _FAILURES as error:
        return Verdict(0, float("inf"), type(error).__name__)


def tolerance(frozen: Frozen) -> float:
    """How far float arithmetic may be from TensorFlow's."""
    return _HALF if "float16" in frozen.name else _TOLERANCE


def mark(frozen: Frozen, cell: Verdict) -> str:
    """A cell's text."""
    if cell.failure is not None:
        return cell.failure
    if cell.error > tolerance(frozen):
        return f"wrong ({cell.error:.0e})"
    over = cell.left - frozen.pattern.left
    return "F" if over <= 0 else "P" if over == 1 else "."


def as_expected(frozen: Frozen, cell: Verdict) -> bool:
    """Whether all that is exact was folded, nothing else was, and the numbers are right."""
    return mark(frozen, cell) == "F" and cell.left == frozen.pattern.left


def main(arguments: list[str] | None = None) -> int:
    """Prints the table in Markdown, and puts it into docs/folding.md on request."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("patterns", nargs="*", metavar="PATTERN")
    parser.add_argument("--ours", action="store_true", help="only ckpt2onnx's column")
    parser.add_argument("--write", action="store_true", help="put the table into docs/folding.md, too")
    options = parser.parse_args(arguments)
    if options.write and (options.ours or options.patterns):
        parser.error("the page has all patterns and all columns")
    columns = ["ckpt2onnx"]
    if not options.ours:
        columns += [c for tool in ("tf2onnx", "Keras") for c in (tool, *(f"{tool}, {o}" for o in _OPTIMISERS))]
    rows: dict[str, tuple[int, tuple[str, ...]]] = {}
    fine = True
    for name in options.patterns or [*KERAS, *PLAIN]:
        frozen = freeze(name)
        with tempfile.TemporaryDirectory() as folder:
            cells = _columns(frozen, Path(folder), only_ours=options.ours)
        fine &= as_expected(frozen, cells["ckpt2onnx"])
        rows[name] = frozen.pattern.left, tuple(mark(frozen, cells[c]) if c in cells else "" for c in columns)
        print(f"{len(rows)} {name}: {' '.join(rows[name][1])}", file=sys.stderr, flush=True)
    table = Table(tuple(columns), rows)
    print("\n".join(table.lines()))
    if options.write:
        write_table(table, _LEGEND.format(**{p: version(p) for p in _PEERS}))
    return 0 if fine else 1


_PEERS = ("keras", "onnxruntime", "onnxslim", "tf2onnx")

_LEGEND = (
    "`left` counts the Mul, Add, Sub, Div (and BatchNormalization, twice) that are left of an exact fold. F: folded as "
    "far as is exact; P: one more op is left; a dot: more are; `wrong`: other numbers than TensorFlow's; else the "
    "tool's error. With tf2onnx {tf2onnx}, Keras {keras}, onnxruntime {onnxruntime}, onnxslim {onnxslim}; written by "
    "`python -m tests.bench.fold_table --write`."
)


if __name__ == "__main__":
    sys.exit(main())
