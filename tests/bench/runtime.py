"""The NumPy runtime against onnxruntime on our own exported ONNX, and against onnx.reference on request.

    python -m tests.bench.runtime [NET...] [--threads 1 2] [--batch 1 8 32 64] [--rounds 15] [--reference]

Times, of one call and not of one image, are medians and minima over rounds in which the engines take turns, each after
a pause in which the other's threads go to sleep; a call to warm up isn't counted, and short calls are repeated. The
processor time, of all threads, says more than the clock on a machine that has other work; ratios are of medians and of
minima. Load and first-call times and memory come from a process for each engine. Processor time and memory are those of
the process that calls; our workers share its memory.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import numpy.typing as npt

from tests.bench.nets import NETS, build

Array = npt.NDArray[Any]
Run = Callable[[Array], Array]

ENGINES = ("standard", "strict", "fast", "onnxruntime", "reference")
_PAUSE = 0.15
"""Seconds; OpenBLAS's threads, which onnx.reference uses, spin for 0.1 after their last product."""
_SHORT = 100.0
"""Milliseconds that a first call takes that isn't repeated in each turn."""


def main() -> None:
    """Prints one line for each network, number of threads and batch size."""
    options = _options()
    if options.child:
        print(json.dumps(_child(options)))
        return
    engines = options.engines or [engine for engine in ENGINES if engine != "reference" or options.reference]
    print(f"{'net':16} T  N  {'engine':12} {'median ms':>10} {'min ms':>9} {'cpu ms':>9} ", end="")
    print(f"{'ratio':>12} {'error':>8}  load, first, peak")
    with tempfile.TemporaryDirectory() as folder:
        for name in options.nets or NETS:
            _write(name, Path(folder))
            for threads in options.threads:
                for batch in options.batch:
                    _report(name, folder, threads, batch, options.rounds, engines)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("nets", nargs="*", metavar="NET", help=", ".join(NETS))
    parser.add_argument("--threads", nargs="+", type=int, default=[1, 2])
    parser.add_argument("--batch", nargs="+", type=int, default=[1, 8])
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--reference", action="store_true", help="onnx.reference too: it is slow")
    parser.add_argument("--child", help=argparse.SUPPRESS)
    parser.add_argument("--engines", nargs="+", choices=ENGINES, help="onnxruntime among them; default: all")
    return parser.parse_args()


def _write(name: str, folder: Path) -> None:
    """Both files of a network, and inputs."""
    from exporter.targets.npz_bundle import write_bundle
    from exporter.targets.onnx_file import onnx_model
    from exporter.targets.onnx_wire import write_onnx

    model, batch = build(name)
    write_bundle(model, folder / f"{name}.npz")
    with (folder / f"{name}.onnx").open("wb") as file:
        write_onnx(onnx_model(model), file)
    np.save(folder / f"{name}.npy", batch(1))


def _report(name: str, folder: str, threads: int, batch: int, rounds: int, engines: list[str]) -> None:
    times = _spawn(name, folder, threads, batch, rounds, engines)
    judge = times["onnxruntime"]
    for engine in engines:
        alone = _spawn(name, folder, threads, batch, 0, [engine])[engine]
        middle, least = median(times[engine]["times"]), min(times[engine]["times"])
        used = min(times[engine]["used"])
        ratio = f"{middle / median(judge['times']):.2f} ({least / min(judge['times']):.2f})"
        costs = f"{alone['load']:.0f} ms, {alone['first']:.0f} ms, {alone['peak']:.0f} MB"
        error = f"{times[engine]['error']:.1e}"
        print(f"{name:16} {threads}  {batch}  {engine:12} {middle:10.3f} {least:9.3f} {used:9.3f} ", end="")
        print(f"{ratio:>12} {error:>8}  {costs}", flush=True)


def _spawn(name: str, folder: str, threads: int, batch: int, rounds: int, engines: list[str]) -> dict[str, Any]:
    """Measures in a process of its own, whose BLAS has that many threads."""
    command = [sys.executable, "-m", "tests.bench.runtime", name, "--child", folder, "--engines", *engines]
    command += ["--threads", str(threads), "--batch", str(batch), "--rounds", str(rounds)]
    variables = dict.fromkeys(("OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "OMP_NUM_THREADS"), str(threads))
    ran = subprocess.run(command, env={**os.environ, **variables}, capture_output=True, text=True, check=True)
    found: dict[str, Any] = json.loads(ran.stdout)
    return found


def _child(options: argparse.Namespace) -> dict[str, Any]:
    path = Path(options.child) / options.nets[0]
    x = np.repeat(np.load(path.with_suffix(".npy")), options.batch[0], axis=0)
    found: dict[str, dict[str, Any]] = {}
    runs: dict[str, Run] = {}
    results: dict[str, Array] = {}
    Path("/proc/self/clear_refs").write_text("5")  # the parent's peak is inherited
    before = _memory()
    for engine in options.engines:
        start = time.perf_counter()
        runs[engine] = _load(engine, path, int(options.threads[0]))
        loaded = time.perf_counter()
        results[engine] = runs[engine](x)
        first = 1000 * (time.perf_counter() - loaded)
        found[engine] = {"load": 1000 * (loaded - start), "first": first, "times": [], "used": []}
        found[engine]["peak"] = _memory() - before
    for _ in range(options.rounds):
        for engine, run in list(runs.items()):
            time.sleep(_PAUSE)
            run(x)
            repeats = max(1, int(_SHORT / found[engine]["first"]))
            start, before = time.perf_counter(), time.process_time()
            for _ in range(repeats):
                run(x)
            found[engine]["times"].append(1000 * (time.perf_counter() - start) / repeats)
            found[engine]["used"].append(1000 * (time.process_time() - before) / repeats)
    for engine, y in results.items():
        truth = results.get("onnxruntime", y)
        found[engine]["error"] = float(np.abs(y - truth).max() / np.abs(truth).max())
    return found


def _memory() -> float:
    """The most memory that this process has had, in MB; Linux only."""
    status = Path("/proc/self/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0]) / 1024


def _load(engine: str, path: Path, threads: int) -> Run:
    if engine == "onnxruntime":
        return _onnxruntime(path, threads)
    if engine == "reference":
        from onnx.reference import ReferenceEvaluator

        evaluator = ReferenceEvaluator(str(path.with_suffix(".onnx")))
        return lambda x: np.asarray(dict(enumerate(evaluator.run(None, {"x": x})))[0])
    import runtime

    net = runtime.load(path.with_suffix(".npz"), accuracy=engine, threads=threads)
    return lambda x: np.asarray(net(x))


def _onnxruntime(path: Path, threads: int) -> Run:
    import onnxruntime as ort

    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    session = ort.InferenceSession(str(path.with_suffix(".onnx")), options, providers=["CPUExecutionProvider"])
    return lambda x: np.asarray(session.run(None, {"x": x})[0])


if __name__ == "__main__":
    main()
