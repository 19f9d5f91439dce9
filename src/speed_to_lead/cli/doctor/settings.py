"""Is every setting understood, who can reach us, and who may use us?"""

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta

from pydantic import ValidationError

from speed_to_lead.cli.doctor.diagnosis import Diagnosis, Severity
from speed_to_lead.cli.output import counted
from speed_to_lead.cli.up import SECRETS_FILE
from speed_to_lead.config import Configuration
from speed_to_lead.settings import Settings, SettingsError, load_settings

#: A key that runs out within this time should be followed by a new one.
KEY_NOTICE = timedelta(days=14)


def check_settings() -> tuple[Settings | None, list[Diagnosis]]:
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


def made_up_by_up(settings: Settings) -> dict[str, str]:
    """The secrets that `speed-to-lead up` made up for its own processes, where it is what runs here."""
    if settings.redis_url:
        return {}
    try:
        lines = (settings.data_dir / SECRETS_FILE).read_text().splitlines()
    except (OSError, ValueError):
        return {}
    pairs = (line.partition("=") for line in lines)
    return {name.strip(): value.strip() for name, sign, value in pairs if sign}


def check_addresses(
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
