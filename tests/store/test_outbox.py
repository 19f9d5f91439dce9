"""The outbox's contract: each alert once, leased to one courier, retried as data, dead loudly, never lost."""

from dataclasses import replace
from datetime import datetime, timedelta

import pytest
from tests.servers import wait_until
from tests.store.builders import LEASE, MINUTE, admitted, change_of, following, new_alert, picture

from speed_to_lead.core.delivery import PATIENCE, TROUBLE_LASTS, Trouble
from speed_to_lead.core.lead import Alert, AlertKind, HistoryEntry
from speed_to_lead.core.storm import DigestTerms, Storm, digest_of, folded
from speed_to_lead.store.contract import AlertSettlement, ClaimedAlert, Disabled, Result, Store
from speed_to_lead.store.outbox import UNREADABLE_PAUSE, UNREADABLE_TRIES
from speed_to_lead.store.redis_store import RedisStore


@pytest.fixture
def now(store: Store) -> datetime:
    """An instant in whole seconds."""
    return store.now().replace(microsecond=0)


def claim(store: Store, now: datetime, destination: str = "managers", at_once: int = 9) -> ClaimedAlert:
    """A claim that must succeed."""
    claimed = store.outbox.claim(destination, now, LEASE, at_once=at_once)
    assert claimed is not None
    return claimed


def test_alert_is_put_in_once(store: Store, now: datetime) -> None:
    """A second alert of one key is known, and the first stays as it was."""
    alert = new_alert(now)
    assert store.outbox.add(alert, now) == Result.APPLIED
    before = picture(store)
    assert store.outbox.add(replace(alert, note="other"), now + MINUTE) == Result.KNOWN
    assert before == picture(store)
    assert [(alert, now)] == store.outbox.waiting(9)


def test_a_name_is_told_once_in_a_time(store: Store, now: datetime) -> None:
    """Counted and put in the first time, nothing done the second; another name is another silence."""
    alert = new_alert(now, step="form_silent.demo.1")
    assert store.audit.tell_once("demo.1", "form_silent", alert, timedelta(days=5)) == Result.APPLIED
    before = picture(store)
    for again in (alert, replace(alert, note="other"), replace(alert, step="another")):
        assert store.audit.tell_once("demo.1", "form_silent", again, timedelta(days=5)) == Result.KNOWN
    assert before == picture(store)
    assert {"raised:form_silent": 1} == store.operations.counters()
    assert store.audit.tell_once("demo.2", "form_silent", alert, timedelta(days=5)) == Result.APPLIED
    assert [alert] == [waiting for waiting, _ in store.outbox.waiting(9)]


def test_due_destinations_are_counted(store: Store, now: datetime) -> None:
    """Each destination is named with what is due at now, itself included; the others are not named."""
    for number, (destination, minutes) in enumerate([("a", -1), ("a", 0), ("a", 1), ("b", 0), ("c", 5)]):
        store.outbox.add(new_alert(now, step=f"s{number}", destination=destination), now + minutes * MINUTE)
    assert store.outbox.destinations_due(now) == {"a": 2, "b": 1}


def test_claim_counts_the_attempt_and_takes_the_longest_due(store: Store, now: datetime) -> None:
    """The longest due alert comes first, with this attempt counted; what is not due does not come."""
    for name, minutes in (("late", -1), ("later", -2), ("soon", 1)):
        store.outbox.add(new_alert(now, step=name), now + minutes * MINUTE)
    first, second = claim(store, now), claim(store, now)
    assert (replace(new_alert(now, step="later"), attempts=1), "late") == (first.alert, second.alert.step)
    assert store.outbox.claim("managers", now, LEASE, at_once=9) is None
    assert first.token != second.token


def test_destination_has_so_many_leases_at_once(store: Store, now: datetime) -> None:
    """A destination's leases are capped, one destination's do not count for another, and an ended one frees a place."""
    for number in range(3):
        store.outbox.add(new_alert(now, step=f"s{number}"), now)
    store.outbox.add(new_alert(now, destination="other"), now)
    first = claim(store, now, at_once=2)
    claim(store, now, at_once=2)
    assert store.outbox.claim("managers", now, LEASE, at_once=2) is None
    claim(store, now, "other", at_once=1)
    store.outbox.settle(first, AlertSettlement("delivered", now))
    assert claim(store, now, at_once=2).alert.step == "s2"


@pytest.mark.parametrize("result", ["delivered", "cancelled"])
def test_settled_alert_is_gone_and_counted(store: Store, now: datetime, result: str) -> None:
    """A delivered or cancelled alert leaves nothing but its count and its line of history."""
    admitted(store)
    before = store.operations.counters()
    store.outbox.add(new_alert(now), now)
    line = HistoryEntry(now, f"alert.{result}", {"destination": "managers"})
    assert (
        store.outbox.settle(claim(store, now), AlertSettlement(result, now, history=line)) == Result.APPLIED
    )
    assert (
        store.outbox.waiting(9),
        store.outbox.dead(9),
        store.outbox.destinations_due(now + MINUTE),
    ) == ([], [], {})
    assert {**before, f"alerts_{result}": 1} == store.operations.counters()
    assert line == store.leads.history("lead1")[-1]


def test_history_of_a_system_alert_is_nobodys(store: Store, now: datetime) -> None:
    """An alert about the system has no lead whose history could grow."""
    alert = replace(new_alert(now), lead_id="")
    store.outbox.add(alert, now)
    settlement = AlertSettlement("delivered", now, history=HistoryEntry(now, "alert.delivered"))
    assert store.outbox.settle(claim(store, now), settlement) == Result.APPLIED
    assert (store.leads.history(""), store.operations.counters()) == ([], {"alerts_delivered": 1})


def test_an_alert_given_back_unsent_counts_no_attempt(store: Store, now: datetime) -> None:
    """What nobody may be told yet is returned as often as need be, and comes again with nothing counted."""
    store.outbox.add(new_alert(now), now)
    for minute in range(15):
        claimed = claim(store, now + minute * MINUTE)
        assert (claimed.alert.attempts, claimed.alert.unknown_attempts) == (1, 0)
        returned = AlertSettlement("returned", now + (minute + 1) * MINUTE)
        assert store.outbox.settle(claimed, returned) == Result.APPLIED
    assert [(new_alert(now), now + 15 * MINUTE)] == store.outbox.waiting(9)
    assert store.operations.counters() == {}


def test_retry_is_data(store: Store, now: datetime) -> None:
    """A retry waits until its instant, and the next attempt knows how many there were and how many ended unknown."""
    store.outbox.add(new_alert(now), now)
    retry = AlertSettlement("retry", now + MINUTE, unknown_attempts=1)
    assert store.outbox.settle(claim(store, now), retry) == Result.APPLIED
    assert [(replace(new_alert(now), attempts=1, unknown_attempts=1), now + MINUTE)] == store.outbox.waiting(
        9
    )
    assert store.outbox.claim("managers", now + timedelta(seconds=59), LEASE, at_once=9) is None
    again = claim(store, now + MINUTE).alert
    assert (again.attempts, again.unknown_attempts) == (2, 1)
    assert store.operations.counters() == {}


def test_lease_that_ends_without_word_is_an_unknown_attempt(store: Store, now: datetime) -> None:
    """A courier that died may have been heard: the next attempt says so, and the dead one's word is refused."""
    store.outbox.add(new_alert(now), now)
    first = claim(store, now)
    assert store.outbox.claim("managers", now + LEASE - timedelta(milliseconds=1), LEASE, at_once=9) is None
    second = claim(store, now + LEASE, at_once=1)
    assert (second.alert.attempts, second.alert.unknown_attempts) == (2, 1)
    before = picture(store)
    line = HistoryEntry(now, "alert.delivered")
    fallback = new_alert(now, destination="fallback")
    for result in ("delivered", "retry", "dead", "cancelled"):
        stale = AlertSettlement(result, now, history=line, also=fallback)
        assert store.outbox.settle(first, stale) == Result.STALE
    assert before == picture(store)
    assert store.outbox.settle(second, AlertSettlement("delivered", now)) == Result.APPLIED
    assert store.outbox.settle(second, AlertSettlement("delivered", now)) == Result.STALE


def test_confirming_renews_the_lease_of_whoever_has_it(store: Store, now: datetime) -> None:
    """Just before the send the lease begins anew, and the lead is read; a former courier's lease does not."""
    lead = admitted(store)
    store.outbox.add(new_alert(now), now)
    former = claim(store, now)
    held = claim(store, now + LEASE)
    later, last = now + LEASE + MINUTE, now + LEASE + 2 * MINUTE
    before = picture(store)
    assert Result.GONE == store.outbox.confirm(former, last)[0]
    assert before == picture(store)
    assert (Result.APPLIED, lead) == store.outbox.confirm(held, later)
    assert [(held.alert, later)] == store.outbox.waiting(9)
    almost = later - timedelta(milliseconds=1)
    store.outbox.add(new_alert(now, step="other"), now)
    assert store.outbox.claim("managers", almost, LEASE, at_once=1) is None
    assert (Result.APPLIED, lead) == store.outbox.confirm(held, last)
    assert store.outbox.settle(held, AlertSettlement("delivered", later)) == Result.APPLIED
    assert Result.GONE == store.outbox.confirm(held, last)[0]


def test_confirming_knows_a_lead_that_is_not_there(store: Store, now: datetime) -> None:
    """Removed meanwhile, or none at all where the alert is about the system."""
    store.outbox.add(new_alert(now, "removed"), now)
    store.outbox.add(replace(new_alert(now, step="test"), kind=AlertKind.TEST), now)
    claimed = [claim(store, now) for _ in range(2)]
    assert [(Result.APPLIED, None)] * 2 == [store.outbox.confirm(one, now + LEASE) for one in claimed]


@pytest.mark.parametrize("result", ["delivered", "retry"])
def test_settling_and_claiming_at_once_is_both_in_turn(store: Store, now: datetime, result: str) -> None:
    """The next of the same destination is leased, within its limit; a settlement that is refused leases all the same."""
    for number in range(3):
        store.outbox.add(new_alert(now, step=f"s{number}"), now + number * timedelta(milliseconds=1))
    for step in ("s1", "s2"):
        store.outbox.add(new_alert(now, step=step, destination="other"), now)
    # A server that was just started knows no scripts yet, and would be asked for the two in the other order.
    store.outbox.settle(claim(store, now, "other"), AlertSettlement("delivered", now))
    first, soon = claim(store, now), now + timedelta(seconds=1)
    settlement = AlertSettlement(result, now + MINUTE)
    settled, second = store.outbox.settle_and_claim(first, settlement, soon, LEASE, at_once=1)
    assert second is not None
    assert (Result.APPLIED, replace(new_alert(now, step="s1"), attempts=1)) == (settled, second.alert)
    assert (Result.STALE, None) == store.outbox.settle_and_claim(first, settlement, soon, LEASE, at_once=1)
    _, third = store.outbox.settle_and_claim(second, settlement, soon, LEASE, at_once=1)
    assert third is not None
    assert "s2" == third.alert.step
    assert (Result.APPLIED, None) == store.outbox.settle_and_claim(third, settlement, soon, LEASE, at_once=1)


def test_settling_and_claiming_passes_over_what_is_not_there(redis_store: RedisStore) -> None:
    """An entry whose document is lost is taken out, and the one behind it is leased."""
    now = redis_store.now().replace(microsecond=0)
    for number in range(2):
        redis_store.outbox.add(new_alert(now, step=f"s{number}"), now)
    first = claim(redis_store, now)
    redis_store.server.client.zadd(redis_store.server.keys.outbox("managers"), {"lost": 1})
    done = AlertSettlement("delivered", now)
    _, second = redis_store.outbox.settle_and_claim(first, done, now, LEASE, at_once=1)
    assert second is not None
    assert "s1" == second.alert.step


def test_dead_alert_is_kept_with_its_fallback_added_once(store: Store, now: datetime) -> None:
    """A dead alert is listed and counted; its fallback waits at another destination, once."""
    fallback = replace(new_alert(now, destination="fallback"), fallback_for="managers", note="unreachable")
    for step in ("one", "two"):
        store.outbox.add(new_alert(now, step=step), now)
        dead = AlertSettlement("dead", now, 1, also=fallback)
        assert store.outbox.settle(claim(store, now), dead) == Result.APPLIED
    assert [(fallback, now)] == store.outbox.waiting(9)
    assert [dead.alert.step for dead in store.outbox.dead(9)] == ["two", "one"]
    assert (1, 1, now) == (
        store.outbox.dead(1)[0].alert.attempts,
        store.outbox.dead(1)[0].alert.unknown_attempts,
        store.outbox.dead(1)[0].at,
    )
    assert store.operations.counters() == {"alerts_dead": 2}
    assert store.outbox.destinations_due(now) == {"fallback": 1}


@pytest.mark.parametrize(("told", "is_put_in"), [(None, True), (1, True), (2, False)])
def test_what_brings_up_to_date_goes_in_where_the_lead_has_changed(
    store: Store, now: datetime, told: int | None, *, is_put_in: bool
) -> None:
    """In one piece with the note, whoever changes the lead meanwhile; of a lead that is gone nobody is told."""
    lead = admitted(store)
    store.leads.change([change_of(following(lead), now)])
    update = new_alert(now, lead.id, "moved-since-s1")
    note = HistoryEntry(now, "alert.delivered", {"step": "s1", "to": "managers"})
    store.outbox.add(new_alert(now, lead.id, "s1"), now)
    done = AlertSettlement("delivered", now, 0, note, update, told)
    assert store.outbox.settle(claim(store, now), done) == Result.APPLIED
    assert ([(update, now)] if is_put_in else []) == store.outbox.waiting(9)
    assert note == store.leads.history(lead.id)[-1]

    for _ in store.outbox.waiting(9):
        store.outbox.settle(claim(store, now), AlertSettlement("delivered", now))
    store.outbox.add(new_alert(now, "gone", "s1"), now)
    of_nobody = AlertSettlement("delivered", now, 0, note, new_alert(now, "gone", "moved-since-s1"), 1)
    assert store.outbox.settle(claim(store, now), of_nobody) == Result.APPLIED
    assert [] == store.outbox.waiting(9)


@pytest.mark.parametrize(("unknown", "kept"), [(0, 0), (1, 1), (2, 1)])
def test_dead_alert_is_not_claimed_and_can_be_redriven(
    store: Store, now: datetime, unknown: int, kept: int
) -> None:
    """A dead alert stays dead until somebody redrives it; then it begins anew, but for whether it may have arrived."""
    alert = new_alert(now)
    store.outbox.add(alert, now)
    assert store.outbox.redrive(alert.key, now) == Result.GONE
    store.outbox.settle(claim(store, now), AlertSettlement("dead", now, unknown))
    assert store.outbox.claim("managers", now + MINUTE, LEASE, at_once=9) is None
    assert store.outbox.add(alert, now) == Result.KNOWN
    assert [store.outbox.redrive(alert.key, now + MINUTE) for _ in range(2)] == [Result.APPLIED, Result.GONE]
    again = replace(alert, unknown_attempts=kept)
    assert ([], [(again, now + MINUTE)]) == (store.outbox.dead(9), store.outbox.waiting(9))
    assert replace(again, attempts=1) == claim(store, now + MINUTE).alert
    assert store.outbox.redrive("no:such:alert", now) == Result.GONE


def test_waiting_alerts_are_listed_soonest_first(store: Store, now: datetime) -> None:
    """The list crosses destinations, goes by instant and then by key, and ends at the limit."""
    alerts: list[Alert] = []
    for number, destination in enumerate("abab"):
        alerts.append(new_alert(now, step=f"s{number}", destination=destination))
        store.outbox.add(alerts[-1], now + (3 - number) // 2 * MINUTE)
    assert [alerts[2], alerts[3], alerts[0]] == [alert for alert, _ in store.outbox.waiting(3)]


def test_outbox_entry_without_alert_is_passed_over(redis_store: RedisStore) -> None:
    """An entry whose document is lost is taken out, and the next alert is claimed."""
    now = redis_store.now().replace(microsecond=0)
    redis_store.outbox.add(new_alert(now), now)
    redis_store.server.client.zadd(redis_store.server.keys.outbox("managers"), {"lost": 1})
    assert claim(redis_store, now).alert.step == "100%"
    assert redis_store.server.client.zscore(redis_store.server.keys.outbox("managers"), "lost") is None


def test_an_alert_is_settled_whatever_stands_under_its_lead(redis_store: RedisStore) -> None:
    """A line of history finds no list to stand in: that is no reason to deliver the alert once more."""
    now = redis_store.now().replace(microsecond=0)
    redis_store.server.client.set(redis_store.server.keys.lead("lead1"), "no list")
    redis_store.outbox.add(new_alert(now), now)
    settlement = AlertSettlement("delivered", now, history=HistoryEntry(now, "alert.delivered", {}))
    assert redis_store.outbox.settle(claim(redis_store, now), settlement) == Result.APPLIED
    assert redis_store.outbox.waiting(9) == []
    assert redis_store.server.client.get(redis_store.server.keys.lead("lead1")) == b"no list"


def test_unreadable_alert_stops_nobody_and_dies_loudly(redis_store: RedisStore) -> None:
    """An alert of a newer release is put off for a courier that can read it; the others go on; in the end it is dead."""
    now = redis_store.now().replace(microsecond=0)
    client, keys = redis_store.server.client, redis_store.server.keys
    redis_store.outbox.add(new_alert(now, step="new"), now - MINUTE)
    redis_store.outbox.add(new_alert(now, step="old"), now)
    client.hset(keys.alerts, "lead1:new:managers", '{"kind":"lead.unheard_of"}')
    assert [alert.step for alert, _ in redis_store.outbox.waiting(9)] == ["old"]
    old = claim(redis_store, now, at_once=1)
    assert (
        old.alert.step,
        redis_store.outbox.settle(old, AlertSettlement("delivered", now)),
    ) == ("old", Result.APPLIED)
    for number in range(1, UNREADABLE_TRIES - 1):
        assert redis_store.outbox.claim("managers", now + number * UNREADABLE_PAUSE, LEASE, at_once=1) is None
    last = claim(redis_store, now + (UNREADABLE_TRIES - 1) * UNREADABLE_PAUSE, at_once=1)
    assert (last.is_unreadable, last.alert.key, last.alert.attempts) == (
        True,
        "lead1:new:managers",
        UNREADABLE_TRIES,
    )
    assert redis_store.outbox.settle(last, AlertSettlement("dead", now)) == Result.APPLIED
    assert (
        redis_store.operations.counters()["alerts_dead"],
        redis_store.operations.health().dead_alerts,
    ) == (1, 1)


def test_a_destination_is_disabled_once_and_enabled_again(store: Store, now: datetime) -> None:
    """The first to say so is the one who tells people; it is found by its name, and among all that ever had an alert."""
    disabled = Disabled(now, now + timedelta(hours=1), "HTTP 410 Gone")
    assert {} == store.outbox.disabled()
    assert store.outbox.add(new_alert(now), now) == Result.APPLIED
    assert store.outbox.disable("managers", disabled) == Result.APPLIED
    assert store.outbox.disable("managers", replace(disabled, why="again")) == Result.KNOWN
    assert {"managers": disabled} == store.outbox.disabled() == store.outbox.disabled(["managers", "desk"])
    assert {} == store.outbox.disabled(["desk"])
    assert store.outbox.enable("managers") == Result.APPLIED
    assert store.outbox.enable("managers") == Result.GONE
    assert {} == store.outbox.disabled(["managers"])


def test_a_disabled_destination_is_tried_again_after_its_time(redis_store: RedisStore) -> None:
    """It ends by the server's own clock, whatever becomes of the process that wrote it."""
    now = redis_store.now()
    redis_store.outbox.disable("managers", Disabled(now, now + timedelta(milliseconds=30), "gone"))
    wait_until(lambda: not redis_store.outbox.disabled(["managers"]), "it is enabled again")


def in_trouble(store: Store, now: datetime, rest: timedelta | None = None, count: int = 4) -> None:
    """So many alerts are due, and the destination has failed the first of them at `now`."""
    for number in range(count):
        store.outbox.add(new_alert(now, step=f"s{number}"), now + number * timedelta(milliseconds=1))
    failed = claim(store, now)
    trouble = Trouble(now, now, now + rest if rest else None)
    settlement = AlertSettlement("retry", now + timedelta(seconds=1), trouble=trouble)
    assert store.outbox.settle(failed, settlement) == Result.APPLIED


def test_a_destination_that_asked_for_rest_gets_nothing_until_then(store: Store, now: datetime) -> None:
    """None of its alerts is leased, nor counted as due; then one at a time, until one is delivered."""
    in_trouble(store, now, rest=MINUTE)
    store.outbox.add(new_alert(now, step="other", destination="b"), now)
    almost = now + MINUTE - timedelta(milliseconds=1)
    assert store.outbox.claim("managers", almost, LEASE, at_once=9) is None
    assert store.outbox.destinations_due(almost) == {"b": 1}
    assert store.outbox.destinations_due(now + MINUTE) == {"b": 1, "managers": 4}
    first = claim(store, now + MINUTE)
    assert store.outbox.claim("managers", now + MINUTE, LEASE, at_once=9) is None
    store.outbox.settle(first, AlertSettlement("delivered", now + MINUTE))
    assert ["s2", "s3"] == [claim(store, now + MINUTE).alert.step for _ in range(2)]


def test_the_longest_rest_counts(store: Store, now: datetime) -> None:
    """Whoever hears of a shorter one later does not shorten it; a rest that is over ends no trouble."""
    in_trouble(store, now, rest=MINUTE)
    store.outbox.add(new_alert(now, step="s8"), now)
    claimed = claim(store, now + MINUTE)
    shorter = Trouble(now + MINUTE, now + MINUTE, now + timedelta(seconds=50))
    store.outbox.settle(claimed, AlertSettlement("retry", now + 9 * MINUTE, trouble=shorter))
    assert store.outbox.claim("managers", now + MINUTE, LEASE, at_once=9) is not None
    assert store.outbox.claim("managers", now + MINUTE, LEASE, at_once=9) is None


def test_after_minutes_of_trouble_all_but_one_are_in_vain(store: Store, now: datetime) -> None:
    """One finds out whether it takes anything; the others need not wait for that. A delivery ends it."""
    in_trouble(store, now)
    assert [False, False] == [claim(store, now + PATIENCE - LEASE).is_in_vain for _ in range(2)]
    later = now + PATIENCE + LEASE
    assert store.outbox.in_trouble("managers", later)
    probe, *others = [claim(store, later) for _ in range(3)]
    assert [False, True, True] == [one.is_in_vain for one in (probe, *others)]
    store.outbox.settle(probe, AlertSettlement("delivered", later))
    assert not store.outbox.in_trouble("managers", later)
    assert claim(store, later).is_in_vain is False


def test_an_old_trouble_is_forgotten(store: Store, now: datetime) -> None:
    """Nothing was tried for a while: what was so then says nothing about now, and a new failure begins anew."""
    in_trouble(store, now, rest=MINUTE)
    almost, over = now + TROUBLE_LASTS - timedelta(milliseconds=1), now + TROUBLE_LASTS
    assert (True, False) == tuple(store.outbox.in_trouble("managers", at) for at in (almost, over))
    assert [False, False] == [claim(store, over).is_in_vain for _ in range(2)]
    again = claim(store, over)
    store.outbox.settle(again, AlertSettlement("retry", over, trouble=Trouble(over, over)))
    assert not store.outbox.in_trouble("managers", over)


TERMS = DigestTerms(2, MINUTE)


def test_alerts_of_a_time_are_counted(store: Store, now: datetime) -> None:
    """From the first on; where more came than may, that stands for as long again, for what waits is to be folded."""
    assert store.outbox.storm("managers") is None
    assert [1, 2] == [store.outbox.note_sent("managers", TERMS, now).count for _ in range(2)]
    assert Storm(now + MINUTE, 1) == store.outbox.note_sent("managers", TERMS, now + MINUTE)
    for _ in range(2):
        store.outbox.note_sent("managers", TERMS, now + MINUTE)
    over = store.outbox.note_sent("managers", TERMS, now + 2 * MINUTE)
    assert (Storm(now + MINUTE, 4), over) == (over, store.outbox.storm("managers"))
    assert Storm(now + 3 * MINUTE, 1) == store.outbox.note_sent("managers", TERMS, now + 3 * MINUTE)
    assert (None, now + 2 * MINUTE) == (Storm(now, 2).held_until(TERMS), over.held_until(TERMS))


def test_a_digest_takes_the_place_of_its_alerts_in_one_piece(store: Store, now: datetime) -> None:
    """They are gone, it is there, each lead's history says so, and counting begins anew; delivered, that stands there too."""
    admitted(store, "lead1")
    alerts = [new_alert(now, "lead1", f"s{number}") for number in range(3)]
    for alert in alerts:
        store.outbox.add(alert, now)
    store.outbox.note_sent("managers", TERMS, now)
    due = store.outbox.due("managers", now, 9)
    assert alerts == due
    digest = digest_of("managers", due, now)
    lines = {alert.key: folded(alert, digest, now) for alert in due}
    assert Result.APPLIED == store.outbox.fold(digest, lines, now)
    assert Result.STALE == store.outbox.fold(digest, lines, now)
    assert store.outbox.storm("managers") is None
    assert [digest] == [alert for alert, _ in store.outbox.waiting(9)]
    claimed = claim(store, now)
    assert digest.members == claimed.alert.members
    details = {"step": digest.step, "to": "managers", "attempt": 1}
    store.outbox.settle(
        claimed, AlertSettlement("delivered", now, history=HistoryEntry(now, "alert.delivered", details))
    )
    told = [
        (line.event, line.details["step"])
        for line in store.leads.history("lead1")
        if "digest" in line.details
    ]
    steps = ["s0", "s1", "s2"]
    assert [
        *(("alert.folded", step) for step in steps),
        *(("alert.delivered", step) for step in steps),
    ] == told
    assert 3 == store.operations.counters()["alerts_folded"]


def test_a_storm_is_over_with_its_last_digest(store: Store, now: datetime) -> None:
    """Until then what is not folded yet is still held back."""
    alerts = [new_alert(now, step=f"s{number}") for number in range(2)]
    for alert in alerts:
        store.outbox.add(alert, now)
    counted = store.outbox.note_sent("managers", TERMS, now)
    for number, alert in enumerate(alerts):
        assert counted == store.outbox.storm("managers")
        digest = digest_of("managers", [alert], now + number * MINUTE)
        line = {alert.key: folded(alert, digest, now)}
        assert Result.APPLIED == store.outbox.fold(digest, line, now, is_last=number == 1)
    assert store.outbox.storm("managers") is None


def test_a_digest_takes_nothing_that_is_under_way(store: Store, now: datetime) -> None:
    """One of them is in a courier's hands, or was settled: nothing is done, and all stay what they were."""
    alerts = [new_alert(now, step=f"s{number}") for number in range(3)]
    for alert in alerts:
        store.outbox.add(alert, now)
    digest = digest_of("managers", alerts, now)
    lines = {alert.key: folded(alert, digest, now) for alert in alerts}
    first = claim(store, now)
    before = picture(store)
    assert Result.STALE == store.outbox.fold(digest, lines, now)
    assert before == picture(store)
    store.outbox.settle(first, AlertSettlement("delivered", now))
    assert Result.STALE == store.outbox.fold(digest, lines, now)
    assert ["s1", "s2"] == [alert.step for alert in store.outbox.due("managers", now, 9)]


def test_a_destination_that_is_disabled_rests_no_more(store: Store, now: datetime) -> None:
    """What it does not get is given up at once, for others to hear; that does not wait for a rest it asked for."""
    in_trouble(store, now, rest=MINUTE)
    soon = now + timedelta(milliseconds=9)
    assert store.outbox.claim("managers", soon, LEASE, at_once=9) is None
    store.outbox.disable("managers", Disabled(now, now + timedelta(hours=1), "HTTP 410 Gone"))
    assert {"managers": 3} == store.outbox.destinations_due(soon)
    assert store.outbox.claim("managers", soon, LEASE, at_once=9) is not None
