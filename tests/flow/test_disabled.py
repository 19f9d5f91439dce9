"""A destination that refuses for ever: nothing more is sent there, nobody goes unheard, and everybody concerned is told once."""

from dataclasses import replace
from datetime import timedelta

from tests.flow.scene import DELIVERED, REFUSED, Scene

from speed_to_lead.core.calendar import Calendar, Span
from speed_to_lead.core.delivery import DISABLED_FOR, Attempt, Destination, Outcome
from speed_to_lead.core.lead import AlertKind
from speed_to_lead.store.contract import Disabled

GONE = Attempt(Outcome.REFUSED, "HTTP 410 Gone", is_gone=True)


def test_it_is_sent_nothing_more_and_everybody_hears(scene: Scene) -> None:
    """One refusal is enough; the next alerts go to the manager at once, and say why. The fallback and the manager are told once."""
    ana = scene.people["ana-slack"]
    ana.always = GONE
    for _ in range(4):  # two of them are ana's
        scene.submit()
    scene.route()
    scene.deliver()
    scene.later(1 / 60)  # a courier counts on from the server's time by its own clock
    scene.deliver()

    assert 1 == len(ana.heard)
    told = [message for message in scene.people["managers"].heard if message.kind is AlertKind.ASSIGNED]
    notes = [message.note for message in told if "ana-slack" in message.step]
    assert "ana-slack could not be reached: HTTP 410 Gone." in notes
    assert ["it is disabled since" in note for note in sorted(notes)] == [False] + [True] * (len(notes) - 1)
    for name in ("managers", "console"):
        (about_it,) = [
            message for message in scene.people[name].heard if message.kind is AlertKind.DESTINATION_DISABLED
        ]
        assert "ana-slack refuses for ever (HTTP 410 Gone)" in about_it.note
        assert "Ana" in about_it.note
        assert "speed-to-lead alerts test ana-slack" in about_it.note
    assert len(notes) == len(scene.dead_alerts()) > 1


def test_it_is_tried_again_when_somebody_mended_it(scene: Scene) -> None:
    """Whoever has it enabled, or after its time; what came meanwhile can be redriven."""
    ana = scene.people["ana-slack"]
    ana.always = GONE
    scene.routed()
    ana.always = DELIVERED
    assert scene.store.outbox.disabled(["ana-slack"])
    scene.store.outbox.enable("ana-slack")
    for alert in scene.dead_alerts():
        scene.store.outbox.redrive(alert.key, scene.clock())
    scene.deliver()
    assert 2 == len([message for message in ana.heard if message.step == "0%"])
    assert [] == scene.dead_alerts()


def test_what_is_over_does_not_count(memory_scene: Scene) -> None:
    """A state that was read before its time ran out holds nothing back after it."""
    lead_id = memory_scene.submit()
    memory_scene.route()
    now = memory_scene.clock()
    memory_scene.store.outbox.disable(
        "ana-slack", Disabled(now - DISABLED_FOR - timedelta(seconds=1), now, "gone")
    )
    memory_scene.deliver()
    assert ["lead.routed", "alert.delivered"] == memory_scene.events(lead_id)


def test_a_refusal_of_one_message_disables_nothing(scene: Scene) -> None:
    """The next message may be taken."""
    scene.people["ana-slack"].answers = [REFUSED]
    scene.routed()
    assert {} == scene.store.outbox.disabled()


def test_the_fallback_is_never_disabled(scene: Scene) -> None:
    """Nobody is left who could be told in its place."""
    for name in ("ana-slack", "managers", "console"):
        scene.people[name].always = GONE
    scene.routed()
    scene.deliver()
    scene.deliver()
    scene.deliver()
    assert {"ana-slack", "managers"} == set(scene.store.outbox.disabled())
    assert len(scene.people["console"].heard) > 1


def test_what_is_disabled_waits_for_no_rest_it_asked_for(scene: Scene) -> None:
    """It said "not so fast", then "never": what it does not get is for its manager at once, not when the rest is over."""
    ana = scene.people["ana-slack"]
    ana.answers = [Attempt(Outcome.RATE_LIMITED, "429", timedelta(seconds=90))]
    for _ in range(6):  # three of them are ana's
        scene.submit()
    scene.route()
    scene.deliver()
    assert (1, 0) == (len(ana.heard), _told_instead(scene))
    now = scene.clock()
    scene.store.outbox.disable("ana-slack", Disabled(now, now + DISABLED_FOR, "gone"))
    scene.deliver()
    assert (1, 2) == (len(ana.heard), _told_instead(scene))
    scene.later(2)
    scene.deliver()
    assert (1, 3) == (len(ana.heard), _told_instead(scene))


def test_quiet_comes_before_disabled(scene: Scene) -> None:
    """What it was to hear in the morning wakes nobody in its place at night; by then it may be mended."""
    hours = Calendar("desk", "UTC", dict.fromkeys(range(7), (Span.parse("10:00-18:00"),)))
    quiet = {"ana-slack": Destination("ana-slack", "console", quiet_outside=hours)}
    at_night = replace(
        scene, place=replace(scene.place, config=replace(scene.place.config, destinations=quiet))
    )
    now = scene.clock()
    at_night.store.outbox.disable("ana-slack", Disabled(now, now + timedelta(days=1), "gone"))
    lead = at_night.routed()
    assert ["lead.routed", "alert.held"] == at_night.events(lead.id)
    assert 0 == _told_instead(at_night)
    at_night.later(61)
    at_night.deliver()
    assert (0, 1) == (len(at_night.people["ana-slack"].heard), _told_instead(at_night))


def _told_instead(scene: Scene) -> int:
    scene.later(1 / 60)  # a courier counts on from the server's time by its own clock
    scene.deliver()
    return scene.heard().get("managers", []).count("lead.assigned 0%~ana-slack")
