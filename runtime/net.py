"""A loaded model that runs."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from runtime.bundle import Bundle, Probe, read
from runtime.document import Value
from runtime.engine import ACCURACIES, Layer, Pieces, Policy, Programs, cores
from runtime.feeds import converted, in_order
from runtime.kernels.base import Array
from runtime.plan import Node, execute

if TYPE_CHECKING:
    from runtime.profile import Row

__all__ = ["Deviation", "Net", "load"]


def load(
    path: str | os.PathLike[str], *, accuracy: str = "standard", threads: int | None = None, tune: bool = False
) -> Net:
    """The model in a bundle.

    Args:
        path: The file. It has to stay as it is while the model is in use: weights that inputs of another size need in
            another form are read again.
        accuracy: `standard` keeps the error of every layer below 16 times that of a direct float32 convolution, which
            is noise by the measure of `ckpt2onnx verify`; `strict` below twice; `fast` takes any Winograd
            tiles, with up to 50 times the error; `plain` runs one operator after the other, by the same kernels that
            fold constants.
        threads: How many a call may use; large layers are shared. The default is the cores that the process may use,
            4 at most, and no more than its BLAS would take. On Linux on x86 the others are forked processes, which end
            with the model, with the process, or after ten seconds without a call; elsewhere they are threads, which end
            with the call. Of several calls at the same time, one is helped. While a call runs, the BLAS of the process
            takes one thread. Results of different numbers of threads differ by rounding.
        tune: Whether to measure which kernels are fastest here, unless that was done before, see `runtime.tuning`.

    Raises:
        BundleError: Why it can't be used; or the ONNX file beside it is of another export.
        ValueError: For another accuracy, or less than one thread.
    """
    threads = cores.suitable() if threads is None else threads
    bundle = read(path)
    _check_pair(path, bundle)
    net = Net(bundle, accuracy=accuracy, threads=threads, choices=_saved(path))
    if not tune or accuracy == "plain":
        return net
    from runtime import tuning

    more = tuning.measured(bundle, net.policy, tuning.example(bundle))
    if more:
        choices = {**net.policy.choices, **more}
        tuning.store(path, choices)
        net = Net(bundle, accuracy=accuracy, threads=threads, choices=choices)
    return net


def _check_pair(path: str | os.PathLike[str], bundle: Bundle) -> None:
    onnx = Path(path).with_suffix(".onnx")
    if onnx.is_file():
        from runtime.pair import check_pair

        try:
            check_pair(Path(path), bundle.metadata, onnx)
        except OSError:  # what can't be read says nothing against the bundle
            return


def _saved(path: str | os.PathLike[str]) -> Mapping[str, str]:
    """The choices that were kept; what reads them is imported only where there may be any."""
    if not Path(f"{os.fspath(path)}.tuning.json").exists():
        return {}
    from runtime import tuning

    return tuning.saved(path)


class Deviation(NamedTuple):
    """How far an output of a probe is from what is stored: the largest |difference|, and the largest that is noise."""

    probe: int
    output: str
    largest: float
    tolerance: float

    @property
    def good(self) -> bool:
        """Whether it is within the tolerance; NaN never is."""
        return self.largest <= self.tolerance


class Net:
    """Computes a bundle's outputs from inputs. May be used by several threads at once.

    For each combination of input shapes a program is made at its first use and kept, the latest few of them; a model
    whose shapes depend on the numbers in its input is interpreted instead. The same input always gives the same bits.

    Attributes:
        inputs, outputs: What goes in and comes out: name, dtype and shape of each.
        metadata: What the exporter noted about the model.
        policy: How it chooses kernels, and how many threads it takes.
    """

    def __init__(
        self, bundle: Bundle, *, accuracy: str = "standard", threads: int = 1, choices: Mapping[str, str]
    ) -> None:
        if accuracy not in ("plain", *ACCURACIES):
            raise ValueError(f"accuracy is {accuracy!r}, expected plain, {', '.join(ACCURACIES)}")
        if threads < 1:
            raise ValueError(f"threads is {threads}, expected at least 1")
        self._bundle = bundle
        self.policy = Policy(accuracy, threads, choices)
        self._programs = None if accuracy == "plain" else Programs(bundle, self.policy)
        self._names = [value.name for value in bundle.outputs]
        self.inputs: tuple[Value, ...] = bundle.inputs
        self.outputs: tuple[Value, ...] = bundle.outputs
        self.metadata: Mapping[str, Any] = bundle.metadata

    def __call__(self, *arrays: Any) -> Array | tuple[Array, ...]:
        """The outputs, in order, from the inputs, in order; a model with one output gives the array itself."""
        results = self._computed(arrays)
        return results[0] if len(results) == 1 else tuple(results)

    def run(self, feeds: Mapping[str, Any]) -> dict[str, Array]:
        """Every output by name, as arrays of the caller's own.

        Raises:
            InputError: An input is missing, unknown, or of another rank, size or type than the model's.
            RunError: The sizes that were left open don't go together.
        """
        return dict(zip(self._names, self._computed(in_order(self.inputs, feeds))))

    def _computed(self, arrays: Sequence[Any]) -> list[Array]:
        """The outputs in order. Arrays of kinds that there is a program for were found good before."""
        programs, kinds = self._programs, _kinds(arrays)
        if programs is None or not programs.knows(kinds):
            arrays = converted(self.inputs, arrays)
            kinds = _kinds(arrays)
        if programs is None:
            return self._interpreted(arrays)
        program, idle = programs.take(arrays, kinds)
        if program is None:
            return self._interpreted(arrays)
        if isinstance(program, Pieces):
            return program.joined([self._computed(part) for part in program.parts(arrays)])
        results = program.run(arrays)
        idle.append(program)
        return results

    def _interpreted(self, arrays: Sequence[Array]) -> list[Array]:
        scope = {**self._bundle.weights, **self._named(arrays)}
        borrowed = {id(array) for array in scope.values()}.union(id(_owner(array)) for array in arrays)
        execute(self._bundle.graph, scope)
        return [_own(scope[name], borrowed) for name in self._names]

    def _named(self, arrays: Sequence[Array]) -> dict[str, Array]:
        return {value.name: array for value, array in zip(self.inputs, arrays)}

    def check(self) -> list[Deviation]:
        """Runs the probes in the bundle and says how far each output is from the stored one."""
        return [
            Deviation(number, name, _distance(found, probe.outputs[name]), probe.tolerances[name])
            for number, probe in enumerate(self._bundle.probes)
            for name, found in self.run(probe.inputs).items()
            if name in probe.outputs
        ]

    def profile(self, feeds: Mapping[str, Any], *, rounds: int = 10) -> list[Row]:
        """How long each node takes, with what was fused into it; InputError as for `run`."""
        from runtime.profile import summary

        arrays = converted(self.inputs, in_order(self.inputs, feeds))
        runs = [self._timed(arrays) for _ in range(rounds)]
        return summary([times for times, _ in runs], runs[0][1])

    def _timed(self, arrays: Sequence[Array]) -> tuple[list[tuple[Node, float]], Mapping[str, Layer]]:
        """The seconds of each step of a run, and what else there is to say, by node."""
        program, idle = (None, []) if self._programs is None else self._programs.take(arrays, _kinds(arrays))
        if program is None:
            return self._interpreted_times(arrays), {}
        if isinstance(program, Pieces):
            runs = [self._timed(part) for part in program.parts(arrays)]
            times = [step for steps, _ in runs for step in steps]
            return times, {name: Layer(kernel, len(runs) * count) for name, (kernel, count) in runs[0][1].items()}
        times = program.timed(arrays)
        idle.append(program)
        return times, program.layers

    def _interpreted_times(self, arrays: Sequence[Array]) -> list[tuple[Node, float]]:
        import time

        times: list[tuple[Node, float]] = []
        marks = [time.perf_counter()]

        def see(node: Node, results: Sequence[Array]) -> None:
            marks.append(time.perf_counter())
            times.append((node, marks[-1] - marks[-2]))

        execute(self._bundle.graph, {**self._bundle.weights, **self._named(arrays)}, see)
        return times

    @property
    def probes(self) -> tuple[Probe, ...]:
        """The runs stored in the bundle."""
        return self._bundle.probes


def _kinds(arrays: Sequence[Any]) -> object:
    """Shape and type of each input; None if one isn't simply an array."""
    if len(arrays) == 1 and type(arrays[0]) is np.ndarray:
        return arrays[0].shape, arrays[0].dtype
    kinds = [(x.shape, x.dtype) for x in arrays if type(x) is np.ndarray]
    return tuple(kinds) if len(kinds) == len(arrays) else None


def _owner(array: Array) -> Any:
    """The array that holds the memory."""
    while isinstance(array.base, np.ndarray):
        array = array.base
    return array


def _own(array: Array, borrowed: set[int]) -> Array:
    """The array itself, or a copy if its memory is somebody else's."""
    if id(_owner(array)) in borrowed or not (array.flags.writeable and array.flags.c_contiguous):
        return np.array(array, order="C")
    return array


def _distance(found: Array, expected: Array) -> float:
    """The largest |difference|; equal infinities and NaN in the same places have none, anything else is infinite."""
    if found.shape != expected.shape or found.dtype != expected.dtype:
        return float("inf")
    with np.errstate(all="ignore"):
        a, b = found.astype(np.float64), expected.astype(np.float64)
        alike = (a == b) | (np.isnan(a) & np.isnan(b))
        difference = np.where(alike, 0, np.abs(a - b))
    largest = float(np.max(difference, initial=0))
    return largest if np.isfinite(largest) else float("inf")
