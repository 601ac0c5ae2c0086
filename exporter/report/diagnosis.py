"""What the parameters of batch norms say about training, in sentences for the report."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from exporter.report.records import BatchNorm, NormStatistics

__all__ = ["NormValues", "diagnose", "median", "with_statistics"]

AMPLIFICATION = 1000.0
"""A channel whose input is multiplied by more than this passes on noise, or a training that has collapsed."""

INITIAL_WEIGHT = 0.01
"""The share of the initial values in a moving statistic from which on it is worth saying."""

LEAST_MOMENTUM = 0.9
"""The smallest decay that is usual, for files that don't tell theirs."""

_NAMED = 8


@dataclass(frozen=True)
class NormValues:
    """The values of one batch norm.

    Attributes:
        name: Its name in the report.
        epsilon: Added to the variance.
        gamma: [C]; None where it is 1.
        mean: [C].
        variance: [C].
        momentum: What the moving statistics keep at each step; None if the graph doesn't tell.
    """

    name: str
    epsilon: float
    gamma: npt.NDArray[np.floating] | None
    mean: npt.NDArray[np.floating]
    variance: npt.NDArray[np.floating]
    momentum: float | None = None


_Rule = Callable[[NormValues], npt.NDArray[np.bool_]]


def with_statistics(
    records: Iterable[BatchNorm], norms: Sequence[NormValues], steps: int | None
) -> tuple[BatchNorm, ...]:
    """The records of batch norms with what their values say, for those whose values are known, by name."""
    measured = {}
    for norm in norms:
        if norm.variance.size:
            variance = np.asarray(norm.variance, np.float64)
            measured[norm.name] = NormStatistics(
                smallest=float(variance.min()),
                median=median(variance),
                largest=float(variance.max()),
                dead=int(np.count_nonzero(_dead(norm))),
                loud=int(np.count_nonzero(_loud(norm))),
                initial=norm.momentum**steps if steps and norm.momentum is not None else None,
                updated=not _is_initial(norm),
            )
    return tuple(replace(record, statistics=measured.get(record.name, record.statistics)) for record in records)


def median(numbers: npt.NDArray[np.floating]) -> float:
    """Return the middle of finite numbers, one at least; NumPy's own function imports all of its masked arrays."""
    ordered = np.sort(numbers, axis=None)
    return float(np.mean(ordered[(ordered.size - 1) // 2 : ordered.size // 2 + 1]))


def _is_initial(norm: NormValues) -> bool:
    return bool(np.all(norm.mean == 0) and np.all(norm.variance == 1))


def diagnose(norms: Sequence[NormValues], steps: int | None, *, to_keep: str | None = None) -> list[str]:
    """A sentence for each thing that is wrong with the statistics of some of the batch norms.

    Args:
        norms: All batch norms of a model.
        steps: How many steps it was trained for; None if the file doesn't tell.
        to_keep: The arguments that keep the batch's own statistics, where there are such.
    """
    never = [norm for norm in norms if _is_initial(norm)]
    found = []
    if never:
        remedy = "" if to_keep is None else f"; if they are meant to normalise by the batch, export with {to_keep}"
        found.append(
            f"the statistics of {len(never)} of {len(norms)} batch norms are exactly 0 and 1, as initialised: their "
            f"update ops have never run, so these layers only scale and shift ({_names(n.name for n in never)}){remedy}"
        )
    found += _few_steps([norm for norm in norms if norm not in never], steps)
    loud = f"amplify their input by more than {AMPLIFICATION:g} (a tiny moving variance): noise at inference"
    found += _channels(norms, loud, _loud)
    found += _channels(norms, "are switched off: gamma is 0 there, so they are constant and could be pruned", _dead)
    return found


def _few_steps(norms: Sequence[NormValues], steps: int | None) -> list[str]:
    """Moving statistics that are still partly what they were initialised with, going by the count of steps."""
    if not steps:
        return []
    told = _early([norm for norm in norms if norm.momentum is not None], steps)
    untold = _early([norm for norm in norms if norm.momentum is None], steps)
    found = []
    if told:
        found.append(
            f"after {steps} steps the moving statistics of {len(told)} batch norms still carry up to "
            f"{_percent(told)} % of their initial values, mean 0 and variance 1: at inference they normalise "
            f"differently than in training ({_names(told)})"
        )
    if untold:
        found.append(
            f"after only {steps} steps the moving statistics of {len(untold)} batch norms may still carry "
            f"{_percent(untold)} % or more of their initial values, mean 0 and variance 1: their decay isn't in the "
            f"file, and {LEAST_MOMENTUM} is the least that is usual ({_names(untold)})"
        )
    return found


def _early(norms: Sequence[NormValues], steps: int) -> dict[str, float]:
    """The batch norms in which there is something left of the initial values, and how much: momentum^steps."""
    found = {}
    for norm in norms:
        weight = (LEAST_MOMENTUM if norm.momentum is None else norm.momentum) ** steps
        # a variance that began with 1 can't be below its share: one that is was restored from elsewhere
        if weight > INITIAL_WEIGHT and np.all(norm.variance >= weight * (1 - 1e-4)):
            found[norm.name] = weight
    return found


def _percent(weights: Mapping[str, float]) -> str:
    return f"{100 * max(weights.values()):.3g}"


def _channels(norms: Iterable[NormValues], what: str, rule: _Rule) -> list[str]:
    counts = [(norm, int(np.count_nonzero(rule(norm)))) for norm in norms]
    hit = [(norm, count) for norm, count in counts if count]
    if not hit:
        return []
    named = _names(f"{norm.name}: {count} of {norm.variance.size}" for norm, count in hit)
    return [f"channels of {len(hit)} batch norms {what} ({named})"]


def _loud(norm: NormValues) -> npt.NDArray[np.bool_]:
    fits = norm.gamma is not None and norm.gamma.size in (1, norm.variance.size)
    gamma = np.asarray(norm.gamma, np.float64).reshape(-1) if fits else np.ones(1)
    scale = gamma / np.sqrt(np.asarray(norm.variance, np.float64) + norm.epsilon)
    return np.asarray(np.abs(scale) > AMPLIFICATION)


def _dead(norm: NormValues) -> npt.NDArray[np.bool_]:
    return np.zeros(1, np.bool_) if norm.gamma is None else np.asarray(norm.gamma == 0)


def _names(names: Iterable[str]) -> str:
    listed = list(names)
    more = f" and {len(listed) - _NAMED} more" if len(listed) > _NAMED else ""
    return ", ".join(listed[:_NAMED]) + more
