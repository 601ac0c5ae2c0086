"""Why weights can't be taken for an architecture, in one paragraph."""

from __future__ import annotations

from collections.abc import Sequence

from exporter.errors import FormatError, MissingError, SourceError, UsageError
from exporter.zoo.architecture import Architecture, Shapes
from exporter.zoo.fit import Fit
from exporter.zoo.recognise import fit

__all__ = ["ambiguous", "refused", "unrecognised"]

_FEATURES = "global_pool"
_OWN = "An architecture of your own is --arch path/to/file.py:name"


def refused(asked: Architecture, found: Fit | None, shapes: Shapes, right: Sequence[Fit]) -> SourceError:
    """The weights are not those of the architecture that was asked for; `right` are those whose they are."""
    fitting = " or ".join(f"--arch {each.architecture.name}" for each in right if each.architecture != asked)
    hint = f"They fit {fitting}" if fitting else None
    if found is None:
        text = f"none of its {len(shapes)} tensors is called as those of {asked.name}"
        return MissingError(text, hint=hint or _OWN)
    text = "; ".join(found.differences())
    if found.mismatched or found.unexplained:
        text = f"these are not the weights of {asked.name}: {text}"
        return FormatError(text, hint=hint or f"{_headless(found, shapes)}{_OWN}")
    text = f"the weights of {asked.name} are not all there: {text}"
    return MissingError(text, hint=hint or _headless(found, shapes) or None)


def unrecognised(shapes: Shapes, candidates: Sequence[Fit]) -> MissingError:
    """The weights are of no known architecture; the nearest is named, with what is different."""
    nearest = ""
    headless = ""
    if candidates and candidates[0].score > 0:
        best = candidates[0]
        wanted = len(best.stored) + len(best.missing) + len(best.mismatched)
        share = f"{len(best.stored)} of its {wanted} tensors fit"
        nearest = f". The nearest architecture is {best.architecture.name} ({share}): {'; '.join(best.differences())}"
        headless = _headless(best, shapes)
    return MissingError(
        f"it holds the weights alone ({len(shapes)} tensors), and no .meta beside it says what is done with them"
        f"{nearest}",
        hint=f"{headless}Give the graph with --graph FILE (.meta, .pb or .pbtxt); {_OWN[0].lower()}{_OWN[1:]}; "
        f"`inspect` lists what is in the checkpoint",
    )


def ambiguous(exact: Sequence[Fit]) -> UsageError:
    """Names and shapes fit more than one architecture, or don't tell enough."""
    names = [each.architecture.name for each in exact]
    reasons = [each.architecture.generic for each in exact if each.architecture.generic is not None]
    if len(exact) > 1:
        return UsageError(
            f"the weights of {len(exact)} architectures are in it: {', '.join(names)}",
            hint=f"Choose with --arch {names[0]}",
        )
    return UsageError(f"the weights fit {names[0]}, but {reasons[0]}", hint=f"If it is right, say --arch {names[0]}")


def _headless(found: Fit, shapes: Shapes) -> str:
    """A hint for weights that lack the classifier alone."""
    if not found.missing or _FEATURES in found.candidate.program.endpoints:
        return ""
    try:
        without = fit(found.architecture, shapes, outputs=(_FEATURES,))
    except UsageError:
        return ""
    if without is None or not without.exact:
        return ""
    return f"Everything before the classifier is there: --arch {found.architecture.name} --output {_FEATURES}. "
