"""routing.toml → look-ups: other systems that say whose a lead is, each with the one address that is asked."""

from datetime import timedelta
from ipaddress import ip_address
from urllib.parse import urlsplit

from speed_to_lead.config.intake import read_environment_name
from speed_to_lead.config.mistakes import quoted
from speed_to_lead.config.shapes import ANSWER_PATH, LOOKUP, LOOKUP_NAME, LOOKUP_WAIT
from speed_to_lead.config.table import Table
from speed_to_lead.core.lookup import LONGEST_WAIT, PLACEHOLDER, PLACEHOLDERS, USUAL_WAIT, Lookup

_URL = 'an address such as "https://crm.example.com/owners?email={email}"'
_PATH = 'a dotted path such as "results.0.owner.email"'
_WAIT = 'a time in quotes such as "500ms" or "1s"'


def read_lookups(file: Table) -> dict[str, Lookup]:
    """The look-ups that could be read."""
    found = {}
    for name, table in file.named_tables("lookups"):
        if not LOOKUP_NAME.fullmatch(name):
            table.mistake(f"{quoted(name)} cannot be a look-up's name; use a-z, 0-9, _ and -")
        table.refuse_keys_except(*LOOKUP)
        url, owner = _read_url(table), _read_path(table)
        token_env, timeout = read_environment_name(table, "token_env"), _read_wait(table)
        if url is not None and owner is not None and timeout is not None:
            found[name] = Lookup(name, url, owner, token_env or "", timeout)
    return found


def _read_url(table: Table) -> str | None:
    """The address. What stands there is not repeated: somebody may have written a secret into it."""
    url = table.text("url", _URL, required=True)
    problem = _problem_with(url) if url is not None else None
    if problem is not None:
        table.mistake(f"url {problem}")
        return None
    return url


def _problem_with(url: str) -> str | None:  # noqa: PLR0911 - one return for each thing that may be wrong
    if not url.isprintable() or " " in url or not url.startswith(("https://", "http://")):
        return f"takes {_URL}, without blanks"
    if "#" in url:
        return "has a #, and what follows one is never sent; leave it out"
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError:
        return f"has no readable host or port; it takes {_URL}"
    if not parts.hostname:
        return f"names no host; it takes {_URL}"
    if "@" in parts.netloc:
        return "has a user or password in it; secrets are named, never written here: use token_env"
    if "{" in parts.netloc or "}" in parts.netloc:
        return "has a placeholder in its host: no lead may choose whom we ask; use it in the path or query"
    if parts.scheme == "http" and not _is_loopback(parts.hostname):
        return "sends people's addresses in the clear; use https:// (http:// is for this machine only)"
    used = PLACEHOLDER.findall(url)
    unknown = next((name for name in used if name not in PLACEHOLDERS), None)
    if unknown is not None or not {"{", "}"}.isdisjoint(PLACEHOLDER.sub("", url)):
        return f"has a placeholder nobody fills{f': {quoted(unknown)}' if unknown else ''}; it takes {{email}} and {{domain}}"
    if not used:
        return (
            "names nobody, so every lead would ask the same; put {email} or {domain} into its path or query"
        )
    return None


def _is_loopback(host: str) -> bool:
    try:
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False


def _read_path(table: Table) -> str | None:
    path = table.text("owner", _PATH, required=True)
    if path is None or ANSWER_PATH.fullmatch(path):
        return path
    table.wrong("owner", path, _PATH)
    return None


def _read_wait(table: Table) -> timedelta | None:
    if "timeout" not in table:
        return USUAL_WAIT
    text = table.text("timeout", _WAIT)
    if text is None:
        return None
    match = LOOKUP_WAIT.fullmatch(text)
    wait = _duration(text) if match else timedelta.max
    if wait > LONGEST_WAIT:
        table.wrong(
            "timeout", text, f"{_WAIT}, at most {LONGEST_WAIT.total_seconds():.0f}s: the batch waits for it"
        )
        return None
    return wait


def _duration(text: str) -> timedelta:
    if text.endswith("ms"):
        return timedelta(milliseconds=int(text[:-2]))
    return timedelta(seconds=int(text[:-1]))
