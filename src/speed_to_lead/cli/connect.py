"""Settings, rules and the server for one command, and every foreseeable failure as one sentence.

A command opens no more than it needs: whoever looks at a lead at three in the morning must not be stopped by a
mistake in the rules, and whoever tries a rule needs no server.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager

from speed_to_lead import flow
from speed_to_lead.address import hosts_of
from speed_to_lead.cli.lead_lines import UnusableInput
from speed_to_lead.cli.output import safe
from speed_to_lead.cli.rules_in_use import rules_in_use_at
from speed_to_lead.config import ConfigError, Configuration
from speed_to_lead.core.attribution import Taxonomy
from speed_to_lead.core.calendar import Calendar
from speed_to_lead.core.lead import Lead
from speed_to_lead.core.person import NobodyNamed
from speed_to_lead.core.response import ImpossibleChange
from speed_to_lead.core.routing import Rulebook
from speed_to_lead.core.rules import Rule
from speed_to_lead.logs import set_up_logs
from speed_to_lead.publication import Unusable
from speed_to_lead.settings import Settings, SettingsError, load_settings
from speed_to_lead.store import Store, StoreUnavailable, open_store
from speed_to_lead.store.contract import UnreadableRecord
from speed_to_lead.store.encryption import UnusableKeys
from speed_to_lead.store.redis_store import RedisStore
from speed_to_lead.workplace import Workplace, channels, open_workplace, vault_of

#: What the first word of a server's refusal means, and what to do. Some words redis-py takes off, and makes a class of.
_REFUSALS = {
    "Authentication": "refuses the password; check user and password in REDIS_URL",
    "NOAUTH": "wants a password; write it into REDIS_URL as redis://:PASSWORD@HOST:PORT/0",
    "WRONGPASS": "refuses the password; check user and password in REDIS_URL",
    "NoPermission": "does not allow this user what we need; give it all commands on our keys (ACL SETUSER)",
    "OutOfMemory": "is out of memory and takes no more; raise its maxmemory",
    "ReadOnly": "is a replica, which cannot be written to; point REDIS_URL at the primary",
    "BusyLoading": "is still reading its data from disk; try again in a moment",
    "MISCONF": "cannot write to its disk, so it takes no more; look at its log and its free disk space",
    "NOREPLICAS": "has too few replicas in step (min-replicas-to-write, or STL_CONFIRM_REPLICAS); what was asked may be "
    "done, but a failover could undo it: look at INFO replication, mend the replicas, and do it again",
    "MasterNotFound": "has no primary now: no Sentinel names one that is up; wait a few seconds for the failover, then "
    "ask a Sentinel (SENTINEL MASTERS)",
    "Timeout": "does not answer in time; is it overloaded, or a firewall in between?",
}

NO_ADDRESS = (
    "REDIS_URL is no address of a server; write it as redis://HOST:6379/0, rediss://… for TLS, unix:///path, or "
    "redis+sentinel://HOST:26379,HOST:26379,HOST:26379/NAME"
)

_NO_RULES = Configuration(Rulebook(Taxonomy(), {}, {}, {}, (), Rule("none", "none", "none"), ""), {}, {})


class NotFound(LookupError):
    """What was named is not there; the text says where to look."""


def settings_of_this_shell() -> Settings:
    """The settings, with logs set up so that only what goes wrong is told. Raises SettingsError."""
    settings = load_settings()
    set_up_logs("debug" if settings.log_level == "debug" else "warning", settings.log_format)
    return settings


@contextmanager
def opened_store() -> Iterator[Store]:
    """The store, for commands that need no rules. Raises SettingsError."""
    settings = settings_of_this_shell()
    vault = vault_of(settings)
    try:
        store = open_store(server_url(settings), settings.key_prefix, settings.confirm_replicas, vault)
    except ValueError:
        raise SettingsError(NO_ADDRESS) from None
    try:
        yield store
    finally:
        store.close()


@contextmanager
def opened_place(*, rules: bool) -> Iterator[Workplace]:
    """The workplace. With `rules` a mistake in them stops the command; without, it has none at all."""
    if not rules:
        with opened_store() as store:
            yield Workplace(store, _NO_RULES, channels({}, os.environ))
        return
    place = open_workplace(settings_of_this_shell())
    try:
        yield place
    finally:
        if isinstance(place.store, RedisStore):
            place.store.close()


def server_url(settings: Settings) -> str:
    """The server's address. Raises SettingsError where none is known."""
    url = settings.server_url
    if url is None:
        raise SettingsError(
            f"no server is known: REDIS_URL is not set, and no `speed-to-lead up` keeps its data in "
            f'"{settings.data_dir}"; set REDIS_URL, start `speed-to-lead up`, or name its data directory in STL_DATA_DIR'
        )
    return url


def lead_known_as(store: Store, lead_id: str) -> Lead | None:
    """The lead of that id, or the one that its submission became a touch or a duplicate of; None where there is none."""
    lead = store.leads.get(lead_id)
    if lead is not None:
        return lead
    known = store.queue.lead_of([lead_id]).get(lead_id)
    return store.leads.get(known) if known else None


def rules_if_good(store: Store) -> Configuration | None:
    """The rules in use, where they can be read: they know the teams' time zones, which only make the answer nicer."""
    try:
        return rules_in_use_at(store, load_settings().config_dir).configuration
    except ConfigError:
        return None


def calendar_of(rules: Configuration | None, team: str) -> Calendar | None:
    """The calendar of a team, to show times as the team reads them."""
    found = rules.rulebook.teams.get(team) if rules is not None else None
    return found.calendar if found is not None else None


def why_unavailable(error: StoreUnavailable) -> str:
    """What is the matter with the server, and what to do."""
    try:
        settings = load_settings()
        url = settings.server_url or ""
        is_given = bool(settings.redis_url)
    except SettingsError:
        url, is_given = "", True
    named, text = hosts_of(url), str(error)
    for word, meaning in _REFUSALS.items():
        if word in (text if "@" in url else text.replace("Authentication", "NOAUTH")):
            return f"the server at {named} {meaning} ({text})"
    mend = (
        "start it, or point REDIS_URL at the right one"
        if is_given
        else "`speed-to-lead up` started it here and has stopped since; start it again, or set REDIS_URL"
    )
    return f"the server at {named} cannot be reached ({text}); {mend}"


def sentence_of(error: Exception) -> str | None:
    """A foreseeable failure in one sentence; None for one that is a fault of ours."""
    text: str | None = None
    match error:
        case StoreUnavailable():
            text = why_unavailable(error)
        case ConfigError():
            text = f"{error}\nNothing was done. `speed-to-lead config check` lists mistakes as you mend them."
        case flow.UnknownLead():
            text = f'there is no lead "{safe(error.args[0])}"; `speed-to-lead leads list` shows the newest'
        case flow.UnknownRep():
            text = f'teams.toml has no rep "{safe(error.args[0])}"; `speed-to-lead reps list` shows them'
        case flow.Contended():
            text = "the lead kept changing while this was decided; nothing was written, so try again"
        case UnreadableRecord():
            text = f"{error}; `speed-to-lead doctor` lists leads in quarantine"
        case (
            SettingsError()
            | ImpossibleChange()
            | UnusableInput()
            | NotFound()
            | flow.NoList()
            | NobodyNamed()
            | UnusableKeys()
            | Unusable()
        ):
            text = str(error)
        case OSError():
            about = f"{error.filename}: " if error.filename else ""
            text = f"{about}{error.strerror or error}"
        case _ if type(error).__name__ == "CannotStart":  # of `up`, which is slow to import
            text = str(error)
    return text
