"""Plots as SVG: as wide as there is room, since all that is horizontal is in percent; letters keep their size."""

from __future__ import annotations

from collections.abc import Iterator
from html import escape
from math import ceil, floor, isfinite, log10

from exporter.pages.page import Chart, Series

__all__ = ["axis_svg", "plot_svg"]

_HEIGHT = 220
_TOP, _BOTTOM = 14, 8
_MOST_TICKS = 7
_LOWEST = 1e-12


def plot_svg(chart: Chart) -> str:
    """The plot itself, without its axis."""
    scale = _Scale(chart)
    marks = {"dots": _dots, "ranges": _ranges, "bars": _bars}[chart.kind](chart, scale)
    grid = (_across(y, "grid") for y, _ in scale.ticks)
    parts = [*grid, *marks]
    if chart.line is not None:
        y, name = scale(chart.line), escape(chart.line_name)
        parts.append(_across(y, "limit"))
        parts.append(f'<text class="limit" x="100%" dx="-4" y="{y - 4:.1f}" text-anchor="end">{name}</text>')
    return _svg("plot", chart.title, parts)


def axis_svg(chart: Chart) -> str:
    """What stands left of the plot: the numbers of the axis."""
    ticks = (
        f'<text x="100%" dx="-6" y="{y + 4:.1f}" text-anchor="end">{text}</text>' for y, text in _Scale(chart).ticks
    )
    return _svg("axis", "", list(ticks))


def _svg(kind: str, title: str, parts: list[str]) -> str:
    name = f' role="img" aria-label="{escape(title)}"' if title else ' aria-hidden="true"'
    return f'<svg class="{kind}" height="{_HEIGHT}"{name}>{"".join(parts)}</svg>'


class _Scale:
    """Where a number is from top to bottom.

    Attributes:
        ticks: Heights and what is written there.
    """

    def __init__(self, chart: Chart) -> None:
        self._is_log = chart.kind != "bars"
        numbers = [abs(n) for series in chart.series for value in series.values for n in _numbers(value)]
        usable = [n for n in (*numbers, *([chart.line] if chart.line else [])) if isfinite(n) and n > _LOWEST]
        self._low, self._high = 0.0, 1.0
        if not self._is_log:
            self.ticks = [(self(share), f"{share:.0%}") for share in (0.0, 0.25, 0.5, 0.75, 1.0)]
            return
        self._low = floor(log10(min(usable, default=0.1)))
        self._high = max(ceil(log10(max(usable, default=1.0)) + 0.05), self._low + 1)
        step = ceil((self._high - self._low) / _MOST_TICKS)
        powers = range(int(self._low), int(self._high) + 1, step)
        self.ticks = [(self(10.0**power), f"{10.0**power:g}") for power in powers]

    def __call__(self, number: float) -> float:
        """The height of a number; what is beyond the axis is at its end."""
        if self._is_log:
            number = self._low if number <= _LOWEST else log10(number) if isfinite(number) else self._high
        share = min(max((number - self._low) / (self._high - self._low), 0.0), 1.0)
        return _TOP + (1 - share) * (_HEIGHT - _TOP - _BOTTOM)


def _numbers(value: float | tuple[float, float, float] | None) -> tuple[float, ...]:
    if value is None:
        return ()
    return value if isinstance(value, tuple) else (float(value),)


def _place(index: int, count: int) -> float:
    """The middle of an item's room, in percent."""
    return 100 * (index + 0.5) / count


def _across(y: float, kind: str) -> str:
    return f'<line class="{kind}" x1="0" x2="100%" y1="{y:.1f}" y2="{y:.1f}"/>'


def _dots(chart: Chart, scale: _Scale) -> Iterator[str]:
    count = len(chart.items)
    radius = 4.0 if count <= 30 else 2.6 if count <= 150 else 1.8
    for shift, series in enumerate(chart.series):
        for index, item in enumerate(chart.items):
            for number in _numbers(series.values[index]):
                beyond = chart.line is not None and not number <= chart.line
                tone = "bad" if beyond else series.tone
                aside = (shift - (len(chart.series) - 1) / 2) * min(30 / max(count, 1), 2.0)
                x, y = _place(index, count) + aside, scale(number)
                title = _title(item, series, f"{number:.3g}")
                yield f'<circle class="{tone}" cx="{x:.2f}%" cy="{y:.1f}" r="{radius}">{title}</circle>'


def _ranges(chart: Chart, scale: _Scale) -> Iterator[str]:
    count = len(chart.items)
    width = 6 if count <= 30 else 3 if count <= 150 else 1.5
    for series in chart.series:
        for index, item in enumerate(chart.items):
            found = _numbers(series.values[index])
            if len(found) != 3:
                continue
            low, middle, high = found
            x, ends = _place(index, count), (scale(high), scale(low))
            title = _title(item, series, f"{low:.3g} to {high:.3g}, median {middle:.3g}")
            place = f'x1="{x:.2f}%" x2="{x:.2f}%" y1="{ends[0] - 1:.1f}" y2="{ends[1] + 1:.1f}"'
            yield f'<line class="range {series.tone}" stroke-width="{width}" {place}>{title}</line>'
            place = f'cx="{x:.2f}%" cy="{scale(middle):.1f}" r="{width / 2 + 0.5}"'
            yield f'<circle class="middle" {place}>{title}</circle>'


def _bars(chart: Chart, scale: _Scale) -> Iterator[str]:
    count = len(chart.items)
    room = 100 / max(count, 1)
    width = room * (0.7 if count <= 150 else 1.0)
    for index, item in enumerate(chart.items):
        below = 0.0
        for series in chart.series:
            for share in _numbers(series.values[index]):
                top, bottom = scale(below + share), scale(below)
                below += share
                if share > 0:
                    x = _place(index, count) - width / 2
                    place = f'x="{x:.2f}%" y="{top:.1f}" width="{width:.2f}%" height="{bottom - top:.1f}"'
                    yield f'<rect class="{series.tone}" {place}>{_title(item, series, f"{share:.1%}")}</rect>'


def _title(item: str, series: Series, text: str) -> str:
    return f"<title>{escape(item)}: {escape(series.name)} {text}</title>"
