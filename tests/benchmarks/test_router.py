"""The router's benchmark at a tiny size: every contender does all of its work, which it checks itself."""

from pathlib import Path

import pytest
from benchmarks import router
from benchmarks.firm import lead_body
from benchmarks.pace import pace_of
from benchmarks.peers.celery_per_lead import Lead, rule_of


@pytest.mark.real
def test_every_contender_writes_every_lead(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Records, deadlines, alerts and loads are counted at the end of each run; here only that figures come of it."""
    monkeypatch.setattr(router, "OURS", 8_000)
    monkeypatch.setattr(router, "THEIRS", 1_000)
    monkeypatch.setattr(router, "BARE", 8_000)
    monkeypatch.setattr(router, "_LEFT_OUT", "")
    finding = router.measure(1, tmp_path, small=True)
    assert [1] * 5 == [len(row.figures) for row in finding.rows]
    assert all(row.median > 0 for row in finding.rows)
    assert [10.0] == [check.limit for check in finding.checks]


def test_the_peer_follows_the_rules_of_the_firm() -> None:
    """Its rules are Python where ours are TOML, and say the same."""
    found = {rule_of(Lead.model_validate_json(lead_body(number)))[0] for number in range(30)}
    assert {"Large firms", "Demo", "Referral", "Lists"} == found


def test_a_pace_leaves_out_how_it_begins_and_ends() -> None:
    """What counts is a tenth to nine tenths; what used processor time then is divided by the leads of then."""
    counts = iter([0, 0, 10, 50, 90, 100])
    ticks = iter([1.0, 1.8])
    pace = pace_of(lambda: next(counts), 100, {"router": lambda: next(ticks)})
    assert 10_000 == pytest.approx(pace.cpu["router"])
    assert 0 < pace.per_second < 80 / 0.02


def test_a_run_that_is_over_at_once_is_no_measurement() -> None:
    """Rather no figure than a wrong one."""
    with pytest.raises(AssertionError, match="too few to measure"):
        pace_of(lambda: 100, 100, {})
