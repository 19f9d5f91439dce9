"""A small firm for benchmarks of whole processes: its rules, and the people who write to it.

Every team is on shift day and night, so that what is measured does not depend on when.
"""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import redis

from speed_to_lead import flow
from speed_to_lead.core.clock import to_ms
from speed_to_lead.store.keys import Keys

FORM = "web"
TEAMS = {"enterprise": 4, "inbound": 6, "partners": 3}
SOURCES = ("demo_request", "customer_referral", "outbound_list")
SLAS = {"demo_request": "inbound-5m", "customer_referral": "same-day", "outbound_list": "outbound-24bh"}
#: Submissions added in one pipeline.
_AT_ONCE = 500


def reps(team: str) -> list[str]:
    """The ids of a team's reps."""
    return [f"{team}-{number}" for number in range(TEAMS[team])]


def write_rules(directory: Path) -> Path:
    """Write the firm's config directory: three sources, five rules, three SLAs of four steps, three teams; the directory."""
    directory.mkdir(parents=True, exist_ok=True)
    sources = "".join(
        f'[sources.{name}]\nlabel = "{name}"\nmotion = "{motion}"\n'
        for name, motion in zip(SOURCES, ("inbound", "referral", "outbound"), strict=True)
    )
    teams = '[calendars.always]\ntimezone = "UTC"\nhours = { mon-sun = ["00:00-24:00"] }\n'
    for team in TEAMS:
        teams += f'[teams.{team}]\ncalendar = "always"\nmanager = "managers"\nassignment = "round_robin"\n'
        for rep in reps(team):
            teams += f'[[teams.{team}.reps]]\nid = "{rep}"\nname = "{rep}"\nnotify = "reps"\n'
    steps = (
        'steps = [{ at = "0%", tell = ["rep"] }, { at = "60%", remind = ["rep"] }, '
        '{ at = "100%", alert = ["manager"], reassign = true }, { at = "+10m", alert = ["head-of-sales"] }]\n'
    )
    slas = (
        f'[slas.inbound-5m]\nrespond_within = "5m"\n{steps}'
        f'[slas.same-day]\nrespond_by = "close_of_business"\n{steps}'
        f'[slas.outbound-24bh]\nrespond_within = "24h"\nclock = "business"\n{steps}'
    )
    rules = ""
    for name, condition, team, sla in (
        ("Large firms", 'when.employees = { at_least = 500 }\nwhen.source = "demo_request"', "enterprise", 0),
        ("Universities", 'when.email = { domain = "*.edu" }', "partners", 1),
        ("Demo", 'when.source = "demo_request"', "inbound", 0),
        ("Referral", 'when.source = "customer_referral"', "partners", 1),
        ("Lists", 'when.source = "outbound_list"', "inbound", 2),
    ):
        rules += f'[[rules]]\nname = "{name}"\n{condition}\nteam = "{team}"\nsla = "{SLAS[SOURCES[sla]]}"\n'
    files = {
        "sources.toml": sources,
        "teams.toml": teams,
        "slas.toml": slas,
        "routing.toml": f'{rules}[default]\nteam = "inbound"\nsla = "same-day"\n',
        "intake.toml": f'[forms.{FORM}]\nprovider = "generic"\nauth = "none"\n',
        "alerts.toml": "".join(
            f'[destinations.{name}]\ntype = "console"\n' for name in ("reps", "managers", "head-of-sales")
        ),
    }
    for name, text in files.items():
        (directory / name).write_text(text, encoding="utf-8")
    return directory


def lead_fields(number: int) -> dict[str, Any]:
    """What person `number` wrote into the form: a dozen fields, as a demo request has them."""
    return {
        "email": f"person-{number}@example.com",
        "first_name": "Sam",
        "last_name": f"Example-{number}",
        "phone": f"+1 212 555 {number % 10000:04}",
        "company": "Example Ltd",
        "website": "https://www.example.com",
        "country": "US",
        "employees": (40, 900, 120)[number % 3],
        "source": SOURCES[number % 10 % 3],
        "message": "We would like to see how it works for a team of ours, this week if that is possible.",
        "utm_source": "google",
        "utm_medium": "cpc",
        "utm_campaign": "autumn",
    }


def lead_body(number: int) -> bytes:
    """The same as it comes over HTTP."""
    return json.dumps(lead_fields(number)).encode()


def fill_queue(client: redis.Redis, prefix: str, count: int, first: int = 0) -> None:
    """Put so many people's submissions into the queue, as any program may (docs/redis-keys.md), in pipelines."""
    now = datetime.now(UTC)
    stream = Keys(prefix).incoming
    for start in range(first, first + count, _AT_ONCE):
        pipe = client.pipeline(transaction=False)
        for number in range(start, min(start + _AT_ONCE, first + count)):
            fields: dict[Any, Any] = {
                "id": flow.new_submission_id(now),
                "form": FORM,
                "received_at": to_ms(now),
                "body": lead_body(number),
                "content_type": "application/json",
            }
            pipe.xadd(stream, fields)
        pipe.execute()
