"""`leads`: the list, the story, and what people do, on a real server."""

import subprocess
import sys

import pytest
from tests.cli.conftest import Running
from tests.cli.test_explain import environment

from speed_to_lead import flow


def test_list(running: Running) -> None:
    """Newest first, with who has it and how long is left; filters and pages fit together."""
    ids = [running.routed(received_at=running.ago(seconds=seconds)) for seconds in (90, 60, 30)]
    finished = running("leads", "list")
    assert finished.code == 0
    header, *rows = finished.out.splitlines()
    assert header.split() == ["LEAD", "STANDING", "REP", "TEAM", "SOURCE", "RECEIVED"]
    assert ids[::-1] == [row.split()[0] for row in rows]
    assert all(" left  " in row for row in rows)
    first = running("leads", "list", "--limit", "2", "--json").json
    rest = running("leads", "list", "--cursor", first["next"], "--json").json
    assert ids[::-1] == [lead["id"] for lead in first["leads"] + rest["leads"]]
    assert rest["next"] is None
    reps = {lead["id"]: lead["rep"] for lead in first["leads"] + rest["leads"]}
    of_ana = running("leads", "list", "--rep", "ana", "--state", "open", "--json").json["leads"]
    assert {lead_id for lead_id, rep in reps.items() if rep == "ana"} == {lead["id"] for lead in of_ana}


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ([], "There are no leads yet."),
        (["--team", "inbond"], 'did you mean "inbound"?'),
        (["--rep", "anna"], 'did you mean "ana"?'),
        (["--state", "closed"], "no leads of that kind"),
    ],
)
def test_list_of_none(running: Running, options: list[str], says: str) -> None:
    """Nothing found says so, and whether a name was mistyped."""
    finished = running("leads", "list", *options)
    assert (finished.code, finished.out) == (0, "")
    assert says in finished.err


def test_show_tells_the_whole_story(running: Running) -> None:
    """Who, why there, the steps, what happened, in UTC and as the team reads it; what a form says cannot forge a line."""
    lead_id = running.routed(name="Kim\nDoe\x1b[31m", company="Acme")
    assert "Recorded" in running("leads", "respond", lead_id, "--kind", "connected", "--by", "ana").out
    finished = running("leads", "show", lead_id)
    assert finished.code == 0
    for fragment in (
        f"Lead {lead_id}: answered, answered in time, after",
        "Kim\\nDoe\\x1b[31m",
        "team inbound, rep ana",
        'rule "Demos", SLA inbound-5m',
        'rule "Demos" matches: team "inbound", SLA "inbound-5m"',
        "alert manager; pass the lead on to another rep",
        "connected by ana, via cli",
        "went to team inbound, rep ana",
        "ana reached them at",
    ):
        assert fragment in finished.out
    assert " EST" in finished.out or " EDT" in finished.out
    assert "\x1b" not in finished.out


def test_show_without_good_rules(running: Running) -> None:
    """A broken config takes the local times away, and nothing else."""
    lead_id = running.routed()
    finished = running("leads", "show", lead_id, env={"STL_CONFIG_DIR": "nowhere"})
    assert (finished.code, f"Lead {lead_id}" in finished.out) == (0, True)


def test_show_json(running: Running) -> None:
    """The same object as the web's, with the history."""
    lead_id = running.routed()
    shown = running("leads", "show", lead_id, "--json").json
    assert (lead_id, "open", "ana") == (shown["id"], shown["state"], shown["rep"])
    assert "lead.routed" in [entry["event"] for entry in shown["history"]]


def test_show_a_touch(running: Running) -> None:
    """The id of a further submission leads to the lead it belongs to."""
    lead_id = running.routed(email="kim@example.com")
    touch = running.routed(email="kim@example.com", message="hello?")
    finished = running("leads", "show", touch)
    assert f"Lead {lead_id}" in finished.out
    assert "further submission" in finished.err
    assert "Further submissions of the same person" in finished.out


def test_show_a_dead_letter(running: Running) -> None:
    """An id whose body could not be read is sent on to the dead letters."""
    finished = running("leads", "show", running.routed(b"{"))
    assert (finished.code, "dead-letters show" in finished.err) == (2, True)


def test_respond(running: Running) -> None:
    """The clock stops once; the same again changes nothing; seeing it stops no clock."""
    lead_id = running.routed()
    seen = running("leads", "respond", lead_id, "--kind", "acknowledged", "--by", "ana")
    assert "The clock runs on" in seen.out
    at = running.ago(seconds=0).isoformat()
    answer = ("leads", "respond", lead_id, "--kind", "attempted", "--by", "ana", "--at", at, "--via", "phone")
    assert "The clock stopped at" in running(*answer).out
    again = running(*answer, "--json").json
    assert (again["changed"], again["lead"]["state"]) == (False, "answered")
    assert "Nothing changed" in running(*answer).out


def test_an_automatic_reply_stops_no_clock(running: Running) -> None:
    """It is kept, shown, and nobody's answer."""
    lead_id = running.routed()
    said = running("leads", "respond", lead_id, "--kind", "attempted", "--by", "sequencer", "--automatic")
    assert "which is nobody's answer. The clock runs on" in said.out
    shown = running("leads", "show", lead_id, "--json").json
    assert ("open", [True]) == (shown["state"], [one["automatic"] for one in shown["responses"]])
    assert "sequencer answered automatically" in running("leads", "show", lead_id).out


def test_respond_needs_no_rules(running: Running) -> None:
    """Whoever answers at three in the morning is not stopped by a mistake in the rules."""
    lead_id = running.routed()
    finished = running(
        "leads", "respond", lead_id, "--kind", "attempted", "--by", "ana", env={"STL_CONFIG_DIR": "nowhere"}
    )
    assert finished.code == 0


def test_reassign(running: Running) -> None:
    """The other rep has it and will hear of it; the deadline stays; saying it twice does nothing."""
    lead_id = running.routed()
    before = running("leads", "show", lead_id, "--json").json["deadline"]
    finished = running("leads", "reassign", lead_id, "ben", "--by", "mia")
    assert f"Lead {lead_id} is now ben's (team inbound)" in finished.out
    after = running("leads", "show", lead_id, "--json").json
    assert ("ben", before, ["ana"]) == (after["rep"], after["deadline"], after["reps_before"])
    assert "Nothing changed" in running("leads", "reassign", lead_id, "ben", "--by", "mia").out
    assert "passed on from ana to ben by mia" in running("leads", "show", lead_id).out


def test_close(running: Running) -> None:
    """A closed lead says why, and cannot be passed on."""
    lead_id = running.routed()
    assert "Closed" in running("leads", "close", lead_id, "--reason", "spam", "--by", "mia").out
    assert "Nothing changed" in running("leads", "close", lead_id, "--reason", "spam", "--by", "mia").out
    assert "closed: spam" in running("leads", "list").out
    assert running("leads", "reassign", lead_id, "ben", "--by", "mia").code == 2


def test_late(running: Running) -> None:
    """An overdue lead says by how much, and its breach is in the story."""
    lead_id = running.routed(received_at=running.ago(minutes=20))
    flow.sweep(running.place)
    assert "overdue by 15 min" in running("leads", "list").out
    shown = running("leads", "show", lead_id).out
    assert "deadline missed" in shown
    assert "was missed; ana had it" in shown
    assert "it stands for 60% too" in shown


def test_in_a_process_of_its_own(running: Running, server_url: str, key_prefix: str) -> None:
    """With the real logs: stdout is one JSON value, and stderr is silent."""
    lead_id = running.routed()
    words = ["leads", "respond", lead_id, "--kind", "attempted", "--by", "ana", "--json"]
    done = subprocess.run(
        [sys.executable, "-m", "speed_to_lead.cli", *words],
        capture_output=True,
        env=environment(REDIS_URL=server_url, STL_KEY_PREFIX=key_prefix),
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, b"")
    assert done.stdout.startswith(b'{"changed": true')
