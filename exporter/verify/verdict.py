"""What a verification has found."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from math import isfinite
from typing import Any, Literal

from exporter.report.html_table import html_table
from exporter.report.records import FileUsed, Report

__all__ = ["STRONG", "WEAK", "LayerCheck", "OutputCheck", "SiteCheck", "Verdict", "WeightPower"]

_OFTEN_ASLEEP, _MOSTLY_ASLEEP = 0.25, 0.6
STRONG, WEAK, WEAK_BY_OUTPUTS = 0.99, 0.9, 0.5
"""The share of channels of which a fault would have been noticed, from which on a verdict is strong; or is one; or is
one where only outputs were compared, which much of a deep network moves by less than noise."""


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
class LayerCheck:
    """One result inside of the model in one engine.

    Attributes:
        engine: What computed it.
        layer: Its name in the unfolded model.
        tensor: The tensor of the file that holds it.
        channel: The channel that is off the most, for what is allowed there.
        error: Its largest error.
        noise: The error that noise makes there.
        limit: The largest error that passes.
        behind: The nearest results in front of it that were compared, and are good.
    """

    engine: str
    layer: str
    tensor: str
    channel: int
    error: float
    noise: float
    limit: float
    behind: tuple[str, ...] = ()

    @property
    def ok(self) -> bool:
        """Whether the error is within the limit; NaN never is."""
        return self.error <= self.limit


@dataclass(frozen=True)
class WeightPower:
    """A weight tensor, and what would have been noticed of it.

    Attributes:
        weight: Its name.
        channels: How many of its channels do something: they and what they are multiplied with aren't 0 altogether.
        missed: Those of them that could be 0, or 1.02 times what they are, without being noticed.
        asleep: The channels that only see zeros, or change nothing, in all inputs that were tried.
        of: How many channels it has, where some were tried and stand for all; None where all were.
    """

    weight: str
    channels: int
    missed: tuple[int, ...]
    asleep: tuple[int, ...] = ()
    of: int | None = None


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
        layers: One for each engine and result inside of the model, where the truth knows these.
        power: One for each weight tensor, where that can be told.
        doubts: Why there is no verdict, although nothing was off.
        remarks: What else to know: what was left out, or is not finite.
        inputs: What was fed, see `exercise`.
        origin: What an export of the source says of it, where the source was given; it has written no files.
        read: The files that were read.
        left_out: What was left out for lack of time, where a budget was set.
    """

    truth: str
    blind_spot: str
    noise: str
    runs: int
    checks: tuple[OutputCheck, ...]
    problems: tuple[str, ...] = ()
    skipped: tuple[str, ...] = ()
    sites: tuple[SiteCheck, ...] = ()
    layers: tuple[LayerCheck, ...] = ()
    power: tuple[WeightPower, ...] = ()
    doubts: tuple[str, ...] = ()
    remarks: tuple[str, ...] = ()
    inputs: Mapping[str, Any] = field(default_factory=dict)
    origin: Report | None = None
    read: tuple[FileUsed, ...] = ()
    left_out: tuple[str, ...] = ()

    @property
    def ok(self) -> bool:
        """Whether there is a verdict, and it is good, weak or not."""
        return self.state in ("good", "weak")

    def __bool__(self) -> bool:
        return self.ok

    @property
    def state(self) -> Literal["good", "weak", "off", "none"]:
        """In a word: good; weak, if too few faults would have been noticed; off; or none, if nothing can be said."""
        judged = [one.ok for one in self.checks] + [one.ok for one in self.sites] + [one.ok for one in self.layers]
        if not all(judged):
            return "off"
        share = 1.0 if self.share is None else self.share
        if not self.checks or self.problems or self.doubts or share < self.least or self.asleep > _MOSTLY_ASLEEP:
            return "none"
        return "weak" if share < STRONG or self.asleep > _OFTEN_ASLEEP else "good"

    @property
    def asleep(self) -> float:
        """The share of channels that only see zeros, or change nothing, in all inputs that were tried."""
        count = sum(len(one.asleep) for one in self.power)
        return count / max(sum(one.channels for one in self.power) + count, 1)

    @property
    def share(self) -> float | None:
        """The share of the weights' channels of which a fault would have been noticed; None if that isn't known."""
        channels = sum(one.channels for one in self.power)
        return None if not channels else 1 - sum(len(one.missed) for one in self.power) / channels

    @property
    def least(self) -> float:
        """The share under which there is no verdict; much of a deep network moves its outputs by less than noise."""
        return WEAK if self.layers else WEAK_BY_OUTPUTS

    @property
    def first_off(self) -> LayerCheck | None:
        """The first result inside of the model that is off."""
        return next((check for check in self.layers if not check.ok), None)

    def to_json(self) -> dict[str, Any]:
        """The same as plain values; an infinite error is a string, since JSON has no such number."""
        lists = {name: list(getattr(self, name)) for name in ("problems", "skipped", "doubts", "remarks", "left_out")}
        checks = {name: _plain(getattr(self, name)) for name in ("checks", "sites", "layers")}
        power = [{**asdict(one), "missed": list(one.missed), "asleep": list(one.asleep)} for one in self.power]
        words = {"ok": self.ok, "state": self.state, "share": self.share}
        origin = None if self.origin is None else self.origin.to_json()
        return {
            **asdict(self),
            **lists,
            **checks,
            "power": power,
            "inputs": dict(self.inputs),
            "origin": origin,
            **words,
        }

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
        lines.extend(_layer_lines(self))
        lines.extend(f"  not checked: {problem}" for problem in self.problems)
        lines.extend(f"  not compared: output {name}, of which the truth is not known" for name in self.skipped)
        lines.extend(f"  {remark}" for remark in self.remarks)
        lines.extend(f"  left out, for lack of time: {what}" for what in self.left_out)
        lines.extend(_power_lines(self))
        lines.append(f"Noise: {self.noise}.")
        lines.append(f"Such a comparison can't find {self.blind_spot}.")
        lines.extend(f"No verdict: {doubt}." for doubt in self.doubts if self.state == "none")
        return lines

    def __repr__(self) -> str:
        head = f"<Verdict: {_STATES[self.state]}; {len(self.checks)} outputs and {len(self.layers)} layers compared"
        share = (
            [] if self.share is None else [f"  a fault would be noticed in {100 * self.share:.4g} % of the channels"]
        )
        off = [f"  off: {one.output} in {one.engine}" for one in self.checks if not one.ok]
        first = [] if (one := self.first_off) is None else [f"  the first layer off is {one.layer} in {one.engine}"]
        doubts = [f"  {text}" for text in (*self.problems, *self.doubts)]
        return "\n".join([f"{head} with {self.truth}", *off[:_SHOWN], *first, *doubts[:_SHOWN], *share]) + ">"

    def _repr_html_(self) -> str:
        """Outputs, the layers that are off or nearest to it, and the weights that were exercised least, as tables."""
        outputs = [
            (c.output, c.engine, "good" if c.ok else "OFF", f"{c.error:.3g}", f"{c.limit:.3g}") for c in self.checks
        ]
        near = sorted(self.layers, key=lambda c: -c.error / c.limit if c.limit else -isfinite(c.error))
        layers = [(c.layer, c.engine, "good" if c.ok else "OFF", f"{c.error:.3g}", f"{c.limit:.3g}") for c in near]
        power = sorted(self.power, key=lambda one: -len(one.missed))
        weights = [(one.weight, one.channels, len(one.missed), len(one.asleep)) for one in power]
        tables = [html_table(repr(self).strip("<>"), ("output", "engine", "", "error", "limit"), outputs)]
        if layers:
            title = f"layers, those nearest to their limits of {len(layers)}"
            tables.append(html_table(title, ("layer", "engine", "", "error", "limit"), layers[:_ROWS]))
        if weights:
            title = f"weights, those exercised least of {len(weights)}"
            tables.append(html_table(title, ("weight", "channels", "not noticed", "asleep"), weights[:_ROWS]))
        return "".join(tables)


_SHOWN, _ROWS = 4, 20
_STATES = {"good": "good", "weak": "good, but weak", "off": "off", "none": "no verdict"}


def _layer_lines(verdict: Verdict) -> list[str]:
    """How many layers are good in each engine, and the first one that is off."""
    lines = []
    for engine in dict.fromkeys(check.engine for check in verdict.layers):
        checks = [check for check in verdict.layers if check.engine == engine]
        off = [check for check in checks if not check.ok]
        good = f"{len(checks) - len(off)} of {len(checks)} layers are within their limits"
        lines.append(f"  {'OFF ' if off else 'good'} {engine}: {good}")
        if off:
            one = off[0]
            front = f"; in front of it {', '.join(one.behind)} is good" if one.behind else ""
            numbers = f"error {one.error:.2g}, limit {one.limit:.2g}, channel {one.channel}"
            lines.append(f"       the first one off is {one.layer}: {numbers}{front}")
    return lines


def _power_lines(verdict: Verdict) -> list[str]:
    share = verdict.share
    if share is None:
        return []
    channels = sum(one.channels for one in verdict.power)
    power = f"{100 * share:.4g} % of the {channels} channels of {len(verdict.power)} weight tensors"
    tried = channels + sum(len(one.asleep) for one in verdict.power)
    many = sum(one.channels + len(one.asleep) if one.of is None else one.of for one in verdict.power)
    power += f", which stand for {many}" if many > tried else ""
    by_outputs = not verdict.layers
    lines = [f"A channel that is 0, or 1.02 times what it should be, would be noticed in {power}."]
    if share < STRONG or verdict.asleep > _OFTEN_ASLEEP:
        more = " A comparison with the source, by --against, sees more." if by_outputs else ""
        lines.append(f"That is weak.{more}")
    missed = sorted((one for one in verdict.power if one.missed), key=lambda one: -len(one.missed))
    if missed:
        named = ", ".join(f"{one.weight} ({len(one.missed)} of {one.channels})" for one in missed[:8])
        lines.append(f"  not exercised: {named}{f' and {len(missed) - 8} more' if len(missed) > 8 else ''}")
    asleep = sorted((one for one in verdict.power if one.asleep), key=lambda one: -len(one.asleep))
    if asleep:
        count = sum(len(one.asleep) for one in asleep)
        named = ", ".join(f"{one.weight} ({len(one.asleep)})" for one in asleep[:4])
        more = f" and {len(asleep) - 4} more" if len(asleep) > 4 else ""
        best = "in these examples" if by_outputs else "in the best of five kinds of inputs"
        lines.append(f"  {count} channels more only see zeros or change nothing, {best}: {named}{more}")
    if share < verdict.least or verdict.asleep > _MOSTLY_ASLEEP:
        hint = "the source with --against" if by_outputs else "inputs that it was made for with --data"
        lines.append(f"No verdict: too little of the model was exercised. Give {hint}.")
    return lines


def _plain(checks: Sequence[OutputCheck | SiteCheck | LayerCheck]) -> list[dict[str, Any]]:
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
