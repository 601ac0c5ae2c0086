"""What the report says of an architecture's weights: what was chosen, and what was set aside."""

from __future__ import annotations

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
    chosen, choices, scope = found.architecture, found.candidate.choices, found.candidate.scope
    code = Reason.ARCHITECTURE_NAMED if options.arch else Reason.ARCHITECTURE_RECOGNISED
    details: dict[str, Detail] = {"tensors": len(found.stored), "scope": scope or "no scope"}
    if chosen.generic is not None:
        details["doubt"] = chosen.generic
    made = [Decision("architecture", scope or "the checkpoint", chosen.name, code, details)]
    made += [Decision("value", name, value, *choices.origins[name]) for name, value in choices.values.items()]
    for part, (value, setting) in _PARTS.items():
        absent = [weight for weight in found.defaulted if weight.part == part]
        if absent:
            code = Reason.NONE_STORED_UNUSUAL if absent[0].usual else Reason.NONE_STORED
            details = {"architecture": chosen.name, "setting": setting}
            made.append(Decision(part, f"{len(absent)} batch norms", value, code, details))
    if shadows:
        choice = Choice.AVERAGED_WEIGHTS if options.ema else Choice.RAW_WEIGHTS
        code = Reason.AVERAGES_ASKED_FOR if options.ema else Reason.AVERAGES_TOO
        made.append(Decision("ema", f"{shadows} variables", choice, code))
    if chosen.preprocessing is not None:
        choice = Choice.LEFT_TO_THE_CALLER if spec.preprocessing is None else Choice.IN_THE_GRAPH
        details = {"expected": chosen.preprocessing.text}
        made.append(Decision("preprocessing", spec.name, choice, Reason.PUBLISHED_PREPROCESSING, details))
    return tuple(made)


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
