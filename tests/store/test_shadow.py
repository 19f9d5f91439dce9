"""The shadow config on every store: one at a time, counted while it is the one, gone when it is ended."""

from dataclasses import replace
from datetime import UTC, datetime

from speed_to_lead.store.contract import Result, ShadowConfig, Store
from speed_to_lead.store.redis_store import RedisStore
from speed_to_lead.store.shadow import SHADOW_EXAMPLES

SHADOW = ShadowConfig("s1", "aa", "ana", datetime(2026, 1, 5, 9, tzinfo=UTC), 7)
TEXTS = {"routing.toml": "[default] # Ü".encode()}


def test_there_is_none_before_one_is_begun(store: Store) -> None:
    """Nothing to decide by, nothing counted, nothing to end."""
    assert (store.shadow.current(), store.shadow.texts("s1"), store.shadow.report(9)) == (
        None,
        None,
        ({}, []),
    )
    assert store.shadow.note("s1", {"leads": 1}, []) is Result.STALE
    assert store.shadow.end() is Result.GONE


def test_what_it_decides_is_counted(store: Store) -> None:
    """Counts add up, the newest examples come first, and no more than so many are kept."""
    store.shadow.begin(SHADOW, TEXTS)
    assert (store.shadow.current(), store.shadow.texts("s1")) == (SHADOW, TEXTS)
    assert store.shadow.note("s1", {"leads": 2, "same": 1}, ["a", "b"]) is Result.APPLIED
    assert store.shadow.note("s1", {"leads": 1}, ["c"]) is Result.APPLIED
    assert store.shadow.report(2) == ({"leads": 3, "same": 1}, ["c", "b"])
    store.shadow.note("s1", {}, [f"{number}" for number in range(SHADOW_EXAMPLES + 5)])
    _, examples = store.shadow.report(10_000)
    assert (len(examples), examples[0]) == (SHADOW_EXAMPLES, f"{SHADOW_EXAMPLES + 4}")


def test_another_one_begins_from_nothing(store: Store) -> None:
    """What was decided by the one before is not counted for it."""
    store.shadow.begin(SHADOW, TEXTS)
    store.shadow.note("s1", {"leads": 2}, ["a"])
    store.shadow.begin(replace(SHADOW, id="s2"), {})
    assert store.shadow.report(9) == ({}, [])
    assert store.shadow.note("s1", {"leads": 2}, ["a"]) is Result.STALE
    assert (store.shadow.texts("s1"), store.shadow.texts("s2")) == (None, {})
    assert store.shadow.end() is Result.APPLIED
    assert store.shadow.report(9) == ({}, [])
    assert store.shadow.current() is None


def test_it_ends_by_itself(redis_store: RedisStore) -> None:
    """Every key of it has an expiry: its examples name leads."""
    redis_store.shadow.begin(SHADOW, TEXTS)
    redis_store.shadow.note("s1", {"leads": 2}, ["a"])
    keys = redis_store.server.keys
    for key in (keys.config_shadow, keys.config_shadow_counts, keys.config_shadow_examples):
        assert 0 < redis_store.server.client.ttl(key) <= 14 * 24 * 3600
