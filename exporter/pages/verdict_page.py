"""The page of a verification."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from exporter.pages.page import Cell, Chart, Fact, Mark, Page, Section, Series, Table
from exporter.pages.provenance import Provenance
from exporter.pages.source_sections import file_sections, source_sections
from exporter.verify.verdict import LayerCheck, Verdict, WeightPower

__all__ = ["verdict_page"]

_MARKS = {
    "good": Mark("parity", "good"),
    "weak": Mark("parity, but weak evidence", "doubtful"),
    "off": Mark("no parity", "bad"),
    "none": Mark("no verdict", "doubtful"),
}
_TONES = ("first", "second", "third")
_FEW = 12


def verdict_page(verdict: Verdict, made: Provenance) -> Page:
    """What was compared with what, how far each result is off, and what would have been noticed."""
    files = [file.path for file in verdict.read if file.role in ("model", "bundle", "program")]
    notes = (
        *(f"Not checked: {problem}" for problem in verdict.problems),
        *(f"No verdict: {doubt}" for doubt in verdict.doubts),
        *verdict.remarks,
        *(f"Left out, for lack of time: {what}" for what in verdict.left_out),
        *(f"Output {name} wasn't compared: of it the truth isn't known" for name in verdict.skipped),
    )
    return Page(
        " and ".join(files) or "Verification",
        _MARKS[verdict.state],
        _summary(verdict),
        notes,
        tuple(_sections(verdict, made)),
    )


def _summary(verdict: Verdict) -> str:
    parts = [f"{_count(len({c.output for c in verdict.checks}), 'output')}"]
    if verdict.layers:
        parts.append(_count(len({check.layer for check in verdict.layers}), "layer"))
    share = (
        ""
        if verdict.share is None
        else f" A fault would have been noticed in {100 * verdict.share:.4g} % of all channels."
    )
    off = verdict.first_off
    first = (
        "" if off is None else f" The first layer that is off is {off.layer}, channel {off.channel}, in {off.engine}."
    )
    return f"{' and '.join(parts)} compared with {verdict.truth}, {_count(verdict.runs, 'run')}.{first}{share}"


def _count(count: int, noun: str) -> str:
    return f"{count} {noun}{'' if count == 1 else 's'}"


def _sections(verdict: Verdict, made: Provenance) -> Iterator[Section]:
    facts = (
        Fact("the truth", verdict.truth),
        Fact("runs", str(verdict.runs)),
        Fact("noise", verdict.noise),
        Fact("can't be found this way", verdict.blind_spot),
    )
    rows = tuple((c.output, c.engine, _ok(c.ok), c.error, c.noise, c.limit) for c in verdict.checks)
    table = Table("outputs", ("output", "engine", "result", "error", "noise", "limit"), rows)
    yield Section("Outputs", facts=facts, tables=(table,))
    if verdict.layers:
        yield Section("Layers", (_LAYERS,), (_errors(verdict.layers),), tables=(_layers(verdict.layers),))
    if verdict.sites:
        sites: list[tuple[Cell, ...]] = []
        for site in verdict.sites:
            found: tuple[Cell, ...] = (_ok(site.ok), site.error, site.limit, site.tensor)
            if site.tensor is None:
                found = (Mark("moved on", "plain"), None, None, "it is part of the layer behind")
            sites.append((site.batch_norm, site.engine, *found))
        head = ("batch norm", "engine", "result", "error", "limit", "in tensor")
        yield Section("Results of batch norms", tables=(Table("batch norms", head, tuple(sites)),))
    if verdict.power:
        yield _exercised(verdict.power)
    if verdict.inputs.get("inputs"):
        yield _inputs(verdict.inputs)
    if verdict.origin is not None:
        yield from source_sections(verdict.origin)
    yield from file_sections(made)


_LAYERS = (
    "Each result that has the same meaning before and after the passes, in each engine: its largest error as a share "
    "of the limit for its channel, in the plot and under the engine's name. Above 1 it is off."
)
_POWER = (
    "Of each weight tensor the share of channels that, set to 0 or scaled by 1.02, this run would have noticed; "
    "channels that only ever see zeros are asleep."
)


def _ok(ok: bool) -> Mark:
    return Mark("good", "good") if ok else Mark("off", "bad")


def _share(error: float, limit: float) -> float:
    return error / limit if limit else float("inf") if error else 0.0


def _errors(checks: Sequence[LayerCheck]) -> Chart:
    layers = list(dict.fromkeys(check.layer for check in checks))
    series = []
    for index, engine in enumerate(dict.fromkeys(check.engine for check in checks)):
        known = {check.layer: _share(check.error, check.limit) for check in checks if check.engine == engine}
        series.append(Series(engine, [known.get(layer) for layer in layers], _TONES[index % len(_TONES)]))
    return Chart("dots", "Error as a share of the limit, in the model's order", layers, series, 1.0, "limit")


def _layers(checks: Sequence[LayerCheck]) -> Table:
    """A row for each layer, those that are off first: its share of the limit in each engine, and the worst numbers."""
    engines = list(dict.fromkeys(check.engine for check in checks))
    layers: dict[str, dict[str, LayerCheck]] = {}
    for check in checks:
        layers.setdefault(check.layer, {})[check.engine] = check
    rows: list[tuple[Cell, ...]] = []
    for place, (name, own) in enumerate(layers.items(), 1):
        worst = max(own.values(), key=lambda check: _share(check.error, check.limit))
        shares = [_share(own[engine].error, own[engine].limit) if engine in own else None for engine in engines]
        numbers = (worst.channel, worst.error, worst.limit)
        rows.append((name, place, _ok(worst.ok), *shares, *numbers, ", ".join(worst.behind)))
    head = ("layer", "place", "result", *engines, "worst channel", "error there", "limit there", "good in front of it")
    rows.sort(key=lambda row: row[2] == _ok(True))  # those that are off first
    known = len(head) if any(row[-1] for row in rows) else len(head) - 1
    return Table("layers", head[:known], tuple(row[:known] for row in rows))


def _exercised(power: Sequence[WeightPower]) -> Section:
    """Of each weight tensor how many channels would have been noticed: as shares in a plot, as counts in a table."""
    rows: list[tuple[Cell, ...]] = []
    shares: list[tuple[float, ...]] = []
    for one in power:
        counts = (one.channels - len(one.missed), len(one.missed), len(one.asleep))
        channels = one.channels + len(one.asleep)
        more = f" and {len(one.missed) - _FEW} more" if len(one.missed) > _FEW else ""
        missed = ", ".join(str(channel) for channel in one.missed[:_FEW]) + more
        rows.append((one.weight, channels, *counts, missed))
        shares.append(tuple(count / max(channels, 1) for count in counts))
    names = (("noticed", "good"), ("not noticed", "bad"), ("asleep", "plain"))
    series = [Series(name, [one[i] for one in shares], tone) for i, (name, tone) in enumerate(names)]
    title, weights = "Channels of each weight tensor, in the model's order", [one.weight for one in power]
    head = ("weight", "channels", "noticed", "not noticed", "asleep", "which aren't noticed")
    table = Table("weights", head, tuple(rows))
    return Section("What was exercised", (_POWER,), (Chart("bars", title, weights, series),), tables=(table,))


def _inputs(inputs: Mapping[str, Any]) -> Section:
    """What the runs were fed, and what told its level."""
    text = [f"Kinds of inputs: {', '.join(inputs['sets'])}."]
    if inputs["sizes"]:
        text.append(f"Open sizes: {', '.join(f'{name} = {size}' for name, size in inputs['sizes'].items())}.")
    if inputs["batch_norms"]:
        told = f"{len(inputs['batch_norms'])} batch norms told the level of numbers"
        text.append(f"{told}; what they see is {inputs['mismatch']:.2g} standard deviations from their statistics.")
    rows = tuple(
        (
            one["name"],
            one["role"],
            str([*one["shape"]]),
            one["below"],
            _levels(one["offset"]),
            _levels(one["spread"]),
            one["why"],
        )
        for one in inputs["inputs"]
    )
    table = Table("inputs", ("input", "stands for", "shape", "below", "mean", "spread", "known from"), rows)
    return Section("Inputs that were used", tuple(text), tables=(table,))


def _levels(values: Sequence[float]) -> Cell:
    if len(values) < 2:
        return float(values[0]) if values else None
    if len(values) <= _FEW:
        return ", ".join(f"{value:.3g}" for value in values)
    return f"{min(values):.3g} to {max(values):.3g}"
