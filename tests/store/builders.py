"""Leads, settlements and alerts for store tests, and a full picture of what a store holds."""

import copy
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from tests.servers import ManualClock, wait_until

from speed_to_lead.core.assignment import RotationChange
from speed_to_lead.core.lead import Alert, AlertKind, HistoryEntry, Lead, LeadChange, LeadState, PlannedStep
from speed_to_lead.core.settlement import Admit, Seen
from speed_to_lead.core.submission import GenericLead, Submission
from speed_to_lead.store.contract import QueueEntry, Store
from speed_to_lead.store.memory import MemoryStore
from speed_to_lead.store.packing import MARK, unpacked
from speed_to_lead.store.redis_store import RedisStore

MINUTE = timedelta(minutes=1)
LEASE = timedelta(seconds=30)
REMEMBER = timedelta(days=14)


def new_submission(
    store: Store, submission_id: str = "s1", body: bytes = b'{"email":"kim@example.com"}'
) -> Submission:
    """A submission received now."""
    return Submission(submission_id, "demo", store.now(), body, "application/json", {"x-tool": "Typeform"})


def taken(store: Store, submission_id: str = "s1") -> QueueEntry:
    """A submission added and handed out."""
    store.queue.add(new_submission(store, submission_id))
    return store.queue.take("router-1", 1)[0]


def new_lead(now: datetime, lead_id: str = "lead1", **changed: Any) -> Lead:
    """An open lead of Ana's, due in five minutes."""
    now = now.replace(microsecond=now.microsecond // 1000 * 1000)
    deadline = now + 5 * MINUTE
    return replace(
        Lead(
            id=lead_id,
            version=1,
            state=LeadState.OPEN,
            form="demo",
            received_at=now,
            lead=GenericLead({"email": "kim@example.com"}, {"why": "Ünïcode"}),
            source="demo_request",
            channel="direct",
            campaign="",
            rule="Demo",
            team="inbound",
            rep="ana",
            sla="inbound-5m",
            deadline=deadline,
            steps=(PlannedStep("100%", deadline, alert=("manager",)),),
            config_digest="abc",
            next_at=deadline,
        ),
        **changed,
    )


def new_alert(
    now: datetime, lead_id: str = "lead1", step: str = "100%", destination: str = "managers"
) -> Alert:
    """An alert decided now."""
    now = now.replace(microsecond=now.microsecond // 1000 * 1000)
    return Alert(lead_id, step, destination, AlertKind.BREACHED, now, 1.25, ("60%",), "inbound", "ana")


def change_of(lead: Lead, now: datetime, **more: Any) -> LeadChange:
    """A change that writes the lead with one line of history."""
    return LeadChange(lead, (HistoryEntry(now, "lead.changed", {"to": lead.version}),), **more)


def admit(
    entry: QueueEntry,
    lead: Lead,
    *,
    people: tuple[tuple[str, str | None], ...] = (),
    company: tuple[str, str | None] | None = None,
    seen: tuple[Seen, ...] | None = None,
    alerts: tuple[Alert, ...] = (),
    rotation: RotationChange | None = None,
    load: Mapping[str, int] | None = None,
) -> Admit:
    """The settlement that makes a lead of an entry."""
    change = change_of(
        lead,
        lead.received_at,
        alerts=alerts,
        load={lead.rep: 1} if load is None and lead.rep else load or {},
        rotation=rotation,
        counters={"leads": 1},
    )
    remembered = (Seen(entry.submission.id, REMEMBER),) if seen is None else seen
    return Admit(entry.entry_id, change, remembered, people, company)


def admitted(store: Store, lead_id: str = "lead1", **more: Any) -> Lead:
    """A lead that came through the queue."""
    entry = taken(store, lead_id)
    lead = new_lead(store.now(), lead_id, **more.pop("lead", {}))
    (result,) = store.queue.settle([admit(entry, lead, **more)])
    assert result == "applied"
    return lead


def following(lead: Lead, **changed: Any) -> Lead:
    """The next version of a lead."""
    return replace(lead, version=lead.version + 1, **changed)


def log_renewed(store: Store) -> None:
    """What the auditor does first after the start of a server, to its end."""
    store.operations.renew_log()
    wait_until(lambda: not store.operations.policy().may_hold_half, "the append-only file is written anew")


def elapse(store: Store, clock: ManualClock, span: timedelta) -> None:
    """Let the store's clock move on by `span`, which must be short: a server's clock cannot be set."""
    if isinstance(store, MemoryStore):
        clock.advance(span)
        return
    end = store.now() + span
    wait_until(lambda: store.now() >= end, "the server's clock moved on")


def legible(line: bytes) -> bytes:
    """A record, or a line of history, with what is packed in it unpacked: a word that is looked for would be found."""
    version, mark, small = line.partition(MARK)
    return version + unpacked(mark + small) if mark else line


def picture(store: Store) -> Any:
    """Everything the store holds, to be compared before and after."""
    if isinstance(store, MemoryStore):
        held = vars(store.queue._state)
        return copy.deepcopy({name: value for name, value in held.items() if name != "clock"})
    assert isinstance(store, RedisStore)
    client = store.server.client
    found: dict[str, Any] = {}
    for key in sorted(client.scan_iter(match=f"{{{store.server.keys.prefix}}}:*", count=1000)):
        match client.type(key):
            case b"string":
                found[key] = client.get(key)
            case b"hash":
                found[key] = client.hgetall(key)
            case b"list":
                found[key] = [legible(line) for line in client.lrange(key, 0, -1)]
            case b"set":
                found[key] = client.smembers(key)
            case b"zset":
                found[key] = client.zrange(key, 0, -1, withscores=True)
            case b"stream":
                found[key] = (client.xrange(key), [group["pending"] for group in client.xinfo_groups(key)])
            case other:
                raise AssertionError(other)
    return found
