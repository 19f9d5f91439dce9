"""`config explain --lead`: what was decided, and the same decided anew, with the config it was decided on."""

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from tests.cli.conftest import Running
from tests.crm.far_side import new_crm

from speed_to_lead.core import redecision
from speed_to_lead.core.routing import Route, route_of


def edit(directory: Path, name: str, old: str, new: str) -> None:
    path = directory / name
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


def explained(running: Running, lead_id: str, *more: str, code: int = 0) -> Any:
    finished = running("config", "explain", "--lead", lead_id, "--json", *more)
    assert code == finished.code, finished
    return finished.json


@pytest.fixture
def published(running: Running) -> Running:
    """Version 1 is live, by Ana."""
    assert running("config", "apply", "--by", "ana", "--wait", "0").code == 0
    running.place.keep_up(wait=True)
    return running


def test_it_is_decided_by_the_config_of_then(published: Running, config_dir: Path) -> None:
    """What was published since, and what is edited here, does not matter: both agree, word for word."""
    lead_id = published.routed(company="Acme", employees="51-200")
    edit(config_dir, "slas.toml", '"5m"', '"7m"')
    assert published("config", "apply", "--by", "ben", "--wait", "0").code == 0
    edit(config_dir, "slas.toml", '"7m"', '"9m"')
    got = explained(published, lead_id)
    assert (True, []) == (got["agrees"], got["differences"])
    assert (1, "ana", True) == tuple(
        got["config"][key] for key in ("version", "by", "is_the_one_decided_with")
    )
    for what in ("rule", "team", "sla", "deadline", "steps"):
        assert got["recorded"][what] == got["anew"][what]
    assert got["anew"]["trace"] == got["recorded"]["trace"][: len(got["anew"]["trace"])]
    assert ["ana", "ben"] == [rep["id"] for rep in got["reps"]]
    assert "rep" not in got["anew"]
    assert "whose turn it was" in got["not_known"][0]


def test_the_directory_of_that_digest_is_known_without_a_version(running: Running) -> None:
    """Where nothing was published the directory is what it was decided with, as long as it says the same."""
    got = explained(running, running.routed())
    assert (True, True) == (got["agrees"], got["config"]["is_the_one_decided_with"])


def test_a_config_nobody_knows_any_more_is_said(running: Running, config_dir: Path) -> None:
    """Never published, and the directory has changed: what is in use is taken, and every place says so."""
    lead_id = running.routed()
    edit(config_dir, "slas.toml", '"5m"', '"7m"')
    finished = running("config", "explain", "--lead", lead_id)
    assert finished.code == 1
    assert "is not known any more: it was a directory's, and never published" in finished.err
    assert "NOT the config it was decided with" in finished.out
    assert "They DIFFER in: deadline, steps, trace" in finished.out
    got = explained(running, lead_id, code=1)
    assert False is got["config"]["is_the_one_decided_with"]


def test_with_another_config_by_name(published: Running, config_dir: Path, tmp_path: Path) -> None:
    """`--config` asks what a candidate would have made of it."""
    lead_id = published.routed()
    candidate = tmp_path / "candidate"
    candidate.mkdir()
    for path in config_dir.iterdir():
        (candidate / path.name).write_bytes(path.read_bytes())
    edit(candidate, "routing.toml", 'name = "Demos"', 'name = "Demos, soon"')
    got = explained(published, lead_id, "--config", str(candidate), code=1)
    assert (["rule", "trace"], "Demos, soon") == (got["differences"], got["anew"]["rule"])


def test_what_became_of_it_since_changes_nothing(published: Running) -> None:
    """Given to another rep, and answered: the first decision is what is decided anew."""
    lead_id = published.routed()
    lead = published.place.store.leads.get(lead_id)
    assert lead is not None
    other = "ben" if lead.rep == "ana" else "ana"
    assert published("leads", "reassign", lead_id, "cleo", "--by", "boss").code == 0
    assert published("leads", "reassign", lead_id, other, "--by", "boss").code == 0
    assert published("leads", "respond", lead_id, "--kind", "connected", "--by", other).code == 0
    got = explained(published, lead_id)
    assert (True, lead.rep) == (got["agrees"], got["recorded"]["rep"])


def test_a_touch_that_tightened_the_sla_is_decided_anew_too(published: Running, config_dir: Path) -> None:
    """By the config that the touch was decided on, which may be another one than the lead's."""
    lead_id = published.routed(email="kim@example.com", source="referral")
    edit(config_dir, "slas.toml", '"5m"', '"4m"')
    assert published("config", "apply", "--by", "ben", "--wait", "0").code == 0
    published.place.keep_up(wait=True)
    published.routed(email="kim@example.com", source="demo_request")
    got = explained(published, lead_id)
    [touch] = got["touches"]
    assert (True, None) == (got["agrees"], got["recorded"]["steps"])
    assert ("inbound-5m", []) == (touch["anew"]["sla"], touch["differences"])
    assert touch["decided_with"] != got["decided_with"]
    told = published("config", "explain", "--lead", lead_id).out
    assert "was due sooner" in told
    assert "they agree" in told


def test_a_lead_to_nurture(running: Running, config_dir: Path) -> None:
    """Nobody's and without a clock, then and anew."""
    edit(config_dir, "routing.toml", 'team = "inbound"\nsla = "inbound-5m"', 'nurture = "sdr-managers"')
    assert running("config", "apply", "--wait", "0").code == 0
    running.place.keep_up(wait=True)
    got = explained(running, running.routed())
    assert (True, None, None) == (got["agrees"], got["anew"]["deadline"], got["anew"]["team"])


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("--lead nobody", 'there is no lead "nobody"'),
        ("--lead {lead} --at 2026-01-05T14:00:00Z", "give no FILE and no --at"),
        ("--lead {lead} leads.jsonl", "give no FILE and no --at"),
    ],
)
def test_wrong_usage(published: Running, line: str, says: str) -> None:
    """Exit 2 with what to do."""
    words = line.format(lead=published.routed()).split()
    finished = published("config", "explain", *words)
    assert (2, True) == (finished.code, says in " ".join(finished.err.split())), finished.err


def test_a_decision_that_was_another_is_found(published: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    """A record that says otherwise than its own config is not agreed with."""
    lead_id = published.routed()
    decide = route_of

    def later(*given: Any) -> Route:
        found = decide(*given)
        return found._replace(deadline=found.deadline + timedelta(days=1))

    monkeypatch.setattr(redecision, "route_of", later)
    assert ["deadline"] == explained(published, lead_id, code=1)["differences"]


def test_what_a_look_up_said(running: Running, config_dir: Path) -> None:
    """It is in the record, sealed or not: told again, replayed by `simulate`, and nobody is asked."""
    routing = config_dir / "routing.toml"
    with new_crm() as crm:
        crm.says("Ben Okoro")
        routing.write_text(
            f'[lookups.crm]\nurl = "http://127.0.0.1:{crm.port}/{{email}}"\nowner = "owner.email"\n'
            + routing.read_text().replace("[[rules]]", '[[rules]]\nowner_from = "lookup:crm"', 1)
        )
        assert running("config", "apply", "--wait", "0").code == 0
        running.place.keep_up(wait=True)
        crm.clients.append(running.place.lookups)
        lead_id = running.routed(email="kim@acme.com")
    got = explained(running, lead_id)
    assert (True, {"name": "crm", "owner": "Ben Okoro", "problem": ""}) == (got["agrees"], got["looked_up"])
    assert (
        'crm was asked when the lead came, and named "Ben Okoro"'
        in running("config", "explain", "--lead", lead_id).out
    )
    assert "ben" == got["recorded"]["rep"]
    finished = running("config", "simulate", str(config_dir), "--json")
    assert (0, 0, 1) == (finished.code, finished.json["changed"], finished.json["leads"])
    (of_rep,) = [one for one in finished.json["load"]["reps"] if one["rep"] == "ben"]
    assert 1 == of_rep["after"]
    exported = running("leads", "list", "--json").out.encode()
    replayed = running.run("config", "simulate", str(config_dir), "--leads", "-", "--json", stdin=exported)
    assert 0 == replayed.code
    assert [of_rep] == [one for one in replayed.json["load"]["reps"] if one["rep"] == "ben"]
