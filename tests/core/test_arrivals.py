"""Arrivals: unknown words without a person in them, shares by form, and a silence held against the form's own past."""

import math
import random
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.core.builders import form, generic, lead, taxonomy

from speed_to_lead.core.arrivals import WORDS_KEPT, Arrivals, FormArrivals, expected_since_last, hour_of
from speed_to_lead.core.clock import EPOCH
from speed_to_lead.core.lead import Lead, Touch

#: A Monday.
NOW = datetime(2026, 11, 23, 12, 30, tzinfo=UTC)
HOUR, DAY, WEEK = timedelta(hours=1), timedelta(days=1), timedelta(days=7)


def arrivals(since: datetime = NOW - 30 * DAY) -> Arrivals:
    forms = {"demo": form(), "fixed": form("referral")}
    return Arrivals(since, taxonomy(), forms)


def came(
    at: datetime = NOW, *, by: str = "demo", source: str = "unknown", said: str | None = None, **more: Any
) -> Lead:
    return lead(
        form=by, received_at=at, source=source, lead=generic(source=said, **more) if said else generic(**more)
    )


# --- words and shares ------------------------------------------------------------------------------------------


def test_words_the_taxonomy_does_not_have() -> None:
    """Counted whatever the capitals, by which forms; a name, label or alias of the taxonomy is none of them."""
    found = arrivals()
    for said in ("Pod cast", "pod cast", "  POD CAST ", "Book a demo", "referral", "Webinar"):
        found.note(came(said=said))
    found.note(came(said="webinar", by="fixed"))
    assert {("Pod cast", 3, ("demo",)), ("Webinar", 2, ("demo", "fixed"))} == {
        (word.text, word.count, tuple(sorted(word.forms))) for word in found.words.values()
    }


@pytest.mark.parametrize(
    "said",
    [
        "kim@example.com",
        "via kim@example.com",
        "friend of bob@example.com",
        "Kim Lee",
        "message from Kim Lee",
        "555 0100",
    ],
)
def test_a_word_that_may_name_somebody_is_only_counted(said: str) -> None:
    """What a trace may not repeat, this does not either; nor any other address."""
    found = arrivals()
    found.note(came(said=said, name="Kim Lee", phone="555 0100"))
    assert ({}, 1) == (found.words, found.words_withheld)


def test_words_are_bounded() -> None:
    """A sender can make up any number of them; those kept go on counting."""
    found = arrivals()
    for number in range(WORDS_KEPT + 7):
        found.note(came(said=f"word {number}"))
    found.note(came(said="word 0"))
    assert (WORDS_KEPT, 7, 2) == (len(found.words), found.words_not_kept, found.words["word 0"].count)


def test_shares_by_form() -> None:
    """Blank: no source given, and the form stands for none. Unclassified: the taxonomy has not what was decided."""
    found = arrivals()
    found.note(came())
    found.note(came(said="referral", source="referral"))
    found.note(came(source="a source removed since"))
    found.note(came(by="fixed", source="referral"))
    demo, fixed = found.forms["demo"], found.forms["fixed"]
    assert (3, 2, 2) == (demo.submissions, demo.blank, demo.unclassified)
    assert (1, 0, 0) == (fixed.submissions, fixed.blank, fixed.unclassified)


def test_only_submissions_since_then_have_words_and_shares() -> None:
    """Older ones say when something was there last, no more; touches are submissions."""
    found = arrivals()
    touch = Touch("t", "fixed", NOW, "referral", "Direct", "", generic(source="podcast"))
    old = came(NOW - 40 * DAY, said="old word", source="demo_request")
    found.note(Lead(**{**{name: getattr(old, name) for name in old.__slots__}, "touches": (touch,)}))
    assert ({"podcast"}, 1) == (set(found.words), found.submissions)
    assert {"demo_request": NOW - 40 * DAY, "referral": NOW} == found.sources
    assert (0, 1) == (found.forms["demo"].submissions, found.forms["fixed"].submissions)


def test_quiet_sources() -> None:
    """Those without a lead for so long, at the instant too, and those never seen; in the taxonomy's order."""
    found = arrivals()
    assert [("demo_request", None), ("referral", None)] == found.quiet_sources(NOW, WEEK)
    found.note(came(NOW - WEEK, source="demo_request"))
    found.note(came(NOW - WEEK + HOUR, source="referral"))
    assert [("demo_request", NOW - WEEK)] == found.quiet_sources(NOW, WEEK)


# --- silence ---------------------------------------------------------------------------------------------------


def history(a_day: Callable[[datetime], int], until: datetime, weeks: float = 6) -> FormArrivals:
    """A form that brought so many in each hour of the weeks before `until`, and nothing since."""
    first, last = hour_of(until) - int(weeks * 168), hour_of(until)
    hours = Counter({hour: n for hour in range(first, last + 1) if (n := a_day(EPOCH + hour * HOUR))})
    return FormArrivals(hours, EPOCH + max(hours) * HOUR if hours else None)


def in_office(at: datetime) -> int:
    """Two an hour, Monday to Friday, 9 to 17."""
    return 2 if at.weekday() < 5 and 9 <= at.hour < 17 else 0


@pytest.mark.parametrize(
    ("silent_since", "expected"),
    [
        (NOW, 0),
        (NOW - 2 * HOUR, 2),  # since 10:xx: the hour from 11 is whole and silent
        (NOW - 3 * DAY, 2 * 5 + 2 * 3),  # Friday from 13, and Monday 9 to 12; nobody works in between
        (datetime(2026, 11, 20, 17, tzinfo=UTC), 2 * 3),  # over the weekend nothing is missed
        (datetime(2026, 11, 9, 12, 30, tzinfo=UTC), 2 * 8 * 10),  # two whole weeks
    ],
)
def test_what_was_to_be_expected(silent_since: datetime, expected: int) -> None:
    """The same hours of the weeks before, whole hours only, over a weekend, and for longer than a week."""
    form_history = history(in_office, silent_since)
    form_history.last_at = silent_since
    got = expected_since_last(form_history, NOW)
    assert got is not None
    assert abs(expected - got) <= 2  # an hour at either end


def test_one_odd_week_does_not_say_what_is_usual() -> None:
    """A campaign of one week does not make the next ones silent, nor do holidays hide a silence."""
    since = NOW - DAY
    campaign = history(lambda at: 50 if since - WEEK < at else int(at < since - 5 * WEEK), since)
    assert 0 == expected_since_last(campaign, NOW)
    holidays = history(lambda at: 0 if since - 2 * WEEK < at <= since - WEEK else 1, since)
    got = expected_since_last(holidays, NOW)
    assert got is not None
    assert 22 <= got <= 24


@pytest.mark.parametrize(("weeks", "is_known"), [(0.5, False), (1.5, False), (2.1, True), (9, True)])
def test_a_new_form_is_not_judged(weeks: float, is_known: bool) -> None:
    """Two weeks of its own past must be there."""
    assert is_known is (expected_since_last(history(lambda _: 1, NOW - DAY, weeks), NOW) is not None)


def test_a_form_that_never_brought_anything_is_not_silent() -> None:
    """Nothing is known of it."""
    assert None is expected_since_last(FormArrivals(), NOW)


def test_rare_submissions_take_longer_to_be_missed() -> None:
    """One a day: not silent after three days, silent after two weeks."""
    found = arrivals()
    for days, is_silent in ((3, False), (14, True)):
        last = (NOW - days * DAY).replace(hour=10)
        found.forms["demo"] = history(lambda at: int(at.hour == 10), last)
        assert is_silent is bool(found.silences(NOW, 10))


def test_only_forms_of_the_config_are_judged() -> None:
    """Of one that was removed nobody expects anything."""
    found = arrivals()
    found.forms["removed"] = history(lambda _: 1, NOW - DAY)
    found.forms["fixed"] = history(lambda _: 1, NOW - DAY)
    assert ["fixed"] == [silence.form for silence in found.silences(NOW, 10)]


def test_removed_records_are_no_silence() -> None:
    """Where leads are removed after a day, a silence is certain for that day only."""
    form_history = history(lambda _: 1, NOW - 5 * DAY)
    got = expected_since_last(form_history, NOW, kept_for=DAY)
    assert got is not None
    assert got <= 24


@given(st.integers(0, 2**32), st.floats(0.02, 3))
def test_a_form_that_goes_on_as_ever_is_hardly_ever_called_silent(seed: int, rate: float) -> None:
    """Visitors who come independently, few or many: the time since the last one is not found odd."""
    chance = random.Random(seed)
    found = arrivals()
    found.forms["demo"] = history(lambda _: poisson(chance, rate), NOW, weeks=9)
    if found.forms["demo"].last_at is not None:
        assert [] == found.silences(NOW, 14)


def poisson(chance: random.Random, rate: float) -> int:
    """How many came in one hour (Knuth's way)."""
    limit, product, number = math.exp(-rate), chance.random(), 0
    while product > limit:
        product *= chance.random()
        number += 1
    return number
