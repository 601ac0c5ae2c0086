"""The ONNX that ckpt2onnx writes beside that of tf2onnx with onnxslim after it: nodes, and onnxruntime's time.

    python -m tests.bench.onnx_quality [NET ...] [--rounds N] [--folder FOLDER]

The networks are those of `keras.applications`, with random weights and statistics, frozen to a GraphDef; FOLDER keeps
them between runs. Times are medians and, in brackets, minima of rounds in which the two models take turns, each after a
pause and a run that isn't counted. All work is done by one thread, whose processor time it is: what else the machine
does would decide about wall-clock time. The exit status is 1 if ckpt2onnx has more nodes, or if its median is more than
1.02 times the other's. Needs the package `onnxslim`.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

import keras
import numpy as np
import numpy.typing as npt
import onnx
import onnxruntime as ort
import tensorflow as tf
from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2

import exporter

__all__ = ["NETS", "Measured", "main", "measure"]

Array = npt.NDArray[Any]

NETS = {"MobileNetV2": 224, "ResNet50": 224, "InceptionV3": 299, "DenseNet121": 224, "EfficientNetB0": 224}
"""Image sizes, by name in `keras.applications`."""

_MOST = 1.02
_PAUSE = 0.03


@dataclass(frozen=True)
class Measured:
    """One model in onnxruntime.

    Attributes:
        nodes: How many nodes its graph has.
        seconds: The processor time of each round.
        result: What it computed.
    """

    nodes: int
    seconds: tuple[float, ...]
    result: Array


def main(arguments: Sequence[str] | None = None) -> int:
    """Prints one line for each network."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("nets", nargs="*", metavar="NET", help=", ".join(NETS))
    parser.add_argument("--rounds", type=int, default=25)
    parser.add_argument("--folder", type=Path, default=Path(tempfile.gettempdir()) / "ckpt2onnx-bench")
    options = parser.parse_args(arguments)
    print(f"{'net':16}{'nodes':>7}{'theirs':>8}{'ms':>18}{'theirs':>18}{'ratio':>14}{'difference':>12}")
    fine = True
    for name in options.nets or NETS:
        ours, theirs = measure(_models(name, options.folder), _image(NETS[name]), options.rounds)
        print(f"{name:16}{_row(ours, theirs)}", flush=True)
        fine &= ours.nodes <= theirs.nodes and median(ours.seconds) <= _MOST * median(theirs.seconds)
    return 0 if fine else 1


def _row(ours: Measured, theirs: Measured) -> str:
    middle = median(ours.seconds) / median(theirs.seconds)
    least = min(ours.seconds) / min(theirs.seconds)
    difference = float(np.abs(ours.result - theirs.result).max() / np.abs(theirs.result).max())
    times = "".join(f"{_milliseconds(measured):>18}" for measured in (ours, theirs))
    return f"{ours.nodes:7}{theirs.nodes:8}{times}{f'{middle:.3f} ({least:.3f})':>14}{difference:12.0e}"


def _milliseconds(measured: Measured) -> str:
    return f"{1000 * median(measured.seconds):.2f} ({1000 * min(measured.seconds):.2f})"


def measure(models: Sequence[Path], x: Array, rounds: int) -> list[Measured]:
    """Runs models in turn, each round beginning with another one."""
    sessions = [_session(path) for path in models]
    results = [_run(session, x) for session in sessions]
    seconds: list[list[float]] = [[] for _ in sessions]
    for number in range(rounds):
        order = range(len(sessions))
        for index in order if number % 2 else reversed(order):
            time.sleep(_PAUSE)
            _run(sessions[index], x)
            start = time.thread_time()
            _run(sessions[index], x)
            seconds[index].append(time.thread_time() - start)
    nodes = [len(onnx.load(path, load_external_data=False).graph.node) for path in models]
    return [Measured(*parts) for parts in zip(nodes, map(tuple, seconds), results, strict=True)]


def _session(path: Path) -> ort.InferenceSession:
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 4
    return ort.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])


def _run(session: ort.InferenceSession, x: Array) -> Array:
    (given,) = session.get_inputs()
    return np.asarray(session.run(None, {given.name: x})[0])


def _image(size: int) -> Array:
    return np.random.default_rng(1).standard_normal((1, size, size, 3)).astype(np.float32)


def _models(name: str, folder: Path) -> tuple[Path, Path]:
    """Both tools' models of a network; ours is made anew each time."""
    folder.mkdir(parents=True, exist_ok=True)
    frozen, ours, theirs = folder / f"{name}.pb", folder / f"{name}.onnx", folder / f"{name}.onnxslim.onnx"
    if not frozen.exists():
        frozen.write_bytes(_frozen(name).SerializeToString())
    if not theirs.exists():
        onnx.save(_theirs(frozen), theirs)
    exporter.export(frozen, ours)
    return ours, theirs


def _frozen(name: str) -> Any:
    model = getattr(keras.applications, name)(weights=None)
    random = np.random.default_rng(0)
    model.set_weights([_drawn(random, weight.path, weight.shape) for weight in model.weights])
    spec = tf.TensorSpec((None, NETS[name], NETS[name], 3), name="x")
    function = tf.function(lambda x: model(x, training=False)).get_concrete_function(spec)
    return convert_variables_to_constants_v2(function).graph.as_graph_def()


def _drawn(random: np.random.Generator, path: str, shape: tuple[int, ...]) -> Array:
    if "variance" in path:
        return random.uniform(0.3, 2, shape).astype(np.float32)
    scale = np.sqrt(max(1.0, float(np.prod(shape[:-1]))))
    return np.asarray(random.normal(size=shape) / scale, np.float32)


def _theirs(frozen: Path) -> onnx.ModelProto:
    import onnxslim
    import tf2onnx

    graph = tf.compat.v1.GraphDef.FromString(frozen.read_bytes())
    outputs = [f"{graph.node[-1].name}:0"]
    model, _ = tf2onnx.convert.from_graph_def(graph, input_names=["x:0"], output_names=outputs)
    slim: onnx.ModelProto = onnxslim.slim(model)
    return slim


if __name__ == "__main__":
    sys.exit(main())
