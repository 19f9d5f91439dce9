"""What follows from one attempt: the schedule, what a destination may ask for, and when to stop."""

from datetime import UTC, datetime, timedelta

import pytest

from speed_to_lead.core.delivery import (
    BACKOFF_SECONDS,
    MAX_ATTEMPTS,
    MAX_RETRY_AFTER,
    Attempt,
    Delivered,
    GiveUp,
    Outcome,
    RetryAt,
    after_attempt,
)

NOW = datetime(2026, 11, 22, 10, 0, tzinfo=UTC)


def follows(
    attempt: Attempt, attempts: int = 1, unknown_attempts: int = 0, *, recognises_repeats: bool = True
) -> Delivered | RetryAt | GiveUp:
    return after_attempt(
        attempt,
        NOW,
        attempts=attempts,
        unknown_attempts=unknown_attempts,
        recognises_repeats=recognises_repeats,
    )


def wait_after(attempt: Attempt, attempts: int = 1) -> float:
    decision = follows(attempt, attempts)
    assert isinstance(decision, RetryAt)
    return (decision.at - NOW).total_seconds()


@pytest.mark.parametrize("attempts", [1, 2, MAX_ATTEMPTS, MAX_ATTEMPTS + 1])
def test_delivered_settles_it(attempts: int) -> None:
    """Whatever came before."""
    assert Delivered() == follows(Attempt(Outcome.DELIVERED), attempts, attempts, recognises_repeats=False)


@pytest.mark.parametrize("attempts", [1, 5])
def test_a_refusal_is_for_ever(attempts: int) -> None:
    """No second try; the reason goes on to the fallback."""
    assert GiveUp("HTTP 410 Gone") == follows(Attempt(Outcome.REFUSED, "HTTP 410 Gone"), attempts)


@pytest.mark.parametrize("outcome", [Outcome.NOT_DELIVERED, Outcome.RATE_LIMITED, Outcome.UNKNOWN])
def test_the_schedule(outcome: Outcome) -> None:
    """Seconds at first because the SLA is in minutes, then a minute each; the first nine span four minutes."""
    waits = [wait_after(Attempt(outcome), attempts) for attempts in range(1, MAX_ATTEMPTS)]
    assert waits == [1, 2, 4, 8, 15, 30, 60, 60, 60]
    assert sum(waits) == 240


@pytest.mark.parametrize("outcome", [Outcome.NOT_DELIVERED, Outcome.RATE_LIMITED, Outcome.UNKNOWN])
@pytest.mark.parametrize("attempts", [MAX_ATTEMPTS, MAX_ATTEMPTS + 1])
def test_it_ends(outcome: Outcome, attempts: int) -> None:
    """After the last attempt the fallback hears how many there were and what the last one said."""
    expected = GiveUp(f"{attempts} attempts, the last: HTTP 503")
    assert expected == follows(Attempt(outcome, "HTTP 503", timedelta(seconds=1)), attempts, 1)


@pytest.mark.parametrize(
    ("asked", "attempts", "seconds"),
    [
        (None, 1, 1),
        (timedelta(0), 1, 1),
        (timedelta(seconds=-5), 1, 1),
        (timedelta(milliseconds=650), 1, 1),
        (timedelta(seconds=30), 1, 30),
        (timedelta(seconds=30), 7, 60),
        (MAX_RETRY_AFTER, 1, 120),
        (timedelta(days=1), 1, 120),
        (timedelta.max, 1, 120),
        (timedelta.min, 1, 1),
    ],
)
@pytest.mark.parametrize("outcome", [Outcome.RATE_LIMITED, Outcome.NOT_DELIVERED])
def test_what_a_destination_may_ask_for(
    asked: timedelta | None, attempts: int, seconds: int, outcome: Outcome
) -> None:
    """Longer than the schedule, up to two minutes; never shorter."""
    assert seconds == wait_after(Attempt(outcome, "", asked), attempts)


@pytest.mark.parametrize(
    ("unknown_attempts", "recognises_repeats", "tried_again"),
    [
        (1, False, True),
        (2, False, False),
        (3, False, False),
        (1, True, True),
        (2, True, True),
        (9, True, True),
    ],
)
def test_silence(unknown_attempts: int, recognises_repeats: bool, tried_again: bool) -> None:
    """One further try at the most where a repeat would show; as often as any other where it is recognised."""
    silent = Attempt(Outcome.UNKNOWN, "no answer in time")
    decision = follows(silent, unknown_attempts, unknown_attempts, recognises_repeats=recognises_repeats)
    if tried_again:
        assert isinstance(decision, RetryAt)
    else:
        expected = GiveUp("no answer twice, and a third try could double it: no answer in time")
        assert expected == decision


def test_nothing_arrived_is_no_silence() -> None:
    """After one silence, an attempt of which nothing arrived may be followed by others: it doubled nothing."""
    decision = follows(Attempt(Outcome.NOT_DELIVERED), 5, 1, recognises_repeats=False)
    assert isinstance(decision, RetryAt)


@pytest.mark.parametrize("outcome", list(Outcome))
@pytest.mark.parametrize("recognises_repeats", [True, False])
def test_every_outcome_ends_sooner_or_later(outcome: Outcome, recognises_repeats: bool) -> None:
    """No alert stays in the outbox for ever, and no wait goes backwards."""
    for attempts in range(1, MAX_ATTEMPTS + 1):
        unknown = attempts if outcome is Outcome.UNKNOWN else 0
        decision = follows(Attempt(outcome, "why"), attempts, unknown, recognises_repeats=recognises_repeats)
        if not isinstance(decision, RetryAt):
            return
        assert decision.at > NOW
    pytest.fail(f"{outcome} is tried for ever")


def test_the_schedule_never_asks_for_more_than_a_destination_may() -> None:
    """Otherwise the cap would shorten our own schedule."""
    assert max(BACKOFF_SECONDS) <= MAX_RETRY_AFTER.total_seconds()
