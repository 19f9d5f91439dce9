"""The published config on every store: versions in order, one winner, every content kept once, and who runs which."""

from datetime import UTC, datetime, timedelta

import pytest
from tests.flow.scene import in_threads
from tests.store.builders import picture

from speed_to_lead.store.contract import ConfigVersion, Result, RunningConfig, Store, UnreadableRecord
from speed_to_lead.store.redis_store import RedisStore

AT = datetime(2026, 1, 5, 9, tzinfo=UTC)
TEXTS = {"routing.toml": "[default]\nteam = 'Überall'\r\n".encode(), "slas.toml": b""}


def version(number: int, digest: str = "aa", **more: object) -> ConfigVersion:
    """A version of Ana's."""
    return ConfigVersion(number, digest, "ana", AT, **more)  # type: ignore[arg-type]


def test_nothing_is_live_before_the_first_version(store: Store) -> None:
    """Where nothing was published there is no version, no content and no size."""
    configs = store.configs
    assert (configs.current(), configs.version(1), configs.version(0), configs.history(5)) == (
        None,
        None,
        None,
        [],
    )
    assert (configs.texts("aa"), configs.size(), configs.running(["host:1"])) == (None, 0, {})


def test_the_newest_version_is_live_and_every_one_is_kept(store: Store) -> None:
    """Versions are numbered from one, each with who, when and why; the texts are there byte for byte."""
    first, second = version(1, message="Ünïcode\nin lines"), version(2, "bb", restores=1)
    assert store.configs.publish(first, TEXTS) is Result.APPLIED
    assert store.configs.publish(second, {"routing.toml": b"2"}) is Result.APPLIED
    assert store.configs.current() == second
    assert store.configs.history(10) == [second, first]
    assert store.configs.history(1) == [second]
    assert store.configs.version(1) == first
    assert store.configs.version(3) is None
    assert store.configs.texts("aa") == TEXTS


def test_a_version_decided_on_another_one_is_refused_and_writes_nothing(store: Store) -> None:
    """Who comes second is told so, and no trace of what they wanted is left."""
    store.configs.publish(version(1), TEXTS)
    before = picture(store)
    assert store.configs.publish(version(1, "bb"), {"routing.toml": b"other"}) is Result.STALE
    assert store.configs.publish(version(3, "bb"), {"routing.toml": b"other"}) is Result.STALE
    assert before == picture(store)


def test_a_content_that_comes_back_is_kept_once(store: Store) -> None:
    """A rollback costs one line."""
    store.configs.publish(version(1), TEXTS)
    store.configs.publish(version(2, "bb"), {"routing.toml": b"2"})
    size = store.configs.size()
    store.configs.publish(version(3, "aa", restores=1), TEXTS)
    assert 0 < store.configs.size() - size < 200
    assert store.configs.texts("aa") == TEXTS


def test_of_many_at_once_one_is_published(store: Store) -> None:
    """However many publish on the same version, one wins and the others hear that they did not."""
    answers: list[Result] = []
    in_threads(
        *(
            lambda n=n: answers.append(store.configs.publish(version(1, f"d{n}"), {"a": b"%d" % n}))
            for n in range(6)
        )
    )
    assert sorted(answers) == [Result.APPLIED] + [Result.STALE] * 5
    [live] = store.configs.history(10)
    assert store.configs.texts(live.digest) == {"a": live.digest.removeprefix("d").encode()}


def test_processes_say_what_they_run(store: Store) -> None:
    """The last word of each process counts; of one that said nothing nothing is known."""
    store.configs.note_running("host:1", RunningConfig(1, "aa"))
    store.configs.note_running("host:1", RunningConfig(2, "bb", 3, "why not"))
    store.configs.note_running("host:2", RunningConfig(0, "cc"))
    assert store.configs.running(["host:1", "host:2", "host:3"]) == {
        "host:1": RunningConfig(2, "bb", 3, "why not"),
        "host:2": RunningConfig(0, "cc"),
    }


def test_what_a_process_said_is_forgotten_after_a_day(redis_store: RedisStore) -> None:
    """A process that is gone leaves nothing for ever."""
    redis_store.configs.note_running("host:1", RunningConfig(1, "aa"))
    left = redis_store.server.client.ttl(redis_store.server.keys.config_running("host:1"))
    assert timedelta(hours=23).total_seconds() < left <= timedelta(days=1).total_seconds()


@pytest.mark.parametrize("damaged", [b"", b"x", b"[]", b'{"number": 1}'])
def test_a_damaged_version_is_unreadable(redis_store: RedisStore, damaged: bytes) -> None:
    """What somebody wrote by hand is told as such, not guessed at."""
    keys = redis_store.server.keys
    redis_store.server.client.rpush(keys.config_versions, damaged)
    redis_store.server.client.hset(keys.config_contents, "aa", damaged)
    with pytest.raises(UnreadableRecord, match="no version"):
        redis_store.configs.current()
    with pytest.raises(UnreadableRecord, match="damaged"):
        redis_store.configs.texts("aa")
