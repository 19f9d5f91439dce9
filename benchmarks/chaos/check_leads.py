"""The records: route, deadline, rep, history, responses, load (promises 3, 5, 8, 10, 11)."""

from collections import Counter
from dataclasses import dataclass, replace
from itertools import pairwise

from benchmarks.chaos.business_time import deadline_of, instant_of_step, ms_of, text_of
from benchmarks.chaos.evidence import Document, Evidence
from benchmarks.chaos.people import person_of
from benchmarks.chaos.rules import FORMS, SLAS, TEAMS, Step, route_of
from benchmarks.chaos.story import STOPPING, Story
from benchmarks.chaos.tools import MARK
from benchmarks.chaos.verdict import Check, Tally

#: The web tells the time from what the server last said; nearer than this it need not be.
CLOCK_TOLERANCE_MS = 150
#: Lines of history are written this soon after the instant they name, undisturbed.
WRITING_MS = 1_000
#: A step is decided this soon after its instant, undisturbed.
DETECTION_MS = 3_000
#: What may hold up a clock.
_HOLDS_UP_CLOCKS = (
    "kill-", "freeze-", "restart-", "server-", "network-", "broker-", "hints-", "index-", "clock-of-", "one-more",
)  # fmt: skip


def routes_are_right(evidence: Evidence, tally: Tally) -> None:
    """Source, team and SLA are those the rules give what was sent; the team of a person's rep is kept with the rep."""
    before = _leads_before(evidence)
    for lead in evidence.leads.values():
        tally.saw()
        routed, route = lead["history"][0]["details"], route_of(_source_of(lead))
        earlier = before.get(lead["id"])
        team = route.team
        if earlier is not None and routed["team"] != team and routed["rep"] == earlier["rep"]:
            team = next(name for name, one in TEAMS.items() if one.rep(routed["rep"]))
        given = (lead["source"], routed["team"], routed["sla"])
        wanted = (_source_of(lead), team, route.sla)
        if given != wanted:
            tally.broken(f"source, team, SLA are {given}, the rules say {wanted}", lead["id"])


def answered_people_keep_their_rep(evidence: Evidence, tally: Tally) -> None:
    """Who comes back after an answer has the rep they had, or the trace says who could answer sooner."""
    for lead_id, earlier in _leads_before(evidence).items():
        lead = evidence.leads[lead_id]
        decided = ms_of(lead["history"][0]["at"])
        stops = [
            entry["event"]
            for entry in earlier["history"]
            if entry["event"] in STOPPING and ms_of(entry["at"]) <= decided
        ]
        # What is heard of after a lead was closed is kept as evidence; it was not answered all the same.
        if not stops or stops[0] == "lead.closed" or not earlier["rep"]:
            continue
        tally.saw()
        rep = lead["history"][0]["details"]["rep"]
        if rep == earlier["rep"]:
            continue
        if any(f"has lead {earlier['id']}" in line and "sooner" in line for line in lead["trace"]):
            tally.excuse("another rep could answer sooner, and the trace says so")
        elif any(map(evidence.is_of_wrong_clock, _instants_of(lead, earlier))):
            tally.excuse("the server's clock stepped: which came first cannot be said")
        elif ms_of(lead["history"][0]["at"]) - _stop_of(earlier) <= WRITING_MS:
            tally.excuse("answered and routed in the same second")
        else:
            tally.broken(
                f"went to {rep}, though {earlier['rep']} had answered them in {earlier['id']}", lead_id
            )


def _stop_of(lead: Document) -> int:
    return max(ms_of(entry["at"]) for entry in lead["history"] if entry["event"] in STOPPING)


def _instants_of(*leads: Document) -> list[int]:
    return [ms_of(entry["at"]) for lead in leads for entry in lead["history"]]


def _leads_before(evidence: Evidence) -> dict[str, Document]:
    """For each lead that is not its person's first: the one before."""
    by_person: dict[str, list[Document]] = {}
    for lead in evidence.leads.values():
        by_person.setdefault(person_of(lead["fields"]), []).append(lead)
    found: dict[str, Document] = {}
    for leads in by_person.values():
        leads.sort(key=lambda lead: ms_of(lead["history"][0]["at"]))
        found |= {later["id"]: earlier for earlier, later in pairwise(leads)}
    return found


def _source_of(lead: Document) -> str:
    written = str(lead["fields"].get("source") or "newsletter")
    return (FORMS[lead["form"]].source if lead["form"] in FORMS else "") or written


@dataclass(slots=True)
class _Clock:
    """The SLA a lead is under, and its ladder: each step's instant and what it does, by name."""

    sla: str
    deadline: int
    ladder: dict[str, tuple[int, Step]]


def deadlines_are_right(evidence: Evidence, tally: Tally) -> None:
    """Deadline and every step stand where the arithmetic of the checker puts them, touches that were due sooner included."""
    for lead in evidence.leads.values():
        tally.saw()
        clock, problem = _clock_of(lead)
        if problem:
            tally.broken(problem, lead["id"])
            continue
        if (lead["sla"], ms_of(lead["deadline"])) != (clock.sla, clock.deadline):
            tally.broken(
                f"{lead['sla']}: due {lead['deadline']}, by our arithmetic {clock.sla}, {text_of(clock.deadline)}",
                lead["id"],
            )
            continue
        if _was_held_and_due_sooner(lead):
            continue  # which of the held steps were dropped with the old ladder, history does not say
        _hold_back(lead, clock.ladder)
        planned = {step["name"]: step for step in lead["steps"]}
        if planned.keys() != clock.ladder.keys() or len(planned) != len(lead["steps"]):
            tally.broken(
                f"{clock.sla}: the ladder is {[s['name'] for s in lead['steps']]}, the rules say {sorted(clock.ladder)}",
                lead["id"],
            )
            continue
        for name, (at, step) in clock.ladder.items():
            if ms_of(planned[name]["at"]) != at:
                tally.broken(
                    f"{clock.sla}: step {name} at {planned[name]['at']}, by our arithmetic {text_of(at)}",
                    lead["id"],
                )
            targets = [tuple(planned[name][way]) for way in ("tell", "remind", "alert")]
            if targets != [step.tell, step.remind, step.alert] or planned[name]["reassign"] != step.reassign:
                tally.broken(f"{clock.sla}: step {name} tells {targets}", lead["id"])


def _was_held_and_due_sooner(lead: Document) -> bool:
    events = [entry for entry in lead["history"] if entry["details"].get("held")]
    return bool(events) and any(entry["event"] == "lead.due_sooner" for entry in lead["history"])


def _hold_back(lead: Document, ladder: dict[str, tuple[int, Step]]) -> None:
    """Move what an acknowledgement held back to where our own arithmetic puts it: alerts stay, the rest waits."""
    for entry in lead["history"]:
        held = entry["details"].get("held", ())
        until = ms_of(entry["details"]["until"]) if held else 0
        for before_last, name in zip(reversed(range(len(held))), held, strict=True):
            base = name if name in ladder else name.removesuffix(".held")
            at, step = ladder[base]
            if name != base:
                ladder[base] = (at, replace(step, remind=(), reassign=False))
                step = replace(step, tell=(), alert=())
            ladder[name] = (until - before_last, step)


def _clock_of(lead: Document) -> tuple[_Clock, str]:
    """The clock a lead ends up with: its own, then that of each touch that was due sooner; and what is wrong with it."""
    source, received = _source_of(lead), ms_of(lead["received_at"])
    clock = _clock_begun(source, received)
    touches = {touch["submission_id"]: touch for touch in lead["touches"]}
    done = {name for name, (at, _) in clock.ladder.items() if at <= received}
    due_sooner: _Clock | None = None
    touched_at = 0
    is_breached = False
    sooner = 0
    for entry in lead["history"]:
        name, details = entry["event"], entry["details"]
        if due_sooner is not None and name != "lead.due_sooner":
            return clock, f"the touch at {entry['at']} is due sooner, and the lead did not take its SLA"
        if name == "lead.breached":
            is_breached = True
        elif name == "step.decided":
            done |= {details["step"], *details["skipped"]}
        elif name == "lead.touched" and details["submission"] in touches:
            touch = touches[details["submission"]]
            touched_at = ms_of(touch["received_at"])
            own = _clock_begun(touch["source"], touched_at)
            if own.deadline < clock.deadline and not is_breached:
                due_sooner = own
        elif name == "lead.due_sooner":
            if due_sooner is None:
                return clock, f"it took an SLA at {entry['at']} that was not due sooner"
            sooner += 1
            clock = _taken_over(clock, due_sooner, done, touched_at, ms_of(entry["at"]), f"sooner-{sooner}")
            due_sooner = None
    if due_sooner is not None:
        return clock, "the last touch is due sooner, and the lead did not take its SLA"
    return clock, ""


def _clock_begun(source: str, received: int) -> _Clock:
    route = route_of(source)
    deadline = deadline_of(route.sla, route.team, received)
    ladder = {
        step.at: (instant_of_step(route.sla, route.team, step.at, received, deadline), step)
        for step in SLAS[route.sla].steps
    }
    return _Clock(route.sla, deadline, ladder)


def _taken_over(clock: _Clock, own: _Clock, done: set[str], touched_at: int, now: int, sooner: str) -> _Clock:
    """What was done or due stays, the rep was told, and the touch's ladder follows; a name that is taken gets a number."""
    ladder = {name: one for name, one in clock.ladder.items() if name in done or one[0] <= now}
    before = set(done)
    ladder[sooner] = (touched_at, Step(sooner, remind=("rep",)))
    done.add(sooner)
    for name, (at, step) in own.ladder.items():
        if at <= touched_at and name in before:
            continue
        number, free = 1, name
        while free in ladder:
            number += 1
            free = f"{name}-{number}"
        ladder[free] = (at, step)
        if at <= touched_at:
            done.add(free)
    return _Clock(own.sla, own.deadline, ladder)


def receipt_is_right(evidence: Evidence, tally: Tally) -> None:
    """received_at lies between the sending and the answer of a POST that brought the lead."""
    for lead in evidence.leads.values():
        submitted = evidence.submitted.get(str(lead["custom"].get(MARK)))
        if submitted is None:
            continue
        tally.saw()
        received = ms_of(lead["received_at"])
        if any(_is_within(evidence, received, post) for post in submitted.posts):
            continue
        # A web that was held took the request long after its tool had hung up: before that there was no answer.
        unanswered = [post for post in submitted.posts if post["status"] != 200 and post["sent"] <= received]
        if unanswered and received <= max(post["at"] for post in unanswered) + 60_000:
            tally.excuse("taken from a connection whose form tool had hung up")
        elif evidence.clock_stepped_during(lead):
            # What stands in the queue from a time that has not come yet counts as received now.
            tally.excuse("the server's clock stepped meanwhile")
        else:
            times = [(text_of(post["sent"]), text_of(post["at"]), post["status"]) for post in submitted.posts]
            tally.broken(f"received_at {lead['received_at']} lies within no POST: {times}", lead["id"])


def _is_within(evidence: Evidence, received: int, post: Document) -> bool:
    slack = CLOCK_TOLERANCE_MS
    offsets = {*evidence.offsets(post["sent"]), *evidence.offsets(post["at"])}
    return any(post["sent"] + o - slack <= received <= post["at"] + o + slack for o in offsets)


def one_rep_at_a_time(evidence: Evidence, tally: Tally) -> None:
    """The rep changes by what history says and by nothing else, and the record agrees."""
    for lead in evidence.leads.values():
        tally.saw()
        story = evidence.stories[lead["id"]]
        if not story.changes:
            continue
        if story.reps[-1][1] != lead["rep"]:
            tally.broken(f"history ends with {story.reps[-1][1]}, the record says {lead['rep']}", lead["id"])
        before = [rep for _, rep in story.reps[:-1]]
        if before != lead["reps_before"]:
            tally.broken(f"history had {before} before, the record says {lead['reps_before']}", lead["id"])
        if lead["rep"] is None or TEAMS[lead["team"]].rep(lead["rep"]) is None:
            tally.broken(f"rep {lead['rep']} is nobody of team {lead['team']}", lead["id"])
        routings = [entry for entry in lead["history"] if entry["event"] == "lead.routed"]
        if len(routings) != 1:
            tally.broken(f"it was routed {len(routings)} times", lead["id"])


def history_is_whole(evidence: Evidence, tally: Tally) -> None:
    """Each version of the record has its lines of history, in order, and nothing in them is impossible."""
    for lead in evidence.leads.values():
        tally.saw()
        story = evidence.stories[lead["id"]]
        for wrong in story.wrong:
            tally.broken(wrong, lead["id"])
        if len(story.changes) != lead["version"]:
            tally.broken(
                f"version {lead['version']}, and history tells of {len(story.changes)} changes", lead["id"]
            )
        done = {step["name"] for step in lead["steps"] if step["done"]}
        if done != set(story.done) or len(story.done) != len(set(story.done)):
            tally.broken(f"steps done by history {story.done}, by the record {sorted(done)}", lead["id"])
        _look_at_order(evidence, tally, story)


def _look_at_order(evidence: Evidence, tally: Tally, story: Story) -> None:
    for earlier, later in zip(story.changes, story.changes[1:], strict=False):
        back = earlier.at - later.at
        if back <= 0:
            continue
        if evidence.clock_stepped_during(story.lead):
            tally.excuse("the server's clock stepped back meanwhile")
        elif back <= WRITING_MS or evidence.struck(later.at, earlier.at, *_HOLDS_UP_CLOCKS):
            tally.excuse("decided at an instant just before one that was written first")
        else:
            names = (
                f"{later.names[0]} at {text_of(later.at)} after {earlier.names[0]} at {text_of(earlier.at)}"
            )
            tally.broken(f"history is out of order: {names}", story.lead["id"])


def responses_are_recorded_once(evidence: Evidence, tally: Tally) -> None:
    """A response that was answered 200 stands in the record, once; told again it changes nothing."""
    for lead in evidence.leads.values():
        found = Counter(response["evidence"] for response in lead["responses"])
        for proof, count in found.items():
            if count > 1:
                tally.broken(f"response {proof} stands there {count} times", lead["id"])
    for told in evidence.responds:
        tally.saw()
        if told["status"] == 500:
            tally.broken(f"a {told['kind']} was answered 500 at {text_of(told['at'])}", told["lead"])
        if told["status"] == 200:
            wrong = _wrong_with(told, evidence.leads.get(told["of"]))
            if wrong:
                tally.broken(wrong, told["of"])


def _wrong_with(told: Document, lead: Document | None) -> str:
    """What is missing of a deed that was answered 200; "" where nothing is."""
    if lead is None:
        return f"a {told['kind']} was answered 200 for a lead that is not there"
    match told["action"]:
        case "responses" if told["evidence"] not in {response["evidence"] for response in lead["responses"]}:
            return f"LOST: response {told['kind']} of {told['by']} was answered 200"
        case "responses" if told["kind"] != "acknowledged" and lead["state"] == "open":
            return f"response {told['kind']} was answered 200, and the lead is open"
        case "close" if lead["state"] != "closed":
            return "LOST: closing was answered 200, and the lead is not closed"
        case "reassign" if told["rep"] not in (*lead["reps_before"], lead["rep"]):
            return f"LOST: passing on to {told['rep']} was answered 200"
    return ""


def breaches_are_right(evidence: Evidence, tally: Tally) -> None:
    """A lead is breached, once, exactly where nobody had answered at its deadline."""
    for lead in evidence.leads.values():
        tally.saw()
        story, deadline = evidence.stories[lead["id"]], ms_of(lead["deadline"])
        if story.breached > 1:
            tally.broken(f"breached {story.breached} times", lead["id"])
        if bool(story.breached) != (lead["breached_at"] is not None):
            tally.broken("history and record disagree whether it was breached", lead["id"])
        if story.breached and ms_of(lead["breached_at"]) != deadline:
            tally.broken(f"breached at {lead['breached_at']}, its deadline is {lead['deadline']}", lead["id"])
        wrong = _wrong_with_breach(story, deadline, evidence.checked_at)
        if wrong and evidence.clock_stepped_during(lead):
            tally.excuse("the server's clock stepped meanwhile")
        elif wrong:
            tally.broken(wrong, lead["id"])


def _wrong_with_breach(story: Story, deadline: int, checked_at: int) -> str:
    """Why whether it is breached contradicts when it was answered; "" where it does not."""
    stopped = story.stopped_at
    if story.breached:
        early = stopped is not None and stopped < deadline
        return "breached, though it was answered before its deadline" if early else ""
    if stopped is not None:
        return "answered after its deadline, and no breach is noted" if stopped >= deadline else ""
    return "its deadline has passed, and no breach is noted" if deadline + DETECTION_MS < checked_at else ""


def load_is_right(evidence: Evidence, tally: Tally) -> None:
    """The count of open leads of each rep is the number of open leads that name them."""
    counted = Counter(
        lead["rep"] for lead in evidence.leads.values() if lead["state"] == "open" and lead["rep"]
    )
    for rep in {*counted, *evidence.load}:
        tally.saw()
        if counted[rep] != evidence.load.get(rep, 0):
            tally.broken(f"{rep} has {counted[rep]} open leads, the count says {evidence.load.get(rep, 0)}")


def steps_are_decided(evidence: Evidence, tally: Tally) -> None:
    """Each step that came due before somebody answered was decided, or is named by a later one that skipped it."""
    for lead in evidence.leads.values():
        story = evidence.stories[lead["id"]]
        for step in lead["steps"]:
            at = max(ms_of(step["at"]), story.came_late.get(step["name"], 0))
            until = evidence.checked_at if story.stopped_at is None else story.stopped_at
            if at > until:
                continue
            tally.saw()
            if step["name"] in story.done or until - at <= DETECTION_MS:
                continue
            if story.stopped_at is not None and evidence.struck(at, until, *_HOLDS_UP_CLOCKS):
                tally.excuse("it was answered while the clocks were held up")
            elif story.stopped_at is not None and evidence.clock_stepped_during(lead):
                tally.excuse("the server's clock stepped meanwhile")
            else:
                tally.broken(
                    f"step {step['name']} was due {(until - at) / 1000:.1f} s, and never decided", lead["id"]
                )


def steps_are_in_time(evidence: Evidence, tally: Tally) -> None:
    """Undisturbed, a step is decided within seconds of its instant."""
    lags: list[int] = []
    for lead in evidence.leads.values():
        for name, decided, at in evidence.stories[lead["id"]].decided:
            tally.saw()
            lags.append(decided - at)
            if decided - at <= DETECTION_MS:
                continue
            if evidence.struck(at, decided, *_HOLDS_UP_CLOCKS) or evidence.clock_stepped_during(lead):
                tally.excuse("something was broken at that time")
            else:
                tally.broken(
                    f"step {name} was decided {(decided - at) / 1000:.1f} s late, with nothing broken",
                    lead["id"],
                )
    if lags:
        lags.sort()
        shown = ", ".join(
            f"p{share} {lags[min(len(lags) * share // 100, len(lags) - 1)] / 1000:.2f} s"
            for share in (50, 90, 99)
        )
        tally.figure(f"deadline to decision, faults and all: {shown}, most {lags[-1] / 1000:.1f} s")


CHECKS = (
    Check("route", "11", "source, team and SLA as the rules say", routes_are_right),
    Check("deadline", "11", "deadlines and steps by our own arithmetic", deadlines_are_right),
    Check("receipt", "10", "received_at is when it was received", receipt_is_right),
    Check("owner", "5", "answered people keep their rep", answered_people_keep_their_rep),
    Check("rep", "5", "one rep at a time", one_rep_at_a_time),
    Check("history", "3", "history is whole, in order and possible", history_is_whole),
    Check("responses", "3", "responses are recorded, once", responses_are_recorded_once),
    Check("breach", "8", "breached exactly where nobody answered", breaches_are_right),
    Check("load", "3", "the count of open leads per rep", load_is_right),
    Check("steps", "2", "each step is decided or named as skipped", steps_are_decided),
    Check("in time", "8", "steps are decided within seconds", steps_are_in_time),
)
