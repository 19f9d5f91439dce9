"""What every stage works with: the store, the rules, and the way to the people. Opened once in each process."""

import os
import sys
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import structlog

from speed_to_lead import __version__
from speed_to_lead.config import ConfigError, Configuration, load_config
from speed_to_lead.core.answer import secrets_of as secrets_of_setting
from speed_to_lead.core.delivery import Attempt, Destination, Outcome
from speed_to_lead.core.message import Message
from speed_to_lead.core.submission import Form
from speed_to_lead.crm import Lookups
from speed_to_lead.destinations import KINDS, Channel, follows_leads, new_http_client, open_channel
from speed_to_lead.forms import PROVIDERS
from speed_to_lead.publication import Follower, Load, Unusable, Usable
from speed_to_lead.settings import NO_SERVER, Settings, SettingsError, load_settings, split_keys
from speed_to_lead.shadow import ShadowRouter
from speed_to_lead.store import ServerPolicy, Store, StoreUnavailable, open_store
from speed_to_lead.store.encryption import UnusableKeys, Vault

log = structlog.get_logger()

#: The form of leads that come through /v1 and the command line: no hook, so nobody can post to it unsigned.
API_FORM = Form(name="api", provider="generic", auth="none")


@dataclass
class Workplace:
    """Store, rules, and `channel`, which gives the way to a destination by its name. `lookups` asks whose leads are.

    `link_secrets` sign the links by which an alert is answered, `takes_presses`: Slack's buttons come back to us.
    Rules and channel change together, and only in `keep_up`: whoever calls that decides when.
    """

    store: Store
    config: Configuration
    channel: Callable[[str], Channel]
    fallback_destination: str = "console"
    public_url: str = ""
    follower: Follower | None = None
    shadow: ShadowRouter | None = None
    link_secrets: tuple[bytes, ...] = ()
    takes_presses: bool = False
    lookups: Lookups = field(default_factory=lambda: Lookups(os.environ))

    def keep_up(self, *, wait: bool = False) -> None:
        """Go on with the published config, where it is another one and loaded; with `wait`, once it is. One command.

        Each task begins with it. Whoever meets a name that config does not have (a form, a team, a destination) waits:
        another process may have it from a version that was published a moment ago. Raises StoreUnavailable.
        """
        if self.follower is not None:
            self.follower.look(self.config, self._switch, wait=wait)

    def _switch(self, usable: Usable) -> None:
        # The channel first: a courier that looks between the two finds every destination of either config.
        self.channel = usable.channel
        self.config = usable.config

    def follows_leads(self, destination: str) -> bool:
        """Whether what that destination was told of a lead can be brought up to date there."""
        known = self.config.destinations.get(destination)
        return known is not None and follows_leads(known)

    def form(self, name: str) -> Form | None:
        """The form of that name, or None."""
        return API_FORM if name == API_FORM.name else self.config.forms.get(name)


def read_config(source: Path | Mapping[str, bytes], now: datetime | None = None) -> Configuration:
    """The configuration in a directory, or in these texts. Raises ConfigError naming every mistake in it."""
    kinds = {name: kind.options for name, kind in KINDS.items()}
    selectors = {name: provider.selectors for name, provider in PROVIDERS.items()}
    return load_config(source, providers=selectors, kinds=kinds, now=now or datetime.now(UTC))


#: The kinds of secrets that a process must have, as `secrets_of` names them: a router needs those of look-ups only.
FORM_SECRETS, DESTINATION_SECRETS, LOOKUP_SECRETS = "form", "destination", "look-up"


def open_workplace(settings: Settings, needs: Callable[[], Collection[str]] = tuple) -> Workplace:
    """The workplace these settings describe, with the config that is published, else that of the directory.

    A server that does not answer is waited for by `keep_up`; until then the directory counts. `needs` says which
    secrets this process works with: a later version that names one which is not set is refused.
    Raises SettingsError where no server is known, ConfigError where the rules have mistakes, Unusable where what is
    published cannot be used.
    """
    url = settings.server_url
    if url is None:
        raise SettingsError(NO_SERVER.format(settings.data_dir))
    vault = vault_of(settings)
    try:
        store = open_store(url, settings.key_prefix, settings.confirm_replicas, vault)
    except ValueError:
        raise SettingsError(
            "REDIS_URL is no address; it begins with redis://, rediss://, unix:// or redis+sentinel://"
        ) from None
    # One HTTP client for every version: its connections stay, and it is slow to make.
    open_one = partial(open_channel, http=new_http_client(), environment=os.environ)
    load = _loader(settings, needs, open_one)
    follower = Follower(store.configs, load, f"{os.uname().nodename}:{os.getpid()}")
    try:
        usable = follower.first()
    except StoreUnavailable:
        usable = None
    if usable is None:
        config = read_config(settings.config_dir)
        refuse_unknown_fallback(settings, config)
        usable = Usable(config, _channels(config.destinations, open_one))
    return Workplace(
        store,
        usable.config,
        usable.channel,
        settings.fallback_destination,
        settings.public_url,
        follower,
        ShadowRouter(store.shadow, load, API_FORM),
        secrets_of_setting(settings.link_secrets.get_secret_value()),
        bool(settings.slack_signing_secrets.get_secret_value()),
    )


def _loader(
    settings: Settings, needs: Callable[[], Collection[str]], open_one: Callable[[Destination], Channel]
) -> Load:
    """How this process makes a config of a published one."""

    def load(texts: Mapping[str, bytes], running: Configuration | None) -> Usable:
        try:
            config = read_config(texts)
            refuse_unknown_fallback(settings, config)
        except ConfigError as error:
            raise Unusable(
                f"{len(error.mistakes)} of its words mean nothing to release {__version__}, the first: {error.mistakes[0]}"
            ) from None
        except SettingsError as error:
            raise Unusable(str(error)) from None
        if running is not None:
            _refuse_missing_secrets(config, running, needs())
        _ = config.rulebook.ready_rules  # its index is made here, not by the first lead
        return Usable(config, _channels(config.destinations, open_one))

    return load


def _refuse_missing_secrets(config: Configuration, running: Configuration, needs: Collection[str]) -> None:
    """Raise Unusable where the config names a secret that is not set here, and the running one does without it."""
    known = {name for _, name in missing_secrets(running, os.environ)}
    for what, name in missing_secrets(config, os.environ):
        if what.partition(" ")[0] in needs and name not in known:
            raise Unusable(
                f"{name} is not set here, which it names for {what}; set it and restart this process"
            )


def vault_of(settings: Settings) -> Vault:
    """The vault of these settings. Raises SettingsError where its keys cannot be used."""
    try:
        return Vault(split_keys(settings.encryption_keys))
    except UnusableKeys as error:
        raise SettingsError(str(error)) from None


def refuse_unknown_fallback(settings: Settings, config: Configuration) -> None:
    """Raise SettingsError where the fallback destination is none of the config's."""
    if settings.fallback_destination not in config.destinations:
        known = ", ".join(sorted(config.destinations))
        raise SettingsError(
            f'STL_FALLBACK_DESTINATION: alerts.toml has no destination "{settings.fallback_destination}"; it has {known}'
        )


def secrets_of(config: Configuration) -> list[tuple[str, str]]:
    """What needs an environment variable, with its name: `("form website", "TYPEFORM_SECRET")`."""
    forms = [
        (f"{FORM_SECRETS} {form.name}", name)
        for form in config.forms.values()
        for name in (form.secret_env or form.token_env, form.verify_token_env, form.api_token_env)
    ]
    destinations = [
        (f"{DESTINATION_SECRETS} {destination.name}", name)
        for destination in config.destinations.values()
        for key, name in destination.options.items()
        if key.endswith("_env")
    ]
    lookups = [(f"{LOOKUP_SECRETS} {one.name}", one.token_env) for one in config.rulebook.lookups.values()]
    return [(what, name) for what, name in (*forms, *destinations, *lookups) if name]


def missing_secrets(config: Configuration, environment: Mapping[str, str]) -> list[tuple[str, str]]:
    """Those of them that cannot work for want of it."""
    return [(what, name) for what, name in secrets_of(config) if not environment.get(name)]


def open_workplace_or_exit(needs: Callable[[], Collection[str]] = tuple) -> Workplace:
    """The workplace of this process's environment, its server checked; one plain sentence and exit 2 where it cannot be.

    A store whose newest records need an encryption key that is not set is refused: every lead would go to quarantine.
    A server that evicts keys is refused: it would throw leads away when memory runs short. One that keeps nothing
    on disk is warned of. `needs`: as for `open_workplace`. A server that does not answer yet is waited for by every task, so it is no reason to exit.
    """
    try:
        settings = load_settings()
        place = open_workplace(settings, needs)
    except (SettingsError, ConfigError, Unusable) as error:
        print(f"speed-to-lead: {error}", file=sys.stderr)  # noqa: T201
        raise SystemExit(2) from None
    try:
        policy = place.store.operations.policy()
        locked = place.store.privacy.locked_among_newest(LOCKED_AMONG)
    except StoreUnavailable as error:
        log.warning("store.away", error=str(error))
        return place
    if evicts(policy):
        print(f"speed-to-lead: {EVICTION.format(policy.maxmemory_policy)}", file=sys.stderr)  # noqa: T201
        raise SystemExit(2)
    if locked:
        print(f"speed-to-lead: {LOCKED.format(locked, LOCKED_AMONG)}", file=sys.stderr)  # noqa: T201
        raise SystemExit(2)
    if policy.append_only is False:
        log.error("server.no_append_only_file", cost=NO_AOF)
    if policy.replicas is not None and policy.replicas < settings.confirm_replicas:
        log.error(
            "server.too_few_replicas",
            connected=policy.replicas,
            wanted=settings.confirm_replicas,
            cost=UNCONFIRMED,
        )
    if abs(policy.drift) > DRIFT_SECONDS:
        log.warning(
            "host.clock_differs", seconds=round(policy.drift, 1), cost="signatures may seem stale or early"
        )
    for what, name in missing_secrets(place.config, os.environ):
        log.warning("secret.missing", what=what, variable=name)
    return place


#: A host whose clock is further from the server's than this is told so; decisions use the server's clock alone.
DRIFT_SECONDS = 2.0
EVICTION = (
    "the server's maxmemory-policy is {}, so it throws keys away when memory runs short, open leads among them; "
    "set `maxmemory-policy noeviction` (CONFIG SET maxmemory-policy noeviction, and in its configuration file)"
)
#: So many of the newest records are opened at the start, to see whether the keys for them are there.
LOCKED_AMONG = 20
LOCKED = (
    "{} of the newest {} records need an encryption key that is not set, so their leads would be put aside as "
    "unreadable; add the key to STL_ENCRYPTION_KEYS"
)
NO_AOF = (
    "the server keeps no append-only file, so a restart loses every lead since its last snapshot; "
    "set `appendonly yes` and `appendfsync always` (or everysec)"
)
UNCONFIRMED = (
    "form tools hear 503 and nobody is told of a lead until as many replicas as STL_CONFIRM_REPLICAS says are in step; "
    "mend the replicas (INFO replication shows them)"
)


def evicts(policy: ServerPolicy) -> bool:
    """Whether the server may throw keys away; False where it will not say."""
    return policy.maxmemory_policy not in (None, "noeviction")


def channels(
    destinations: Mapping[str, Destination], environment: Mapping[str, str]
) -> Callable[[str], Channel]:
    """Gives the channel of a destination by name, opened once; all of them share one HTTP client."""
    return _channels(destinations, partial(open_channel, http=new_http_client(), environment=environment))


def _channels(
    destinations: Mapping[str, Destination], open_one: Callable[[Destination], Channel]
) -> Callable[[str], Channel]:
    opened: dict[str, Channel] = {}

    def channel(name: str) -> Channel:
        if name not in opened:
            destination = destinations.get(name)
            opened[name] = open_one(destination) if destination else _NoSuchDestination()
        return opened[name]

    return channel


class _NoSuchDestination:
    """Where an alert goes whose destination config no longer has: nowhere, at once, so that the fallback hears it."""

    recognises_repeats = True

    def send(self, message: Message, now: datetime) -> Attempt:
        del message, now
        return Attempt(Outcome.REFUSED, "alerts.toml no longer has this destination")
