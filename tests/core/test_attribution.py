"""Attribution: one source, one channel, one campaign, and why."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.core.builders import conditions, generic, taxonomy

from speed_to_lead.core.attribution import (
    UNKNOWN_SOURCE,
    Attribution,
    Detection,
    Motion,
    Source,
    Taxonomy,
    attribute,
    default_channel_group,
)


def detection(source: str, **tables: Any) -> Detection:
    return Detection(source, conditions(tables.get("when")), conditions(tables.get("unless")))


def attributed(form_source: str | None, *detections: Detection, **fields: Any) -> Attribution:
    known = Taxonomy(taxonomy().sources, detections)
    return attribute(generic(**fields), "demo", form_source, known)


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        # tagged
        ({"utm_source": "google", "utm_medium": "cpc"}, "Paid Search"),
        ({"utm_source": "Google", "utm_medium": "CPC"}, "Paid Search"),
        ({"utm_source": "bing", "utm_medium": "ppc"}, "Paid Search"),
        ({"utm_source": "google", "utm_medium": "paidsearch"}, "Paid Search"),
        ({"utm_source": "google", "utm_medium": "organic"}, "Organic Search"),
        ({"utm_source": "elsewhere", "utm_medium": "organic"}, "Organic Search"),
        ({"utm_source": "facebook", "utm_medium": "paid_social"}, "Paid Social"),
        ({"utm_source": "linkedin.com", "utm_medium": "retargeting"}, "Paid Social"),
        ({"utm_source": "linkedin", "utm_medium": "social"}, "Organic Social"),
        ({"utm_source": "elsewhere", "utm_medium": "social-network"}, "Organic Social"),
        ({"utm_source": "youtube", "utm_medium": "cpv-cpc"}, "Paid Video"),
        ({"utm_source": "youtube", "utm_medium": "link"}, "Organic Video"),
        ({"utm_source": "elsewhere", "utm_medium": "webvideo"}, "Organic Video"),
        ({"utm_source": "elsewhere", "utm_medium": "display"}, "Display"),
        ({"utm_source": "elsewhere", "utm_medium": "cpm"}, "Display"),
        ({"utm_source": "google", "utm_medium": "cpm"}, "Paid Search"),
        ({"utm_source": "elsewhere", "utm_medium": "cpc"}, "Paid Other"),
        ({"utm_source": "amazon", "utm_medium": "cpc"}, "Paid Shopping"),
        ({"utm_source": "x", "utm_medium": "cpc", "utm_campaign": "shopping-may"}, "Paid Shopping"),
        ({"utm_source": "x", "utm_medium": "cpc", "utm_campaign": "workshop"}, "Paid Social"),
        ({"utm_source": "elsewhere", "utm_medium": "a", "utm_campaign": "cheshop"}, "Organic Shopping"),
        ({"utm_source": "ebay", "utm_medium": "link"}, "Organic Shopping"),
        ({"utm_source": "google", "utm_medium": "cpc", "utm_campaign": "Cross-Network 1"}, "Cross-network"),
        ({"utm_source": "partner", "utm_medium": "referral"}, "Referral"),
        ({"utm_source": "partner", "utm_medium": "app"}, "Referral"),
        ({"utm_source": "newsletter", "utm_medium": "e-mail"}, "Email"),
        ({"utm_source": "e mail"}, "Email"),
        ({"utm_source": "partner", "utm_medium": "affiliate"}, "Affiliates"),
        ({"utm_source": "spotify", "utm_medium": "audio"}, "Audio"),
        ({"utm_source": "sms"}, "SMS"),
        ({"utm_source": "elsewhere", "utm_medium": "webpush"}, "Mobile Push Notifications"),
        ({"utm_source": "firebase", "utm_medium": "x"}, "Mobile Push Notifications"),
        ({"utm_source": "elsewhere", "utm_medium": "billboard"}, "Unassigned"),
        ({"utm_source": "(direct)", "utm_medium": "(none)"}, "Direct"),
        ({"utm_source": 7, "utm_medium": True}, "Unassigned"),
        # click ids
        ({"gclid": "1"}, "Paid Search"),
        ({"gclid": "1", "utm_source": "google"}, "Paid Search"),
        ({"gclid": "1", "utm_source": "newsletter", "utm_medium": "email"}, "Email"),
        ({"msclkid": "1"}, "Paid Search"),
        ({"li_fat_id": "1"}, "Paid Social"),
        ({"ttclid": "1"}, "Paid Social"),
        ({"fbclid": "1"}, "Direct"),
        ({"fbclid": "1", "referrer": "https://l.facebook.com/"}, "Organic Social"),
        # referrers
        ({}, "Direct"),
        ({"referrer": "https://www.google.co.uk/"}, "Organic Search"),
        ({"referrer": "https://www.google.com.au/"}, "Organic Search"),
        ({"referrer": "https://www.google.com:443/search?q=x"}, "Organic Search"),
        ({"referrer": "android-app://com.google.android.googlequicksearchbox/"}, "Organic Search"),
        ({"referrer": "https://mail.google.com/"}, "Referral"),
        ({"referrer": "https://docs.google.com/"}, "Referral"),
        ({"referrer": "bing.com"}, "Organic Search"),
        ({"referrer": "https://uk.search.yahoo.com/"}, "Organic Search"),
        ({"referrer": "https://duckduckgo.com/"}, "Organic Search"),
        ({"referrer": "https://search.brave.com/"}, "Organic Search"),
        ({"referrer": "https://ask.acme.com/"}, "Referral"),
        ({"referrer": "https://ask.fm/"}, "Referral"),
        ({"referrer": "https://l.facebook.com/l.php?u=x"}, "Organic Social"),
        ({"referrer": "https://t.co/abc"}, "Organic Social"),
        ({"referrer": "https://x.com/"}, "Organic Social"),
        ({"referrer": "https://x.ai/"}, "Referral"),
        ({"referrer": "https://x.acme.com/"}, "Referral"),
        ({"referrer": "https://notx.com/"}, "Referral"),
        ({"referrer": "https://lnkd.in/abc"}, "Organic Social"),
        ({"referrer": "https://uk.linkedin.com/"}, "Organic Social"),
        ({"referrer": "https://out.reddit.com/"}, "Organic Social"),
        ({"referrer": "https://news.ycombinator.com/item?id=1"}, "Organic Social"),
        ({"referrer": "https://m.youtube.com/watch"}, "Organic Video"),
        ({"referrer": "https://youtu.be/x"}, "Organic Video"),
        ({"referrer": "https://www.amazon.co.jp/"}, "Organic Shopping"),
        ({"referrer": "https://blog.partner.org/post"}, "Referral"),
        ({"referrer": "http://["}, "Direct"),
        ({"referrer": "(direct)"}, "Direct"),
        ({"referrer": 5}, "Direct"),
        # our own site
        ({"referrer": "https://www.acme.com/a", "landing_page": "https://www.acme.com/demo"}, "Direct"),
        ({"referrer": "https://acme.com/a", "landing_page": "https://www.acme.com/demo"}, "Direct"),
        ({"referrer": "https://www.acme.com/", "landing_page": "https://go.acme.com/demo"}, "Direct"),
        ({"referrer": "https://acme.com/", "landing_page": "acme.com/demo"}, "Direct"),
        ({"referrer": "https://notacme.com/", "landing_page": "https://acme.com/"}, "Referral"),
        ({"referrer": "https://acme.com/", "landing_page": "http://["}, "Referral"),
    ],
)
def test_default_channel_group(fields: dict[str, Any], expected: str) -> None:
    """Channels are Google Analytics 4's default groups (support.google.com/analytics/answer/9756891)."""
    assert expected == default_channel_group(generic(**fields))


def test_form_source_wins() -> None:
    """What the form stands for comes before what the submission says."""
    found = attributed("referral", source="Inbound demo request")
    assert (
        found.source.name,
        found.trace[0],
    ) == ("referral", 'source is "referral": form "demo" stands for it')


@pytest.mark.parametrize("named", ["demo_request", "DEMO-REQUEST", "inbound  demo request", "Book a Demo "])
def test_the_submission_names_the_source(named: str) -> None:
    """A submission names a source by name, label or alias, before any detection is asked."""
    found = attributed(None, detection("referral"), source=named)
    assert found.source.name == "demo_request"
    assert f'source is "demo_request": the submission names "{named}"' == found.trace[0]


def test_a_name_comes_before_another_sources_alias() -> None:
    """One source's alias never takes another's name or label, whatever the order of the file."""
    first = Source("partner_referral", "Partners", Motion.PARTNER, ("referral", "Word of mouth"))
    second = Source("referral", "Word of mouth", Motion.REFERRAL)
    known = Taxonomy({source.name: source for source in (first, second)})
    assert [second, second, first] == [
        known.named(word) for word in ("referral", "word of mouth", "partners")
    ]


def test_detections_in_order() -> None:
    """Where nothing names a known source the first detection that matches gives it, and the trace says both."""
    found = attributed(
        None,
        detection("referral", when={"utm_medium": "paid*"}, unless={"utm_source": "google"}),
        detection("demo_request", when={"utm_medium": ["cpc", "paid*"], "campaign": "spring"}),
        detection("referral"),
        source="nowhere",
        utm_source="google",
        utm_medium="paid_search",
        utm_campaign="Spring",
    )
    assert found.source.name == "demo_request"
    assert found.trace == (
        'the submission names the source "nowhere", which the taxonomy does not have',
        'source is "demo_request": detect 2 gives it, utm_medium is one of "cpc", "paid*", campaign is "spring"',
        'channel is "Paid Search"',
    )


def test_unknown_is_a_source() -> None:
    """A lead that nothing is known of has the source unknown, and so has a source config lost."""
    assert attributed(None).source == UNKNOWN_SOURCE
    assert attributed("gone").source == UNKNOWN_SOURCE
    assert (
        (attributed("gone").trace[0])
        == 'source is "unknown": form "demo" stands for "gone", which the taxonomy does not have'
    )
    assert attributed(None, detection("gone")).source == UNKNOWN_SOURCE


@pytest.mark.parametrize(
    ("fields", "channel", "campaign"),
    [
        ({"channel": "Radio", "utm_source": "google"}, "Radio", ""),
        ({"campaign": "A", "utm_campaign": "B"}, "Direct", "A"),
        ({"utm_campaign": "B"}, "Direct", "B"),
    ],
)
def test_channel_and_campaign(fields: dict[str, Any], channel: str, campaign: str) -> None:
    """What the payload names comes before what its tags say."""
    found = attributed(None, **fields)
    assert (channel, campaign) == (found.channel, found.campaign)


def test_a_long_channel_does_not_fill_the_trace() -> None:
    """A trace repeats 60 characters of what a payload says, not a megabyte."""
    assert len(attributed(None, channel="x" * 10_000, source="y" * 10_000).trace[-1]) < 90


PERSONAL = {"email": "zz@qq.example", "name": "Zoë Quixote", "phone": "+49 999", "message": "call my mum"}


@given(
    st.dictionaries(
        st.sampled_from(["source", "channel", "campaign", "referrer", "utm_source", "landing_page"]),
        st.sampled_from([*PERSONAL.values(), "x zz@qq.example x", "https://a.b/?e=ZZ@qq.example", "google"]),
    ),
    st.sampled_from(sorted(PERSONAL)),
)
def test_no_personal_value_is_in_the_trace(fields: dict[str, str], asked: str) -> None:
    """Neither a condition that matches on the very value, nor a field that repeats it, brings it into the trace."""
    detect = detection("referral", when={asked: PERSONAL[asked]})
    trace = " ".join(attributed(None, detect, **PERSONAL, **fields).trace).casefold()
    assert [value for value in PERSONAL.values() if value.casefold() in trace] == []


@given(
    st.dictionaries(
        st.sampled_from(["referrer", "landing_page", "utm_source", "utm_medium", "source"]), st.text()
    )
)
def test_no_text_breaks_attribution(fields: dict[str, str]) -> None:
    """Whatever a form sends, there is a source and a channel."""
    found = attributed(None, **fields)
    assert "" not in (found.source.name, found.channel)
