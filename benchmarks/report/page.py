"""The report as one page: no script, nothing fetched from anywhere, readable by somebody who has never heard of us."""

from html import escape

from benchmarks.finding import Check, Finding, Row
from benchmarks.report.document import Measured, Report
from benchmarks.report.numbers import exact, figure, spread
from benchmarks.report.svg import bars, lines
from benchmarks.report.table import conditions_line, ratio_to_first, ratio_words

_STYLE = """
:root { color-scheme: light dark; --ground: #ffffff; --text: #1d2430; --soft: #5c6675; --line: #dfe3e9; --panel: #f6f7f9;
  --ours: #1668c7; --theirs: #a9b4c2; --good: #17803d; --bad: #c0261c;
  --s0: #1668c7; --s1: #d9730d; --s2: #17803d; --s3: #8a46c8; --s4: #b3261e; --s5: #5c6675 }
@media (prefers-color-scheme: dark) { :root { --ground: #14181f; --text: #e4e8ee; --soft: #9aa5b4; --line: #2c3442;
  --panel: #1b212b; --ours: #5aa2f5; --theirs: #566273; --good: #5bc980; --bad: #ff8078;
  --s0: #5aa2f5; --s1: #f2a359; --s2: #5bc980; --s3: #c39af0; --s4: #ff8078; --s5: #9aa5b4 } }
* { box-sizing: border-box }
body { margin: 0 auto; max-width: 880px; padding: 32px 24px 64px; background: var(--ground); color: var(--text);
  font: 16px/1.55 system-ui, sans-serif }
h1 { font-size: 30px; line-height: 1.2; margin: 0 0 8px }
h2 { font-size: 22px; margin: 56px 0 4px; padding-top: 16px; border-top: 1px solid var(--line) }
h2 a { color: inherit; text-decoration: none }
a { color: var(--ours) }
p { margin: 8px 0 } .soft, .notes, .made { color: var(--soft) } .made { font-size: 14px }
table { border-collapse: collapse; width: 100%; margin: 16px 0; font-size: 15px }
th { text-align: left; font-weight: 600; color: var(--soft); font-size: 13px }
th, td { padding: 6px 12px 6px 0; border-bottom: 1px solid var(--line); vertical-align: top }
td.n, th.n { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap }
.wide { overflow-x: auto }
.good { color: var(--good) } .bad { color: var(--bad); font-weight: 600 } td.v { white-space: nowrap }
figure { margin: 20px 0 } figcaption { color: var(--soft); font-size: 14px } svg { width: 100%; height: auto; display: block }
figcaption b { color: var(--text) }
svg text { font: 13px system-ui, sans-serif; fill: var(--text) }
svg text.value { font-weight: 600; font-variant-numeric: tabular-nums } svg text.tick, svg text.axis { fill: var(--soft); font-size: 12px }
svg rect.ours { fill: var(--ours) } svg rect.theirs { fill: var(--theirs) }
svg .whisker { stroke: var(--text); stroke-width: 1.5; opacity: .65 } svg .grid { stroke: var(--line) }
svg polyline { fill: none; stroke: var(--color); stroke-width: 2.2; stroke-linejoin: round }
svg circle { fill: var(--color) } .legend i { background: var(--color) }
.s0 { --color: var(--s0) } .s1 { --color: var(--s1) } .s2 { --color: var(--s2) }
.s3 { --color: var(--s3) } .s4 { --color: var(--s4) } .s5 { --color: var(--s5) }
.legend { display: flex; flex-wrap: wrap; gap: 4px 20px; font-size: 14px } .legend span { display: inline-flex; align-items: center }
.legend i { width: 18px; height: 3px; margin-right: 7px; border-radius: 2px }
pre { background: var(--panel); border: 1px solid var(--line); border-radius: 6px; padding: 12px 14px; overflow-x: auto; font-size: 14px }
ul { padding-left: 20px }
"""

_INTRODUCTION = """
<p>speed-to-lead takes sales leads from form tools, gives each a team, a rep and a deadline, and escalates every lead
whose deadline passes without an answer. This page says how fast it does that, next to what one would otherwise write
or install for the same job, on the same machine, in the same run, with the same server and the same writes.</p>
"""

_HOW = """
<h2 id="repeat">How to repeat it</h2>
<pre>pip install -e ".[benchmarks]"    # what it is compared with; without one of them its rows say so
python -m benchmarks --list       # the benchmarks by name
python -m benchmarks              # all of them; exit code 1 where a budget is not held
python -m benchmarks router deadlines --rounds 5 --json mine.json --html mine.html</pre>
<ul>
<li>Every process is started by the benchmark itself, on loopback, and ended with it. No server or account of yours is used.</li>
<li>Contenders take turns: in one round ours first, in the next ours last. A ratio is the median of the rounds' ratios,
never the ratio of figures taken minutes apart. The thin line in a bar goes from the worst round to the best.</li>
<li>The server keeps an append-only file, and syncs it before it answers unless a benchmark says otherwise, for ours and for
everybody else.</li>
<li>Peers are in <code>benchmarks/peers/</code>, one file each, written as somebody who knows that tool would write it. If
yours would be faster, that file is the place to show it.</li>
<li>Ratios travel from machine to machine; figures do not.</li>
</ul>
"""


def page(report: Report) -> str:
    """The whole page."""
    machine = report.machine
    on = (
        f"{machine.cores} cores, {machine.cpu}, {machine.memory_gib:g} GiB; {machine.kernel}; "
        f"Python {machine.python}; {machine.server}"
    )
    sections = "".join(_section(measured) for measured in report.measured)
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>How fast is speed-to-lead?</title><style>{_STYLE}</style></head><body>"
        f"<h1>How fast is speed-to-lead?</h1>{_INTRODUCTION}"
        f'<p class="made">Measured on {escape(on)}.</p>{_small(report)}'
        f"{_budgets(report)}{sections}{_HOW}</body></html>\n"
    )


def _small(report: Report) -> str:
    if not any(measured.conditions.is_small for measured in report.measured):
        return ""
    return '<p class="bad">Made with --quick: small sizes, few rounds. Not for publishing.</p>'


def _budgets(report: Report) -> str:
    """Every budget on one screen: what a reader in a hurry wants."""
    rows = "".join(
        f'<tr><td><a href="#{escape(measured.finding.name)}">{escape(measured.finding.name)}</a></td>'
        f"{_check_cells(check)}</tr>"
        for measured in report.measured
        for check in measured.finding.checks
    )
    if not rows:
        return ""
    return (
        '<div class="wide"><table><thead><tr><th></th><th>budget</th><th class="n">limit</th>'
        f'<th class="n">found</th><th></th></tr></thead><tbody>{rows}</tbody></table></div>'
    )


def _check_cells(check: Check) -> str:
    limit = f"{'≥' if check.at_least else '≤'} {exact(check.limit)}"
    verdict = '<td class="v good">✓ holds</td>' if check.holds else '<td class="v bad">✗ not held</td>'
    return f'<td>{escape(check.budget)}</td><td class="n">{limit}</td><td class="n">{figure(check.found)}</td>{verdict}'


def _section(measured: Measured) -> str:
    finding = measured.finding
    notes = "".join(f"<li>{escape(note)}</li>" for note in finding.notes)
    plots = "".join(lines(plot) for plot in finding.plots)
    return (
        f'<section><h2 id="{escape(finding.name)}">{escape(finding.question)}</h2>'
        f'<p class="made">{escape(finding.name)} · {escape(conditions_line(measured.conditions))}</p>'
        f"{bars(finding)}{_rows(finding)}{plots}{_figures(finding)}"
        + (f'<ul class="notes">{notes}</ul>' if notes else "")
        + "</section>"
    )


def _rows(finding: Finding) -> str:
    if not finding.rows:
        return ""
    body = "".join(_row(finding, row) for row in finding.rows)
    return (
        '<div class="wide"><table><thead><tr><th></th>'
        f'<th class="n">{escape(finding.unit)}</th><th class="n">rounds</th><th class="n">{ratio_words(finding)}</th>'
        f"</tr></thead><tbody>{body}</tbody></table></div>"
    )


def _row(finding: Finding, row: Row) -> str:
    if not row.figures:
        return f'<tr><td>{escape(row.name)}</td><td colspan="3" class="soft">not run: {escape(row.missing)}</td></tr>'
    return (
        f'<tr><td>{escape(row.name)}</td><td class="n">{figure(row.median)}</td>'
        f'<td class="n">{spread(row)}</td><td class="n">{ratio_to_first(finding, row)}</td></tr>'
    )


def _figures(finding: Finding) -> str:
    if not finding.figures:
        return ""
    body = "".join(
        f'<tr><td>{escape(name)}</td><td class="n">{figure(value)}</td></tr>'
        for name, value in finding.figures.items()
    )
    return f'<div class="wide"><table><thead><tr><th>further figures</th><th></th></tr></thead><tbody>{body}</tbody></table></div>'
