"""What loads and is worth a second look."""

import time
from datetime import UTC, datetime

import pytest
from tests.config.builders import NOW, ConfigDirectory

from speed_to_lead.config import warnings_of


def warnings(config: ConfigDirectory, now: datetime = NOW) -> list[str]:
    return [str(warning) for warning in warnings_of(config.load(now), now)]


def add_rules(config: ConfigDirectory, *rules: str) -> None:
    target = 'team = "inbound"\nsla = "fast"'
    text = "\n".join(
        f'[[rules]]\nname = "rule {number}"\n{rule}\n{target}' for number, rule in enumerate(rules)
    )
    config.replace("routing.toml", "[default]", f"{text}\n[default]")


def test_a_sound_config_warns_of_nothing(config: ConfigDirectory) -> None:
    """No warning is the usual state, or nobody would read them."""
    assert warnings(config) == []


@pytest.mark.parametrize(
    ("first", "second", "shadowed"),
    [
        ('when.country = "US"', 'when.country = "us"', True),
        ('when.country = "US"', 'when.country = "US"\nwhen.industry = "law"', True),
        ('when.country = "US"', 'when.country = "US"\nunless.industry = "law"', True),
        ('unless.country = "US"', 'when.industry = "law"\nunless.country = "US"', True),
        ('when.country = "US"\nwhen.industry = "law"', 'when.country = "US"', False),
        ('when.country = "US"\nunless.industry = "law"', 'when.country = "US"', False),
        ('when.country = "US"', 'unless.country = "US"', False),
        ('when.country = "US"', 'when.country = "CA"', False),
        ("when.employees = 5", 'when.employees = "5"', False),
        ('when.email = "a@example.com"', 'when.email = "b@example.com"', False),
        ('when.email = "a@example.com"', 'when.email = " A@example.com"', True),
        ('when.country = ["US", "CA"]', 'when.country = ["ca", "us"]', True),
    ],
)
def test_a_rule_that_can_never_match_is_shadowed(
    config: ConfigDirectory, first: str, second: str, shadowed: bool
) -> None:
    """An earlier rule that asks nothing more takes all leads of a later one; anything less is not called shadowed."""
    add_rules(config, first, second)
    expected = (
        'routing.toml: rules[4] "rule 1": it can never match: rule "rule 0" comes first and matches every lead '
        "this one would; move this rule above it or remove it"
    )
    assert ([expected] if shadowed else []) == warnings(config)


def test_thousands_of_rules_are_compared_in_seconds(config: ConfigDirectory) -> None:
    """Each with each would take minutes: only rules that ask the same rarest thing are compared."""
    add_rules(
        config,
        *(f'when.city = "C{n}"\nwhen.country = "US"' for n in range(3000)),
        'when.city = "c7"\nwhen.country = "us"',
    )
    began = time.process_time()
    found = warnings(config)
    assert time.process_time() - began < 20
    assert [True] == ['rule "rule 7" comes first' in warning for warning in found]


@pytest.mark.parametrize(
    ("after", "lost"),
    [
        ((), "the default"),
        (('when.country = "US"',), "the rule after it and the default"),
        (('when.country = "US"', 'when.country = "CA"'), "the 2 rules after it and the default"),
    ],
)
def test_a_rule_without_conditions_ends_the_list(
    config: ConfigDirectory, after: tuple[str, ...], lost: str
) -> None:
    """What stands after a rule for every lead is told once, not rule by rule."""
    add_rules(config, "", *after)
    assert [
        f'routing.toml: rules[3] "rule 0": it has no conditions and matches every lead, so {lost} can never match'
    ] == warnings(config)


def test_a_team_all_on_leave_is_named_with_the_hours(config: ConfigDirectory) -> None:
    """Leave of everybody within two weeks is told; later leave is not yet."""
    config.replace("teams.toml", 'id = "ben"', 'id = "ben"\naway = "2026-12-31"')
    assert warnings(config) == []
    assert warnings(config, datetime(2026, 12, 18, tzinfo=UTC)) == [
        (
            'teams.toml: teams.inbound: SLA "fast" runs day and night, and nobody of this team is on shift once in the '
            "coming two weeks, 24 h in all: Thu 31 Dec 00:00 - Fri 1 Jan 00:00 UTC (all on leave); add shifts, or use "
            'clock = "business"'
        )
    ]


def test_a_clock_that_runs_while_nobody_is_on_shift_is_told(config: ConfigDirectory) -> None:
    """An elapsed SLA needs somebody at every hour; which hours are not covered is said in local time."""
    config.replace("teams.toml", '"always"\nmanager', '"london"\nmanager')
    [warning] = warnings(config)
    assert warning.startswith(
        'teams.toml: teams.inbound: SLA "fast" runs day and night, and nobody of this team is on shift 19 times in the '
        "coming two weeks, 10 d 22 h in all: Sun 22 Nov 09:00 - Mon 23 Nov 09:00 Europe/London; "
        "Mon 23 Nov 12:00 - Mon 23 Nov 13:00 Europe/London; "
    )
    assert warning.endswith(
        'Fri 4 Dec 16:00 - Sun 6 Dec 09:00 Europe/London; add shifts, or use clock = "business"'
    )


def test_one_rep_who_is_always_there_is_enough(config: ConfigDirectory) -> None:
    """The shifts of all reps together count, not the team's own calendar."""
    config.replace("teams.toml", '"always"\nmanager', '"london"\nmanager')
    config.replace("teams.toml", 'id = "ben"', 'id = "ben"\ncalendar = "always"')
    assert warnings(config) == []


def test_names_nothing_refers_to_are_told(config: ConfigDirectory) -> None:
    """Sources, calendars, teams, SLAs and destinations that nothing uses may be left over, or misspelt elsewhere."""
    config.append("sources.toml", '[sources.chat]\nmotion = "inbound"')
    config.append("teams.toml", '[calendars.old]\ntimezone = "UTC"\nhours = { mon = "09:00-10:00" }')
    config.append(
        "teams.toml", '[teams.old]\ncalendar = "always"\nmanager = "console"\nreps = [{ id = "olga" }]'
    )
    config.append("slas.toml", '[slas.old]\nrespond_within = "1h"')
    config.append("alerts.toml", '[destinations.old]\ntype = "console"')
    assert warnings(config) == [
        "sources.toml: sources.chat: no form, detection or rule names it; is it still used?",
        "teams.toml: calendars.old: no team, no rep and no [received] uses it",
        "teams.toml: teams.old: no rule sends it leads",
        "slas.toml: slas.old: no rule uses it",
        "alerts.toml: destinations.old: no team, rep or step names it, so only STL_FALLBACK_DESTINATION could",
    ]


def test_a_rule_for_a_form_that_does_not_exist_is_told(config: ConfigDirectory) -> None:
    """Other programs may name forms of their own, so it is no mistake."""
    add_rules(config, 'when.form = "website-demi"')
    assert warnings(config) == [
        (
            'routing.toml: rules[3] "rule 0": no form of intake.toml is "website-demi", '
            "so it can match none of their leads"
        )
    ]


def test_a_form_without_proof_is_told(config: ConfigDirectory) -> None:
    """An open door is allowed where it is written out, and named every time."""
    config.replace("intake.toml", 'token_env = "IMPORT_TOKEN"', 'auth = "none"')
    assert warnings(config) == [
        (
            'intake.toml: forms.import: auth = "none" lets anybody who knows the address send leads; '
            "use secret_env or token_env where the tool can"
        )
    ]


def test_a_team_without_reps_loads_and_is_warned_of(config: ConfigDirectory) -> None:
    """Such a team's leads are heard of by its manager alone, which may be meant, and often is not."""
    config.replace("teams.toml", '[[teams.triage.reps]]\nid = "cleo"\ncalendar = "always"', "")
    expected = (
        "teams.toml: teams.triage: it has no reps, so its leads have nobody and only the manager hears of them; "
        "add [[teams.triage.reps]]"
    )
    assert expected in warnings(config)


def test_somebody_may_be_in_two_teams(config: ConfigDirectory) -> None:
    """The same rep id in another team is the same person."""
    config.replace("teams.toml", 'id = "cleo"', 'id = "ana"')
    assert warnings(config) == []


def test_a_detection_that_claims_every_lead_is_warned_of_unless_it_is_the_last(
    config: ConfigDirectory,
) -> None:
    """A catch-all at the end is a way to say what everything else is; before others it takes their leads."""
    catch_all = '[[detect]]\nsource = "paid_search"\n'
    config.replace("sources.toml", "[[detect]]", f"{catch_all}[[detect]]")
    assert [warning.split(": ")[1] for warning in warnings(config)] == ["detect[1]"]


def test_a_country_that_nobody_knows_is_told(config: ConfigDirectory) -> None:
    """It would hold of no lead but one with the same typing error."""
    add_rules(config, 'when.country = ["DE", "Deutschland", "Ger*", "Germny"]')
    (warning,) = warnings(config)
    assert warning.startswith(
        'routing.toml: rules[3] "rule 0": country "germny" is no country we know, so it'
    )
    assert warning.endswith('did you mean "Germany"?')


def test_a_calendar_may_be_there_for_the_hour_of_receipt_alone(config: ConfigDirectory) -> None:
    """[received] uses it."""
    zone = (
        '[calendars.tokyo]\ntimezone = "Asia/Tokyo"\nhours = { mon-sun = ["00:00-24:00"] }\n[teams.inbound]'
    )
    config.replace("teams.toml", "[teams.inbound]", zone)
    config.replace("routing.toml", "[default]", '[received]\ncalendar = "tokyo"\n[default]')
    assert [] == warnings(config)


SCORING = """
[[points]]
name = "Asks"
points = 30
when.source = "demo_request"
[[points]]
name = "Large"
points = 20
when.employees = { at_least = 200 }
"""


@pytest.mark.parametrize(
    ("when", "scoring", "why"),
    [
        ("when.score = { at_least = 50 }", SCORING, None),
        ("when.score = { at_least = 20, at_most = 29 }", SCORING, None),
        ("when.score = { at_least = 51 }", SCORING, "for its sources scores run from 0 to 50"),
        ("when.score = 10", SCORING, "for its sources scores run from 0 to 50"),
        (
            'when.source = "customer_referral"\nwhen.score = { at_least = 30 }',
            SCORING,
            "for its sources scores run from 0 to 20",
        ),
        ("when.score = { at_least = 1 }", "", "there are no points in scoring.toml, so every score is 0"),
    ],
)
def test_a_score_that_nobody_can_have_is_told(
    config: ConfigDirectory, when: str, scoring: str, why: str | None
) -> None:
    """The rule would never match: what the points come to is said."""
    if scoring:
        config.write({"scoring.toml": scoring.encode()})
    add_rules(config, when)
    found = [warning for warning in warnings(config) if "score" in warning]
    assert [why] * (why is not None) == [text.rpartition("; ")[2] for text in found]
    assert all("it can never match: it asks that the score is" in text for text in found)


def test_a_step_that_never_comes_is_told(config: ConfigDirectory) -> None:
    """Its calendar is closed at every instant it could stand at; one that comes at times is no news."""
    config.replace("slas.toml", 'name = "late"', 'name = "late", only_when = "never-then"')
    config.append(
        "teams.toml", '[calendars.never-then]\ntimezone = "UTC"\nhours = { wed = ["03:00-03:10"] }\n'
    )
    config.replace("slas.toml", 'respond_within = "5m"', 'respond_by = "close_of_business"')
    (told,) = (one for one in warnings(config) if "never comes" in one)
    assert told == (
        'slas.toml: slas.fast: step "late" never comes to leads of team "inbound": calendar "never-then" is closed each '
        "time; move the step, or name another calendar in only_when"
    )
    config.replace("slas.toml", 'only_when = "never-then"', 'only_when = "always"')
    assert not [one for one in warnings(config) if "never comes" in one]


def test_a_level_that_a_team_does_not_have_is_told(config: ConfigDirectory) -> None:
    """Its highest hears instead, which is seldom what was meant."""
    config.replace("slas.toml", '["manager", "desk"]', '["level:1", "level:3"]')
    expected = (
        'slas.toml: slas.fast: step "late" names "level:3", but team "inbound" has 1, so "managers" hears; add levels '
        "to the team, or name a destination"
    )
    assert [expected] == warnings(config)
