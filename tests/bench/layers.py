"""Each convolution of a network by the engine, and by plain NumPy: patches, `np.matmul`, bias and ReLU.

    OPENBLAS_CORETYPE=Haswell python -m tests.bench.layers [NET...] [--rounds 12]

Both take turns, with weights from memory; processor time of one thread, the least of all rounds. The engine knows what
the machine was measured to be like, unless CKPT2ONNX_CALIBRATE=0 is in the environment.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from typing import Any

import numpy as np

from runtime.engine import Policy, Prepacked, Spec, blas, compile_program
from runtime.engine.calibrated import calibrated
from runtime.kernels.window import window
from runtime.plan import Graph, Node
from tests.bench.conv_shapes import Shape, shapes_of


def main() -> None:
    """Prints the layers, those that gain least first, and the largest ratio."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("nets", nargs="*", default=["resnet50"])
    parser.add_argument("--rounds", type=int, default=12)
    options = parser.parse_args()
    policy = Policy("standard", 1, profile=calibrated())
    print(blas.core().decode(), policy.machine)
    shapes = sorted({shape for name in options.nets for shape in shapes_of(name) if shape.group == 1})
    rows = sorted(
        ((*_times(shape, policy, options.rounds), shape) for shape in shapes), key=lambda row: -row[0] / row[1]
    )
    for engine, plain, kernel, shape in rows:
        print(
            f"{engine / plain:5.2f} {1000 * engine:8.3f} {1000 * plain:8.3f} ms  {kernel:14} {shape.x} {shape.kernel}"
        )


def _times(shape: Shape, policy: Policy, rounds: int) -> tuple[float, float, str]:
    random = np.random.default_rng(0)
    x, w, b = (random.standard_normal(s).astype(np.float32) for s in (shape.x, shape.kernel, shape.kernel[-1:]))
    fields = {"strides": list(shape.strides), "pads": list(shape.pads)}
    nodes = (Node("Conv", "c", ("x", "w", "b"), ("c",), fields), Node("Relu", "r", ("c",), ("y",)))
    graph, specs = Graph(("x",), ("y",), nodes), {"x": Spec(x.shape, x.dtype)}
    program = compile_program(graph, {"w": w, "b": b}, specs, Prepacked(), policy)
    program.run([x])
    calls = [step for _, step in program.steps]
    flush: Any = np.zeros(1 << 22, np.float32)
    runs: tuple[Callable[[], object], ...] = (lambda: [call() for call in calls], _plain(shape, x, w, b))
    least = [float("inf")] * 2
    with blas.ONE_THREAD:
        for _ in range(rounds):
            for number, run in enumerate(runs):
                flush += 1
                start = time.thread_time()
                run()
                least[number] = min(least[number], time.thread_time() - start)
    return least[0], least[1], program.layers["c"].kernel


def _plain(shape: Shape, x: Any, w: Any, b: Any) -> Callable[[], object]:
    """What a person writes who knows NumPy well, all memory laid out before."""
    begin, end = shape.pads[:2], shape.pads[2:]
    padded = np.pad(x, [(0, 0), *zip(begin, end, strict=True), (0, 0)])
    win = window(x.shape[1:3], w.shape[:2], list(shape.strides), None, list(shape.pads))
    depth, filters = w[..., 0].size, w.shape[-1]
    seen, matrix = win.view(padded), w.reshape(depth, filters)
    patches, y = np.empty(seen.shape, np.float32), np.empty((win.out[0] * win.out[1], filters), np.float32)
    is_matrix = w.shape[:2] == (1, 1) and set(shape.strides) == {1}

    def run() -> None:
        if is_matrix:
            np.matmul(x.reshape(-1, depth), matrix, out=y)
        else:
            np.copyto(patches, seen)
            np.matmul(patches.reshape(-1, depth), matrix, out=y)
        np.add(y, b, out=y)
        np.maximum(y, 0, out=y)

    return run


if __name__ == "__main__":
    main()
