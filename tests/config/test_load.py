"""What a config that loads comes to, field by field."""

from datetime import date, time, timedelta

import pytest
from tests.config.builders import NOW, ConfigDirectory
from tests.config.test_mistakes import BY_FIELD

from speed_to_lead.config import warnings_of
from speed_to_lead.core.assignment import Assignment, WhenNobody
from speed_to_lead.core.attribution import Motion, Source
from speed_to_lead.core.delivery import Destination
from speed_to_lead.core.reps import Leave
from speed_to_lead.core.routing import route_of
from speed_to_lead.core.sla import DEFAULT_STEPS, Clock
from speed_to_lead.core.submission import Form, RateLimit, generic_lead


def test_sources_keep_names_labels_motions_and_aliases(config: ConfigDirectory) -> None:
    """A source without a label is labelled by its name."""
    sources = config.load().rulebook.taxonomy.sources
    assert Source("demo_request", "Demo request", Motion.INBOUND, ("Book a demo",)) == sources["demo_request"]


def test_detections_carry_their_conditions(config: ConfigDirectory) -> None:
    """A list with a star is one condition on its field."""
    (detection,) = config.load().rulebook.taxonomy.detections
    found = (
        detection.source,
        *(detection.when[0].holds_for(word) for word in ("paid-social", "email")),
    )
    assert found == ("paid_search", True, False)


def test_reps_have_what_was_left_out_filled_in(config: ConfigDirectory) -> None:
    """A rep without name, weight, cap or calendar is called by the id, weighs 1, has no cap, keeps the team's hours."""
    ana, ben = config.load().rulebook.teams["inbound"].reps
    leave = (Leave(date(2026, 12, 20), date(2027, 1, 2)), Leave(date(2027, 2, 1), date(2027, 2, 1)))
    assert ("Ana Ruiz", "desk", 2, 25, leave) == (ana.name, ana.notify, ana.weight, ana.max_open, ana.away)
    assert (ben.name, ben.notify, ben.weight, ben.max_open, ben.away) == ("ben", None, 1, None, ())
    assert ben.calendar.name == "always"


def test_teams_have_a_calendar_and_a_way_to_share_leads(config: ConfigDirectory) -> None:
    """Round robin is the way when none is written; a rep's own calendar goes before the team's."""
    teams = config.load().rulebook.teams
    ways = {"inbound": Assignment.ROUND_ROBIN, "triage": Assignment.LEAST_OPEN}
    assert ways == {name: team.assignment for name, team in teams.items()}
    assert (teams["triage"].calendar.name, teams["triage"].reps[0].calendar.name) == ("london", "always")


def test_slas_have_their_budget_clock_and_steps(config: ConfigDirectory) -> None:
    """One target may stand without a list; a step is named by its time unless it says otherwise."""
    slas = config.load().rulebook.slas
    fast, same_day = slas["fast"], slas["same-day"]
    assert (timedelta(minutes=5), None, Clock.ELAPSED) == (fast.respond_within, fast.respond_by, fast.clock)
    steps = [(step.name, step.tell, step.alert, step.reassign) for step in fast.steps]
    assert steps == [("0%", ("rep",), (), False), ("late", (), ("manager", "desk"), True)]
    assert ("close_of_business", time(16), DEFAULT_STEPS) == (
        same_day.respond_by,
        same_day.cutoff,
        same_day.steps,
    )


@pytest.mark.parametrize("cutoff", ['"16:00"', "16:00:00"])
def test_a_cutoff_may_be_a_text_or_a_toml_time(config: ConfigDirectory, cutoff: str) -> None:
    """Both ways to write a wall time mean the same."""
    config.replace("slas.toml", '"16:00"', cutoff)
    assert time(16) == config.load().rulebook.slas["same-day"].cutoff


@pytest.mark.parametrize("written", ['when.custom.plan = "pro"', 'when."custom.plan" = "pro"'])
def test_custom_fields_may_be_nested_or_quoted(config: ConfigDirectory, written: str) -> None:
    """Both ways to write a custom field ask the same of the same lead."""
    config.replace("routing.toml", 'when.custom.plan = "pro"', written)
    rulebook = config.load().rulebook
    leads = [
        generic_lead({"email": "kim@corp.example", "employees": 900, "plan": plan})
        for plan in ("Pro", "free")
    ]
    rules = [route_of(lead, "website-demo", "demo_request", NOW, rulebook).rule.name for lead in leads]
    assert rules == ["Big demo", "default"]


def test_forms_say_how_they_prove_themselves(config: ConfigDirectory) -> None:
    """Which environment variable is named, and by whom it is used, decides what kind of proof it is."""
    config.append(
        "intake.toml",
        '[forms.limited]\nprovider = "generic"\nauth = "none"\nrate_limit = " 600 / m "\nhoneypot = "fax"',
    )
    config.append("intake.toml", '[forms.signed]\nprovider = "generic"\nsecret_env = "SIGNED"')
    config.append("intake.toml", '[forms.open]\nprovider = "generic"\nauth = "none"')
    fields = {"company": "ref:company_name", "custom.plan": "ref:plan"}
    assert {
        "website-demo": Form(
            "website-demo", "typeform", "signature", "TYPEFORM_SECRET", None, "demo_request", fields
        ),
        "import": Form("import", "generic", "token", None, "IMPORT_TOKEN"),
        "signed": Form("signed", "generic", "standard-webhooks", "SIGNED"),
        "open": Form("open", "generic", "none"),
        "limited": Form(
            "limited", "generic", "none", rate_limit=RateLimit(600, timedelta(minutes=1)), honeypot="fax"
        ),
    } == config.load().forms
    assert {"limited": "fax"} == config.load().rulebook.honeypots


def test_a_form_says_how_its_tool_is_asked(config: ConfigDirectory) -> None:
    """Of tools that send ids only: the token's name, the address, how long a lead waits; a minute where it does not say."""
    given = 'api_token_env = "API"\napi_url = "https://graph.example.com/v1/"\nwait_for_data = "5m"'
    config.append(
        "intake.toml", f'[forms.ids]\nprovider = "hubspot"\nsecret_env = "A"\nverify_token_env = "B"\n{given}'
    )
    forms = config.load().forms
    asked = (
        forms["ids"].verify_token_env,
        forms["ids"].api_token_env,
        forms["ids"].api_url,
        forms["ids"].wait_for_data,
    )
    assert asked == ("B", "API", "https://graph.example.com/v1", timedelta(minutes=5))
    assert forms["website-demo"].wait_for_data == timedelta(seconds=60)


@pytest.mark.parametrize(("auth", "key"), [("standard-webhooks", "secret_env"), ("token", "token_env")])
def test_auth_may_be_written_out_where_it_fits(config: ConfigDirectory, auth: str, key: str) -> None:
    """A generic form may say in words what its key already means."""
    config.replace("intake.toml", 'token_env = "IMPORT_TOKEN"', f'auth = "{auth}"\n{key} = "PROOF"')
    assert auth == config.load().forms["import"].auth


def test_the_console_is_always_a_destination(config: ConfigDirectory) -> None:
    """Destinations are those of alerts.toml and the console."""
    assert {
        "console": Destination("console", "console"),
        "managers": Destination("managers", "slack", {"url_env": "SLACK_URL"}),
        "desk": Destination("desk", "email", {"to": ["desk@example.com"]}),
    } == config.load().destinations


def test_the_console_can_be_redefined(config: ConfigDirectory) -> None:
    """A destination called console in alerts.toml replaces the one that is built in."""
    config.append("alerts.toml", '[destinations.console]\ntype = "slack"\nurl_env = "SLACK_URL"')
    assert config.load().destinations["console"].type == "slack"


def test_the_digest_names_the_content(config: ConfigDirectory) -> None:
    """Equal files have equal digests; one changed character or one file less has another."""
    first = config.load().rulebook.digest
    assert first == config.load().rulebook.digest
    config.append("alerts.toml", "# a comment")
    second = config.load().rulebook.digest
    (config.directory / "intake.toml").unlink()
    third = config.load().rulebook.digest
    assert len({first, second, third}) == 3


def test_a_rule_may_nurture(config: ConfigDirectory) -> None:
    """Its leads have neither team nor SLA, and nothing of it is warned of."""
    config.replace("routing.toml", 'team = "inbound"\nsla = "same-day"', 'nurture = "desk"')
    loaded = config.load()
    rule = loaded.rulebook.rules[1]
    assert ("Referral", "", "", "desk") == (rule.name, rule.team, rule.sla, rule.nurture)
    assert () == warnings_of(loaded, NOW)


def test_a_team_that_assigns_by_match(config: ConfigDirectory) -> None:
    """Match, attributes, caps a day, cooldown and where leads go that nobody takes; what is given counts in all teams."""
    config.append("teams.toml", BY_FIELD + '[[teams.world.reps]]\nid = "ben"\n')
    config.replace("teams.toml", 'id = "ben"', 'id = "lea"')
    teams = config.load().rulebook.teams
    world = teams["world"]
    lea = world.reps[0]
    assert (world.assignment, world.when_nobody, world.overflow, world.unmatched) == (
        *(Assignment.BY_FIELD, WhenNobody.QUEUE),
        *("", "triage"),
    )
    assert [("language", "custom.language", ["de", "en"]), ("territory", "country", ["DE"])] == [
        (match.attribute, match.field, [value for value, _ in match.values]) for match in world.match
    ]
    assert (20, timedelta(minutes=5), {"language": ("de", "en"), "territory": ("DE",)}) == (
        *(lea.max_a_day, lea.cooldown),
        lea.attributes,
    )
    assert [False, True] == [rep.is_paced for rep in teams["inbound"].reps]
    assert [True, False] == [rep.is_paced for rep in world.reps]
