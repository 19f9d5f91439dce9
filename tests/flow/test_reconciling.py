"""Comparing a form tool's list with what arrived: what never came is taken in once, whatever else happens meanwhile."""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from datetime import timedelta
from functools import partial
from typing import Any

import httpx
import pytest
import structlog
from tests.flow.scene import START, Scene, in_threads
from tests.tools import ENVIRONMENT, TOKEN, Sent, Tool, form_of

from speed_to_lead import flow, forms
from speed_to_lead.core.lead import AlertKind
from speed_to_lead.core.submission import Form, Submission
from speed_to_lead.destinations import LIST_LIMIT, get
from speed_to_lead.flow import nights
from speed_to_lead.flow.reconciling import TRIES, Compared

HOUR = timedelta(hours=1)
#: Long enough ago that a webhook should have brought it.
SENT = [Sent(number, START - HOUR - timedelta(minutes=number)) for number in range(1, 6)]
PROVIDERS = sorted(forms.LISTS)


@dataclass
class Site:
    """A scene with a form of one tool, and the tool."""

    scene: Scene
    tool: Tool
    form: Form
    waited: list[timedelta] = field(default_factory=list)
    goes_on: bool = True

    @property
    def get(self) -> flow.fetches.Get:
        http = httpx.Client(transport=httpx.MockTransport(self.tool))
        return partial(get, http, limit=LIST_LIMIT)

    def wait(self, pause: timedelta) -> bool:
        if pause:
            self.waited.append(pause)
        return self.goes_on

    def reconcile(self, since: timedelta = timedelta(days=2), **more: Any) -> Compared:
        place = self.scene.place
        start = self.scene.clock() - since
        return flow.reconcile(place, self.form, start, self.get, ENVIRONMENT, self.wait, **more)

    def counted(self, **more: Any) -> dict[str, Any]:
        """What a comparison came to, without its zeros."""
        found = self.reconcile(**more)
        names = ("listed", "known", "taken_in", "unreadable", "tests", "missed", "problem")
        return {name: getattr(found, name) for name in names if getattr(found, name)}

    def webhook(self, one: Sent) -> None:
        """The tool's own delivery, routed; what it holds ids of is asked for."""
        self.scene.submit_body(self.tool.webhook(one), self.form.name)
        self.route()

    def route(self) -> None:
        self.scene.route()
        flow.fetch(self.scene.place, self.form.name, self.get, ENVIRONMENT)
        self.scene.route()

    def emails(self) -> list[Any]:
        return sorted(str(lead.lead.get("email")) for lead in self.scene.leads())

    def alerts(self, kind: AlertKind = AlertKind.WEBHOOK_MISSED) -> list[str]:
        found = (alert for alert, _ in self.scene.store.outbox.waiting(100))
        return [alert.note for alert in found if alert.kind is kind]


@pytest.fixture
def site_of(memory_scene: Scene) -> Callable[..., Site]:
    """Makes a site of a tool in memory."""
    return partial(new_site, memory_scene)


@pytest.fixture
def site(scene: Scene) -> Site:
    """A site of Typeform on each kind of store."""
    return new_site(scene, "typeform")


def new_site(scene: Scene, provider: str, **more: Any) -> Site:
    form = form_of(provider, **more)
    config = scene.place.config
    scene.place.config = replace(config, forms={**config.forms, form.name: form})
    return Site(scene, Tool(provider, list(SENT)), form)


@pytest.mark.parametrize("provider", PROVIDERS)
def test_what_never_came_is_taken_in(site_of: Callable[..., Site], provider: str) -> None:
    """With the form's own time, and a clock that runs from now: that is when we received it. The rest is known."""
    site = site_of(provider)
    site.webhook(SENT[0])
    site.webhook(SENT[1])
    site.scene.later(1)
    assert site.counted() == {"listed": 5, "known": 2, "taken_in": 3, "missed": 3}
    site.route()
    assert site.emails() == sorted(one.email for one in SENT)
    taken = {lead.lead.get("email"): lead for lead in site.scene.leads()}[SENT[4].email]
    assert (taken.received_at, taken.submitted_at) == (site.scene.clock(), SENT[4].at)
    assert (taken.source, taken.form) == ("demo_request", "ads")
    marks = {lead.lead.get("email"): lead.lead.get("custom.reconciled") for lead in site.scene.leads()}
    assert marks == {one.email: None if one in SENT[:2] else True for one in SENT}
    assert site.counted() == {"listed": 5, "known": 5}
    assert site.scene.counts() == {"leads": 5}


@pytest.mark.parametrize("provider", PROVIDERS)
def test_a_webhook_that_comes_late_is_a_duplicate(site_of: Callable[..., Site], provider: str) -> None:
    """Never a second lead, nor a touch: not while the lead is open, and not when it was closed."""
    site = site_of(provider)
    site.reconcile()
    site.route()
    for lead in site.scene.leads():
        site.scene.respond(lead.id)
    for one in SENT:
        site.webhook(one)
    assert site.scene.counts() == {"leads": 5, "duplicates": 5}


@pytest.mark.parametrize("provider", PROVIDERS)
def test_a_webhook_at_the_same_time_is_one_lead(site_of: Callable[..., Site], provider: str) -> None:
    """Both wait in the queue when a router comes, in either order."""
    site = site_of(provider)
    bodies = {one: site.tool.webhook(one) for one in SENT}
    for one in SENT[:2]:
        site.scene.submit_body(bodies[one], "ads")
    site.reconcile()
    for one in SENT[2:]:
        site.scene.submit_body(bodies[one], "ads")
    site.route()
    assert site.scene.counts() == {"leads": 5, "duplicates": 5}


def test_two_runs_at_once_take_in_everything_once(site: Site) -> None:
    """Neither knows of the other; what they put into the queue has the same ids. On every store."""
    in_threads(site.reconcile, site.reconcile)
    flow.route(site.scene.place, "router-1")
    flow.route(site.scene.place, "router-2")
    assert site.scene.counts()["leads"] == 5
    assert site.scene.store.operations.ledger().difference == 0
    assert site.counted() == {"listed": 5, "known": 5}


@pytest.mark.parametrize("after", range(4))
def test_a_run_that_dies_is_run_again(site: Site, after: int) -> None:
    """Wherever it was: nothing is left out, and nothing taken in twice."""
    site.tool.failures = [*[None] * after, KeyboardInterrupt()]
    with pytest.raises(KeyboardInterrupt):
        site.reconcile()
    site.reconcile()
    site.scene.route()
    assert site.scene.counts()["leads"] == 5


def test_a_dry_run_changes_nothing(site: Site) -> None:
    """It counts the same, and tells nobody."""
    assert site.counted(dry_run=True) == {"listed": 5, "taken_in": 5, "missed": 5}
    assert site.scene.counts() == {}
    assert site.alerts() == []


def test_a_broken_webhook_is_told_once(site: Site) -> None:
    """With the form and the number; what is so new that it may be on its way says nothing about the webhook."""
    site.tool.sent = [SENT[0], Sent(7, START - timedelta(seconds=5))]
    assert site.counted() == {"listed": 2, "taken_in": 2, "missed": 1}
    site.route()
    (words,) = site.alerts()
    assert words.startswith('The webhook of form "ads" did not bring what was sent to it: 1 submission was')
    site.tool.sent = SENT
    site.reconcile()
    assert len(site.alerts()) == 1
    assert site.scene.store.operations.counters()["raised:webhook_missed"] == 1


# --- what is damaged -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("provider", PROVIDERS)
def test_one_damaged_entry_loses_no_other(site_of: Callable[..., Site], provider: str) -> None:
    """It becomes a dead letter that says what is wrong; the next run knows it."""
    site = site_of(provider)
    site.tool.damaged = ["junk"]
    assert site.counted() == {"listed": 6, "taken_in": 5, "missed": 5, "unreadable": 1}
    site.route()
    assert site.scene.counts() == {"leads": 5, "dead_letters": 1}
    assert site.counted() == {"listed": 6, "known": 6}


def test_what_the_webhook_brought_and_nobody_could_read_is_known(site_of: Callable[..., Site]) -> None:
    """A response without an address is a dead letter once, not once more for each way it came."""
    site = site_of("typeform")
    body = json.loads(site.tool.webhook(SENT[0]))
    body["form_response"]["answers"] = []
    site.scene.submit_body(json.dumps(body).encode(), "ads")
    site.route()
    site.tool.sent, site.tool.damaged = [], [{"token": "tok1", "submitted_at": SENT[0].iso, "answers": []}]
    assert site.counted() == {"listed": 1, "known": 1}


@pytest.mark.parametrize("submitted_at", [None, "yesterday", "2026-13-45", 5])
def test_an_entry_without_a_time_is_taken_in(site_of: Callable[..., Site], submitted_at: Any) -> None:
    """What a tool does not say of its time decides nothing."""
    site = site_of("typeform")
    answer = {"type": "email", "email": "kim@example.com", "field": {"id": "a", "type": "email"}}
    site.tool.sent, site.tool.damaged = (
        [],
        [{"token": "t", "submitted_at": submitted_at, "answers": [answer]}],
    )
    assert site.counted() == {"listed": 1, "taken_in": 1, "missed": 1}


def test_an_entry_that_two_pages_have_counts_once(site_of: Callable[..., Site]) -> None:
    """Lists move while they are read: what is new pushes the last entry of a page into the next one."""
    site = site_of("hubspot")
    site.tool.sent = [SENT[0], SENT[1], SENT[1], SENT[2]]
    assert site.counted() == {"listed": 3, "taken_in": 3, "missed": 3}
    site.route()
    assert site.scene.counts() == {"leads": 3}


def test_tests_are_left_out(site_of: Callable[..., Site]) -> None:
    """What must never reach a salesperson does not come in by this door either."""
    site = site_of("webflow")
    form_response = {"Email": "kim@example.com", "is_test": "true"}
    entry = {"id": "t1", "dateSubmitted": SENT[0].iso, "formResponse": form_response}
    site.tool.sent, site.tool.damaged = [], [entry]
    assert site.counted() == {"listed": 1, "tests": 1}
    assert site.scene.counts() == {}


# --- what was sent long ago ------------------------------------------------------------------------------------


@pytest.mark.parametrize("provider", PROVIDERS)
def test_what_came_long_ago_is_known_by_its_person(site_of: Callable[..., Site], provider: str) -> None:
    """Keys are forgotten after two weeks. Whoever came since they sent it was somebody's; who never came is taken in."""
    site = site_of(provider)
    site.tool.sent = [replace(one, at=START) for one in SENT]
    site.webhook(site.tool.sent[0])
    site.webhook(site.tool.sent[1])
    for lead in site.scene.leads():
        site.scene.respond(lead.id)
    site.scene.later(20 * 24 * 60)
    if provider == "calendly":  # its list has only meetings that are still to begin
        return
    assert site.counted(since=timedelta(days=30)) == {"listed": 5, "known": 2, "taken_in": 3, "missed": 3}


def test_who_came_before_they_sent_it_is_not_known_by_that(site_of: Callable[..., Site]) -> None:
    """They asked again, and that never came."""
    site = site_of("typeform")
    site.tool.sent = [Sent(1, START)]
    site.webhook(site.tool.sent[0])
    site.scene.later(20 * 24 * 60)
    again = json.loads(site.tool.webhook(Sent(1, START + HOUR)))["form_response"] | {"token": "another"}
    site.tool.sent, site.tool.damaged = [Sent(1, START)], [again]
    assert site.counted(since=timedelta(days=30)) == {"listed": 2, "known": 1, "taken_in": 1, "missed": 1}


def test_a_contact_that_came_later_brought_the_submission_with_it(site_of: Callable[..., Site]) -> None:
    """HubSpot sends the contact as it is by then. Another form's lead of the same person tells nothing of this one."""
    site = site_of("hubspot")
    first, second = Sent(1, START - HOUR), SENT[1]
    site.tool.sent = [first, second]
    later = json.loads(site.tool.webhook(first))
    later["form-submissions"] = [{"conversion-id": "conv-9", "timestamp": first.ms + 60_000}]
    site.scene.submit_body(json.dumps(later).encode(), "ads")
    site.scene.submit(email=second.email)
    site.route()
    assert site.counted() == {"listed": 2, "known": 1, "taken_in": 1, "missed": 1}


# --- a tool that does not answer -------------------------------------------------------------------------------


def failing(status: int, **headers: str) -> httpx.Response:
    return httpx.Response(status, headers=headers, json={"message": "no"})


def test_a_tool_that_asks_for_patience_gets_it(site: Site) -> None:
    """429 with Retry-After: so long, then on from there."""
    site.tool.failures = [None, failing(429, **{"Retry-After": "7"})]
    assert site.counted() == {"listed": 5, "taken_in": 5, "missed": 5}
    assert site.waited == [timedelta(seconds=7)]


def test_nobody_waits_for_hours(site: Site) -> None:
    """A tool that asks for more than a minute and a half is asked another time, and the command says so."""
    site.tool.failures = [failing(429, **{"Retry-After": "3600"})]
    assert "asks to wait 3600 s" in site.reconcile().problem
    assert site.waited == []


@pytest.mark.parametrize(
    "failure", [failing(500), failing(503), failing(429), httpx.ReadTimeout("x"), httpx.ConnectError("x")]
)
def test_a_failure_that_passes_is_waited_for(site_of: Callable[..., Site], failure: Any) -> None:
    """A server that stumbles, a line that breaks, an answer that does not come in time."""
    site = site_of("typeform")
    site.tool.failures = [None, None, failure]
    assert site.counted() == {"listed": 5, "taken_in": 5, "missed": 5}
    assert len(site.waited) == 1


@pytest.mark.parametrize("failure", [failing(500), httpx.ReadTimeout("x")])
def test_what_was_read_before_it_broke_off_is_kept(site: Site, failure: Any) -> None:
    """The run says why it ended; the next one takes in the rest."""
    site.tool.failures = [None, None, *[failure] * TRIES]
    found = site.reconcile()
    assert (found.listed, found.taken_in) == (2, 2)
    assert found.problem.startswith("typeform does not answer")
    site.route()
    assert site.scene.counts() == {"leads": 2}
    assert site.counted() == {"listed": 5, "known": 2, "taken_in": 3, "missed": 3}


@pytest.mark.parametrize(
    ("failure", "expected"),
    [
        (failing(401), "does not accept the token in TOOL_TOKEN (HTTP 401 Unauthorized): is it still valid, and is it allowed:"),
        (failing(403), "does not accept the token in TOOL_TOKEN (HTTP 403 Forbidden)"),
        (failing(404), "knows no such list (HTTP 404 Not Found): are api_forms and api_url of [forms.ads] right?"),
        (failing(302, Location="https://evil.test/"), "refuses to answer: HTTP 302 Found: redirects are not followed"),
        (httpx.Response(200, content=b"<html>kim@example.com"), "the answer is not JSON"),
        (httpx.Response(200, content=b"\xff\xfe"), "the answer is not JSON"),
        (httpx.Response(200, content=b"[" * 100_000), "the answer is not JSON"),
        (httpx.Response(200, content=b"[]"), "the answer is no JSON object"),
        (httpx.Response(204), "refuses to answer: HTTP 204"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("provider", PROVIDERS)
def test_a_refusal_says_what_to_do(
    site_of: Callable[..., Site], provider: str, failure: httpx.Response, expected: str
) -> None:
    """At once, because asking again would not help; and without a word of the answer, which may be anything."""
    site = site_of(provider)
    site.tool.failures = [failure] * 2
    problem = site.reconcile().problem
    assert expected in problem
    assert "kim@example.com" not in problem
    assert len(site.tool.asked) <= 2


def test_a_second_form_of_the_tool_is_asked_for_all_the_same(site_of: Callable[..., Site]) -> None:
    """Where the tool does not know the first one."""
    site = site_of("typeform", api_forms=("gone", "lT4Z3j"))
    found = site.reconcile()
    assert found.taken_in == 5
    assert "knows no such list" in found.problem


def test_the_token_is_told_to_nobody_else(site_of: Callable[..., Site]) -> None:
    """Not in a log, not in what is said, and not in what is stored."""
    with structlog.testing.capture_logs() as logs:
        for provider in PROVIDERS:
            site = site_of(provider)
            for failures in ([], [failing(401)] * 3, [httpx.ConnectError(f"to {TOKEN}")] * 9):
                site.tool.failures = list(failures)
                assert TOKEN not in repr(site.reconcile())
    assert logs
    assert TOKEN not in repr(logs)
    assert not any(
        TOKEN in held.text for batch in site.scene.store.privacy.everything() for held in batch.held
    )


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"provider": "elementor"}, 'form "ads" is elementor, which keeps no list that can be asked for'),
        ({"api_forms": ()}, 'form "ads" does not say what typeform calls it: add api_forms'),
        ({"api_token_env": "OTHER"}, "the environment variable OTHER is not set"),
    ],
)
def test_a_form_that_cannot_be_asked_for_says_why(
    site_of: Callable[..., Site], change: dict[str, Any], expected: str
) -> None:
    """Its tool keeps no list, it has no name there, or there is no token."""
    site = site_of("typeform")
    site.form = replace(site.form, **change)
    with pytest.raises(flow.NoList) as refused:
        site.reconcile()
    assert expected in str(refused.value)


# --- every night -----------------------------------------------------------------------------------------------


def tick(site: Site) -> int:
    """One look of the scheduled task: whose night it is, and their comparison."""
    taken = 0
    for form in flow.reconciliations_due(site.scene.place):
        taken += flow.reconcile_tonight(site.scene.place, form, site.get, ENVIRONMENT, lambda: True)
    site.scene.route()
    return taken


def noted(site: Site) -> Any:
    return site.scene.store.reconciliations.of(["ads"])["ads"]


def until_night(site: Site) -> None:
    site.scene.clock.now = noted(site).next_at


def test_every_night_the_list_is_compared(site: Site) -> None:
    """The first one looks two days back; each one begins before the last one ended, and nothing is taken in twice."""
    assert tick(site) == 0
    assert site.tool.asked == []
    assert noted(site).since == START - timedelta(days=2)
    until_night(site)
    assert tick(site) == 5
    first = noted(site)
    assert first.since == site.scene.clock() - nights.OVERLAP
    assert timedelta(hours=23) < first.next_at - site.scene.clock() <= timedelta(days=1)
    asked = len(site.tool.asked)
    site.scene.later(60)
    assert (tick(site), len(site.tool.asked)) == (0, asked)
    # Sent while the night before was at work, and in no list yet: it falls between no two nights.
    site.tool.sent.append(Sent(8, first.since + nights.OVERLAP - timedelta(seconds=1)))
    until_night(site)
    assert tick(site) == 1
    assert site.scene.counts() == {"leads": 6}


def test_of_two_beats_one_has_it_compared(site: Site) -> None:
    """The night is claimed; whoever comes second finds it taken."""
    tick(site)
    until_night(site)
    place = site.scene.place
    at_once = [
        partial(flow.reconcile_tonight, place, "ads", site.get, ENVIRONMENT, lambda: True) for _ in range(3)
    ]
    in_threads(*at_once)
    assert sum(path.startswith("/base/forms/lT4Z3j?") for path in site.tool.asked) == 1
    site.scene.route()
    assert site.scene.counts() == {"leads": 5}


def test_a_night_that_dies_is_taken_up_again(site: Site) -> None:
    """When its claim is over, from where it was."""
    tick(site)
    until_night(site)
    site.tool.failures = [None, None, KeyboardInterrupt()]
    with pytest.raises(KeyboardInterrupt):
        tick(site)
    before = noted(site).since
    assert tick(site) == 0
    site.scene.clock.advance(nights.LEASE)
    assert noted(site).since == before
    tick(site)
    assert site.scene.counts()["leads"] == 5
    assert noted(site).since > before


def test_a_night_that_fails_is_tried_again_soon_and_told(site: Site) -> None:
    """Again and again from where it was; after a while somebody is told, once."""
    tick(site)
    until_night(site)
    before = noted(site).since
    for pause in nights.AGAIN_AFTER:
        site.tool.failures = [failing(401)] * 2
        assert tick(site) == 0
        assert noted(site).since == before
        assert noted(site).next_at == site.scene.clock() + pause
        site.scene.clock.advance(pause)
    (words,) = site.alerts(AlertKind.NEEDS_ATTENTION)
    assert words.startswith(
        'The list of form "ads" could not be compared with what arrived, 4 times in a row: typeform'
    )
    site.tool.failures = []
    assert tick(site) == 5
    assert noted(site).attempts == 0


def test_a_form_without_a_token_says_so_every_time(site_of: Callable[..., Site]) -> None:
    """It is no reason to stop, and none to forget how far the list was compared."""
    site = site_of("typeform", api_token_env="OTHER")
    tick(site)
    until_night(site)
    before = noted(site).since
    with structlog.testing.capture_logs() as logs:
        assert tick(site) == 0
    assert "the environment variable OTHER is not set" in logs[0]["reason"]
    assert noted(site).since == before


def test_a_process_that_stops_does_not_wait(site: Site) -> None:
    """It ends between two questions, and keeps what was read."""
    answers: Iterator[bool] = iter((True, True, True, False, False, False))
    tick(site)
    until_night(site)
    flow.reconcile_tonight(site.scene.place, "ads", site.get, ENVIRONMENT, lambda: next(answers, False))
    assert len(site.tool.asked) <= 3
    assert noted(site).attempts == 1


def test_forms_that_are_not_asked_for_have_no_night(site: Site) -> None:
    """Those without api_forms, and those that left config."""
    place = site.scene.place
    tick(site)
    assert site.scene.store.reconciliations.of(["demo"]) == {}
    until_night(site)
    place.config = replace(place.config, forms={})
    assert flow.reconciliations_due(place) == {}
    assert flow.reconcile_tonight(place, "ads", site.get, ENVIRONMENT, lambda: True) == 0


def test_a_delivery_with_the_lists_mark_is_no_way_around_a_key(site_of: Callable[..., Site]) -> None:
    """Any program may write to the queue; what it marks as listed is known by the same key all the same."""
    site = site_of("typeform")
    site.webhook(SENT[0])
    marked = Submission(
        "own", "ads", START, site.tool.webhook(SENT[0]), "application/json", {"speed-to-lead-listed": "yes"}
    )
    site.scene.store.queue.add(marked)
    site.route()
    assert site.scene.counts() == {"leads": 1, "duplicates": 1}
