"""`doctor`: what is wrong with this set-up, what that costs, and how to mend it.

Settings and rules first, then the server, then what runs on it; each part is looked at as far as the ones before
allow. Every finding says three things: what, what it causes, what to do.
"""

import os
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from speed_to_lead.address import hosts_of, sentinel_address
from speed_to_lead.cli.connect import why_unavailable
from speed_to_lead.cli.doctor.diagnosis import Diagnosis, Severity
from speed_to_lead.cli.doctor.rules import check_rollout, check_rules, check_secrets
from speed_to_lead.cli.doctor.server import check_encryption, check_policy, check_replicas
from speed_to_lead.cli.doctor.settings import check_addresses, check_settings, made_up_by_up
from speed_to_lead.cli.doctor.work import check_work
from speed_to_lead.cli.output import counted, safe, say, say_json
from speed_to_lead.cli.rules import JsonOption
from speed_to_lead.logs import set_up_logs
from speed_to_lead.settings import Settings, SettingsError
from speed_to_lead.store import ConfigVersion, StoreUnavailable, open_store
from speed_to_lead.store.contract import UnreadableRecord
from speed_to_lead.workplace import vault_of


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
    settings, wrong = check_settings()
    yield from wrong
    is_whole = settings is not None
    if settings is None:  # the rules can be looked at all the same
        settings = Settings.model_construct(config_dir=Path(environment.get("STL_CONFIG_DIR") or "config"))
    environment = made_up_by_up(settings) | environment
    configuration, wrong = check_rules(settings, _live(settings) if is_whole else None)
    yield from wrong
    if configuration is not None:
        yield from check_secrets(configuration, settings, environment)
    if not is_whole:
        return
    yield from check_addresses(configuration, settings, environment)
    yield from _server(settings, with_processes=with_processes)


def _live(settings: Settings) -> tuple[ConfigVersion, Mapping[str, bytes]] | None:
    """What is published, with its texts; None where nothing is, or the server cannot be asked, of which more is said later."""
    if settings.server_url is None:
        return None
    try:
        store = open_store(settings.server_url, settings.key_prefix)
    except ValueError:
        return None
    try:
        live = store.configs.current()
        texts = store.configs.texts(live.digest) if live else None
    except (StoreUnavailable, UnreadableRecord):
        return None
    finally:
        store.close()
    return (live, texts) if live and texts is not None else None


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
        yield from check_policy(policy, hosts_of(url))
        yield from check_replicas(
            policy, settings.confirm_replicas, has_sentinels=sentinel_address(url) is not None
        )
        yield from check_encryption(store, settings)
        yield from check_rollout(store, settings)
        yield from check_work(store, with_processes=with_processes)
    except StoreUnavailable as error:
        what, _, to_do = why_unavailable(error).partition("; ")
        yield Diagnosis(Severity.PROBLEM, what, "nothing can be stored, routed or alerted", to_do)
    finally:
        store.close()
