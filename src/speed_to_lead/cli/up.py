"""`speed-to-lead up`: everything on one machine in one terminal."""

import base64
import os
import secrets
import signal
import socket
import sys
from collections.abc import Mapping
from contextlib import suppress
from importlib.resources import files
from pathlib import Path
from types import FrameType
from typing import Annotated

import typer

from speed_to_lead.cli.embedded import CannotStart, EmbeddedServer
from speed_to_lead.cli.rollout import digest_of_directory
from speed_to_lead.cli.supervisor import Program, Supervisor
from speed_to_lead.config import ConfigError, Configuration
from speed_to_lead.core.access import first_plain_key
from speed_to_lead.core.submission import Form
from speed_to_lead.settings import Settings, load_settings
from speed_to_lead.store import ConfigVersion, open_store
from speed_to_lead.workplace import EVICTION, evicts, missing_secrets, read_config, refuse_unknown_fallback

#: Secrets made up for a machine that was given none, so that everything can be tried at once.
SECRETS_FILE = "secrets.env"

DEMO_CONFIG = Path(str(files("speed_to_lead.cli").joinpath("demo_config")))


def programs() -> list[Program]:
    """The processes of the Procfile, in the order they are stopped: first those that take in work."""
    speed_to_lead = [sys.executable, "-m", "speed_to_lead.cli"]
    celery = [sys.executable, "-m", "celery", "-q", "-A", "speed_to_lead.worker.app"]

    def worker(name: str, queue: str) -> Program:
        lean = ("--without-gossip", "--without-mingle", "--without-heartbeat")
        return Program(name, [*celery, "worker", "-Q", queue, "-n", f"{name}@%h", "-P", "solo", *lean])

    return [
        Program("web", [*speed_to_lead, "web"]),
        Program("beat", [*celery, "beat"]),
        worker("router", "route"),
        worker("clock", "clock"),
        worker("courier", "deliver"),
        Program("watchdog", [*speed_to_lead, "watchdog"]),
    ]


def up(
    config: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Directory of the rules; else STL_CONFIG_DIR, else ./config."),
    ] = None,
    data: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR", help="Where the embedded server keeps its data; else STL_DATA_DIR, else ./var."
        ),
    ] = None,
    port: Annotated[
        int | None,
        typer.Option(metavar="N", min=1, max=65535, help="Port of the web process; else PORT, else 8000."),
    ] = None,
    *,
    demo: Annotated[
        bool, typer.Option("--demo", help="Send a stream of sample leads, with rules whose SLAs are seconds.")
    ] = False,
) -> int:
    """Run everything on this machine, in this terminal, until Ctrl-C.

    An embedded server keeps the data, unless REDIS_URL is set: then that server is used and none is started. The demo's
    leads are kept apart from real ones, in a directory and under keys of their own.
    """
    if demo and config is not None:
        raise CannotStart("--demo brings its own rules, so it takes no --config; leave one of them out")
    settings = load_settings()
    config_dir = DEMO_CONFIG if demo else (config or settings.config_dir)
    data_dir = data or (settings.data_dir / "demo" if demo else settings.data_dir)
    is_new = not settings.redis_url and not data_dir.exists()
    from_directory = _rules_of(config_dir, settings, is_new=is_new)
    if settings.redis_url:
        _refuse_unusable_server(settings.redis_url)
    elif settings.confirm_replicas:
        raise CannotStart(
            "STL_CONFIRM_REPLICAS asks for replicas, and the server that `up` starts has none; "
            "unset it, or set REDIS_URL to a server that has"
        )
    host, port = settings.listen_host, settings.port if port is None else port
    _refuse_taken_port(host, port)
    supervisor_environment = dict(os.environ)
    server = None if settings.redis_url else EmbeddedServer(data_dir)
    if server is not None:
        server.start()
    try:
        key_prefix = f"{settings.key_prefix}-demo" if demo and settings.redis_url else settings.key_prefix
        url = settings.redis_url or (server.url if server else "")
        configuration, live = _rules_that_count(url, key_prefix, from_directory)
        made_up = _made_up_secrets(configuration, data_dir)
        supervisor_environment.update(made_up)
        supervisor_environment.update(
            REDIS_URL=url,
            PORT=str(port),
            STL_HOST=host,
            STL_CONFIG_DIR=str(config_dir),
            STL_DATA_DIR=str(data_dir),
            PYTHONUNBUFFERED="1",
        )
        if demo and first_plain_key(supervisor_environment["STL_API_KEYS"]) is None:
            # The demo answers leads through /v1, and of a key that is given as a hash it cannot know the rest.
            supervisor_environment["STL_API_KEYS"] += f",{secrets.token_urlsafe(24)}"
        if demo and settings.redis_url:  # its people are invented: they must not stand among real leads
            supervisor_environment["STL_KEY_PREFIX"] = key_prefix
        if sys.stdout.isatty() and settings.log_format == "auto":
            supervisor_environment["STL_LOG_FORMAT"] = "console"
        lead = [Program("demo", [sys.executable, "-m", "speed_to_lead.cli.demo"])] if demo else []
        supervisor = Supervisor([*lead, *programs()], supervisor_environment)
        for line in _welcome(configuration, server, supervisor_environment, made_up, data_dir, live):
            supervisor.say(line)
        _run(supervisor, server)
    finally:
        if server is not None:
            server.stop()
    print("everything is stopped", flush=True)
    return 0


def _run(supervisor: Supervisor, server: EmbeddedServer | None) -> None:
    def stop(_signal: int, _frame: FrameType | None) -> None:
        supervisor.stop()

    before = {
        number: signal.signal(number, stop) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    }
    try:
        while not supervisor.is_stopping:
            supervisor.tick()
            if server is not None and server.has_died:
                supervisor.say(
                    "*** the embedded server died; it is started again on its append-only file ***"
                )
                supervisor.print_lines(0.1)
                server.start()
        supervisor.say("stopping: every process finishes what it holds")
        supervisor.stop_all()
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _made_up_secrets(configuration: Configuration, data_dir: Path) -> dict[str, str]:
    """Secrets for forms and /v1 that the environment does not give, kept in the data directory between runs."""
    path = data_dir / SECRETS_FILE
    kept = _read_secrets(path)
    wanted = {form.secret_env or form.token_env: form for form in configuration.forms.values()}
    names = {name: _secret_for(form) for name, form in wanted.items() if name}
    names["STL_API_KEYS"] = secrets.token_urlsafe(24)
    missing = {name: kept.get(name, fresh) for name, fresh in names.items() if not os.environ.get(name)}
    if missing.keys() - kept.keys():
        data_dir.mkdir(parents=True, exist_ok=True)
        path.touch(mode=0o600)
        lines = [f"{name}={value}" for name, value in sorted((kept | missing).items())]
        path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return missing


def _secret_for(form: Form) -> str:
    if form.auth == "standard-webhooks":
        return "whsec_" + base64.b64encode(secrets.token_bytes(24)).decode()
    return secrets.token_urlsafe(24)


def _read_secrets(path: Path) -> dict[str, str]:
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except OSError:
        return {}
    pairs = (line.partition("=") for line in lines)
    return {name: value for name, equals, value in pairs if equals}


def _welcome(
    configuration: Configuration,
    server: EmbeddedServer | None,
    environment: Mapping[str, str],
    made_up: Mapping[str, str],
    data_dir: Path,
    live: ConfigVersion | None,
) -> list[str]:
    address = f"http://{environment['STL_HOST']}:{environment['PORT']}"
    where = (
        f"embedded Valkey on port {server.port}, data in {data_dir}" if server else "the server of REDIS_URL"
    )
    lines = [
        f"speed-to-lead listens on {address}; leads are kept by {where}",
        f"rules: {_rules_in_words(environment['STL_CONFIG_DIR'], live)}   stop: Ctrl-C",
        f"the API is described at {address}/docs; a browser asks for a name (any) and a password (a key of STL_API_KEYS)",
    ]
    if made_up:
        lines.append(
            f"{', '.join(sorted(made_up))} not set: made up for this machine and kept in {data_dir / SECRETS_FILE}"
        )
    for what, name in missing_secrets(configuration, environment):
        lines.append(f"{what} cannot work: {name} is not set")
    lines.append("try it:")
    lines.append("  " + _ready_curl(address, configuration, environment))
    shell = "".join(
        f"{name}={environment[name]} "
        for name, default in _DEFAULTS.items()
        if environment.get(name, default) != default
    )
    lines.append(f"  then, in another terminal: {shell}{_own_command()} leads list")
    return lines


def _rules_in_words(directory: str, live: ConfigVersion | None) -> str:
    """Which rules count; and that the directory does not, where somebody may think so."""
    if live is None:
        return directory
    same = digest_of_directory(Path(directory)) == live.digest
    return f"version {live.number}, which is published" + (
        "" if same else f"; {directory} differs and does nothing until `speed-to-lead config apply`"
    )


def _rules_of(directory: Path, settings: Settings, *, is_new: bool) -> Configuration | ConfigError:
    """Those of the directory, or what is wrong with them, which does not matter where others are published.

    `is_new`: there is no server yet, so nothing can be published. Raises ConfigError then, and nothing is started.
    """
    try:
        configuration = read_config(directory)
    except ConfigError as error:
        if is_new:
            raise
        return error
    refuse_unknown_fallback(settings, configuration)
    return configuration


def _rules_that_count(
    url: str, key_prefix: str, from_directory: Configuration | ConfigError
) -> tuple[Configuration, ConfigVersion | None]:
    """What is published, else the directory's. Raises ConfigError where these have mistakes, and StoreUnavailable."""
    store = open_store(url, key_prefix)
    try:
        live = store.configs.current()
        texts = store.configs.texts(live.digest) if live else None
    finally:
        store.close()
    if texts is not None:
        with suppress(ConfigError):  # of another release: the processes take an older one, and say so
            return read_config(texts), live
    if isinstance(from_directory, ConfigError):
        raise from_directory
    return from_directory, None


#: What another terminal must set to see the same leads, where it is not the default.
_DEFAULTS = {"STL_DATA_DIR": "var", "STL_CONFIG_DIR": "config", "STL_KEY_PREFIX": "stl"}


def _own_command() -> str:
    """How this program was called, so that the next line can be typed as it is printed."""
    called = Path(sys.argv[0])
    return str(called) if called.name == "speed-to-lead" else "speed-to-lead"


def _ready_curl(address: str, configuration: Configuration, environment: Mapping[str, str]) -> str:
    """A curl line that works as it stands: to a form with a token or without proof, else to /v1."""
    lead = '{"email":"sam@example.com","name":"Sam Example","company":"Example Ltd","source":"demo request"}'
    head = f"curl -s -H 'content-type: application/json' -d '{lead}'"
    for form in configuration.forms.values():
        if form.provider == "generic" and form.auth == "none":
            return f"{head} {address}/hooks/{form.name}"
        if form.provider == "generic" and form.auth == "token" and form.token_env:
            return (
                f"{head} -H 'authorization: Bearer {environment[form.token_env]}' {address}/hooks/{form.name}"
            )
    key = first_plain_key(environment["STL_API_KEYS"]) or "YOUR-KEY"
    return f"{head} -H 'authorization: Bearer {key}' {address}/v1/leads"


def _refuse_unusable_server(url: str) -> None:
    """Say at once what every process would say again and again. Raises StoreUnavailable, CannotStart."""
    store = open_store(url)
    try:
        policy = store.operations.policy()
    finally:
        store.close()
    if evicts(policy):
        raise CannotStart(EVICTION.format(policy.maxmemory_policy))


def _refuse_taken_port(host: str, port: int) -> None:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            raise CannotStart(
                f"port {port} on {host} cannot be used ({error.strerror}); choose another with --port"
            ) from None
