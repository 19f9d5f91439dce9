"""`doctor`: what is wrong with this set-up, what that costs, and how to mend it.

Settings and rules first, then the server, then what runs on it; each part is looked at as far as the ones before
allow. Every finding says three things: what, what it causes, what to do.
"""

import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer
from pydantic import ValidationError

from speed_to_lead.address import hosts_of, sentinel_address
from speed_to_lead.cli.connect import why_unavailable
from speed_to_lead.cli.operate import balance_in_words, pulses_of, stages_of
from speed_to_lead.cli.output import counted, safe, say, say_json
from speed_to_lead.cli.rules import JsonOption
from speed_to_lead.cli.up import SECRETS_FILE
from speed_to_lead.config import ConfigError, Configuration, warnings_of
from speed_to_lead.core.message import span_text
from speed_to_lead.core.submission import Form
from speed_to_lead.destinations import new_http_client, open_channel
from speed_to_lead.destinations.channel import RefusingChannel
from speed_to_lead.logs import set_up_logs
from speed_to_lead.settings import Settings, SettingsError, load_settings
from speed_to_lead.store import ServerPolicy, Store, StoreUnavailable, open_store
from speed_to_lead.workplace import evicts, read_config, vault_of

#: Clocks may differ by this much before somebody should look.
MAX_DRIFT = 1.0
#: A key that runs out within this time should be followed by a new one.
KEY_NOTICE = timedelta(days=14)
SHORTEST_TOKEN = 16
#: The oldest server with the commands we use (ZADD GT, XAUTOCLAIM, ZMSCORE).
LEAST_VERSION = (6, 2)


#: Records opened to see whether the keys for them are set.
LOOKED_AT_FOR_KEYS = 100


class Severity(StrEnum):
    """`problem`: leads or alerts are lost, late or refused. `warning`: they may be. `ok`: looked at and fine."""

    PROBLEM = "problem"
    WARNING = "warning"
    OK = "ok"


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """One finding: what was found, what it causes, what to do."""

    severity: Severity
    what: str
    causes: str = ""
    to_do: str = ""


def doctor(
    skip_processes: Annotated[
        bool, typer.Option("--skip-processes", help="Do not ask whether the workers are running.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """What is wrong with this set-up, what it causes, and how to mend it. Exit 1 with problems."""
    set_up_logs("error")
    found = list(diagnoses(dict(os.environ), with_processes=not skip_processes))
    problems = sum(one.severity is Severity.PROBLEM for one in found)
    warnings = sum(one.severity is Severity.WARNING for one in found)
    if as_json:
        say_json({"problems": problems, "warnings": warnings, "findings": [asdict(one) for one in found]})
    else:
        for one in found:
            _tell(one)
        say(f"{counted(problems, 'problem')}, {counted(warnings, 'warning')}.")
    if problems:
        raise typer.Exit(1)


def _tell(one: Diagnosis) -> None:
    say(f"{one.severity.value.ljust(8)} {safe(one.what)}")
    for label, text in (("so:", one.causes), ("do:", one.to_do)):
        if text:
            say(f"{' ' * 9}{label} {safe(text)}")


def diagnoses(environment: dict[str, str], *, with_processes: bool) -> Iterator[Diagnosis]:
    """Every finding, in the order in which they are best mended."""
    settings, wrong = _settings()
    yield from wrong
    is_whole = settings is not None
    if settings is None:  # the rules can be looked at all the same
        settings = Settings.model_construct(config_dir=Path(environment.get("STL_CONFIG_DIR") or "config"))
    environment = _made_up_by_up(settings) | environment
    configuration, wrong = _rules(settings)
    yield from wrong
    if configuration is not None:
        yield from _secrets(configuration, settings, environment)
    if not is_whole:
        return
    yield from _addresses(configuration, settings, environment)
    yield from _server(settings, with_processes=with_processes)


# --- settings and rules ----------------------------------------------------------------------------------------


def _settings() -> tuple[Settings | None, list[Diagnosis]]:
    """The settings, also where only a name is mistyped, so that the rest can be looked at."""
    try:
        return load_settings(), [Diagnosis(Severity.OK, "settings: every variable is understood")]
    except SettingsError as error:
        found = [
            Diagnosis(
                Severity.PROBLEM,
                f"settings: {line}",
                "every process refuses to start",
                "mend or unset the variable",
            )
            for line in str(error).splitlines()
        ]
    try:
        return Settings(), found
    except ValidationError:
        return None, found


def _rules(settings: Settings) -> tuple[Configuration | None, list[Diagnosis]]:
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


def _made_up_by_up(settings: Settings) -> dict[str, str]:
    """The secrets that `speed-to-lead up` made up for its own processes, where it is what runs here."""
    if settings.redis_url:
        return {}
    try:
        lines = (settings.data_dir / SECRETS_FILE).read_text().splitlines()
    except (OSError, ValueError):
        return {}
    pairs = (line.partition("=") for line in lines)
    return {name.strip(): value.strip() for name, sign, value in pairs if sign}


def _where_it_comes_from(form: Form) -> str:
    """Who says what a form's secret is."""
    if form.auth == "token":
        return "a token of your choice (openssl rand -hex 24), and give it to whatever sends"
    if form.auth == "standard-webhooks":
        return "the secret that the sender shows; it begins with whsec_"
    return f"the secret that {form.provider} shows for this webhook"


def _secrets(
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


def _addresses(
    configuration: Configuration | None, settings: Settings, environment: Mapping[str, str]
) -> Iterator[Diagnosis]:
    """Who can reach us, and who hears what nobody else could be told."""
    forms = configuration.forms.values() if configuration is not None else ()
    by_url = [form.name for form in forms if form.provider == "hubspot" and form.auth == "signature"]
    if by_url and not settings.public_url:
        yield Diagnosis(
            Severity.WARNING,
            f"STL_PUBLIC_URL is not set, and form {', '.join(by_url)} is HubSpot's",
            "HubSpot signs the public address it calls; behind a proxy every submission is refused with 401",
            "set STL_PUBLIC_URL to the address HubSpot was given, without the path, such as https://leads.example.com",
        )
    elif not settings.public_url:
        yield Diagnosis(
            Severity.WARNING,
            "STL_PUBLIC_URL is not set",
            "alerts hold no link to the lead",
            "set it to the address people reach this at, such as https://leads.example.com",
        )
    yield from _keys(settings, environment)
    fallback = settings.fallback_destination
    known = configuration.destinations if configuration is not None else {}
    if configuration is not None and fallback not in known:
        yield Diagnosis(
            Severity.PROBLEM,
            f'STL_FALLBACK_DESTINATION: alerts.toml has no destination "{fallback}"',
            "every process refuses to start",
            f"set it to one of {', '.join(sorted(known))}",
        )
    elif fallback in known and known[fallback].type == "console":
        yield Diagnosis(
            Severity.WARNING,
            f'the fallback destination is "{fallback}", which only prints',
            "an alert that nobody could be told, and a stage that stops, reach nobody unless somebody reads the logs",
            "set STL_FALLBACK_DESTINATION to a destination that wakes somebody",
        )


def _keys(settings: Settings, environment: Mapping[str, str]) -> Iterator[Diagnosis]:
    """Who may use /v1 and look at the pages."""
    keys = settings.keys
    if not keys and not environment.get("STL_API_KEYS"):
        yield Diagnosis(
            Severity.WARNING,
            "STL_API_KEYS is not set",
            "/v1 refuses every program, and every page everybody; hooks and this command line work",
            "make a key: speed-to-lead keys new NAME --scopes read,write",
        )
    plain = sum(key.is_plain for key in keys)
    if plain:
        yield Diagnosis(
            Severity.WARNING,
            f"STL_API_KEYS holds {counted(plain, 'key')} in the clear",
            "whoever reads this environment may do everything over HTTP",
            "replace it by an entry with a hash: speed-to-lead keys new NAME --scopes read,write",
        )
    now = datetime.now(UTC)
    good = {key.name for key in keys if key.is_good_at(now + KEY_NOTICE)}
    for key in keys:
        if key.until is not None and not key.is_good_at(now + KEY_NOTICE) and key.name not in good:
            is_over = not key.is_good_at(now)
            yield Diagnosis(
                Severity.WARNING,
                f"API key {key.name} {'ran out on' if is_over else 'runs out after'} {key.until.isoformat()}",
                f"whoever uses it {'is' if is_over else 'will be'} refused with 401",
                f"make a new one and add it: speed-to-lead keys new {key.name}; remove the old entry once it is out of use",
            )


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


# --- the server ------------------------------------------------------------------------------------------------


def _server(settings: Settings, *, with_processes: bool) -> Iterator[Diagnosis]:
    url = settings.server_url
    if url is None:
        yield Diagnosis(
            Severity.PROBLEM,
            f'server: REDIS_URL is not set, and no `speed-to-lead up` keeps its data in "{settings.data_dir}"',
            "nothing can be stored",
            "set REDIS_URL, start `speed-to-lead up`, or name its data directory in STL_DATA_DIR",
        )
        return
    try:
        store = open_store(url, settings.key_prefix, settings.confirm_replicas, vault_of(settings))
    except SettingsError as error:
        what, _, to_do = str(error).partition("; ")
        yield Diagnosis(Severity.PROBLEM, f"settings: {what}", "every process refuses to start", to_do)
        return
    except ValueError:
        yield Diagnosis(
            Severity.PROBLEM,
            "server: REDIS_URL is no address of a server",
            "nothing can be stored",
            "write it as redis://HOST:6379/0, rediss://… for TLS, unix:///path/to/socket, or "
            "redis+sentinel://HOST:26379,HOST:26379,HOST:26379/NAME",
        )
        return
    try:
        policy = store.operations.policy()
        yield from _policy(policy, hosts_of(url))
        yield from _replicas(
            policy, settings.confirm_replicas, has_sentinels=sentinel_address(url) is not None
        )
        yield from _encryption(store, settings)
        yield from _work(store, with_processes=with_processes)
    except StoreUnavailable as error:
        what, _, to_do = why_unavailable(error).partition("; ")
        yield Diagnosis(Severity.PROBLEM, what, "nothing can be stored, routed or alerted", to_do)
    finally:
        store.close()


def _encryption(store: Store, settings: Settings) -> Iterator[Diagnosis]:
    """Can what is encrypted be read?"""
    locked = store.privacy.locked_among_newest(LOOKED_AT_FOR_KEYS)
    if locked:
        yield Diagnosis(
            Severity.PROBLEM,
            f"encryption: {counted(locked, 'record')} of the newest {LOOKED_AT_FOR_KEYS} "
            f"{'needs' if locked == 1 else 'need'} a key that is not set",
            "processes refuse to start, and those leads cannot be worked on",
            "add the key to STL_ENCRYPTION_KEYS; the first encrypts, all decrypt",
        )
    elif settings.encryption_keys.get_secret_value():
        yield Diagnosis(
            Severity.OK, "encryption: personal data is encrypted, and the newest records can be read"
        )


def _policy(policy: ServerPolicy, named: str) -> Iterator[Diagnosis]:
    """How the server is set up: will it keep what it was given?"""
    version = tuple(int(part) for part in re.findall(r"\d+", policy.version)[:2])
    if version and version < LEAST_VERSION:
        yield Diagnosis(
            Severity.PROBLEM,
            f"server: {named} is version {policy.version}; 6.2 or newer is needed",
            "commands it does not know fail, so leads are not routed",
            "upgrade it, or use Valkey",
        )
    else:
        yield Diagnosis(Severity.OK, f"server: {named} answers, version {policy.version}")
    if policy.maxmemory_policy is None:
        yield Diagnosis(
            Severity.WARNING,
            "server: it does not say what it does when memory runs short",
            "if it evicts keys, open leads vanish",
            "look in your provider's console that the eviction policy is noeviction",
        )
    elif evicts(policy):
        yield Diagnosis(
            Severity.PROBLEM,
            f"server: maxmemory-policy is {policy.maxmemory_policy}",
            "when memory runs short it throws keys away, open leads among them; web and workers refuse to start",
            'redis-cli -u "$REDIS_URL" CONFIG SET maxmemory-policy noeviction, and in its configuration file',
        )
    yield from _persistence(policy)
    if abs(policy.drift) > MAX_DRIFT:
        direction = "ahead of" if policy.drift > 0 else "behind"
        yield Diagnosis(
            Severity.WARNING,
            f"clocks: the server's is {abs(policy.drift):.1f} s {direction} this machine's",
            "deadlines go by the server's clock; if that is the wrong one, every alert is off by as much",
            "let both machines keep time by NTP (timedatectl set-ntp true)",
        )


def _persistence(policy: ServerPolicy) -> Iterator[Diagnosis]:
    turn_on = 'redis-cli -u "$REDIS_URL" CONFIG SET appendonly yes, and in its configuration file'
    always = 'redis-cli -u "$REDIS_URL" CONFIG SET appendfsync always, and in its configuration file'
    if policy.append_only is None:
        yield Diagnosis(
            Severity.WARNING,
            "server: it does not say whether it keeps an append-only file",
            "without one, a restart loses every lead since its last snapshot",
            "look in your provider's console that AOF persistence is on",
        )
    elif not policy.append_only:
        yield Diagnosis(
            Severity.PROBLEM,
            "server: it keeps no append-only file (appendonly no)",
            "a restart or crash loses every lead since its last snapshot, though form tools heard 200",
            turn_on,
        )
    elif policy.append_fsync == "always":
        yield Diagnosis(
            Severity.OK, "server: every write is on disk before it is answered (appendfsync always)"
        )
    elif policy.append_fsync == "everysec":
        yield Diagnosis(
            Severity.WARNING,
            "server: appendfsync is everysec",
            "a power loss may cost the last second of submissions; a crash of the process alone costs nothing",
            always,
        )
    elif policy.append_fsync == "no":
        yield Diagnosis(
            Severity.PROBLEM,
            "server: appendfsync is no",
            "a power loss may cost half a minute of submissions, though form tools heard 200",
            always,
        )


def _replicas(policy: ServerPolicy, confirmed: int, *, has_sentinels: bool) -> Iterator[Diagnosis]:
    """What a failover could lose (docs/high-availability.md)."""
    replicas = policy.replicas
    if confirmed and replicas is not None:
        if replicas < confirmed:
            yield Diagnosis(
                Severity.PROBLEM,
                f"replicas: STL_CONFIRM_REPLICAS asks for {confirmed}, and {counted(replicas, 'replica')} follow the primary",
                "form tools hear 503 and nobody is told of a lead",
                "mend the replicas (INFO replication), or lower STL_CONFIRM_REPLICAS and accept what a failover may lose",
            )
        else:
            yield Diagnosis(
                Severity.OK,
                f"replicas: {replicas} follow the primary, {confirmed} must hold what is accepted",
            )
    elif has_sentinels or replicas:
        yield Diagnosis(
            Severity.WARNING,
            "replicas: STL_CONFIRM_REPLICAS is not set",
            "replication is asynchronous: a failover may lose the last leads that form tools heard 200 for",
            "set STL_CONFIRM_REPLICAS=1 for every process (docs/high-availability.md says what it costs)",
        )
    if has_sentinels and policy.least_replicas == 0:
        yield Diagnosis(
            Severity.WARNING,
            "replicas: min-replicas-to-write is 0",
            "a primary that was cut off goes on taking writes, and loses them when it finds the new one",
            "on every server: CONFIG SET min-replicas-to-write 1 and min-replicas-max-lag 10, and in the configuration file",
        )


# --- what runs on it -------------------------------------------------------------------------------------------


def _work(store: Store, *, with_processes: bool) -> Iterator[Diagnosis]:
    """What is late, silent, unaccounted for or put aside."""
    health, books = store.operations.health(), store.operations.ledger()
    if with_processes:
        for pulse in pulses_of(health.heartbeats):
            if pulse.is_dead:
                ago = (
                    "never gave a sign of life"
                    if pulse.silent_for is None
                    else f"has been silent for {span_text(timedelta(seconds=pulse.silent_for))}"
                )
                yield Diagnosis(
                    Severity.PROBLEM, f"processes: the {safe(pulse.stage)} {ago}", *_without(pulse.stage)
                )
            else:
                alive = counted(pulse.processes, "process", "processes")
                yield Diagnosis(Severity.OK, f"processes: the {safe(pulse.stage)} works ({alive})")
    for stage in stages_of(health):
        if stage.is_late:
            yield Diagnosis(
                Severity.PROBLEM,
                f"{stage.name}: {stage.depth:,} {stage.unit} {stage.meaning}, the oldest for "
                f"{span_text(timedelta(seconds=stage.lag))}",
                "leads are answered late",
                "see that its workers run and keep up; start more of them, any number may run",
            )
    balance = balance_in_words(books)
    if books.difference:
        yield Diagnosis(
            Severity.PROBLEM,
            balance,
            "somebody who wrote may not be answered",
            "`speed-to-lead ledger` shows the numbers; did somebody delete keys or entries of the stream by hand?",
        )
    else:
        yield Diagnosis(Severity.OK, balance)
    yield from _put_aside(store)


def _put_aside(store: Store) -> Iterator[Diagnosis]:
    health = store.operations.health()
    for lead_id, error in store.leads.quarantined().items():
        yield Diagnosis(
            Severity.PROBLEM,
            f"quarantine: lead {lead_id}: {error}",
            "its clock stands still: nobody is reminded or alerted",
            f"answer it by hand (speed-to-lead leads show {lead_id}) and report the error as a bug; "
            f"when it is mended: speed-to-lead leads release {lead_id}",
        )
    if health.dead_alerts:
        yield Diagnosis(
            Severity.PROBLEM,
            f"{counted(health.dead_alerts, 'alert')} given up",
            "their destinations were not told; where there is a fallback, it was told instead",
            "speed-to-lead alerts list --dead; mend the destination; speed-to-lead alerts redrive --all-dead",
        )
    if health.dead_letters:
        yield Diagnosis(
            Severity.WARNING,
            f"{counted(health.dead_letters, 'dead letter')}",
            "each may be somebody who waits for an answer",
            "speed-to-lead dead-letters list; mend the form or config; speed-to-lead dead-letters replay --all",
        )


def _without(stage: str) -> tuple[str, str]:
    """What stands still without a stage, and how to start it."""
    workers = {"router": ("route", "no lead reaches a rep"), "clock": ("clock", "no deadline is watched"),
               "courier": ("deliver", "no alert goes out")}  # fmt: skip
    if stage in workers:
        queue, causes = workers[stage]
        command = f"celery -A speed_to_lead.worker.app worker -Q {queue} -P solo, and one celery beat"
        return causes, f"start it: {command} (or speed-to-lead up)"
    if stage == "web":
        return "form tools are not answered", "start it: speed-to-lead web"
    if stage == "watchdog":
        return "nobody is told when a stage stops", "start it: speed-to-lead watchdog"
    if stage == "auditor":
        return (
            "nobody looks for contradictions",
            "restart the clock, which runs it; its log says why (task.failed)",
        )
    return "its work stands still", "start it again"
