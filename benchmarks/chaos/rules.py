"""The rules of a chaos run: small teams, SLAs of seconds, and a destination of every kind, all of them at the sink.

They stand here as plain tables, and config/*.toml is written from them: so the checker can work out by itself what the
rules call for, without asking speed-to-lead. A new kind of destination joins by a line in RECEIVERS.
"""

import base64
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

#: What form tools are told to call; HubSpot signs it. Nobody ever connects to it.
PUBLIC_URL: Final = "https://leads.example.com"
#: Hears what no other destination could be told; the sink never refuses it for ever.
FALLBACK: Final = "fallback"

# --- Calendars, teams, reps ------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Calendar:
    """Opening spans of every day, as wall times in `timezone`."""

    timezone: str
    spans: tuple[str, ...]


CALENDARS: Final[Mapping[str, Calendar]] = {
    "always": Calendar("UTC", ("00:00-24:00",)),
    # Eighteen minutes open, two closed, so that a run meets closed time as well.
    "breaks": Calendar(
        "Asia/Kolkata",
        tuple(f"{m // 60:02}:{m % 60:02}-{(m + 18) // 60:02}:{(m + 18) % 60:02}" for m in range(0, 1440, 20)),
    ),
}


@dataclass(frozen=True, slots=True)
class Rep:
    """One rep; `notify` is a destination, "" where the manager hears instead."""

    id: str
    notify: str = ""
    weight: int = 1
    max_open: int = 0


@dataclass(frozen=True, slots=True)
class Team:
    """One team; `manager` is a destination."""

    calendar: str
    manager: str
    assignment: str
    reps: tuple[Rep, ...]

    def rep(self, rep_id: str | None) -> Rep | None:
        """The rep of that id, or None."""
        return next((rep for rep in self.reps if rep.id == rep_id), None)


TEAMS: Final[Mapping[str, Team]] = {
    "alpha": Team(
        "always",
        "alpha-manager",
        "round_robin",
        (Rep("ada", "alpha-desk", 2), Rep("alan", "alpha-desk"), Rep("amos", "alpha-chat"), Rep("avis")),
    ),
    "beta": Team(
        "breaks",
        "beta-chat",
        "least_open",
        (
            Rep("bea", "beta-desk", max_open=5),
            Rep("ben", "beta-desk"),
            Rep("bill", "beta-desk", 3),
            Rep("bo", "alpha-chat", max_open=8),
            Rep("brit"),
        ),
    ),
    "gamma": Team(
        "always",
        "gamma-mail",
        "round_robin",
        (
            Rep("gail", "gamma-desk"),
            Rep("gus", "gamma-mail"),
            Rep("guy", "gamma-desk"),
            Rep("gwen", "gamma-phone"),
        ),
    ),
    "triage": Team(
        "always",
        "alpha-manager",
        "least_open",
        (
            Rep("tara", "triage-desk"),
            Rep("ted", "triage-desk"),
            Rep("tess", "triage-desk"),
            Rep("tim", "triage-cards"),
            Rep("tom", "triage-cards"),
        ),
    ),
}

# --- SLAs and routing ------------------------------------------------------------------------------------------


#: How long an acknowledgement holds back reminders and re-assignment here.
HOLD_SECONDS = 1


@dataclass(frozen=True, slots=True)
class Step:
    """One rung: `at` as config writes it, and its targets."""

    at: str
    tell: tuple[str, ...] = ()
    remind: tuple[str, ...] = ()
    alert: tuple[str, ...] = ()
    reassign: bool = False


@dataclass(frozen=True, slots=True)
class SLA:
    """`within` in whole seconds, or None for the close of business."""

    within: int | None
    business: bool
    steps: tuple[Step, ...]


SLAS: Final[Mapping[str, SLA]] = {
    "fast": SLA(
        6,
        business=False,
        steps=(
            Step("0%", tell=("rep",)),
            Step("50%", remind=("rep", "duty")),
            Step("100%", alert=("manager", "oncall"), reassign=True),
            Step("+4s", alert=("head",)),
            Step("+9s", alert=("manager", "rep")),
        ),
    ),
    "steady": SLA(
        16,
        business=False,
        steps=(
            Step("0%", tell=("rep", "head")),
            Step("-5s", remind=("rep",)),
            Step("100%", alert=("manager", "head"), reassign=True),
            Step("+6s", reassign=True),
            Step("+12s", alert=("head",), reassign=True),
        ),
    ),
    "business": SLA(
        20,
        business=True,
        steps=(
            Step("0%", tell=("rep",)),
            Step("60%", remind=("rep", "manager"), alert=("duty",)),
            Step("100%", alert=("manager",), reassign=True),
            Step("+5s", alert=("head", "oncall")),
        ),
    ),
    "today": SLA(
        None, business=True, steps=(Step("0%", tell=("rep",)), Step("100%", alert=("manager", "head")))
    ),
    # No ladder in config: the default one.
    "plain": SLA(10, business=False, steps=(Step("0%", tell=("rep",)), Step("100%", alert=("manager",)))),
}


@dataclass(frozen=True, slots=True)
class Route:
    """Where the leads of one source go."""

    team: str
    sla: str


#: By source. A source that is not here goes to DEFAULT.
ROUTES: Final[Mapping[str, Route]] = {
    "demo": Route("alpha", "fast"),
    "referral": Route("beta", "business"),
    "signup": Route("gamma", "steady"),
    "partner": Route("beta", "today"),
    "list": Route("gamma", "plain"),
}
SOURCES: Final = (*ROUTES, "newsletter")
DEFAULT: Final = Route("triage", "steady")

# --- Destinations ----------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Receiver:
    """How one kind of destination is pointed at the sink: its lines of alerts.toml and its environment variables.

    `recognises_repeats`: whether it tells a repeat by the alert's key, so that an attempt of unknown outcome may be
    made again and again; elsewhere it is made once more at the most. `has_incidents`: whether all about one lead is one incident there, which ends when
    the lead is answered. `why_not`: why the sink cannot play this kind.
    """

    recognises_repeats: bool = False
    has_incidents: bool = False
    configure: Callable[[str, str], tuple[list[str], dict[str, str]]] | None = None
    why_not: str = ""


def _variable(name: str, what: str) -> str:
    return f"CHAOS_{name.upper().replace('-', '_')}_{what}"


def secret_of(name: str) -> str:
    """The secret of a destination or form."""
    return f"chaos-secret-of-{name}-0123456789"


def webhook_secret(name: str) -> str:
    """The Standard Webhooks secret of a destination or form."""
    return "whsec_" + base64.b64encode(secret_of(name).encode()).decode()


def _webhook(name: str, sink_url: str) -> tuple[list[str], dict[str, str]]:
    url, secret = _variable(name, "URL"), _variable(name, "SECRET")
    return (
        [f'url_env = "{url}"', f'secret_env = "{secret}"'],
        {url: f"{sink_url}/webhook/{name}/{secret_of(name)}", secret: webhook_secret(name)},
    )


def _slack(name: str, sink_url: str) -> tuple[list[str], dict[str, str]]:
    url = _variable(name, "URL")
    return [f'url_env = "{url}"'], {url: f"{sink_url}/slack/{name}/{secret_of(name)}"}


def _by_address(kind: str) -> Callable[[str, str], tuple[list[str], dict[str, str]]]:
    """A kind whose address is all there is to it."""

    def configure(name: str, sink_url: str) -> tuple[list[str], dict[str, str]]:
        url = _variable(name, "URL")
        return [f'url_env = "{url}"'], {url: f"{sink_url}/{kind}/{name}/{secret_of(name)}?key=k"}

    return configure


def _pagerduty(name: str, sink_url: str) -> tuple[list[str], dict[str, str]]:
    key = _variable(name, "ROUTING_KEY")
    lines = [f'routing_key_env = "{key}"', f'base_url = "{sink_url}/pagerduty/{name}"']
    return lines, {key: secret_of(name)}


def _opsgenie(name: str, sink_url: str) -> tuple[list[str], dict[str, str]]:
    key = _variable(name, "KEY")
    return [f'key_env = "{key}"', f'base_url = "{sink_url}/opsgenie/{name}"'], {key: secret_of(name)}


def _sms(name: str, sink_url: str) -> tuple[list[str], dict[str, str]]:
    sid, token = _variable(name, "SID"), _variable(name, "TOKEN")
    lines = [
        'to = "+15550100123"',
        'from = "+15550100199"',
        f'account_sid_env = "{sid}"',
        f'auth_token_env = "{token}"',
        f'base_url = "{sink_url}/sms/{name}"',
    ]
    return lines, {sid: f"AC{'0' * 32}", token: secret_of(name)}


def _email(name: str, sink_url: str) -> tuple[list[str], dict[str, str]]:
    variable = _variable(name, "SMTP")
    at = urlsplit(sink_url)
    lines = [f'to = ["{name}@desks.example.com"]', f'smtp_url_env = "{variable}"']
    return lines, {variable: f"smtp://{at.hostname}:{smtp_port(at.port or 80)}"}


def smtp_port(http_port: int) -> int:
    """The sink takes mail one port above the one it takes HTTP on."""
    return http_port + 1


#: Every kind of destination there is; a test compares them with the product's registry.
RECEIVERS: Final[Mapping[str, Receiver]] = {
    "webhook": Receiver(recognises_repeats=True, configure=_webhook),
    "slack": Receiver(configure=_slack),
    "email": Receiver(configure=_email),
    "discord": Receiver(configure=_by_address("discord")),
    "google_chat": Receiver(configure=_by_address("google_chat")),
    "teams": Receiver(configure=_by_address("teams")),
    "sms": Receiver(configure=_sms),
    "pagerduty": Receiver(recognises_repeats=True, has_incidents=True, configure=_pagerduty),
    "opsgenie": Receiver(recognises_repeats=True, has_incidents=True, configure=_opsgenie),
    "apprise": Receiver(why_not="it has a client of its own, and says no more than yes or no"),
    "console": Receiver(
        why_not="it prints where its courier runs: nobody outside could say what was heard, and the logs would hold names"
    ),
}

#: Name → kind. Several of each, so that one in trouble can be seen not to delay the others.
DESTINATIONS: Final[Mapping[str, str]] = {
    "alpha-desk": "webhook",
    "alpha-chat": "slack",
    "alpha-manager": "webhook",
    "beta-desk": "webhook",
    "beta-chat": "discord",
    "gamma-desk": "webhook",
    "gamma-mail": "email",
    "gamma-phone": "sms",
    "triage-desk": "google_chat",
    "triage-cards": "teams",
    "oncall": "pagerduty",
    "duty": "opsgenie",
    "head": "webhook",
    FALLBACK: "webhook",
}


#: The one that now and then says that it is gone (410): it is sent nothing more for an hour then, which is most of a run.
GOES_AWAY: Final = "head"


def has_incidents(destination: str) -> bool:
    """Whether all about one lead is one incident at the destination."""
    return RECEIVERS[DESTINATIONS[destination]].has_incidents


def recognises_repeats(destination: str) -> bool:
    """Whether the destination tells a repeat by the alert's key."""
    return RECEIVERS[DESTINATIONS[destination]].recognises_repeats


# --- Forms -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Form:
    """One form of intake.toml. `auth` is "secret", "token" or "none"; without a `source` the submission says it."""

    provider: str
    auth: str
    secret: str = ""
    source: str = ""


FORMS: Final[Mapping[str, Form]] = {
    "typeform-demo": Form("typeform", "secret", secret_of("typeform-demo"), "demo"),
    "typeform-any": Form("typeform", "secret", secret_of("typeform-any")),
    "hubspot-referral": Form("hubspot", "secret", secret_of("hubspot-referral"), "referral"),
    "signed-signup": Form("generic", "secret", webhook_secret("signed-signup"), "signup"),
    "token-list": Form("generic", "token", secret_of("token-list"), "list"),
    "open-page": Form("generic", "none"),
    "calendly-demo": Form("calendly", "secret", secret_of("calendly-demo"), "demo"),
    "tally-demo": Form("tally", "secret", secret_of("tally-demo"), "demo"),
    "webflow-demo": Form("webflow", "secret", secret_of("webflow-demo"), "demo"),
    "formstack-list": Form("formstack", "secret", secret_of("formstack-list"), "list"),
    "jotform-list": Form("jotform", "token", secret_of("jotform-list"), "list"),
    "gravity-list": Form("gravity", "token", secret_of("gravity-list"), "list"),
    "elementor-list": Form("elementor", "token", secret_of("elementor-list"), "list"),
    "fluent-list": Form("fluent", "token", secret_of("fluent-list"), "list"),
    "unbounce-list": Form("unbounce", "token", secret_of("unbounce-list"), "list"),
    "salesforce-page": Form("salesforce_web_to_lead", "none"),
    "ads-form": Form("google_ads", "secret", secret_of("ads-form"), "demo"),
    "chat": Form("intercom", "secret", secret_of("chat"), "demo"),
    "people": Form("segment", "secret", secret_of("people"), "list"),
    "meetings": Form("chili_piper", "token", secret_of("meetings"), "demo"),
    "signed-standard": Form("standard_webhooks", "secret", webhook_secret("signed-standard"), "signup"),
    "events": Form("cloudevents", "token", secret_of("events"), "signup"),
    "zaps": Form("zapier", "token", secret_of("zaps"), "list"),
    "scenarios": Form("make", "token", secret_of("scenarios"), "list"),
}

#: Form tools without a form here, and why.
NO_FORM: Final[Mapping[str, str]] = {
    "linkedin": "it sends ids only; without LinkedIn's API nobody is in what it sends",
    "meta": "it sends ids only; without Meta's API nobody is in what it sends",
}


def route_of(source: str) -> Route:
    """Team and SLA of a lead by its source."""
    return ROUTES.get(source, DEFAULT)


# --- Writing it down -------------------------------------------------------------------------------------------


def write_config(directory: Path, sink_url: str) -> dict[str, str]:
    """Write config/*.toml for a run whose alerts go to the sink; the environment variables they need."""
    directory.mkdir(parents=True, exist_ok=True)
    environment = {"STL_PUBLIC_URL": PUBLIC_URL, "STL_FALLBACK_DESTINATION": FALLBACK}
    alerts: list[str] = []
    for name, kind in DESTINATIONS.items():
        configure = RECEIVERS[kind].configure
        assert configure is not None, RECEIVERS[kind].why_not
        lines, variables = configure(name, sink_url)
        environment |= variables
        alerts += [f"[destinations.{name}]", f'type = "{kind}"', *lines]
    forms: list[str] = []
    for name, form in FORMS.items():
        forms += [f"[forms.{name}]", f'provider = "{form.provider}"']
        if form.auth == "none":
            forms.append('auth = "none"')
        else:
            variable = _variable(name, form.auth.upper())
            forms.append(f'{form.auth}_env = "{variable}"')
            environment[variable] = form.secret
        if form.source:
            forms.append(f'source = "{form.source}"')
    files = {
        "alerts.toml": alerts,
        "intake.toml": forms,
        "sources.toml": [f'[sources.{name}]\nmotion = "inbound"' for name in SOURCES],
        "routing.toml": _routing_lines(),
        "slas.toml": _sla_lines(),
        "teams.toml": _team_lines(),
    }
    for file, lines in files.items():
        (directory / file).write_text("\n".join(lines) + "\n", encoding="utf-8")
    return environment


def _routing_lines() -> list[str]:
    lines: list[str] = []
    for source, route in ROUTES.items():
        lines += [
            "[[rules]]",
            f'name = "leads of {source}"',
            f'when.source = "{source}"',
            f'team = "{route.team}"',
            f'sla = "{route.sla}"',
        ]
    return [*lines, "[default]", f'team = "{DEFAULT.team}"', f'sla = "{DEFAULT.sla}"']


def _sla_lines() -> list[str]:
    lines: list[str] = []
    for name, sla in SLAS.items():
        lines.append(f"[slas.{name}]")
        lines.append(
            'respond_by = "close_of_business"' if sla.within is None else f'respond_within = "{sla.within}s"'
        )
        if sla.business:
            lines.append('clock = "business"')
        if name != "plain":
            steps = ",\n".join(_step_line(step) for step in sla.steps)
            lines += [f'hold = "{HOLD_SECONDS}s"', f"steps = [\n{steps},\n]"]
    return lines


def _step_line(step: Step) -> str:
    parts = [f'at = "{step.at}"']
    parts += [
        f"{key} = {json.dumps(targets)}"
        for key, targets in (("tell", step.tell), ("remind", step.remind), ("alert", step.alert))
        if targets
    ]
    if step.reassign:
        parts.append("reassign = true")
    return f"  {{ {', '.join(parts)} }}"


def _team_lines() -> list[str]:
    lines: list[str] = []
    for name, calendar in CALENDARS.items():
        lines += [
            f"[calendars.{name}]",
            f'timezone = "{calendar.timezone}"',
            f"hours = {{ mon-sun = {json.dumps(calendar.spans)} }}",
        ]
    for name, team in TEAMS.items():
        lines += [
            f"[teams.{name}]",
            f'calendar = "{team.calendar}"',
            f'manager = "{team.manager}"',
            f'assignment = "{team.assignment}"',
        ]
        for rep in team.reps:
            lines += [f"[[teams.{name}.reps]]", f'id = "{rep.id}"', f'name = "{rep.id.title()}"']
            if rep.notify:
                lines.append(f'notify = "{rep.notify}"')
            if rep.weight != 1:
                lines.append(f"weight = {rep.weight}")
            if rep.max_open:
                lines.append(f"max_open = {rep.max_open}")
    return lines
