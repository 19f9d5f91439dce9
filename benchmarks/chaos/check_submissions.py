"""Nothing lost, nothing doubled, nothing invented: what became of every submission (promises 1 and 9)."""

from collections import Counter, defaultdict
from itertools import pairwise

from benchmarks.chaos.business_time import ms_of, text_of
from benchmarks.chaos.evidence import Document, Evidence, Submitted
from benchmarks.chaos.people import person_of
from benchmarks.chaos.story import STOPPING
from benchmarks.chaos.tools import DISABLING
from benchmarks.chaos.verdict import Check, Tally

#: A lead's record holds so many touches; those before it are counted only.
MOST_TOUCHES = 20
#: One POST becomes at most so many entries of the queue: the web writes again, once, on a connection that broke.
ENTRIES_OF_A_POST = 2
#: Between the instant a decision is made on and the instant it is written, undisturbed.
DECISION_MS = 2_000


def each_is_kept_once(evidence: Evidence, tally: Tally) -> None:
    """A lead submission that was answered 200 is one lead or one touch; one that was not is so at most once."""
    for submitted in _of_kind(evidence, "lead"):
        tally.saw()
        places = evidence.places.get(submitted.key, [])
        if len(places) > 1:
            where = ", ".join(place.submission for place in places)
            tally.broken(f"the same submission is there {len(places)} times: {where}", places[0].lead)
        elif not places and submitted.is_taken:
            _say_where_it_went(evidence, submitted, tally)
        elif places:
            place = places[0]
            if place.form != submitted.form:
                tally.broken(f"it was sent to {submitted.form} and stands as {place.form}", place.lead)
            if len(submitted.posts) == 1 and submitted.is_taken and place.submission not in submitted.answers:
                tally.broken(f"answered with id {submitted.answers}, kept as {place.submission}", place.lead)


def _say_where_it_went(evidence: Evidence, submitted: Submitted, tally: Tally) -> None:
    buried = {letter["id"]: letter["error"] for letter in evidence.dead_letters}
    errors = [buried[answer] for answer in submitted.answers if answer in buried]
    if any("routers stopped while" in error for error in errors):
        tally.excuse("a dead letter, because router after router was killed over it")
    elif errors:
        tally.broken(f"a sound submission became a dead letter: {errors[0]}", min(submitted.answers))
    elif any(len(lead["touches"]) >= MOST_TOUCHES for lead in _leads_of(evidence, submitted)):
        tally.excuse("a touch older than those a record holds")
    else:
        tries = [(post["status"], text_of(post["at"])) for post in submitted.posts]
        tally.broken(
            f"LOST: answered 200 and found nowhere ({submitted.form}, {submitted.key}, tries {tries})",
            min(submitted.answers),
        )


def _leads_of(evidence: Evidence, submitted: Submitted) -> list[Document]:
    person = submitted.posts[0]["person"]
    return [lead for lead in evidence.leads.values() if person_of(lead["fields"]) == person]


def tests_reach_nobody(evidence: Evidence, tally: Tally) -> None:
    """A test submission is counted and is no lead."""
    for submitted in _of_kind(evidence, "test"):
        tally.saw()
        if submitted.key in evidence.places or submitted.answers & evidence.leads.keys():
            tally.broken(
                f"a test became a lead ({submitted.form}, {submitted.key})",
                min(submitted.answers, default=""),
            )


def unreadable_are_kept(evidence: Evidence, tally: Tally) -> None:
    """A genuine submission that cannot be read is kept as a dead letter under the id that was answered."""
    buried = {letter["id"]: letter for letter in evidence.dead_letters}
    for submitted in _of_kind(evidence, "unreadable"):
        for answer in submitted.answers:
            tally.saw()
            if answer not in buried:
                tally.broken(f"LOST: unreadable, answered 200, and no dead letter ({submitted.form})", answer)
            elif buried[answer]["form"] != submitted.form:
                tally.broken(f"a dead letter of {submitted.form} says {buried[answer]['form']}", answer)
        if submitted.key in evidence.places:
            tally.broken(f"it cannot be read, and is a lead ({submitted.form})", submitted.key)


def forged_leave_no_trace(evidence: Evidence, tally: Tally) -> None:
    """A submission with a wrong signature is answered 401 and is nowhere."""
    for submitted in _of_kind(evidence, "forged"):
        tally.saw()
        wrong = [post["status"] for post in submitted.posts if post["status"] not in (401, 503, 0)]
        if wrong:
            tally.broken(f"a forged submission to {submitted.form} was answered {wrong[0]}", submitted.key)
        if submitted.key in evidence.places:
            tally.broken(f"a forged submission to {submitted.form} became a lead", submitted.key)


def answers_disable_no_hook(evidence: Evidence, tally: Tally) -> None:
    """A genuine submission hears 200 or 503 or nothing, never what disables a hook or ends the retries."""
    for post in evidence.posts:
        if post["kind"] == "forged":
            continue
        tally.saw()
        if post["status"] not in (200, 503, 0):
            what = (
                "which disables the hook" if post["status"] in DISABLING else "which is neither 200 nor 503"
            )
            tally.broken(
                f"{post['form']} heard {post['status']}, {what}, at {text_of(post['at'])}", post["submission"]
            )


def nothing_is_invented(evidence: Evidence, tally: Tally) -> None:
    """Every lead, touch and dead letter was sent by somebody, and belongs to who sent it."""
    for places in evidence.places.values():
        for place in places:
            tally.saw()
            submitted = evidence.submitted.get(place.key)
            if submitted is None or submitted.kind != "lead":
                tally.broken(f"nobody sent a submission {place.key!r} of {place.form}", place.lead)
            elif person_of(evidence.leads[place.lead]["fields"]) != submitted.posts[0]["person"]:
                tally.broken("it stands with another person's lead", place.lead)
    sent = Counter(post["form"] for post in evidence.posts if post["kind"] == "unreadable")
    buried = Counter(
        letter["form"] for letter in evidence.dead_letters if "routers stopped while" not in letter["error"]
    )
    for form, count in buried.items():
        tally.saw(count)
        if count > ENTRIES_OF_A_POST * sent[form]:
            tally.broken(f"{count} dead letters of {form}, and only {sent[form]} posts that could be some")


def one_lead_a_person(evidence: Evidence, tally: Tally) -> None:
    """While a lead is open, whatever its person sends is a touch of it, not another lead."""
    by_person: defaultdict[str, list[Document]] = defaultdict(list)
    for lead in evidence.leads.values():
        by_person[person_of(lead["fields"])].append(lead)
    for leads in by_person.values():
        tally.saw()
        leads.sort(key=lambda lead: ms_of(lead["history"][0]["at"]))
        for first, second in pairwise(leads):
            _look_at_pair(evidence, tally, first, second)


def _look_at_pair(evidence: Evidence, tally: Tally, first: Document, second: Document) -> None:
    stopped = next((ms_of(entry["at"]) for entry in first["history"] if entry["event"] in STOPPING), None)
    routed = ms_of(second["history"][0]["at"])
    if stopped is not None and routed >= stopped:
        return
    if stopped is None or routed < stopped - DECISION_MS:
        if any(map(evidence.is_of_wrong_clock, _instants(first, second))):
            tally.excuse("the server's clock stepped: which came first cannot be said")
        elif stopped is not None and evidence.struck(
            routed, stopped, "freeze-router", "server-", "network-", "kill-all"
        ):
            tally.excuse("a router was held between reading the clock and writing")
        else:
            until = "is open still" if stopped is None else f"was open until {text_of(stopped)}"
            tally.broken(f"DOUBLED: made at {text_of(routed)}, while {first['id']} {until}", second["id"])


def _instants(first: Document, second: Document) -> list[int]:
    """When each was made, and when the first was answered: what their order follows from."""
    stops = [ms_of(entry["at"]) for entry in first["history"] if entry["event"] in STOPPING]
    return [ms_of(first["history"][0]["at"]), *stops[:1], ms_of(second["history"][0]["at"])]


def ledger_balances(evidence: Evidence, tally: Tally) -> None:
    """The books balance, and say what the world outside saw."""
    books = evidence.ledger
    parts = ("leads", "touches", "duplicates", "tests", "dead_letters", "in_flight")
    tally.saw()
    if books["received"] != sum(books[part] for part in parts) or books["difference"]:
        tally.broken(f"it does not balance: {dict(books)}")
    touches = sum(
        entry["event"] == "lead.touched" for lead in evidence.leads.values() for entry in lead["history"]
    )
    for part, count in (
        ("leads", len(evidence.leads)),
        ("touches", touches),
        ("dead_letters", len(evidence.dead_letters)),
        ("in_flight", 0),
    ):
        tally.saw()
        if books[part] != count:
            tally.broken(f"the ledger counts {books[part]} {part}, the records are {count}")
    taken = [post for post in evidence.posts if post["status"] == 200]
    most = [post for post in evidence.posts if post["kind"] != "forged"]
    for part, least, highest in (
        ("received", len(taken), len(most)),
        ("tests", _count(taken, "test"), _count(most, "test")),
    ):
        tally.saw()
        if not least <= books[part] <= ENTRIES_OF_A_POST * highest:
            tally.broken(
                f"the ledger counts {books[part]} {part}; {least} were answered 200 of {highest} posts"
            )


def nothing_is_put_aside(evidence: Evidence, tally: Tally) -> None:
    """No lead is in quarantine: nothing in a chaos run makes a record unreadable."""
    tally.saw(len(evidence.leads))
    if evidence.quarantined:
        tally.broken(f"{evidence.quarantined} leads are in quarantine")


def _of_kind(evidence: Evidence, kind: str) -> list[Submitted]:
    return [submitted for submitted in evidence.submitted.values() if submitted.kind == kind]


def _count(posts: list[Document], kind: str) -> int:
    return sum(post["kind"] == kind for post in posts)


CHECKS = (
    Check("kept", "1", "every 200 is one lead or one touch, and never two", each_is_kept_once),
    Check("tests", "1", "tests reach nobody", tests_reach_nobody),
    Check("unreadable", "1", "what cannot be read is a dead letter", unreadable_are_kept),
    Check("forged", "1", "what is not genuine leaves no trace", forged_leave_no_trace),
    Check("answers", "1", "form tools hear 200 or 503, nothing else", answers_disable_no_hook),
    Check("invented", "1", "nothing exists that was not sent", nothing_is_invented),
    Check("person", "5", "one lead a person while it is open", one_lead_a_person),
    Check("ledger", "9", "the ledger balances and is true", ledger_balances),
    Check("quarantine", "7", "nothing was put aside", nothing_is_put_aside),
)
