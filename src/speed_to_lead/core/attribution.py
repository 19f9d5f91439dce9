"""Where a lead came from: its source (one value of the taxonomy), its channel (GA4's groups) and its campaign."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from functools import cached_property, lru_cache
from types import MappingProxyType
from typing import Any

from speed_to_lead.core.condition_index import ConditionIndex
from speed_to_lead.core.conditions import Condition
from speed_to_lead.core.facts import Facts
from speed_to_lead.core.meanings import PLAIN, Spellings
from speed_to_lead.core.submission import GenericLead
from speed_to_lead.core.values import host_of


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


#: Every lead has exactly one source; this one is there whatever `sources.toml` says.
UNKNOWN_SOURCE = Source("unknown", "Unknown", Motion.INBOUND)


@dataclass(frozen=True)
class Taxonomy:
    """All sources by name, and the detections in their order."""

    sources: Mapping[str, Source] = field(default_factory=dict)
    detections: tuple[Detection, ...] = ()

    @cached_property
    def _by_word(self) -> dict[str, Source]:
        sources = (*self.sources.values(), UNKNOWN_SOURCE)
        by_word: dict[str, Source] = {}
        for source in sources:
            by_word.setdefault(_word(source.name), source)
        for source in sources:
            by_word.setdefault(_word(source.label), source)
        for source in sources:
            for alias in source.aliases:
                by_word.setdefault(_word(alias), source)
        return by_word

    @cached_property
    def _index(self) -> ConditionIndex:
        return ConditionIndex(self.detections)

    def detected(self, facts: Facts) -> int | None:
        """The place of the first detection that matches, None where none does."""
        return self._index.first_match(facts)

    def named(self, text: str) -> Source | None:
        """The source a text names, whatever the case and spacing: a name before a label before an alias."""
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
    facts: Facts = field(repr=False, compare=False)  # what was asked, for rules to go on with


def attribute(
    lead: GenericLead,
    form: str,
    form_source: str | None,
    taxonomy: Taxonomy,
    *,
    is_traced: bool = True,
    derived: Mapping[str, Any] = MappingProxyType({}),
    spellings: Spellings = PLAIN,
) -> Attribution:
    """Source: what the form stands for, else what the payload names, else the first detection that matches.

    Channel: what the payload names, else Google Analytics 4's default channel group of its UTM tags, click ids
    and referrer (support.google.com/analytics/answer/9756891). Campaign: `campaign`, else `utm_campaign`, else "".

    `derived` is what was worked out of the lead for conditions to ask about, and `spellings` how they read its values.
    Where it is not to be traced the words of its trace quote nothing: to find out what may be quoted is most of the work.
    """
    channel = str(lead.get("channel") or default_channel_group(lead))
    campaign = str(lead.get("campaign") or lead.get("utm_campaign") or "")
    values = facts_of(lead) | {"form": form, "channel": channel, "campaign": campaign or None}
    if derived:
        values |= derived
    facts = Facts(values, is_traced=is_traced, spellings=None if spellings is PLAIN else spellings)
    source, why = _find_source(facts, form, form_source, lead.get("source"), taxonomy)
    trace = (*why, f"channel is {_quoted(channel, 'channel', facts)}")
    return Attribution(source, channel, campaign, trace, facts)


def _find_source(
    facts: Facts, form: str, form_source: str | None, named: Any, taxonomy: Taxonomy
) -> tuple[Source, tuple[str, ...]]:
    if form_source is not None:
        source = taxonomy.source(form_source)
        return source, (f'source is "{source.name}": form "{form}" stands for {_other(form_source, source)}',)
    trace: list[str] = []
    if named is not None:
        words = _quoted(named, "source", facts)
        found = taxonomy.named(str(named))
        if found is not None:
            return found, (f'source is "{found.name}": the submission names {words}',)
        trace.append(f"the submission names the source {words}, which the taxonomy does not have")
    number = taxonomy.detected(facts)
    if number is not None:
        detection = taxonomy.detections[number]
        source = taxonomy.source(detection.source)
        why = ", ".join(
            [f"{c.field} {c.expected}" for c in detection.when]
            + [f"{c.field} is none that {c.expected}" for c in detection.unless]
        )
        trace.append(
            f'source is "{source.name}": detect {number + 1} gives {_other(detection.source, source)}, '
            f"{why or 'it catches every lead'}"
        )
        return source, tuple(trace)
    return UNKNOWN_SOURCE, (*trace, 'source is "unknown": neither form, submission nor a detection names one')


def _other(name: str, source: Source) -> str:
    return "it" if source.name == name else f'"{name}", which the taxonomy does not have'


def _quoted(value: Any, field_name: str, facts: Facts) -> str:
    text = facts.shown(value, field_name)
    return "one that is not repeated here" if text is None else f'"{text}"'


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
_SOCIAL = frozenset(("facebook", "fb", "instagram", "ig", "linkedin", "lnkd", "twitter", "x", "reddit", "pinterest", "tiktok", "threads", "snapchat", "quora", "xing", "whatsapp", "telegram", "bluesky", "bsky", "mastodon", "vk", "weibo", "meetup", "tumblr", "ycombinator", "hackernews"))  # fmt: skip
#: Hosts whose site is not the name before their suffix: short links, and the referrers of two phone apps.
_HOSTS = {
    "t.co": "twitter", "x.com": "twitter", "t.me": "telegram", "youtu.be": "youtube", "pin.it": "pinterest",
    "redd.it": "reddit", "wa.me": "whatsapp",
    "com.google.android.googlequicksearchbox": "google", "com.linkedin.android": "linkedin",
}  # fmt: skip
#: Parts of a host that make it no search page, whatever the site: a link in a mail is a referral.
_NO_SEARCH = frozenset(
    ("mail", "docs", "drive", "calendar", "meet", "groups", "sites", "accounts", "classroom")
)
_SECOND_LEVELS = frozenset(("co", "com", "org", "net", "ne", "or", "ac", "gov", "edu"))
_VIDEO = frozenset(("youtube", "vimeo", "twitch", "dailymotion", "wistia", "netflix", "hulu", "disneyplus"))
_SHOPPING = frozenset(
    ("amazon", "ebay", "etsy", "walmart", "shopify", "alibaba", "aliexpress", "shopzilla", "mercadolibre")
)
_SOCIAL_MEDIUM = frozenset(
    ("social", "social-network", "social-media", "sm", "social network", "social media")
)
_EMAIL = frozenset(("email", "e-mail", "e_mail", "e mail"))
_DISPLAY = frozenset(("display", "banner", "expandable", "interstitial", "cpm"))
_CLICK_IDS = {
    "gclid": ("google", "cpc"), "gbraid": ("google", "cpc"), "wbraid": ("google", "cpc"), "msclkid": ("bing", "cpc"),
    "li_fat_id": ("linkedin", "paid"), "ttclid": ("tiktok", "paid"),
}  # fmt: skip


def default_channel_group(lead: GenericLead) -> str:
    """GA4's default channel group, "Direct" where nothing says otherwise, "Unassigned" where the tags fit no group.

    A click id speaks where no medium is tagged, for the network that made it. fbclid is left out of them:
    Facebook adds it to unpaid links as well.
    """
    source = _lowered(lead.get("utm_source"))
    medium = _lowered(lead.get("utm_medium"))
    campaign = _lowered(lead.get("utm_campaign") or lead.get("campaign"))
    if not medium:
        for name, (click_source, click_medium) in _CLICK_IDS.items():
            if lead.get(name):
                source, medium = click_source, click_medium
                break
    if not source and not medium:
        source = _referring_site(lead)
        if not source:
            return "Direct"
        medium = "referral"
    if len(source) + len(medium) + len(campaign) > _LONGEST_TAGS:
        return _group(source, medium, campaign)
    return _known_group(source, medium, campaign)


def _group(source: str, medium: str, campaign: str) -> str:
    site = _site(source)
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


#: A campaign's leads all have the same tags. What is longer is not worth remembering.
_known_group = lru_cache(maxsize=4096)(_group)
_LONGEST_TAGS = 200


def _referring_site(lead: GenericLead) -> str:
    """The host that sent the visitor; "" for none, and for our own: the landing page's host, above or below it."""
    host = host_of(lead.get("referrer") or "").removeprefix("www.")
    own = host_of(lead.get("landing_page") or "").removeprefix("www.")
    if "." not in host:
        return ""
    is_own = own and (host == own or host.endswith(f".{own}") or own.endswith(f".{host}"))
    return "" if is_own else host


def _site(source: str) -> str:
    """The name before the public suffix: www.google.co.uk → google, lnkd.in → lnkd, t.co → twitter."""
    host = host_of(source) if "//" in source else source.rstrip(".")
    labels = host.split(".")
    if len(labels) == 1:
        return host
    known = _HOSTS.get(host) or _HOSTS.get(".".join(labels[-2:]))
    if known:
        return known
    name = labels[-3] if len(labels) > 2 and labels[-2] in _SECOND_LEVELS else labels[-2]
    # x.ai and ask.fm are neither X nor Ask, and mail.google.com is no search.
    if len(name) == 1 or host == "ask.fm" or (name in _SEARCH and not _NO_SEARCH.isdisjoint(labels)):
        return host
    return name


def _lowered(value: Any) -> str:
    return str(value).strip().lower() if value is not None else ""


def _word(text: str) -> str:
    return re.sub(r"[\s_-]+", " ", text.strip().casefold())
