"""What `config simulate` found, as one page with plots: no script, nothing fetched from anywhere, no personal data.

Of a lead it says id, rule, team, rep and times; what a person said stands nowhere in it.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import date, datetime, timedelta
from html import escape
from typing import Any

from speed_to_lead.cli.output import safe
from speed_to_lead.cli.past_leads import Skipped
from speed_to_lead.core.clock import to_iso
from speed_to_lead.core.message import span_text
from speed_to_lead.core.simulation import ASSUMPTIONS, KINDS, SHIFTS, Difference, Simulation
from speed_to_lead.core.sla import format_duration

#: Changed leads in the table; more would make the page slow, and `--json` has them all.
LISTED = 500
#: Teams with a plot of their own, those with most leads first.
TEAMS = 12

_WORDS = {
    "routed": "routed at all", "source": "source", "rule": "rule", "nurture": "nurture", "team": "team", "rep": "rep", "sla": "SLA",
    "deadline": "deadline", "steps": "steps",
}  # fmt: skip
_WIDTH, _LABEL, _ROOM, _BAR, _GAP = 760, 150, 90, 20, 10
_LEFT, _TOP, _BOTTOM, _HEIGHT = 44, 12, 26, 150

_STYLE = """
:root { color-scheme: light dark; --ground: #fff; --text: #1d2430; --soft: #5c6675; --line: #dfe3e9; --panel: #f6f7f9;
  --before: #a9b4c2; --after: #1668c7; --earlier: #17803d; --later: #d9730d }
@media (prefers-color-scheme: dark) { :root { --ground: #14181f; --text: #e4e8ee; --soft: #9aa5b4; --line: #2c3442;
  --panel: #1b212b; --before: #66738a; --after: #5aa2f5; --earlier: #5bc980; --later: #f2a359 } }
* { box-sizing: border-box }
body { margin: 0 auto; max-width: 880px; padding: 32px 24px 64px; background: var(--ground); color: var(--text);
  font: 16px/1.55 system-ui, sans-serif }
h1 { font-size: 28px; line-height: 1.2; margin: 0 0 8px } h2 { font-size: 20px; margin: 44px 0 4px }
h3 { font-size: 16px; margin: 20px 0 0 } p { margin: 8px 0 } .soft { color: var(--soft); font-size: 14px }
.figures { display: flex; flex-wrap: wrap; gap: 12px; margin: 20px 0 }
.figures div { background: var(--panel); border: 1px solid var(--line); border-radius: 8px; padding: 10px 16px; min-width: 130px }
.figures b { display: block; font-size: 24px; line-height: 1.25; font-variant-numeric: tabular-nums }
.figures span { color: var(--soft); font-size: 14px }
table { border-collapse: collapse; width: 100%; margin: 12px 0; font-size: 14px }
th { text-align: left; font-weight: 600; color: var(--soft); font-size: 13px }
th, td { padding: 5px 12px 5px 0; border-bottom: 1px solid var(--line); vertical-align: top }
td.n, th.n { text-align: right; font-variant-numeric: tabular-nums } td.id, td.at { white-space: nowrap } td.id { font-family: ui-monospace, monospace; font-size: 13px }
.wide { overflow-x: auto } del { color: var(--soft) } ins { text-decoration: none; font-weight: 600 }
svg { width: 100%; height: auto; display: block; margin: 8px 0 } svg text { font: 13px system-ui, sans-serif; fill: var(--text) }
svg text.tick { fill: var(--soft); font-size: 11px } svg text.value { font-weight: 600 } svg .grid { stroke: var(--line) }
.before { fill: var(--before); background: var(--before) } .after { fill: var(--after); background: var(--after) }
.earlier { fill: var(--earlier); background: var(--earlier) } .later { fill: var(--later); background: var(--later) }
.key i { display: inline-block; width: 12px; height: 12px; border-radius: 3px; margin: 0 6px 0 16px; vertical-align: -1px }
.key i:first-child { margin-left: 0 } ul { padding-left: 20px }
"""


def page(
    simulation: Simulation,
    changed: Sequence[Difference],
    configs: Mapping[str, Mapping[str, str]],
    skipped: Skipped,
    now: datetime,
) -> str:
    """The whole page. `configs` are the running one and the candidate, each with its directory and digest."""
    title = "What would change?"
    running, candidate = (configs[name] for name in ("running", "candidate"))
    made = (
        f"<p>Config <b>{_text(candidate['directory'])}</b> ({_text(candidate['digest'])}) in place of "
        f"<b>{_text(running['directory'])}</b> ({_text(running['digest'])}). "
        f'<span class="soft">Made {to_iso(now)} by speed-to-lead config simulate.</span></p>'
    )
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{title}</title><style>{_STYLE}</style></head><body><h1>{title}</h1>{made}"
        f"{_figures(simulation, skipped)}{_kinds(simulation)}{_shifts(simulation)}{_breaches(simulation)}"
        f"{_loads(simulation)}{_changes(simulation, changed)}{_assumptions(skipped)}</body></html>\n"
    )


def _figures(simulation: Simulation, skipped: Skipped) -> str:
    share = simulation.changed / simulation.leads if simulation.leads else 0.0
    figures = [
        (f"{simulation.leads:,}", "leads replayed"),
        (f"{simulation.changed:,}", f"change ({share:.1%})"),
        (f"{sum(n for place, n in simulation.shifts.items() if place < 0):,}", "deadlines earlier"),
        (f"{sum(n for place, n in simulation.shifts.items() if place > 0):,}", "deadlines later"),
    ]
    if simulation.breaches.judged:
        figures.append((_signed(simulation.breaches.after - simulation.breaches.before), "late answers"))
    if skipped.count:
        figures.append((f"{skipped.count:,}", "could not be read"))
    boxes = "".join(f"<div><b>{number}</b><span>{escape(words)}</span></div>" for number, words in figures)
    span = (
        f'<p class="soft">Received {to_iso(simulation.first_at)} to {to_iso(simulation.last_at)}.</p>'
        if simulation.first_at and simulation.last_at
        else ""
    )
    return f'{span}<div class="figures">{boxes}</div>'


def _kinds(simulation: Simulation) -> str:
    rows = [(_WORDS[kind], simulation.kinds[kind], "after") for kind in KINDS if simulation.kinds[kind]]
    if not rows:
        return "<p><b>Nothing changes</b>: every lead gets the same rule, team, rep, SLA, deadline and steps.</p>"
    return f"<h2>Leads that change, by what changes</h2>{_bars(rows, 'Leads that change, by what changes')}"


def _shifts(simulation: Simulation) -> str:
    """How far deadlines move; those that stay are said, for they would make all others hairlines."""
    rows = [
        (_shift_words(place), simulation.shifts[place], "earlier" if place < 0 else "later")
        for place in sorted(simulation.shifts)
        if place
    ]
    if not rows:
        return ""
    title = "How far deadlines move"
    return f'<h2>{title}</h2><p class="soft">{simulation.shifts[0]:,} stay where they are.</p>{_bars(rows, title)}'


def _shift_words(place: int) -> str:
    direction = "earlier" if place < 0 else "later"
    number = abs(place)
    if number > len(SHIFTS):
        return f"over {format_duration(SHIFTS[-1])} {direction}"
    return f"up to {format_duration(SHIFTS[number - 1])} {direction}"


def _breaches(simulation: Simulation) -> str:
    found = simulation.breaches
    if not found.judged:
        return ""
    rows = [
        ("as it happened", found.recorded, "before"),
        ("running config", found.before, "before"),
        ("candidate", found.after, "after"),
    ]
    return (
        f'<h2>Late answers</h2><p class="soft">Of {found.judged:,} leads of which the end is known. Under the candidate '
        f"{found.avoided:,} fewer and {found.new:,} new; of those late as it happened {found.recorded_still:,} would be "
        f"late again.</p>{_bars(rows, 'Late answers')}"
    )


def _bars(rows: Sequence[tuple[str, int, str]], title: str) -> str:
    top = max((number for _, number, _ in rows), default=0) or 1
    room = _WIDTH - _LABEL - _ROOM
    parts = []
    for place, (words, number, kind) in enumerate(rows):
        y = place * (_BAR + _GAP) + 4
        width = max(room * number / top, 1.5)
        parts.append(
            f'<text x="{_LABEL - 10}" y="{y + 15}" text-anchor="end">{escape(words)}</text>'
            f'<rect class="{kind}" x="{_LABEL}" y="{y}" width="{width:.1f}" height="{_BAR}" rx="3"/>'
            f'<text class="value" x="{_LABEL + width + 8:.1f}" y="{y + 15}">{number:,}</text>'
        )
    return _svg(len(rows) * (_BAR + _GAP) + 4, title, "".join(parts))


def _loads(simulation: Simulation) -> str:
    """Each team's leads by day, before and after, side by side; all plots by one scale of days."""
    by_team: dict[str, dict[int, tuple[int, int]]] = defaultdict(dict)
    for day, team, before, after in simulation.load_of_teams():
        by_team[team][day] = (before, after)
    if not by_team:
        return ""
    days = [day for of_team in by_team.values() for day in of_team]
    ordered = sorted(by_team, key=lambda team: (-sum(map(sum, by_team[team].values())), team))
    plots = "".join(
        f"<h3>{_text(team)}</h3>{_days(by_team[team], min(days), max(days), f'Leads a day of team {team}')}"
        f"{_reps(simulation, team)}"
        for team in ordered[:TEAMS]
    )
    more = (
        f'<p class="soft">{len(ordered) - TEAMS} more teams are in --json.</p>'
        if len(ordered) > TEAMS
        else ""
    )
    key = '<p class="soft key"><i class="before"></i>running config<i class="after"></i>candidate</p>'
    return f"<h2>Leads a day</h2>{key}{plots}{more}"


def _days(of_team: Mapping[int, tuple[int, int]], first: int, last: int, title: str) -> str:
    top = max(max(pair) for pair in of_team.values()) or 1
    slot = (_WIDTH - _LEFT) / (last - first + 1)
    width = max(min(slot * 0.4, 18), 0.6)
    floor = _HEIGHT - _BOTTOM
    parts = []
    for mark in (top, top // 2) if top > 1 else (top,):
        y = floor - (floor - _TOP) * mark / top
        parts.append(
            f'<line class="grid" x1="{_LEFT}" x2="{_WIDTH}" y1="{y:.1f}" y2="{y:.1f}"/>'
            f'<text class="tick" x="{_LEFT - 6}" y="{y + 4:.1f}" text-anchor="end">{mark:,}</text>'
        )
    for day, pair in of_team.items():
        middle = _LEFT + (day - first + 0.5) * slot
        for kind, number, x in (("before", pair[0], middle - width), ("after", pair[1], middle)):
            height = (floor - _TOP) * number / top
            parts.append(
                f'<rect class="{kind}" x="{x:.1f}" y="{floor - height:.1f}" width="{width:.1f}" height="{height:.1f}">'
                f"<title>{date.fromordinal(day)}: {number:,}</title></rect>"
            )
    for day in _marked(first, last):
        x = _LEFT + (day - first + 0.5) * slot
        parts.append(
            f'<text class="tick" x="{x:.1f}" y="{_HEIGHT - 8}" text-anchor="middle">{date.fromordinal(day):%d %b}</text>'
        )
    parts.append(f'<line class="grid" x1="{_LEFT}" x2="{_WIDTH}" y1="{floor}" y2="{floor}"/>')
    return _svg(_HEIGHT, title, "".join(parts))


def _marked(first: int, last: int) -> Iterable[int]:
    """About eight days, evenly, from the first on."""
    return range(first, last + 1, max((last - first) // 7, 1))


def _reps(simulation: Simulation, team: str) -> str:
    before: Counter[str] = Counter()
    after: Counter[str] = Counter()
    for counts, load in ((before, simulation.load_before), (after, simulation.load_after)):
        for place, number in load.items():
            if place.team == team:
                counts[place.rep] += number
    rows = "".join(
        f'<tr><td>{_text(rep or "(nobody)")}</td><td class="n">{before[rep]:,}</td><td class="n">{after[rep]:,}</td>'
        f'<td class="n">{_signed(after[rep] - before[rep])}</td></tr>'
        for rep in sorted({*before, *after})
    )
    return (
        '<table><thead><tr><th>rep</th><th class="n">leads, running</th><th class="n">candidate</th>'
        f'<th class="n">difference</th></tr></thead><tbody>{rows}</tbody></table>'
    )


def _changes(simulation: Simulation, changed: Sequence[Difference]) -> str:
    if not changed:
        return ""
    rows = "".join(
        f'<tr><td class="id">{_text(one.id if one.id is not None else f"line {one.line}")}</td>'
        f'<td class="at">{to_iso(one.received_at)}</td>{_cells(one)}</tr>'
        for one in changed[:LISTED]
    )
    more = (
        f'<p class="soft">The first {LISTED:,} of {simulation.changed:,}; --json names more.</p>'
        if simulation.changed > LISTED
        else ""
    )
    return (
        '<h2>The leads that change</h2><div class="wide"><table><thead><tr><th>lead</th><th>received</th><th>rule</th>'
        f"<th>team</th><th>rep</th><th>SLA</th><th>deadline</th></tr></thead><tbody>{rows}</tbody></table></div>{more}"
    )


def _cells(one: Difference) -> str:
    if one.before.problem or one.after.problem:
        words = (
            f"not routed any more: {one.after.problem}" if one.after.problem else "routed, and was not before"
        )
        return f'<td colspan="5">{_text(words)}</td>'
    cells = [
        _cell(getattr(one.before, kind), getattr(one.after, kind)) for kind in ("rule", "team", "rep", "sla")
    ]
    direction = "later" if one.shift > timedelta() else "earlier"
    if (one.before.deadline is None) is not (one.after.deadline is None):
        moved = _cell(*("none" if side.deadline is None else "one" for side in (one.before, one.after)))
    else:
        moved = f"<ins>{span_text(abs(one.shift))} {direction}</ins>" if one.shift else "same"
    return "".join(f"<td>{cell}</td>" for cell in (*cells, moved))


def _cell(before: Any, after: Any) -> str:
    if before == after:
        return _text(after or "nobody")
    return f"<del>{_text(before or 'nobody')}</del> → <ins>{_text(after or 'nobody')}</ins>"


def _assumptions(skipped: Skipped) -> str:
    said = [
        *ASSUMPTIONS.split("; "),
        *(f"{n:,} left out: {reason}" for reason, n in skipped.left_out.items()),
    ]
    return f"<h2>What is assumed</h2><ul>{''.join(f'<li>{_text(one)}</li>' for one in said)}</ul>"


def _svg(height: float, title: str, inside: str) -> str:
    label = escape(safe(title), quote=True)
    return f'<svg viewBox="0 0 {_WIDTH} {height:g}" role="img" aria-label="{label}">{inside}</svg>'


def _signed(number: int) -> str:
    return f"{number:+,}" if number else "0"


def _text(value: object) -> str:
    return escape(safe(value), quote=True)
