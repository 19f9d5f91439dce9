"""Fetch: who are the leads of form tools that send ids only? Askers ask the tool; the answer goes back into the queue.

A submission of ids only waits in the store with the instant of its next attempt: no attempt is a task's own affair, so
none is lost with its process. After the form's `wait_for_data` it is routed by what is known, and still asked for.
"""

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import datetime, timedelta

import structlog

from speed_to_lead import forms
from speed_to_lead.core.delivery import Attempt, Outcome
from speed_to_lead.core.lead import Alert, AlertKind
from speed_to_lead.core.submission import Submission, UnreadableSubmission
from speed_to_lead.forms import fetches as asking
from speed_to_lead.forms import reading
from speed_to_lead.store import Result
from speed_to_lead.store.contract import Fetch
from speed_to_lead.workplace import Workplace

log = structlog.get_logger()

#: One GET: address, headers and now → what it came to, and the body of an answer of 200. `destinations.get` on a client.
Get = Callable[[str, Mapping[str, str], datetime], tuple[Attempt, bytes | None]]

#: Fetches seen at once, and askers of one form at work.
BATCH = 100
ASKERS = 4
#: Longer than all questions about one lead can take: two, each with the deadline of a send.
LEASE = timedelta(seconds=60)
#: Before each further attempt; from the last on, always that. Tools have a lead ready within seconds of telling of it.
PAUSES = tuple(timedelta(seconds=seconds) for seconds in (2, 4, 8, 15, 30, 60, 120, 300, 600, 1800, 3600))
#: As long as the most patient tool goes on telling of a lead (Meta). Then a person has to look.
GIVE_UP_AFTER = timedelta(hours=36)
#: One alert for all of a form that fails, and one for all that is given up, within so long: a token that ran out fails
#: for every lead.
TELL_AGAIN_AFTER = timedelta(hours=6)
#: So many attempts, which is a minute, are a tool's own hiccup; after that somebody hears that it does not answer.
TOLD_AFTER = 5


def fetches_due(place: Workplace) -> dict[str, int]:
    """Forms whose tool is to be asked now, each with the number of askers it wants."""
    waiting = Counter(form for _, form in place.store.fetches.due(place.store.now(), BATCH))
    return {form: min(count, ASKERS) for form, count in waiting.items()}


def route_overdue(place: Workplace) -> int:
    """How many submissions have waited long enough: they go back into the queue, to be routed by what is known."""
    routed = 0
    while True:
        overdue = [
            pending
            for pending in place.store.fetches.overdue(place.store.now(), BATCH)
            if not pending.is_locked
        ]
        applied = 0
        for pending in overdue:
            submission = asking.without_answers(pending.submission)
            if place.store.fetches.route_without(pending, submission) is Result.APPLIED:
                applied += 1
                log.warning("fetch.overdue", lead_id=submission.id, form=submission.form)
        routed += applied
        if applied < BATCH:
            return routed


def fetch(
    place: Workplace,
    form_name: str,
    get: Get,
    environment: Mapping[str, str],
    go_on: Callable[[], bool] = lambda: True,
) -> int:
    """Ask a form's tool for every lead that is due, and put each answer into the queue; how many answered.

    1 claim one for the length of a lease, 2 ask, 3 write what came: the answer, or the next attempt. Any number of askers
    may do it at once: what was asked twice is answered once.
    """
    answered = 0
    while go_on():
        now = place.store.now()
        due = [name for name, form in place.store.fetches.due(now, BATCH) if form == form_name]
        claimed = 0
        for name in due:
            if not go_on():
                break
            pending = place.store.fetches.claim(name, now, now + LEASE)
            if pending is None:
                continue
            claimed += 1
            if not pending.is_locked:  # else it is for an asker that has the key, once the lease is over
                answered += _fetch_one(place, pending, get, environment, now)
        if not claimed:
            break
    return answered


def _fetch_one(
    place: Workplace, pending: Fetch, get: Get, environment: Mapping[str, str], now: datetime
) -> bool:
    submission = pending.submission
    answers = _ask(place, submission, get, environment, now)
    if isinstance(answers, Attempt):
        _try_later(place, pending, answers, now)
        return False
    for is_late in (pending.is_routed, True):  # it may have been routed while the tool was asked
        whole = asking.with_answers(submission, answers, is_late=is_late)
        result = place.store.fetches.answered(replace(pending, is_routed=is_late), whole)
        if result is not Result.STALE:
            break
    log.info("fetch.answered", lead_id=submission.id, form=submission.form, attempts=pending.attempts)
    return result is Result.APPLIED


def _ask(
    place: Workplace,
    submission: Submission,
    get: Get,
    environment: Mapping[str, str],
    now: datetime,
) -> list[object] | Attempt:
    """What the tool's API answers, one object for each question; or why it does not, safe to log."""
    form = place.form(submission.form)
    tool = forms.ASK_BACK.get(form.provider) if form is not None else None
    if form is None or tool is None:
        return Attempt(Outcome.REFUSED, "intake.toml no longer has a form of that name that asks")
    token = environment.get(form.api_token_env or "", "").strip()
    if not token:
        return Attempt(Outcome.REFUSED, f"the environment variable {form.api_token_env} is not set")
    answers: list[object] = []
    try:
        for question in tool.questions(submission, form, token):
            url = (form.api_url or tool.api_url) + question.path
            attempt, body = get(url, question.headers, now)
            if body is None:
                return attempt
            answer = reading.json_in(replace(submission, body=body))
            answers.append(reading.mapping_in(answer, "the answer"))
        # As a dead letter it would keep the answer that says nothing, and no replay would ask again.
        forms.read(asking.with_answers(submission, answers, is_late=False), form)
    except UnreadableSubmission as problem:
        return Attempt(Outcome.REFUSED, str(problem))
    return answers


def _try_later(place: Workplace, pending: Fetch, attempt: Attempt, now: datetime) -> None:
    submission = pending.submission
    said = {"lead_id": submission.id, "form": submission.form, "attempts": pending.attempts}
    if pending.is_routed and now - submission.received_at > GIVE_UP_AFTER:
        place.store.fetches.give_up(pending)
        log.error("fetch.given_up", **said, reason=attempt.detail)
        words = (
            f'form "{submission.form}": its tool has not told who lead {submission.id} is in '
            f"{GIVE_UP_AFTER // timedelta(hours=1)} hours ({attempt.detail}); look it up there by the ids of the lead"
        )
        _tell(place, f"fetch/{submission.form}", "fetches_given_up", words, now)
        return
    pause = PAUSES[min(pending.attempts, len(PAUSES)) - 1]
    if attempt.retry_after is not None:
        pause = max(pause, attempt.retry_after)
    place.store.fetches.later(pending, now + min(pause, PAUSES[-1]))
    log.warning("fetch.failed", **said, reason=attempt.detail)
    if pending.is_routed or pending.attempts > TOLD_AFTER:
        words = _failing_in_words(place, submission.form, attempt)
        _tell(place, f"fetch/{submission.form}/failing", "fetches_failing", words, now)


def _tell(place: Workplace, step: str, counter: str, words: str, now: datetime) -> None:
    kind, destination = AlertKind.NEEDS_ATTENTION, place.fallback_destination
    alert = Alert("system", f"{step}@{int(now.timestamp())}", destination, kind, now, note=words)
    place.store.audit.tell_once(step, counter, alert, TELL_AGAIN_AFTER)


def _failing_in_words(place: Workplace, name: str, attempt: Attempt) -> str:
    """What a rep meets who gets such a lead, and what to do: a missing or worn-out token does not mend itself."""
    form = place.form(name)
    variable = form.api_token_env if form is not None else None
    advice = "it is asked again and again; is something wrong at the tool?"
    if attempt.outcome is Outcome.REFUSED and variable:
        advice = (
            f"has the token in {variable} run out, or may it not read these leads? Put a good one there and restart the "
            "courier: what waits is asked for again"
        )
    return (
        f'form "{name}": its tool does not say who its leads are ({attempt.detail}), so they go to reps as ids alone: '
        f"{advice}. For {GIVE_UP_AFTER // timedelta(hours=1)} hours nothing of them is lost."
    )
