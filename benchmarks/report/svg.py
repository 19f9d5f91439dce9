"""Bars and lines as SVG, in the page's own colours, so that they follow light and dark."""

import math
from collections.abc import Callable
from html import escape

from benchmarks.finding import Finding, Plot, Row, Series
from benchmarks.report.numbers import figure

WIDTH = 760
#: Bars whose shortest would be a hairline are drawn on a logarithmic scale.
LOG_FROM = 200.0
_BAR, _GAP, _LABEL, _ROOM = 20, 12, 330, 80
_LEFT, _RIGHT, _TOP, _BOTTOM, _HEIGHT = 78, 40, 16, 48, 320


def bars(finding: Finding) -> str:
    """One bar for each contender that ran: the median, with a thin line from the least to the greatest round."""
    rows = [row for row in finding.rows if row.figures]
    if not rows or any(row.median < 0 for row in rows):
        return ""
    top = max(max(row.figures) for row in rows)
    least = min((min(row.figures) for row in rows if min(row.figures) > 0), default=1.0)
    if top <= 0:
        return ""
    is_log = top / least > LOG_FROM
    room = WIDTH - _LABEL - _ROOM
    floor = 10 ** math.floor(math.log10(least) - 0.3)

    def length(value: float) -> float:
        if not is_log:
            return room * value / top
        return room * math.log10(max(value, floor) / floor) / math.log10(top / floor)

    height = len(rows) * (_BAR + _GAP) + 6
    parts = []
    for number, row in enumerate(rows):
        parts.append(_bar(row, number, length, is_ours=row is finding.rows[0]))
    scale = " · logarithmic scale" if is_log else ""
    direction = "longer" if finding.more_is_better else "shorter"
    label = f"{finding.unit}, {direction} is better{scale}"
    return (
        f'<figure><svg viewBox="0 0 {WIDTH} {height}" role="img" aria-label="{escape(finding.question, quote=True)}">'
        f"{''.join(parts)}</svg><figcaption>{escape(label)}</figcaption></figure>"
    )


def _bar(row: Row, number: int, length: Callable[[float], float], *, is_ours: bool) -> str:
    y = number * (_BAR + _GAP) + 4
    middle = y + _BAR / 2
    end = _LABEL + length(row.median)
    low, high = _LABEL + length(min(row.figures)), _LABEL + length(max(row.figures))
    kind = "ours" if is_ours else "theirs"
    whisker = (
        f'<line class="whisker" x1="{low:.1f}" x2="{high:.1f}" y1="{middle}" y2="{middle}"/>'
        if high - low > 1
        else ""
    )
    return (
        f'<text class="name" x="{_LABEL - 10}" y="{middle + 4.5}" text-anchor="end">{escape(_short(row.name))}'
        f"<title>{escape(row.name)}</title></text>"
        f'<rect class="{kind}" x="{_LABEL}" y="{y}" width="{max(end - _LABEL, 1.5):.1f}" height="{_BAR}" rx="3"/>'
        f"{whisker}"
        f'<text class="value" x="{max(end, high) + 8:.1f}" y="{middle + 4.5}">{figure(row.median)}</text>'
    )


def lines(plot: Plot) -> str:
    """The lines of a plot; an axis that spans more than two decades is logarithmic."""
    points = [point for series in plot.series for point in series.points]
    if not points:
        return ""
    across = _Axis([x for x, _ in points], _LEFT, WIDTH - _RIGHT)
    up = _Axis([y for _, y in points], _HEIGHT - _BOTTOM, _TOP)
    grid = "".join(
        f'<line class="grid" x1="{_LEFT}" x2="{WIDTH - _RIGHT}" y1="{up.at(y):.1f}" y2="{up.at(y):.1f}"/>'
        f'<text class="tick" x="{_LEFT - 8}" y="{up.at(y) + 4:.1f}" text-anchor="end">{figure(y)}</text>'
        for y in up.ticks
    ) + "".join(
        f'<text class="tick" x="{across.at(x):.1f}" y="{_HEIGHT - _BOTTOM + 18}" text-anchor="middle">{figure(x)}</text>'
        for x in across.ticks
    )
    drawn = "".join(_line(series, across, up, number) for number, series in enumerate(plot.series))
    axes = (
        f'<text class="axis" x="{(WIDTH + _LEFT) / 2}" y="{_HEIGHT - 8}" text-anchor="middle">{escape(plot.x)}</text>'
        f'<text class="axis" x="0" y="0" text-anchor="middle" '
        f'transform="translate(14 {(_HEIGHT - _BOTTOM) / 2}) rotate(-90)">{escape(plot.y)}</text>'
    )
    legend = "".join(
        f'<span><i class="key s{number % 6}"></i>{escape(series.label)}</span>'
        for number, series in enumerate(plot.series)
    )
    return (
        f"<figure><figcaption><b>{escape(plot.title)}</b></figcaption>"
        f'<svg viewBox="0 0 {WIDTH} {_HEIGHT}" role="img" aria-label="{escape(plot.title, quote=True)}">'
        f'{grid}{drawn}{axes}</svg><p class="legend">{legend}</p></figure>'
    )


def _line(series: Series, across: "_Axis", up: "_Axis", number: int) -> str:
    placed = [(across.at(x), up.at(y)) for x, y in sorted(series.points)]
    path = " ".join(f"{x:.1f},{y:.1f}" for x, y in placed)
    dots = (
        "".join(f'<circle class="s{number % 6}" cx="{x:.1f}" cy="{y:.1f}" r="3"/>' for x, y in placed)
        if len(placed) <= 40
        else ""
    )
    return f'<polyline class="s{number % 6}" points="{path}"/>{dots}'


class _Axis:
    """From values to places on the page: linear from nought, or logarithmic where the values span two decades."""

    def __init__(self, values: list[float], start: float, end: float) -> None:
        low, high = min(values), max(values)
        self._start, self._end = start, end
        self.is_log = low > 0 and high / low >= 100
        if self.is_log:
            first, last = math.floor(math.log10(low)), math.ceil(math.log10(high))
            self.ticks = [10.0**power for power in range(first, last + 1)]
        else:
            step = _round_step((high - min(low, 0)) or 1)
            first, last = math.floor(min(low, 0) / step), math.ceil(high / step)
            self.ticks = [step * number for number in range(first, max(last, first + 1) + 1)]
        self._low, self._high = self.ticks[0], self.ticks[-1]

    def at(self, value: float) -> float:
        """Where on the page."""
        if self.is_log:
            share = math.log10(value / self._low) / math.log10(self._high / self._low)
        else:
            share = (value - self._low) / (self._high - self._low)
        return self._start + (self._end - self._start) * share


def _round_step(span: float) -> float:
    """1, 2 or 5 times a power of ten, so that four to eight steps fill the span."""
    power = 10.0 ** math.floor(math.log10(span / 4))
    return next(power * n for n in (1, 2, 5, 10) if span / (power * n) <= 6)


def _short(name: str) -> str:
    return name if len(name) <= 46 else f"{name[:45]}…"
