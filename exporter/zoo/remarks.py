"""What the report says of an architecture's weights: what was chosen, and what was set aside."""

from __future__ import annotations

from collections.abc import Iterator

from exporter.inference.options import Options
from exporter.report import Decision
from exporter.zoo.build import InputSpec
from exporter.zoo.fit import Fit
from exporter.zoo.leftovers import summary

__all__ = ["decisions", "notes", "warnings"]

_PARTS = {"gamma": ("1", "scale=False"), "beta": ("0", "center=False")}


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
    unusual = {str(weight.part) for weight in found.defaulted if weight.usual}
    return tuple(
        f"no batch norm has a {part} in the checkpoint, though {found.architecture.name} usually has them: right if it "
        f"was trained with {_PARTS[part][1]}, wrong if they weren't saved"
        for part in sorted(unusual)
    )


def _architecture(found: Fit, options: Options) -> Decision:
    how = "asked for with --arch" if options.arch else "recognised, certain"
    where = f"under {found.candidate.scope}" if found.candidate.scope else "under no scope"
    reason = f"{how}: all {len(found.stored)} tensors are there {where} with these names and shapes, and no others"
    if found.architecture.generic is not None:
        reason = f"{reason}; {found.architecture.generic}"
    return Decision("architecture", found.candidate.scope or "the checkpoint", found.architecture.name, reason)


def _options(found: Fit) -> Iterator[Decision]:
    choices = found.candidate.choices
    for name, value in choices.values.items():
        text = f"{value:g}" if isinstance(value, float) else str(value)
        yield Decision("value", name, text, choices.origins[name])


def _defaulted(found: Fit, part: str) -> Iterator[Decision]:
    absent = [weight for weight in found.defaulted if weight.part == part]
    if not absent:
        return
    value, setting = _PARTS[part]
    if absent[0].usual:
        reason = f"none is stored, though {found.architecture.name} usually has them: trained with {setting}"
    else:
        reason = f"none is stored: {found.architecture.name} is trained with {setting}"
    yield Decision(part, f"{len(absent)} batch norms", value, reason)


def _averages(options: Options, shadows: int) -> Iterator[Decision]:
    if not shadows:
        return
    if options.ema:
        yield Decision("ema", f"{shadows} variables", "averaged weights", "asked for with --ema")
    else:
        reason = "there are averaged ones too; --ema exports those"
        yield Decision("ema", f"{shadows} variables", "raw weights", reason)


def _preprocessing(found: Fit, spec: InputSpec) -> Iterator[Decision]:
    preprocessing = found.architecture.preprocessing
    if preprocessing is None:
        return
    choice = "left to the caller" if spec.preprocessing is None else "in the graph"
    yield Decision("preprocessing", spec.name, choice, f"the published weights expect {preprocessing.text}")
