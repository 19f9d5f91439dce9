"""Where a lead came from: its source (one value of the taxonomy), its channel (GA4's groups) and its campaign."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from functools import cached_property
from typing import Any
from urllib.parse import urlsplit

from speed_to_lead.core.conditions import Condition
from speed_to_lead.core.submission import GenericLead


class Motion(StrEnum):
    """How the conversation began: the five a revenue team plans by."""

    INBOUND = "inbound"
    REFERRAL = "referral"
    PARTNER = "partner"
    EVENT = "event"
    OUTBOUND = "outbound"


@dataclass(frozen=True, slots=True)
class Source:
    """One value of the taxonomy, and what else it is called."""

    name: str
    label: str
    motion: Motion
    aliases: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Detection:
    """The source of a lead that names none: all of `when` hold and none of `unless`."""

    source: str
    when: tuple[Condition, ...] = ()
    unless: tuple[Condition, ...] = ()

    def matches(self, facts: Mapping[str, Any]) -> bool:
        """Whether these facts point to the source."""
        return all(c.holds(facts) for c in self.when) and not any(c.holds(facts) for c in self.unless)


#: Every lead has exactly one source; this one is there whatever `sources.toml` says.
UNKNOWN_SOURCE = Source("unknown", "Unknown", Motion.INBOUND)


@dataclass(frozen=True)
class Taxonomy:
    """All sources by name, and the detections in their order."""

    sources: Mapping[str, Source] = field(default_factory=dict)
    detections: tuple[Detection, ...] = ()

    @cached_property
    def _by_word(self) -> dict[str, Source]:
        by_word: dict[str, Source] = {}
        for source in (*self.sources.values(), UNKNOWN_SOURCE):
            for word in (source.name, source.label, *source.aliases):
                by_word.setdefault(_word(word), source)
        return by_word

    def named(self, text: str) -> Source | None:
        """The source a text names: its name, its label or an alias, whatever the case and spacing."""
        return self._by_word.get(_word(text))

    def source(self, name: str) -> Source:
        """The source of that name; the unknown source for a name the taxonomy no longer has."""
        return self.sources.get(name, UNKNOWN_SOURCE)


@dataclass(frozen=True, slots=True)
class Attribution:
    """Source, channel and campaign of one submission, and how each was found."""

    source: Source
    channel: str
    campaign: str
    trace: tuple[str, ...]


def attribute(lead: GenericLead, form: str, form_source: str | None, taxonomy: Taxonomy) -> Attribution:
    """Source: what the form stands for, else what the payload names, else the first detection that matches.

    Channel: what the payload names, else Google Analytics 4's default channel group of its UTM tags, click ids
    and referrer (support.google.com/analytics/answer/9756891). Campaign: `campaign`, else `utm_campaign`, else "".
    """
    channel = str(lead.get("channel") or default_channel_group(lead))
    campaign = str(lead.get("campaign") or lead.get("utm_campaign") or "")
    source, why = _find_source(lead, form, form_source, channel, taxonomy)
    return Attribution(source, channel, campaign, (*why, f'channel is "{channel}"'))


def _find_source(
    lead: GenericLead, form: str, form_source: str | None, channel: str, taxonomy: Taxonomy
) -> tuple[Source, tuple[str, ...]]:
    if form_source is not None:
        source = taxonomy.source(form_source)
        return source, (f'source is "{source.name}": form "{form}" stands for it',)
    trace: list[str] = []
    named = lead.get("source")
    if named is not None:
        found = taxonomy.named(str(named))
        if found is not None:
            return found, (f'source is "{found.name}": the submission names "{str(named)[:60]}"',)
        trace.append(f'the submission names the source "{str(named)[:60]}", which the taxonomy does not have')
    facts = facts_of(lead) | {"form": form, "channel": channel}
    for number, detection in enumerate(taxonomy.detections, start=1):
        if detection.matches(facts):
            why = ", ".join(f"{c.field} {c.expected}" for c in detection.when) or "it catches every lead"
            return taxonomy.source(detection.source), (*trace, f'source is "{detection.source}": detect {number}, {why}')
    return UNKNOWN_SOURCE, (*trace, 'source is "unknown": neither form, submission nor a detection names one')


def facts_of(lead: GenericLead) -> dict[str, Any]:
    """The lead's fields as conditions see them: its own by name, custom ones as `custom.NAME`."""
    facts = dict(lead.fields)
    for name, value in lead.custom.items():
        facts[f"custom.{name}"] = value
    return facts


# --- Google Analytics 4 default channel groups -----------------------------------------------------------------

_PAID = re.compile(r".*cp.*|ppc|retargeting|paid.*")
_SHOPPING_CAMPAIGN = re.compile(r".*(([^a-df-z]|^)shop|shopping).*")
_SEARCH = frozenset(("google", "bing", "yahoo", "duckduckgo", "baidu", "ecosia", "yandex", "naver", "qwant", "ask", "aol", "startpage", "brave", "sogou", "seznam", "daum"))  # fmt: skip
_SOCIAL = frozenset(("facebook", "fb", "instagram", "ig", "linkedin", "lnkd", "twitter", "x", "t", "reddit", "pinterest", "tiktok", "threads", "snapchat", "quora", "xing", "whatsapp", "telegram", "bluesky", "bsky", "mastodon", "vk", "weibo", "meetup", "tumblr", "ycombinator", "hackernews"))  # fmt: skip
_VIDEO = frozenset(("youtube", "vimeo", "twitch", "dailymotion", "wistia", "netflix", "hulu", "disneyplus"))
_SHOPPING = frozenset(("amazon", "ebay", "etsy", "walmart", "shopify", "alibaba", "aliexpress", "shopzilla", "mercadolibre"))
_SOCIAL_MEDIUM = frozenset(("social", "social-network", "social-media", "sm", "social network", "social media"))
_EMAIL = frozenset(("email", "e-mail", "e_mail", "e mail"))
_DISPLAY = frozenset(("display", "banner", "expandable", "interstitial", "cpm"))
_CLICK_IDS = {
    "gclid": ("google", "cpc"), "gbraid": ("google", "cpc"), "wbraid": ("google", "cpc"), "msclkid": ("bing", "cpc"),
    "li_fat_id": ("linkedin", "paid"), "ttclid": ("tiktok", "paid"),
}  # fmt: skip


def default_channel_group(lead: GenericLead) -> str:
    """GA4's default channel group, "Direct" where nothing says otherwise, "Unassigned" where the tags fit no group.

    fbclid is left out of the click ids: Facebook adds it to unpaid links as well.
    """
    source = _lowered(lead.get("utm_source"))
    medium = _lowered(lead.get("utm_medium"))
    campaign = _lowered(lead.get("utm_campaign") or lead.get("campaign"))
    if not source and not medium:
        for name, (click_source, click_medium) in _CLICK_IDS.items():
            if lead.get(name):
                source, medium = click_source, click_medium
                break
    if not source and not medium:
        source = _referring_site(lead)
        if not source:
            return "Direct"
        medium = "referral"
    return _group(_site(source), source, medium, campaign)


def _group(site: str, source: str, medium: str, campaign: str) -> str:
    if source in ("(direct)", "direct") and medium in ("", "(none)", "(not set)"):
        return "Direct"
    if "cross-network" in campaign:
        return "Cross-network"
    paid = _PAID.fullmatch(medium) is not None
    shopping = site in _SHOPPING or _SHOPPING_CAMPAIGN.fullmatch(campaign) is not None
    groups = (
        ("Paid Shopping", paid and shopping),
        ("Paid Search", paid and site in _SEARCH),
        ("Paid Social", paid and site in _SOCIAL),
        ("Paid Video", paid and site in _VIDEO),
        ("Display", medium in _DISPLAY),
        ("Paid Other", paid),
        ("Organic Shopping", shopping),
        ("Organic Social", site in _SOCIAL or medium in _SOCIAL_MEDIUM),
        ("Organic Video", site in _VIDEO or "video" in medium),
        ("Organic Search", site in _SEARCH or medium == "organic"),
        ("Referral", medium in ("referral", "app", "link")),
        ("Email", source in _EMAIL or medium in _EMAIL),
        ("Affiliates", medium == "affiliate"),
        ("Audio", medium == "audio"),
        ("SMS", source == "sms" or medium == "sms"),
        (
            "Mobile Push Notifications",
            medium.endswith("push") or "mobile" in medium or "notification" in medium or source == "firebase",
        ),
    )
    return next((name for name, fits in groups if fits), "Unassigned")


def _referring_site(lead: GenericLead) -> str:
    referrer = _lowered(lead.get("referrer"))
    host = urlsplit(referrer if "//" in referrer else f"//{referrer}").hostname or ""
    own = urlsplit(_lowered(lead.get("landing_page"))).hostname or ""
    return "" if host == own else host


def _site(source: str) -> str:
    """The name before the public suffix: www.google.co.uk → google, lnkd.in → lnkd, t.co → t."""
    labels = [label for label in source.split(".") if label not in ("www", "m", "l", "lm", "out", "old", "news", "com", "co")]
    return labels[0] if len(labels) == 1 else labels[-2] if labels else source


def _lowered(value: Any) -> str:
    return str(value).strip().lower() if value is not None else ""


def _word(text: str) -> str:
    return re.sub(r"[\s_-]+", " ", text.strip().casefold())
