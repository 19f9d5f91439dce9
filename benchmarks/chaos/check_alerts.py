"""The alerts: each is heard, under one name, once but where promise 6 allows, and never after an answer."""

from collections import defaultdict
from collections.abc import Iterator

from benchmarks.chaos.business_time import ms_of, text_of
from benchmarks.chaos.evidence import Document, Evidence
from benchmarks.chaos.rules import DESTINATIONS, GOES_AWAY, has_incidents, recognises_repeats
from benchmarks.chaos.sink import GONE, HEARD, REFUSED, UNKNOWN
from benchmarks.chaos.story import Expected, Story
from benchmarks.chaos.verdict import Check, Tally

#: Between an instant of the server's clock and what the sink sees of it, undisturbed.
ON_ITS_WAY_MS = 2_000
#: A courier that has sent an alert notes it within so many milliseconds, its tries included.
NOTING_MS = 6_000
#: What may come between the POST of an alert and the note of it.
_BETWEEN = (
    "kill-courier", "freeze-courier", "restart-courier", "kill-all", "restart-all", "freeze-all",
    "server-", "network-", "one-more",
)  # fmt: skip
_Name = tuple[str, str, str]


def each_alert_is_heard(evidence: Evidence, tally: Tally) -> None:
    """What a step called for was heard by each of its targets, or was given up and heard by the one who stands in."""
    receipts = _receipts(evidence)
    waiting = {alert["key"]: alert for alert in evidence.waiting_alerts}
    for story in evidence.stories.values():
        for nobody in story.nobody:
            tally.broken(f"NOBODY HEARD: {nobody}", story.lead["id"])
        for expected in story.expected.values():
            tally.saw()
            outcomes = {receipt["outcome"] for receipt in receipts.get(_name(expected), ())}
            endings = [name for name, _ in expected.endings]
            if len(endings) > 1:
                tally.broken(
                    f"{expected.key} ended {len(endings)} times: {', '.join(endings)}", story.lead["id"]
                )
            if has_incidents(expected.destination) and story.stopped_at is not None:
                # Where the lead was answered meanwhile, it is told as the end of the incident.
                resolved = receipts.get((expected.lead, "", expected.destination), ())
                outcomes |= {receipt["outcome"] for receipt in resolved}
            if "alert.delivered" in endings and HEARD not in outcomes:
                tally.broken(f"{expected.key} was noted as delivered, and was not heard", story.lead["id"])
            elif "alert.cancelled" in endings and story.stopped_at is None:
                tally.broken(f"{expected.key} was cancelled, and the lead is open", story.lead["id"])
            elif not endings:
                _look_at_unsettled(evidence, tally, story, expected, waiting)


def _look_at_unsettled(
    evidence: Evidence, tally: Tally, story: Story, expected: Expected, waiting: dict[str, Document]
) -> None:
    alert = waiting.get(expected.key)
    if alert is None:
        tally.broken(
            f"LOST: {expected.key} is in no outbox, and nothing says what became of it", story.lead["id"]
        )
    elif ms_of(alert["next_attempt_at"]) > evidence.checked_at:
        tally.broken(f"{expected.key} still waits after {alert['attempts']} attempts", story.lead["id"])
    else:
        tally.broken(f"STUCK: {expected.key} is due since {alert['next_attempt_at']}", story.lead["id"])


def nothing_else_is_heard(evidence: Evidence, tally: Tally) -> None:
    """No alert arrives that no step called for, and each says under which name it goes."""
    stories = evidence.stories
    for receipt in evidence.receipts:
        tally.saw()
        if receipt["type"].startswith("system"):
            is_true = receipt["type"] == "system.needs_attention" and (
                evidence.dead_letters or evidence.dead_alerts
            )
            is_true = is_true or _is_of_the_one_that_goes_away(receipt, evidence)
            if not is_true and not evidence.struck(receipt["started"], receipt["started"], aftermath=90_000):
                tally.broken(f"{receipt['type']} ({receipt['step']}), with nothing broken", receipt["key"])
            continue
        story = stories.get(receipt["lead"])
        name = f"{receipt['lead']}:{receipt['step']}:{receipt['destination']}"
        if story is None:
            tally.broken(f"an alert about a lead that is not there ({name})", receipt["lead"])
        elif receipt["data"].get("incident", receipt["lead"]) != receipt["lead"]:
            tally.broken(f"{name} came as the incident {receipt['data']['incident']}", receipt["lead"])
        elif receipt["type"] == "incident" or (receipt["step"], receipt["destination"]) in story.moved:
            continue
        elif (receipt["step"], receipt["destination"]) not in story.expected:
            tally.broken(f"nothing called for {name}", receipt["lead"])
        if receipt["key"] != name:
            tally.broken(f"{name} came under another name: {receipt['key']}", receipt["lead"])
        if receipt["data"].get("is_signed") is False:
            tally.broken(f"{name} came without a good signature", receipt["lead"])


def _is_of_the_one_that_goes_away(receipt: Document, evidence: Evidence) -> bool:
    """Whether it tells that a destination is disabled, and that one said before that it is gone."""
    return receipt["step"].startswith(f"{GOES_AWAY}.disabled.") and any(
        other["destination"] == GOES_AWAY
        and other["answer"] == GONE
        and other["started"] <= receipt["started"]
        for other in evidence.receipts
    )


def repeats_are_allowed(evidence: Evidence, tally: Tally) -> None:
    """Heard once; again only where the courier, or its server, broke between the POST and the note (promise 6)."""
    for name, receipts in _receipts(evidence).items():
        if not name[1]:  # what ends an incident may be said again: it is over all the same
            continue
        tally.saw()
        heard = [receipt for receipt in receipts if receipt["outcome"] == HEARD]
        perhaps = [receipt for receipt in receipts if receipt["outcome"] == UNKNOWN]
        key = ":".join(name)
        for first in heard[:-1]:
            begin, end = first["started"] - NOTING_MS, first["at"] + NOTING_MS
            if evidence.struck(begin, end, *_BETWEEN, aftermath=0):
                tally.excuse("repeated: courier or server broke between POST and note")
            elif evidence.offsets(first["at"]) != [0]:
                tally.excuse("repeated: the server's clock stepped over a lease")
            else:
                times = ", ".join(
                    f"{text_of(receipt['started'])} {receipt['answer']}" for receipt in receipts
                )
                tally.broken(
                    f"DOUBLED: {key} was heard {len(heard)} times ({times}), with nothing broken", name[0]
                )
        if not heard or not perhaps or recognises_repeats(name[2]):
            continue
        # After one outcome that nobody knows it is tried once more, and no more.
        if len(heard) + len(perhaps) > 2:
            struck = evidence.struck(receipts[0]["started"], receipts[-1]["at"], *_BETWEEN, aftermath=0)
            if struck:
                tally.excuse("tried again with an unknown outcome: a courier broke as well")
            else:
                tally.broken(
                    f"{key}, which cannot be recognised, may have arrived {len(heard) + len(perhaps)} times",
                    name[0],
                )


def none_after_an_answer(evidence: Evidence, tally: Tally) -> None:
    """Nothing is decided after somebody answered, and nothing decided before is sent long after."""
    for story in evidence.stories.values():
        tally.saw()
        for expected in story.expected.values():
            # A fallback is decided by its courier, about an alert that was decided before.
            if story.stopped_at is None or expected.decided_at <= story.stopped_at or "~" in expected.step:
                continue
            if evidence.clock_stepped_during(story.lead):
                tally.excuse("the server's clock stepped meanwhile")
            else:
                tally.broken(f"step {expected.step} was decided after the answer", story.lead["id"])
    for receipt in evidence.receipts:
        answered = evidence.stories.get(receipt["lead"])
        if answered is not None and answered.stopped_at is not None:
            tally.saw()
            _look_at_arrival(evidence, tally, receipt, answered, answered.stopped_at)


def _look_at_arrival(
    evidence: Evidence, tally: Tally, receipt: Document, story: Story, stopped_at: int
) -> None:
    late = receipt["started"] - stopped_at
    if late <= 0 or receipt["type"] == "incident":
        return
    held = evidence.struck(stopped_at - ON_ITS_WAY_MS, receipt["started"], "freeze-courier", aftermath=0)
    if late <= ON_ITS_WAY_MS:
        tally.excuse("on its way already when somebody answered (within 2 s)")
    elif evidence.clock_stepped_during(story.lead):
        tally.excuse("the server's clock stepped meanwhile")
    elif held:
        tally.excuse("in the hands of a courier that was stopped")
    else:
        tally.broken(f"{receipt['key']} arrived {late / 1000:.1f} s after the answer", receipt["lead"])


def alerts_say_the_truth(evidence: Evidence, tally: Tally) -> None:
    """Type, rep, deadline, lateness and skipped steps in an alert are those of the record."""
    for receipt in evidence.receipts:
        story = evidence.stories.get(receipt["lead"])
        expected = story.expected.get((receipt["step"], receipt["destination"])) if story else None
        if story is None or expected is None or "late_seconds" not in receipt["data"]:
            continue  # told to people only
        tally.saw()
        for wrong in _untrue(receipt, story, expected):
            tally.broken(f"{receipt['key']} {wrong}", story.lead["id"])
        _look_at_rep(evidence, tally, receipt, story)


def _untrue(receipt: Document, story: Story, expected: Expected) -> Iterator[str]:
    data = receipt["data"]
    if receipt["type"] != expected.type:
        yield f"calls itself {receipt['type']}, the rules say {expected.type}"
    # It names the deadline the lead had when it was sent; a touch may have brought another one since.
    deadlines = [text_of(deadline) for _, deadline in story.deadlines]
    if data["deadline"] is None or text_of(ms_of(data["deadline"])) not in deadlines:
        yield f"names the deadline {data['deadline']}, it was {' then '.join(deadlines)}"
    if tuple(data["skipped_steps"]) != expected.skipped:
        yield f"names {data['skipped_steps']} as skipped, history {expected.skipped}"
    if ms_of(data["decided_at"]) != expected.decided_at:
        yield f"was decided {data['decided_at']}, by history {text_of(expected.decided_at)}"
    elif "~" not in expected.step:
        late = 0.0 if expected.step_at is None else max((expected.decided_at - expected.step_at) / 1000, 0.0)
        if abs(late - data["late_seconds"]) > 0.0015:
            yield f"says {data['late_seconds']} s late, it was {late} s"


def _look_at_rep(evidence: Evidence, tally: Tally, receipt: Document, story: Story) -> None:
    """The rep an alert names had the lead when it was sent."""
    sent, named = receipt["started"], receipt["data"]["rep"]
    around = {
        rep
        for ahead in evidence.offsets(sent)
        for rep in story.reps_around(sent + ahead, ON_ITS_WAY_MS, ON_ITS_WAY_MS)
    }
    if named in around:
        return
    if evidence.struck(sent - ON_ITS_WAY_MS, sent, "freeze-courier", "clock-of-server"):
        tally.excuse("written by a courier that was stopped before it sent it")
    elif evidence.clock_stepped_during(story.lead):
        tally.excuse("the server's clock stepped meanwhile")
    else:
        tally.broken(f"{receipt['key']} names {named}, history {around} at {text_of(sent)}", story.lead["id"])


def dead_alerts_were_told(evidence: Evidence, tally: Tally) -> None:
    """What stands among the dead alerts was given up in its lead's history, and the other way round."""
    dead = {alert["key"] for alert in evidence.dead_alerts}
    given_up = {
        expected.key
        for story in evidence.stories.values()
        for expected in (*story.expected.values(), *story.moved.values())
        if any(name == "alert.given_up" for name, _ in expected.endings)
    }
    tally.saw(len(dead | given_up))
    for key in dead ^ given_up:
        if key.partition(":")[0] in evidence.leads:
            where = "among the dead alerts only" if key in dead else "in history only"
            tally.broken(f"{key} was given up {where}", key.partition(":")[0])


def incidents_end(evidence: Evidence, tally: Tally) -> None:
    """Once a lead is answered, the last word about its incident is that it is resolved, and nothing opens it again."""
    for (lead_id, destination), receipts in _incidents(evidence).items():
        story = evidence.stories.get(lead_id)
        opened = [receipt for receipt in receipts if receipt["data"]["action"] == "trigger"]
        if story is None or story.stopped_at is None or not any(one["outcome"] == HEARD for one in opened):
            continue
        tally.saw()
        ended = [
            receipt
            for receipt in receipts
            if receipt["data"]["action"] == "resolve" and receipt["outcome"] == HEARD
        ]
        moves = [move for (_, to), move in story.moved.items() if to == destination]
        if any(name == "alert.given_up" for move in moves for name, _ in move.endings):
            tally.excuse("an incident's end was refused for ever, and stands among the dead alerts")
        elif not ended:
            tally.broken(f"the incident of {lead_id} at {destination} was never resolved", lead_id)
        elif opened[-1]["started"] > ended[-1]["at"]:
            tally.broken(
                f"the incident of {lead_id} at {destination} was opened again after its end", lead_id
            )


def _incidents(evidence: Evidence) -> dict[tuple[str, str], list[Document]]:
    """Every receipt about each lead's incident at each destination that has those, but for what was refused."""
    found: defaultdict[tuple[str, str], list[Document]] = defaultdict(list)
    for receipt in sorted(evidence.receipts, key=lambda receipt: receipt["started"]):
        if "incident" in receipt["data"] and receipt["outcome"] != REFUSED:
            found[receipt["lead"], receipt["destination"]].append(receipt)
    return found


def one_trouble_is_one_s_own(evidence: Evidence, tally: Tally) -> None:
    """How long alerts took from decision to being heard, for the report."""
    lags: list[int] = []
    heard_at = {
        name: min(r["started"] for r in receipts if r["outcome"] != REFUSED)
        for name, receipts in _receipts(evidence).items()
        if any(r["outcome"] == HEARD for r in receipts)
    }
    for story in evidence.stories.values():
        if evidence.clock_stepped_during(story.lead):
            continue
        for expected in story.expected.values():
            at = heard_at.get(_name(expected))
            if at is not None:
                tally.saw()
                lags.append(at - expected.decided_at)
    if lags:
        lags.sort()
        shown = ", ".join(
            f"p{share} {lags[min(len(lags) * share // 100, len(lags) - 1)] / 1000:.2f} s"
            for share in (50, 90, 99)
        )
        tally.figure(f"decision to destination, faults and all: {shown}, most {lags[-1] / 1000:.1f} s")


def _name(expected: Expected) -> _Name:
    return (expected.lead, expected.step, expected.destination)


def _receipts(evidence: Evidence) -> dict[_Name, list[Document]]:
    """Every receipt of each alert, in the order in which they came."""
    found: defaultdict[_Name, list[Document]] = defaultdict(list)
    for receipt in sorted(evidence.receipts, key=lambda receipt: receipt["started"]):
        if not receipt["type"].startswith("system"):
            found[receipt["lead"], receipt["step"], receipt["destination"]].append(receipt)
    return {name: receipts for name, receipts in found.items() if name[2] in DESTINATIONS}


CHECKS = (
    Check("heard", "6", "each alert is heard, or its fallback is", each_alert_is_heard),
    Check("called for", "6", "no alert that no step called for; one name each", nothing_else_is_heard),
    Check("repeats", "6", "heard once, but for a break between POST and note", repeats_are_allowed),
    Check("after answer", "2", "no alert after an answer", none_after_an_answer),
    Check("incidents", "6", "an incident ends with its lead's answer", incidents_end),
    Check("content", "6", "alerts say what the record says", alerts_say_the_truth),
    Check("given up", "6", "what was given up is listed", dead_alerts_were_told),
    Check("delivery", "12", "from decision to destination (figures)", one_trouble_is_one_s_own),
)
