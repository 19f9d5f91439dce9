"""Routing with one Celery task for each lead, as somebody who knows Celery and Redis would write it.

The broker is the server that also holds the leads. The task parses the body, validates it with pydantic, drops what it
has seen, finds the person's open lead, picks rule, team, rep and deadline, and writes everything in one transaction, the
same that the router writes: the record with its ladder and its trace, the history, the deadline, the person, the alert
to the rep with its attempts, the rep's load, the team's turn, the counters and the metrics.
Its rules are those of benchmarks/firm.py, written as Python. Two round trips: one for what it must know, one to write.

    celery -A benchmarks.peers.celery_per_lead worker -P solo
"""

import json
import os
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any

import redis
from celery import Celery
from pydantic import BaseModel, ConfigDict

from benchmarks.firm import TEAMS, lead_body, reps

WORKER = ("--without-gossip", "--without-mingle", "--without-heartbeat", "-l", "warning")
_KEPT = timedelta(days=14)
_NOTHING, _TEN_MINUTES = timedelta(), timedelta(minutes=10)
_BUCKETS = (0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 900, 3600)

app = Celery("per-lead", broker=os.environ.get("REDIS_URL", "redis://127.0.0.1:6379/0"))
app.conf.update(
    task_ignore_result=True,
    task_acks_late=True,  # a worker that dies does not take the lead with it
    task_reject_on_worker_lost=True,
    worker_prefetch_multiplier=64,  # of 1, 4, 64 and no limit, within noise the best
    worker_send_task_events=False,
    worker_enable_remote_control=False,
    broker_connection_retry_on_startup=True,
    task_default_queue="per-lead",
    accept_content=["json"],
)


class Lead(BaseModel):
    """What the form says."""

    model_config = ConfigDict(extra="allow")

    email: str
    first_name: str = ""
    last_name: str = ""
    phone: str = ""
    company: str = ""
    country: str = ""
    employees: int | None = None
    source: str
    message: str = ""


@cache
def server() -> "redis.Redis":
    """This process's connections."""
    return redis.Redis.from_url(os.environ["REDIS_URL"], decode_responses=True)


@app.task(name="route_lead")  # type: ignore[untyped-decorator]
def route_lead(submission_id: str, received_at: float, body: str) -> None:
    """Route one submission."""
    lead = Lead.model_validate_json(body)
    rule, team, within = rule_of(lead)
    received = datetime.fromtimestamp(received_at, UTC)
    client = server()
    asked: Any = client.pipeline(transaction=False)
    asked.get(f"seen:{submission_id}")
    asked.get(f"person:{lead.email.lower()}")
    asked.incr(f"turn:{team}")
    seen, theirs, turn = asked.execute()
    if seen:
        return
    members = reps(team)
    rep = members[turn % len(members)]
    deadline = received + within
    lead_id = theirs or submission_id
    record = lead.model_dump() | {
        "id": lead_id,
        "state": "open",
        "received_at": received.isoformat(),
        "rule": rule,
        "team": team,
        "rep": rep,
        "deadline": deadline.isoformat(),
        "steps": [
            [name, (received + within * share + late).isoformat(), to]
            for name, share, late, to in (
                ("0%", 0, _NOTHING, "rep"),
                ("60%", 0.6, _NOTHING, "rep"),
                ("100%", 1, _NOTHING, "manager"),
                ("+10m", 1, _TEN_MINUTES, "head-of-sales"),
            )
        ],
        "trace": [
            f"source is {lead.source}",
            f"rule {rule} matches",
            f"team is {team}",
            f"deadline is {deadline.isoformat()}",
            *(f"{one}: {'picked' if one == rep else 'not their turn'}" for one in members),
        ],
    }
    alert = {"lead": lead_id, "step": "0%", "to": "reps", "rep": rep, "deadline": deadline.isoformat()}
    write: Any = client.pipeline(transaction=True)
    write.set(f"seen:{submission_id}", lead_id, ex=_KEPT)
    if theirs:
        write.rpush(f"history:{lead_id}", json.dumps({"event": "touched", "at": received_at}))
        write.hincrby("counters", "touches", 1)
    else:
        write.set(f"lead:{lead_id}", json.dumps(record))
        write.zadd("leads", {lead_id: received_at})
        write.sadd("open", lead_id)
        write.set(f"person:{lead.email.lower()}", lead_id)
        write.zadd("due", {lead_id: (received + within * 0.6).timestamp()})
        write.rpush(
            f"history:{lead_id}",
            json.dumps({"event": "routed", "at": received_at, "rule": rule, "team": team, "rep": rep}),
            json.dumps({"event": "step", "at": received_at, "step": "0%", "told": ["reps"]}),
        )
        write.hset("alerts", f"{lead_id}:0%:reps", json.dumps(alert))
        write.hset("attempts", f"{lead_id}:0%:reps", 0)
        write.zadd("outbox:reps", {f"{lead_id}:0%:reps": received_at})
        write.sadd("outboxes", "reps")
        write.hincrby("load", rep, 1)
        write.hincrby("load:changes", rep, 1)
        write.hincrby("counters", "leads", 1)
        lag = datetime.now(UTC) - received
        write.hincrby("metrics", f"routed:{team}:{lead.source}", 1)
        write.hincrby("metrics", "submissions:web:lead", 1)
        write.hincrby("metrics", f"lag:{next((b for b in _BUCKETS if lag.total_seconds() <= b), 'inf')}", 1)
        write.hincrby("metrics", "lag:sum", int(lag.total_seconds() * 1000))
    write.execute()


@app.task(name="nothing")  # type: ignore[untyped-decorator]
def nothing(submission_id: str, received_at: float, body: str) -> None:
    """Do no more than count: what Celery itself costs."""
    del submission_id, received_at, body
    server().incr("nothing")


def rule_of(lead: Lead) -> tuple[str, str, timedelta]:
    """The name of the rule that matches, its team, and how soon the answer is due."""
    if lead.source == "demo_request" and (lead.employees or 0) >= 500:
        return "Large firms", "enterprise", timedelta(minutes=5)
    if lead.email.endswith(".edu"):
        return "Universities", "partners", timedelta(hours=8)
    if lead.source == "demo_request":
        return "Demo", "inbound", timedelta(minutes=5)
    if lead.source == "customer_referral":
        return "Referral", "partners", timedelta(hours=8)
    return "Lists", "inbound", timedelta(hours=24)


def publish(task: str, count: int, url: str) -> None:
    """Put a task for each of so many people into the queue."""
    now = datetime.now(UTC).timestamp()
    with app.connection_for_write(url) as connection, app.amqp.Producer(connection) as producer:
        for number in range(count):
            arguments = (f"submission-{number}", now, lead_body(number).decode())
            app.send_task(task, arguments, producer=producer, retry=False)


def verify(url: str, count: int) -> None:
    """Fail where a lead is missing, or anything beside it."""
    client: Any = redis.Redis.from_url(url, decode_responses=True)
    found = {
        "leads": client.zcard("leads"),
        "open": client.scard("open"),
        "due": client.zcard("due"),
        "alerts": client.hlen("alerts"),
        "load": sum(map(int, client.hvals("load"))),
    }
    assert set(found.values()) == {count}, f"{count} leads were to be written: {found}"
    assert set(client.hkeys("load")) <= {rep for team in TEAMS for rep in reps(team)}
    client.close()
