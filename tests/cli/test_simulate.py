"""`config simulate`: past leads from a file or the store, two configs, what changes, and exit codes to build on."""

import json
import subprocess
import sys
from collections.abc import Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from tests.cli.conftest import FILES, MONDAY, Finished, Run, Running
from tests.cli.test_explain import environment

from speed_to_lead import flow
from speed_to_lead.cli import past_leads
from speed_to_lead.core.clock import from_iso, to_iso
from speed_to_lead.core.lead import Response, ResponseKind
from speed_to_lead.core.response import record_response


def lead(number: int = 0, **more: Any) -> dict[str, Any]:
    at = to_iso(from_iso(MONDAY) + timedelta(minutes=number))
    return {
        "id": f"l-{number}",
        "email": f"p{number}@example.com",
        "source": "demo_request",
        "received_at": at,
    } | more


@pytest.fixture
def candidate(tmp_path: Path) -> Path:
    """The same config in another directory, to be changed."""
    directory = tmp_path / "candidate"
    directory.mkdir()
    for name, text in FILES.items():
        (directory / name).write_text(text)
    return directory


def change(directory: Path, file: str, old: str, new: str) -> None:
    text = (directory / file).read_text()
    assert old in text
    (directory / file).write_text(text.replace(old, new))


def simulated(
    run: Run, config_dir: Path, candidate: Path, given: Sequence[Any] | bytes, *options: str
) -> Finished:
    stdin = given if isinstance(given, bytes) else "\n".join(map(json.dumps, given)).encode()
    finished = run(
        "config",
        "simulate",
        str(candidate),
        "--config",
        str(config_dir),
        "--leads",
        "-",
        *options,
        stdin=stdin,
    )
    assert "Traceback" not in finished.err
    return finished


def test_a_config_against_itself_changes_nothing(run: Run, config_dir: Path, candidate: Path) -> None:
    """Exit code 0, no lead is named, and the loads are equal; also where leads come in no order."""
    leads = [lead(n, source=["demo_request", "referral", None][n % 3]) for n in (5, 3, 8, 1, 2, 4)]
    finished = simulated(run, config_dir, candidate, leads, "--json")
    got = finished.json
    assert (0, "") == (finished.code, finished.err)
    assert (6, 0, []) == (got["leads"], got["changed"], got["changed_leads"])
    assert got["running"]["digest"] == got["candidate"]["digest"]
    assert {"earlier": 0, "later": 0, "same": 6} == got["deadlines"]
    assert all(row["before"] == row["after"] for row in [*got["load"]["teams"], *got["load"]["reps"]])
    assert "Nothing changes" in simulated(run, config_dir, candidate, leads).out


def test_what_changes(run: Run, config_dir: Path, candidate: Path) -> None:
    """Each changed lead says in what, before and after; counts and loads add up; exit code 1."""
    change(candidate, "slas.toml", '"5m"', '"7m"')
    change(candidate, "routing.toml", '"demo_request"', '["demo_request", "referral"]')
    finished = simulated(
        run, config_dir, candidate, [lead(1), lead(2, source="referral"), lead(3, source="x")], "--json"
    )
    got = finished.json
    assert (1, 3, 2) == (finished.code, got["leads"], got["changed"])
    first, second = got["changed_leads"]
    assert ("l-1", ["deadline"], "later", 120.0) == (
        *(first["id"], first["changed"]),
        *(first["deadline_moves"], first["deadline_moves_seconds"]),
    )
    assert ["rule", "team", "rep", "sla", "deadline", "steps"] == second["changed"]
    assert {
        "source": "referral", "rule": "default", "team": "referrals", "rep": "cleo", "sla": "same-day",
        "deadline": "2026-01-05T22:00:00Z", "nurture": "",
    } == second["before"]  # fmt: skip
    assert ("Demos", "inbound", "ben", "earlier") == (
        *(second["after"]["rule"], second["after"]["team"], second["after"]["rep"]),
        second["deadline_moves"],
    )
    assert {
        "routed": 0,
        "source": 0,
        "rule": 1,
        "nurture": 0,
        "team": 1,
        "rep": 1,
        "sla": 1,
        "deadline": 2,
        "steps": 1,
    } == got["changes"]
    assert {"earlier": 1, "later": 1, "same": 1} == got["deadlines"]
    assert [("inbound", 1, 2), ("referrals", 2, 1)] == [
        (row["team"], row["before"], row["after"]) for row in got["load"]["teams"]
    ]
    assert {"2026-01-05"} == {row["day"] for row in got["load"]["reps"]}


def test_the_table_for_people(run: Run, config_dir: Path, candidate: Path) -> None:
    """What changes in words, at most as many as asked for, with the loads and what is assumed."""
    change(candidate, "routing.toml", '"demo_request"', '"referral"')
    finished = simulated(run, config_dir, candidate, [lead(n) for n in range(4)], "--show", "2")
    assert 1 == finished.code
    for fragment in (
        "4 leads replayed, received 2026-01-05T14:00:00Z to 2026-01-05T14:03:00Z",
        "4 leads change (100.0%)",
        "l-1",
        "team inbound → referrals; rep ben → cleo",
        "TEAM       REP   LEADS BEFORE",
        "What is assumed",
    ):
        assert fragment in finished.out
    assert "l-2" not in finished.out
    assert "The first 2 of 4" in finished.err


def test_blank_and_broken_lines_are_named_and_skipped(run: Run, config_dir: Path, candidate: Path) -> None:
    """Each with its number, on stderr and in the JSON; the others are replayed, and the exit code says so."""
    lines = [
        json.dumps(lead(1)), "", "{", "[3]", json.dumps({"company": "Acme"}),
        json.dumps(lead(2, received_at="yesterday")), json.dumps(lead(3, form="no-such-form")), json.dumps(lead(4)),
    ]  # fmt: skip
    finished = simulated(run, config_dir, candidate, "\n".join(lines).encode(), "--json")
    got = finished.json
    assert (1, 2, 0, 6) == (finished.code, got["leads"], got["changed"], got["skipped"]["count"])
    told = {problem["line"]: problem["error"] for problem in got["skipped"]["lines"]}
    assert {2, 3, 4, 5, 6, 7} == set(told)
    assert "blank" in told[2]
    assert "not JSON" in told[3]
    assert 'no form "no-such-form"' in told[7]
    for_people = simulated(run, config_dir, candidate, "\n".join(lines).encode())
    assert "line 2: the line is blank" in for_people.err
    assert "6 lines could not be read" in for_people.err


@pytest.mark.parametrize("state", [[], {}, 7, None, "no state of ours"])
def test_a_lead_with_a_field_of_its_own_called_state(
    run: Run, config_dir: Path, candidate: Path, state: Any
) -> None:
    """Only what we print is a record of ours; anything else is a lead as `config explain` takes it."""
    finished = simulated(run, config_dir, candidate, [lead(1, fields={"a": 1}, state=state)], "--json")
    assert (0, 1) == (finished.code, finished.json["leads"])


def test_nurture_is_told_in_words_and_on_the_page(
    run: Run, config_dir: Path, candidate: Path, tmp_path: Path
) -> None:
    """A rule that sends leads to nobody, and one that does not any more: both ways are said, and drawn."""
    change(
        candidate, "routing.toml", "[default]", '[[rules]]\nname = "Later"\nnurture = "console"\n\n[default]'
    )
    given = [lead(1, source="referral")]
    page = tmp_path / "page.html"
    for before, after, words in (
        (config_dir, candidate, "no deadline any more"),
        (candidate, config_dir, "a deadline, and had none"),
    ):
        finished = simulated(run, before, after, given, "--html", str(page))
        assert (1, True) == (finished.code, words in finished.out), finished.err
        assert "Later" in page.read_text()
    one = simulated(run, config_dir, candidate, given, "--json").json["changed_leads"][0]
    assert ("", "console", None) == (
        one["before"]["nurture"],
        one["after"]["nurture"],
        one["after"]["deadline"],
    )


def test_tests_are_left_out(run: Run, config_dir: Path, candidate: Path) -> None:
    """The router would drop them; that is no mistake in the file."""
    finished = simulated(run, config_dir, candidate, [lead(1), lead(2, is_test=True)], "--json")
    assert (0, 1, 0) == (finished.code, finished.json["leads"], finished.json["skipped"]["count"])
    assert [1] == list(finished.json["left_out"].values())


def test_forms_are_each_configs_own(run: Run, config_dir: Path, candidate: Path) -> None:
    """A form that the candidate reads otherwise, or does not have at all, shows."""
    given = lead(1, form="website-demo", source="referral", firm="Acme", maker="Globex")
    change(candidate, "intake.toml", 'source = "demo_request"', 'source = "referral"')
    [one] = simulated(run, config_dir, candidate, [given], "--json").json["changed_leads"]
    assert ("demo_request", "referral") == (one["before"]["source"], one["after"]["source"])
    change(candidate, "intake.toml", 'source = "referral"', 'source = "demo_request"')
    change(candidate, "intake.toml", "key:firm", "key:maker")
    for directory in (config_dir, candidate):
        change(directory, "routing.toml", 'when.source = "demo_request"', 'when.company = "globex"')
    [one] = simulated(run, config_dir, candidate, [given], "--json").json["changed_leads"]
    assert ("default", "Demos") == (one["before"]["rule"], one["after"]["rule"])
    change(candidate, "intake.toml", "website-demo", "website")
    got = simulated(run, config_dir, candidate, [given], "--json").json
    assert (1, ["routed"]) == (got["changes"]["routed"], got["changed_leads"][0]["changed"])
    assert 'no form "website-demo"' in got["changed_leads"][0]["after"]["error"]


def routed_in_the_past(
    running: Running, hours: float, answered_after: float | None = None, **fields: Any
) -> str:
    """A lead routed by its receipt so many hours ago, answered so many minutes later."""
    received_at = running.ago(hours=hours)
    lead_id = running.submit(received_at=received_at, **fields)
    flow.route(running.place, "router-1")
    if answered_after is not None:
        at = received_at + timedelta(minutes=answered_after)
        flow.change_lead(
            running.place,
            lead_id,
            lambda one, now: record_response(one, Response(ResponseKind.CONNECTED, "ana", at, now), now),
        )
    return lead_id


def test_leads_of_the_store(
    running: Running, config_dir: Path, candidate: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Oldest first, page by page, within the time asked for; answers are held against both deadlines."""
    monkeypatch.setattr(past_leads, "PAGE", 2)
    routed_in_the_past(running, 24 * 40)
    routed_in_the_past(running, 30, answered_after=3)
    in_time = routed_in_the_past(running, 20, answered_after=4)
    late = routed_in_the_past(running, 10, answered_after=6)
    routed_in_the_past(running, 5, answered_after=60)
    change(candidate, "slas.toml", '"5m"', '"3m"')
    finished = running("config", "simulate", str(candidate), "--json")
    got = finished.json
    assert (1, 4, 4) == (finished.code, got["leads"], got["changed"])
    assert {
        "judged": 4, "recorded": 2, "recorded_still": 2, "before": 2, "after": 4, "avoided": 0, "new": 2,
    } == got["breaches"]  # fmt: skip
    assert [in_time, late] == [one["id"] for one in got["changed_leads"][1:3]]
    change(candidate, "slas.toml", '"3m"', '"10m"')
    assert 1 == running("config", "simulate", str(candidate), "--json").json["breaches"]["avoided"]
    recent = running("config", "simulate", str(candidate), "--since", "12h", "--json").json
    assert 2 == recent["leads"]
    itself = running("config", "simulate", str(config_dir), "--since", "60d", "--json")
    assert (0, 5, 0) == (itself.code, itself.json["leads"], itself.json["changed"])
    assert "candidate" in running("config", "simulate", str(candidate)).out


def test_what_leads_list_prints_is_replayed_like_the_store(
    running: Running, candidate: Path, tmp_path: Path
) -> None:
    """A page as it is, or its leads one a line: the same leads, with what became of them, in the order they came."""
    for hours, minutes in ((30, 3), (20, 4.5), (10, 60)):
        routed_in_the_past(running, hours, answered_after=minutes, form="website-demo")
    routed_in_the_past(running, 1)
    change(candidate, "slas.toml", '"5m"', '"4m"')
    page = running("leads", "list", "--json").json
    (tmp_path / "page.json").write_text(json.dumps(page))
    (tmp_path / "lines.jsonl").write_text("\n".join(map(json.dumps, page["leads"])))
    of_store = running("config", "simulate", str(candidate), "--json").json
    for name in ("page.json", "lines.jsonl"):
        finished = running("config", "simulate", str(candidate), "--leads", str(tmp_path / name), "--json")
        got = finished.json
        assert of_store["breaches"] == got["breaches"]
        assert of_store["load"] == got["load"]
        for one in got["changed_leads"]:
            del one["line"]
        assert of_store["changed_leads"] == got["changed_leads"]
        assert {"judged": 4, "new": 1} == {name: got["breaches"][name] for name in ("judged", "new")}


def test_leads_of_a_form_that_is_gone_are_left_out(running: Running, config_dir: Path) -> None:
    """A form removed long ago changes nothing today."""
    running.submit(email="kim@example.com")
    change(config_dir, "intake.toml", "website-demo", "website")
    flow.route(running.place, "router-1")
    finished = running("config", "simulate", str(config_dir), "--json")
    assert (0, 1) == (finished.code, finished.json["leads"])


def test_mistakes_of_both_configs_are_told(run: Run, config_dir: Path, candidate: Path) -> None:
    """Every mistake of each, as `config check` tells it, before any lead is read; exit code 2."""
    change(config_dir, "routing.toml", 'team = "inbound"', 'team = "inbond"')
    change(candidate, "slas.toml", '"5m"', '"5 minutes"')
    finished = simulated(run, config_dir, candidate, [lead()])
    assert 2 == finished.code
    assert (
        'running: routing.toml: rules[1] "Demos": team "inbond" is unknown; did you mean "inbound"?'
        in finished.err
    )
    assert "candidate: slas.toml" in finished.err
    got = simulated(run, config_dir, candidate, [lead()], "--json").json
    assert (False, "slas.toml") == (got["good"], got["candidate"]["mistakes"][0]["file"])


def test_new_warnings_are_told(run: Run, config_dir: Path, candidate: Path) -> None:
    """What deserves a second look in the candidate and not in the running config."""
    change(
        candidate,
        "sources.toml",
        "[sources.referral]",
        '[sources.webinar]\nmotion = "event"\n[sources.referral]',
    )
    assert "candidate: warning: " in simulated(run, config_dir, candidate, [lead()]).err
    assert "warning" not in simulated(run, config_dir, config_dir, [lead()]).err


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["nowhere", "--leads", "-"], "there is no such directory"),
        (["{candidate}", "--leads", "nowhere.jsonl"], 'there is no file "nowhere.jsonl"'),
        (["{candidate}", "--leads", "-", "--since", "7d"], "give one of the two"),
        (["{candidate}", "--since", "a week"], "is not a duration"),
        (["{candidate}", "--leads", "-"], "the input is empty"),
        (["{candidate}", "--leads", "-", "--html", "no/such/place.html"], "there is no directory"),
        (["{candidate}"], "no server is known"),
        ([], "Missing argument 'CANDIDATE'"),
    ],
)
def test_wrong_usage(run: Run, config_dir: Path, candidate: Path, options: list[str], says: str) -> None:
    """One sentence that helps, and exit code 2."""
    words = [word.format(candidate=candidate) for word in options]
    finished = run("config", "simulate", *words, "--config", str(config_dir))
    assert 2 == finished.code
    assert says in finished.err


def test_no_leads(run: Run, config_dir: Path, candidate: Path) -> None:
    """A file of nothing but broken lines replays nothing, and says so."""
    finished = simulated(run, config_dir, candidate, b"{}}\n")
    assert 1 == finished.code
    assert "There are no leads to replay." in finished.out


def test_a_process_of_its_own(config_dir: Path, candidate: Path, tmp_path: Path) -> None:
    """As people call it: no progress bar where nobody looks, JSON on stdout alone."""
    (tmp_path / "leads.jsonl").write_text(json.dumps(lead()))
    finished = subprocess.run(
        [sys.executable, "-m", "speed_to_lead.cli", "config", "simulate", str(candidate), "--config", str(config_dir),
         "--leads", "leads.jsonl", "--json"],
        cwd=tmp_path, env=environment(), capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip
    assert (0, "") == (finished.returncode, finished.stderr)
    assert 1 == json.loads(finished.stdout)["leads"]


def test_received_at_is_now_where_a_lead_names_none(run: Run, config_dir: Path, candidate: Path) -> None:
    """As `config explain` has it."""
    nameless = {name: value for name, value in lead().items() if name != "received_at"}
    got = simulated(run, config_dir, candidate, [nameless], "--json").json
    assert timedelta(minutes=1) > abs(datetime.now(from_iso(MONDAY).tzinfo) - from_iso(got["first_at"]))


def test_it_agrees_with_explain(run: Run, config_dir: Path, candidate: Path) -> None:
    """Rule, team, SLA and deadline are those that `config explain` gives the same line."""
    change(candidate, "routing.toml", '"demo_request"', '"referral"')
    change(candidate, "slas.toml", '"5m"', '"6m"')
    leads = [lead(97 * n, source=["demo_request", "referral"][n % 2]) for n in range(20)]
    changed = simulated(run, config_dir, candidate, leads, "--json").json["changed_leads"]
    assert len(leads) == len(changed)
    for side, directory in (("before", config_dir), ("after", candidate)):
        stdin = "\n".join(map(json.dumps, leads)).encode()
        explained = run("config", "explain", "--config", str(directory), "--json", stdin=stdin).lines
        for one, other in zip(changed, explained, strict=True):
            assert one["id"] == other["id"]
            for name in ("source", "rule", "team", "sla", "deadline"):
                assert other[name] == one[side][name]


def test_leads_with_a_past_against_their_own_config_change_nothing(
    running: Running, config_dir: Path
) -> None:
    """Touches that tightened the SLA, a lead that waits for a rep, who came back after an answer, and their company."""
    routing, teams = config_dir / "routing.toml", config_dir / "teams.toml"
    routing.write_text(
        routing.read_text().replace(
            'name = "Demos"', 'name = "Demos"\nkeep_with = "company"\nowner_from = "custom.owner"'
        )
    )
    teams.write_text(
        teams.read_text().replace(
            '"sdr-managers"', '"sdr-managers"\nwhen_nobody = "queue"\nassignment = "sticky"'
        )
    )
    assert running("config", "apply", "--wait", "0").code == 0
    running.place.keep_up(wait=True)
    first = running.routed(email="kim@acme.com", source="referral")
    running.routed(email="kim@acme.com", source="demo_request")
    tightened = running.place.store.leads.get(first)
    assert tightened is not None
    assert tightened.sla == "inbound-5m"
    back = running.routed(email="lee@firm.com")
    assert running("leads", "respond", back, "--kind", "connected", "--by", "ana").code == 0
    running.routed(email="lee@firm.com", message="once more")
    running.routed(email="max@firm.com")
    running.routed(email="noa@firm.com", owner="ben")
    for rep in ("ana", "ben"):
        assert running("reps", "away", rep, "--by", "kim").code == 0
    waiting = running.place.store.leads.get(running.routed(email="zoe@elsewhere.com"))
    assert waiting is not None
    assert waiting.waits_for_a_rep
    finished = running("config", "simulate", str(config_dir), "--json")
    assert (finished.code, finished.json["changed"], finished.json["leads"]) == (0, 0, 6), finished
