"""How stored tensors and an architecture go together, and where they don't."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from exporter.zoo.architecture import Architecture, Choices, Shapes
from exporter.zoo.leftovers import purpose, summary
from exporter.zoo.program import Program, Weight

__all__ = ["Candidate", "Fit", "compare", "scope_of"]

_NUMBERED = re.compile(r"^(.*?)_?(\d+)$")
_DEEPEST = 12


@dataclass(frozen=True)
class Candidate:
    """An architecture with its options decided, about to be held against a checkpoint.

    Attributes:
        architecture: The architecture.
        scope: The scope under which its variables are stored.
        choices: The options' values.
        program: The network, as far as the outputs need it.
        every: The names of all weights of the whole network.
    """

    architecture: Architecture
    scope: str
    choices: Choices
    program: Program
    every: frozenset[str]

    def key(self, name: str) -> str:
        """The key of a variable of the network."""
        return f"{self.scope}/{name}" if self.scope else name


@dataclass(frozen=True)
class Fit:
    """An architecture held against a checkpoint.

    Attributes:
        candidate: The architecture.
        stored: The weights that are stored with the right shape.
        missing: The weights that are not there.
        mismatched: The weights of another shape, with that shape.
        unexplained: Stored tensors within the scope that the network doesn't have.
        outside: Stored tensors outside the scope that belong to something else.
        aside: What only training needs: purpose to keys.
        defaulted: Weights of batch norms that no batch norm has stored: gammas that are 1, betas that are 0.
    """

    candidate: Candidate
    stored: tuple[Weight, ...]
    missing: tuple[Weight, ...]
    mismatched: tuple[tuple[Weight, tuple[int, ...]], ...]
    unexplained: tuple[str, ...]
    outside: tuple[str, ...]
    aside: Mapping[str, tuple[str, ...]]
    defaulted: tuple[Weight, ...]

    @property
    def architecture(self) -> Architecture:
        """The architecture."""
        return self.candidate.architecture

    @property
    def exact(self) -> bool:
        """Whether each weight is there with its shape, and nothing in the scope is left over."""
        return not (self.missing or self.mismatched or self.unexplained)

    @property
    def score(self) -> float:
        """How near it is, from 0 to 1: the part of the tensors that fit; a name with another shape counts half."""
        wrong = len(self.missing) + len(self.mismatched) + len(self.unexplained)
        return (len(self.stored) + 0.5 * len(self.mismatched)) / max(len(self.stored) + wrong, 1)

    def differences(self) -> list[str]:
        """What doesn't go together, for people; empty where `exact`."""
        found = []
        if self.missing or self.unexplained:
            # as "block3 has 7 unit_N, not 6": numbered scopes of which there are more or fewer
            wanted = _numbered(weight.name for weight in self.candidate.program.weights())
            present = [weight.name for weight in (*self.stored, *(weight for weight, _ in self.mismatched))]
            there = _numbered((*present, *self.unexplained))
            for (parent, stem), count in wanted.items():
                other = there[parent, stem]
                if other != count and stem and (parent, stem) in there:
                    found.append(f"{parent or 'the network'} has {other} {stem}_N, not {count}")
        if self.missing:
            listed = summary(f"{self.candidate.key(w.name)} {list(w.shape)}" for w in self.missing)
            found.append(f"{len(self.missing)} {'is' if len(self.missing) == 1 else 'are'} missing: {listed}")
        if self.mismatched:
            listed = summary(
                f"{self.candidate.key(w.name)} {list(shape)}, not {list(w.shape)}" for w, shape in self.mismatched
            )
            found.append(f"{len(self.mismatched)} of another shape: {listed}")
        if self.unexplained:
            count = len(self.unexplained)
            found.append(f"{count} that the network doesn't have: {summary(map(self.candidate.key, self.unexplained))}")
        return found


def _numbered(names: Iterable[str]) -> Counter[tuple[str, str]]:
    """How many numbered scopes of one stem there are in each scope."""
    parts = (name.split("/", _DEEPEST) for name in names)
    found = {tuple(each[: depth + 1]) for each in parts for depth in range(len(each) - 1)}
    counts: Counter[tuple[str, str]] = Counter()
    for *parents, last in found:
        match = _NUMBERED.match(last)
        if match:
            counts["/".join(parents), match[1]] += 1
    return counts


def scope_of(names: Iterable[str], stored: Iterable[str], published: str) -> str | None:
    """The scope under which most of these names are stored; the published one if it has as many. None: nowhere."""
    wanted = frozenset(names)
    deepest = max((name.count("/") for name in wanted), default=0) + 1
    votes: Counter[str] = Counter()
    for key in stored:
        parts = key.split("/")
        for depth in range(max(len(parts) - deepest, 0), len(parts)):
            if "/".join(parts[depth:]) in wanted:
                votes["/".join(parts[:depth])] += 1
    if not votes:
        return None
    most = max(votes.values())
    return published if votes[published] == most else min(scope for scope in votes if votes[scope] == most)


def compare(candidate: Candidate, shapes: Shapes, keys: Iterable[str]) -> Fit:
    """Holds a network against stored tensors.

    Args:
        candidate: The network.
        shapes: The stored tensors in its scope, by their names within it.
        keys: All stored keys.
    """
    weights = list(candidate.program.weights())
    kept = {weight.part for weight in weights if weight.name in shapes}
    # a gamma (or beta) that isn't stored needn't be where it isn't usual, or no batch norm has any
    absent = [weight for weight in weights if weight.absent is not None and weight.name not in shapes]
    defaulted = [weight for weight in absent if not weight.usual or weight.part not in kept]
    left_out = {weight.name for weight in defaulted}
    wanted = [weight for weight in weights if weight.name not in left_out]
    stored = [weight for weight in wanted if shapes.get(weight.name) == weight.shape]
    mismatched = [(w, shapes[w.name]) for w in wanted if w.name in shapes and shapes[w.name] != w.shape]
    missing = [weight for weight in wanted if weight.name not in shapes]
    left, outside, aside = _sort_rest(candidate, keys)
    return Fit(candidate, tuple(stored), tuple(missing), tuple(mismatched), left, outside, aside, tuple(defaulted))


def _sort_rest(
    candidate: Candidate, keys: Iterable[str]
) -> tuple[tuple[str, ...], tuple[str, ...], dict[str, tuple[str, ...]]]:
    """The other stored tensors: unexplained ones in the scope, those outside, and those of training by purpose."""
    prefix = f"{candidate.scope}/" if candidate.scope else ""
    left, outside = [], []
    aside: dict[str, list[str]] = {}
    for key in keys:
        inside = key.removeprefix(prefix) if key.startswith(prefix) else None
        if inside in candidate.every:
            continue
        reason = purpose(key, inside, candidate.architecture.aside)
        if reason is not None:
            aside.setdefault(reason, []).append(key)
        elif inside is not None:
            left.append(inside)
        else:
            outside.append(key)
    return tuple(left), tuple(outside), {reason: tuple(names) for reason, names in aside.items()}
