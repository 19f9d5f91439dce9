"""The config in the box: it loads, warns of nothing, and does what the mission asks for."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from tests.config.builders import NOW

from speed_to_lead.config import Configuration, load_config, warnings_of
from speed_to_lead.core.routing import Route, route_of
from speed_to_lead.core.submission import generic_lead
from speed_to_lead.destinations import KINDS
from speed_to_lead.forms import PROVIDERS

SHIPPED = Path(__file__).parents[2] / "config"
SATURDAY_NIGHT = datetime(2026, 11, 21, 3, 0, tzinfo=UTC)


@pytest.fixture(scope="module")
def shipped() -> Configuration:
    """The shipped config, under the real registries."""
    kinds = {name: kind.options for name, kind in KINDS.items()}
    return load_config(
        SHIPPED,
        providers={name: provider.selectors for name, provider in PROVIDERS.items()},
        kinds=kinds,
        now=NOW,
    )


def route(shipped: Configuration, received_at: datetime, **lead: Any) -> Route:
    return route_of(
        generic_lead({"email": "kim@corp.example", **lead}), "generic", None, received_at, shipped.rulebook
    )


@pytest.mark.parametrize("week", range(0, 53, 4))
def test_the_shipped_config_warns_of_nothing(shipped: Configuration, week: int) -> None:
    """Its shifts leave no hour uncovered, in summer and in winter time, and it holds nothing unused."""
    assert warnings_of(shipped, NOW + timedelta(weeks=week)) == ()


def test_a_fresh_machine_needs_no_secret_to_alert(shipped: Configuration) -> None:
    """Every destination prints to the console until somebody switches it."""
    assert {destination.type for destination in shipped.destinations.values()} == {"console"}


def test_every_form_names_the_variable_of_its_secret(shipped: Configuration) -> None:
    """No form is open, and none uses a name that is a setting's."""
    assert {name: (form.auth, form.secret_env or form.token_env) for name, form in shipped.forms.items()} == {
        "website-demo": ("signature", "TYPEFORM_SECRET"),
        "hubspot-referral": ("signature", "HUBSPOT_CLIENT_SECRET"),
        "generic": ("token", "LEADS_INTAKE_TOKEN"),
        "outbound-list": ("token", "OUTBOUND_LIST_TOKEN"),
    }


@pytest.mark.parametrize(
    ("lead", "rule", "sla"),
    [
        ({"source": "demo_request"}, "Demo request", "inbound-5m"),
        ({"source": "Book a demo"}, "Demo request", "inbound-5m"),
        ({"source": "demo", "employees": "1,000+", "country": "us"}, "Enterprise demo", "inbound-5m"),
        ({"source": "demo", "employees": "201-500", "country": "us"}, "Demo request", "inbound-5m"),
        ({"source": "demo", "employees": "über 1.000", "country": "Kanada"}, "Enterprise demo", "inbound-5m"),
        ({"source": "demo", "employees": "lots", "country": "Atlantis"}, "Demo request", "inbound-5m"),
        ({"source": "referral"}, "Referral or partner", "same-day"),
        ({"source": "marketplace"}, "Referral or partner", "same-day"),
        ({"source": "outbound"}, "Outbound", "outbound-24bh"),
        ({"utm_medium": "sequence"}, "Outbound", "outbound-24bh"),
        ({"source": "webinar"}, "default", "same-day"),
        ({"source": "something new"}, "default", "same-day"),
        ({}, "default", "same-day"),
    ],
)
def test_leads_go_where_the_mission_sends_them(
    shipped: Configuration, lead: dict[str, Any], rule: str, sla: str
) -> None:
    """Demo requests, referrals and outbound have their SLAs; a default catches everything else."""
    found = route(shipped, NOW, **lead)
    assert (rule, sla) == (found.rule.name, found.sla.name)


def test_demo_requests_are_due_in_five_minutes_day_and_night(shipped: Configuration) -> None:
    """Also on a Saturday at three in the morning, and somebody is on shift then."""
    found = route(shipped, SATURDAY_NIGHT, source="demo_request")
    assert SATURDAY_NIGHT + timedelta(minutes=5) == found.deadline
    assert any(rep.calendar.is_open(SATURDAY_NIGHT) for rep in found.team.reps)


def test_referrals_are_due_by_the_close_of_the_same_business_day(shipped: Configuration) -> None:
    """A referral of Tuesday morning, and one just before closing, are both due on Tuesday at closing."""
    london = ZoneInfo("Europe/London")
    close = datetime(2026, 11, 24, 17, 30, tzinfo=london)
    received = (datetime(2026, 11, 24, 9, 5, tzinfo=london), datetime(2026, 11, 24, 17, 20, tzinfo=london))
    assert [close, close] == [route(shipped, at, source="referral").deadline for at in received]


def test_outbound_is_due_after_24_open_hours(shipped: Configuration) -> None:
    """Monday 09:00 and 24 hours at nine a day: Wednesday 15:00."""
    singapore = ZoneInfo("Asia/Singapore")
    found = route(shipped, datetime(2026, 11, 23, 9, 0, tzinfo=singapore), source="outbound")
    assert datetime(2026, 11, 25, 15, 0, tzinfo=singapore) == found.deadline


def test_the_teams_of_the_mission_live_in_different_time_zones(shipped: Configuration) -> None:
    """Inbound, referrals and outbound each have hours of their own."""
    teams = shipped.rulebook.teams
    zones = [teams[name].calendar.timezone for name in ("inbound", "referrals", "outbound")]
    assert zones == ["America/New_York", "Europe/London", "Asia/Singapore"]


@pytest.mark.parametrize(
    ("lead", "source"),
    [
        ({"gclid": "x"}, "paid_search"),
        ({"utm_source": "linkedin", "utm_medium": "cpc"}, "paid_social"),
        ({"utm_source": "youtube", "utm_medium": "cpc"}, "paid_video"),
        ({"utm_source": "network", "utm_medium": "banner"}, "display"),
        ({"referrer": "https://www.google.com/"}, "organic_search"),
        ({"referrer": "https://www.linkedin.com/feed"}, "organic_social"),
        ({"referrer": "https://www.g2.com/products/us"}, "review_site"),
        ({"referrer": "https://blog.example/post"}, "website_referral"),
        ({"utm_source": "spring", "utm_medium": "email"}, "email_campaign"),
        ({"utm_source": "joe", "utm_medium": "affiliate"}, "affiliate"),
        ({"fbclid": "x"}, "organic_social"),
        ({"landing_page": "https://example.com/pricing"}, "pricing_request"),
        ({"landing_page": "https://example.com/demo"}, "demo_request"),
        ({"utm_medium": "badge-scan"}, "conference_scan"),
        ({}, "unknown"),
    ],
)
def test_sources_are_detected(shipped: Configuration, lead: dict[str, Any], source: str) -> None:
    """UTM tags, click ids, referrers and pages lead to the source where nobody names it."""
    assert source == route(shipped, NOW, **lead).attribution.source.name


def test_the_readme_names_every_key() -> None:
    """Whatever a file may hold, the README beside it explains."""
    readme = (SHIPPED / "README.md").read_text()
    keys = """label motion aliases timezone hours holidays country subdivision add remove calendar manager assignment
    id name notify weight max_open away respond_within respond_by cutoff clock steps at tell remind alert reassign
    when unless team sla provider secret_env token_env auth source fields type url_env to from smtp_url_env"""
    assert [key for key in keys.split() if key not in readme] == []
