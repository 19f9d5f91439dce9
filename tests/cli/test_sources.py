"""`sources audit`: what a quarterly look at the taxonomy finds, on a real server."""

from pathlib import Path

import pytest
from tests.cli.conftest import Run, Running

from speed_to_lead import flow


def lived(running: Running, days: range, a_day: int, source: str) -> None:
    """So many leads on each of these days ago."""
    for day in days:
        for number in range(a_day):
            running.submit(received_at=running.ago(days=day, hours=number * 24 / a_day), source=source)
    flow.route(running.place, "router-1")


def test_nothing_to_find(running: Running) -> None:
    """Each source has leads, each word is known: exit code 0."""
    running.routed(source="Book a demo")
    running.routed(source="referral")
    finished = running("sources", "audit")
    assert (0, "") == (finished.code, finished.err)
    assert "Every source that was named is in the taxonomy." in finished.out
    assert "Every source brought a lead within 30d." in finished.out
    assert False is running("sources", "audit", "--json").json["found"]


def test_what_it_finds(running: Running) -> None:
    """Unknown words with counts and the nearest source, shares by form, quiet sources with their last lead."""
    for _ in range(3):
        running.submit(source="Demo-Reqest")
    running.submit(source="podcast")
    running.submit(source="zoe@example.com", email="zoe@example.com")
    running.submit(source=None)
    running.submit(received_at=running.ago(days=40), source="referral")
    flow.route(running.place, "router-1")
    finished = running("sources", "audit", "--json")
    got = finished.json
    assert (1, True, 6) == (finished.code, got["found"], got["submissions"])
    assert [
        {"value": "Demo-Reqest", "count": 3, "nearest": "demo_request", "forms": ["api"]},
        {"value": "podcast", "count": 1, "nearest": None, "forms": ["api"]},
    ] == got["unknown_values"]
    assert 1 == got["unknown_values_withheld"]
    forms = {one["form"]: one for one in got["forms"]}
    assert (6, 1, 0.1667, 6, 1.0) == tuple(
        forms["api"][name]
        for name in ("submissions", "blank", "blank_share", "unclassified", "unclassified_share")
    )
    assert (0, None, None) == tuple(
        forms["website-demo"][name] for name in ("submissions", "blank_share", "last_at")
    )
    quiet = {one["source"]: one["last_at"] for one in got["quiet_sources"]}
    assert {"demo_request", "referral"} == set(quiet)
    assert (None, True) == (quiet["demo_request"], quiet["referral"] is not None)
    for_people = running("sources", "audit")
    assert "zoe" not in for_people.out + finished.out
    for fragment in ("Demo-Reqest", "demo_request", "6 (100%)", "none yet", "1 value not repeated here"):
        assert fragment in for_people.out


@pytest.mark.parametrize("days_ago", [20, 50, 100])
def test_a_form_that_fell_silent_long_ago(running: Running, days_ago: int) -> None:
    """It brought one a day until then: it is silent, and not too new to say, however long ago that was."""
    lived(running, range(days_ago, days_ago + 30), 1, "referral")
    got = running("sources", "audit", "--json")
    assert (1, ["api"]) == (got.code, got.json["silent_forms"])
    assert "SILENT" in running("sources", "audit").out


def test_a_longer_look(running: Running) -> None:
    """--since says of which submissions, and for how long a source had none."""
    running.submit(received_at=running.ago(days=40), source="referral")
    running.submit(received_at=running.ago(days=40), source="demo_request")
    flow.route(running.place, "router-1")
    assert 1 == running("sources", "audit").code
    finished = running("sources", "audit", "--since", "60d", "--json")
    assert (0, 2, "60d", []) == (
        *(finished.code, finished.json["submissions"]),
        *(finished.json["quiet_after"], finished.json["quiet_sources"]),
    )


def test_a_form_gone_silent(running: Running) -> None:
    """Against its own weeks before; the table says so, and the other forms are not blamed."""
    lived(running, range(4, 36), 4, source="referral")
    got = running("sources", "audit", "--json").json
    (form,) = [one for one in got["forms"] if one["form"] == "api"]
    assert (["api"], True) == (got["silent_forms"], form["silent"])
    assert 10 <= form["expected_since"] <= 17
    assert "SILENT" in running("sources", "audit").out
    running.routed(source="referral")
    assert [] == running("sources", "audit", "--json").json["silent_forms"]


def test_the_thresholds_are_configs(running: Running, config_dir: Path) -> None:
    """`[audit]` of sources.toml."""
    lived(running, range(4, 36), 4, source="referral")
    with (config_dir / "sources.toml").open("a") as file:
        file.write('\n[audit]\nquiet_after = "3d"\nsilent_at = 100\n')
    got = running("sources", "audit", "--json").json
    assert ([], "3d", ["demo_request", "referral"]) == (
        *(got["silent_forms"], got["quiet_after"]),
        [one["source"] for one in got["quiet_sources"]],
    )


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("sources", "audit"),
        ("sources audt", "Did you mean 'audit'"),
        ("sources audit --since month", "is not a duration"),
        ("sources audit", "no server is known"),
    ],
)
def test_wrong_usage(run: Run, config_dir: Path, line: str, says: str) -> None:
    """One sentence that helps, and exit code 2."""
    finished = run(*line.split(), env={"STL_CONFIG_DIR": str(config_dir)})
    assert 2 == finished.code
    assert says in finished.err + finished.out


def test_many_leads_are_walked_page_by_page(running: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each is counted once."""
    monkeypatch.setattr("speed_to_lead.arrivals.PAGE", 3)
    for number in range(10):
        running.submit(received_at=running.ago(minutes=number))
    flow.route(running.place, "router-1")
    assert 10 == running("sources", "audit", "--json").json["submissions"]
