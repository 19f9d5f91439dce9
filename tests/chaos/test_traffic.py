"""Traffic, rules, sink and responders of the chaos suite: every kind there is takes part, and each is what it claims."""

import json
import random
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from benchmarks.chaos import rules, sink, traffic
from benchmarks.chaos.journal import Journal, events
from benchmarks.chaos.people import PERSONAL, new_person, person_of
from benchmarks.chaos.responders import Responders
from benchmarks.chaos.tools import MARK, TOOLS, Submission, Tool

from speed_to_lead import forms
from speed_to_lead.core.delivery import Outcome
from speed_to_lead.core.lead import AlertKind
from speed_to_lead.core.message import Message
from speed_to_lead.core.submission import Submission as Stored
from speed_to_lead.core.submission import UnreadableSubmission
from speed_to_lead.destinations import KINDS, new_http_client, open_channel
from speed_to_lead.workplace import API_FORM, channels, read_config

NOW = datetime.now(UTC)


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[Journal]:
    journal = Journal(tmp_path / "journal.jsonl")
    yield journal
    journal.close()


def seen(journal: Journal, event: str) -> list[dict[str, Any]]:
    return [one for one in events(journal.path) if one["event"] == event]


def wait_until(claim: Callable[[], bool], what: str, seconds: float = 60.0) -> None:
    limit = time.monotonic() + seconds
    while not claim():
        assert time.monotonic() < limit, what
        time.sleep(0.02)


# --- nobody is forgotten ---------------------------------------------------------------------------------------


def test_every_form_tool_takes_part() -> None:
    """A provider that speed-to-lead takes has a form tool here, or it would never be tried under chaos."""
    assert set(forms.PROVIDERS) - set(rules.NO_FORM) == {tool.provider for tool in TOOLS} - {"api"}
    assert set(rules.NO_FORM) < set(forms.PROVIDERS)
    assert {tool.form for tool in TOOLS} == {*rules.FORMS, "api"}
    assert {form.provider for form in rules.FORMS.values()} == set(forms.PROVIDERS) - set(rules.NO_FORM)


def test_every_kind_of_destination_takes_part() -> None:
    """A kind of destination has a receiver here, and is among the destinations, or says why it cannot be."""
    assert set(KINDS) == set(rules.RECEIVERS)
    can_be = {kind for kind, receiver in rules.RECEIVERS.items() if receiver.configure is not None}
    assert can_be == set(rules.DESTINATIONS.values()) == set(sink.PLAYED)
    assert all(receiver.why_not for kind, receiver in rules.RECEIVERS.items() if kind not in can_be)


def test_a_destination_is_said_to_know_repeats_as_it_does(tmp_path: Path) -> None:
    """What the checker allows a kind is what the kind claims of itself."""
    environment = rules.write_config(tmp_path, "http://127.0.0.1:9")
    with new_http_client() as http:
        for name, destination in read_config(tmp_path).destinations.items():
            if name in rules.DESTINATIONS:
                channel = open_channel(destination, http, environment)
                assert rules.recognises_repeats(name) == channel.recognises_repeats


def test_the_rules_are_good(tmp_path: Path) -> None:
    """What is written is read by speed-to-lead as it was meant."""
    rules.write_config(tmp_path, "http://127.0.0.1:9")
    config = read_config(tmp_path)
    assert set(rules.TEAMS) == set(config.rulebook.teams)
    assert set(rules.SLAS) == set(config.rulebook.slas)
    for name, sla in rules.SLAS.items():
        assert [step.at for step in sla.steps] == [step.name for step in config.rulebook.slas[name].steps]


# --- each tool is what it claims -------------------------------------------------------------------------------


def stored(tool: Tool, kind: str) -> tuple[forms.WebhookRequest, Stored, Submission]:
    """One submission of a tool as the web would get it, and as it would be stored."""
    dice = random.Random(7)
    person = new_person(1, dice)
    submission = Submission(
        "s1-key", person.key, person.fields(dice), "signup", kind, source_written=not tool.source
    )
    body = tool.body(submission)
    headers = tool.headers(body, submission)
    request = forms.WebhookRequest("POST", f"{rules.PUBLIC_URL}/hooks/{tool.form}", headers, body)
    kept: dict[str, str] = {
        name: headers[name] for name in ("webhook-id", "idempotency-key") if name in headers
    }
    return request, Stored("id", tool.form, NOW, body, headers["content-type"], kept), submission


@pytest.mark.parametrize("tool", TOOLS, ids=lambda tool: tool.form)
def test_what_a_tool_sends_is_genuine_and_can_be_read(tool: Tool, tmp_path: Path) -> None:
    """Its leads are taken and name their person and their submission; its tests are tests; what is forged is refused."""
    environment = rules.write_config(tmp_path, "http://127.0.0.1:9")
    form = API_FORM if tool.provider == "api" else read_config(tmp_path).forms[tool.form]
    for kind in tool.kinds:
        request, submission, sent = stored(tool, kind)
        refusal = forms.refusal_of(request, form, environment, datetime.now(UTC))
        if kind == "forged":
            assert refusal is not None
            continue
        assert refusal is None
        if kind == "unreadable":
            with pytest.raises(UnreadableSubmission):
                forms.read(submission, form)
            continue
        parsed = forms.read(submission, form)
        assert parsed.is_test == (kind == "test")
        assert sent.person == person_of(parsed.lead.fields)
        assert parsed.lead.custom[MARK] == "s1-key"
        assert PERSONAL.search(str(parsed.lead.display_name))


def test_people_are_one_person_however_they_write() -> None:
    """The same person in other letters is the same person to the checker."""
    dice = random.Random(3)
    for number in range(50):
        person = new_person(number, dice)
        assert {person.key} == {person_of(person.fields(dice)) for _ in range(20)}


def test_a_tool_gives_up_where_its_vendor_does() -> None:
    """Typeform never comes back after 404 or 410; HubSpot not after another 4xx than 429; both do after 503."""
    by_form = {tool.form: tool for tool in TOOLS}
    assert by_form["typeform-demo"].wait_after(1, 410, "") is None
    assert by_form["hubspot-referral"].wait_after(1, 401, "") is None
    assert by_form["hubspot-referral"].wait_after(1, 429, "") is not None
    assert by_form["typeform-demo"].wait_after(1, 503, "30") == 6.0
    assert by_form["open-page"].wait_after(1, 503, "") is None


# --- traffic ---------------------------------------------------------------------------------------------------


@contextmanager
def web(answer: Callable[[str, int], tuple[int, dict[str, Any]]]) -> Iterator[str]:
    """A web that answers the nth request to a path as told."""
    counts: dict[str, int] = {}
    lock = threading.Lock()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["content-length"]))
            with lock:
                counts[self.path] = counts.get(self.path, 0) + 1
                number = counts[self.path]
            status, said = answer(self.path, number)
            body = json.dumps(said).encode()
            self.send_response(status)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - as its base class calls it
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def test_what_was_not_taken_is_sent_again_until_it_is(
    journal: Journal, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A tool that hears 503 sends the same submission again; the journal has each try and what was answered."""
    monkeypatch.setattr(traffic, "TOOLS", [tool for tool in TOOLS if tool.provider == "api"])
    with web(lambda _path, number: (503, {}) if number <= 2 else (200, {"id": f"i{number}"})) as url:
        flow = traffic.Traffic(journal, url, 1, 50.0, "a-key")
        flow.start()
        wait_until(lambda: len(seen(journal, "post")) > 10, "traffic flows")
        flow.stop(10.0)
    posts = seen(journal, "post")
    refused = {post["submission"] for post in posts if post["status"] == 503}
    assert refused
    assert refused <= {post["submission"] for post in posts if post["status"] == 200 and post["answer"]}


def test_traffic_has_all_that_happens(journal: Journal) -> None:
    """New people, people who come back, exact repeats, tests, what cannot be read, and forgeries."""
    with web(lambda path, _number: (200, {"id": "x"})) as url:
        flow = traffic.Traffic(journal, url, 5, 300.0, "a-key")
        flow.start()
        wait_until(lambda: not _missing(seen(journal, "post")), "all of it happens")
        flow.stop(10.0)
    posts = seen(journal, "post")
    assert [] == _missing(posts)
    assert {"lead", "test", "unreadable", "forged"} >= {post["kind"] for post in posts}
    assert {tool.form for tool in TOOLS} >= {post["form"] for post in posts}


def _missing(posts: list[dict[str, Any]]) -> list[str]:
    """What has not happened yet. How soon each does is chance, and the order of threads."""
    people = {post["submission"]: post["person"] for post in posts}
    missing = {"lead", "test", "unreadable", "forged"} - {post["kind"] for post in posts}
    missing |= {tool.form for tool in TOOLS} - {post["form"] for post in posts}
    missing |= set() if len(people) < len(posts) else {"an exact repeat"}
    missing |= set() if len(set(people.values())) < len(people) else {"a person who comes back"}
    return sorted(missing)


def test_responders_answer_what_they_hear_of(journal: Journal) -> None:
    """Leads of hook answers and of alerts are answered, passed on and closed, and some of it is told twice."""
    for number in range(60):
        journal.write("post", kind="lead", answer=f"l{number}")
        journal.write("receipt", lead=f"m{number}")
    with (
        web(lambda path, _n: (200, {"result": "recorded", "lead": {"id": path.split("/")[3]}})) as url,
        pytest.MonkeyPatch.context() as patched,
    ):
        patched.setattr("benchmarks.chaos.responders.LATEST", 0.5)
        reps = Responders(journal, url, "a-key", 2)
        reps.start()
        wait_until(lambda: has_all_of_it(seen(journal, "respond")), "responders do all of it")
        reps.stop()


def has_all_of_it(told: list[dict[str, Any]]) -> bool:
    """Every action, of both kinds of leads, and a proof that was given twice."""
    proofs = [one["evidence"] for one in told if one["evidence"]]
    return (
        {one["action"] for one in told} == {"responses", "reassign", "close"}
        and {one["of"][0] for one in told} == {"l", "m"}
        and len(set(proofs)) < len(proofs)
    )


# --- the sink --------------------------------------------------------------------------------------------------

#: Ways that answer at once. The slow ones are the same to a sender: it hears nothing.
QUICK = [
    *[("head", way) for way in sink._HTTP_WAYS if way not in ("hang", "drip head", "drip body")],
    *[
        (name, way)
        for name in ("beta-chat", "triage-desk")
        for way in ("empty", "410", "429 fraction", "half")
    ],
    *[("alpha-chat", way) for way in sink._SLACK_WAYS if way not in ("hang", "drip head", "drip body")],
    *[("gamma-mail", way) for way in sink._MAIL_WAYS if way not in ("hang", "drip", "hang before")],
    *[
        (name, way)
        for name, kind in (
            ("triage-cards", "teams"),
            ("oncall", "pagerduty"),
            ("duty", "opsgenie"),
            ("gamma-phone", "sms"),
        )
        for way in sink._WAYS[kind]
        if way not in ("hang", "drip head", "drip body")
    ],
    *[(name, "") for name in rules.DESTINATIONS],
]


FarSide = tuple[sink.Sink, Journal, Callable[[str], Any]]


@pytest.fixture(scope="module")
def far_side(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FarSide]:
    """A sink, and speed-to-lead's own ways to it."""
    directory = tmp_path_factory.mktemp("sink")
    journal = Journal(directory / "journal.jsonl")
    there = sink.Sink(journal, 1)
    there.start()
    environment = rules.write_config(directory / "config", there.url)
    with pytest.MonkeyPatch.context() as patched, new_http_client() as http:
        patched.setattr("speed_to_lead.workplace.new_http_client", lambda: http)
        channel = channels(read_config(directory / "config").destinations, environment)
        yield there, journal, channel
    there.close()
    journal.close()


@pytest.mark.parametrize(("destination", "way"), QUICK)
def test_the_sink_and_the_sender_agree(
    destination: str, way: str, far_side: FarSide, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the sink notes as heard was delivered, what it refused was not, and of the rest the sender is not sure."""
    there, journal, channel = far_side
    monkeypatch.setattr(there, "mood", lambda _name, _ways: way)
    message = Message(
        f"l1:{way or 'ok'}:{destination}", AlertKind.REMINDER, "Still waiting: Sam", (("Who", "Sam"),), NOW,
        lead_id="l1", step=(way or "ok").replace(" ", "-"), team="alpha", rep="ada",
    )  # fmt: skip
    before = len(seen(journal, "receipt"))
    outcome = channel(destination).send(message, datetime.now(UTC)).outcome
    if way in ("reset early", "421", "450", "550"):  # nothing of the alert came that far
        assert before == len(seen(journal, "receipt"))
        assert outcome is not Outcome.DELIVERED
        return
    wait_until(lambda: len(seen(journal, "receipt")) > before, "the sink notes it")
    noted = seen(journal, "receipt")[-1]
    assert ("l1", message.step, destination) == (noted["lead"], noted["step"], noted["destination"])
    assert noted["data"].get("is_signed", True)
    assert (noted["outcome"] == sink.HEARD) == (outcome is Outcome.DELIVERED)
    assert (noted["outcome"] == sink.UNKNOWN) == (outcome is Outcome.UNKNOWN)


def test_the_last_resort_is_never_refused_for_ever(far_side: FarSide) -> None:
    """Whatever the trouble, the fallback can be told in the end; the others are refused for ever now and then."""
    there, _, _ = far_side
    there.trouble = True
    moods: dict[str, set[str]] = {rules.FALLBACK: set(), "head": set()}
    for _ in range(2000):
        for name, found in moods.items():
            there._moods.pop(name, None)
            found.add(there.mood(name, sink._HTTP_WAYS))
    there.trouble = False
    assert set() == moods[rules.FALLBACK] & sink._FOR_EVER
    assert moods["head"] >= sink._FOR_EVER & set(sink._HTTP_WAYS)
