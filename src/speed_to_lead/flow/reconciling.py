"""Reconcile: what was sent to a form, and never came? Its tool's own list is asked; what is missing goes into the queue.

A webhook that was switched off, refused or lost leaves no trace here. The tool has it all the same. An entry of its list
takes the way of a delivery: the same queue, the same reader, the same key. So a webhook that comes after all is a duplicate,
two runs at once take in everything once, and a run that dies is simply run again.

The clock of what is taken in runs from then: that is when we received it. What the form says of its time stands beside it.
"""

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from functools import partial
from itertools import islice

import structlog

from speed_to_lead import forms
from speed_to_lead.core.clock import to_iso, to_ms
from speed_to_lead.core.delivery import Attempt, Outcome
from speed_to_lead.core.lead import Alert, AlertKind, Lead
from speed_to_lead.core.settlement import REMEMBER_KEY, Reading
from speed_to_lead.core.submission import (
    LISTED_HEADER,
    Form,
    Submission,
    UnreadableSubmission,
    content_key,
    keyed_id,
)
from speed_to_lead.flow.fetches import Get
from speed_to_lead.forms.fetches import Question
from speed_to_lead.forms.lists import Listed, Unanswered, Wanted, page_of
from speed_to_lead.store import Store, StoreUnavailable
from speed_to_lead.workplace import Workplace

log = structlog.get_logger()

#: Waits so long, or for less where the process is to stop: then it answers False, and nothing more is asked.
Wait = Callable[[timedelta], bool]

#: Entries compared at once, and stored in one round trip.
BATCH = 100
#: How often one question is put, and how long it is waited before the next time where the tool does not say.
TRIES = 4
PAUSES = (timedelta(seconds=1), timedelta(seconds=4), timedelta(seconds=15))
#: A tool that asks for more patience is asked another time.
LONGEST_PAUSE = timedelta(seconds=90)
#: A submission's key is remembered for REMEMBER_KEY after it came. What was sent before that is told by its person.
KEY_IS_KNOWN = REMEMBER_KEY - timedelta(days=1)
#: Clocks differ, and some tools tell only minutes.
CLOCKS_DIFFER = timedelta(minutes=2)
#: Webhooks bring what is sent within seconds. What is younger may be on its way, and says nothing about the webhook.
ON_ITS_WAY = timedelta(minutes=10)
#: One alert for all that a webhook missed within so long.
TELL_AGAIN_AFTER = timedelta(hours=12)
#: Dead letters that are looked through for an entry that cannot be read.
DEAD_LETTERS = 10_000


class NoList(Exception):
    """There is no list to ask for; the text says why: the form's tool, or what intake.toml does not say."""


@dataclass(slots=True)
class Compared:
    """What came of it. `listed` entries = known + taken_in + unreadable + tests. `problem`: why the list was not read to its end.

    `unreadable` were put into the queue as well, to become dead letters. `missed`: of those taken in, the ones so old that
    the webhook should have brought them. With a dry run nothing was put anywhere.
    """

    form: str
    since: datetime
    until: datetime
    listed: int = 0
    known: int = 0
    taken_in: int = 0
    unreadable: int = 0
    tests: int = 0
    missed: int = 0
    problem: str = ""
    ids: list[str] = field(default_factory=list)


def refuse_without_list(form: Form, environment: Mapping[str, str]) -> None:
    """Raise NoList where the form's tool keeps none, or intake.toml does not say enough to ask for it."""
    tool = forms.LISTS.get(form.provider)
    if tool is None:
        raise NoList(
            f'form "{form.name}" is {form.provider}, which keeps no list that can be asked for; '
            f"those that do: {', '.join(forms.LISTS)}"
        )
    if not form.api_forms:
        raise NoList(
            f'form "{form.name}" does not say what {form.provider} calls it: add api_forms to [forms.{form.name}] in intake.toml'
        )
    if not environment.get(form.api_token_env or "", "").strip():
        variable = form.api_token_env or "api_token_env"
        raise NoList(
            f'form "{form.name}": the environment variable {variable} is not set; it holds the token for the API of '
            f"{form.provider}, which must be allowed: {tool.list_scope}"
        )


def reconcile(
    place: Workplace,
    form: Form,
    since: datetime,
    get: Get,
    environment: Mapping[str, str],
    wait: Wait,
    *,
    dry_run: bool = False,
    progress: Callable[[Compared], object] = lambda _: None,
) -> Compared:
    """Compare the list of a form's tool since then with what arrived, and take in what did not.

    What was read before something went wrong is kept. Raises NoList, and StoreUnavailable.
    """
    refuse_without_list(form, environment)
    tool, token = forms.LISTS[form.provider], environment.get(form.api_token_env or "", "").strip()
    now = place.store.now()
    compared = Compared(form.name, since, now)
    ask = partial(_ask, place, form, get, wait)
    taken: set[str] = set()
    for name in form.api_forms:
        entries = tool.listed(Wanted(form, name, since, now, token), ask)
        while True:
            batch, problem = _next_of(entries)
            _compare(place, form, batch, compared, taken, dry_run=dry_run)
            progress(compared)
            compared.problem = compared.problem or problem
            if len(batch) < BATCH:
                break
    _say(place, form, compared, dry_run=dry_run)
    return compared


def _next_of(entries: Iterator[Listed]) -> tuple[list[Listed], str]:
    """The next entries, and why there are no more of them to be had; "" where that is the end, or there are."""
    batch: list[Listed] = []
    try:
        for entry in islice(entries, BATCH):
            batch.append(entry)  # noqa: PERF402 - what was read is kept where the next one cannot be
    except Unanswered as problem:
        return batch, str(problem)
    except StoreUnavailable:
        raise
    except Exception as error:  # noqa: BLE001 - an answer of an unforeseen shape must not lose what was read
        # Only the type: the text of an error may quote a person's data.
        return batch, f"the list has a shape that its reader does not know ({type(error).__name__})"
    return batch, ""


# --- comparing ---------------------------------------------------------------------------------------------------


def _compare(
    place: Workplace, form: Form, batch: list[Listed], compared: Compared, taken: set[str], *, dry_run: bool
) -> None:
    """Count these, and put those that never came into the queue. `taken`: what this run has seen already."""
    now = place.store.now()
    found = []
    for entry in batch:
        one = _read(entry, form, now)
        if one.submission.id not in taken:  # lists move while they are read
            taken.add(one.submission.id)
            found.append((entry, one))
    compared.listed += len(found)
    known = _known(place.store, form, found, now)
    fresh = []
    for entry, one in found:
        if one.submission.id in known:
            compared.known += 1
            continue
        if one.parsed is not None and one.parsed.is_test:
            compared.tests += 1
            continue
        fresh.append(one.submission)
        compared.ids.append(one.submission.id)
        if one.parsed is None:
            compared.unreadable += 1
            continue
        compared.taken_in += 1
        compared.missed += entry.at is None or entry.at < now - ON_ITS_WAY
    if fresh and not dry_run:
        place.store.queue.add_many(fresh)
        for submission in fresh:
            log.info("reconcile.taken_in", lead_id=submission.id, form=form.name)


def _read(entry: Listed, form: Form, now: datetime) -> Reading:
    """The entry as a submission, and read as the router will read it. Its id is made of its key: the same in every run."""
    body = json.dumps(entry.body, ensure_ascii=False).encode("utf-8", "replace")
    headers = {**entry.headers, LISTED_HEADER: "yes"}
    submission = Submission("", form.name, now, body, "application/json", headers)
    error, parsed = "", None
    try:
        parsed = forms.read(submission, form)
    except UnreadableSubmission as problem:
        error = str(problem)
    key = Reading("", submission, form, parsed).key
    named = replace(
        submission, id=keyed_id(f"list of {form.name}\0{key.key if key else content_key(submission)}")
    )
    return Reading("", named, form, parsed, error)


def _known(store: Store, form: Form, found: list[tuple[Listed, Reading]], now: datetime) -> set[str]:
    """Ids of those that came: by their key, as a lead, as a dead letter; where keys are forgotten, by their person."""
    names = store.queue.lead_of(name for _, one in found for name in one.names)
    records = store.leads.get_many([one.submission.id for _, one in found])
    known = {
        one.submission.id
        for (_, one), record in zip(found, records, strict=True)
        if record is not None or not names.keys().isdisjoint(one.names)
    }
    rest = [(entry, one) for entry, one in found if one.submission.id not in known]
    known |= _with_person(store, form, rest, now)
    return known | _buried(store, form, [(entry, one) for entry, one in rest if one.parsed is None])


def _with_person(store: Store, form: Form, rest: list[tuple[Listed, Reading]], now: datetime) -> set[str]:
    """Those whose person came to us at that time or later, of those that a key can no longer tell, or never could."""
    asked = [
        (entry.at, one, entry.is_of_contact)
        for entry, one in rest
        if entry.at is not None and (entry.is_of_contact or entry.at < now - KEY_IS_KNOWN)
    ]
    people = store.leads.of_people([person for _, one, _ in asked for person in one.people])
    ids = list(dict.fromkeys(people.values()))
    leads = dict(zip(ids, store.leads.get_many(ids), strict=True))
    known = set()
    for at, one, is_of_contact in asked:
        by_this_form = form.name if is_of_contact and at >= now - KEY_IS_KNOWN else None
        newest = [leads.get(people.get(person, "")) for person in one.people]
        if any(lead is not None and _came_since(lead, at - CLOCKS_DIFFER, by_this_form) for lead in newest):
            known.add(one.submission.id)
    return known


def _came_since(lead: Lead | Exception, at: datetime, form: str | None) -> bool:
    """Whether the person of this lead came then or later, by this form where one is named. A lead nobody can read may have."""
    if isinstance(lead, Exception):
        return True
    came = [(lead.form, lead.received_at), *((touch.form, touch.received_at) for touch in lead.touches)]
    return any(received_at >= at and form in (None, name) for name, received_at in came)


def _buried(store: Store, form: Form, unreadable: list[tuple[Listed, Reading]]) -> set[str]:
    """Those of the unreadable that are dead letters already, by their own id or by what the webhook brought."""
    if not unreadable:
        return set()
    bodies = [
        letter.submission.body
        for letter in store.queue.dead_letters(DEAD_LETTERS)
        if letter.submission.form == form.name
    ]
    return {
        one.submission.id
        for entry, one in unreadable
        if store.queue.dead_letter(one.submission.id) is not None
        or (entry.id and any(entry.id.encode("utf-8", "replace") in body for body in bodies))
    }


# --- asking ------------------------------------------------------------------------------------------------------


def _ask(place: Workplace, form: Form, get: Get, wait: Wait, question: Question) -> object:
    """The tool's answer to one question, asked again for as long as that may help. Raises Unanswered."""
    tool = forms.LISTS[form.provider]
    url = (form.api_url or tool.api_url) + question.path
    for number in range(TRIES):
        if not wait(timedelta(0)):
            raise Unanswered("it was stopped")
        attempt, body = get(url, question.headers, place.store.now())
        if body is not None:
            return page_of(body)
        if attempt.outcome not in _MAY_HELP:
            raise Unanswered(_refusal(form, attempt))
        if number == TRIES - 1:
            break
        pause = attempt.retry_after if attempt.retry_after is not None else PAUSES[number]
        if pause > LONGEST_PAUSE:
            raise Unanswered(
                f"{form.provider} answers {attempt.detail} and asks to wait {int(pause.total_seconds())} s; "
                "run it again after that"
            )
        log.info("reconcile.waits", form=form.name, reason=attempt.detail, seconds=pause.total_seconds())
        if not wait(pause):
            raise Unanswered("it was stopped")
    raise Unanswered(f"{form.provider} does not answer: {attempt.detail}, {TRIES} times")


_MAY_HELP = frozenset({Outcome.NOT_DELIVERED, Outcome.RATE_LIMITED, Outcome.UNKNOWN})


def _refusal(form: Form, attempt: Attempt) -> str:
    if "HTTP 401" in attempt.detail or "HTTP 403" in attempt.detail:
        scope = forms.LISTS[form.provider].list_scope
        return (
            f"{form.provider} does not accept the token in {form.api_token_env} ({attempt.detail}): is it still valid, "
            f"and is it allowed: {scope}?"
        )
    if "HTTP 404" in attempt.detail or "HTTP 400" in attempt.detail:
        return (
            f"{form.provider} knows no such list ({attempt.detail}): are api_forms and api_url of "
            f"[forms.{form.name}] right?"
        )
    return f"{form.provider} refuses to answer: {attempt.detail}"


# --- telling -----------------------------------------------------------------------------------------------------


def _say(place: Workplace, form: Form, compared: Compared, *, dry_run: bool) -> None:
    said = {
        "form": form.name,
        "since": to_iso(compared.since),
        "listed": compared.listed,
        "known": compared.known,
        "taken_in": compared.taken_in,
        "unreadable": compared.unreadable,
        "tests": compared.tests,
        "dry_run": dry_run,
    }
    if compared.problem:
        log.warning("reconcile.broken_off", **said, reason=compared.problem)
    else:
        log.info("reconcile.done", **said)
    if not compared.missed or dry_run:
        return
    log.warning("reconcile.webhook_missed", form=form.name, count=compared.missed)
    were = "submission was" if compared.missed == 1 else "submissions were"
    words = (
        f'The webhook of form "{form.name}" did not bring what was sent to it: {compared.missed:,} {were} in the list of '
        f"{form.provider} alone, and taken in at {to_iso(compared.until)}. Their clocks run from then. Is the hook still "
        f"switched on there, is its secret ours? docs/forms/{form.provider}.md says where to look."
    )
    tell_once(place, AlertKind.WEBHOOK_MISSED, f"webhook_missed.{form.name}", "webhook_missed", words)


def tell_once(place: Workplace, kind: AlertKind, step: str, counter: str, words: str) -> None:
    """One alert for all that happens under that step's name within TELL_AGAIN_AFTER."""
    now = place.store.now()
    alert = Alert("system", f"{step}.{to_ms(now)}", place.fallback_destination, kind, now, note=words)
    place.store.audit.tell_once(step, counter, alert, TELL_AGAIN_AFTER)
