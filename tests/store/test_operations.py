"""What people on call ask: depths, ages, signs of life, the server's policy, the books."""

from datetime import timedelta

import pytest
import redis
from tests.servers import ManualClock
from tests.store.builders import LEASE, MINUTE, admitted, elapse, new_alert, new_submission, picture, taken

from speed_to_lead.core.audit import Ledger
from speed_to_lead.store.contract import AlertSettlement, Health, Store, StoreUnavailable
from speed_to_lead.store.redis_store import RedisStore
from speed_to_lead.store.server import connect, described


def test_empty_store_is_healthy(store: Store) -> None:
    """Nothing there: all depths and ages are zero and the books balance."""
    health = store.operations.health()
    assert Health(health.now) == health
    assert Ledger(0, 0, 0, 0, 0, 0, 0) == store.operations.ledger()
    assert store.operations.counters() == {}


def test_health_measures_every_stage(store: Store, clock: ManualClock) -> None:
    """Each depth and age is that of its own stage."""
    now = store.now()
    admitted(store, "late", lead={"next_at": now - 3 * MINUTE})
    admitted(store, "early", lead={"next_at": now + 3 * MINUTE})
    taken(store, "s1")
    store.queue.add(new_submission(store, "s2"))
    admitted(store, "broken")
    store.leads.quarantine("broken", "why")
    for name, minutes in (("due", -2), ("dead", -9), ("soon", 2)):
        store.outbox.add(new_alert(now, step=name), now + minutes * MINUTE)
    claimed = store.outbox.claim("managers", now, LEASE, at_once=1)
    assert claimed is not None
    store.outbox.settle(claimed, AlertSettlement("dead", now))
    store.operations.beat("router@a:1", now - MINUTE)
    store.operations.beat("clock@a:2", now + MINUTE)
    elapse(store, clock, timedelta(milliseconds=30))
    health = store.operations.health()
    assert (health.queued, health.pending, health.due, health.open_leads) == (2, 1, 1, 3)
    assert (
        health.outbox,
        health.outbox_due,
        health.dead_letters,
        health.dead_alerts,
        health.quarantined,
    ) == (2, 1, 0, 1, 1)
    assert 0.02 < health.queued_oldest < 10
    assert 180 < health.due_oldest < 190
    assert 0.02 < health.outbox_oldest < 10  # since it was decided
    assert sorted(health.heartbeats) == ["clock@a:2", "router@a:1"]
    assert health.heartbeats["clock@a:2"] == 0.0
    assert 60 <= health.heartbeats["router@a:1"] < 70


def test_process_silent_for_a_day_is_forgotten(store: Store) -> None:
    """A process that was replaced does not stay on the list for ever."""
    now = store.now()
    store.operations.beat("old@a:1", now - timedelta(days=1, seconds=1))
    store.operations.beat("new@a:2", now)
    assert list(store.operations.health().heartbeats) == ["new@a:2"]


def test_policy_says_how_the_server_is_set_up(redis_store: RedisStore) -> None:
    """Version, eviction and AOF are read from the server, and its clock is compared with ours."""
    policy = redis_store.operations.policy()
    assert (
        policy.maxmemory_policy,
        policy.append_only,
        policy.append_fsync,
    ) == ("noeviction", True, "always")
    assert policy.version[0].isdigit()
    assert abs(policy.drift) < 1


def test_server_that_refuses_config_still_has_a_policy(
    redis_store: RedisStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A managed service that forbids CONFIG leaves the fsync policy unknown, and nothing fails."""

    def refused(name: str) -> None:
        raise redis.ResponseError("unknown command 'CONFIG'")

    monkeypatch.setattr(redis_store.server.client, "config_get", refused)
    policy = redis_store.operations.policy()
    assert (policy.append_fsync, policy.maxmemory_policy, policy.append_only) == (None, "noeviction", True)


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ({"redis_version": "8.0.2"}, True),
        ({"redis_version": "7.2.4", "valkey_version": "9.1.1"}, True),
        ({"redis_version": "7.2.4", "valkey_version": "9.1.2"}, False),
        ({"redis_version": "7.2.4", "valkey_version": "10.0.0"}, False),
        ({"redis_version": "8.0.2", "aof_last_rewrite_time_sec": 0}, False),
        (
            {"redis_version": "8.0.2", "aof_last_rewrite_time_sec": 0, "aof_last_bgrewrite_status": "err"},
            True,
        ),
        ({"redis_version": "8.0.2", "aof_enabled": 0}, False),
        ({"redis_version": "7.1.0", "aof_last_rewrite_time_sec": None}, False),
    ],
)
def test_which_servers_may_hold_half_a_change(
    redis_store: RedisStore, monkeypatch: pytest.MonkeyPatch, said: dict[str, object], expected: bool
) -> None:
    """Those that do not cut it off at their start, until they have written their log anew; one that says little is left alone."""
    info = {"aof_enabled": 1, "aof_last_rewrite_time_sec": -1, **said}
    monkeypatch.setattr(redis_store.server.client, "info", lambda: info)
    monkeypatch.setattr(redis_store.server.client, "bgrewriteaof", lambda: True)
    assert expected == redis_store.operations.policy().may_hold_half
    assert ("started" if expected else "") == redis_store.operations.renew_log()


@pytest.mark.parametrize(
    ("state", "asked"), [("wait_bgsave", ""), ("send_bulk", "started"), ("online", "started")]
)
def test_a_replica_that_waits_for_its_copy_comes_before_a_new_log(
    redis_store: RedisStore, monkeypatch: pytest.MonkeyPatch, state: str, asked: str
) -> None:
    """Else it would have its copy only when the log is written, and whoever confirms by replicas takes nothing until then."""
    info = {"aof_enabled": 1, "aof_last_rewrite_time_sec": -1, "slave0": {"ip": "10.0.0.2", "state": state}}
    monkeypatch.setattr(redis_store.server.client, "info", lambda: info)
    monkeypatch.setattr(redis_store.server.client, "bgrewriteaof", lambda: True)
    assert asked == redis_store.operations.renew_log()


def test_a_log_that_is_renewed_holds_what_it_held(store: Store) -> None:
    """Nothing differs for those who read and write meanwhile."""
    admitted(store)
    before = picture(store)
    assert store.operations.renew_log() in ("", "started")
    assert before == picture(store)


def test_books_of_a_server_that_does_not_count_entries(
    redis_store: RedisStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before Redis 7 a stream does not count; received is then the sum of the rest."""
    admitted(redis_store)
    taken(redis_store, "s2")

    class OldServer(redis.client.Pipeline):
        def execute(self, raise_on_error: bool = True) -> list[object]:
            answers: list[object] = super().execute(raise_on_error)
            assert isinstance(answers[0], dict)
            del answers[0]["entries-added"]
            return answers

    client = redis_store.server.client
    old = OldServer(client.connection_pool, client.response_callbacks, True, None)
    monkeypatch.setattr(client, "pipeline", lambda transaction: old)
    assert Ledger(2, 1, 0, 0, 0, 0, 1) == redis_store.operations.ledger()


def test_entry_that_vanished_unbalances_the_books(redis_store: RedisStore) -> None:
    """The books can fail: a submission deleted from the stream by hand is missed."""
    entry = taken(redis_store)
    redis_store.server.client.xdel(redis_store.server.keys.incoming, entry.entry_id)
    assert redis_store.operations.ledger().difference == 1


def test_errors_name_a_class_and_a_code_and_quote_nothing() -> None:
    """An error of the server may quote arguments, and one of the network an address: neither is shown."""
    shown = [
        described(redis.ResponseError("MISCONF Errors writing to the AOF file")),
        described(redis.ResponseError("wrong kim@example.com")),
        described(redis.ConnectionError("Error 111 connecting to secret.host:6379")),
    ]
    assert shown == ["ResponseError MISCONF", "ResponseError", "ConnectionError"]


def test_address_that_is_none_is_refused_at_once() -> None:
    """A mistyped address fails when it is given, not at the first lead."""
    with pytest.raises(ValueError, match="no server's address"):
        connect("http://example.com")


def test_wrong_kind_of_key_is_unavailable_not_a_riddle(redis_store: RedisStore) -> None:
    """A key somebody overwrote is told as the server's error, by its class."""
    redis_store.server.client.set(redis_store.server.keys.ledger, "not a hash")
    with pytest.raises(StoreUnavailable, match="ResponseError WRONGTYPE"):
        redis_store.operations.counters()
