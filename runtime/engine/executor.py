"""The engine as an executor: programs where shapes tell all, one operator after the other elsewhere."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from runtime.budget import Limits
from runtime.bundle import Bundle, Source, read
from runtime.engine import cores
from runtime.engine.kernels import use_in
from runtime.engine.machine import Machine
from runtime.engine.memory import Pool
from runtime.engine.micro_batches import Pieces
from runtime.engine.programs import Programs
from runtime.engine.selection import ACCURACIES, Policy
from runtime.engine.times import Layer, Times, timed
from runtime.engine.weights import WORTH_DROPPING, Weights
from runtime.executor import Plain
from runtime.kernels.base import Array
from runtime.kernels.cast import TEXT_TYPE
from runtime.kernels.text import OPS as TEXT_OPS
from runtime.npy import TEXT

if TYPE_CHECKING:
    from runtime.engine.tuning import Measured

__all__ = ["Compiled", "load"]

_MUCH = 1 << 16
"""Numbers in the largest weights from which on it pays to know the machine."""


class Compiled:
    """Runs a bundle by programs that are made ahead of time.

    For each combination of input shapes a program is made at its first use and kept, the latest few of them; a model
    whose shapes depend on the numbers in its input, or which works on strings, runs one operator after the other.

    Attributes:
        bundle: The model; weights that are kept in another form are read again where they are needed.
        policy: How kernels are chosen, and how many threads a call takes.
        tuned: What was measured when it was loaded, by `Policy.case`.
    """

    def __init__(
        self,
        bundle: Bundle,
        policy: Policy,
        limits: Limits | None = None,
        tuned: Mapping[str, Measured] | None = None,
    ) -> None:
        if policy.accuracy not in ACCURACIES:
            raise ValueError(f"accuracy is {policy.accuracy!r}, expected plain, {', '.join(ACCURACIES)}")
        if policy.threads < 1:
            raise ValueError(f"threads is {policy.threads}, expected at least 1")
        self.bundle = bundle._replace(weights=Weights(bundle.weights, bundle.reread))
        self.policy = policy
        self.tuned: Mapping[str, Measured] = tuned or {}
        self._programs = Programs(self.bundle, policy)
        self._has_text = any(value.dtype == TEXT for value in (*bundle.inputs, *bundle.outputs)) or any(
            node.op in TEXT_OPS or node.attributes.get("to") == TEXT_TYPE for node in bundle.graph.nodes
        )
        use_in(bundle.graph)
        self._plain = Plain(self.bundle, limits)

    def accepts(self, arrays: Sequence[Any]) -> bool:
        """Return whether there is a program for arrays of these shapes and dtypes, which were found good then."""
        return self._programs.knows(_kinds(arrays))

    def run(self, arrays: Sequence[Array]) -> list[Array]:
        """Return the outputs, in order; RunError if the sizes that were left open don't go together."""
        if self._has_text:
            return self._plain.run(arrays)
        program, idle = self._programs.take(arrays, _kinds(arrays), self._plain.budget(arrays))
        if program is None:
            return self._plain.run(arrays)
        if isinstance(program, Pieces):
            return program.joined([self.run(part) for part in program.parts(arrays)])
        try:
            results = program.run(arrays)
        except (ArithmeticError, IndexError, MemoryError, ValueError):
            return self._plain.run(arrays)  # which fails at the same place, and names the node
        idle.append(program)
        return results

    def timed(self, arrays: Sequence[Array]) -> Times:
        """Run once, and return how long each step took, and which kernel it was."""
        if self._has_text:
            return timed(self._plain, arrays)
        program, idle = self._programs.take(arrays, _kinds(arrays), self._plain.budget(arrays))
        if program is None:
            return timed(self._plain, arrays)
        if isinstance(program, Pieces):
            runs = [self.timed(part) for part in program.parts(arrays)]
            layers = {name: Layer(kernel, len(runs) * count) for name, (kernel, count) in runs[0].layers.items()}
            return Times([step for run in runs for step in run.steps], layers)
        times = program.timed(arrays)
        idle.append(program)
        return Times(times, program.layers)


def load(
    source: Source,
    *,
    accuracy: str,
    threads: int | None,
    tune: bool,
    limits: Limits | None = None,
    calibrate: bool = True,
) -> Compiled:
    """Return the engine for a bundle; arguments and errors are those of `runtime.load`."""
    is_file = isinstance(source, (str, os.PathLike))
    if tune and not is_file:
        raise ValueError("tune=True keeps its choices beside the model, so it takes the path of a file")
    pool = Pool()

    def empty(shape: Sequence[int], dtype: np.dtype[Any]) -> Array:
        large = np.prod(shape, dtype=np.float64) * dtype.itemsize >= WORTH_DROPPING
        return pool.empty(shape, dtype) if large else np.empty(shape, dtype)

    bundle = read(source, empty)
    choices = _saved(source) if is_file else {}
    profile = _profile(bundle) if calibrate else None
    policy = Policy(accuracy, cores.suitable() if threads is None else threads, choices, profile)
    engine = Compiled(bundle, policy, limits)
    if not tune:
        return engine
    from runtime.engine import tuning

    more = tuning.measured(bundle, policy, tuning.example(bundle))
    if not more:
        return engine
    choices = {**policy.choices, **{case: found.kernel for case, found in more.items()}}
    tuning.store(source, choices)  # type: ignore[arg-type]  # a path, as was checked
    return Compiled(bundle, policy._replace(choices=choices), limits, more)


def _profile(bundle: Bundle) -> Machine | None:
    """Return what was measured of this machine, or is now, if the model has work that it makes a difference to."""
    most = max((bundle.weights[name].size for name in _multiplied(bundle) if name in bundle.weights), default=0)
    if most < _MUCH:
        return None
    from runtime.engine.calibrated import calibrated

    return calibrated()


def _multiplied(bundle: Bundle) -> Iterator[str]:
    """Yield the names of what convolutions and dense layers multiply with."""
    return (node.inputs[1] for node in bundle.graph.nodes if node.op in ("Conv", "Dense"))


def _saved(source: Any) -> Mapping[str, str]:
    """Return the choices that were kept; what reads them is imported only where there may be any."""
    if not Path(f"{os.fspath(source)}.tuning.json").exists():
        return {}
    from runtime.engine import tuning

    return tuning.saved(source)


def _kinds(arrays: Sequence[Any]) -> object:
    """Return shape and dtype of each input; None if one isn't simply an array."""
    if len(arrays) == 1 and type(arrays[0]) is np.ndarray:
        return arrays[0].shape, arrays[0].dtype
    kinds = [(x.shape, x.dtype) for x in arrays if type(x) is np.ndarray]
    return tuple(kinds) if len(kinds) == len(arrays) else None
