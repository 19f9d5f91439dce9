"""The benchmark of rules runs, and compares like with like."""

import random

import pytest
from benchmarks import rules
from benchmarks.peers import rules as peers
from benchmarks.rule_mix import made_lead, made_rules, unmatched_lead


def test_it_runs_at_a_tiny_size() -> None:
    """Each contender has a figure for each number of rules, or says what is missing; ours comes first."""
    finding = rules.measure(rounds=1, counts=(10, 50), leads=5)
    assert all(bool(row.figures) is not bool(row.missing) for row in finding.rows)
    assert (16, "ours") == (len(finding.rows), finding.rows[0].name.partition(",")[0])
    assert 2 == len(finding.checks) == len(finding.plots)


@pytest.mark.parametrize(
    ("module", "library"), [("rule_engine", peers.rule_engine), ("json_logic", peers.json_logic)]
)
def test_peers_give_the_answers_of_a_scan(module: str, library: object) -> None:
    """Translated for a library, the rules mean the same: else its figure would be of another job."""
    pytest.importorskip(module)
    made = made_rules(120)
    first_match, scan = library(made), rules._scan([rules._rule(one) for one in made])  # type: ignore[operator]
    dice = random.Random(2)
    leads = [maker(dice, made) for _ in range(60) for maker in (made_lead, unmatched_lead)]
    assert [scan(lead) for lead in leads] == [first_match(peers.prepared(lead)) for lead in leads]


def test_the_worst_leads_meet_no_rule() -> None:
    """A lead called unmatched is."""
    made = made_rules(1000)
    scan = rules._scan([rules._rule(one) for one in made])
    dice = random.Random(2)
    assert [None] * 20 == [scan(unmatched_lead(dice, made)) for _ in range(20)]
