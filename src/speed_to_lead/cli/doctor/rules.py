"""Are the rules good, and is every secret they name set?"""

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta

from speed_to_lead.cli.doctor.diagnosis import Diagnosis, Severity
from speed_to_lead.cli.output import counted
from speed_to_lead.cli.rollout import directory_note, refusal_in_words, rollout_of, version_in_words
from speed_to_lead.cli.rules_in_use import version_line
from speed_to_lead.config import ConfigError, Configuration, warnings_of
from speed_to_lead.core.submission import Form
from speed_to_lead.destinations import new_http_client, open_channel
from speed_to_lead.destinations.channel import RefusingChannel
from speed_to_lead.forms import ASK_BACK
from speed_to_lead.settings import Settings
from speed_to_lead.store import ConfigVersion, Store
from speed_to_lead.workplace import read_config

SHORTEST_TOKEN = 16
#: Thousands of rules take a process seconds to load; who has not switched after this long does not.
TIME_TO_SWITCH = timedelta(seconds=30)


def check_rules(
    settings: Settings, live: tuple[ConfigVersion, Mapping[str, bytes]] | None
) -> tuple[Configuration | None, list[Diagnosis]]:
    """The rules that count, where they can be read, and what is wrong or doubtful in them: those that are live, else the directory's."""
    where = str(settings.config_dir) if live is None else f"{version_line(live[0])}, which is live,"
    try:
        configuration = read_config(settings.config_dir if live is None else live[1])
    except ConfigError as error:
        causes, to_do = "every process refuses to start", "mend it; `speed-to-lead config check` looks again"
        if live is not None:
            causes = "a process of this release that starts works with an older version"
            to_do = "publish one that this release can read: speed-to-lead config apply, or config rollback N"
        return None, [Diagnosis(Severity.PROBLEM, f"config: {one}", causes, to_do) for one in error.mistakes]
    doubts = [
        Diagnosis(Severity.WARNING, f"config: {one}") for one in warnings_of(configuration, datetime.now(UTC))
    ]
    digest = f" (digest {configuration.rulebook.digest})" if live is None else ""
    named = f"config: {where} is good{digest}"
    return configuration, [Diagnosis(Severity.OK, named), *doubts]


def check_rollout(store: Store, settings: Settings) -> Iterator[Diagnosis]:
    """Does every process work with what is live, and does anybody edit a directory that nobody reads?"""
    rollout = rollout_of(store)
    live = rollout.live
    for name, said in rollout.refusing.items():
        yield Diagnosis(
            Severity.PROBLEM,
            f"config: version {live.number if live else 0} is refused by {refusal_in_words(name, said)}",
            "its leads are decided by older rules than those of the other processes",
            "mend what it says; or bring back a version that all can use: speed-to-lead config rollback N",
        )
    if live is not None and rollout.behind and rollout.now - live.at > TIME_TO_SWITCH:
        yield Diagnosis(
            Severity.PROBLEM,
            f"config: version {live.number} is live, and not worked with by {', '.join(rollout.behind)}",
            "its leads are decided by other rules than those of the other processes",
            "restart it; one of an older release reads its own directory, so upgrade it",
        )
    if live is None and len(rollout.digests) > 1:
        yield Diagnosis(
            Severity.WARNING,
            f"config: the processes work with different ones: {', '.join(sorted(rollout.digests))}",
            "which rules a lead meets depends on which process takes it",
            "publish one for all of them: speed-to-lead config apply",
        )
    if (here := directory_note(settings.config_dir, rollout)) is not None:
        yield Diagnosis(Severity.WARNING, f"config: {here[0]}", *here[1:])
    if live is not None and not rollout.refusing and not rollout.behind:
        number = counted(len(rollout.processes), "process works", "processes work")
        yield Diagnosis(Severity.OK, f"config: {number} with {version_in_words(live, rollout.now)}")


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
        if (
            form.provider in ASK_BACK
            and form.api_token_env
            and not environment.get(form.api_token_env, "").strip()
        ):
            missing += 1
            yield Diagnosis(
                Severity.PROBLEM,
                f'form "{form.name}": {form.api_token_env} is not set',
                f"{form.provider} cannot be asked who its leads are: they go to reps without name or number",
                f"set {form.api_token_env} to a token for the API of {form.provider}, for the courier",
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
