"""What people in a hurry get wrong: one sentence that helps, the right exit code, and never a traceback."""

import json
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from redis.connection import DefaultParser
from tests.cli.conftest import MONDAY, Run, Running, arguments
from tests.cli.test_explain import environment
from tests.servers import free_port

from speed_to_lead.cli.connect import why_unavailable
from speed_to_lead.store import StoreUnavailable
from speed_to_lead.store.server import translated_errors

LEAD = json.dumps({"email": "kim@example.com", "source": "demo_request", "received_at": MONDAY}).encode()


@dataclass(frozen=True)
class Mistake:
    """A command line (`{rules}` and `{here}` are directories), what it meets, and what must be said about it."""

    line: str
    says: str
    code: int = 2
    stdin: bytes = b""
    env: Mapping[str, str] = field(default_factory=dict)
    files: Mapping[str, bytes] = field(default_factory=dict)


EXPLAIN = "config explain --config {rules}"
SOMEWHERE = {"REDIS_URL": "redis://127.0.0.1:1/0"}

MISTAKES = {
    # commands and options
    "no command": Mistake("", "Usage:"),
    "group without a command": Mistake("leads", "Usage:"),
    "typo in a command": Mistake("leds", "Did you mean 'leads'"),
    "typo in a subcommand": Mistake("config chek", "Did you mean 'check'"),
    "typo in an option": Mistake("config check --jsn", "--json"),
    "unknown option of explain": Mistake("config explain --time x", "No such option"),
    "option without its value": Mistake("config explain --at", "requires an argument"),
    "too many arguments": Mistake("ledger now", "unexpected extra argument"),
    "missing id": Mistake("leads show", "Missing argument 'ID'"),
    "missing --by": Mistake("leads respond l-1 --kind attempted", "Missing option '--by'"),
    "missing --kind": Mistake("leads respond l-1 --by ana", "Missing option '--kind'"),
    "unknown kind": Mistake("leads respond l-1 --kind called --by ana", "'attempted'"),
    "unknown state": Mistake("leads list --state opn", "'open'"),
    "negative limit": Mistake("leads list --limit -3", "--limit"),
    "limit of nothing": Mistake("alerts list --limit 0", "--limit"),
    "limit in words": Mistake("leads list --limit ten", "valid integer"),
    "cursor made up": Mistake("leads list --cursor page2", "no cursor"),
    "replay nothing": Mistake("dead-letters replay", "--all"),
    "replay one and all": Mistake("dead-letters replay x --all", "--all"),
    "redrive nothing": Mistake("alerts redrive", "--all-dead"),
    "port in words": Mistake("up --port web", "valid integer"),
    "port too high": Mistake("up --port 70000", "65535"),
    # times
    "time without offset": Mistake(EXPLAIN + " --at 2026-01-05T09:00", "no offset", stdin=LEAD),
    "time in words": Mistake(EXPLAIN + " --at yesterday", "ISO 8601", stdin=LEAD),
    "time of day only": Mistake("leads respond l-1 --kind attempted --by ana --at 10:30", "ISO 8601"),
    "time that does not exist": Mistake(EXPLAIN + " --at 2026-02-30T09:00Z", "ISO 8601", stdin=LEAD),
    # files of leads
    "missing file": Mistake(EXPLAIN + " leads.json", 'there is no file "leads.json"'),
    "directory as file": Mistake(EXPLAIN + " {here}", "is a directory"),
    "the lead itself as file": Mistake(EXPLAIN + ' {{"email":"a@b.c"}}', "pipe it in"),
    "empty stdin": Mistake(EXPLAIN, "the input is empty"),
    "blank lines only": Mistake(EXPLAIN, "the input is empty", stdin=b"\r\n\n"),
    "UTF-16 file": Mistake(EXPLAIN + " a.json", "UTF-16", files={"a.json": LEAD.decode().encode("utf-16")}),
    "latin-1 file": Mistake(
        EXPLAIN + " a.json", "save the file as UTF-8", 1, files={"a.json": b'{"name":"Zo\xeb"}'}
    ),
    "CSV file": Mistake(
        EXPLAIN + " a.csv", "not JSON", 1, files={"a.csv": b"email,name\nkim@example.com,Kim\n"}
    ),
    "single quotes": Mistake(EXPLAIN, "not JSON", 1, stdin=b"{'email': 'a@b.c'}"),
    "comma at the end": Mistake(EXPLAIN, "not JSON", 1, stdin=b'{\n "email": "a@b.c",\n}'),
    "brace forgotten": Mistake(EXPLAIN, "not JSON", 1, stdin=b'{"email": "a@b.c"'),
    "nobody to answer": Mistake(EXPLAIN, "nobody to answer", 1, stdin=b'{"company": "Acme"}'),
    "no object": Mistake(EXPLAIN, "a lead is a JSON object", 1, stdin=b"42"),
    "binary file": Mistake(EXPLAIN, "UTF-8", 1, stdin=bytes(range(128, 256))),
    # config
    "missing config directory": Mistake("config check --config nowhere", "there is no such directory"),
    "default config directory missing": Mistake("config check", "there is no such directory"),
    "file as config directory": Mistake(
        "config check --config a.toml", "not a directory", files={"a.toml": b""}
    ),
    "empty config directory": Mistake("config check --config {here}", "routing.toml", 1),
    "explain without config": Mistake(
        "config explain --config nowhere", "there is no such directory", stdin=LEAD
    ),
    "config option without directory": Mistake("config check --config", "requires an argument"),
    "unknown destination": Mistake(
        "alerts test sdr-manager --config {rules}", 'did you mean "sdr-managers"?'
    ),
    "destination without its secret": Mistake("alerts test sdr-managers --config {rules}", "MANAGERS_", 1),
    # settings
    "unknown setting": Mistake("status", "did you mean STL_CONFIG_DIR?", env={"STL_CONFG_DIR": "x"}),
    "unknown setting, explain": Mistake(EXPLAIN, "STL_CONFIG_DIR", stdin=LEAD, env={"STL_CONFG_DIR": "x"}),
    "PORT in words": Mistake("status", "PORT", env={"PORT": "abc"} | SOMEWHERE),
    "PORT too high": Mistake("ledger", "PORT", env={"PORT": "99999"} | SOMEWHERE),
    "log level in words": Mistake("status", "STL_LOG_LEVEL", env={"STL_LOG_LEVEL": "loud"} | SOMEWHERE),
    "API key too short": Mistake("status", "16 characters", env={"STL_API_KEYS": "abc"} | SOMEWHERE),
    "key prefix with a colon": Mistake("status", "STL_KEY_PREFIX", env={"STL_KEY_PREFIX": "a:b"} | SOMEWHERE),
    "no server known": Mistake("status", "REDIS_URL is not set"),
    "REDIS_URL of another scheme": Mistake("status", "redis://", env={"REDIS_URL": "http://localhost:6379"}),
    "REDIS_URL without scheme": Mistake("leads list", "redis://", env={"REDIS_URL": "localhost:6379"}),
    "REDIS_URL with a port in words": Mistake(
        "status", "redis://", env={"REDIS_URL": "redis://localhost:port/0"}
    ),
    "closed port": Mistake("status", "127.0.0.1:1", env=SOMEWHERE),
    "closed port, leads": Mistake("leads list", "cannot be reached", env=SOMEWHERE),
    "closed port, dead letters": Mistake("dead-letters list", "cannot be reached", env=SOMEWHERE),
    "closed port, alerts": Mistake("alerts redrive --all-dead", "cannot be reached", env=SOMEWHERE),
    "closed port, doctor": Mistake("doctor", "cannot be reached", 1, env=SOMEWHERE),
    "unknown host": Mistake("ledger", "nowhere.invalid", env={"REDIS_URL": "redis://nowhere.invalid:6379/0"}),
    "rules needed to reassign": Mistake(
        "leads reassign l-1 ana --by me",
        "there is no such directory",
        env=SOMEWHERE | {"STL_CONFIG_DIR": "nowhere"},
    ),
}


@pytest.mark.parametrize("mistake", MISTAKES.values(), ids=MISTAKES.keys())
def test_mistake(run: Run, config_dir: Path, mistake: Mistake) -> None:
    """The exit code is right, the sentence helps, and there is no traceback."""
    for name, content in mistake.files.items():
        Path(name).write_bytes(content)
    words = arguments(mistake.line, rules=config_dir, here=Path.cwd())
    finished = run(*words, stdin=mistake.stdin, env=mistake.env)
    said = finished.out + finished.err
    assert mistake.says in said
    assert mistake.code == finished.code
    assert "Traceback" not in said
    assert len(finished.err) < 700


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("leads show nope", 'there is no lead "nope"'),
        ("leads respond nope --kind attempted --by ana", 'there is no lead "nope"'),
        ("leads close nope --reason spam --by ana", 'there is no lead "nope"'),
        ("leads reassign nope ana --by me", 'there is no lead "nope"'),
        ("leads reassign {lead} anna --by me", 'there is no rep "anna"; the reps are ana, ben, cleo'),
        ("leads respond {lead} --kind attempted --by ana --at 2099-01-01T00:00:00Z", "in the future"),
        (
            "leads respond {lead} --kind attempted --by ana --at 2001-01-01T00:00:00Z",
            "before the lead was received",
        ),
        ("dead-letters show nope", 'there is no dead letter "nope"'),
        ("dead-letters show {lead}", "is a lead"),
        ("dead-letters replay nope", "there is no dead letter"),
        ("dead-letters discard nope", "there is no dead letter"),
        ("alerts redrive nope", 'no alert "nope" was given up'),
    ],
)
def test_mistake_with_a_server(running: Running, line: str, says: str) -> None:
    """The same where there is a server: what was named is not there, or cannot be done."""
    finished = running(*arguments(line, lead=running.routed()))
    assert says in finished.err
    assert (finished.code, finished.out) == (2, "")


@pytest.mark.parametrize("option", ["--by", "--reason"])
def test_blank_is_missing(run: Run, option: str) -> None:
    """A blank name or reason is as good as none."""
    given = {"--by": "ana", "--reason": "spam"} | {option: "  "}
    finished = run("leads", "close", "l-1", *(word for pair in given.items() for word in pair))
    assert finished.code == 2
    assert option in finished.err


def test_the_password_is_never_told(run: Run) -> None:
    """The sentence names the host only."""
    finished = run("status", env={"REDIS_URL": f"redis://user:hunter2@127.0.0.1:{free_port()}/0"})
    assert "hunter2" not in finished.out + finished.err
    assert "127.0.0.1" in finished.err


@pytest.mark.parametrize(
    "words",
    [["leds"], ["config", "explain", "--config", "nowhere"], ["status"], ["up", "--config", "nowhere"]],
)
def test_in_a_process_of_its_own(words: list[str], tmp_path: Path) -> None:
    """The same from a real shell: exit code 2, one sentence, nothing on stdout."""
    done = subprocess.run(
        [sys.executable, "-m", "speed_to_lead.cli", *words],
        capture_output=True,
        env=environment(),
        cwd=tmp_path,
        input=b"",
        check=False,
        text=False,
    )
    assert done.returncode == 2
    assert b"speed-to-lead: " in done.stderr
    assert b"Traceback" not in done.stderr
    assert done.stdout == b""


def test_interrupted(run: Run, config_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ctrl-C ends it in one word."""

    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("speed_to_lead.cli.explain.explain_line", interrupted)
    finished = run("config", "explain", "--config", str(config_dir), stdin=LEAD)
    assert (finished.code, finished.err) == (130, "speed-to-lead: stopped\n")


@pytest.mark.parametrize(
    ("answer", "says"),
    [
        ("OOM command not allowed when used memory > 'maxmemory'.", "is out of memory"),
        ("READONLY You can't write against a read only replica.", "is a replica"),
        ("LOADING Redis is loading the dataset in memory", "is still reading its data"),
        ("NOPERM this user has no permissions to run the 'evalsha' command", "does not allow this user"),
        ("MISCONF Errors writing to the AOF file: No space left on device", "cannot write to its disk"),
    ],
)
def test_a_refusal_is_told_as_what_it_is(answer: str, says: str) -> None:
    """A server that answers, but takes nothing, is not one to start."""
    error = DefaultParser(65536).parse_error(answer)  # type: ignore[no-untyped-call]
    with pytest.raises(StoreUnavailable) as raised, translated_errors():
        raise error
    assert says in why_unavailable(raised.value)
