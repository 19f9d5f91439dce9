"""Look-ups: of the leads whose rule has another system say whose they are, ask it, all at once, before they are decided."""

from collections.abc import Sequence

from speed_to_lead.core.lead import Lead
from speed_to_lead.core.lookup import LookedUp, Lookup, Question, question_of
from speed_to_lead.core.routing import Rulebook, route_of
from speed_to_lead.core.same_person import is_same_person
from speed_to_lead.core.settlement import Reading
from speed_to_lead.flow.isolation import answer_or_error
from speed_to_lead.workplace import Workplace


def looked_up(place: Workplace, readings: Sequence[Reading]) -> dict[str, LookedUp]:
    """By entry, what the look-up of its rule says. Nothing is asked, or read, where no rule has one.

    Nor of what becomes no lead of its own: a touch stays with its rep, and a duplicate is dropped. Whether it does is
    seen a moment before it is decided; in between a touch may turn into a lead, which then goes on without an answer.
    """
    rulebook = place.config.rulebook
    if not rulebook.asks_lookups:
        return {}
    asking: list[tuple[Reading, Lookup]] = []
    for reading in readings:
        lookup = answer_or_error(_lookup_of, reading, rulebook)
        if isinstance(lookup, Lookup):  # an error comes again when the route is decided
            asking.append((reading, lookup))
    if not asking:
        return {}
    known = place.store.queue.lead_of([name for reading, _ in asking for name in reading.names])
    people = place.store.leads.of_people([key for reading, _ in asking for key in reading.people])
    ids = list(set(people.values()))
    records = dict(zip(ids, place.store.leads.get_many(ids), strict=True))
    questions: dict[str, Question | LookedUp] = {}
    for reading, lookup in asking:
        theirs = (records.get(people.get(key, "")) for key in reading.people)
        if known.keys().isdisjoint(reading.names) and not any(
            _has_touch(lead, reading, rulebook) for lead in theirs
        ):
            assert reading.parsed is not None
            questions[reading.entry_id] = question_of(lookup, reading.parsed.lead, rulebook.spellings)
    answers = place.lookups.ask([one for one in questions.values() if isinstance(one, Question)])
    return {
        entry_id: answers[one] if isinstance(one, Question) else one for entry_id, one in questions.items()
    }


def _lookup_of(reading: Reading, rulebook: Rulebook) -> Lookup | None:
    """The look-up that the reading's rule names, if any."""
    parsed, form = reading.parsed, reading.form
    if parsed is None or form is None or parsed.is_test:
        return None
    received_at = reading.submission.received_at
    route = route_of(parsed.lead, form.name, form.source, received_at, rulebook, is_traced=False)
    return rulebook.lookups.get(route.rule.lookup)


def _has_touch(lead: object, reading: Reading, rulebook: Rulebook) -> bool:
    """Whether the submission is a touch of this lead."""
    return (
        isinstance(lead, Lead)
        and lead.is_open
        and is_same_person(lead, reading.submission.received_at, rulebook.same_person_within)
    )
