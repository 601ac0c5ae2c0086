"""Which kernel is the fastest for each convolution on this machine: measured once, kept in a file beside the model.

`model.npz.tuning.json` is {"version": 1, "machine": {"cpu", "numpy", "blas"}, "choices": {case: kernel}}. It is ignored
where the machine is another one, and a choice that isn't among the kernels of the wanted accuracy is, too.
"""

from __future__ import annotations

import json
import os
import platform
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from runtime.bundle import Bundle
from runtime.engine import Policy, Prepacked, Program, Spec, Unresolvable, blas, compile_program
from runtime.engine.resolve import resolve
from runtime.engine.selection import candidates, name
from runtime.errors import InputError
from runtime.kernels.base import Array
from runtime.kernels.window import Window, window
from runtime.npy import numpy_type
from runtime.plan import Graph, Node

__all__ = ["Measured", "example", "machine", "measured", "saved", "store"]

_VERSION = 1
_ROUNDS = 12
_CACHE = 1 << 23
"""Numbers that are written before each measurement, so that weights come from memory as they do in a whole network."""
_CLEARLY = 0.93
"""Another kernel than the cost model's is taken if it needs less than this part of its time, as that is a rough one."""


def machine() -> dict[str, str]:
    """What choices depend on."""
    return {
        "cpu": f"{_cpu()}, {os.cpu_count()} processors",
        "numpy": np.__version__,
        "blas": f"{blas.describe()} {blas.core().decode(errors='replace')}".strip(),
    }


def _cpu() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="ascii", errors="replace").splitlines()
    except OSError:
        lines = []
    models = [line.partition(":")[2].strip() for line in lines if line.startswith(("model name", "Model"))]
    return f"{platform.machine()} {models[0] if models else platform.processor()}"


def _path(model: str | os.PathLike[str]) -> Path:
    return Path(f"{os.fspath(model)}.tuning.json")


def saved(model: str | os.PathLike[str]) -> dict[str, str]:
    """The choices kept beside a model; none if there is no such file, or it is of another machine or no use."""
    try:
        found = json.loads(_path(model).read_text(encoding="utf-8"))
        same = found["version"] == _VERSION and found["machine"] == machine()
        return {str(case): str(kernel) for case, kernel in found["choices"].items()} if same else {}
    except (OSError, ValueError, TypeError, KeyError, AttributeError, RecursionError):
        return {}


def store(model: str | os.PathLike[str], choices: Mapping[str, str]) -> Path:
    """Writes the file beside a model, whole or not at all; InputError if it can't be written."""
    path = _path(model)
    content = {"version": _VERSION, "machine": machine(), "choices": dict(sorted(choices.items()))}
    try:
        handle, temporary = tempfile.mkstemp(dir=path.parent, suffix=".json")
        try:
            with os.fdopen(handle, "w", encoding="utf-8") as file:
                json.dump(content, file, indent=1)
            Path(temporary).replace(path)
        except BaseException:
            Path(temporary).unlink()
            raise
    except OSError as error:
        raise InputError(f"{path}: can't be written: {error.strerror or error}") from error
    return path


def example(bundle: Bundle) -> dict[str, Spec]:
    """Shapes to measure with: one image of the size of the first probe's, or 1 for every size that may vary."""
    specs = {}
    for value in bundle.inputs:
        given = bundle.probes[0].inputs[value.name].shape if bundle.probes else (1,) * len(value.shape or ())
        sizes = value.shape or given
        shape = [size if isinstance(size, int) else 1 if axis == 0 else given[axis] for axis, size in enumerate(sizes)]
        specs[value.name] = Spec(tuple(shape), numpy_type(value.dtype))
    return specs


class Measured(NamedTuple):
    """What was found out about a convolution.

    Attributes:
        kernel: The choice.
        seconds: What it takes.
        usual, before: The cost model's choice, and what that takes.
    """

    kernel: str
    seconds: float
    usual: str
    before: float


def measured(bundle: Bundle, policy: Policy, inputs: Mapping[str, Spec]) -> dict[str, Measured]:
    """The best choice for each convolution that has one and isn't among the policy's choices.

    Args:
        bundle: The model.
        policy: With which accuracy and how many threads to measure.
        inputs: Shapes and types; a model whose shapes depend on the numbers in them has no choices.
    """
    try:
        specs = resolve(bundle.graph, bundle.weights, inputs)
    except (Unresolvable, ValueError, TypeError, IndexError):
        return {}
    best: dict[str, Measured] = {}
    for node in bundle.graph.nodes:
        if node.op == "Conv" and node.attributes.get("group", 1) == 1 and all(n in specs for n in node.inputs if n):
            x, kernel = specs[node.inputs[0]], specs[node.inputs[1]]
            if not kernel.known or len(kernel.shape) != 4:
                continue
            win = _window(node, x, kernel)
            case = policy.case(win, x.shape[0], kernel.shape)
            names = [name(tiles) for tiles in (None, *candidates(win, kernel.shape, policy.accuracy))]
            if len(names) > 1 and case not in policy.choices and case not in best:
                programs = [
                    _alone(node, x, bundle.weights[node.inputs[1]], policy._replace(choices={case: choice}))
                    for choice in names
                ]
                usual = name(policy.tiles(win, x.shape[0], kernel.shape))
                least = dict(zip(names, _least(programs, x)))
                fastest = min(names, key=least.__getitem__)
                chosen = fastest if least[fastest] < _CLEARLY * least[usual] else usual
                best[case] = Measured(chosen, least[chosen], usual, least[usual])
    return best


def _window(node: Node, x: Spec, kernel: Spec) -> Window:
    fields = node.attributes
    pads, auto = fields.get("pads"), fields.get("auto_pad", "NOTSET")
    return window(x.shape[1:-1], kernel.shape[:-2], fields.get("strides"), fields.get("dilations"), pads, auto)


def _alone(node: Node, x: Spec, kernel: Array, policy: Policy) -> Program:
    weights: dict[str, Array] = {"w": kernel, "b": np.ones(kernel.shape[-1], kernel.dtype)}
    graph = Graph(("x",), ("y",), (Node("Conv", node.name, ("x", "w", "b"), ("y",), node.attributes),))
    return compile_program(graph, weights, {"x": Spec(x.shape, x.dtype)}, Prepacked(), policy)


def _least(programs: Sequence[Program], x: Spec) -> list[float]:
    """Seconds of each; they take turns, each with cold weights."""
    feeds = [np.random.default_rng(0).standard_normal(x.shape).astype(x.dtype)]
    flush: Any = np.zeros(_CACHE, np.float32)
    least = [float("inf")] * len(programs)
    for _ in range(_ROUNDS):
        for number, program in enumerate(programs):
            flush += 1
            start = time.perf_counter()
            program.run(feeds)
            least[number] = min(least[number], time.perf_counter() - start)
    return least
