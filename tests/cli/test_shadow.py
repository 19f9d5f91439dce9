"""`config shadow DIR|report|stop`: a candidate tried on live traffic."""

from pathlib import Path

import pytest
from tests.cli.conftest import Running
from tests.cli.test_publish import edit
from tests.servers import wait_until

from speed_to_lead import shadow


def decided(running: Running) -> None:
    """Have the shadow of this workplace loaded, and decide what waits."""
    router = running.place.shadow
    assert router is not None

    def is_loaded() -> bool:
        router.work()
        return router._config is not None

    wait_until(is_loaded, "the candidate is loaded")


@pytest.fixture(autouse=True)
def with_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """A router that looks each time, with all the time it needs."""
    monkeypatch.setattr(shadow, "LOOK_EVERY", 0.0)
    monkeypatch.setattr(shadow, "SHARE", 1e6)
    monkeypatch.setattr(shadow, "SAVED_SECONDS", 60.0)


def test_a_candidate_is_tried_and_reported(running: Running, config_dir: Path) -> None:
    """Begin, leads come, report: how many differ, in what, and both routes; exit 1. Live leads have the live rules."""
    edit(config_dir, "slas.toml", '"5m"', '"10m"')
    begun = running("config", "shadow", str(config_dir), "--by", "ana")
    assert begun.code == 0, begun
    decided(running)
    lead_id = running.routed()
    assert running.place.shadow is not None
    running.place.shadow.work()
    finished = running("config", "shadow", "report")
    assert finished.code == 1
    assert "1 (100.0%)" in finished.out
    assert f"{lead_id}, received" in finished.out
    found = running("config", "shadow", "report", "--json").json
    assert (found["leads"], found["different"], found["by_kind"]["deadline"]) == (1, 1, 1)
    assert (found["shadow"]["by"], found["examples"][0]["lead"]) == ("ana", lead_id)
    lead = running.place.store.leads.get(lead_id)
    assert lead is not None
    assert (lead.deadline - lead.received_at).total_seconds() == 300


def test_a_candidate_that_says_the_same_is_exit_0(running: Running, config_dir: Path) -> None:
    """Nothing would go otherwise."""
    assert running("config", "shadow", str(config_dir), "--json").code == 0
    decided(running)
    running.routed()
    assert running.place.shadow is not None
    running.place.shadow.work()
    finished = running("config", "shadow", "report", "--json")
    assert (finished.code, finished.json["same"], finished.json["different"]) == (0, 1, 0)


def test_stop_ends_it(running: Running, config_dir: Path) -> None:
    """What it counted is forgotten; without a shadow there is nothing to report or end."""
    running("config", "shadow", str(config_dir))
    assert running("config", "shadow", "stop").code == 0
    for word in ("report", "stop"):
        finished = running("config", "shadow", word)
        assert (finished.code, "there is no shadow" in finished.err) == (2, True)


def test_a_candidate_with_mistakes_is_refused(running: Running, config_dir: Path) -> None:
    """As check refuses it: exit 1, and a directory that is not there exit 2."""
    edit(config_dir, "slas.toml", '"5m"', '"5 minutes"')
    assert running("config", "shadow", str(config_dir)).code == 1
    assert running("config", "shadow", "nowhere").code == 2
    assert running.place.store.shadow.current() is None
