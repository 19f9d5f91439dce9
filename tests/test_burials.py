"""Dead letters are told of: a flood of one error once, with its number, and each error of its own."""

import pytest
from tests.flow.scene import Scene, new_scene
from tests.servers import ManualClock

from speed_to_lead.burials import AT_LATEST, MOST_KINDS, QUIET, TOLD_ONCE_IN, BurialWatch
from speed_to_lead.core.lead import AlertKind
from speed_to_lead.store.memory import MemoryStore

ENOUGH = 1e9
SECOND = 1 / 60


@pytest.fixture
def scene(memory_store: MemoryStore, clock: ManualClock) -> Scene:
    """A scene in memory."""
    return new_scene(memory_store, clock)


def buried(scene: Scene, count: int, body: bytes = b'{"email": ', form: str = "demo") -> None:
    """So many bodies that cannot be read, each at another place."""
    for number in range(count):
        scene.submit_body(b" " * number + body, form)
    scene.route()


def told(scene: Scene) -> list[str]:
    """The words of the alerts in the outbox."""
    found = [alert for alert, _ in scene.store.outbox.waiting(9999)]
    return sorted(alert.note for alert in found if alert.kind is AlertKind.DEAD_LETTERS)


def test_a_flood_of_one_error_is_one_alert_with_its_number(scene: Scene) -> None:
    """Told when it is over, by one process of several; the error and its place are that of the first."""
    watches = [BurialWatch(scene.place) for _ in range(2)]
    for watch in watches:
        watch.tick(ENOUGH)
    for _ in range(4):
        buried(scene, 250)
        for watch in watches:
            watch.tick(ENOUGH)
    assert [] == told(scene)
    scene.later(QUIET.total_seconds() / 60 + SECOND)
    for watch in (*watches, *watches, BurialWatch(scene.place)):
        watch.tick(ENOUGH)
    (words,) = told(scene)
    assert words.startswith(
        '1,000 submissions of form "demo" could not be read and are kept as dead letters: the body is not JSON'
    )
    assert "at line 1, column" in words
    assert 1 == scene.store.operations.counters()["raised:dead_letters"]
    scene.deliver()
    assert ["Submissions could not be read"] == [one.headline for one in scene.people["console"].heard]


def test_one_is_told_and_what_follows_an_hour_later(scene: Scene) -> None:
    """Even one may be somebody who waits; those within the hour are counted, and are one more alert."""
    watch = BurialWatch(scene.place)
    watch.tick(ENOUGH)
    for _ in range(40):
        buried(scene, 1)
        scene.later(1)
        watch.tick(ENOUGH)
    assert ["A submission of form"] == [words[:20] for words in told(scene)]
    scene.later(TOLD_ONCE_IN.total_seconds() / 60)
    watch.tick(ENOUGH)
    assert ["39 submissions of fo", "A submission of form"] == [words[:20] for words in told(scene)]
    scene.later(600)
    watch.tick(ENOUGH)
    assert 2 == len(told(scene))


def test_each_error_is_its_own_alert(scene: Scene) -> None:
    """And a form that config does not have is not called by what somebody wrote there."""
    watch = BurialWatch(scene.place)
    watch.tick(ENOUGH)
    buried(scene, 3)
    buried(scene, 2, b'{"company": "x"}')
    buried(scene, 2, form="ana@example.com")
    scene.later(1)
    watch.tick(ENOUGH)
    assert ["2 submissions could ", "2 submissions of for", "3 submissions of for"] == [
        w[:20] for w in told(scene)
    ]
    assert "ana@example.com" not in " ".join(told(scene))


def test_the_senders_words_make_no_kind(scene: Scene) -> None:
    """Junk with other names each time is one error: else a scanner would be hundreds of alerts each minute."""
    watch = BurialWatch(scene.place)
    watch.tick(ENOUGH)
    for number in range(30):
        buried(scene, 1, b'{"%b": 1}' % (chr(97 + number % 26) * (1 + number // 26)).encode())
    scene.later(1)
    watch.tick(ENOUGH)
    assert ["30 submissions of form"] == [words[:22] for words in told(scene)]


def test_a_flood_that_goes_on_is_told_within_a_minute(scene: Scene) -> None:
    """Whoever is on call must not wait for its end."""
    watch = BurialWatch(scene.place)
    watch.tick(ENOUGH)
    began = scene.clock()
    while not told(scene):
        buried(scene, 1)
        scene.later(5 * SECOND)
        watch.tick(ENOUGH)
        assert scene.clock() - began <= AT_LATEST * 1.2
    assert scene.clock() - began >= AT_LATEST


def test_a_process_that_starts_tells_what_nobody_saw_and_not_what_was_told(scene: Scene) -> None:
    """What was buried while none watched is told; after a restart nothing is told again, nor an hour later."""
    buried(scene, 5)
    scene.later(1)
    BurialWatch(scene.place).tick(ENOUGH)
    assert 1 == len(told(scene))
    restarted = BurialWatch(scene.place)
    for _ in range(130):
        restarted.tick(ENOUGH)
        scene.later(1)
    assert 1 == len(told(scene))


def test_many_kinds_are_bounded(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    """Errors that all differ are one alert more than are told one by one, not thousands; a tick without time goes on next time."""
    monkeypatch.setattr("speed_to_lead.burials.MOST_KINDS", 3)
    monkeypatch.setattr("speed_to_lead.store.memory.queue.BURIALS_AT_ONCE", 4)
    assert MOST_KINDS > 3
    watch = BurialWatch(scene.place)
    watch.tick(ENOUGH)
    for body in (b"{", b'{"a" 1}', b'{"a": 1 2}', b'{"a": }', b'"x', b"{} {}", b'"x"', b"\xff"):
        buried(scene, 1, body)
    for _ in range(4):
        watch.tick(-1.0)
    scene.later(1)
    watch.tick(ENOUGH)
    assert 4 == len(told(scene))
    assert ["5 submissions could not be read"] == [words[:31] for words in told(scene) if words[0] == "5"]
