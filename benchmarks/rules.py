"""What finding one lead's rule costs, among 10 to 10,000 of them.

Ours beside the plain scan (each rule asked in turn, as it was before there was an index), rule-engine and JsonLogic.
CPU time of this process. Two kinds of leads: such as meet a rule, and the costliest known: many fields, no rule met.
"""

import random
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from benchmarks.finding import ROUNDS, Check, Contender, Finding, Plot, Row, Series, in_turns
from benchmarks.peers import rules as peers
from benchmarks.rule_mix import MadeRule, made_lead, made_rules, unmatched_lead
from speed_to_lead.core.conditions import parse_condition
from speed_to_lead.core.facts import Facts
from speed_to_lead.core.rules import TRACED_RULES, Rule, Rules

COUNTS = (10, 100, 1000, 10_000)
LEADS = 300
#: Rules that the others are asked in one go: what they take grows with the number of rules, and ours does not.
ASKED_BY_SCANS = 30_000
MOST_MICROSECONDS = 100.0
USUAL, WORST = "leads that meet a rule", "leads that meet none"


def measure(
    rounds: int = ROUNDS, scratch: Path | None = None, counts: Sequence[int] = COUNTS, leads: int = LEADS
) -> Finding:
    """Our rules, a scan and two libraries, for each number of rules and both kinds of leads."""
    del scratch
    contenders: list[Contender] = []
    figures: dict[str, float] = {}
    for count in counts:
        made = made_rules(count)
        before = time.process_time()
        rules = [_rule(one) for one in made]
        ready = Rules(rules, Rule("default", "triage", "same-day"))
        figures[f"{count:,} rules made ready, in seconds"] = time.process_time() - before
        scan = _scan(rules)
        others = [
            (name, package, None if find_spec(module) is None else build(made))
            for name, module, package, build in (
                ("rule-engine", "rule_engine", "rule-engine", peers.rule_engine),
                ("JsonLogic", "json_logic", "panzi-json-logic", peers.json_logic),
            )
        ]
        for kind, maker in ((USUAL, made_lead), (WORST, unmatched_lead)):
            asked = _leads(maker, made, leads)
            few = asked[: max(ASKED_BY_SCANS // count, 3)]
            label = f"{count:,} rules, {kind}"
            contenders.append(Contender(f"ours, {label}", _median_of(_index(ready), asked)))
            contenders.append(Contender(f"plain scan, {label}", _median_of(scan, few)))
            for name, package, first_match in others:
                run = _median_of(first_match or (lambda _lead: None), [peers.prepared(lead) for lead in few])
                contenders.append(
                    Contender(f"{name}, {label}", run, "" if first_match else f"pip install {package}")
                )
            if kind == USUAL:
                _note_agreement(figures, ready, scan, others, few, count)
    rows = in_turns(contenders, rounds)
    rows = tuple(sorted(rows, key=lambda row: not row.name.startswith("ours")))
    most = f"{counts[-1]:,} rules"
    checks = tuple(
        Check(
            f"one lead, {most}, in µs: {kind}",
            _row(rows, f"ours, {most}, {kind}").median,
            MOST_MICROSECONDS,
            at_least=False,
        )
        for kind in (USUAL, WORST)
    )
    return Finding(
        name="rules",
        question="What does it cost to find the rule of one lead?",
        unit="µs",
        more_is_better=False,
        rows=rows,
        checks=checks,
        plots=tuple(_plot(rows, counts, kind) for kind in (USUAL, WORST)),
        notes=(
            "CPU time of one process, the median lead; contenders took turns.",
            f"Ours writes the trace too (the first {TRACED_RULES} rules that do not match, with the reason); the others only answer.",
            "Ours reads each field itself; the libraries are given leads prepared for comparison, and that is not in their figures.",
            "Rules, a tenth each: wildcards in campaigns, questions of the form, phone prefixes, words in titles, industries.",
            "Of the rules a fifth are accounts by e-mail domain, three tenths territories by source, country list and size.",
        ),
        figures=figures,
    )


def _rule(made: MadeRule) -> Rule:
    when, unless = (
        tuple(parse_condition(name, raw) for name, raw in tables.items())
        for tables in (made.when, made.unless)
    )
    return Rule(made.name, "inbound", "inbound-5m", when, unless)


def _index(rules: Rules) -> Callable[[Mapping[str, Any]], object]:
    return lambda lead: rules.first_match(Facts(lead))


def _scan(rules: Sequence[Rule]) -> Callable[[Mapping[str, Any]], int | None]:
    """Each rule in turn, until one matches."""

    def first_match(lead: Mapping[str, Any]) -> int | None:
        facts = Facts(lead)
        for number, rule in enumerate(rules):
            if all(one.holds(facts) for one in rule.when) and not any(
                one.holds(facts) for one in rule.unless
            ):
                return number
        return None

    return first_match


def _leads(
    maker: Callable[[random.Random, Sequence[MadeRule]], dict[str, Any]], made: Sequence[MadeRule], count: int
) -> list[dict[str, Any]]:
    dice = random.Random(5)
    return [maker(dice, made) for _ in range(count)]


def _median_of(first_match: Callable[[Any], object], leads: Sequence[Any]) -> Callable[[], float]:
    """The CPU time of the median lead, in µs."""

    def run() -> float:
        taken = []
        for lead in leads:
            before = time.process_time_ns()
            first_match(lead)
            taken.append(time.process_time_ns() - before)
        return statistics.median(taken) / 1000

    return run


def _note_agreement(
    figures: dict[str, float],
    ready: Rules,
    scan: Callable[[Mapping[str, Any]], int | None],
    others: Sequence[tuple[str, str, peers.FirstMatch | None]],
    leads: Sequence[dict[str, Any]],
    count: int,
) -> None:
    wanted = [scan(lead) for lead in leads]
    mine = [ready.first_match(Facts(lead)).rule.name for lead in leads]
    same = sum(
        name == ("default" if number is None else f"Rule {number}")
        for name, number in zip(mine, wanted, strict=True)
    )
    figures[f"answers of ours as the scan's among {count:,}, of {len(leads)}"] = same
    for name, _, first_match in others:
        if first_match is not None:
            agreed = sum(
                first_match(peers.prepared(lead)) == number
                for lead, number in zip(leads, wanted, strict=True)
            )
            figures[f"answers of {name} as the scan's among {count:,}, of {len(leads)}"] = agreed


def _row(rows: Sequence[Row], name: str) -> Row:
    return next(row for row in rows if row.name == name)


def _plot(rows: Sequence[Row], counts: Sequence[int], kind: str) -> Plot:
    series = []
    for name in ("ours", "plain scan", "rule-engine", "JsonLogic"):
        points = [(float(count), _row(rows, f"{name}, {count:,} rules, {kind}")) for count in counts]
        if all(row.figures for _, row in points):
            series.append(Series(name, tuple((count, row.median) for count, row in points)))
    return Plot(f"One lead: {kind}", "rules", "µs", tuple(series))
