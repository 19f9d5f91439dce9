"""Storms: a few alerts go out one by one, the rest as one digest under one key, and what is hot never waits for it."""

import json
from dataclasses import replace
from datetime import timedelta

import pytest
from tests.core.builders import rulebook, sla
from tests.flow.scene import NOT_DELIVERED, REFUSED, Scene

from speed_to_lead import flow
from speed_to_lead.core.audit import untold
from speed_to_lead.core.delivery import Attempt, Destination
from speed_to_lead.core.sla import Step, StepTime
from speed_to_lead.core.storm import HOT_WITHIN, MOST_FOLDED, DigestTerms
from speed_to_lead.core.wording import SOMEBODY, Detail
from speed_to_lead.destinations import discord, slack, teams
from speed_to_lead.destinations.text import fitting

MINUTE = timedelta(minutes=1)


def stormy(scene: Scene, within: timedelta = HOT_WITHIN + MINUTE) -> Scene:
    """Every lead is told to the managers on receipt; more than two a minute become a digest."""
    on_receipt = Step("0%", StepTime.parse("0%"), tell=("manager",))
    scene = scene.with_rules(rulebook(sla_used=sla(on_receipt, within=within)))
    destinations = {"managers": Destination("managers", "console", digest=DigestTerms(2, MINUTE))}
    return replace(
        scene, place=replace(scene.place, config=replace(scene.place.config, destinations=destinations))
    )


def leads_at_once(scene: Scene, count: int) -> list[str]:
    ids = [scene.submit(first_name=f"Kim{number}") for number in range(count)]
    scene.route()
    scene.deliver()
    return ids


def test_what_comes_above_the_number_is_one_digest(scene: Scene) -> None:
    """Two by themselves, then, when the time is over, one that names the count, the oldest and every lead."""
    scene = stormy(scene)
    ids = leads_at_once(scene, 7)
    managers = scene.people["managers"]
    assert 2 == len(managers.heard)
    scene.later(1.1)
    scene.deliver()
    assert 3 == len(managers.heard)
    digest = managers.heard[-1]
    singles = {message.key for message in managers.heard[:2]}
    assert {f"{lead_id}:0%:managers" for lead_id in ids} - singles == set(digest.members)
    facts = "\n".join(value for _, value in digest.facts)
    assert "5 alerts at once" == digest.headline
    assert all(f"({key.partition(':')[0]})" in facts for key in digest.members)
    assert dict(digest.facts)["Oldest"].startswith("Kim")
    assert "https://leads.example.com/v1/leads?state=open" == digest.url
    member = digest.members[0].partition(":")[0]
    assert ["lead.routed", "alert.folded", "alert.delivered"] == scene.events(member)
    assert [] == scene.waiting()
    leads_at_once(scene, 1)
    assert 4 == len(managers.heard)


def test_hot_leads_never_wait(scene: Scene) -> None:
    """A promise of a quarter of an hour leaves no minute for a digest."""
    scene = stormy(scene, within=HOT_WITHIN)
    leads_at_once(scene, 7)
    assert 7 == len(scene.people["managers"].heard)


def test_a_courier_killed_with_a_digest_leaves_it_under_the_same_key(scene: Scene) -> None:
    """It is an alert like any other: folded once, tried again under its key, its alerts in it and nowhere else."""
    scene = stormy(scene)
    leads_at_once(scene, 6)
    scene.later(1.1)
    flow.fold_storm(scene.place, "managers")
    killed = scene.store.outbox.claim("managers", scene.clock.now, flow.LEASE, at_once=4)
    assert killed is not None
    scene.later(1)
    scene.deliver()
    *_, digest = scene.people["managers"].heard
    assert (killed.alert.key, killed.alert.members) == (digest.key, digest.members)
    assert digest.possible_repeat
    assert 3 == len(scene.people["managers"].heard)
    scene.later(5)
    scene.deliver()
    assert 3 == len(scene.people["managers"].heard)


@pytest.mark.parametrize(("answer", "where"), [(NOT_DELIVERED, "managers"), (REFUSED, "console")])
def test_a_digest_that_does_not_arrive_goes_the_way_of_every_alert(
    scene: Scene, answer: Attempt, where: str
) -> None:
    """Tried again, or told to the fallback with all of its alerts."""
    scene = stormy(scene)
    leads_at_once(scene, 6)
    scene.people["managers"].answers = [answer]
    scene.later(1.1)
    scene.deliver()
    scene.later(1)
    scene.deliver()
    digest = scene.people[where].heard[-1]
    assert 4 == len(digest.members)
    first = "alert.failed" if where == "managers" else "alert.given_up"
    for member in digest.members:  # each lead's own history tells of every attempt
        lead_id, step, _ = member.split(":")
        assert ["lead.routed", "alert.folded", first, "alert.delivered"] == scene.events(lead_id)
        last = scene.store.leads.history(lead_id)[-1].details
        assert (step, where, digest.key) == (last["step"], last["to"], last["digest"])
        assert () == untold(tuple(scene.store.leads.history(lead_id)))


def test_more_than_fit_are_several_digests_at_once(scene: Scene) -> None:
    """Nobody is left out, none is in two, and nobody waits longer than the time that is counted."""
    scene = stormy(scene)
    ids = leads_at_once(scene, 3 * MOST_FOLDED)
    scene.later(1.1)
    scene.deliver()
    heard = scene.people["managers"].heard
    told = [key for message in heard for key in (message.members or (message.key,))]
    assert sorted(f"{lead_id}:0%:managers" for lead_id in ids) == sorted(told)
    assert 2 + 3 == len(heard)
    assert [] == scene.waiting()


LONG = 'Bartholomäus "*_Bart_*" <@Maximilian> ' * 50


@pytest.mark.parametrize("name", [LONG, "😀" * 300, "Kim\nLine\n" * 40])
def test_a_long_name_pushes_no_other_lead_out_of_a_digest(memory_scene: Scene, name: str) -> None:
    """Each lead has its own line, in the chat that has room for the least as well."""
    scene = stormy(memory_scene)
    for number in range(MOST_FOLDED + 2):
        scene.submit(first_name=name, email=f"kim{number}@example.com")
    scene.route()
    scene.deliver()
    scene.later(1.1)
    scene.deliver()
    *_, digest = scene.people["managers"].heard
    assert MOST_FOLDED == len(digest.members)
    bodies = [fitting(digest, discord.payload, lambda document, _: discord._fits(document), 128)]
    bodies += [
        json.dumps(slack.payload(digest)).encode(),
        fitting(digest, teams.payload, lambda _, body: len(body) <= 24_000),
    ]
    for body in bodies:
        missing = [key for key in digest.members if key.partition(":")[0].encode() not in body]
        assert [] == missing


def test_a_digest_tells_no_more_of_the_persons_than_its_destination_may_know(scene: Scene) -> None:
    """Where the least is to be told, it names the leads and nobody in them."""
    scene = stormy(scene)
    known = scene.place.config.destinations["managers"]
    least = {"managers": replace(known, detail=Detail.MINIMAL)}
    scene = replace(scene, place=replace(scene.place, config=replace(scene.place.config, destinations=least)))
    leads_at_once(scene, 7)
    scene.later(1.1)
    scene.deliver()
    *_, digest = scene.people["managers"].heard
    assert 5 == len(digest.members)
    assert "Kim" not in repr(digest)
    assert dict(digest.facts)["Oldest"].startswith(f"{SOMEBODY}, waiting ")
