"""`config explain`: leads in by every notation, one explanation each out, in the exact shape that was promised."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from tests.cli.conftest import MONDAY, Run
from tests.crm.far_side import new_crm

KEYS = [
    "id", "source", "channel", "campaign", "rule", "team", "rep", "sla", "received_at", "deadline", "steps", "trace",
]  # fmt: skip


def lead(**more: Any) -> dict[str, Any]:
    return {"email": "kim@example.com", "source": "demo_request", "received_at": MONDAY} | more


def explained(run: Run, config_dir: Path, given: bytes | Any, *options: str) -> list[Any]:
    stdin = given if isinstance(given, bytes) else json.dumps(given).encode()
    finished = run("config", "explain", "--config", str(config_dir), "--json", *options, stdin=stdin)
    assert "Traceback" not in finished.err
    return finished.lines


def test_one_object_for_each_lead(run: Run, config_dir: Path) -> None:
    """The object has exactly the promised keys in the promised order, and instants in UTC ending in Z."""
    [got] = explained(
        run, config_dir, lead(id="l-1", utm_medium="cpc", utm_source="google", campaign="spring")
    )
    trace = got.pop("trace")
    assert KEYS[:-1] == list(got)
    assert got == {
        "id": "l-1",
        "source": "demo_request",
        "channel": "Paid Search",
        "campaign": "spring",
        "rule": "Demos",
        "team": "inbound",
        "rep": "ana",
        "sla": "inbound-5m",
        "received_at": "2026-01-05T14:00:00Z",
        "deadline": "2026-01-05T14:05:00Z",
        "steps": [
            {"at": "2026-01-05T14:00:00Z", "name": "0%", "tell": ["rep"]},
            {"at": "2026-01-05T14:03:00Z", "name": "60%", "remind": ["rep"]},
            {"at": "2026-01-05T14:05:00Z", "name": "100%", "alert": ["manager"], "reassign": True},
        ],
    }
    assert 'rep is "ana": team "inbound", round_robin' in trace
    assert "known to the server only" in trace[-1]


@pytest.mark.parametrize(
    ("given", "ids"),
    [
        pytest.param(json.dumps(lead(id=1), indent=2).encode(), [1], id="one object over several lines"),
        pytest.param(json.dumps([lead(id=1), lead(id=2)]).encode(), [1, 2], id="array on one line"),
        pytest.param(json.dumps([lead(id=1), lead(id=2)], indent=1).encode(), [1, 2], id="array over lines"),
        pytest.param(
            b"\n".join(json.dumps(lead(id=n)).encode() for n in (1, 2, 3)), [1, 2, 3], id="JSON lines"
        ),
        pytest.param(
            b"\r\n\r\n".join(json.dumps(lead(id=n)).encode() for n in (1, 2)), [1, 2], id="CRLF and gaps"
        ),
        pytest.param(b"\xef\xbb\xbf" + json.dumps(lead(id=1)).encode(), [1], id="byte order mark"),
        pytest.param(
            json.dumps(lead(id=1), indent=2).encode() + b"\n" + json.dumps(lead(id=2), indent=2).encode(),
            [1, 2],
            id="several objects over several lines, as jq prints them",
        ),
        pytest.param(b"[]", [], id="empty array"),
        pytest.param(b"[\n]\n", [], id="empty array over lines"),
    ],
)
def test_every_notation(run: Run, config_dir: Path, given: bytes, ids: list[int]) -> None:
    """An object, an array and JSON lines say the same."""
    assert ids == [got["id"] for got in explained(run, config_dir, given)]


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("2026-01-05T09:00:00-05:00", "2026-01-05T14:00:00Z"),
        (1767621600123, "2026-01-05T14:00:00.123Z"),
        (None, "2026-01-07T12:00:00Z"),
    ],
)
def test_received_at(run: Run, config_dir: Path, given: Any, expected: str) -> None:
    """ISO with any offset, or milliseconds; left out, it is --at."""
    [got] = explained(run, config_dir, lead(received_at=given), "--at", "2026-01-07T12:00:00Z")
    assert expected == got["received_at"]


def test_form_gives_source_and_fields(run: Run, config_dir: Path) -> None:
    """A lead that names its form has that form's source, and its fields by that form's selectors."""
    [got] = explained(run, config_dir, {"phone": "+1 555 0100", "firm": "Acme", "form": "website-demo"})
    assert (got["source"], got["rule"]) == ("demo_request", "Demos")


def test_bad_lines_do_not_stop_the_others(run: Run, config_dir: Path) -> None:
    """Each bad line is an object with its line number; the others are explained; the exit code says so."""
    lines = [
        json.dumps(lead(id="a")),
        "{nonsense",
        json.dumps({"id": "b", "company": "Acme"}),
        "",
        json.dumps(lead(id="c", received_at="2026-01-05T14:00:00")),
        "[1]",
        json.dumps(lead(id="d")),
    ]
    finished = run(
        "config", "explain", "--config", str(config_dir), "--json", stdin="\n".join(lines).encode()
    )
    assert finished.code == 1
    got = finished.lines
    assert [one["id"] for one in got if "error" not in one] == ["a", "d"]
    errors = [(one["id"], one["line"]) for one in got if "error" in one]
    assert errors == [(None, 2), ("b", 3), ("c", 5), (None, 6)]
    assert all(list(one) == ["id", "line", "error"] for one in got if "error" in one)
    assert "nobody to answer" in got[2]["error"]
    assert "no offset" in got[3]["error"]


def test_first_line_cut_off(run: Run, config_dir: Path) -> None:
    """JSON lines whose first line is cut off are still JSON lines."""
    text = f'{{"id": 1, "email": "a@b.c"\n{json.dumps(lead(id=2))}\n{json.dumps(lead(id=3))}'
    got = explained(run, config_dir, text.encode())
    assert [(one["id"], one.get("line")) for one in got] == [(None, 1), (2, None), (3, None)]


def test_mistake_inside_an_array(run: Run, config_dir: Path) -> None:
    """Array items before a mistake are explained, and the mistake has its line."""
    got = explained(run, config_dir, f"[\n{json.dumps(lead(id=1))},\n{{bad\n]".encode())
    assert [(one["id"], one.get("line")) for one in got] == [(1, None), (None, 3)]


@pytest.mark.parametrize(
    ("field", "fragment"),
    [
        ({"received_at": 1767621600}, "seconds?"),
        ({"received_at": True}, "milliseconds since 1970"),
        ({"received_at": 10**30}, "no number of milliseconds"),
        ({"received_at": "9999-12-31T23:59:59Z"}, "outside the years"),
        ({"received_at": "yesterday"}, "2026-11-22T09:30:00Z"),
        ({"form": "website-dmo"}, 'did you mean "website-demo"?'),
        ({"form": ["x"]}, "no form"),
    ],
)
def test_one_bad_field(run: Run, config_dir: Path, field: dict[str, Any], fragment: str) -> None:
    """The error names the field and what it takes."""
    [got] = explained(run, config_dir, lead(**field))
    assert fragment in got["error"]


def test_what_only_the_server_knows(run: Run, config_dir: Path) -> None:
    """An earlier lead of the person decides before the rotation does: the trace says that it would be looked up."""
    [got] = explained(run, config_dir, lead())
    assert got["trace"][-1] == (
        "  earlier leads are known to the server only: an open lead of this person, within 90d, would have this as a "
        "touch; the rep of an answered one would get it"
    )


def test_a_rule_that_keeps_companies_and_takes_named_owners(run: Run, config_dir: Path) -> None:
    """A named owner is known without a server, and then nothing else would be looked up but an open lead."""
    routing = config_dir / "routing.toml"
    text = routing.read_text()
    assert '[[rules]]\nname = "Demos"' in text
    routing.write_text(
        '[same_person]\nwithin = "7d"\n'
        + text.replace("[[rules]]", '[[rules]]\nkeep_with = "company"\nowner_from = "custom.owner"', 1)
    )
    [named] = explained(run, config_dir, lead(owner="Ana Ruiz"))
    [unknown] = explained(run, config_dir, lead(owner="zoe"))
    assert "  ana: named as its owner (custom.owner), on shift, takes no turn" in named["trace"]
    assert named["trace"][-1].endswith("an open lead of this person, within 7d, would have this as a touch")
    assert (
        '  the owner it names is not known: custom.owner is "zoe", nobody in teams.toml' in unknown["trace"]
    )
    assert unknown["trace"][-1].endswith("else the rep who has the company's newest open or answered lead")


def test_a_test_delivery_says_so(run: Run, config_dir: Path) -> None:
    """The router drops what calls itself a test; the trace must not promise otherwise."""
    [got] = explained(run, config_dir, lead(is_test=True))
    assert "the router would drop it" in got["trace"][0]


def test_for_people(run: Run, config_dir: Path) -> None:
    """People read where, by when on their own wall, the steps with whom they reach, and why; no escapes get through."""
    given = json.dumps(lead(id="l\x1b[2J-1")).encode()
    finished = run("config", "explain", "--config", str(config_dir), stdin=given)
    assert finished.code == 0
    assert "\x1b" not in finished.out
    for fragment in (
        "team inbound, rep ana (Ana Ruiz)",
        "2026-01-05T14:05:00Z  Mon 5 Jan 09:05 EST",
        "alert manager (sdr-managers); pass the lead on",
        'rule "Demos" matches',
    ):
        assert fragment in finished.out


def command(*words: str) -> list[str]:
    return [sys.executable, "-m", "speed_to_lead.cli", *words]


def environment(**more: str) -> dict[str, str]:
    ours = ("STL_", "REDIS_URL", "PORT")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
    return kept | {"PYTHONPATH": str(Path(__file__).parents[2] / "src")} | more


def test_a_stream_is_answered_line_by_line(config_dir: Path) -> None:
    """Each answer comes before the next lead is sent, and nothing listens at REDIS_URL."""
    with subprocess.Popen(
        command("config", "explain", "--json", "--config", str(config_dir), "-"),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env=environment(REDIS_URL="redis://127.0.0.1:1/0"),
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        for number in range(3):
            process.stdin.write(json.dumps(lead(id=number)).encode() + b"\n")
            process.stdin.flush()
            assert number == json.loads(process.stdout.readline())["id"]
        process.stdin.close()
        assert process.wait(60) == 0


def test_head_may_close_the_pipe(config_dir: Path, tmp_path: Path) -> None:
    """Whoever reads only the first line gets no error on the way out."""
    leads = tmp_path / "leads.jsonl"
    leads.write_text("\n".join(json.dumps(lead(id=number)) for number in range(2000)))
    with subprocess.Popen(
        command("config", "explain", "--json", "--config", str(config_dir), str(leads)),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=environment(),
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.readline()
        process.stdout.close()
        assert process.stderr.read() == b""
        assert process.wait(60) == 0


def test_ascii_output_stays_json(config_dir: Path) -> None:
    """Where the terminal knows ASCII only, JSON is still JSON."""
    done = subprocess.run(
        command("config", "explain", "--json", "--config", str(config_dir)),
        input=json.dumps(lead(id="Zoë 🚀 \ud800")).encode(),
        capture_output=True,
        env=environment(PYTHONIOENCODING="ascii"),
        check=True,
    )
    assert json.loads(done.stdout)["id"] == "Zoë 🚀 \ud800"


def test_thousands_a_second(config_dir: Path, tmp_path: Path) -> None:
    """Four thousand leads take well under ten seconds, the start included."""
    leads = tmp_path / "leads.jsonl"
    leads.write_text("\n".join(json.dumps(lead(id=number)) for number in range(4000)))
    started = time.monotonic()
    done = subprocess.run(
        command("config", "explain", "--json", "--config", str(config_dir), str(leads)),
        capture_output=True,
        env=environment(),
        check=True,
    )
    assert done.stdout.count(b"\n") == 4000
    assert time.monotonic() - started < 10


def test_what_it_does_not_import(config_dir: Path) -> None:
    """Its start stays short because what it needs not is not imported."""
    heavy = "celery", "redis", "fastapi", "uvicorn", "pydantic_settings"
    code = (
        "import sys; from speed_to_lead.cli import main; "
        f"code = main(['config', 'explain', '--config', {str(config_dir)!r}]); "
        f"print([name for name in {heavy!r} if name in sys.modules], file=sys.stderr); sys.exit(code)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        input=json.dumps(lead()).encode(),
        capture_output=True,
        env=environment(),
        check=True,
    )
    assert done.stderr == b"[]\n"


def test_a_lead_to_nurture(run: Run, config_dir: Path) -> None:
    """It has neither team, rep, SLA, deadline nor steps, and says where it is told of."""
    routing = config_dir / "routing.toml"
    rule = '[[rules]]\nname = "Not yet"\nwhen.employees = { at_most = 9 }\nnurture = "console"\n'
    routing.write_text(rule + routing.read_text())
    [got] = explained(run, config_dir, lead(employees="1-9"))
    gone = [got[key] for key in ("team", "rep", "sla", "deadline", "steps")]
    assert ([None, None, None, None, []], "console") == (gone, got["nurture"])
    assert 'rule "Not yet" matches: nurture, told to "console"; no rep, no clock, closed' == got["trace"][-1]
    told = run(
        "config", "explain", "--config", str(config_dir), stdin=json.dumps(lead(employees="1-9")).encode()
    )
    assert "nobody: to nurture, told to console" in told.out
    assert "answer by" not in told.out


@pytest.mark.parametrize(
    ("touches", "rule"), [(0, "Demos"), (1, "Again"), ("2", None), (-1, None), (True, None)]
)
def test_who_comes_again(run: Run, config_dir: Path, touches: Any, rule: str | None) -> None:
    """How often is told with the lead; what is no such number is said to be none."""
    routing = config_dir / "routing.toml"
    again = (
        '[[rules]]\nname = "Again"\nwhen.touches = { at_least = 1 }\nteam = "inbound"\nsla = "inbound-5m"\n'
    )
    routing.write_text(again + routing.read_text())
    [got] = explained(run, config_dir, lead(touches=touches))
    assert rule == got.get("rule")
    assert (rule is None) == (got.get("error") == "touches takes a whole number, 0 or more")


def test_scores_and_readings_are_explained(run: Run, config_dir: Path) -> None:
    """Every point, and every value that could not be read."""
    points = '[[points]]\nname = "Large"\npoints = 20\nwhen.employees = { at_least = 200 }\n'
    (config_dir / "scoring.toml").write_text(points)
    [got] = explained(run, config_dir, lead(employees="über 500", country="Atlantis"))
    assert 'score is 20: +20 "Large"' in got["trace"]
    assert 'country is "Atlantis", which is no country we know; it is compared as text' in got["trace"]


def test_flags_are_in_the_trace_and_decide(run: Run, config_dir: Path) -> None:
    """A rule that asks for one: the trace says which there are, by the same words as the router's."""
    routing = config_dir / "routing.toml"
    rule = '[[rules]]\nname = "Junk"\nwhen.flags = ["disposable_email", "honeypot"]\nteam = "referrals"\nsla = "same-day"\n'
    routing.write_text(rule + routing.read_text())
    intake = config_dir / "intake.toml"
    intake.write_text(intake.read_text() + 'honeypot = "fax"\n')
    leads = (
        b'{"email": "kim@mailinator.com", "name": "qwertyui", "source": "demo_request"}\n'
        b'{"email": "kim@example.com", "fax": "1", "form": "website-demo"}\n'
        b'{"email": "kim@example.com", "source": "demo_request"}\n'
    )
    found = explained(run, config_dir, leads)
    assert ["Junk", "Junk", "Demos"] == [one["rule"] for one in found]
    assert "flagged: honeypot" in found[1]["trace"]
    assert "flagged: disposable_email, gibberish_name" in found[0]["trace"]
    assert not [line for line in found[2]["trace"] if "flagged" in line]


def test_a_look_up(run: Run, config_dir: Path) -> None:
    """Without --ask nothing goes over the network, and the trace says so; with it the owner decides. `config test` never asks."""
    routing = config_dir / "routing.toml"
    with new_crm() as crm:
        crm.says("Ben Okoro")
        routing.write_text(
            f'[lookups.crm]\nurl = "http://127.0.0.1:{crm.port}/{{email}}"\nowner = "owner.email"\n'
            + routing.read_text().replace("[[rules]]", '[[rules]]\nowner_from = "lookup:crm"', 1)
        )
        [silent] = explained(run, config_dir, lead())
        assert [] == crm.asked
        [asked] = explained(run, config_dir, lead(), "--ask")
        assert 1 == len(crm.asked)
        (config_dir / "tests").mkdir(exist_ok=True)
        (config_dir / "tests" / "owner.toml").write_text(
            '[[tests]]\nname = "nobody is asked"\nreceived_at = "2026-11-23 10:00 America/New_York"\n'
            'lead.email = "kim@acme.com"\nlead.source = "demo_request"\nexpect.rep = "ana"\n'
        )
        assert 0 == run("config", "test", "--config", str(config_dir)).code
        assert 1 == len(crm.asked)
    why = "  look-up crm gives no owner: not asked, for only the router and config explain --ask do"
    assert why in silent["trace"]
    assert ("ana", "ben") == (silent["rep"], asked["rep"])
    assert "  ben: named as its owner (look-up crm), on shift, takes no turn" in asked["trace"]
