"""What was said of a lead is brought up to date where that can be done: no alert is lost by it, and nobody is called."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

import pytest
from tests.flow.scene import REFUSED, UNKNOWN, Destination, Scene

from speed_to_lead import flow, privacy
from speed_to_lead.core import delivery
from speed_to_lead.core.calendar import Calendar, Span
from speed_to_lead.core.delivery import Attempt, Outcome
from speed_to_lead.core.follow_up import told_among
from speed_to_lead.core.lead import Alert, AlertKind, HistoryEntry, ResponseKind
from speed_to_lead.core.message import Message
from speed_to_lead.core.retention import Retention
from speed_to_lead.core.storm import DigestTerms
from speed_to_lead.store.contract import AlertSettlement, ClaimedAlert, Result
from speed_to_lead.workplace import Workplace

POSTED = Attempt(Outcome.DELIVERED, "ok", handle="C1/1.1")
#: Minutes after which what came with a note is due: a courier dates it by the real clock, and the test's stands still.
NOTED = 0.1
#: Longer than a courier's lease.
LEASE_OVER = (flow.LEASE + timedelta(seconds=1)) / timedelta(minutes=1)


@pytest.fixture
def following(scene: Scene) -> Scene:
    """Ana hears by Slack's bot, her managers by PagerDuty."""
    return _following(scene)


def _following(scene: Scene) -> Scene:
    bot = {"token_env": "A", "channel": "C1"}
    destinations = {
        "ana-slack": delivery.Destination("ana-slack", "slack", bot),
        "managers": delivery.Destination("managers", "pagerduty", {"routing_key_env": "A"}),
        "head-of-sales": delivery.Destination("head-of-sales", "slack", {"url_env": "A"}),
    }
    scene.people["ana-slack"].recognises_repeats = False
    scene.people["ana-slack"].always = POSTED
    return replace(
        scene, place=replace(scene.place, config=replace(scene.place.config, destinations=destinations))
    )


def test_whoever_was_told_hears_of_the_answer(following: Scene) -> None:
    """Slack's message is changed by the name it has, PagerDuty's incident ends; who was not told hears nothing."""
    lead = following.routed()
    following.live(11)
    following.forget()

    following.respond(lead.id, ResponseKind.ACKNOWLEDGED)
    following.deliver()
    following.later(1)
    following.respond(lead.id)
    following.deliver()

    acknowledged, answered = (
        f"lead.moved moved-{version}"
        for version in (following.lead(lead.id).version - 1, following.lead(lead.id).version)
    )
    heard = following.heard()
    assert {"ana-slack", "managers"} == set(heard)
    assert [acknowledged, answered] == heard["managers"] == heard["ana-slack"]
    taken, over = following.people["ana-slack"].heard
    assert ("C1/1.1", True, False) == (taken.handle, taken.is_acknowledged, taken.is_over)
    assert ("C1/1.1", True) == (over.handle, over.is_over)
    assert over.headline.startswith("Answered after 12 min: ")
    assert [True, False] == [message.is_over is False for message in following.people["managers"].heard]


@pytest.mark.parametrize("moment", ["once", "twice"])
def test_an_answer_at_the_moment_of_the_note_ends_the_incident(
    following: Scene, moment: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever answers then does not find the destination in the history: the note finds that the lead has changed."""
    lead = following.routed()
    following.live(1)
    following.forget()
    settle = flow.delivery._settle_alert

    def answered_first(place: Workplace, hand: flow.delivery.InHand, *settlement: AlertSettlement) -> Result:
        if hand.alert.destination == "managers" and following.lead(lead.id).is_open:
            if moment == "twice":
                following.respond(lead.id, ResponseKind.ACKNOWLEDGED)
            following.respond(lead.id)
        return settle(place, hand, *settlement)

    monkeypatch.setattr(flow.delivery, "_settle_alert", answered_first)
    following.live(11)
    following.later(NOTED)
    following.deliver()
    told = following.people["managers"].heard
    assert [False, True] == [message.is_over for message in told]
    assert [AlertKind.BREACHED, AlertKind.MOVED] == [message.kind for message in told]


@pytest.mark.parametrize("answered", ["before the note", "after the note", "before it, read before that"])
def test_a_courier_killed_at_its_note_leaves_no_incident_open(
    following: Scene, answered: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The note is the last thing it does: what is to be brought up to date is written in one piece with it, or found by it."""
    lead = following.routed()
    following.later(11)
    following.sweep()
    outbox, leads = following.store.outbox, following.store.leads
    settle, history = outbox.settle, leads.history

    def dying(claimed: ClaimedAlert, settlement: AlertSettlement) -> Result:
        if answered == "before the note":
            following.respond(lead.id)
        assert Result.APPLIED == settle(claimed, settlement)
        raise _Killed

    def noted_meanwhile(lead_id: str) -> list[HistoryEntry]:
        """The note is written between what somebody read of the history and what they write."""
        monkeypatch.undo()
        known = history(lead_id)
        with pytest.raises(_Killed):
            _deliver_dying()
        return known

    def _deliver_dying() -> None:
        with monkeypatch.context() as patched:
            patched.setattr(outbox, "settle", dying)
            flow.deliver(following.place, "managers")

    if answered == "before it, read before that":
        monkeypatch.setattr(leads, "history", noted_meanwhile)
        following.respond(lead.id)
    else:
        with pytest.raises(_Killed):
            _deliver_dying()
        if answered == "after the note":
            following.respond(lead.id)
    following.later(LEASE_OVER)
    following.deliver()
    assert [False, True] == [message.is_over for message in following.people["managers"].heard]


def test_an_incident_ends_when_a_new_lead_of_its_person_takes_its_place(following: Scene) -> None:
    """The router closes an open lead whose person was silent for too long; nobody answers that one any more."""
    rulebook = replace(following.place.config.rulebook, same_person_within=timedelta(days=1))
    scene = following.with_rules(rulebook)
    lead = scene.routed(email="ana@example.com")
    scene.live(11)
    scene.live(2 * 24 * 60)
    scene.forget()
    scene.submit(email="ana@example.com", message="here again")
    scene.route()
    scene.deliver()
    assert scene.lead(lead.id).closed_reason == "superseded"
    of_it = [message for message in scene.people["managers"].heard if message.lead_id == lead.id]
    assert [True] == [message.is_over for message in of_it]


def test_a_history_that_cannot_be_read_keeps_nobody_from_a_new_lead(real_scene: Scene) -> None:
    """Who was told of the old lead is not known then; it is closed all the same, and the new one is routed."""
    scene = _following(real_scene)
    scene = scene.with_rules(replace(scene.place.config.rulebook, same_person_within=timedelta(days=1)))
    lead = scene.routed(email="ana@example.com")
    scene.live(2 * 24 * 60)
    store = scene.store.within  # type: ignore[attr-defined]
    store.server.client.rpush(store.server.keys.lead(lead.id), b"no line")
    new = scene.submit(email="ana@example.com", message="here again")
    scene.route()
    assert (False, True) == (scene.lead(lead.id).is_open, scene.lead(new).is_open)


def test_a_note_of_those_who_are_told_anyway_makes_no_change_be_decided_again(
    following: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Couriers note all the time; a change waits for them only where one of them could bring in somebody new."""
    lead = following.routed()
    following.live(11)
    following.live(29)
    heard_it = {entry.details.get("to") for entry in following.store.leads.history(lead.id)}
    everybody = {name for name in following.place.config.destinations if following.place.follows_leads(name)}
    assert everybody <= heard_it
    known = following.store.leads.history
    reads: list[str] = []

    def noted_meanwhile(lead_id: str) -> list[HistoryEntry]:
        found = known(lead_id)
        reads.append(lead_id)
        following.store.outbox.add(
            Alert(lead_id, "s", "managers", AlertKind.TEST, following.clock.now), following.clock.now
        )
        claimed = following.store.outbox.claim("managers", following.clock.now, flow.LEASE, at_once=9)
        assert claimed is not None
        note = HistoryEntry(following.clock.now, "alert.delivered", {"step": "s", "to": "managers"})
        following.store.outbox.settle(claimed, AlertSettlement("delivered", following.clock.now, 0, note))
        return found

    monkeypatch.setattr(following.store.leads, "history", noted_meanwhile)
    following.respond(lead.id)
    assert [lead.id] == reads


def test_an_incident_ends_when_retention_closes_its_lead(following: Scene) -> None:
    """A lead that nobody answered for so long is closed as expired; nobody would ever end its incident by hand."""
    lead = following.routed()
    following.live(11)
    following.live(29)
    following.forget()
    following.later(60 * 24)
    closed = privacy.expire(following.place, Retention(unanswered=timedelta(hours=12)), 0).closed
    following.deliver()
    assert (1, "expired") == (closed, following.lead(lead.id).closed_reason)
    step = f"lead.moved moved-{following.lead(lead.id).version}"
    assert [step] == following.heard()["managers"] == following.heard()["ana-slack"]
    assert [True] == [message.is_over for message in following.people["managers"].heard]


def test_a_further_alert_knows_the_first_ones_name(following: Scene) -> None:
    """So that it is posted into its thread; the name stands in the lead's history."""
    lead = following.routed()
    following.live(6)
    first, reminder = following.people["ana-slack"].heard
    assert ("", "C1/1.1") == (first.handle, reminder.handle)
    details = [
        entry.details for entry in following.store.leads.history(lead.id) if entry.event == "alert.delivered"
    ]
    assert ["C1/1.1", "C1/1.1"] == [entry["message"] for entry in details]


def test_nothing_that_people_see_has_changed(following: Scene) -> None:
    """The same said again, or evidence of an answer there was already, is no news."""
    lead = following.routed()
    following.respond(lead.id)
    following.deliver()
    following.forget()
    following.respond(lead.id)
    assert 0 == following.deliver()
    assert {} == following.heard()


def test_a_follow_up_that_cannot_arrive_calls_nobody_else(following: Scene) -> None:
    """It is kept among the dead alerts; no fallback is told of an answer."""
    lead = following.routed()
    following.people["ana-slack"].always = REFUSED
    following.forget()
    following.respond(lead.id)
    following.deliver()
    following.live(1)
    assert {"ana-slack"} == set(following.heard())
    assert ["ana-slack"] == [alert.destination for alert in following.dead_alerts()]


@dataclass
class _Answering(Destination):
    """Somebody answers the lead while the alert is on its way."""

    meanwhile: Callable[[], object] = lambda: None

    def send(self, message: Message, now: datetime) -> Attempt:
        first = not self.heard
        attempt = super().send(message, now)
        if first:
            self.meanwhile()
        return attempt


def test_an_answer_while_the_alert_is_on_its_way(following: Scene) -> None:
    """The history does not know of it yet, so the note brings it up to date: no incident stays open after the answer."""
    lead_id = following.submit()
    following.route()
    following.people["ana-slack"] = _Answering(always=POSTED, meanwhile=lambda: following.respond(lead_id))
    following.deliver()
    following.later(NOTED)
    following.deliver()
    assert ["lead.assigned 0%", "lead.moved moved-since-0%"] == following.heard()["ana-slack"]
    assert following.people["ana-slack"].heard[-1].is_over


def test_an_incident_that_nobody_could_end_ends_when_its_alert_is_redriven(following: Scene) -> None:
    """It may be there: the first attempt had no answer, and the destination was gone when all was over."""
    lead = following.routed()
    following.people["managers"] = managers = _Answering(
        answers=[UNKNOWN, REFUSED], meanwhile=lambda: following.respond(lead.id)
    )
    following.live(11)
    following.live(2)
    dead = [alert for alert in following.dead_alerts() if alert.destination == "managers"]
    assert [1] == [alert.unknown_attempts for alert in dead]
    following.store.outbox.redrive(dead[0].key, following.clock.now)
    following.deliver()
    assert [False, True, True] == [message.is_over for message in managers.heard]
    assert [] == [alert for alert in following.dead_alerts() if alert.destination == "managers"]


class _Killed(BaseException):
    """The courier dies."""


def test_an_answer_after_a_courier_died_in_the_middle(following: Scene) -> None:
    """The incident may be there: where a repeat is recognised it is told that all is over; elsewhere nothing is said."""
    lead = following.routed()
    following.later(11)
    following.sweep()
    managers = following.people["managers"]

    class Dying(Destination):
        def send(self, message: Message, now: datetime) -> Attempt:
            raise _Killed

    following.people["managers"] = Dying()
    with pytest.raises(_Killed):
        flow.deliver(following.place, "managers")
    following.people["managers"] = managers
    following.respond(lead.id)
    following.later(LEASE_OVER)
    following.deliver()
    assert ["lead.breached"] == [event for event in following.events(lead.id) if "breach" in event]
    assert [("100%", True)] == [(message.step, message.is_over) for message in managers.heard]


def test_an_outcome_nobody_knows_is_looked_at_again(following: Scene) -> None:
    """PagerDuty did not answer, and the lead was: the further try ends the incident, if there is one."""
    lead = following.routed()
    following.people["managers"].answers = [UNKNOWN]
    following.live(11)
    following.respond(lead.id)
    following.later(1)
    following.deliver()
    assert [False, True, True] == [message.is_over for message in following.people["managers"].heard]


def test_without_such_a_destination_nothing_more_is_read_or_written(scene: Scene) -> None:
    """Configs that have none pay nothing."""
    lead = scene.routed()
    scene.respond(lead.id)
    assert [] == scene.waiting()


def test_what_brings_up_to_date_waits_for_no_morning_and_no_digest(following: Scene) -> None:
    """It calls nobody: an incident ends at night as well, and by itself."""
    closed = Calendar("desk", "UTC", dict.fromkeys(range(7), (Span.parse("23:00-23:01"),)))
    lead = following.routed()
    following.live(11)
    following.forget()
    known = following.place.config.destinations["managers"]
    quiet = replace(
        known, quiet_outside=closed, quiet_breaches=True, digest=DigestTerms(1, timedelta(minutes=1))
    )
    config = replace(
        following.place.config, destinations={**following.place.config.destinations, "managers": quiet}
    )
    at_night = replace(following, place=replace(following.place, config=config))
    for kind in (ResponseKind.ACKNOWLEDGED, ResponseKind.ATTEMPTED):
        at_night.respond(lead.id, kind)
        at_night.deliver()
        at_night.later(1)
    assert [False, True] == [message.is_over for message in at_night.people["managers"].heard]


def test_what_was_never_sent_by_itself_is_not_brought_up_to_date(following: Scene) -> None:
    """What was held back was not read, and a digest names many: nothing of this lead is there to change."""
    now = following.clock()
    lines = (
        HistoryEntry(now, "alert.held", {"step": "0%", "to": "held"}),
        HistoryEntry(now, "alert.folded", {"step": "0%", "to": "folded", "digest": "storm:d:folded"}),
        HistoryEntry(now, "alert.delivered", {"step": "0%", "to": "folded", "digest": "storm:d:folded"}),
        HistoryEntry(now, "alert.failed", {"step": "0%", "to": "tried"}),
    )
    assert ("tried",) == told_among(lines, {"held", "folded", "tried"})


def test_whoever_was_told_hears_that_the_clock_passed_it_on(following: Scene) -> None:
    """Nobody asked for it, a step did: whoever is not called by that step sees who has the lead now."""
    bot = delivery.Destination("desk", "slack", {"token_env": "A", "channel": "C2"})
    config = following.place.config
    config = replace(config, destinations={**config.destinations, "desk": bot})
    following = replace(following, place=replace(following.place, config=config))
    following.people["desk"] = Destination(always=POSTED)
    lead = following.routed()
    now = following.clock.now
    following.store.outbox.add(Alert(lead.id, "nudge", "desk", AlertKind.REMINDER, now), now)
    following.live(9)
    following.forget()
    following.later(1)
    following.sweep()
    following.deliver()

    moved = following.lead(lead.id)
    assert lead.rep != moved.rep
    told = following.heard()
    assert [f"lead.moved moved-{moved.version}"] == told["desk"]
    assert moved.rep == following.people["desk"].heard[0].rep
    assert ["lead.reassigned 100%"] == told["ana-slack"]  # called by the step, so it says how things stand
