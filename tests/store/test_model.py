"""Random histories on two stores at once: memory and a server answer the same, and the promises hold after every step."""

import itertools
from collections import Counter
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

import fakeredis
import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from tests.store.builders import (
    LEASE,
    REMEMBER,
    admit,
    change_of,
    following,
    new_alert,
    new_lead,
    new_submission,
)

from speed_to_lead.core.assignment import RotationChange
from speed_to_lead.core.delivery import Trouble
from speed_to_lead.core.lead import Alert, Lead, LeadState
from speed_to_lead.core.settlement import Bury, Drop, Join, Seen
from speed_to_lead.store.contract import AlertSettlement, ClaimedAlert, Lane, QueueEntry, Result
from speed_to_lead.store.memory import MemoryStore
from speed_to_lead.store.redis_store import RedisStore, open_store

REPS = ("ana", "bob", None)
PERSONS = ("p1", "p2", "p3")
COMPANIES = ("c1", "c2")
DESTINATIONS = ("managers", "ana-slack")
_NUMBERS = itertools.count(1)


@dataclass(frozen=True)
class Pair:
    """The same entry as each store handed it out."""

    memory: QueueEntry
    server: QueueEntry


class TwoStores(RuleBasedStateMachine):
    """Every operation on both; where a decision is needed it may be made on facts of some time ago."""

    snapshots: Bundle[Lead] = Bundle("snapshots")

    def __init__(self) -> None:
        super().__init__()
        self.server = self.open_server(f"m{next(_NUMBERS)}")
        self.memory = MemoryStore(self.server.now)
        self.now = self.server.now().replace(microsecond=0)
        self.taken: list[Pair] = []
        self.claims: list[tuple[ClaimedAlert, ClaimedAlert]] = []
        self.versions: list[Lead] = []
        self.turn_versions = [0]
        self.quarantined: set[str] = set()

    def open_server(self, prefix: str) -> RedisStore:
        """The store to compare with."""
        raise AssertionError(f"a kind of server must open {prefix}")

    def teardown(self) -> None:
        self.server.close()

    def same(self, of_memory: Any, of_server: Any) -> Any:
        """Both answers, which must be one."""
        assert of_memory == of_server
        return of_memory

    def settle(self, pair: Pair, make: Any) -> Result:
        """Settle an entry on both stores; a settled one stays in the list, to be settled again by mistake."""
        (memory,) = self.memory.queue.settle([make(pair.memory)])
        (server,) = self.server.queue.settle([make(pair.server)])
        result: Result = self.same(memory, server)
        return result

    @rule(number=st.integers(1, 6))
    def submit(self, number: int) -> None:
        submission = new_submission(self.server, f"s{number}")
        self.memory.queue.add(submission)
        self.server.queue.add(submission)

    @rule(limit=st.integers(1, 3))
    def take(self, limit: int) -> None:
        memory, server = self.memory.queue.take("r", limit), self.server.queue.take("r", limit)
        self.same([e.submission.id for e in memory], [e.submission.id for e in server])
        self.taken += [Pair(m, s) for m, s in zip(memory, server, strict=True)]

    @precondition(lambda self: self.taken)
    @rule(data=st.data())
    def postpone(self, data: st.DataObject) -> None:
        """One that was settled or moved before stays where it is."""
        pair = data.draw(st.sampled_from(self.taken))
        memory, server = (
            store.queue.postpone([entry])
            for store, entry in ((self.memory, pair.memory), (self.server, pair.server))
        )
        self.same(len(memory), len(server))

    @rule(limit=st.integers(1, 3))
    def take_patient(self, limit: int) -> None:
        memory, server = (one.queue.take("r", limit, Lane.PATIENT) for one in (self.memory, self.server))
        self.same([e.submission.id for e in memory], [e.submission.id for e in server])
        self.taken += [Pair(m, s) for m, s in zip(memory, server, strict=True)]

    @precondition(lambda self: self.taken)
    @rule(
        data=st.data(),
        person=st.sampled_from(PERSONS),
        rep=st.sampled_from(REPS),
        company=st.sampled_from((*COMPANIES, None)),
    )
    def admit_one(self, data: st.DataObject, person: str, rep: str | None, company: str | None) -> None:
        pair = data.draw(st.sampled_from(self.taken))
        known = data.draw(
            st.sampled_from([self.server.leads.of_people([person]).get(person), None, "nobody"])
        )
        newest = self.server.leads.of_companies([company]).get(company) if company else None
        followed = (company, data.draw(st.sampled_from([newest, None]))) if company else None
        version = data.draw(st.sampled_from(self.turn_versions[-2:]))
        lead = new_lead(self.now, pair.server.submission.id, rep=rep)
        alerts = tuple(
            new_alert(self.now, lead.id, "0%", d) for d in data.draw(st.sets(st.sampled_from(DESTINATIONS)))
        )
        turn = RotationChange("inbound", version, version * 10, rep, version * 10 + 2**55) if rep else None
        result = self.settle(
            pair,
            lambda entry: admit(
                entry, lead, people=((person, known),), company=followed, alerts=alerts, rotation=turn
            ),
        )
        if result is Result.APPLIED:
            self.versions.append(lead)
            if turn:
                self.turn_versions.append(version + 1)

    @precondition(lambda self: self.taken and self.versions)
    @rule(data=st.data())
    def join_one(self, data: st.DataObject) -> None:
        pair, lead = data.draw(st.sampled_from(self.taken)), data.draw(st.sampled_from(self.versions[-6:]))
        changed = following(lead, campaign=f"touch {lead.version}")
        change = change_of(changed, self.now, counters={"touches": 1})
        seen = (Seen(pair.server.submission.id, REMEMBER),)
        if self.settle(pair, lambda entry: Join(entry.entry_id, change, seen)) is Result.APPLIED:
            self.versions.append(changed)
            self.quarantined.discard(lead.id)

    @precondition(lambda self: self.taken)
    @rule(data=st.data(), what=st.sampled_from(["duplicates", "tests", "bury"]))
    def drop_or_bury(self, data: st.DataObject, what: str) -> None:
        pair = data.draw(st.sampled_from(self.taken))
        if what == "bury":
            self.settle(pair, lambda entry: Bury(entry.entry_id, entry.submission, "unreadable", self.now))
        else:
            lead_id = "s1" if what == "duplicates" else ""
            self.settle(pair, lambda entry: Drop(entry.entry_id, what, entry.submission.id, lead_id))

    @rule(number=st.integers(1, 6), replay=st.booleans())
    def look_at_dead_letter(self, number: int, replay: bool) -> None:
        for_memory, for_server = self.memory.queue, self.server.queue
        if replay:
            self.same(for_memory.replay(f"s{number}"), for_server.replay(f"s{number}"))
        else:
            self.same(for_memory.discard(f"s{number}"), for_server.discard(f"s{number}"))

    @precondition(lambda self: self.versions)
    @rule(data=st.data(), what=st.sampled_from(["step", "answer", "reassign", "ghost"]))
    def decide(self, data: st.DataObject, what: str) -> None:
        """A clock or a person decides, perhaps on a version of some time ago."""
        lead = data.draw(st.sampled_from(self.versions[-6:]))
        load: Counter[str] = Counter()
        alerts: tuple[Alert, ...] = ()
        if what == "step":
            changed = following(lead, next_at=self.now + timedelta(minutes=1) if lead.is_open else None)
            alerts = (new_alert(self.now, lead.id, f"step{lead.version % 2}"),)
        elif what == "answer":
            changed = following(lead, state=LeadState.ANSWERED, next_at=None)
            load.update({lead.rep: -1} if lead.is_open and lead.rep else {})
        elif what == "reassign":
            rep = data.draw(st.sampled_from(REPS))
            changed = following(lead, rep=rep)
            if lead.is_open:
                load.update({rep: 1} if rep else {})
                load.subtract({lead.rep: 1} if lead.rep else {})
        else:
            changed = following(replace(lead, id="ghost"))
        change = change_of(changed, self.now, alerts=alerts, load=dict(load))
        if data.draw(st.booleans()):  # it knew that much of the history, and perhaps not all
            known = len(self.memory.leads.history(lead.id))
            change = replace(change, lines_read=known - data.draw(st.sampled_from([0, 0, 1])))
        result = self.same(self.memory.leads.change([change]), self.server.leads.change([change]))
        if result == [Result.APPLIED]:
            self.versions.append(changed)
            self.quarantined.discard(lead.id)

    @precondition(lambda self: self.versions)
    @rule(data=st.data(), error=st.sampled_from("xy"))
    def quarantine(self, data: st.DataObject, error: str) -> None:
        lead_id = data.draw(st.sampled_from(self.versions)).id
        self.same(self.memory.leads.quarantine(lead_id, error), self.server.leads.quarantine(lead_id, error))
        self.quarantined.add(lead_id)

    @precondition(lambda self: self.versions)
    @rule(data=st.data())
    def lose_and_mend_index(self, data: st.DataObject) -> None:
        """The index loses a lead; the mend of an old version is refused, that of the present one is written."""
        lead = data.draw(st.sampled_from(self.versions))
        present = self.server.leads.get(lead.id)
        assert present is not None
        self.server.server.client.zrem(self.server.server.keys.due, lead.id)
        self.memory.leads._state.due.pop(lead.id, None)
        for known in (replace(lead, version=lead.version - 1), present):
            arguments = (lead.id, known.version, present.next_at)
            self.same(self.memory.leads.mend_index(*arguments), self.server.leads.mend_index(*arguments))
        self.quarantined.discard(lead.id)

    @rule(seconds=st.integers(1, 140))
    def time_passes(self, seconds: int) -> None:
        self.now += timedelta(seconds=seconds)

    @rule(destination=st.sampled_from(DESTINATIONS), at_once=st.integers(1, 3))
    def claim(self, destination: str, at_once: int) -> None:
        memory = self.memory.outbox.claim(destination, self.now, LEASE, at_once=at_once)
        server = self.server.outbox.claim(destination, self.now, LEASE, at_once=at_once)
        self.same(memory and (memory.alert, memory.is_in_vain), server and (server.alert, server.is_in_vain))
        self.same(
            self.memory.outbox.destinations_due(self.now), self.server.outbox.destinations_due(self.now)
        )
        if memory and server:
            self.claims.append((memory, server))

    @precondition(lambda self: self.claims)
    @rule(
        data=st.data(),
        result=st.sampled_from(["delivered", "cancelled", "retry", "dead"]),
        fallback=st.booleans(),
        told=st.sampled_from([None, 1, 2]),
        rest=st.sampled_from([None, 0, 30]),
    )
    def settle_alert(
        self, data: st.DataObject, result: str, fallback: bool, told: int | None, rest: int | None
    ) -> None:
        """A courier's word, perhaps long after its lease passed to another."""
        memory, server = data.draw(st.sampled_from(self.claims))
        at = self.now + timedelta(seconds=20) if result == "retry" else self.now
        other = new_alert(self.now, memory.alert.lead_id, memory.alert.step, "fallback") if fallback else None
        line = change_of(self.versions[0], self.now).history[0] if self.versions else None
        until = self.now + timedelta(seconds=rest) if rest else None
        trouble = Trouble(self.now, self.now, until) if result == "retry" and rest is not None else None
        settlement = AlertSettlement(result, at, memory.alert.unknown_attempts, line, other, told, trouble)
        self.same(
            self.memory.outbox.settle(memory, settlement), self.server.outbox.settle(server, settlement)
        )

    @rule(number=st.integers(1, 3))
    def alert_about_the_system(self, number: int) -> None:
        alert = new_alert(self.now, "", f"sys{number}")
        self.same(self.memory.outbox.add(alert, self.now), self.server.outbox.add(alert, self.now))

    @precondition(lambda self: self.claims)
    @rule(data=st.data())
    def redrive(self, data: st.DataObject) -> None:
        key = data.draw(st.sampled_from(self.claims))[0].alert.key
        self.same(self.memory.outbox.redrive(key, self.now), self.server.outbox.redrive(key, self.now))

    @invariant()
    def books_balance(self) -> None:
        ledger = self.same(self.memory.operations.ledger(), self.server.operations.ledger())
        assert ledger.difference == 0
        self.same(self.memory.operations.counters(), self.server.operations.counters())
        memory, server = self.memory.operations.health(), self.server.operations.health()
        for depth in (
            "queued",
            "patient",
            "pending",
            "open_leads",
            "scheduled",
            "outbox",
            "dead_letters",
            "dead_alerts",
            "quarantined",
        ):
            self.same(getattr(memory, depth), getattr(server, depth))

    @invariant()
    def records_rule(self) -> None:
        ids = sorted({lead.id for lead in self.versions})
        leads = self.same(self.memory.leads.get_many(ids), self.server.leads.get_many(ids))
        indexed = self.same(self.memory.leads.indexed_at(ids), self.server.leads.indexed_at(ids))
        load = self.same(self.memory.leads.load(), self.server.leads.load())
        assert Counter(lead.rep for lead in leads if lead.is_open and lead.rep) == load
        for lead, at in zip(leads, indexed, strict=True):
            assert (None if lead.id in self.quarantined else lead.next_at) == at
        for lead_id in ids:
            self.same(self.memory.leads.history(lead_id), self.server.leads.history(lead_id))
        self.same(self.memory.leads.newest(3), self.server.leads.newest(3))
        self.same(self.memory.leads.due(self.now, 9), self.server.leads.due(self.now, 9))
        self.same(self.memory.leads.rotations(["inbound"]), self.server.leads.rotations(["inbound"]))
        self.same(self.memory.leads.of_people(PERSONS), self.server.leads.of_people(PERSONS))
        self.same(self.memory.leads.of_companies(COMPANIES), self.server.leads.of_companies(COMPANIES))
        self.same(self.memory.queue.lead_of(ids), self.server.queue.lead_of(ids))

    @invariant()
    def each_alert_is_in_one_place(self) -> None:
        waiting = self.same(self.memory.outbox.waiting(99), self.server.outbox.waiting(99))
        dead = self.same(self.memory.outbox.dead(99), self.server.outbox.dead(99))
        self.same(
            self.memory.outbox.destinations_due(self.now), self.server.outbox.destinations_due(self.now)
        )
        keys = [alert.key for alert, _ in waiting] + [letter.alert.key for letter in dead]
        assert len(keys) == len(set(keys))
        client, names = self.server.server.client, self.server.server.keys
        assert (
            {key.encode() for key in keys}
            == set(client.hkeys(names.alerts))
            == set(client.hkeys(names.attempts))
        )


@pytest.mark.real
def test_memory_and_real_server_are_one(server_url: str, key_prefix: str) -> None:
    """Random histories leave memory and a real server the same, with every promise kept at every step."""

    class Real(TwoStores):
        def open_server(self, prefix: str) -> RedisStore:
            return open_store(server_url, f"{key_prefix}-{prefix}")

    run_state_machine_as_test(Real, settings=_bounded(15))


def test_memory_and_fakeredis_are_one() -> None:
    """Random histories leave memory and fakeredis the same: tests on either say something about the real one."""

    class Fake(TwoStores):
        def open_server(self, prefix: str) -> RedisStore:
            return RedisStore(fakeredis.FakeRedis(server=fakeredis.FakeServer(version=(7, 0))), prefix)

    run_state_machine_as_test(Fake, settings=_bounded(6))


def _bounded(examples: int) -> settings:
    return settings(
        max_examples=examples,
        stateful_step_count=40,
        deadline=None,
        derandomize=True,
        database=None,
        suppress_health_check=list(HealthCheck),
        phases=[Phase.generate],
    )
