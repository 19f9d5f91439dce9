"""`intake reconcile` on a real server, with a form tool that listens on a port of its own."""

import os
import subprocess
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import httpx
import pytest
from tests.cli.conftest import Finished, Running
from tests.cli.test_explain import command, environment
from tests.servers import wait_until
from tests.tools import TOKEN, Sent, Tool, serving

from speed_to_lead import flow
from speed_to_lead.core.submission import Submission

FORM = """
[forms.ads]
provider = "typeform"
auth = "none"
source = "demo_request"
api_token_env = "TOOL_TOKEN"
api_forms = "lT4Z3j"
api_url = "{}"
[forms.nobody]
provider = "elementor"
auth = "none"
"""


@dataclass
class Asked:
    """The command line, and the tool it asks."""

    running: Running
    tool: Tool

    def __call__(self, *words: str, token: str = TOKEN) -> Finished:
        return self.running("intake", "reconcile", *words, env={"TOOL_TOKEN": token})

    def send(self, count: int) -> list[Sent]:
        now = self.running.place.store.now()
        self.tool.sent = [Sent(number, now - timedelta(minutes=20 + number)) for number in range(count)]
        return self.tool.sent

    def webhook(self, one: Sent) -> None:
        store = self.running.place.store
        now = store.now()
        body = self.tool.webhook(one)
        store.queue.add(Submission(flow.new_submission_id(now), "ads", now, body, "application/json"))

    def counts(self) -> tuple[int, int]:
        """Leads, and whether the ledger balances, when all are routed."""
        while flow.route(self.running.place, "router-1").settled:
            pass
        ledger = self.running.place.store.operations.ledger()
        return ledger.leads, ledger.difference


@pytest.fixture
def asked(config_dir: Path, request: pytest.FixtureRequest) -> Iterator[Asked]:
    """A form of a tool, in the config directory before anybody reads it."""
    tool = Tool("typeform")
    with serving(tool) as address:
        intake = config_dir / "intake.toml"
        intake.write_text(intake.read_text() + FORM.format(address))
        yield Asked(request.getfixturevalue("running"), tool)


def test_what_never_came_is_taken_in(asked: Asked) -> None:
    """The counts add up, in words and as JSON; a dry run finds it, the next run finds nothing."""
    sent = asked.send(5)
    asked.webhook(sent[0])
    assert asked.counts() == (1, 0)
    dry = asked("ads", "--since", "24h", "--dry-run")
    assert (dry.code, asked.counts()) == (1, (1, 0))
    assert "would be taken in      4" in dry.out
    done = asked("ads", "--since", "24h", "--json")
    assert done.code == 0
    names = ("form", "listed", "known", "taken_in", "unreadable", "tests", "complete", "problem", "dry_run")
    assert {name: done.json[name] for name in names} == {
        "form": "ads", "listed": 5, "known": 1, "taken_in": 4, "unreadable": 0, "tests": 0, "complete": True,
        "problem": None, "dry_run": False,
    }  # fmt: skip
    assert asked.counts() == (5, 0)
    assert asked.running("leads", "show", done.json["ids"][0]).code == 0
    again = asked("ads")
    assert again.code == 0
    assert "known         5" in again.out


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (("adds",), 'intake.toml has no form "adds"; did you mean "ads"?'),
        (("nobody",), 'form "nobody" is elementor, which keeps no list that can be asked for; those that do: calendly'),
        (("website-demo",), 'form "website-demo" is generic, which keeps no list'),
        (("ads", "--since", "soon"), '"soon" is no time; write a span before now (24h, 7d), a day'),
        (("ads", "--since", "2026-13-01"), '"2026-13-01" is no time'),
        (("ads", "--since", "2026-01-05T09:00:00"), "is no time"),
        (("ads", "--since", "2126-01-05"), "that is still to come"),
    ],
)  # fmt: skip
def test_what_is_meant_wrongly_is_said(asked: Asked, words: tuple[str, ...], expected: str) -> None:
    """In one sentence that says what to do, and nobody is asked."""
    finished = asked(*words)
    assert (finished.code, asked.tool.asked) == (2, [])
    assert expected in finished.err


@pytest.mark.parametrize("since", ["7d", "2026-01-05", "2026-01-05T09:00:00Z", "2026-01-05T09:00:00+02:00"])
def test_ways_to_say_since(asked: Asked, since: str) -> None:
    """A span, a day, an instant."""
    assert asked("ads", "--since", since).code == 0


def test_a_token_that_is_refused(asked: Asked) -> None:
    """It is said which variable and which scope, and not what the token is; without any, nobody is asked."""
    asked.send(1)
    refused = asked("ads", token="not-the-token")
    assert refused.code == 2
    assert "does not accept the token in TOOL_TOKEN (HTTP 401 Unauthorized)" in refused.err
    assert "responses:read" in refused.err
    assert "not-the-token" not in refused.err + refused.out
    assert "the environment variable TOOL_TOKEN is not set" in asked("ads", token="").err


def test_a_list_that_breaks_off(asked: Asked) -> None:
    """What was read is kept; the exit code and a sentence say that it is not all."""
    asked.send(5)
    asked.tool.failures = [None, None, httpx.Response(400)]
    broken = asked("ads", "--json")
    assert (broken.code, broken.json["complete"], broken.json["taken_in"]) == (1, False, 2)
    assert "knows no such list" in broken.json["problem"]
    asked.tool.failures = [None, None, httpx.Response(400)]
    assert "The list was not read to its end" in asked("ads").err
    assert asked.counts() == (2, 0)
    assert asked("ads").code == 0
    assert asked.counts() == (5, 0)


def test_killed_in_the_middle_beside_another_run_and_the_webhook(asked: Asked) -> None:
    """Some of it was stored, nobody knows what. Run again, twice at once, while webhooks come: each is one lead."""
    sent = asked.send(230)
    asked.tool.most = 60
    reached, go_on = threading.Event(), threading.Event()

    def stop_at_the_third_page() -> None:
        if len(asked.tool.asked) == 3:  # the form and two pages: 120 were read, 100 of them stored
            reached.set()
            go_on.wait(120)

    asked.tool.before = stop_at_the_third_page
    place = asked.running.place
    words = command("intake", "reconcile", "ads")
    here = {name: os.environ[name] for name in ("REDIS_URL", "STL_KEY_PREFIX", "STL_CONFIG_DIR")}
    env = environment(**here, TOOL_TOKEN=TOKEN)
    with subprocess.Popen(words, env=env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        assert reached.wait(120)
        wait_until(lambda: place.store.operations.health().queued >= 100, "a hundred are stored", 60)
        process.kill()
    asked.tool.before = lambda: None
    go_on.set()
    for one in sent[::10]:
        asked.webhook(one)
    with subprocess.Popen(words, env=env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as other:
        assert asked("ads").code == 0
        for one in sent[5::10]:
            asked.webhook(one)
        assert other.wait(120) == 0
    assert asked.counts() == (230, 0)
    assert asked("ads", "--json").json["known"] == 230
