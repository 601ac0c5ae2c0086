"""What the report says of an architecture's weights: what was chosen, and what was set aside."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

from exporter.options import Options
from exporter.report.decisions import Choice, Decision, Detail, Reason
from exporter.zoo.build import InputSpec
from exporter.zoo.fit import Fit
from exporter.zoo.leftovers import summary

__all__ = ["decisions", "notes", "warnings"]

_Part = Literal["gamma", "beta"]

_PARTS: dict[_Part, tuple[int, str]] = {"gamma": (1, "scale=False"), "beta": (0, "center=False")}


def decisions(found: Fit, spec: InputSpec, options: Options, shadows: int) -> tuple[Decision, ...]:
    """The architecture, its options, missing gammas and betas, averages, preprocessing."""
    return (
        _architecture(found, options),
        *_options(found),
        *(each for part in _PARTS for each in _defaulted(found, part)),
        *_averages(options, shadows),
        *_preprocessing(found, spec),
    )


def notes(found: Fit) -> tuple[str, ...]:
    """What in the checkpoint isn't used."""
    aside = tuple(f"set aside {len(keys)} {reason}: {summary(keys, 3)}" for reason, keys in found.aside.items())
    if not found.outside:
        return aside
    scope = found.candidate.scope
    return (*aside, f"{len(found.outside)} tensors outside {scope} are not used: {summary(found.outside, 3)}")


def warnings(found: Fit) -> tuple[str, ...]:
    """Gammas or betas that the network usually has, and of which there is none."""
    unusual = {weight.part for weight in found.defaulted if weight.usual}
    return tuple(
        f"no batch norm has a {part} in the checkpoint, though {found.architecture.name} usually has them: right if it "
        f"was trained with {_PARTS[part][1]}, wrong if they weren't saved"
        for part in sorted(_PARTS)
        if part in unusual
    )


def _architecture(found: Fit, options: Options) -> Decision:
    code = Reason.ARCHITECTURE_NAMED if options.arch else Reason.ARCHITECTURE_RECOGNISED
    scope, doubt = found.candidate.scope, found.architecture.generic
    details: dict[str, Detail] = {"tensors": len(found.stored), "scope": scope or "no scope"}
    if doubt is not None:
        details["doubt"] = doubt
    return Decision("architecture", scope or "the checkpoint", found.architecture.name, code, details)


def _options(found: Fit) -> Iterator[Decision]:
    choices = found.candidate.choices
    for name, value in choices.values.items():
        yield Decision("value", name, value, *choices.origins[name])


def _defaulted(found: Fit, part: _Part) -> Iterator[Decision]:
    absent = [weight for weight in found.defaulted if weight.part == part]
    if not absent:
        return
    value, setting = _PARTS[part]
    code = Reason.NONE_STORED_UNUSUAL if absent[0].usual else Reason.NONE_STORED
    details = {"architecture": found.architecture.name, "setting": setting}
    yield Decision(part, f"{len(absent)} batch norms", value, code, details)


def _averages(options: Options, shadows: int) -> Iterator[Decision]:
    if not shadows:
        return
    if options.ema:
        yield Decision("ema", f"{shadows} variables", Choice.AVERAGED_WEIGHTS, Reason.AVERAGES_ASKED_FOR)
    else:
        yield Decision("ema", f"{shadows} variables", Choice.RAW_WEIGHTS, Reason.AVERAGES_TOO)


def _preprocessing(found: Fit, spec: InputSpec) -> Iterator[Decision]:
    preprocessing = found.architecture.preprocessing
    if preprocessing is None:
        return
    choice = Choice.LEFT_TO_THE_CALLER if spec.preprocessing is None else Choice.IN_THE_GRAPH
    details = {"expected": preprocessing.text}
    yield Decision("preprocessing", spec.name, choice, Reason.PUBLISHED_PREPROCESSING, details)
