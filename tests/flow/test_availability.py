"""Away and back at run time: every router knows at its next batch, who said it is shown, nobody is flooded."""

from datetime import timedelta

import pytest
from tests.core.builders import rep, rulebook, team
from tests.flow.scene import START, Scene

from speed_to_lead import flow
from speed_to_lead.core.response import ImpossibleChange


def test_an_absence_counts_at_the_next_batch_and_ends_by_itself(scene: Scene) -> None:
    """Ana is away for an hour: Ben gets everything, then they share again from where they are."""
    flow.set_away(scene.place, "ana", "kim", START + timedelta(hours=1))
    assert ["ben"] * 3 == [scene.routed().rep for _ in range(3)]
    scene.later(60)
    assert ["ana", "ben"] * 2 == [scene.routed().rep for _ in range(4)]
    assert not flow.set_back(scene.place, "ana", "kim")


def test_who_said_so_and_when_is_shown(scene: Scene) -> None:
    """The list has who set a rep away, since when, until when, and after that who set them back."""
    flow.set_away(scene.place, "ana", "kim", None)
    ana, ben = flow.all_reps(scene.place)
    assert ("ana", ["inbound"], False, "away until they are back, says kim") == (
        *(ana["id"], ana["teams"]),
        *(ana["available"], ana["why"]),
    )
    assert {"by": "kim", "since": "2026-01-05T09:00:00Z", "until": None} == ana["away"]
    assert (True, None, None, 0) == (ben["available"], ben["away"], ben["last_away"], ben["open_leads"])
    scene.later(5)
    assert flow.set_back(scene.place, "ana", "lou")
    ana, _ = flow.all_reps(scene.place)
    assert (True, None) == (ana["available"], ana["away"])
    assert {
        "by": "kim",
        "since": "2026-01-05T09:00:00Z",
        "until": "2026-01-05T09:05:00Z",
        "back_by": "lou",
    } == ana["last_away"]


def test_what_cannot_be_is_refused(scene: Scene) -> None:
    """Nobody is away until a time that is past, and nobody whom config does not know is away at all."""
    with pytest.raises(ImpossibleChange, match="which is past"):
        flow.set_away(scene.place, "ana", "kim", START)
    with pytest.raises(flow.UnknownRep):
        flow.set_away(scene.place, "zoe", "kim", None)
    with pytest.raises(flow.UnknownRep):
        flow.set_back(scene.place, "zoe", "kim")
    assert {} == scene.store.reps.absences()


def test_what_was_given_today_is_shown(scene: Scene) -> None:
    """Of reps with a cap a day the list has how much of it is used."""
    scene = scene.with_rules(rulebook(teams=[team(rep("ana", max_a_day=2), "ben")]))
    for _ in range(3):
        scene.routed()
    ana, ben = flow.all_reps(scene.place)
    assert (2, False, "at the cap of the day, 2 of 2 given", None) == (
        *(ana["given_today"], ana["available"]),
        *(ana["why"], ben["given_today"]),
    )
