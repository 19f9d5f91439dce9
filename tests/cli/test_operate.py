"""Dead letters, alerts, status, ledger and doctor, on a real server."""

import os
import subprocess
import threading
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import redis
from tests.cli.conftest import Run, Running
from tests.cli.test_explain import command, environment
from tests.servers import RealServer

from speed_to_lead import flow
from speed_to_lead.cli.dead_letters import preview_of
from speed_to_lead.cli.doctor.diagnosis import Severity
from speed_to_lead.cli.doctor.server import _persistence, check_policy, check_replicas
from speed_to_lead.cli.operate import balance_in_words, pulses_of
from speed_to_lead.core.audit import Ledger
from speed_to_lead.core.settlement import Await
from speed_to_lead.core.submission import Submission
from speed_to_lead.store import ServerPolicy
from speed_to_lead.store.contract import Disabled
from speed_to_lead.store.keys import Keys
from speed_to_lead.web.metrics import PREFIX, Scrape, read_store


def test_dead_letters(running: Running) -> None:
    """Listed with the error, shown with a safe preview, replayed when mended, discarded for good."""
    good = running.routed()
    bad = [running.routed(b'{"email": \x00\xff\x1b[2J'), running.routed(b"not json")]
    assert set(bad) == {one["id"] for one in running("dead-letters", "list", "--json").json["dead_letters"]}
    listed = running("dead-letters", "list").out
    assert all(one in listed for one in bad)
    assert good not in listed
    shown = running("dead-letters", "show", bad[0]).out
    assert '| {"email": \\x00\\xff\\x1b[2J' in shown
    assert f"dead-letters replay {bad[0]}" in shown
    assert running("dead-letters", "show", bad[0], "--json").json["body"].startswith('{"email"')
    assert "1 submission back in the queue" in running("dead-letters", "replay", bad[0]).out
    flow.route(running.place, "router-1")
    replayed = running("dead-letters", "replay", "--all", "--json").json
    assert (set(bad), False) == (set(replayed["replayed"]), replayed["more"])
    flow.route(running.place, "router-1")
    for one in bad:
        assert running("dead-letters", "discard", one).code == 0
    assert "There are no dead letters" in running("dead-letters", "list").err
    assert "no dead letters to replay" in running("dead-letters", "replay", "--all").out
    assert running("ledger").code == 0


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (b"", ["(empty)"]),
        (b"a\r\nb", ["a", "b"]),
        ("Zoë".encode(), ["Zoë"]),
        (b"Zo\xeb\x07", ["Zo\\xeb\\x07"]),
        (b"x" * 3000, ["x" * 2048, "… 952 bytes more; --json has all of it"]),
    ],
)
def test_preview(body: bytes, expected: list[str]) -> None:
    """Two kilobytes at most, and nothing that moves a cursor."""
    assert expected == preview_of(body)


def test_alerts(running: Running) -> None:
    """What waits, what was given up, and trying again."""
    running.routed(received_at=running.ago(minutes=20))
    flow.sweep(running.place)
    waiting = running("alerts", "list", "--json").json["alerts"]
    assert {"console", "sdr-managers"} == {alert["destination"] for alert in waiting}
    flow.deliver(running.place, "sdr-managers")  # its variables are not set, so it is given up at once
    dead = running("alerts", "list", "--dead", "--json").json["alerts"]
    assert {"sdr-managers"} == {alert["destination"] for alert in dead}
    assert dead[0]["key"] in running("alerts", "list", "--dead").out
    assert "1 alert will be tried again" in running("alerts", "redrive", dead[0]["key"]).out
    flow.deliver(running.place, "sdr-managers")
    redriven = running("alerts", "redrive", "--all-dead", "--json").json["redriven"]
    assert dead[0]["key"] in redriven
    assert "nothing to try again" in running("alerts", "redrive", "--all-dead").out


def test_alerts_test(run: Run, config_dir: Path) -> None:
    """A test message goes out without a server, and the answer is told in plain words."""
    good = run("alerts", "test", "console", "--config", str(config_dir))
    assert (good.code, "console (console) took the message: printed." in good.out) == (0, True)
    bad = run("alerts", "test", "sdr-managers", "--config", str(config_dir))
    assert 1 == bad.code
    assert "Nothing was sent to sdr-managers (webhook): environment variable MANAGERS_" in bad.out
    assert "in this shell to test it, and where the couriers run. They are the receiver's address" in bad.out
    unknown = run("alerts", "test", "sdr-manager", "--config", str(config_dir))
    assert 'did you mean "sdr-managers"' in unknown.err
    assert "(it has console, " in unknown.err


def test_alerts_test_names_all_that_is_not_set(
    run: Run, config_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not one variable after the other; and what is set wrongly is not said to be missing, nor its value repeated."""
    with (config_dir / "alerts.toml").open("a") as alerts:
        alerts.write('[destinations.hook]\ntype = "webhook"\nurl_env = "A_URL"\nsecret_env = "A_SECRET"\n')
    missing = run("alerts", "test", "hook", "--config", str(config_dir)).out
    assert "Set A_URL and A_SECRET in this shell" in missing
    monkeypatch.setenv("A_URL", "leads.example.com/the-path")
    monkeypatch.setenv("A_SECRET", "c2VjcmV0")
    wrong = run("alerts", "test", "hook", "--config", str(config_dir)).out
    assert "environment variable A_URL holds no address" in wrong
    assert "Mend that in alerts.toml or in the environment" in wrong
    assert "the-path" not in wrong


def test_a_disabled_destination_is_told_of_and_redriving_enables_it(running: Running) -> None:
    """`alerts list` and `doctor` name it with its reason; whoever redrives its alerts means to try it again."""
    running.routed(received_at=running.ago(minutes=20))
    flow.sweep(running.place)
    flow.deliver(running.place, "sdr-managers")  # its variables are not set, so its alerts are given up
    now = running.place.store.now()
    outbox = running.place.store.outbox
    outbox.disable("sdr-managers", Disabled(now, now + timedelta(hours=1), "HTTP 410 Gone"))
    assert "sdr-managers is sent nothing until" in running("alerts", "list").err
    disabled = running("alerts", "list", "--json").json["disabled"]
    assert {"sdr-managers": "HTTP 410 Gone"} == {name: one["why"] for name, one in disabled.items()}
    assert 'destination "sdr-managers" is disabled since' in running("doctor").out
    running("alerts", "redrive", "--all-dead")
    assert {} == outbox.disabled(["sdr-managers"])


def _answered(status: int, body: bytes, port: int = 0) -> tuple[ThreadingHTTPServer, list[tuple[str, bytes]]]:
    """A server that answers every POST so, and what it was sent."""
    heard: list[tuple[str, bytes]] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            heard.append((self.path, self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Quiet."""

    server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
    return server, heard


@pytest.mark.parametrize(
    ("kind", "status", "body", "code", "words"),
    [
        ("slack", 200, b'{"ok":true,"channel":"C1","ts":"1.1"}', 0, ["took the message: ok", "Bringing it up to date"]),
        ("slack", 200, b'{"ok":false,"error":"not_in_channel"}', 1, ["not_in_channel", "/invite"]),
        ("slack", 200, b'{"ok":false,"error":"token_revoked"}', 1, ["token_revoked", "A_TOKEN", "Make a new one"]),
        ("teams", 202, b"", 0, ["the workflow was started", "runs of the workflow"]),
        ("discord", 429, b'{"retry_after":2.5}', 1, ["wants fewer messages", "asks to wait 2 s"]),
        ("google_chat", 400, b"{}", 1, ["would refuse it each time: HTTP 400", "A_URL", "what Google Chat shows"]),
        ("pagerduty", 202, b"", 0, ["took the message", "Bringing it up to date", "resolved already"]),
        ("opsgenie", 202, b"", 0, ["took the message", "closed already"]),
        ("sms", 201, b'{"sid":"SM1","status":"queued"}', 0, ["queued", "Twilio's log"]),
        ("sms", 500, b"", 1, ["so it may have arrived or not: HTTP 500", "Look into Twilio"]),
        ("webhook", 503, b"", 1, ["did not take the message; alerts would be tried again: HTTP 503", "was reached"]),
    ],
)  # fmt: skip
def test_alerts_test_says_what_came_back(
    run: Run, config_dir: Path, kind: str, status: int, body: bytes, code: int, words: list[str]
) -> None:
    """A sample of a real alert, the answer in plain words, and what to do; what can be brought to an end is."""
    server, heard = _answered(status, body)
    url = f"http://127.0.0.1:{server.server_address[1]}"
    options = {
        "slack": f'token_env = "A_TOKEN"\nchannel = "C1"\nbase_url = "{url}"',
        "pagerduty": f'routing_key_env = "A_TOKEN"\nbase_url = "{url}"',
        "opsgenie": f'key_env = "A_TOKEN"\nbase_url = "{url}"',
        "sms": 'to = "+15551234567"\nfrom = "Sales"\naccount_sid_env = "A_SID"\nauth_token_env = "A_TOKEN"\n'
        f'base_url = "{url}"',
        "webhook": 'url_env = "A_URL"\nsecret_env = "A_SECRET"',
    }.get(kind, 'url_env = "A_URL"')
    alerts = config_dir / "alerts.toml"
    alerts.write_text(f'{alerts.read_text()}\n[destinations.mine]\ntype = "{kind}"\n{options}\n')
    env = {"A_URL": url, "A_TOKEN": "t0ken", "A_SID": "AC" + "0" * 32, "A_SECRET": "whsec_" + "QUJD" * 8}
    finished = run("alerts", "test", "mine", "--config", str(config_dir), env=env)
    server.shutdown()
    server.server_close()
    assert code == finished.code
    assert [] == [word for word in words if word not in finished.out]
    follows = kind in ("slack", "pagerduty", "opsgenie") and code == 0
    assert 1 + follows == len(heard)
    if kind != "webhook":  # which tells programs, by references
        assert b"Sam" in heard[0][1]
        assert b"Example" in heard[0][1]


def test_alerts_test_tells_no_more_than_the_destination_may_know(run: Run, config_dir: Path) -> None:
    """With `detail = "minimal"` the sample is as spare as an alert would be."""
    alerts = config_dir / "alerts.toml"
    alerts.write_text(f'{alerts.read_text()}\n[destinations.mine]\ntype = "console"\ndetail = "minimal"\n')
    finished = run("alerts", "test", "mine", "--config", str(config_dir))
    assert "Test of mine: Deadline missed: a lead, overdue by 60 s" in finished.out
    assert "Sam" not in finished.out


def test_status_is_well(running: Running) -> None:
    """Everybody beats, nothing waits: exit 0."""
    running.beat_all()
    finished = running("status")
    assert (finished.code, "Nothing is late." in finished.out) == (0, True)
    assert running("status", "--json").json["well"]


def test_leads_without_a_rep_are_counted(running: Running, config_dir: Path) -> None:
    """Status and doctor say how many wait for somebody to be available, and for how long; nothing is late by that."""
    teams = config_dir / "teams.toml"
    teams.write_text(teams.read_text().replace('"sdr-managers"', '"sdr-managers"\nwhen_nobody = "queue"'))
    assert running("config", "apply", "--wait", "0").code == 0
    running.place.keep_up(wait=True)
    for rep in ("ana", "ben"):
        assert running("reps", "away", rep, "--by", "kim").code == 0
    running.beat_all()
    assert running("status", "--json").json["waiting_for_a_rep"]["leads"] == 0
    running.routed()
    waiting = running("status", "--json").json["waiting_for_a_rep"]
    assert (waiting["leads"], waiting["oldest_seconds"] >= 0) == (1, True)
    assert "without a rep  1, the oldest for" in running("status").out
    assert "1 lead without a rep, the oldest for" in running("doctor").out


def test_what_form_tools_are_asked_is_counted(running: Running) -> None:
    """Submissions of ids only, whose tool has not said who that is."""
    store = running.place.store
    now = store.now()
    store.queue.add(Submission("s1", "generic", now, b"{}"))
    (entry,) = store.queue.take("router", 1)
    assert "form tools     0" in running("status").out
    store.queue.settle([Await(entry.entry_id, entry.submission, "name", now, now)])
    asked = running("status", "--json").json["asked_of_form_tools"]
    assert (asked["submissions"], asked["oldest_seconds"] >= 0) == (1, True)
    assert "form tools     1 question of who somebody is, the oldest for" in running("status").out


def test_status_is_not_well(running: Running) -> None:
    """A stage nobody heard of, an old submission, an overdue lead: exit 1, each by name."""
    running.routed(received_at=running.ago(minutes=20))
    running.submit()
    running.place.store.operations.beat("web@host:1", running.ago(seconds=60))
    finished = running("status")
    assert finished.code == 1
    assert "late: clock" in finished.out
    assert "no sign of life from: router, clock, courier, auditor, web" in finished.out
    status = running("status", "--json").json
    assert (status["late"], status["stages"]["queue"]["waiting"], status["well"]) == (["clock"], 1, False)


def test_status_agrees_with_metrics(running: Running) -> None:
    """Both are asked of the same health: whoever looks at a dashboard and whoever types see one system."""
    running.routed(received_at=running.ago(minutes=20))
    running.routed(b"not json")
    running.submit()
    running.beat_all()
    reading = read_store(running.place)
    status = running("status", "--json").json
    exported = {
        (sample.name.removeprefix(PREFIX), *sample.labels.values()): sample.value
        for family in Scrape(running.place.config, reading, {}).collect()
        for sample in family.samples
    }
    names = ("queue", "put off", "clock", "outbox")
    queue, put_off, clock, outbox = (status["stages"][name] for name in names)
    assert {
        "queue_depth": exported["queue_depth", "incoming"],
        "put_off": exported["queue_depth", "patient"],
        "due_leads": exported["due_leads",],
        "open_leads": exported["open_leads",],
        "dead_letters": exported["dead_letters",],
        "outbox": sum(value for name, value in exported.items() if name[0] == "outbox_depth"),
        "routers": exported["stage_processes", "router"],
    } == {
        "queue_depth": queue["waiting"],
        "put_off": put_off["waiting"],
        "due_leads": clock["waiting"],
        "open_leads": status["open_leads"],
        "dead_letters": status["dead_letters"],
        "outbox": outbox["waiting"],
        "routers": status["pulses"]["router"]["alive"],
    }
    oldest = max(value for name, value in exported.items() if name[0] == "outbox_oldest_age_seconds")
    assert exported["due_oldest_age_seconds",] == pytest.approx(clock["oldest_seconds"], abs=10)
    assert oldest == pytest.approx(outbox["oldest_seconds"], abs=10)
    assert (queue["waiting"], clock["waiting"], status["dead_letters"]) == (1, 1, 1)


@pytest.mark.parametrize(
    ("heartbeats", "dead"),
    [
        ({}, ["router", "clock", "courier", "auditor"]),
        ({"router@a:1": 1.0, "clock@a:2": 14.9, "courier@a:3": 0.0, "auditor@a:2": 1.0}, []),
        (
            {
                "router@a:1": 900.0,
                "router@a:9": 1.0,
                "clock@a:2": 1.0,
                "courier@a:3": 1.0,
                "auditor@a:2": 1.0,
            },
            [],
        ),
        (
            {"router@a:1": 15.1, "clock@a:2": 1.0, "courier@a:3": 1.0, "auditor@a:2": 1.0, "web@a:4": 20.0},
            ["router", "web"],
        ),
    ],
)
def test_pulses(heartbeats: dict[str, float], dead: list[str]) -> None:
    """A stage is as alive as its youngest process; one that was never needed is not missed."""
    assert dead == [pulse.stage for pulse in pulses_of(heartbeats) if pulse.is_dead]


def test_ledger(running: Running, server_url: str, key_prefix: str) -> None:
    """It balances, until somebody deletes from the stream by hand."""
    running.routed()
    running.routed(b"{")
    running.submit()
    good = running("ledger")
    assert (good.code, good.out.endswith("The ledger balances.\n")) == (0, True)
    assert {
        "received": 3,
        "leads": 1,
        "dead_letters": 1,
        "in_flight": 1,
        "difference": 0,
        "balances": True,
    }.items() <= (running("ledger", "--json").json.items())
    with redis.Redis.from_url(server_url) as client:
        stream = Keys(key_prefix).incoming
        client.xdel(stream, client.xrange(stream)[0][0])
    bad = running("ledger")
    assert (bad.code, "does NOT balance: 1 submission unaccounted for" in bad.out) == (1, True)
    assert "does NOT balance" in running("doctor", "--skip-processes").out


def test_balance_the_other_way() -> None:
    """More accounted for than received is wrong as well."""
    assert "2 submissions more accounted for" in balance_in_words(Ledger(1, 3, 0, 0, 0, 0, 0))


def well(running: Running) -> dict[str, str]:
    """An environment in which nothing is wrong."""
    return {
        "INTAKE_TOKEN": "a-long-enough-secret",
        "MANAGERS_URL": "https://managers.example.com/alerts",
        "MANAGERS_SECRET": "whsec_" + "QUJDREVGR0hJSktMTU5PUFFSU1RVVldY",
        "STL_PUBLIC_URL": "https://leads.example.com",
        "STL_API_KEYS": f"crm:read:{'0' * 64}",
        "STL_FALLBACK_DESTINATION": "sdr-managers",
    }


def test_doctor_is_content(running: Running) -> None:
    """A whole set-up has no problem."""
    running.beat_all()
    finished = running("doctor", env=well(running))
    assert (finished.code, "0 problems" in finished.out) == (0, True)
    assert "every write is on disk before it is answered" in finished.out


@pytest.mark.parametrize(
    ("changed", "severity", "says"),
    [
        ({"INTAKE_TOKEN": ""}, "problem", '"website-demo": INTAKE_TOKEN is not set'),
        ({"MANAGERS_URL": ""}, "problem", '"sdr-managers": environment variable MANAGERS_URL'),
        ({"STL_API_KEYS": ""}, "warning", "STL_API_KEYS is not set"),
        ({"STL_API_KEYS": "k" * 20}, "warning", "STL_API_KEYS holds 1 key in the clear"),
        (
            {"STL_API_KEYS": f"crm:read:{'0' * 64}:until-2020-01-01"},
            "warning",
            "API key crm ran out on 2020-01-01",
        ),
        ({"STL_API_KEYS": "crm:read:x"}, "problem", "STL_API_KEYS: entry 1 has no hash"),
        ({"INTAKE_TOKEN": "short"}, "warning", "the token in INTAKE_TOKEN has fewer than 16 characters"),
        ({"STL_PUBLIC_URL": ""}, "warning", "STL_PUBLIC_URL is not set"),
        ({"STL_FALLBACK_DESTINATION": "console"}, "warning", "which only prints"),
        ({"STL_FALLBACK_DESTINATION": "consol"}, "problem", "no destination"),
        ({"STL_CONFG_DIR": "x"}, "problem", "did you mean STL_CONFIG_DIR?"),
        ({"STL_CONFIG_DIR": "nowhere"}, "problem", "there is no such directory"),
        ({"PORT": "abc"}, "problem", "PORT"),
        ({"REDIS_URL": "http://x"}, "problem", "REDIS_URL"),
        ({"REDIS_URL": "redis://127.0.0.1:1/0"}, "problem", "cannot be reached"),
    ],
)
def test_doctor_finds(running: Running, changed: dict[str, str], severity: str, says: str) -> None:
    """One thing wrong is one finding, with its severity; the exit code is 1 for problems only."""
    running.beat_all()
    finished = running("doctor", "--json", env=well(running) | changed)
    [found] = [one for one in finished.json["findings"] if says in one["what"]]
    assert severity == found["severity"]
    assert found["causes"]
    assert found["to_do"]
    assert (1 if severity == "problem" else 0) == finished.code


def test_doctor_finds_a_token_that_asks_for_leads(running: Running, config_dir: Path) -> None:
    """A hook that takes everything is not enough where the tool sends ids only."""
    with (config_dir / "intake.toml").open("a", encoding="utf-8") as file:
        file.write('\n[forms.ads]\nprovider = "meta"\nauth = "none"\napi_token_env = "PAGE_TOKEN"\n')
    running.beat_all()
    findings = running("doctor", "--json", env=well(running)).json["findings"]
    assert ["problem"] == [one["severity"] for one in findings if "PAGE_TOKEN is not set" in one["what"]]
    findings = running("doctor", "--json", env=well(running) | {"PAGE_TOKEN": "t" * 20}).json["findings"]
    assert [] == [one["what"] for one in findings if "PAGE_TOKEN" in one["what"]]


def test_doctor_finds_what_was_put_aside(running: Running) -> None:
    """Dead letters, dead alerts, quarantined leads and silent stages, each with the command that mends it."""
    running.routed(b"{")
    late = running.routed(received_at=running.ago(minutes=20))
    flow.sweep(running.place)
    flow.deliver(running.place, "sdr-managers")
    running.place.store.leads.quarantine(late, "KeyError while escalating it")
    finished = running("doctor")
    assert finished.code == 1
    for fragment in (
        "processes: the router never gave a sign of life",
        f"quarantine: lead {late}: KeyError",
        f"speed-to-lead leads release {late}",
        "alert given up",
        "1 dead letter",
        "alerts redrive --all-dead",
        "dead-letters replay --all",
    ):
        assert fragment in finished.out
    assert "processes:" not in running("doctor", "--skip-processes").out


def test_doctor_knows_what_up_made_up(run: Run, config_dir: Path, tmp_path: Path) -> None:
    """Secrets that `up` made up for its processes are not missing."""
    (tmp_path / "secrets.env").write_text(
        "INTAKE_TOKEN=made-up-by-up-0123\nSTL_API_KEYS=made-up-as-well-for-you\n"
    )
    finished = run("doctor", env={"STL_DATA_DIR": str(tmp_path), "STL_CONFIG_DIR": str(config_dir)})
    assert "INTAKE_TOKEN" not in finished.out
    assert "STL_API_KEYS" not in finished.out


@pytest.mark.parametrize(
    ("policy", "severity", "says"),
    [
        (ServerPolicy("6.0.16", "noeviction", True, "always", 0), Severity.PROBLEM, "6.2 or newer"),
        (
            ServerPolicy("9.0.1", "allkeys-lru", True, "always", 0),
            Severity.PROBLEM,
            "maxmemory-policy is allkeys-lru",
        ),
        (ServerPolicy("9.0.1", None, True, "always", 0), Severity.WARNING, "memory runs short"),
        (ServerPolicy("9.0.1", "noeviction", False, "always", 0), Severity.PROBLEM, "appendonly no"),
        (ServerPolicy("9.0.1", "noeviction", None, None, 0), Severity.WARNING, "does not say whether"),
        (ServerPolicy("9.0.1", "noeviction", True, "everysec", 0), Severity.WARNING, "everysec"),
        (ServerPolicy("9.0.1", "noeviction", True, "no", 0), Severity.PROBLEM, "appendfsync is no"),
        (
            ServerPolicy("8.0.2", "noeviction", True, "always", 0, may_hold_half=True),
            Severity.WARNING,
            "anew since it was started",
        ),
        (ServerPolicy("9.0.1", "noeviction", True, "always", -3.2), Severity.WARNING, "3.2 s behind"),
        (ServerPolicy("unknown", "noeviction", True, "always", 0.9), Severity.OK, "answers"),
    ],
)
def test_policy(policy: ServerPolicy, severity: Severity, says: str) -> None:
    """Each way a server can be set up wrongly, what it costs, and the command that mends it."""
    [found] = [one for one in check_policy(policy, "host:6379") if says in one.what]
    assert severity is found.severity
    assert severity is Severity.OK or (found.causes and found.to_do)


def test_persistence_of_a_good_server_is_ok() -> None:
    """Nothing to complain of is said too."""
    [found] = _persistence(ServerPolicy("9.0.1", "noeviction", True, "always", 0))
    assert Severity.OK is found.severity


def test_a_server_that_refuses(running: Running, restartable_server: RealServer) -> None:
    """A server that wants a password, or another one, is told apart from one that is gone; no password is told."""
    with redis.Redis.from_url(restartable_server.url) as client:
        client.config_set("requirepass", "hunter2")
    finished = running("status", env={"REDIS_URL": restartable_server.url})
    assert (finished.code, "wants a password" in finished.err) == (2, True)
    wrong = restartable_server.url.replace("redis://", "redis://:wrong@")
    finished = running("status", env={"REDIS_URL": wrong})
    assert (finished.code, "refuses the password" in finished.err, "wrong@" in finished.err) == (
        2,
        True,
        False,
    )


def test_start_is_quick(config_dir: Path) -> None:
    """`config explain` starts in well under a second of processor time; what shares the core only adds to it."""
    took = []
    for _ in range(3):
        before = os.times()
        subprocess.run(
            command("config", "explain", "--config", str(config_dir)),
            input=b'{"email": "kim@example.com"}',
            env=environment(),
            check=True,
            capture_output=True,
            timeout=10,
        )
        after = os.times()
        took.append(
            after.children_user + after.children_system - before.children_user - before.children_system
        )
    assert min(took) < 1.5


@pytest.mark.parametrize(
    ("replicas", "least", "confirmed", "has_sentinels", "severities", "says"),
    [
        (0, 0, 0, False, [], ""),
        (None, None, 1, False, [], ""),
        (2, 1, 1, True, ["ok"], "2 follow the primary, 1 must hold what is accepted"),
        (0, 1, 1, True, ["problem"], "asks for 1, and 0 replicas follow the primary"),
        (1, 1, 2, False, ["problem"], "asks for 2, and 1 replica follow"),
        (2, 1, 0, True, ["warning"], "STL_CONFIRM_REPLICAS is not set"),
        (1, 0, 0, False, ["warning"], "STL_CONFIRM_REPLICAS is not set"),
        (2, 0, 1, True, ["ok", "warning"], "min-replicas-to-write is 0"),
    ],
)
def test_doctor_says_what_a_failover_could_lose(
    replicas: int | None,
    least: int | None,
    confirmed: int,
    has_sentinels: bool,
    severities: list[str],
    says: str,
) -> None:
    """Too few replicas is a problem, none asked for is a warning; where the server will not say, nothing is claimed."""
    policy = ServerPolicy("9.1", "noeviction", True, "always", 0.0, replicas, least)
    found = list(check_replicas(policy, confirmed, has_sentinels=has_sentinels))
    assert severities == [one.severity.value for one in found]
    assert says in " ".join(one.what for one in found)


def test_too_few_replicas_are_told_by_every_command(running: Running) -> None:
    """A change is done, but not for good: exit 2 and the reason; the doctor has a problem."""
    lead_id = running.routed()
    env = {"STL_CONFIRM_REPLICAS": "1"}
    answered = running("leads", "respond", lead_id, "--kind", "connected", "--by", "ana", env=env)
    doctor = running("doctor", "--skip-processes", env=env)
    assert (answered.code, doctor.code) == (2, 1)
    assert "has too few replicas in step" in answered.err
    assert "STL_CONFIRM_REPLICAS asks for 1, and 0 replicas follow the primary" in doctor.out
    assert running("leads", "respond", lead_id, "--kind", "connected", "--by", "ana").code == 0


def test_watchdog_once(running: Running) -> None:
    """For a probe: 0 and nothing said, 1 and a line for each problem, 2 where nothing can be known."""
    running.beat_all()
    well = running("watchdog", "--once")
    assert (well.code, well.out) == (0, "")
    running.place.store.operations.beat("web@host:1", running.ago(seconds=1))
    server = running.place.store
    for stage in ("router", "clock", "courier", "auditor", "web", "watchdog"):
        for process in [name for name in server.operations.health().heartbeats if name.startswith(stage)]:
            server.operations.beat(process, running.ago(seconds=60))
    ill = running("watchdog", "--once")
    assert (ill.code, "The router has been silent for 15 s" in ill.out.splitlines()) == (1, True)
    away = running("watchdog", "--once", env={"REDIS_URL": "redis://127.0.0.1:1/0"})
    assert away.code == 2
