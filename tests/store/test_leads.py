"""The contract of lead records and their index: versions decide, the index follows, pages lose nobody."""

from dataclasses import replace
from datetime import timedelta

import pytest
from tests.store.builders import (
    LEASE,
    MINUTE,
    admit,
    admitted,
    change_of,
    following,
    new_alert,
    new_lead,
    new_submission,
    picture,
)

from speed_to_lead.core.assignment import Rotation
from speed_to_lead.core.clock import from_ms
from speed_to_lead.core.lead import Alert, AlertKind, HistoryEntry, Lead, LeadState
from speed_to_lead.store import leads as listing
from speed_to_lead.store.contract import AlertSettlement, Result, Store, StoreUnavailable, UnreadableRecord
from speed_to_lead.store.leads import PAGE
from speed_to_lead.store.redis_store import RedisStore


def test_change_writes_everything_at_once(store: Store) -> None:
    """An escalation has its record, history, index, alerts, load and counter written together."""
    lead = admitted(store)
    later = lead.deadline + MINUTE
    moved = following(lead, rep="bob", reps_before=("ana",), next_at=later)
    alert = new_alert(lead.deadline)
    change = change_of(moved, later, alerts=(alert,), load={"ana": -1, "bob": 1}, counters={"breaches": 1})
    assert store.leads.change([change]) == [Result.APPLIED]
    assert moved == store.leads.get("lead1")
    assert [later] == store.leads.indexed_at(["lead1"])
    assert [line.details["to"] for line in store.leads.history("lead1")] == [1, 2]
    assert store.leads.load() == {"bob": 1}
    assert store.operations.counters() == {"leads": 1, "breaches": 1}
    assert [alert] == [found for found, _ in store.outbox.waiting(10)]


def test_stopped_clock_leaves_the_index(store: Store) -> None:
    """A lead that waits for nothing is not in the index."""
    lead = admitted(store)
    stopped = following(lead, state=LeadState.ANSWERED, next_at=None)
    store.leads.change([change_of(stopped, store.now(), load={"ana": -1})])
    assert (
        store.leads.indexed_at(["lead1"]),
        store.leads.load(),
    ) == ([None], {})


def test_change_decided_on_an_old_version_changes_nothing(store: Store) -> None:
    """The second of two deciders is refused whole: alerts, history and load too."""
    lead = admitted(store)
    first = change_of(following(lead, campaign="first"), store.now())
    second = change_of(
        following(lead, campaign="second"), store.now(), alerts=(new_alert(store.now()),), load={"ana": -1}
    )
    assert store.leads.change([first]) == [Result.APPLIED]
    before = picture(store)
    assert store.leads.change([second]) == [Result.STALE]
    assert before == picture(store)


def test_a_change_that_knew_less_of_the_history_is_refused(store: Store) -> None:
    """A note about the lead came between what was read and what is written: it is decided again, and nothing is written."""
    lead, now = admitted(store), store.now()
    read = len(store.leads.history(lead.id))
    change = replace(change_of(following(lead), now), lines_read=read)
    alert = new_alert(now, lead.id)
    store.outbox.add(alert, now)
    claimed = store.outbox.claim(alert.destination, now, LEASE, at_once=1)
    assert claimed is not None
    store.outbox.settle(claimed, AlertSettlement("delivered", now, 0, HistoryEntry(now, "alert.delivered")))
    before = picture(store)
    assert [Result.STALE] == store.leads.change([change])
    assert before == picture(store)
    assert [Result.APPLIED] == store.leads.change([replace(change, lines_read=read + 1)])


def test_change_of_no_lead_changes_nothing(store: Store) -> None:
    """A lead that is not there is gone, and stays so."""
    before = picture(store)
    assert store.leads.change([change_of(new_lead(store.now(), version=2), store.now())]) == [Result.GONE]
    assert before == picture(store)


def test_alert_of_a_known_key_is_the_same_alert(store: Store) -> None:
    """An alert whose key is leased already is not put in again: its courier's lease holds."""
    lead = admitted(store, alerts=(new_alert(store.now()),))
    now = store.now() + MINUTE
    claimed = store.outbox.claim("managers", now, MINUTE, at_once=1)
    assert claimed is not None
    again = change_of(following(lead), now, alerts=(replace(claimed.alert, note="again", attempts=0),))
    assert store.leads.change([again]) == [Result.APPLIED]
    assert [alert.note for alert, _ in store.outbox.waiting(5)] == [""]
    assert store.outbox.claim("managers", now, MINUTE, at_once=9) is None


def test_due_leads_come_longest_overdue_first(store: Store) -> None:
    """Due is everything at or before now, in the order of its instant, up to the limit."""
    now = store.now().replace(microsecond=0)
    for name, minutes in (("late", -2), ("now", 0), ("soon", 1), ("later", -1)):
        admitted(store, name, lead={"next_at": now + minutes * MINUTE})
    assert store.leads.due(now, 10) == ["late", "later", "now"]
    assert (["late", "later"], ["now"]) == (store.leads.due(now, 2), store.leads.due(now, 2, skip=2))


def test_index_is_mended_only_for_the_version_that_was_read(store: Store) -> None:
    """A mend decided on an old version is refused; one for the present version writes what it says."""
    lead = admitted(store)
    at = lead.deadline - MINUTE
    assert store.leads.mend_index("lead1", 2, None) == Result.STALE
    assert [lead.next_at] == store.leads.indexed_at(["lead1"])
    assert (Result.APPLIED, [at]) == (
        store.leads.mend_index("lead1", 1, at),
        store.leads.indexed_at(["lead1"]),
    )
    assert (
        store.leads.mend_index("lead1", 1, None),
        store.leads.indexed_at(["lead1"]),
    ) == (Result.APPLIED, [None])


def test_index_entry_without_record_can_be_taken_out(store: Store) -> None:
    """Version 0 means there is no record, and is refused where there is one."""
    admitted(store)
    assert store.leads.mend_index("lead1", 0, None) == Result.STALE
    assert store.leads.mend_index("nobody", 0, store.now()) == Result.APPLIED
    assert store.leads.mend_index("nobody", 0, None) == Result.APPLIED
    assert store.leads.indexed_at(["nobody"]) == [None]


def test_quarantined_lead_is_out_of_the_way_and_counted_once(store: Store) -> None:
    """A lead in quarantine is not due, keeps its newest error, and is counted once."""
    admitted(store)
    answers = [store.leads.quarantine("lead1", "first"), store.leads.quarantine("lead1", "second")]
    assert answers == [Result.APPLIED, Result.KNOWN]
    assert (store.leads.indexed_at(["lead1"]), store.leads.quarantined()) == ([None], {"lead1": "second"})
    assert store.operations.counters()["quarantined"] == 1


def test_a_lead_that_is_gone_is_not_quarantined(store: Store) -> None:
    """It was erased between being read and being put aside: nobody is told of a lead that is not there."""
    alert = new_alert(store.now())
    assert store.leads.quarantine("nobody", "unreadable", alert) is Result.GONE
    assert (store.leads.quarantined(), store.outbox.waiting(5)) == ({}, [])


def pages(store: Store, limit: int, **filters: str | LeadState) -> list[list[str]]:
    """Ids page by page."""
    found, cursor = [], None
    while True:
        leads, cursor = store.leads.newest(limit, before=cursor, **filters)  # type: ignore[arg-type]
        found.append([lead.id for lead in leads])
        if cursor is None:
            return found


def test_a_filter_that_fits_nobody_does_not_walk_over_all_leads(
    redis_store: RedisStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A page ends after so many leads looked at, with the cursor to go on from, and the last one says that it is."""
    monkeypatch.setattr(listing, "PAGE", 5)
    monkeypatch.setattr(listing, "LOOKED_AT", 10)
    for number in range(23):
        admitted(redis_store, f"lead{number:02}", lead={"team": "sales" if number == 0 else "inbound"})
    found = pages(redis_store, 5, team="sales")
    assert ([], ["lead00"]) == (found[0], found[-1])


def test_pages_hold_every_lead_once_newest_first(store: Store) -> None:
    """Paging through leads, many of one millisecond, shows each once and in order."""
    now = store.now()
    for number in range(9):
        admitted(
            store, f"l{number}", lead={"received_at": now.replace(microsecond=0) - (number // 4) * MINUTE}
        )
    expected = ["l3", "l2", "l1", "l0", "l7", "l6", "l5", "l4", "l8"]
    for limit in (1, 2, 4, 9, 20):
        found = [page for page in pages(store, limit) if page]
        assert expected == [lead_id for page in found for lead_id in page]
        assert all(len(page) == limit for page in found[:-1])
    assert (pages(store, 5, team="nobody"), store.leads.newest(9)[1]) == ([[]], None)


def test_pages_respect_their_filters(store: Store) -> None:
    """Team, rep and state each narrow the listing."""
    for number, (team, rep, state) in enumerate(
        [("a", "x", LeadState.OPEN), ("a", "y", LeadState.CLOSED), ("b", "x", LeadState.OPEN)]
    ):
        admitted(store, f"l{number}", lead={"team": team, "rep": rep, "state": state})
    assert {"l0", "l1"} == {i for page in pages(store, 1, team="a") for i in page}
    assert {"l0", "l2"} == {i for page in pages(store, 1, rep="x") for i in page}
    assert {"l1"} == {i for page in pages(store, 1, state=LeadState.CLOSED) for i in page}


def test_an_import_of_one_instant_pages_through(redis_store: RedisStore) -> None:
    """More leads of one millisecond than are read in one go: each is listed once."""
    now = redis_store.now().replace(microsecond=0)
    names = [f"l{number:04}" for number in range(2 * PAGE + 30)]
    for name in names:
        redis_store.queue.add(new_submission(redis_store, name))
    entries = redis_store.queue.take("r", len(names))
    redis_store.queue.settle([admit(e, new_lead(now, e.submission.id)) for e in entries])
    assert names[::-1] == [lead_id for page in pages(redis_store, 150) for lead_id in page]


def test_scan_meets_every_lead(store: Store) -> None:
    """A round of scanning ends and has met every lead."""
    names = {f"l{number}" for number in range(30)}
    for name in names:
        admitted(store, name)
    met: set[str] = set()
    cursor = ""
    while True:
        ids, cursor = store.leads.scan(cursor, 7)
        met |= set(ids)
        if not cursor:
            break
    assert names == met


def test_unknown_names_have_plain_answers(store: Store) -> None:
    """Nothing there is None, empty or a fresh rotation, never an error."""
    assert (
        store.leads.get("x"),
        store.leads.get_many(["x", "y"]),
        store.leads.history("x"),
    ) == (None, [None, None], [])
    assert (store.leads.get_many([]), store.leads.of_people([]), store.leads.indexed_at([])) == ([], {}, [])
    assert ({"t": Rotation()}, {}) == (store.leads.rotations(["t"]), store.leads.rotations([]))
    assert (store.leads.change([]), store.queue.settle([]), store.queue.lead_of([])) == ([], [], {})
    assert (
        store.leads.due(store.now(), 5),
        store.leads.quarantined(),
    ) == ([], {})


@pytest.mark.parametrize(
    "broken",
    [
        *("", "no record", "1", "1 ", "1 no json", "1 []", "1 7", '1 "text"', "1 {}", '1 {"id":1}'),
        *("1 " + "[" * 100_000, "1 null", "1 \x01", "1 \x01not packed", "x {}"),
    ],
)
def test_unreadable_record_is_answered_not_raised(redis_store: RedisStore, broken: str) -> None:
    """One record that is none does not stop its batch."""
    good = admitted(redis_store, "good")
    client, keys = redis_store.server.client, redis_store.server.keys
    client.rpush(keys.lead("bad"), broken)
    client.set(keys.lead("wrong"), "not a list")
    first, second, third = redis_store.leads.get_many(["bad", "good", "wrong"])
    assert (UnreadableRecord, good, UnreadableRecord) == (type(first), second, type(third))
    with pytest.raises(UnreadableRecord):
        redis_store.leads.get("bad")


def test_a_record_is_replaced_and_its_history_goes_on(redis_store: RedisStore) -> None:
    """Under one key stands the record, at its version, and then each line, oldest first; no second key is made."""
    lead = admitted(redis_store)
    client, keys = redis_store.server.client, redis_store.server.keys
    first = client.lrange(keys.lead("lead1"), 0, -1)
    for version in (2, 3):
        changed = replace(lead, version=version)
        assert redis_store.leads.change([change_of(changed, redis_store.now())]) == [Result.APPLIED]
    last = client.lrange(keys.lead("lead1"), 0, -1)
    assert (last[0].partition(b" ")[0], last[1 : len(first)], len(last)) == (
        b"3",
        first[1:],
        len(first) + 2,
    )
    assert [keys.lead("lead1").encode()] == client.keys(f"{keys.lead('lead1')}*")


def test_numbers_arrive_as_plain_integers(redis_store: RedisStore) -> None:
    """Instants and turns beyond what a Lua number prints whole are stored digit by digit."""
    lead = admitted(redis_store, alerts=(new_alert(redis_store.now()),))
    client, keys = redis_store.server.client, redis_store.server.keys
    millisecond = timedelta(milliseconds=1)
    for key, member, at in (
        (keys.due, "lead1", lead.next_at),
        (keys.all_leads, "lead1", lead.received_at),
    ):
        assert at is not None
        assert abs(from_ms(int(client.zscore(key, member))) - at) < millisecond
    assert client.lindex(keys.lead("lead1"), 0).startswith(b"1 ")


def test_half_an_emoji_is_stored(store: Store) -> None:
    """Text that cannot be UTF-8 (a cut emoji) is stored and read back the same."""
    lead = new_lead(store.now()).lead
    given = replace(lead, fields={"email": "kim@example.com", "message": "cut \ud83d"})
    written = admitted(store, lead={"lead": given})
    assert written == store.leads.get("lead1")
    change = change_of(following(written), store.now())
    line = replace(change.history[0], details={"note": "cut \ud83d"})
    assert store.leads.change([replace(change, history=(line,))]) == [Result.APPLIED]
    assert store.leads.history("lead1")[-1].details["note"] == "cut \ud83d"


def test_count_that_is_not_whole_is_refused_before_the_first_write(redis_store: RedisStore) -> None:
    """The script looks at its numbers before it writes any of them."""
    lead = admitted(redis_store)
    before = picture(redis_store)
    change = change_of(following(lead), redis_store.now(), load={"ana": 0.5})
    with pytest.raises(StoreUnavailable, match="ResponseError"):
        redis_store.leads.change([change])
    assert before == picture(redis_store)


def test_system_alert_of_a_lead_change_keeps_its_kind(store: Store) -> None:
    """Every kind of alert goes through a change and comes out the same."""
    now = store.now().replace(microsecond=0)
    alerts = tuple(Alert("lead1", f"s{n}", "d", kind, now) for n, kind in enumerate(AlertKind))
    admitted(store, alerts=alerts)
    found: list[Alert] = [alert for alert, _ in store.outbox.waiting(100)]
    assert sorted(alerts, key=lambda a: a.key) == found


def test_records_of_other_releases_without_a_field_are_read(redis_store: RedisStore) -> None:
    """A field that was empty is not stored, and is empty again when read."""
    written: Lead = admitted(redis_store, lead={"channel": "", "config_digest": "", "sla": ""})
    assert written == redis_store.leads.get("lead1")


def test_leads_since_an_instant_come_once_oldest_first(store: Store) -> None:
    """Paging through them, many of one millisecond, shows each once and in order; older ones are not shown."""
    now = store.now().replace(microsecond=0)
    for number in range(9):
        admitted(store, f"l{number}", lead={"received_at": now - (number // 4) * MINUTE})
    for since, expected in (
        (now - MINUTE, ["l4", "l5", "l6", "l7", "l0", "l1", "l2", "l3"]),
        (now - MINUTE * 9, ["l8", "l4", "l5", "l6", "l7", "l0", "l1", "l2", "l3"]),
        (now + MINUTE, []),
    ):
        for limit in (1, 2, 3, 4, 20):
            found: list[str] = []
            cursor: str | None = None
            while True:
                leads, cursor = store.leads.received_since(since, limit, cursor)
                found += [lead.id for lead in leads if isinstance(lead, Lead)]
                if cursor is None:
                    break
            assert expected == found


def test_a_record_that_cannot_be_read_is_among_those_since(redis_store: RedisStore) -> None:
    """It is answered as an error, and the others come all the same."""
    admitted(redis_store, "good")
    broken = admitted(redis_store, "broken")
    redis_store.server.client.lset(redis_store.server.keys.lead("broken"), 0, b"1 {")
    found, cursor = redis_store.leads.received_since(broken.received_at - MINUTE, 10)
    assert (None, 1, 1) == (
        cursor,
        sum(isinstance(one, Lead) for one in found),
        sum(isinstance(one, UnreadableRecord) for one in found),
    )
