"""What `config check` proves of a config that loads: rules without leads, hours without people, clocks without end."""

import time
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.config.builders import NOW, ConfigDirectory

from speed_to_lead.config import findings_of
from speed_to_lead.config.findings import unrouted_sources
from speed_to_lead.config.shadowing import hopeless_rules
from speed_to_lead.core.attribution import Motion, Source, Taxonomy
from speed_to_lead.core.conditions import parse_condition
from speed_to_lead.core.facts import Facts
from speed_to_lead.core.rules import Rule, Rules

# --- Rules that can never match --------------------------------------------------------------------------------


def add_rules(config: ConfigDirectory, *rules: str) -> None:
    target = 'team = "inbound"\nsla = "fast"'
    text = "\n".join(f'[[rules]]\nname = "r{number}"\n{rule}\n{target}' for number, rule in enumerate(rules))
    config.replace("routing.toml", "[default]", f"{text}\n[default]")


def warnings(config: ConfigDirectory, now: datetime = NOW) -> list[str]:
    return [str(warning) for warning in findings_of(config.load(now), now).warnings]


BY_ONE = 'rule "r0" comes first and matches every lead this one would; move this rule above it or remove it'
BY_TWO = (
    'rule "r0" and rule "r1" come first and together match every lead this one would; '
    "move this rule above them or remove it"
)


@pytest.mark.parametrize(
    ("rules", "why"),
    [
        (['when.country = ["US", "CA"]', 'when.country = "ca"'], BY_ONE),
        (['when.campaign = "black*"', 'when.campaign = "black-friday*"\nwhen.country = "US"'], BY_ONE),
        (["when.employees = { at_least = 100 }", "when.employees = { at_least = 500, at_most = 900 }"], BY_ONE),
        (['when.email = { domain = "example.com" }', 'when.email = { domain = "uk.example.com" }'], BY_ONE),
        (["when.phone = { missing = false }", 'when.phone = { prefix = "+44" }'], BY_ONE),
        (["when.phone = { missing = false }", 'unless.phone = { missing = true }\nwhen.city = "Ulm"'], BY_ONE),
        (['unless.phone = { prefix = "+44" }', "when.phone = { missing = true }"], BY_ONE),
        (['unless.phone = { prefix = "+44" }', 'unless.phone = { prefix = "+4" }'], BY_ONE),
        (['when.source = "demo_request"', 'when.source = "demo*"\nwhen.country = "US"'], BY_ONE),
        (['when.motion = "inbound"', 'when.source = "paid_search"\nwhen.city = "Ulm"'], BY_ONE),
        (['unless.motion = "referral"', 'when.source = "paid_search"\nwhen.city = "Ulm"'], BY_ONE),
        (['when.source = "demo_request"', 'when.source = "paid_search"', 'when.source = ["demo_request", "paid_search"]'], BY_TWO),
        (['when.country = "US"', 'when.country = "CA"', 'when.country = ["US", "CA"]\nwhen.city = "Ulm"'], BY_TWO),
        (['when.source = "demo_request"\nwhen.city = "Ulm"', 'when.source = "paid_search"', 'when.source = ["demo_request", "paid_search"]\nwhen.city = "Ulm"'], BY_TWO),
        (['when.country = "US"', 'unless.country = "US"', 'when.city = "Ulm"'], BY_TWO),
        (['when.city = "Ulm"\nunless.employees = { at_least = 50 }', "when.employees = { at_least = 10 }", 'when.city = "Ulm"'], BY_TWO),
        (["when.employees = { at_least = 500, at_most = 50 }"], "when.employees: no number is at least 500 and at most 50"),
        (['when.phone = { missing = true, prefix = "+44" }'], "when.phone: a field that is missing is nothing else besides"),
        (['when.country = "US"\nunless.country = ["us", "ca"]'], "unless.country refuses whatever when.country asks for"),
        (['when.campaign = "black-friday"\nunless.campaign = "black*"'], "unless.campaign refuses whatever when.campaign asks for"),
        (['when.phone = { prefix = "+4" }\nunless.phone = { missing = false }'], "when.phone and unless.phone ask that it is missing, and more of it besides"),
        (['when.source = "demo_request"\nwhen.motion = "referral"'], "no source of sources.toml does what when.source and when.motion ask"),
        (['when.motion = "event"'], "no source of sources.toml does what when.motion asks"),
        (['when.source = { prefix = "demos" }'], "no source of sources.toml does what when.source asks"),
        (['when.motion = "referral"\nunless.source = "customer*"'], "no source of sources.toml does what when.motion and unless.source ask"),
    ],
)  # fmt: skip
def test_a_rule_that_can_never_match_is_told(config: ConfigDirectory, rules: list[str], why: str) -> None:
    """By name, with what stands in its way; only the last of these rules is hopeless."""
    add_rules(config, *rules)
    number = len(rules)
    assert [f'routing.toml: rules[{number + 2}] "r{number - 1}": it can never match: {why}'] == warnings(
        config
    )


@pytest.mark.parametrize(
    "rules",
    [
        ['when.country = "US"', 'when.country = ["US", "CA"]'],
        ['when.campaign = "black-friday*"', 'when.campaign = "black*"'],
        ["when.employees = { at_least = 500 }", "when.employees = { at_least = 100 }"],
        ['when.source = "demo_request"', 'when.city = "Ulm"'],
        ['when.country = "US"\nwhen.city = "Ulm"', 'when.country = "CA"', 'when.country = ["US", "CA"]'],
        ['when.source = "demo_request"', 'when.source = ["demo_request", "paid_search"]\nwhen.city = "Ulm"'],
        # A form with several answers ticked may hold both.
        ['unless.country = "US"', 'when.country = "CA"'],
        ['when.country = "CA"\nunless.country = "US"'],
        ["when.employees = { at_least = 50, at_most = 500 }"],
        ['unless.phone = { prefix = "+4" }', 'unless.phone = { prefix = "+44" }'],
        ['unless.phone = { prefix = "+44" }', 'when.phone = { prefix = "+1" }'],
        ['when.custom.a = "x"', 'when.custom.b = "x"'],
        ['when.country = "US"', 'unless.country = ["US", "CA"]', 'when.city = "Ulm"'],
        ["unless.employees = { at_least = 50 }", "when.employees = { at_least = 60 }", 'when.city = "Ulm"'],
        ['when.country = "US"', 'unless.country = "US"\nunless.city = "Ulm"', 'when.city = "Ulm"'],
    ],
)  # fmt: skip
def test_a_rule_that_some_lead_reaches_is_not(config: ConfigDirectory, rules: list[str]) -> None:
    """Nothing is said that is not certain."""
    add_rules(config, *rules)
    assert warnings(config) == []


TAXONOMY = Taxonomy({
    "demo": Source("demo", "Demo", Motion.INBOUND),
    "trial": Source("trial", "Trial", Motion.INBOUND),
    "friend": Source("friend", "Friend", Motion.REFERRAL),
})  # fmt: skip
VALUES = st.sampled_from(("us", "ca", "cal", "california", 5, 50))
CONDITIONS = st.one_of(
    st.tuples(st.sampled_from(("country", "city")), VALUES),
    st.tuples(st.sampled_from(("country", "city")), st.lists(VALUES, min_size=1, max_size=3)),
    st.tuples(st.sampled_from(("country", "city")), st.sampled_from(("ca*", "*a", "*us*"))),
    st.tuples(st.sampled_from(("country", "city")), st.fixed_dictionaries({"missing": st.booleans()})),
    st.tuples(st.just("city"), st.fixed_dictionaries({}, optional={"at_least": st.sampled_from((5, 50)), "at_most": st.sampled_from((5, 50))}).filter(bool)),
    st.tuples(st.just("source"), st.lists(st.sampled_from(("demo", "trial", "friend", "unknown", "d*")), min_size=1, max_size=3)),
    st.tuples(st.just("motion"), st.sampled_from(("inbound", "referral"))),
)  # fmt: skip


@st.composite
def rules(draw: st.DrawFn) -> tuple[Rule, ...]:
    drawn = draw(
        st.lists(
            st.tuples(st.lists(CONDITIONS, max_size=2), st.lists(CONDITIONS, max_size=2)),
            min_size=1,
            max_size=8,
        )
    )
    return tuple(
        Rule(
            str(number),
            "t",
            "s",
            tuple(parse_condition(*one) for one in when),
            tuple(parse_condition(*one) for one in unless),
        )
        for number, (when, unless) in enumerate(drawn)
    )


LEADS = st.fixed_dictionaries(
    {"source": st.sampled_from(("demo", "trial", "friend", "unknown"))},
    optional={"country": VALUES | st.lists(VALUES, max_size=2), "city": VALUES},
)


@settings(max_examples=150, deadline=None)
@given(rules(), st.lists(LEADS, min_size=20, max_size=60))
def test_no_lead_ever_matches_a_rule_that_is_called_hopeless(
    some: tuple[Rule, ...], leads: list[dict[str, object]]
) -> None:
    """Whatever is sent, but for the several answers of a field that has bounds the wrong way round."""
    hopeless = {
        int(warning.place.partition("[")[2].partition("]")[0]) - 1
        for warning in hopeless_rules(some, TAXONOMY)
        if "it can never match" in warning.problem and "no number is" not in warning.problem
    }
    ready = Rules(some, Rule("default", "t", "s"))
    for lead in leads:
        motion = TAXONOMY.source(str(lead["source"])).motion.value
        match = ready.first_match(Facts({**lead, "motion": motion}))
        assert match.rule.name == "default" or int(match.rule.name) not in hopeless, (lead, match)


def test_ten_thousand_rules_are_compared_in_seconds() -> None:
    """Whatever they ask: equality, beginnings, bounds, lists; comparing each with each takes minutes."""
    shapes = (
        lambda n: {"city": f"c{n}", "country": ["US", "CA"]},
        lambda n: {"phone": {"prefix": f"+{n}0"}, "source": "demo"},
        lambda n: {"email": {"domain": f"d{n}.example"}, "motion": "inbound"},
        lambda n: {"campaign": f"spring-{n}-*", "employees": {"at_least": n % 97}},
        lambda n: {"message": {"contains": f"word {n} of a question"}},
        lambda n: {"title": f"head*of {n}*sales"},
        lambda n: {"custom.size": {"at_least": 10_000 - n}},
    )
    some = [
        Rule(str(n), "t", "s", tuple(parse_condition(*one) for one in shapes[n % len(shapes)](n).items()))
        for n in range(10_000)
    ]
    some.append(
        Rule(
            "last",
            "t",
            "s",
            (parse_condition("phone", {"prefix": "+805"}), parse_condition("source", "demo")),
        )
    )
    began = time.process_time()
    found = [warning.place for warning in hopeless_rules(tuple(some), TAXONOMY)]
    assert time.process_time() - began < 20
    assert 'rules[10001] "last"' in found


def test_a_detection_that_can_never_apply_is_told(config: ConfigDirectory) -> None:
    """Detections are tried in their order as well, and what they ask may contradict itself."""
    config.append("sources.toml", '[[detect]]\nwhen.utm_medium = "paid-social"\nsource = "paid_search"')
    [warning] = warnings(config)
    assert warning == (
        "sources.toml: detect[2]: it can never match: detect[1] comes first and matches every lead this one would; "
        "move this one above it or remove it"
    )


# --- Sources only the default takes ----------------------------------------------------------------------------


def test_sources_that_no_rule_is_for_are_noted(config: ConfigDirectory) -> None:
    """Which is often meant, so it is no warning. A rule for any source is a rule for all."""
    found = findings_of(config.load(), NOW)
    assert found.unrouted_sources == ("paid_search",)
    assert (
        'routing.toml: default: no rule is for paid_search: their leads go to team "triage" under SLA "same-day"'
        in ([str(note) for note in found.notes])
    )
    add_rules(config, 'when.country = "US"')
    assert unrouted_sources(config.load().rulebook) == ()


# --- Hours without anybody -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("hours", "gap"),
    [
        ('["00:00-13:00", "14:00-24:00"]', "Mon 23 Nov 13:00 - Mon 23 Nov 14:00 UTC"),
        ('["00:00-13:00", "13:30-24:00"]', "Mon 23 Nov 13:00 - Mon 23 Nov 13:30 UTC"),
    ],
)
def test_a_planted_gap_is_told_with_its_hours(config: ConfigDirectory, hours: str, gap: str) -> None:
    """An hour, and half an hour, in which a clock runs day and night and nobody is on shift, on one day of two weeks."""
    config.append(
        "teams.toml",
        f'[calendars.planted]\ntimezone = "UTC"\nhours = {{ tue-sun = "00:00-24:00", mon = {hours} }}',
    )
    config.replace("teams.toml", 'id = "ana"', 'id = "ana"\ncalendar = "planted"')
    config.replace("teams.toml", 'id = "ben"', 'id = "ben"\ncalendar = "planted"')
    [warning] = warnings(config)
    assert "nobody of this team is on shift 2 times in the coming two weeks" in warning
    assert gap in warning
    found = findings_of(config.load(), NOW)
    assert next((one.team, one.text, one.gap.is_awaited) for one in found.gaps if one.gap.is_awaited) == (
        "inbound",
        gap,
        True,
    )


@pytest.mark.parametrize("away", [False, True])
def test_an_overflow_team_fills_a_gap_while_somebody_is_there(config: ConfigDirectory, *, away: bool) -> None:
    """An hour without anybody is none where the leads go on to a team that is there; it is one where that is away too."""
    config.append(
        "teams.toml",
        '[calendars.planted]\ntimezone = "UTC"\n'
        'hours = { tue-sun = "00:00-24:00", mon = ["00:00-13:00", "14:00-24:00"] }',
    )
    config.replace("teams.toml", 'id = "ana"', 'id = "ana"\ncalendar = "planted"')
    config.replace("teams.toml", 'id = "ben"', 'id = "ben"\ncalendar = "planted"')
    config.replace("teams.toml", "[teams.inbound]", '[teams.inbound]\nwhen_nobody = "team:triage"')
    if away:
        config.replace("teams.toml", 'id = "cleo"\ncalendar = "always"', 'id = "cleo"\ncalendar = "planted"')
    told = [one for one in warnings(config) if one.startswith("teams.toml: teams.inbound")]
    assert ([True] if away else []) == [
        'nobody of this team, nor of team "triage", is on shift 2 times' in one for one in told
    ]


def test_a_ladder_may_end_in_an_overflow_team(config: ConfigDirectory) -> None:
    """One rep of her own and one in the team her leads go on to: the step finds somebody new."""
    config.replace("teams.toml", '\n[[teams.inbound.reps]]\nid = "ben"', "")
    config.replace("teams.toml", 'away = ["2026-12-20..2027-01-02", 2027-02-01]', "")
    assert any("has one rep" in one for one in warnings(config))
    config.replace("teams.toml", "[teams.inbound]", '[teams.inbound]\nwhen_nobody = "team:triage"')
    assert not any("passes the lead on" in one for one in warnings(config))


def test_a_lunch_without_anybody_is_told_on_business_hours_too(config: ConfigDirectory) -> None:
    """Leads of a team on business hours wait while its calendar is open; a gap outside of it is a note."""
    config.append(
        "teams.toml", '[calendars.short]\ntimezone = "Europe/London"\nhours = { mon-fri = ["09:00-11:00"] }'
    )
    config.replace("teams.toml", 'id = "cleo"\ncalendar = "always"', 'id = "cleo"\ncalendar = "short"')
    [warning] = warnings(config)
    assert warning.startswith(
        "teams.toml: teams.triage: leads wait on its calendar's hours, and nobody of this team is on shift 18 times"
    )
    assert (
        "Mon 23 Nov 11:00 - Mon 23 Nov 12:00 Europe/London; Mon 23 Nov 13:00 - Mon 23 Nov 17:30 Europe/London"
        in warning
    )
    assert [True] == [
        "outside its hours nobody is on shift" in str(note)
        for note in findings_of(config.load(), NOW).notes
        if "triage:" in str(note)
    ]


def test_what_nobody_waits_for_is_told_in_one_line(config: ConfigDirectory) -> None:
    """What comes every week once, by its weekdays; what comes once, by its date; nothing is left out."""
    config.append(
        "teams.toml",
        '[calendars.split]\ntimezone = "Europe/London"\nhours = { mon-thu = ["09:00-12:00", "13:00-17:30"], fri = ["09:00-16:00"] }',
    )
    config.replace(
        "teams.toml",
        'id = "cleo"\ncalendar = "always"',
        'id = "cleo"\ncalendar = "split"\naway = "2026-12-02"',
    )
    found = findings_of(config.load(), NOW)
    [note] = [str(note) for note in found.notes if "teams.triage" in str(note)]
    regular, _, dated = note.partition("two weeks: ")[2].partition(" Europe/London; ")
    assert regular == "Mon-Thu 12:00 - 13:00; Mon-Thu 17:30 - 09:00"
    assert "Fri 27 Nov 16:00 - Mon 30 Nov 09:00 Europe/London" in dated
    assert len(note) < 500


def test_the_two_weeks_begin_where_they_are_asked_to(config: ConfigDirectory) -> None:
    """The same question has the same answer: nothing depends on today."""
    config.replace("teams.toml", 'id = "ben"', 'id = "ben"\naway = "2026-12-24"')
    asked = datetime(2026, 12, 20, 7, 31, 17, tzinfo=UTC)
    found = findings_of(config.load(asked), asked)
    again = findings_of(config.load(asked), asked)
    assert (found.warnings, found.notes, found.gaps) == (again.warnings, again.notes, again.gaps)
    assert [gap.text for gap in found.gaps] == ["Thu 24 Dec 00:00 - Fri 25 Dec 00:00 UTC"]


# --- Deadlines -------------------------------------------------------------------------------------------------


def test_an_sla_without_deadline_on_its_calendar_is_a_mistake(config: ConfigDirectory) -> None:
    """No lead could be routed under it, so nothing may start with it."""
    config.append("slas.toml", '[slas.long]\nrespond_within = "3650d"\nclock = "business"')
    config.append("teams.toml", '[calendars.rare]\ntimezone = "UTC"\nhours = { mon = "09:00-09:01" }')
    config.replace("teams.toml", 'calendar = "london"\nmanager', 'calendar = "rare"\nmanager')
    config.replace(
        "routing.toml",
        '[default]\nteam = "triage"\nsla = "same-day"',
        '[default]\nteam = "triage"\nsla = "long"',
    )
    [mistake] = config.mistakes()
    assert mistake == (
        'slas.toml: slas.long: the leads of team "triage" would have no deadline: calendar "rare" does not have that much '
        "open time in 50 years; give it more hours, or the SLA less time"
    )


def test_a_deadline_beyond_a_year_is_told(config: ConfigDirectory) -> None:
    """It can be counted, and nobody means it."""
    config.append("slas.toml", '[slas.long]\nrespond_within = "24h"\nclock = "business"')
    config.append("teams.toml", '[calendars.rare]\ntimezone = "UTC"\nhours = { mon = "09:00-09:10" }')
    config.replace("teams.toml", 'calendar = "london"\nmanager', 'calendar = "rare"\nmanager')
    config.replace(
        "routing.toml",
        '[default]\nteam = "triage"\nsla = "same-day"',
        '[default]\nteam = "triage"\nsla = "long"',
    )
    [warning] = [one for one in warnings(config) if "slas.long" in one]
    assert warning.startswith(
        'slas.toml: slas.long: a lead of team "triage" received Mon 23 Nov 09:10 UTC would be due after 1008 d'
    )
    assert 'since calendar "rare" is open so little' in warning


@pytest.mark.parametrize(
    ("cutoff", "problem"),
    [
        ("18:00", 'the cutoff 18:00 of SLA "same-day" is not before any close of calendar "london", so it changes nothing for team "triage"; remove it, or set it earlier'),
        ("08:00", 'the cutoff 08:00 of SLA "same-day" comes before calendar "london" opens, so no lead of its hours is due the same day for team "triage"; set it later'),
        ("16:30", None),
    ],
)  # fmt: skip
def test_a_cutoff_outside_the_hours_is_told(
    config: ConfigDirectory, cutoff: str, problem: str | None
) -> None:
    """It moves every lead of the day or none of them."""
    config.replace("slas.toml", '"16:00"', f'"{cutoff}"')
    found = [one for one in warnings(config) if "triage" in one]
    assert ([f"slas.toml: slas.same-day: {problem}"] if problem else []) == found


def test_the_trial_clock_finds_the_longest_wait(config: ConfigDirectory) -> None:
    """Who comes as the cutoff passes on Friday waits for Monday's close; day and night are the SLA itself."""
    waits = findings_of(config.load(), NOW).waits
    assert [(wait.team.name, wait.sla.name, wait.length) for wait in waits] == [
        ("inbound", "fast", timedelta(minutes=5)),
        ("inbound", "same-day", timedelta(hours=32)),
        ("triage", "same-day", timedelta(days=3, hours=1, minutes=30)),
    ]
    assert waits[2].received_at == datetime(2026, 11, 27, 16, tzinfo=UTC)


# --- Escalations -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("old", "new", "problem"),
    [
        ('\n[[teams.inbound.reps]]\nid = "ben"', "",
         'step "late" passes the lead on, but team "inbound" has one rep, so it ends with nobody new and only the manager hears; add reps, or remove reassign'),
        ('{ at = "0%", tell = "rep" }', '{ at = "0%", tell = "rep" }, { at = "90%", reassign = true }',
         'step "late" passes the lead on, but team "inbound" has 2 reps, each of whom gets it once, so it ends with nobody new and only the manager hears; add reps, or remove reassign'),
        ('alert = ["manager", "desk"], reassign = true', 'remind = "rep"',
         'only the rep hears of a missed deadline; add a step such as { at = "100%", alert = ["manager"] }'),
        ('at = "100%", alert = ["manager", "desk"], reassign = true', 'at = "-1m", alert = ["manager"]',
         'nobody hears of a missed deadline; add a step such as { at = "100%", alert = ["manager"] }'),
    ],
)  # fmt: skip
def test_an_escalation_that_ends_with_nobody_is_told(
    config: ConfigDirectory, old: str, new: str, problem: str
) -> None:
    """A ladder is climbed in each team that uses it."""
    file = "teams.toml" if "reps" in old else "slas.toml"
    if file == "teams.toml":  # ana is away then, and that is another warning
        config.replace(file, 'away = ["2026-12-20..2027-01-02", 2027-02-01]', "")
    config.replace(file, old, new)
    assert [f"slas.toml: slas.fast: {problem}"] == warnings(config)
