"""Which keys each table of the config takes, and what each key takes: in one place, for the loader and for editors.

The loader refuses every key that is not here, and `config schema` makes JSON Schemas of it. A new key is one line
here and its reading in the file of its table; a test holds the two against each other. What a schema cannot say (that
a name is defined elsewhere, that no two are the same) only the loader says.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, fields
from typing import Any

from speed_to_lead.core.assignment import Assignment, WhenNobody
from speed_to_lead.core.attribution import Motion
from speed_to_lead.core.calendar import SPAN
from speed_to_lead.core.lookup import LONGEST_WAIT
from speed_to_lead.core.lookup import LOOKUP as TO_LOOKUP
from speed_to_lead.core.retention import Retention
from speed_to_lead.core.rules import KeepWith
from speed_to_lead.core.sla import (
    CLOSE_OF_BUSINESS,
    DURATION,
    MOST_REPEATS,
    PERCENT,
    REPEAT_TIMES,
    Clock,
)
from speed_to_lead.core.submission import LEAD_FIELDS

Schema = dict[str, Any]

#: Names people choose. Of a source, a rep, a form (part of its address), a destination, a step, a secret's variable.
SOURCE_NAME = re.compile(r"[a-z0-9_]+")
REP_ID = re.compile(r"[A-Za-z0-9._-]+")
#: Of a rep: only what leads may name them by.
ADDRESS = re.compile(r"[^@\s]+@[^@\s]+")
SLACK_ID = re.compile(r"[UW][A-Z0-9]{2,20}")
FORM_NAME = re.compile(r"[a-z0-9][a-z0-9_-]*")
DESTINATION_NAME = re.compile(r"[A-Za-z0-9._-]+")
#: Not `~` and not our own names: an alert's key is made of the step's name, and each key is one alert's.
STEP_NAME = re.compile(r"(?!reassigned-|sooner-|moved-|handed-out$|completed$|quarantined$)[^:~\s]{1,64}")
#: It stands in traces and in `owner_from`.
LOOKUP_NAME = FORM_NAME
#: How long a look-up is waited for.
LOOKUP_WAIT = re.compile(r"([1-9][0-9]{1,3}ms|[12]s)")
#: Of an answer: names of keys, numbers of a list's places, dots between them.
ANSWER_PATH = re.compile(r"[^.\s]+(?:\.[^.\s]+)*")
ENVIRONMENT_NAME = re.compile(r"[A-Z][A-Z0-9_]*")
SETTINGS_PREFIX = "STL_"
#: So many in a second, a minute, an hour.
RATE = re.compile(r"([1-9][0-9]{0,5})\s*/\s*([smh])")
TIME_OF_DAY = re.compile(r"([01]?[0-9]|2[0-3]):([0-5][0-9])")

#: The targets of steps that are no destinations of their own.
ROLES = ("rep", "manager", "team")
#: Besides them: a level of the team's escalation.
LEVEL_TARGET = re.compile(r"level:[1-9]")
#: Form tools that send ids and nothing else: without a token for their API nobody ever hears who a lead is.
IDS_ONLY = frozenset(("linkedin", "meta"))
#: Form tools that sign nothing, so that a secret would refuse everything: their forms need a token, or to say that they ask
#: for no proof.
UNSIGNED = frozenset(
    (
        "chili_piper",
        "cloudevents",
        "elementor",
        "fluent",
        "gravity",
        "jotform",
        "make",
        "salesforce_web_to_lead",
        "unbounce",
        "zapier",
    )
)
#: What form tools that can be asked what was sent to a form call it themselves, each with an example.
API_FORMS: Mapping[str, tuple[re.Pattern[str], str]] = {
    "calendly": (
        re.compile(r"https?://[^\s?#]+/(?:organizations|users|routing_forms)/[A-Za-z0-9-]{1,64}"),
        "https://api.calendly.com/organizations/AAAAAAAAAAAAAAAA",
    ),
    "hubspot": (re.compile(r"[A-Za-z0-9-]{1,64}"), "78c2891f-ebdd-44c0-bd94-15c012bbbfbf"),
    "jotform": (re.compile(r"[0-9]{1,24}"), "231234567890123"),
    "linkedin": (
        re.compile(r"urn:li:(?:sponsoredAccount|organization):[0-9]{1,24}"),
        "urn:li:sponsoredAccount:522529623",
    ),
    "meta": (re.compile(r"[0-9]{1,24}"), "1234567890123456"),
    "tally": (re.compile(r"[A-Za-z0-9_-]{1,64}"), "nP9995"),
    "typeform": (re.compile(r"[A-Za-z0-9_-]{1,64}"), "lT4Z3j"),
    "webflow": (
        re.compile(r"[A-Za-z0-9-]{1,64}(?:/[A-Za-z0-9-]{1,64})?"),
        "580e63e98c9a982ac9b8b741/580e63fc8c9a982ac9b8b745",
    ),
}
AUTHS = ("signature", "standard-webhooks", "token", "none")
MOST_WEIGHT = 100
MOST_LEVELS = 9
MOST_OPEN = 1_000_000
#: How another team is named where a word could stand too.
TO_TEAM = "team:"
#: No single fact says more of a lead, and sums stay readable.
MOST_POINTS = 1000


@dataclass(frozen=True)
class Shape:
    """One table: its keys, each with the JSON Schema of what it takes. `more` are further words of the table's schema."""

    keys: Mapping[str, Schema]
    required: tuple[str, ...] = ()
    more: Schema = field(default_factory=dict)

    def __iter__(self) -> Iterator[str]:
        return iter(self.keys)

    def schema(self) -> Schema:
        """The table as a JSON Schema; no other key is right."""
        required = {"required": list(self.required)} if self.required else {}
        return {
            "type": "object",
            "properties": dict(self.keys),
            **required,
            "additionalProperties": False,
            **self.more,
        }


# --- What a key takes ------------------------------------------------------------------------------------------


def text(description: str = "", **more: Any) -> Schema:
    """A text with something in it."""
    return _described({"type": "string", "pattern": r"\S", **more}, description)


def texts(description: str = "", item: Schema | None = None) -> Schema:
    """A text, or a list of texts."""
    one = item or text()
    return _described({"anyOf": [one, {"type": "array", "items": one}]}, description)


def choice(words: Any, description: str = "") -> Schema:
    """One of these words."""
    return _described({"enum": [str(word) for word in words]}, description)


def name_of(what: str, description: str = "") -> Schema:
    """A name that is defined elsewhere: any text, or one of the names of a config where they are known."""
    return _described({"$ref": f"#/$defs/{what}"}, description)


def whole_number(least: int, most: int, description: str = "") -> Schema:
    """A whole number, both ends included."""
    return _described({"type": "integer", "minimum": least, "maximum": most}, description)


def flag(description: str = "") -> Schema:
    """True or false."""
    return _described({"type": "boolean"}, description)


def written(pattern: str, description: str = "", *examples: str) -> Schema:
    """A text of this pattern, blanks around it aside."""
    shown = {"examples": list(examples)} if examples else {}
    return _described({"type": "string", "pattern": rf"^\s*(?:{pattern})\s*$", **shown}, description)


def exactly(pattern: re.Pattern[str], description: str = "", **more: Any) -> Schema:
    """A text that is this and nothing else."""
    return _described({"type": "string", "pattern": f"^(?:{pattern.pattern})$", **more}, description)


def listed(shape: "Shape | Schema", description: str = "") -> Schema:
    """A list of tables."""
    items = shape.schema() if isinstance(shape, Shape) else shape
    return _described({"type": "array", "items": items}, description)


def environment_name(description: str) -> Schema:
    """The name of an environment variable that is not one of our settings."""
    return exactly(ENVIRONMENT_NAME, description, **{"not": {"pattern": f"^{SETTINGS_PREFIX}"}})


def _described(schema: Schema, description: str) -> Schema:
    return {**schema, "description": description} if description else schema


_DURATION_TEXT = written(DURATION.pattern, "a duration: 90s, 5m, 24h, 3d", "5m", "24h", "3d")
_INSTANT = text('a time such as "2026-11-27 16:30 Europe/London" or "2026-11-27T16:30:00Z"')
_DUE = text('a time such as "2026-11-27 16:30 Europe/London", or one after receipt such as "+5m"')
#: As dates come in ISO 8601, and two of them with dots between.
_DAY = r"[0-9][0-9W-]{6,9}"


def _word_or_team(description: str, *words: str) -> Schema:
    """One of these words, or another team."""
    team = {"type": "string", "pattern": rf"^{TO_TEAM}\s*\S", "examples": [f"{TO_TEAM}triage"]}
    return _described({"anyOf": [{"enum": [str(word) for word in words]}, team]}, description)


_TARGETS = texts('"rep", "manager", "team", "level:2" or destinations', name_of("target"))
CONDITIONS = {"$ref": "#/$defs/conditions"}

#: What any destination may have, whatever its type.
QUIET = {
    "quiet_outside": name_of("calendar", "while this calendar is closed it hears of breaches only"),
    "quiet_breaches": flag("it does not hear of breaches either, until the calendar opens"),
    "digest_over": whole_number(1, 1000, "more alerts than this within digest_within become one digest"),
    "digest_within": _described(_DURATION_TEXT, "1m when left out, an hour at most"),
}

# --- sources.toml ----------------------------------------------------------------------------------------------

SOURCE = Shape(
    {
        "label": text("what people read; made from the name when left out"),
        "motion": choice(Motion, "how the conversation began"),
        "aliases": texts("what other tools call it; one word belongs to one source only"),
    },
    required=("motion",),
)
DETECTION = Shape(
    {
        "source": name_of("source", "the source of a lead that matches"),
        "when": CONDITIONS,
        "unless": CONDITIONS,
    },
    required=("source",),
)

AUDIT = Shape(
    {
        "quiet_after": _described(_DURATION_TEXT, "a source without leads for so long is told of"),
        "silent_at": whole_number(
            1, 1_000_000, "a form is silent when so many submissions were to be expected since its last one"
        ),
    }
)

# --- teams.toml ------------------------------------------------------------------------------------------------

HOLIDAYS = Shape(
    {
        "country": text('a country code such as "US"'),
        "subdivision": text('a subdivision code such as "NY"'),
        "add": texts("further closed days", written(_DAY, "a day", "2026-12-24")),
        "remove": texts("public holidays that are worked", written(_DAY, "a day", "2026-12-24")),
    },
    more={"dependentRequired": {"subdivision": ["country"]}},
)
_DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_DAY_NAMES = "monday|tuesday|wednesday|thursday|friday|saturday|sunday"
_ANY_DAY = "".join(
    f"[{letter}{letter.upper()}]" if letter.isalpha() else letter
    for letter in f"{'|'.join(_DAYS)}|{_DAY_NAMES}"
)
_SPANS = texts(
    'spans such as ["09:00-12:00", "13:00-17:30"]', written(SPAN.pattern, "", "09:00-17:30", "00:00-24:00")
)
HOURS: Schema = {
    "type": "object",
    "description": 'hours by weekday such as { mon-thu = ["09:00-12:00", "13:00-17:30"], fri = "09:00-16:00" }',
    "properties": dict.fromkeys(("mon-fri", "mon-sun", *_DAYS), _SPANS),
    "patternProperties": {rf"^\s*(?:{_ANY_DAY})\s*(?:-\s*(?:{_ANY_DAY})\s*)?$": _SPANS},
    "additionalProperties": False,
    "minProperties": 1,
}
CALENDAR = Shape(
    {
        "timezone": text(
            'an IANA time zone such as "Europe/London"', examples=["Europe/London", "America/New_York"]
        ),
        "hours": HOURS,
        "holidays": HOLIDAYS.schema(),
    },
    required=("timezone", "hours"),
)
REP = Shape(
    {
        "id": exactly(REP_ID, "letters, digits, dot, _ and -; the same id in two teams is the same person"),
        "name": text("the person's name"),
        "email": written(
            ADDRESS.pattern,
            "leads may name the rep by it (owner_from); nothing is sent to it",
            "ana@example.com",
        ),
        "slack_id": exactly(SLACK_ID, "the rep's member id in Slack: whose press on a button it was"),
        "notify": name_of("destination", "where this rep hears of leads; the manager does when left out"),
        "weight": whole_number(
            1, MOST_WEIGHT, "the share of a round robin: 2 is twice 1, which it is when left out"
        ),
        "max_open": whole_number(1, MOST_OPEN, "no more leads above so many open ones; no cap when left out"),
        "max_a_day": whole_number(
            1, MOST_OPEN, "no more leads on one day of this rep's own than so many; no cap when left out"
        ),
        "cooldown": _described(_DURATION_TEXT, "the least time between two leads"),
        "attributes": {
            "type": "object",
            "description": 'what the rep has, for a team that assigns by match: { language = ["de", "en"] }',
            "additionalProperties": texts("", text()),
        },
        "calendar": name_of("calendar", "this rep's own shift; the team's when left out"),
        "away": texts(
            "days, or spans of days with both ends included",
            written(rf"{_DAY}(?:\.\.\s*{_DAY})?", "", "2026-12-24", "2026-12-20..2027-01-02"),
        ),
    },
    required=("id",),
)
TEAM = Shape(
    {
        "calendar": name_of("calendar", "the hours SLAs count for this team"),
        "manager": name_of("destination", "who hears of breaches"),
        "levels": texts(
            "whom steps call level:1, level:2 and so on; the manager alone when left out",
            name_of("destination"),
        ),
        "assignment": choice(Assignment, "how leads are shared out; round_robin when left out"),
        "match": {
            "type": "object",
            "description": 'attributes of reps, each with the field of the lead it must fit: { language = "custom.language" }',
            "additionalProperties": text(),
            "minProperties": 1,
        },
        "when_no_match": _word_or_team("where nobody has the attributes", "anybody"),
        "when_nobody": _word_or_team("while nobody is available", WhenNobody.NEXT_ON_SHIFT, WhenNobody.QUEUE),
        "reps": listed(REP, "who gets its leads"),
    },
    required=("calendar", "manager"),
    more={
        "if": {
            "properties": {"assignment": {"const": Assignment.BY_FIELD.value}},
            "required": ["assignment"],
        },
        "then": {"required": ["match"]},
        "else": {"properties": {"match": False, "when_no_match": False}},
    },
)

# --- slas.toml -------------------------------------------------------------------------------------------------

STEP = Shape(
    {
        "at": written(
            rf"{PERCENT.pattern}|[+-]{DURATION.pattern}",
            '"60%" of the time to the deadline, "+10m" after it, "-5m" before it',
            "0%", "60%", "100%", "+10m", "-5m",
        ),
        "tell": _described(_TARGETS, "here is a lead"),
        "remind": _described(_TARGETS, "it is still waiting"),
        "alert": _described(_TARGETS, "it is late"),
        "reassign": flag("the lead goes to another rep of the team"),
        "only_when": name_of("calendar", "the step is left out where this calendar is closed at its instant"),
        "repeat": _described(_DURATION_TEXT, "it comes again every 15m, say, until the lead is answered"),
        "times": whole_number(1, MOST_REPEATS, f"how often it comes again at most; {REPEAT_TIMES} when left out"),
        "name": exactly(STEP_NAME, "a name for the step; the text of `at` when left out"),
    },
    required=("at",),
    more={
        "anyOf": [{"required": [deed]} for deed in ("tell", "remind", "alert", "reassign")],
        "dependentRequired": {"times": ["repeat"]},
    },
)  # fmt: skip
SLA_TABLE = Shape(
    {
        "respond_within": _described(_DURATION_TEXT, "how soon: 90s, 5m, 24h, 3d; either this or respond_by"),
        "respond_by": choice([CLOSE_OF_BUSINESS], "the last close of the business day"),
        "cutoff": written(
            rf"{TIME_OF_DAY.pattern}(?::[0-9.]+)?",
            "local; what comes from then on is due the next business day",
            "16:00",
        ),
        "clock": choice(Clock, "elapsed: every minute counts; business: the team calendar's open time only"),
        "hold": _described(
            _DURATION_TEXT,
            "how long an acknowledgement holds back reminders and re-assignment; 10m when left out",
        ),
        "steps": {**listed(STEP, "who hears of it, and when"), "minItems": 1},
    },
    more={
        "oneOf": [{"required": ["respond_within"]}, {"required": ["respond_by"]}],
        "dependentRequired": {"cutoff": ["respond_by"]},
    },
)

# --- routing.toml ----------------------------------------------------------------------------------------------

_TEAM_AND_SLA = {
    "team": name_of("team", "who gets the lead"),
    "sla": name_of("sla", "how soon it is answered"),
    "keep_with": choice(
        KeepWith, "whose rep a new lead stays with: that of the person, of the company too, or nobody's"
    ),
    "owner_from": text(
        'a field of the lead that names its rep, such as "custom.owner", or a look-up that does, such as "lookup:crm"',
        examples=["custom.owner", f"{TO_LOOKUP}crm"],
    ),
}
LOOKUP = Shape(
    {
        "url": {
            "type": "string",
            "pattern": r"^https?://[^\s#]+$",
            "examples": ["https://crm.example.com/owners?email={email}"],
            "description": "what is asked, with GET; {email} and {domain} may stand in its path and query",
        },
        "owner": exactly(
            ANSWER_PATH,
            "where the answer, JSON, has the rep's id, name or e-mail address: results.0.owner.email",
        ),
        "token_env": environment_name("the environment variable that holds a bearer token"),
        "timeout": exactly(
            LOOKUP_WAIT,
            f"how long a batch waits for all its answers, at most {LONGEST_WAIT.total_seconds():.0f}s; 1s when left out",
            examples=["500ms", "1s"],
        ),
    },
    required=("url", "owner"),
)
RULE = Shape(
    {
        "name": text("seen in traces and reports", **{"not": {"const": "default"}}),
        "when": CONDITIONS,
        "unless": CONDITIONS,
        **_TEAM_AND_SLA,
        "nurture": name_of("destination", "in place of team and sla: who feeds a sequence; no rep, no clock"),
    },
    required=("name",),
    more={
        "oneOf": [
            {"required": ["team", "sla"], "not": {"required": ["nurture"]}},
            {"required": ["nurture"], "properties": dict.fromkeys(_TEAM_AND_SLA, False)},
        ]
    },
)
DEFAULT = Shape(_TEAM_AND_SLA, required=("team", "sla"))
SAME_PERSON = Shape(
    {
        "within": _described(
            _DURATION_TEXT, "how far apart two submissions may be, and be one person's; 90d when left out"
        )
    },
    required=("within",),
)
RECEIVED = Shape(
    {"calendar": name_of("calendar", "whose clock received.weekday and received.hour are read from")},
    required=("calendar",),
)

# --- scoring.toml ----------------------------------------------------------------------------------------------

POINTS = Shape(
    {
        "name": text("seen in traces"),
        "points": {
            **whole_number(-MOST_POINTS, MOST_POINTS, "what it adds to the score; less than 0 takes away"),
            "not": {"const": 0},
        },
        "when": CONDITIONS,
        "unless": CONDITIONS,
    },
    required=("name", "points"),
)

# --- intake.toml -----------------------------------------------------------------------------------------------

_OPEN_DOOR: Schema = {"properties": {"auth": {"const": "none"}}, "required": ["auth"]}
FORM = Shape(
    {
        "provider": name_of("provider", "the tool that sends it"),
        "secret_env": environment_name("the environment variable that holds its signing secret"),
        "token_env": environment_name("the environment variable that holds a shared token"),
        "auth": choice(AUTHS, '"none", written out: anybody who knows the address may send leads'),
        "source": name_of("source", "the source every lead of this form has"),
        "verify_token_env": environment_name(
            "Meta: the environment variable with the word it sends at set-up"
        ),
        "api_token_env": environment_name(
            "the environment variable with the token for the tool's API: tools that send ids only, and api_forms"
        ),
        "api_url": {
            **text("the address of that API, where it is not the tool's own"),
            "pattern": r"^https?://[^\s?#]+$",
        },
        "wait_for_data": {
            **_DURATION_TEXT,
            "description": "tools that send ids only: how long a lead waits for its data; 60s where left out",
        },
        "api_forms": texts(
            "what the tool calls this form (or these): its list is compared with what arrived, every night"
        ),
        "honeypot": text("a field of the form that people do not see; whoever fills it in is flagged"),
        "rate_limit": written(
            RATE.pattern,
            "no more than so many in a second, minute or hour, however they are spread; no limit when left out",
            "10/s", "600/m",
        ),
        "fields": {
            "type": "object",
            "description": 'field of the lead = what selects it, such as { company = "ref:company_name" }',
            "properties": {
                **dict.fromkeys(LEAD_FIELDS, text()),
                "custom": {"type": "object", "additionalProperties": text()},
            },
            "patternProperties": {r"^custom\..": text()},
            "additionalProperties": False,
        },
    },
    required=("provider",),
    more={
        "oneOf": [{"required": ["secret_env"]}, {"required": ["token_env"]}, _OPEN_DOOR],
        "dependentRequired": {"api_forms": ["api_token_env"]},
    },
)  # fmt: skip

# --- retention.toml --------------------------------------------------------------------------------------------

KEEP = Shape({age.name: _DURATION_TEXT for age in fields(Retention)})

# --- tests/*.toml ----------------------------------------------------------------------------------------------

_LEAD: Schema = {
    "type": "object",
    "description": "the lead as a form sends it",
    "properties": {**{name: {} for name in LEAD_FIELDS}, "custom": {"type": "object"}},
}
EXPECTED_STEP = Shape(
    {
        "name": text("the name of a step: what its `at` says in slas.toml"),
        "at": _DUE,
        "tell": _TARGETS,
        "remind": _TARGETS,
        "alert": _TARGETS,
        "reassign": flag(),
    },
    required=("name",),
)
EXPECT = Shape(
    {
        "rule": name_of("rule"),
        "team": name_of("team"),
        "rep": texts('the rep who is picked first, or a list of those any of whom is right, or "nobody"'),
        "sla": name_of("sla"),
        "deadline": _DUE,
        "source": name_of("source"),
        "channel": {"type": "string"},
        "campaign": {"type": "string"},
        "steps": {**listed(EXPECTED_STEP, "steps that must be there, by name"), "minItems": 1},
        "on_shift": texts("exactly the reps who could answer at receipt"),
    },
    more={"minProperties": 1},
)
EXPECTATION = Shape(
    {
        "name": text("a sentence that says what must hold"),
        "received_at": _INSTANT,
        "form": name_of("form", "a form of intake.toml through which it comes"),
        "lead": _LEAD,
        "expect": EXPECT.schema(),
    },
    required=("name", "expect"),
)
EXPECTATIONS = Shape(
    {
        "received_at": _described(_INSTANT, "for each test that does not say it itself"),
        "lead": _described(_LEAD, "what each test's lead has that does not say it itself"),
        "tests": listed(EXPECTATION),
    },
    required=("tests",),
)
