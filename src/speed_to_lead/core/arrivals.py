"""What comes in by which form and source, as the leads' own records say it: unknown words, blanks, and who fell silent.

Read from records, not counted on the way in: a router does nothing more for it, nothing more is kept, and whoever is
erased is gone from here too. A form's silence is held against the form's own past (`silence_of`).
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from speed_to_lead.core.attribution import Taxonomy, facts_of
from speed_to_lead.core.clock import EPOCH
from speed_to_lead.core.facts import Facts
from speed_to_lead.core.lead import Lead
from speed_to_lead.core.submission import Form, GenericLead
from speed_to_lead.core.values import folded

HOUR = timedelta(hours=1)
HOURS_OF_A_WEEK = 168
#: A form is compared with so many weeks before it fell silent, and not before it is known for LEAST_WEEKS.
WEEKS = 4
LEAST_WEEKS = 2
#: Different words that are told one by one; a sender can make up any number of them.
WORDS_KEPT = 200


@dataclass(frozen=True, slots=True)
class AuditTerms:
    """`[audit]` of sources.toml. `quiet_after`: a source without leads for so long is told.

    `silent_at`: a form is silent when so many submissions were to be expected since its last one.
    """

    quiet_after: timedelta = timedelta(days=30)
    silent_at: int = 10


@dataclass(slots=True)
class FormArrivals:
    """One form: submissions by hour since 1970 and the last one; of those since `Arrivals.since` how many say no source."""

    hours: Counter[int] = field(default_factory=Counter)
    last_at: datetime | None = None
    submissions: int = 0
    blank: int = 0
    unclassified: int = 0


@dataclass(slots=True)
class UnknownWord:
    """A source that submissions name and the taxonomy does not have: as first written, how often, by which forms."""

    text: str
    count: int = 0
    forms: set[str] = field(default_factory=set)


@dataclass(frozen=True, slots=True)
class Silence:
    """A form that brings nothing any more: since when, and how many were to be expected since."""

    form: str
    since: datetime
    expected: int


@dataclass
class Arrivals:
    """What records told so far. Words and shares are of submissions since `since`, hours and last times of all."""

    since: datetime
    taxonomy: Taxonomy
    config_forms: Mapping[str, Form]
    forms: dict[str, FormArrivals] = field(default_factory=dict)
    sources: dict[str, datetime] = field(default_factory=dict)
    source_counts: Counter[str] = field(default_factory=Counter)
    words: dict[str, UnknownWord] = field(default_factory=dict)
    submissions: int = 0
    words_withheld: int = 0  # personal, or may be
    words_not_kept: int = 0  # beyond WORDS_KEPT different ones
    unreadable: int = 0

    def note(self, lead: Lead) -> None:
        """Count a lead, and its touches."""
        self._note(lead.lead, lead.form, lead.source, lead.received_at)
        for touch in lead.touches:
            self._note(touch.lead, touch.form, touch.source, touch.received_at)

    def _note(self, said: GenericLead, form: str, source: str, at: datetime) -> None:
        arrivals = self.forms.setdefault(form, FormArrivals())
        arrivals.hours[hour_of(at)] += 1
        arrivals.last_at = max(arrivals.last_at or at, at)
        self.sources[source] = max(self.sources.get(source, at), at)
        if at < self.since:
            return
        self.submissions += 1
        self.source_counts[source] += 1
        arrivals.submissions += 1
        named = said.get("source")
        known = self.config_forms.get(form)
        if named is None:
            arrivals.blank += known is None or known.source is None
        elif self.taxonomy.named(str(named)) is None:
            self._note_word(str(named), said, form)
        arrivals.unclassified += source not in self.taxonomy.sources

    def _note_word(self, named: str, said: GenericLead, form: str) -> None:
        """Keep a word the taxonomy does not have, where a trace might repeat it, and no address stands in it."""
        key = folded(named)
        word = self.words.get(key)
        if word is None:
            shown = Facts(facts_of(said)).shown(named, "source")
            if shown is None or "@" in named:
                self.words_withheld += 1
                return
            if len(self.words) >= WORDS_KEPT:
                self.words_not_kept += 1
                return
            word = self.words[key] = UnknownWord(shown)
        word.count += 1
        word.forms.add(form)

    def quiet_sources(self, now: datetime, quiet_after: timedelta) -> list[tuple[str, datetime | None]]:
        """Sources of the taxonomy without a lead for so long, and their last one as far as is known; in their order."""
        return [
            (name, self.sources.get(name))
            for name in self.taxonomy.sources
            if name not in self.sources or now - self.sources[name] >= quiet_after
        ]

    def silences(self, now: datetime, silent_at: int, kept_for: timedelta | None = None) -> list[Silence]:
        """Forms of the config, and the API, that have gone silent. `kept_for`: records may be gone after so long."""
        found = []
        for name, arrivals in sorted(self.forms.items()):
            if name in self.config_forms and arrivals.last_at is not None:
                expected = expected_since_last(arrivals, now, kept_for)
                if expected is not None and expected >= silent_at:
                    found.append(Silence(name, arrivals.last_at, expected))
        return found


def expected_since_last(
    arrivals: FormArrivals, now: datetime, kept_for: timedelta | None = None
) -> int | None:
    """How many submissions were to be expected since the last one; None where the form is too new to say.

    The whole hours since then are laid over each of the four weeks before the last submission, hour of the week on
    hour of the week, and what came in them is counted: the second least of the four counts, so that neither one week
    of a campaign nor one of holidays says what is usual. With rare submissions the hours add up until there are enough
    to tell: where ten are to be expected and visitors come independently of each other, none at all happens once in
    20,000 such times (Poisson: e to the minus 10). Hours are hours of UTC, so a change of clocks shifts them by one for
    four weeks. `kept_for`: where records are removed at that age, silence is certain for so long at the most.
    """
    if arrivals.last_at is None:
        return None
    last, until = hour_of(arrivals.last_at), hour_of(now)
    if kept_for is not None:
        last = max(last, until - int(kept_for / HOUR))
    first = min(arrivals.hours)
    weeks = [last - number * HOURS_OF_A_WEEK + 1 for number in range(1, WEEKS + 1)]
    weeks = [start for start in weeks if start >= first]
    if len(weeks) < LEAST_WEEKS:
        return None
    silent_hours = until - last - 1
    if silent_hours <= 0:
        return 0
    whole_weeks, rest = divmod(silent_hours, HOURS_OF_A_WEEK)
    counts = []
    for start in weeks:
        week = [arrivals.hours[start + hour] for hour in range(HOURS_OF_A_WEEK)]
        counts.append(whole_weeks * sum(week) + sum(week[:rest]))
    return sorted(counts)[(len(counts) - 1) // 2]


def hour_of(at: datetime) -> int:
    """The hour since 1970 that holds the instant."""
    return (at - EPOCH) // HOUR
