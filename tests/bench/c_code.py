"""How fast generated C is, one thread, against onnxruntime on the ONNX file of the same export, calls interleaved.

`python -m tests.bench.c_code [--cc CC] [--flags FLAGS] [--rounds N] [NETWORK...]` prints, for each network of
keras.applications at 224 x 224, the median and the least processor time of both, their ratio, how far the outputs are
apart, the size of the arena and the time to compile; and on which processor.
"""

from __future__ import annotations

import argparse
import ctypes
import platform
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime as ort

import exporter
from tests.bench.applications import network
from tests.unit.lower_keras.oracle import keras_of

__all__ = ["main"]

_NETWORKS = ("ResNet50", "MobileNetV2", "VGG16", "InceptionV3", "DenseNet121", "EfficientNetB0")


def main() -> None:
    """Prints a line for each network."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("networks", nargs="*", default=_NETWORKS)
    parser.add_argument("--cc", default="cc")
    parser.add_argument("--flags", default="-O3 -march=native")
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--keep", type=Path, help="a folder for the models, which are used again")
    options = parser.parse_args()
    print(f"{processor()}, {options.cc} {options.flags}, onnxruntime {ort.__version__}, one thread, ms")
    print("network          onnxruntime          C           ratio      off  arena MB  compile s")
    with tempfile.TemporaryDirectory() as folder:
        for name in options.networks:
            print(row(name, options.keep or Path(folder), options), flush=True)


def row(name: str, folder: Path, options: argparse.Namespace) -> str:
    """Exports, compiles, runs and describes one network."""
    model = folder / f"{name}.onnx"
    if not model.exists():
        keras = keras_of(3)
        source = folder / f"{name}.keras"
        network(name, keras, size=224).save(source)
        exporter.export(source, model, to=["c"])
    own = model.with_name(f"{name}_c")
    begin = time.perf_counter()
    compute, arena = compiled(own, name.lower(), options.cc, options.flags)
    seconds = time.perf_counter() - begin
    settings = ort.SessionOptions()
    settings.intra_op_num_threads = settings.inter_op_num_threads = 1
    session = ort.InferenceSession(str(model), settings, providers=["CPUExecutionProvider"])
    given = session.get_inputs()[0].name
    x = np.random.default_rng(0).uniform(0, 1, (1, 224, 224, 3)).astype(np.float32)
    (expected,) = session.run(None, {given: x})
    y = np.zeros_like(expected)
    times: tuple[list[float], list[float]] = ([], [])
    for _ in range(options.rounds):
        times[0].append(timed(lambda: session.run(None, {given: x})))
        times[1].append(timed(lambda: compute(x, y)))
    off = float(np.max(np.abs(y - expected)) / np.max(np.abs(expected)))
    a, b = (np.sort(each) * 1e3 for each in times)
    middle = options.rounds // 2
    return (
        f"{name:15} {a[middle]:8.2f} / {a[0]:7.2f} {b[middle]:8.2f} / {b[0]:7.2f}"
        f"  {b[middle] / a[middle]:.2f} / {b[0] / a[0]:.2f}  {off:.1e}  {arena / 1e6:7.2f}  {seconds:7.1f}"
    )


def timed(call: Callable[[], object]) -> float:
    """The processor time of this thread."""
    begin = time.thread_time()
    call()
    return time.thread_time() - begin


def compiled(folder: Path, prefix: str, cc: str, flags: str) -> tuple[Callable[[Any, Any], None], int]:
    """The program as a function of input and output, and the bytes of its arena."""
    library = folder / f"{prefix}.so"
    source = folder / f"{prefix}.c"
    command = [
        cc,
        "-std=c99",
        "-ffp-contract=fast",
        *flags.split(),
        "-shared",
        "-fPIC",
        "-o",
        str(library),
        str(source),
        "-lm",
    ]
    subprocess.run(command, check=True)
    text = (folder / f"{prefix}.h").read_text()
    arena = int(text.split("_ARENA_BYTES ")[1].split("u")[0])
    weights = np.fromfile(folder / f"{prefix}.bin", np.float32)
    loaded = ctypes.CDLL(str(library))
    room = np.zeros(arena // 4 + 32, np.float32)
    skip = -room.ctypes.data % 64 // 4
    base = ctypes.c_void_p(weights.ctypes.data + 64)
    run = loaded[f"{prefix}_run"]

    def compute(x: Any, y: Any, held: Any = (weights, room)) -> None:
        pointers = [ctypes.c_void_p(each.ctypes.data) for each in (x, y, room[skip:])]
        run(ctypes.byref(base), *pointers)

    return compute, arena


def processor() -> str:
    """Its name."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        return next(line.partition(": ")[2] for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor()


if __name__ == "__main__":
    main()
