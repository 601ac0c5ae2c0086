"""The networks of keras.applications: what is folded in them by ckpt2onnx and by Keras 3's own ONNX export.

    python -m tests.bench.keras_applications [--write] [NETWORK ...]

Each network has random weights and statistics and is saved as `.keras`; each has a process of its own, so that its
memory is free before the next. Ours counts as folded what the report says is; of Keras's file, what has no vector of
the batch norm (gamma, beta, mean, variance, or the scale and shift they amount to) as an operand of a Mul, Add, Sub,
Div or BatchNormalization. The affine ops that are left are counted in both files in the same way: those with a constant
vector, but for the bias of a matrix product; BatchNormalization is two. Parity is the largest difference to Keras
relative to the largest output, in onnxruntime with its optimisations off. The exit status is 1 if ours is wrong.
"""

from __future__ import annotations

import argparse
import datetime
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
import onnxruntime as ort
from onnx import numpy_helper
from onnxruntime.capi.onnxruntime_pybind11_state import Fail, InvalidGraph, RuntimeException

import exporter
from tests.bench.applications import SIZES, network
from tests.bench.applications_page import Cell, Row, table_lines, write_rows

__all__ = ["TOLERANCE", "main", "measure", "unfolded"]

Array = npt.NDArray[Any]

TOLERANCE = 1024 * 2.0**-23
"""Networks of a hundred layers: their float32 results differ by this much from one order of summation to another."""

_ROOT = Path(__file__).parents[2]
_FAILURES: tuple[type[Exception], ...] = (ArithmeticError, AttributeError, ImportError, LookupError)
_FAILURES += (OSError, RuntimeError, TypeError, ValueError, Fail, InvalidGraph, RuntimeException)
_AFFINE = frozenset({"Add", "BatchNormalization", "Div", "Mul", "Sub"})
_PRODUCTS = frozenset({"Einsum", "Gemm", "MatMul"})


def measure(name: str) -> Row:
    """Exports one network by both tools."""
    import keras

    model = network(name, keras)
    norms = [_vectors(layer) for layer in model.layers if isinstance(layer, keras.layers.BatchNormalization)]
    x = np.random.default_rng(1).uniform(0, 1, (2, *model.input_shape[1:])).astype(np.float32)
    expected = np.asarray(model(x, training=False))
    with tempfile.TemporaryDirectory() as folder:
        source, out = Path(folder) / "model.keras", Path(folder) / "model.onnx"
        model.save(source)
        report = exporter.export(source, out)
        folds = [report.fold_of(norm.name) for norm in report.batch_norms]
        folded = sum(fold is not None and fold.reason is None for fold in folds)
        ours = _cell(onnx.load(out), folded, x, expected)
        theirs = _keras(model, out, norms, x, expected)
    assert len(report.batch_norms) == len(norms)
    return Row(len(norms), ours, theirs)


def _keras(model: Any, out: Path, norms: list[list[Array]], x: Array, expected: Array) -> Cell:
    try:
        model.export(out, format="onnx", verbose=False)
        exported = onnx.load(out)
    except _FAILURES as failure:
        return Cell(0, 0, 0, type(failure).__name__)
    return _cell(exported, len(norms) - unfolded(exported.graph, norms), x, expected)


def _cell(model: onnx.ModelProto, folded: int, x: Array, expected: Array) -> Cell:
    """Counts and runs an ONNX model."""
    parity = _parity(model, x, expected)
    return Cell(folded, sum(weight for weight, _ in _affine(model.graph)), len(model.graph.node), parity)


def _parity(model: onnx.ModelProto, x: Array, expected: Array) -> float | str:
    """The largest relative difference, or why the model doesn't run."""
    options = ort.SessionOptions()
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.log_severity_level = 4
    try:
        session = ort.InferenceSession(model.SerializeToString(), options)
        inputs = session.get_inputs()
        if len(inputs) != 1:
            return f"{len(inputs)} inputs"
        (found,) = session.run(None, {inputs[0].name: x})
    except _FAILURES as failure:
        return type(failure).__name__
    return float(np.abs(found - expected).max() / np.abs(expected).max())


def _vectors(layer: Any) -> list[Array]:
    """What an op may hold of a batch norm that isn't folded; vectors of a single value tell nothing."""
    mean, variance = (np.asarray(weight, np.float64) for weight in (layer.moving_mean, layer.moving_variance))
    gamma, beta = (None if weight is None else np.asarray(weight, np.float64) for weight in (layer.gamma, layer.beta))
    scale = (1 if gamma is None else gamma) / np.sqrt(variance + layer.epsilon)
    shift = (0 if beta is None else beta) - mean * scale
    return [vector for vector in (scale, shift, gamma, beta, mean, variance) if vector is not None]


def unfolded(graph: onnx.GraphProto, norms: list[list[Array]]) -> int:
    """How many of these batch norms, each by its vectors, are still ops of the graph."""
    held = [vector for _, vectors in _affine(graph) for vector in vectors]
    return sum(any(_same(vector, each) for vector in vectors for each in held) for vectors in norms)


def _affine(graph: onnx.GraphProto) -> Iterator[tuple[int, list[Array]]]:
    """Each op with constant vectors as operands, but for the bias of a matrix product: its weight, and the vectors."""
    constants = {each.name: each for each in graph.initializer}
    kinds = {output: node.op_type for node in graph.node for output in node.output}
    for node in graph.node:
        bias = node.op_type == "Add" and any(kinds.get(name) in _PRODUCTS for name in node.input)
        if node.op_type in _AFFINE and not bias:
            arrays = [numpy_helper.to_array(constants[name]).ravel() for name in node.input if name in constants]
            vectors = [array for array in arrays if array.size > 1 and array.dtype.kind == "f"]
            if vectors:
                yield 2 if node.op_type == "BatchNormalization" else 1, vectors


def _same(a: Array, b: Array) -> bool:
    return a.shape == b.shape and np.allclose(a, b, rtol=1e-4, atol=1e-6)


def _in_its_own_process(name: str) -> Row:
    environment = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"}
    command = [sys.executable, "-m", "tests.bench.keras_applications", "--json", name]
    done = subprocess.run(command, cwd=_ROOT, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{name}: exit status {done.returncode}\n{done.stderr[-2000:]}")
    return Row.read(json.loads(done.stdout.splitlines()[-1]))


def main(arguments: list[str] | None = None) -> int:
    """Prints the table in Markdown, and puts it into docs/folding.md on request."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("networks", nargs="*", metavar="NETWORK", choices=[[], *SIZES])
    parser.add_argument("--write", action="store_true", help="put the table into docs/folding.md, too")
    parser.add_argument("--json", action="store_true", help="one network, in this process, as JSON")
    options = parser.parse_args(arguments)
    if options.json:
        (name,) = options.networks
        print(json.dumps(measure(name).written()))
        return 0
    if options.write and options.networks:
        parser.error("the page has all networks")
    rows = {}
    for name in options.networks or SIZES:
        rows[name] = _in_its_own_process(name)
        print(f"{name}: {rows[name].written()}", file=sys.stderr, flush=True)
    print("\n".join(table_lines(rows)))
    if options.write:
        today = datetime.datetime.now(datetime.UTC).date().isoformat()
        write_rows(rows, _LEGEND.format(date=today, **{name: version(name) for name in _PEERS}))
    return 0 if all(_right(row.ours) for row in rows.values()) else 1


def _right(cell: Cell) -> bool:
    return isinstance(cell.parity, float) and cell.parity <= TOLERANCE


_PEERS = ("keras", "onnxruntime", "tensorflow", "tf2onnx")

_LEGEND = (
    "Networks of keras.applications with random weights and statistics, by ckpt2onnx and by Keras {keras}'s own "
    '`model.export(format="onnx")` (TensorFlow {tensorflow}, tf2onnx {tf2onnx}): batch norms, those of which nothing '
    "is left, Mul and Add with a vector that are left (of any layer), nodes, and the largest difference to Keras "
    "relative to the largest output (onnxruntime {onnxruntime}, optimisations off). Where a batch norm stands between "
    "a value with two users and an activation, no exact fold takes all of it: one Add stays. `2 inputs` and the like: "
    "constants have become inputs, so the model can't be fed; `InvalidGraph`: onnxruntime refuses the file. {date}, "
    "written by `python -m tests.bench.keras_applications --write`."
)


if __name__ == "__main__":
    sys.exit(main())
