"""The layouts that a region could have: what is around it wants them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from exporter.targets.layout.axes import Axes, Axis, Label, channels_first, identity
from exporter.targets.layout.regions import Region
from exporter.targets.layout.regroupings import Regroupings

__all__ = ["Candidate", "candidates"]


@dataclass(frozen=True)
class Candidate:
    """A layout.

    Attributes:
        label: A place for every axis of the region.
        channels_first: Whether ops want it for whose sake there are layouts.
    """

    label: Label
    channels_first: bool


def candidates(axes: Axes, region: Region, regroupings: Regroupings) -> list[Candidate]:
    """The layouts that are wanted, as few as can be: wants that agree make one; those that are channels-first last."""
    wants = [
        (tuple(regroupings.next_to([classes[i] for i in order])), order == identity(len(order)))
        for tensor in region.tensors
        for classes in [axes.of(tensor.value)]
        for order in tensor.ends
        if isinstance(order, tuple) and len(order) > 1
    ]
    merged: list[tuple[list[Axis], bool]] = []
    for want, own in sorted(dict.fromkeys(wants), key=lambda want: (-len(want[0]), not want[1])):
        place = next((i for i, (order, _) in enumerate(merged) if _agree(order, want)), len(merged))
        order, first = merged[place] if place < len(merged) else ([], False)
        merged[place : place + 1] = [(_merge(order, want), first or not own)]
    found = sorted(merged, key=lambda candidate: candidate[1]) or [([], False)]
    return [Candidate(_complete(order, axes, region, regroupings), first) for order, first in found]


def _complete(order: list[Axis], axes: Axes, region: Region, regroupings: Regroupings) -> Label:
    """A layout with a place for every axis of the region; one nobody asked for goes behind the axis before it."""
    order = regroupings.spread(order)
    known = set(order)
    for tensor in region.tensors:
        classes = axes.of(tensor.value)
        if all(axis in known for axis in classes):
            continue
        # as a layout that doesn't know all of them would have it: as they are, or channels first
        own = list(classes)
        first = [own[i] for i in channels_first(len(own))] if len(own) > 2 else own
        if not _agree(order, own) and _agree(order, first):
            own = first
        for i, axis in enumerate(own):
            if axis not in known:
                order.insert(order.index(own[i - 1]) + 1 if i else 0, axis)
                known.add(axis)
        order = regroupings.spread(order)
        known.update(order)
    return {axis: place for place, axis in enumerate(order)}


def _agree(order: Sequence[Axis], want: Sequence[Axis]) -> bool:
    """Whether the axes that are in both come in the same order."""
    return [axis for axis in order if axis in want] == [axis for axis in want if axis in order]


def _merge(order: Iterable[Axis], want: Sequence[Axis]) -> list[Axis]:
    """An order of all axes that keeps both, if they agree."""
    result: list[Axis] = []
    rest = list(want)
    for axis in order:
        if axis in rest:
            cut = rest.index(axis)
            result.extend(rest[:cut])
            rest = rest[cut + 1 :]
        result.append(axis)
    return result + rest
