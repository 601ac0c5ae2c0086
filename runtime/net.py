"""A loaded model that runs."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from runtime.budget import Limits
from runtime.bundle import Bundle, Probe, Source, read
from runtime.document import Value
from runtime.executor import Executor, Plain
from runtime.feeds import converted, in_order
from runtime.kernels.base import Array

if TYPE_CHECKING:
    from runtime.engine.executor import Compiled
    from runtime.engine.profile import Row
    from runtime.native.executor import Native
    from runtime.tools.describe import Step

__all__ = ["Deviation", "Net", "load"]


def load(
    source: Source,
    *,
    accuracy: str = "standard",
    threads: int | None = None,
    tune: bool = False,
    plain: bool = False,
    native: bool = True,
    calibrate: bool = True,
    most_bytes: int | None = None,
    most_steps: int | None = None,
    most_operations: int | None = None,
) -> Net:
    """Load the model in a bundle.

    Args:
        source: The file's path, its bytes, or a binary file open for reading. A file has to stay as it is while the
            model is in use: weights that inputs of another size need in another form are read again.
        accuracy: `standard` keeps the error of every layer below 16 times that of a direct float32 convolution, which
            is noise by the measure of `ckpt2onnx verify`; `strict` below twice; `fast` takes any Winograd
            tiles, with up to 50 times the error; `plain` is the same as `plain=True`.
        threads: How many a call may use; large layers are shared. The default is the cores that the process may use,
            4 at most, and no more than its BLAS would take. On Linux on x86 the others are forked processes, which end
            with the model, with the process, or after ten seconds without a call; elsewhere they are threads, which end
            with the call. Of several calls at the same time, one is helped. While a call runs, the BLAS of the process
            takes one thread. Results of different numbers of threads differ by rounding.
        tune: Whether to measure which kernels are fastest here, unless that was done before, see
            `runtime.engine.tuning`; for a file alone.
        plain: Run one operator after the other, by the kernels that say what the operators mean, without the engine.
            So does a copy of this package without the folder `engine`, whatever the other arguments say.
        native: Run by the library that `python -m runtime build` has compiled of this bundle for this processor, where
            there is one in the user's cache and the inputs have the sizes that it was built for; with the `standard`
            accuracy alone.
        calibrate: Whether kernels are chosen by what this machine was measured to be like. That is done once, in a
            third of a second, when the first model with large layers is loaded, and kept in the user's cache, from
            which on the same call gives the same bits; where nothing can be kept, and with CKPT2ONNX_CALIBRATE=0 in the
            environment, the built-in profile of the nearest processor is taken.
        most_bytes: What the results of one call may take at a time; the default is 256 MiB and 64 times the bytes of
            inputs and weights.
        most_steps: Steps of all loops in one call together; the default is 262,144.
        most_operations: Computing of one call, in multiplications that are added up; the default is 2**35 and 65,536
            times the bytes of inputs and weights.

    Returns:
        The model, ready to run.

    Raises:
        BundleError: Why it can't be used; or the ONNX file beside it is of another export.
        ValueError: For another accuracy, less than one thread, or tuning what isn't a file.
    """
    limits = Limits(most_bytes, most_steps, most_operations)
    engine = None if plain or accuracy == "plain" else _engine()
    if engine is None:
        bundle = read(source)
        _check_pair(source, bundle)
        return Net(bundle, Plain(bundle, limits))

    def compiled() -> Compiled:
        made: Compiled = engine.load(
            source, accuracy=accuracy, threads=threads, tune=tune, limits=limits, calibrate=calibrate
        )
        return made

    found = _native(source, compiled, threads) if native and not tune and accuracy == "standard" else None
    executor = compiled() if found is None else found
    _check_pair(source, executor.bundle)
    return Net(executor.bundle, executor)


def _check_pair(source: Source, bundle: Bundle) -> None:
    """Refuse a bundle beside an ONNX file of another export."""
    onnx = Path(source).with_suffix(".onnx") if isinstance(source, (str, os.PathLike)) else None
    if onnx is not None and onnx.is_file():
        from runtime.pair import check_pair

        try:
            check_pair(Path(os.fspath(source)), bundle.metadata, onnx)  # type: ignore[arg-type]  # a path here
        except OSError:  # what can't be read says nothing against the bundle
            return


def _native(source: Source, compiled: Callable[[], Compiled], threads: int | None) -> Native | None:
    """Return what runs a file by a library that was built for it; None where nothing was built at all."""
    if not isinstance(source, (str, os.PathLike)):
        return None
    try:
        from runtime.native.cache import root
    except ModuleNotFoundError:
        return None
    place = root()
    if place is None or not place.is_dir():
        return None
    from runtime.native.executor import native_for

    return native_for(source, compiled, threads)


def _engine() -> Any:
    """Return what loads bundles for the engine; None where the package was copied without it."""
    try:
        return import_module("runtime.engine.executor")
    except ModuleNotFoundError as error:
        if error.name not in ("runtime.engine", "runtime.engine.executor"):
            raise
        return None


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

    The same input always gives the same bits.

    Attributes:
        inputs, outputs: What goes in and comes out: name, dtype and shape of each.
        metadata: What the exporter noted about the model.
        executor: What computes the outputs.
    """

    def __init__(self, bundle: Bundle, executor: Executor) -> None:
        self._bundle = bundle
        self._names = [value.name for value in bundle.outputs]
        self.executor = executor
        self.inputs: tuple[Value, ...] = bundle.inputs
        self.outputs: tuple[Value, ...] = bundle.outputs
        self.metadata: Mapping[str, Any] = bundle.metadata

    def __call__(self, *arrays: Any) -> Array | tuple[Array, ...]:
        """Return the outputs, in order, for the inputs, in order; a model with one output gives the array itself."""
        results = self._computed(arrays)
        return results[0] if len(results) == 1 else tuple(results)

    def run(self, feeds: Mapping[str, Any]) -> dict[str, Array]:
        """Return every output by name, as arrays of the caller's own.

        Raises:
            InputError: An input is missing, unknown, or of another rank, size or type than the model's.
            RunError: The sizes that were left open don't go together.
        """
        return dict(zip(self._names, self._computed(in_order(self.inputs, feeds))))

    def _computed(self, arrays: Sequence[Any]) -> list[Array]:
        if not self.executor.accepts(arrays):
            arrays = converted(self.inputs, arrays)
        return self.executor.run(arrays)

    def check(self) -> list[Deviation]:
        """Runs the probes in the bundle and says how far each output is from the stored one."""
        return [
            Deviation(number, name, _distance(found, probe.outputs[name]), probe.tolerances[name])
            for number, probe in enumerate(self._bundle.probes)
            for name, found in self.run(probe.inputs).items()
            if name in probe.outputs
        ]

    def steps(self, feeds: Mapping[str, Any] | None = None) -> list[Step]:
        """Return the operators in the order in which they run, each as a formula with the shapes of its results.

        Args:
            feeds: Inputs to find the shapes with; those of the first probe if there are none.

        Raises:
            InputError: As for `run`; or no probe tells the rank of an input.
        """
        from runtime.tools.describe import example, steps

        given = example(self._bundle) if feeds is None else feeds
        arrays = converted(self.inputs, in_order(self.inputs, given))
        return steps(self._bundle, dict(zip((value.name for value in self.inputs), arrays)))

    def describe(self, feeds: Mapping[str, Any] | None = None) -> str:
        """Return `steps` as a table: multiply-adds, bytes, shapes and formulas."""
        from runtime.tools.describe import table

        return table(self.steps(feeds))

    def __reduce__(self) -> str | tuple[Any, ...]:
        """Refuse to be pickled or copied: workers and mapped files aren't to be had in another process."""
        raise TypeError(
            "a Net can't be pickled or copied: it holds worker processes and an open file. Pass the bundle's path, or "
            "its bytes, and call runtime.load there; threads may share a Net"
        )

    @property
    def arrays(self) -> Mapping[str, Array]:
        """The weights by name."""
        return self._bundle.weights

    def __repr__(self) -> str:
        values = (f"{what} {value}" for what, each in (("in", self.inputs), ("out", self.outputs)) for value in each)
        return f"<Net of {len(self._bundle.graph.nodes)} operators; {'; '.join(values)}>"

    def profile(self, feeds: Mapping[str, Any], *, rounds: int = 10) -> list[Row]:
        """Measure how long each node takes, with what was fused into it; InputError as for `run`."""
        from runtime.engine.profile import summary
        from runtime.engine.times import timed

        arrays = converted(self.inputs, in_order(self.inputs, feeds))
        runs = [timed(self.executor, arrays) for _ in range(rounds)]
        return summary([times.steps for times in runs], runs[0].layers)

    @property
    def probes(self) -> tuple[Probe, ...]:
        """The runs stored in the bundle."""
        return self._bundle.probes


def _distance(found: Array, expected: Array) -> float:
    """The largest |difference|; equal infinities and NaN in the same places have none, anything else is infinite."""
    if found.shape != expected.shape or found.dtype != expected.dtype:
        return float("inf")
    if found.dtype == object:
        return 0.0 if np.array_equal(found, expected) else float("inf")
    with np.errstate(all="ignore"):
        a, b = found.astype(np.float64), expected.astype(np.float64)
        alike = (a == b) | (np.isnan(a) & np.isnan(b))
        difference = np.where(alike, 0, np.abs(a - b))
    largest = float(np.max(difference, initial=0))
    return largest if np.isfinite(largest) else float("inf")
