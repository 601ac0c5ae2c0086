"""What a verification has found."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from math import isfinite
from typing import Any

__all__ = ["OutputCheck", "SiteCheck", "Verdict"]


@dataclass(frozen=True)
class OutputCheck:
    """One output of one engine.

    Attributes:
        engine: What computed it: "onnxruntime, optimised".
        output: Its name.
        error: The largest error in all runs, see `compare`; for integers the share of elements that differ.
        noise: The error that noise alone makes.
        limit: The largest error that passes.
    """

    engine: str
    output: str
    error: float
    noise: float
    limit: float

    @property
    def ok(self) -> bool:
        """Whether the error is within the limit; NaN never is."""
        return self.error <= self.limit


@dataclass(frozen=True)
class SiteCheck:
    """The result of one batch norm in one engine.

    Attributes:
        engine: What computed it.
        batch_norm: Its name.
        tensor: The tensor of the file that holds its result; None if none does, since the fold has moved on into the
            layer behind.
        error: The largest error.
        limit: The largest error that passes.
    """

    engine: str
    batch_norm: str
    tensor: str | None
    error: float
    limit: float

    @property
    def ok(self) -> bool:
        """Whether the error is within the limit, where there is something to compare."""
        return self.tensor is None or self.error <= self.limit


@dataclass(frozen=True)
class Verdict:
    """All of a verification.

    Attributes:
        truth: What the outputs were compared with.
        blind_spot: What mistakes such a comparison can't find.
        noise: How the noise was measured.
        runs: How many sets of inputs.
        checks: One for each engine and output.
        problems: Why an engine couldn't be checked.
        skipped: Outputs of the files that the truth says nothing about.
        sites: One for each engine and batch norm, where that was asked for.
    """

    truth: str
    blind_spot: str
    noise: str
    runs: int
    checks: tuple[OutputCheck, ...]
    problems: tuple[str, ...] = ()
    skipped: tuple[str, ...] = ()
    sites: tuple[SiteCheck, ...] = ()

    @property
    def ok(self) -> bool:
        """Whether every engine could be checked, and every output (and site) is within its limit."""
        return (
            bool(self.checks) and not self.problems and all(c.ok for c in self.checks) and all(s.ok for s in self.sites)
        )

    def to_json(self) -> dict[str, Any]:
        """The same as plain values; an infinite error is a string, since JSON has no such number."""
        lists = {"problems": list(self.problems), "skipped": list(self.skipped)}
        return {**asdict(self), **lists, "checks": _plain(self.checks), "sites": _plain(self.sites), "ok": self.ok}

    def lines(self) -> list[str]:
        """The same for people."""
        width = max((len(check.engine) + len(check.output) + 2 for check in self.checks), default=0)
        lines = [f"Compared with {self.truth}, {self.runs} {'run' if self.runs == 1 else 'runs'}."]
        for check in self.checks:
            verdict = "good" if check.ok else "OFF "
            where = f"{check.engine}: {check.output}"
            numbers = f"error {check.error:.2g}, noise {check.noise:.2g}, limit {check.limit:.2g}"
            lines.append(f"  {verdict} {where:{width}}  {numbers}")
        lines.extend(_site_lines(self.sites))
        lines.extend(f"  not checked: {problem}" for problem in self.problems)
        lines.extend(f"  not compared: output {name}, of which the truth is not known" for name in self.skipped)
        lines.append(f"Noise: {self.noise}.")
        lines.append(f"Such a comparison can't find {self.blind_spot}.")
        return lines


def _plain(checks: Sequence[OutputCheck | SiteCheck]) -> list[dict[str, Any]]:
    entries = [{**asdict(check), "ok": check.ok} for check in checks]
    for entry in entries:
        entry.update((k, v if isfinite(v) else str(v)) for k, v in entry.items() if isinstance(v, float))
    return entries


def _site_lines(sites: Sequence[SiteCheck]) -> list[str]:
    width = max((len(site.batch_norm) for site in sites), default=0)
    lines, engine = [], None
    for site in sites:
        if site.engine != engine:
            engine = site.engine
            lines.append(f"Batch norms, {engine}:")
        if site.tensor is None:
            lines.append(f"  none {site.batch_norm:{width}}  no tensor holds its result: it is part of what follows")
        else:
            verdict = "good" if site.ok else "OFF "
            numbers = f"error {site.error:.2g}, limit {site.limit:.2g}"
            lines.append(f"  {verdict} {site.batch_norm:{width}}  {numbers}, in {site.tensor}")
    return lines
