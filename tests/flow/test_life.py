"""One lead, hook to second escalation, and what stops it."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta

from tests.core.builders import rulebook, sla, team
from tests.flow.scene import START, Scene

from speed_to_lead import flow, forms
from speed_to_lead.core.lead import LeadState, ResponseKind
from speed_to_lead.core.response import close_lead, reassign_lead
from speed_to_lead.core.submission import Form, Submission


def test_a_hook_delivery_becomes_a_submission_with_only_the_headers_its_reader_needs() -> None:
    """What receive answers is the submission to store: raw bytes, our instant, an id of its own, no secrets."""
    request = forms.WebhookRequest(
        "POST",
        "https://leads.example.com/hooks/demo",
        {"content-type": "application/json", "authorization": "Bearer no", "idempotency-key": "k1"},
        b"{not json",
    )

    received = flow.receive(request, Form("demo", "generic", "none"), {}, START)

    assert isinstance(received, Submission)
    expected = Submission(
        received.id, "demo", START, b"{not json", "application/json", {"idempotency-key": "k1"}
    )
    assert expected == received


def test_a_delivery_that_is_not_genuine_is_refused() -> None:
    """There is a refusal, not a submission, where the shared token is missing."""
    request = forms.WebhookRequest("POST", "https://x/hooks/demo", {}, b"{}")
    form = Form("demo", "generic", "token", token_env="TOKEN")

    assert isinstance(flow.receive(request, form, {"TOKEN": "t" * 20}, START), forms.Refusal)


def test_submission_ids_sort_by_time_and_never_repeat() -> None:
    """An id made later sorts later, and two of the same millisecond differ."""
    early, again = flow.new_submission_id(START), flow.new_submission_id(START)
    late = flow.new_submission_id(START + timedelta(days=9000))

    assert early != again
    assert sorted([late, early, again])[2:] == [late]


def test_a_lead_nobody_answers_climbs_the_whole_ladder(scene: Scene) -> None:
    """Told, reminded, breached and passed on, escalated again: each destination hears each step once, in time."""
    lead_id = scene.submit()
    routed = scene.route()
    assert (routed.settled, routed.is_full, routed.has_alerts) == (1, False, True)
    scene.deliver()
    assert scene.heard() == {"ana-slack": ["lead.assigned 0%"]}

    scene.live(5.99)
    assert scene.heard() == {"ana-slack": ["lead.assigned 0%"]}
    scene.live(0.01)
    assert scene.heard() == {"ana-slack": ["lead.assigned 0%", "sla.reminder 60%"]}

    scene.forget()
    scene.live(4)
    lead = scene.lead(lead_id)
    assert scene.heard() == {
        "ana-slack": ["lead.reassigned 100%"],
        "ben-slack": ["lead.reassigned 100%"],
        "managers": ["sla.breached 100%"],
    }
    assert ["Ana need not answer it any more: Ben has it now."] == [
        message.note for message in scene.people["ana-slack"].heard
    ]
    assert ("ben", ("ana",), lead.deadline) == (lead.rep, lead.reps_before, lead.breached_at)
    assert scene.store.leads.load() == {"ben": 1}

    scene.forget()
    scene.live(10)
    assert scene.heard() == {"head-of-sales": ["sla.breached +10m"]}
    assert scene.lead(lead_id).next_at is None

    scene.forget()
    scene.live(100_000)
    assert scene.heard() == {}
    assert scene.events(lead_id) == [
        "lead.routed",
        "alert.delivered",
        "step.decided",
        "alert.delivered",
        "lead.breached",
        "lead.reassigned",
        "step.decided",
        "alert.delivered",
        "alert.delivered",
        "alert.delivered",
        "step.decided",
        "alert.delivered",
    ]
    assert scene.counts() == {"leads": 1}


def test_an_alert_names_the_rep_who_has_the_lead_now_and_its_page(scene: Scene) -> None:
    """What is said is rendered from the record when it is sent, not when it was decided."""
    lead_id = scene.submit(name="Kim")
    scene.route()
    rulebook_now = scene.place.config.rulebook
    flow.change_lead(
        scene.place, lead_id, lambda lead, now: reassign_lead(lead, rulebook_now.teams, "ben", "boss", now)
    )

    scene.deliver()

    said = scene.people["ana-slack"].heard[0]
    assert ("ben", f"https://leads.example.com/v1/leads/{lead_id}") == (said.rep, said.url)


def test_an_answer_stops_the_clock_and_every_alert_on_its_way(scene: Scene) -> None:
    """After a response nothing is due, nothing waits, and an alert not delivered yet is cancelled, not sent."""
    lead = scene.routed()
    scene.later(6)
    scene.sweep()
    assert [f"{lead.id}:60%:ana-slack"] == scene.waiting()

    answered = scene.respond(lead.id)
    scene.forget()
    scene.deliver()
    scene.live(1000)

    assert LeadState.ANSWERED is answered.state
    assert (scene.heard(), scene.waiting(), scene.store.leads.load()) == ({}, [], {})
    assert "alert.cancelled" in scene.events(lead.id)
    assert scene.store.operations.counters()["answered_in_time"] == 1


def test_an_acknowledgement_holds_the_ladder_back_and_stops_nothing(scene: Scene) -> None:
    """An acknowledgement ("mine") holds back the reminder and the next rep, not the breach; then the ladder goes on."""
    lead = scene.routed()

    scene.live(5)
    scene.respond(lead.id, ResponseKind.ACKNOWLEDGED)
    scene.forget()
    scene.live(1)
    assert scene.heard() == {}
    scene.live(4)
    assert scene.heard() == {"managers": ["sla.breached 100%"]}
    scene.forget()
    scene.live(5)

    told = ["lead.reassigned 100%.held"]
    assert scene.heard() == {"ana-slack": told, "ben-slack": told}
    assert scene.lead(lead.id).rep == "ben"


def test_a_closed_lead_is_left_alone(scene: Scene) -> None:
    """A lead closed as spam is nobody's load and hears of no step."""
    lead = scene.routed()

    flow.change_lead(scene.place, lead.id, lambda lead, now: close_lead(lead, "spam", "ana", now))
    scene.forget()
    scene.live(1000)

    assert (scene.heard(), scene.store.leads.load()) == ({}, {})


def test_an_answer_between_reading_and_writing_wins_over_the_sweep(scene: Scene) -> None:
    """A step decided on a version that was answered meanwhile is refused, and not decided again."""
    lead = scene.routed()
    scene.later(10)
    leads = scene.store.leads
    was = leads.get_many([lead.id])
    scene.respond(lead.id)
    stale = replace(scene.place, store=_Remembering(scene.place.store, was))  # type: ignore[arg-type]

    assert flow.Swept() == flow.sweep(stale)

    scene.check()
    assert (leads.indexed_at([lead.id])[0], scene.waiting()) == (None, [])


def test_a_change_of_config_never_moves_a_running_clock(scene: Scene) -> None:
    """A lead keeps deadline, steps and SLA of the rules it was routed by, whatever the rules say later."""
    before = scene.routed()
    slower = rulebook(sla_used=sla(within=timedelta(hours=9)))
    changed = scene.with_rules(slower)

    changed.live(10)

    after = changed.lead(before.id)
    assert (before.deadline, before.steps, before.config_digest) == (
        after.deadline,
        after.steps,
        after.config_digest,
    )
    assert ("ben", before.deadline) == (after.rep, after.breached_at)
    assert START + timedelta(minutes=10) + timedelta(hours=9) == changed.routed().deadline


def test_a_lead_of_a_team_that_config_no_longer_has_still_escalates(scene: Scene) -> None:
    """The fallback destination hears what the removed team's manager would have; the lead keeps its rep."""
    lead = scene.routed()
    changed = scene.with_rules(rulebook(teams=[team("zoe", name="other")]))
    changed.forget()

    changed.live(10)
    changed.live(10)

    assert changed.heard() == {"console": ["sla.breached 100%"], "head-of-sales": ["sla.breached +10m"]}
    assert changed.lead(lead.id).rep == "ana"


def test_after_an_outage_there_is_one_alert_at_the_highest_step_that_names_the_others(scene: Scene) -> None:
    """A sweep that comes late says once what is due now, and which steps it skipped."""
    lead = scene.routed()
    scene.forget()

    scene.live(21)

    assert scene.heard() == {
        "head-of-sales": ["sla.breached +10m"],
        "ana-slack": ["lead.reassigned +10m"],
        "ben-slack": ["lead.reassigned +10m"],
    }
    said = scene.people["head-of-sales"].heard[0]
    assert (said.skipped_steps, said.late_seconds) == (("60%", "100%"), 60.0)
    assert (scene.lead(lead.id).rep, scene.lead(lead.id).next_at) == ("ben", None)


def test_a_lead_routed_after_its_deadline_is_told_and_escalated_at_once(scene: Scene) -> None:
    """The clock starts at receipt: a submission that waited out an outage in the queue is late when it is routed."""
    lead_id = scene.submit()
    scene.later(30)

    scene.route()
    scene.sweep()
    scene.deliver()

    assert START + timedelta(minutes=10) == scene.lead(lead_id).breached_at
    assert scene.heard()["head-of-sales"] == ["sla.breached +10m"]


class _Remembering:
    """A store that answers the first question for records as it stood before."""

    def __init__(self, store: object, records: Sequence[object]) -> None:
        self._store, self._records = store, records
        self.leads = self

    def get_many(self, _ids: object) -> Sequence[object]:
        return self._records

    def __getattr__(self, name: str) -> object:
        store = self._store
        return getattr(store if hasattr(store, name) else store.leads, name)  # type: ignore[attr-defined]
