"""The server's address: one server's, or that of the Sentinels that know which of several servers is the primary.

redis-py reads the address of one server itself. That of Sentinels has no standard, so it is read here, for the store
and for Celery alike:

    redis+sentinel://[USER:PASSWORD@]HOST[:26379],HOST,HOST/NAME[/DB][?sentinel_username=…&sentinel_password=…]

USER and PASSWORD are those of the server; `rediss+sentinel://` is the same over TLS, with redis-py's `ssl_…` options.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from urllib.parse import SplitResult, parse_qsl, unquote, urlsplit

SENTINEL_PORT = 26379

_PLAIN = ("redis", "rediss", "unix")
_SENTINEL = ("redis+sentinel", "rediss+sentinel")
_TLS_OPTIONS = ("ssl_ca_certs", "ssl_cert_reqs", "ssl_certfile", "ssl_check_hostname", "ssl_keyfile")
_LOGINS = ("sentinel_username", "sentinel_password")

_EXAMPLE = "redis+sentinel://HOST1:26379,HOST2:26379,HOST3:26379/mymaster"


@dataclass(frozen=True, slots=True)
class SentinelAddress:
    """Where the Sentinels are, what they call the primary, and how to log in. No password shows when it is printed."""

    sentinels: tuple[tuple[str, int], ...]
    service: str
    db: int = 0
    is_tls: bool = False
    username: str | None = field(default=None, repr=False)
    password: str | None = field(default=None, repr=False)
    sentinel_username: str | None = field(default=None, repr=False)
    sentinel_password: str | None = field(default=None, repr=False)
    tls_options: Mapping[str, str | bool] = field(default_factory=dict, repr=False)


def sentinel_address(url: str) -> SentinelAddress | None:
    """The address where it is one of Sentinels, None where it is that of one server.

    Raises ValueError for one that is neither, with what is wrong and no part of the address, which holds a password.
    """
    try:
        parts = urlsplit(url)
    except ValueError:
        raise ValueError(_NO_ADDRESS) from None
    if parts.scheme in _SENTINEL:
        return _read(parts)
    try:
        is_plain = parts.scheme in _PLAIN and (parts.port is None or parts.port > 0)
    except ValueError:
        is_plain = False
    if not is_plain:
        raise ValueError(_NO_ADDRESS)
    return None


def hosts_of(url: str) -> str:
    """The address as people may see it: hosts and ports, the primary's name, never a user or a password."""
    try:
        address = sentinel_address(url)
        parts = urlsplit(url)
    except ValueError:
        return "REDIS_URL"
    if address is not None:
        return f"{','.join(_joined(*one) for one in address.sentinels)}/{address.service}"
    if parts.scheme == "unix":
        return parts.path
    return f"{parts.hostname or 'localhost'}{f':{parts.port}' if parts.port else ''}"


_NO_ADDRESS = (
    "no server's address; it looks like redis://HOST:6379/0, rediss://…, unix:///path, "
    f"or {_EXAMPLE} for Sentinels"
)


def _read(parts: SplitResult) -> SentinelAddress:
    options = _options(parts)
    login, _, hosts = parts.netloc.rpartition("@")
    username, _, password = login.partition(":")
    sentinels = tuple(_host_and_port(host, number) for number, host in enumerate(hosts.split(","), start=1))
    service, db = _service_and_db(parts.path)
    is_tls = parts.scheme.startswith("rediss")
    tls_options = {name: value for name, value in options.items() if name in _TLS_OPTIONS}
    if tls_options and not is_tls:
        raise ValueError(f"{min(tls_options)} is for TLS; begin the address with rediss+sentinel://")
    return SentinelAddress(
        sentinels,
        service,
        db,
        is_tls,
        unquote(username) or None,
        unquote(password) or None,
        options.get("sentinel_username"),
        options.get("sentinel_password"),
        {name: _flag(name, value) for name, value in tls_options.items()},
    )


def _host_and_port(text: str, number: int) -> tuple[str, int]:
    try:
        found = urlsplit(f"//{text}")
        host, port = found.hostname, SENTINEL_PORT if found.port is None else found.port
    except ValueError:
        raise ValueError(
            f"the port of host {number} is no number from 1 to 65535 (in a password, write : / ? # @ and , "
            "percent-encoded)"
        ) from None
    if not host or found.path or port == 0:
        raise ValueError(f"host {number} is missing or has no usable port; it looks like {_EXAMPLE}")
    return host, port


def _service_and_db(path: str) -> tuple[str, int]:
    service, slash, db = path.removeprefix("/").partition("/")
    if not service:
        raise ValueError(
            f"it does not say what the Sentinels call the primary (sentinel monitor NAME …); it looks like {_EXAMPLE}"
        )
    if slash and not (db.isdecimal() and db.isascii()):
        raise ValueError(
            "what stands behind the primary's name is the number of a database, such as /mymaster/0"
        )
    return unquote(service), int(db or 0)


def _options(parts: SplitResult) -> dict[str, str]:
    if parts.fragment:
        raise ValueError("it holds a #; in a password write it as %23")
    options: dict[str, str] = {}
    known = (*_LOGINS, *_TLS_OPTIONS)
    for name, value in parse_qsl(parts.query, keep_blank_values=True):
        if name not in known:
            near = get_close_matches(name, known, n=1)
            hint = f"did you mean {near[0]}?" if near else f"it takes {', '.join(known)}"
            raise ValueError(f"an option behind the ? is not known; {hint}")
        if name in options or not value:
            raise ValueError(f"{name} is given twice or is empty")
        options[name] = value
    return options


def _flag(name: str, value: str) -> str | bool:
    """redis-py wants true or false where an option is a yes or no."""
    if name != "ssl_check_hostname":
        return value
    if value.casefold() not in ("true", "false"):
        raise ValueError("ssl_check_hostname is true or false")
    return value.casefold() == "true"


def _joined(host: str, port: int) -> str:
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
