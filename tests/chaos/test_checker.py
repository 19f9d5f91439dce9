"""The checker of the chaos suite: silent about a sound run, and loud about each thing that can be wrong with one."""

import ast
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from benchmarks.chaos import business_time, checker
from benchmarks.chaos.evidence import Evidence
from benchmarks.chaos.story import story_of
from benchmarks.chaos.tools import MARK
from tests.chaos.history import SAM, T, fault, iso, line, post, receipt, response, sound_run

CHAOS = Path(checker.__file__).parent
#: What the checker is made of. The world beside it may know the product: it starts it.
CHECKER = (
    *CHAOS.glob("check*.py"),
    *(
        CHAOS / f"{name}.py"
        for name in ("evidence", "story", "business_time", "verdict", "rules", "people", "tools")
    ),
    *(CHAOS / f"{name}.py" for name in ("sink", "traffic", "responders", "report", "journal")),
)


def found_in(evidence: Evidence) -> set[str]:
    """The checks that find something."""
    return {finding.check for finding in checker.judge(evidence)}


def lead_of(evidence: Evidence, lead_id: str) -> dict[str, Any]:
    lead = evidence.leads[lead_id]
    assert isinstance(lead, dict)
    return lead


def receipt_of(evidence: Evidence, key: str) -> dict[str, Any]:
    found = next(one for one in evidence.receipts if one["key"] == key)
    assert isinstance(found, dict)
    return found


def line_of(evidence: Evidence, lead_id: str, event: str, **details: Any) -> dict[str, Any]:
    """The first line of a lead's history of that name, with those details."""
    for entry in lead_of(evidence, lead_id)["history"]:
        if entry["event"] == event and details.items() <= entry["details"].items():
            assert isinstance(entry, dict)
            return entry
    raise AssertionError(event)


def drop_line(evidence: Evidence, lead_id: str, event: str, **details: Any) -> None:
    lead_of(evidence, lead_id)["history"].remove(line_of(evidence, lead_id, event, **details))


def count(evidence: Evidence, **more: int) -> None:
    """The books say so many more."""
    evidence.ledger = {
        **evidence.ledger,
        **{name: evidence.ledger[name] + number for name, number in more.items()},
    }


def test_a_sound_run_is_found_sound() -> None:
    """Nothing is found in a run in which nothing went wrong, and every check has looked at something."""
    findings = checker.judge(sound_run())
    assert [] == list(findings)
    assert [] == [tally.check for tally in findings.tallies if not tally.cases]


def test_the_checker_knows_nothing_of_the_product() -> None:
    """No file of the checker imports speed_to_lead: what it judges by is its own."""
    assert len(CHECKER) > 12
    for file in CHECKER:
        tree = ast.parse(file.read_text(encoding="utf-8"))
        names = [node.module or "" for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)]
        names += [
            alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names
        ]
        assert [] == [name for name in names if name.startswith(("speed_to_lead", "tests"))], file.name


# --- sabotage: what is done to the run, and the checks that must say so ----------------------------------------


def lose_an_accepted_submission(e: Evidence) -> None:
    e.posts.append(post("s9", "token-list", "lost@people.example.com", "l1"))
    count(e, received=1, duplicates=1)


def lose_an_accepted_touch(e: Evidence) -> None:
    lead_of(e, "a1")["touches"].clear()


def keep_a_submission_twice(e: Evidence) -> None:
    lead_of(e, "a1")["touches"].append(
        {"submission_id": "a-touch-2", "form": "open-page", "custom": {MARK: "s2"}}
    )


def keep_it_under_another_id(e: Evidence) -> None:
    e.posts[1] = post("s2", "open-page", SAM, "some-other-id", at=900)


def bury_a_sound_submission(e: Evidence) -> None:
    e.posts.append(post("s9", "token-list", "lost@people.example.com", "d2"))
    e.posts.append(post("s10", "token-list", "lost@people.example.com", "d3", kind="unreadable"))
    e.dead_letters.append({"id": "d2", "form": "token-list", "error": "KeyError while deciding its route"})
    e.dead_letters.append({"id": "d3", "form": "token-list", "error": "nobody to answer"})
    count(e, received=2, dead_letters=2)


def make_a_lead_of_a_test(e: Evidence) -> None:
    lead_of(e, "a1")["touches"][0]["custom"][MARK] = "s4"


def lose_an_unreadable_one(e: Evidence) -> None:
    e.posts.append(post("s9", "token-list", "y@people.example.com", "d9", kind="unreadable"))
    count(e, received=1, duplicates=1)


def take_a_forged_one(e: Evidence) -> None:
    e.posts.append(post("s9", "hubspot-referral", "y@people.example.com", "f1", kind="forged"))
    count(e, received=1, duplicates=1)


def disable_a_hook(e: Evidence) -> None:
    e.posts.append(post("s1", "typeform-demo", SAM, "", status=410, at=5_000))


def invent_a_touch(e: Evidence) -> None:
    lead_of(e, "a1")["touches"].append({"submission_id": "x", "form": "open-page", "custom": {MARK: "s99"}})


def mix_up_two_people(e: Evidence) -> None:
    lead_of(e, "b1")["fields"]["email"] = "somebody@people.example.com"


def invent_dead_letters(e: Evidence) -> None:
    e.dead_letters += [{"id": f"d{number}", "form": "open-page", "error": "?"} for number in (7, 8)]
    count(e, received=2, dead_letters=2)


def give_a_person_two_leads(e: Evidence) -> None:
    e.posts[4] = post("s3", "signed-signup", SAM, "b1")
    e.posts[3] = post("s3", "signed-signup", SAM, "", status=503, at=-500)
    lead_of(e, "b1")["fields"]["email"] = SAM


def unbalance_the_ledger(e: Evidence) -> None:
    count(e, received=1, difference=1)


def miscount_the_touches(e: Evidence) -> None:
    count(e, touches=1, duplicates=-1)


def put_a_lead_aside(e: Evidence) -> None:
    e.quarantined = 1


def send_it_to_another_team(e: Evidence) -> None:
    e.leads["a1"] = {**e.leads["a1"], "source": "referral"}


def take_an_sla_that_is_not_due_sooner(e: Evidence) -> None:
    lead_of(e, "c1")["touches"][0]["source"] = "newsletter"


def let_an_urgent_touch_wait(e: Evidence) -> None:
    lead_of(e, "c1")["touches"][0]["received_at"] = iso(500)


def repeat_a_step_after_a_touch(e: Evidence) -> None:
    lead = lead_of(e, "c1")
    lead["steps"].append(lead["steps"][-1])


def tell_nobody_that_it_is_due_sooner(e: Evidence) -> None:
    line_of(e, "c1", "lead.due_sooner")["details"]["told"] = {"head": "sooner-1"}


def give_an_answered_person_to_another(e: Evidence) -> None:
    lead_of(e, "a2")["rep"] = line_of(e, "a2", "lead.routed")["details"]["rep"] = "alan"
    receipt_of(e, "a2:0%:alpha-desk")["data"]["rep"] = "alan"


def move_a_deadline(e: Evidence) -> None:
    lead_of(e, "a1")["deadline"] = iso(6_001)
    for one in e.receipts:
        if one["lead"] == "a1":
            one["data"]["deadline"] = iso(6_001)


def move_a_step(e: Evidence) -> None:
    lead_of(e, "b1")["steps"][4]["at"] = iso(28_001)
    receipt_of(e, "b1:+12s:head")["data"]["late_seconds"] = 0.059


def change_a_ladder(e: Evidence) -> None:
    lead_of(e, "a1")["steps"][4]["alert"] = ["head"]


def move_the_receipt(e: Evidence) -> None:
    for old in (e.posts[0], e.posts[2]):
        assert isinstance(old, dict)
        old["sent"], old["at"] = old["sent"] - 9_000, old["at"] - 9_000


def change_the_rep_in_silence(e: Evidence) -> None:
    lead_of(e, "a1")["rep"] = "alan"


def give_it_two_reps(e: Evidence) -> None:
    lead_of(e, "a1")["history"].insert(3, line(950, "lead.routed", team="alpha", rep="alan", sla="fast"))
    lead_of(e, "a1")["version"] = 5


def give_it_back_to_who_lost_it(e: Evidence) -> None:
    line_of(e, "b1", "lead.reassigned", to="guy")["details"]["to"] = "gail"
    lead_of(e, "b1")["rep"] = "gail"
    line_of(e, "b1", "lead.kept")["details"] |= {"from": "gail", "to": "gail"}
    e.load = {"gail": 1}
    for one in e.receipts:
        if one["started"] > T + 22_050 and "rep" in one["data"]:
            one["data"]["rep"] = "gail"


def lose_a_line_of_history(e: Evidence) -> None:
    drop_line(e, "a1", "lead.touched")
    count(e, touches=-1, duplicates=1)


def write_a_version_without_history(e: Evidence) -> None:
    lead_of(e, "b1")["version"] = 6


def write_history_out_of_order(e: Evidence) -> None:
    line_of(e, "a1", "lead.touched")["at"] = iso(3_900)
    line_of(e, "a1", "lead.connected")["at"] = iso(5_500)
    line_of(e, "a1", "step.decided")["at"] = iso(3_001)
    line_of(e, "a1", "lead.touched")["at"] = iso(4_500)
    data = receipt_of(e, "a1:50%:alpha-desk")["data"]
    data |= {"decided_at": iso(3_001), "late_seconds": 0.001}


def decide_a_step_twice(e: Evidence) -> None:
    lead_of(e, "a1")["history"].insert(
        4, line(3_500, "step.decided", step="50%", skipped=[], told=["alpha-desk"])
    )
    lead_of(e, "a1")["version"] = 5
    receipt_of(e, "a1:50%:alpha-desk")["data"] |= {"decided_at": iso(3_500), "late_seconds": 0.5}


def decide_a_step_early(e: Evidence) -> None:
    line_of(e, "a1", "step.decided")["at"] = iso(2_500)
    receipt_of(e, "a1:50%:alpha-desk")["data"] |= {"decided_at": iso(2_500), "late_seconds": 0.0}


def tell_somebody_else(e: Evidence) -> None:
    line_of(e, "b1", "step.decided", step="+12s")["details"]["told"] = ["gamma-desk"]


def lose_a_response(e: Evidence) -> None:
    e.responds.append(response("b1", "connected", "r2"))


def fail_at_a_response(e: Evidence) -> None:
    e.responds.append(response("b1", "connected", "r2", status=500))


def record_a_response_twice(e: Evidence) -> None:
    lead_of(e, "a1")["responses"].append({"evidence": "r1"})


def lose_a_closing(e: Evidence) -> None:
    e.responds.append(response("b1", "close", "", action="close"))


def lose_a_reassignment(e: Evidence) -> None:
    e.responds.append(response("a1", "reassign", "", action="reassign", rep="avis"))


def forget_a_breach(e: Evidence) -> None:
    drop_line(e, "b1", "lead.breached")
    lead_of(e, "b1")["breached_at"] = None


def breach_what_was_answered(e: Evidence) -> None:
    lead_of(e, "a1")["history"].insert(5, line(4_000, "lead.breached", rep="ada"))
    lead_of(e, "a1")["breached_at"] = iso(6_000)


def miscount_the_load(e: Evidence) -> None:
    e.load = {"guy": 1, "gail": 1}


def forget_a_step(e: Evidence) -> None:
    drop_line(e, "b1", "lead.kept")
    drop_line(e, "b1", "step.decided", step="+12s")
    drop_line(e, "b1", "alert.delivered", step="+12s")
    lead_of(e, "b1")["steps"][4]["done"] = False
    lead_of(e, "b1")["version"] = 4
    e.receipts.remove(receipt_of(e, "b1:+12s:head"))


def decide_late(e: Evidence) -> None:
    for event in ("lead.kept", "step.decided"):
        line_of(e, "b1", event, **({"step": "+12s"} if event == "step.decided" else {}))["at"] = iso(40_000)
    receipt_of(e, "b1:+12s:head")["data"] |= {"decided_at": iso(40_000), "late_seconds": 12.0}


def note_what_nobody_heard(e: Evidence) -> None:
    e.receipts.remove(receipt_of(e, "b1:+12s:head"))


def lose_an_alert(e: Evidence) -> None:
    drop_line(e, "b1", "alert.delivered", step="+12s")
    e.receipts.remove(receipt_of(e, "b1:+12s:head"))


def leave_an_alert_lying(e: Evidence) -> None:
    lose_an_alert(e)
    e.waiting_alerts.append({"key": "b1:+12s:head", "attempts": 0, "next_attempt_at": iso(28_060)})


def give_up_in_silence(e: Evidence) -> None:
    line_of(e, "b1", "alert.given_up")["details"]["fallback"] = None
    drop_line(e, "b1", "alert.delivered", step="+6s~gamma-desk")
    e.receipts.remove(receipt_of(e, "b1:+6s~gamma-desk:gamma-mail"))


def note_an_end_twice(e: Evidence) -> None:
    lead_of(e, "b1")["history"].append(line(29_000, "alert.delivered", step="+12s", to="head", attempt=2))


def cancel_what_is_wanted(e: Evidence) -> None:
    line_of(e, "b1", "alert.delivered", step="+12s")["event"] = "alert.cancelled"
    e.receipts.remove(receipt_of(e, "b1:+12s:head"))


def send_what_nobody_called_for(e: Evidence) -> None:
    e.receipts.append(receipt("b1", "+12s", "gamma-mail", "", 29_000))


def send_under_another_name(e: Evidence) -> None:
    receipt_of(e, "b1:+12s:head")["key"] = "b1:+12s:head:2"


def send_unsigned(e: Evidence) -> None:
    receipt_of(e, "b1:+12s:head")["data"]["is_signed"] = False


def cry_wolf(e: Evidence) -> None:
    e.receipts.append(receipt("", "router-silent", "fallback", "system.stage_silent", 9_000))


def send_twice(e: Evidence) -> None:
    first = receipt_of(e, "b1:+12s:head")
    e.receipts.append({**first, "started": first["started"] + 900, "at": first["at"] + 900})


def try_a_third_time_what_cannot_be_recognised(e: Evidence) -> None:
    for at in (16_200, 16_400):
        e.receipts.append(receipt("b1", "100%", "gamma-mail", "", at, "unknown"))


def leave_an_incident_open(e: Evidence) -> None:
    e.receipts.remove(receipt_of(e, "a1::duty"))


def open_an_incident_again(e: Evidence) -> None:
    opened, ended = receipt_of(e, "a1:50%:duty"), receipt_of(e, "a1::duty")
    opened["started"], opened["at"] = ended["at"] + 10, ended["at"] + 15


def name_another_incident(e: Evidence) -> None:
    receipt_of(e, "a1:50%:duty")["data"]["incident"] = "c1"


def lose_the_end_of_an_incident(e: Evidence) -> None:
    lead_of(e, "a1")["history"][-1]["event"] = "alert.given_up"


def alert_long_after_the_answer(e: Evidence) -> None:
    late = receipt_of(e, "a1:50%:alpha-desk")
    late["started"], late["at"] = T + 9_000, T + 9_005


def decide_after_the_answer(e: Evidence) -> None:
    lead_of(e, "a1")["history"] += [
        line(4_900, "step.decided", step="50%", skipped=[], told=["alpha-desk", "duty"]),
        line(4_950, "alert.delivered", step="50%", to="alpha-desk"),
        line(4_950, "alert.delivered", step="50%", to="duty"),
    ]
    drop_line(e, "a1", "step.decided")
    drop_line(e, "a1", "alert.delivered", step="50%")
    drop_line(e, "a1", "alert.delivered", step="50%")
    receipt_of(e, "a1:50%:alpha-desk")["data"] |= {"decided_at": iso(4_900), "late_seconds": 1.9}


def name_the_wrong_rep(e: Evidence) -> None:
    receipt_of(e, "b1:+12s:head")["data"]["rep"] = "gail"


def name_the_wrong_deadline(e: Evidence) -> None:
    receipt_of(e, "b1:+12s:head")["data"]["deadline"] = iso(17_000)


def tell_another_lateness(e: Evidence) -> None:
    receipt_of(e, "b1:+12s:head")["data"]["late_seconds"] = 12.06


def call_it_something_else(e: Evidence) -> None:
    receipt_of(e, "b1:+12s:head")["type"] = "sla.reminder"


def hide_a_dead_alert(e: Evidence) -> None:
    e.dead_alerts.clear()


def log_a_name(e: Evidence) -> None:
    e.log_lines = [("router.log", '{"event": "lead.routed", "who": "Mara Quillfeather-1"}')]


def log_a_secret(e: Evidence) -> None:
    e.log_lines = [("courier.log", "POST http://127.0.0.1/slack/a-secret")]


SABOTAGES: list[tuple[Callable[[Evidence], None], set[str]]] = [
    (lose_an_accepted_submission, {"kept"}),
    (lose_an_accepted_touch, {"kept"}),
    (keep_a_submission_twice, {"kept"}),
    (keep_it_under_another_id, {"kept"}),
    (bury_a_sound_submission, {"kept"}),
    (make_a_lead_of_a_test, {"kept", "tests", "invented"}),
    (lose_an_unreadable_one, {"unreadable"}),
    (take_a_forged_one, {"forged"}),
    (disable_a_hook, {"answers"}),
    (invent_a_touch, {"invented"}),
    (mix_up_two_people, {"invented"}),
    (invent_dead_letters, {"invented"}),
    (give_a_person_two_leads, {"person"}),
    (unbalance_the_ledger, {"ledger"}),
    (miscount_the_touches, {"ledger"}),
    (put_a_lead_aside, {"quarantine"}),
    (send_it_to_another_team, {"route"}),
    (move_a_deadline, {"deadline"}),
    (take_an_sla_that_is_not_due_sooner, {"deadline"}),
    (let_an_urgent_touch_wait, {"deadline"}),
    (repeat_a_step_after_a_touch, {"deadline"}),
    (tell_nobody_that_it_is_due_sooner, {"history"}),
    (give_an_answered_person_to_another, {"owner"}),
    (move_a_step, {"deadline"}),
    (change_a_ladder, {"deadline"}),
    (move_the_receipt, {"receipt"}),
    (leave_an_incident_open, {"incidents"}),
    (open_an_incident_again, {"incidents"}),
    (name_another_incident, {"called for"}),
    (lose_the_end_of_an_incident, {"given up"}),
    (change_the_rep_in_silence, {"rep", "owner"}),
    (give_it_two_reps, {"rep"}),
    (give_it_back_to_who_lost_it, {"history"}),
    (lose_a_line_of_history, {"history"}),
    (write_a_version_without_history, {"history"}),
    (write_history_out_of_order, {"history"}),
    (decide_a_step_twice, {"history"}),
    (decide_a_step_early, {"history"}),
    (tell_somebody_else, {"history"}),
    (lose_a_response, {"responses"}),
    (fail_at_a_response, {"responses"}),
    (record_a_response_twice, {"responses"}),
    (lose_a_closing, {"responses"}),
    (lose_a_reassignment, {"responses"}),
    (forget_a_breach, {"breach"}),
    (breach_what_was_answered, {"breach"}),
    (miscount_the_load, {"load"}),
    (forget_a_step, {"steps"}),
    (decide_late, {"in time"}),
    (note_what_nobody_heard, {"heard"}),
    (lose_an_alert, {"heard"}),
    (leave_an_alert_lying, {"heard"}),
    (give_up_in_silence, {"heard"}),
    (note_an_end_twice, {"heard"}),
    (cancel_what_is_wanted, {"heard"}),
    (send_what_nobody_called_for, {"called for"}),
    (send_under_another_name, {"called for"}),
    (send_unsigned, {"called for"}),
    (cry_wolf, {"called for"}),
    (send_twice, {"repeats"}),
    (try_a_third_time_what_cannot_be_recognised, {"repeats"}),
    (alert_long_after_the_answer, {"after answer"}),
    (decide_after_the_answer, {"after answer"}),
    (name_the_wrong_rep, {"content"}),
    (name_the_wrong_deadline, {"content"}),
    (tell_another_lateness, {"content"}),
    (call_it_something_else, {"content"}),
    (hide_a_dead_alert, {"given up"}),
    (log_a_name, {"logs"}),
    (log_a_secret, {"logs"}),
]


@pytest.mark.parametrize(("sabotage", "expected"), SABOTAGES, ids=[one.__name__ for one, _ in SABOTAGES])
def test_what_is_wrong_is_found(sabotage: Callable[[Evidence], None], expected: set[str]) -> None:
    """One thing made wrong is found by the check it concerns, and by no other."""
    evidence = sound_run()
    sabotage(evidence)
    assert expected == found_in(evidence)


def test_an_alarm_that_was_skipped_is_told_by_the_step_that_alerts_nobody() -> None:
    """What an acknowledgement held back comes late, together with the breach: whoever that was to alert hears of it."""
    lead = lead_of(sound_run(), "a1")
    first, breach = lead["steps"][0], lead["steps"][2]
    held = {**breach, "name": "100%.held", "at": iso(7_000), "alert": []}
    lead["steps"] = [first, {**breach, "reassign": False}, held]
    told = ["alpha-desk", "alpha-manager", "oncall"]
    lead["history"] = [
        lead["history"][0],
        line(8_000, "lead.breached"),
        line(8_000, "lead.reassigned", from_="ada", to="alan"),
        line(8_000, "step.decided", step="100%.held", skipped=["100%"], told=told),
    ]
    story = story_of(lead)
    assert [] == story.wrong
    assert {"sla.breached", "lead.reassigned"} == {
        expected.type for (step, _), expected in story.expected.items() if step == "100%.held"
    }


def test_every_check_can_fail() -> None:
    """Each check finds something in one of the sabotaged runs; those that only measure are named here."""
    can_fail = {name for _, names in SABOTAGES for name in names}
    assert {check.name for check in checker.CHECKS} == can_fail | {"delivery"}


# --- what is excused, and what is not --------------------------------------------------------------------------


def test_a_repeat_is_excused_where_a_courier_was_killed_between_post_and_note() -> None:
    """Promise 6: after a crash between the POST and the note an alert comes again, under the same name."""
    evidence = sound_run()
    send_twice(evidence)
    evidence.faults = [fault("kill-courier", 28_200, 28_300)]
    assert set() == found_in(evidence)


@pytest.mark.parametrize(
    "name", ["kill-web", "freeze-clock", "broker-deleted", "hints-stuck", "index-damaged"]
)
def test_a_repeat_is_not_excused_by_what_does_not_concern_it(name: str) -> None:
    """What happens to others than the courier and its server excuses no repeat."""
    evidence = sound_run()
    send_twice(evidence)
    evidence.faults = [fault(name, 28_200, 28_300)]
    assert {"repeats"} == found_in(evidence)


def test_a_repeat_is_not_excused_by_a_courier_that_was_killed_later() -> None:
    """A fault excuses what it can have caused, and nothing before it."""
    evidence = sound_run()
    send_twice(evidence)
    evidence.faults = [fault("kill-courier", 50_000, 51_000)]
    assert {"repeats"} == found_in(evidence)


def test_late_is_excused_while_the_clocks_are_held_up() -> None:
    """A step decided late is no finding where something that a clock needs was broken."""
    evidence = sound_run()
    decide_late(evidence)
    evidence.faults = [fault("server-frozen", 27_000, 39_000)]
    assert set() == found_in(evidence)


def test_what_nobody_answered_with_200_may_be_there_or_not() -> None:
    """A submission whose tool heard no 200 is a lead, or none; both are right."""
    evidence = sound_run()
    evidence.posts.append(post("s9", "open-page", "new@people.example.com", "", status=0))
    assert set() == found_in(evidence)
    evidence = sound_run()
    evidence.posts[1] = post("s2", "open-page", SAM, "", status=0, at=900)
    count(evidence, received=0)
    assert set() == found_in(evidence)


def test_a_second_lead_of_a_person_is_right_once_the_first_is_answered() -> None:
    """An answered person who comes back is a new lead."""
    evidence = sound_run()
    del evidence.leads["a2"]
    give_a_person_two_leads(evidence)
    for entry in (line_of(evidence, "a1", "lead.connected"),):
        entry["at"] = iso(15)
    drop_line(evidence, "a1", "lead.touched")
    assert "person" not in found_in(evidence)


def test_instants_are_not_compared_where_the_servers_clock_stepped() -> None:
    """What was decided late by a clock that stepped is excused; what was lost is not."""
    evidence = sound_run()
    decide_late(evidence)
    lose_an_accepted_submission(evidence)
    evidence.faults = [fault("clock-of-server", 27_000, 39_000, step=30_000)]
    assert {"kept"} == found_in(evidence)


@pytest.mark.parametrize(
    ("sla", "team", "received", "due"),
    [
        ("fast", "alpha", "2026-11-22T10:00:00.123+00:00", "2026-11-22T10:00:06.123+00:00"),
        ("business", "beta", "2026-11-22T10:00:00.000+00:00", "2026-11-22T10:00:20.000+00:00"),
        ("business", "beta", "2026-11-22T10:07:50.000+00:00", "2026-11-22T10:10:10.000+00:00"),
        ("business", "beta", "2026-11-22T10:07:40.000+00:00", "2026-11-22T10:08:00.000+00:00"),
        ("business", "beta", "2026-11-22T10:08:30.000+00:00", "2026-11-22T10:10:20.000+00:00"),
        ("today", "beta", "2026-11-22T10:00:00.000+00:00", "2026-11-22T18:28:00.000+00:00"),
        ("today", "beta", "2026-11-22T18:28:30.000+00:00", "2026-11-23T18:28:00.000+00:00"),
    ],
)
def test_deadlines_of_our_own(sla: str, team: str, received: str, due: str) -> None:
    """The checker's arithmetic, by hand: eighteen minutes open, two closed, in a zone half an hour off."""
    assert business_time.ms_of(due) == business_time.deadline_of(sla, team, business_time.ms_of(received))
