"""Are the rules good, and is every secret they name set?"""

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime

from speed_to_lead.cli.doctor.diagnosis import Diagnosis, Severity
from speed_to_lead.config import ConfigError, Configuration, warnings_of
from speed_to_lead.core.submission import Form
from speed_to_lead.destinations import new_http_client, open_channel
from speed_to_lead.destinations.channel import RefusingChannel
from speed_to_lead.settings import Settings
from speed_to_lead.workplace import read_config

SHORTEST_TOKEN = 16


def check_rules(settings: Settings) -> tuple[Configuration | None, list[Diagnosis]]:
    """The rules, where they can be read, and what is wrong or doubtful in them."""
    try:
        configuration = read_config(settings.config_dir)
    except ConfigError as error:
        causes, to_do = "every process refuses to start", "mend it; `speed-to-lead config check` looks again"
        return None, [Diagnosis(Severity.PROBLEM, f"config: {one}", causes, to_do) for one in error.mistakes]
    doubts = [
        Diagnosis(Severity.WARNING, f"config: {one}") for one in warnings_of(configuration, datetime.now(UTC))
    ]
    named = f"config: {settings.config_dir} is good (digest {configuration.rulebook.digest})"
    return configuration, [Diagnosis(Severity.OK, named), *doubts]


def check_secrets(
    configuration: Configuration, settings: Settings, environment: Mapping[str, str]
) -> Iterator[Diagnosis]:
    """Secrets that config names and this shell does not have."""
    missing = 0
    for form in configuration.forms.values():
        variable = form.token_env if form.auth == "token" else form.secret_env
        if form.auth != "none" and not environment.get(variable or "", "").strip():
            missing += 1
            yield Diagnosis(
                Severity.PROBLEM,
                f'form "{form.name}": {variable} is not set',
                f"/hooks/{form.name} answers 503 to every submission",
                f"set {variable} to {_where_it_comes_from(form)}",
            )
    yield from _short_tokens(configuration, environment)
    used_by = _users_of_destinations(configuration)
    with new_http_client() as http:
        for destination in configuration.destinations.values():
            channel = open_channel(destination, http, environment)
            if isinstance(channel, RefusingChannel):
                missing += 1
                is_last = destination.name == settings.fallback_destination
                users = (
                    "; it is " + ", ".join(used_by[destination.name]) if destination.name in used_by else ""
                )
                yield Diagnosis(
                    Severity.PROBLEM if is_last or users else Severity.WARNING,
                    f'destination "{destination.name}": {channel.why}',
                    "what nobody else could be told is told to nobody"
                    if is_last
                    else f'its alerts go to the manager or to "{settings.fallback_destination}" instead{users}',
                    f"mend it, then try it: speed-to-lead alerts test {destination.name}",
                )
    if not missing:
        yield Diagnosis(Severity.OK, "secrets: every one that config names is set")


def _where_it_comes_from(form: Form) -> str:
    """Who says what a form's secret is."""
    if form.auth == "token":
        return "a token of your choice (openssl rand -hex 24), and give it to whatever sends"
    if form.auth == "standard-webhooks":
        return "the secret that the sender shows; it begins with whsec_"
    return f"the secret that {form.provider} shows for this webhook"


def _users_of_destinations(configuration: Configuration) -> dict[str, list[str]]:
    """What each destination is for, in words."""
    used: dict[str, list[str]] = {}
    for team in configuration.rulebook.teams.values():
        used.setdefault(team.manager, []).append(f"the manager of team {team.name}")
        for rep in team.reps:
            if rep.notify:
                used.setdefault(rep.notify, []).append(f"how {rep.id} hears of leads")
    for sla in configuration.rulebook.slas.values():
        for step in sla.steps:
            for target in (*step.tell, *step.remind, *step.alert):
                if target in configuration.destinations:
                    used.setdefault(target, []).append(f"told by step {step.name} of SLA {sla.name}")
    return used


def _short_tokens(configuration: Configuration, environment: Mapping[str, str]) -> Iterator[Diagnosis]:
    """Shared tokens that could be guessed."""
    for form in configuration.forms.values():
        token = environment.get(form.token_env or "", "").strip()
        if form.auth == "token" and 0 < len(token) < SHORTEST_TOKEN:
            yield Diagnosis(
                Severity.WARNING,
                f'form "{form.name}": the token in {form.token_env} has fewer than {SHORTEST_TOKEN} characters',
                f"whoever guesses it may post leads to /hooks/{form.name}",
                "use a longer one (openssl rand -hex 24), in the form tool too",
            )
