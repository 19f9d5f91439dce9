"""The connection to the server: explicit timeouts, few retries, scripts loaded by hash, errors in one class."""

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from importlib.resources import files
from itertools import chain, islice
from typing import Any, NamedTuple

import hiredis
import redis
from redis.backoff import ExponentialBackoff, NoBackoff
from redis.exceptions import NoScriptError
from redis.retry import Retry
from redis.sentinel import Sentinel, SentinelConnectionPool

from speed_to_lead.address import SentinelAddress, sentinel_address
from speed_to_lead.store.contract import StoreUnavailable
from speed_to_lead.store.encryption import PLAIN, Vault
from speed_to_lead.store.keys import Keys

#: Without these a silent server holds a process for ever; redis-py alone would retry ten times.
CONNECT_TIMEOUT = 3.0
ANSWER_TIMEOUT = 5.0
HEALTH_CHECK_SECONDS = 15
#: A Sentinel that does not answer in this time is passed over for the next one.
SENTINEL_TIMEOUT = 0.5
#: How long a write waits for the replicas that must hold it. In step they need a millisecond or two; and the tightest
#: form tool waits three seconds, a group of its neighbours' writes before its own included.
CONFIRM_SECONDS = 0.5
#: Calls of scripts in one piece on the way to the server, which works on them while the next are made.
SENT_AT_ONCE = 25

SCRIPTS = {
    file.name.removesuffix(".lua"): file.read_text(encoding="utf-8")
    for file in files("speed_to_lead.store").joinpath("scripts").iterdir()
    if file.name.endswith(".lua")
}
#: Under which the server keeps each script once it was loaded.
HASHES = {
    name: hashlib.sha1(source.encode(), usedforsecurity=False).hexdigest() for name, source in SCRIPTS.items()
}


class ScriptCall(NamedTuple):
    """One call of a script: its name, the keys it declares, its arguments."""

    script: str
    keys: Sequence[str]
    arguments: Sequence[Any]


class Server:
    """One client, its key names, its loaded scripts, how many replicas must hold what is confirmed, and the vault."""

    def __init__(
        self, client: "redis.Redis", keys: Keys, confirm_replicas: int = 0, vault: Vault = PLAIN
    ) -> None:
        # redis-py's types answer unions of every protocol and of its asynchronous twin; ours is one of them.
        self.client: Any = client
        self.keys = keys
        self.confirm_replicas = confirm_replicas
        self.vault = vault

    def run(self, calls: Iterable[ScriptCall], *, confirmed: bool = False) -> list[Any]:
        """The answers of the scripts. Each is atomic by itself. Raises StoreUnavailable.

        They are sent as `calls` makes them, so that the server works on the first while the others are made.

        A server that is new or was restarted does not know the scripts; they are loaded and the refused calls
        repeated. Those that ran are not repeated. With `confirmed` so many replicas as the settings ask hold what
        the scripts wrote, and all that was written before; where they do not say so in time StoreUnavailable is
        raised, though the primary has it.
        """
        replicas = self.confirm_replicas if confirmed else 0
        made: list[ScriptCall] = []
        held_by: list[object] = []

        def remembered() -> Iterator[ScriptCall]:
            for call in calls:
                made.append(call)
                yield call

        answers = self._run_once(remembered(), replicas, held_by)
        for _ in range(2):
            refused = [n for n, answer in enumerate(answers) if isinstance(answer, NoScriptError)]
            if not refused:
                break
            self._load({made[number].script for number in refused})
            again = self._run_once((made[number] for number in refused), replicas, held_by)
            for number, answer in zip(refused, again, strict=True):
                answers[number] = answer
        with self.dropping_a_former_primary(), translated_errors():
            for answer in answers:
                if isinstance(answer, Exception):
                    raise answer
            for count in held_by:
                refuse_unconfirmed(count, replicas)
        return answers

    def run_one(
        self, script: str, keys: Sequence[str], arguments: Sequence[Any], *, confirmed: bool = False
    ) -> Any:
        """The answer of one script. Raises StoreUnavailable."""
        if not (confirmed and self.confirm_replicas):  # a pipeline of one costs nearly twice as much
            with self.dropping_a_former_primary(), translated_errors(), suppress(NoScriptError):
                return self.client.evalsha(HASHES[script], len(keys), *keys, *arguments)
        return self.run([ScriptCall(script, keys, arguments)], confirmed=confirmed)[0]

    @contextmanager
    def dropping_a_former_primary(self) -> Iterator[None]:
        """Give up every connection where the server can no longer keep what it is given: another may be primary now.

        During a planned failover the old primary lives on for ten seconds, with its replicas gone.
        """
        try:
            yield
        except StoreUnavailable as away:
            if is_of_a_former_primary(away):
                self.client.connection_pool.disconnect(inuse_connections=False)
            raise

    def close(self) -> None:
        """Give the connections back, those to the Sentinels too."""
        self.client.close()
        if isinstance(self.client.connection_pool, SentinelConnectionPool):
            self.client.connection_pool.sentinel_manager.close()

    def _run_once(self, calls: Iterable[ScriptCall], replicas: int, held_by: list[object]) -> list[Any]:
        """One answer for each call, an error of the server among them; what WAIT says is added to `held_by`."""

        def packed() -> Iterator[bytes]:
            is_empty = True
            for call in calls:
                is_empty = False
                yield hiredis.pack_command(
                    ("EVALSHA", HASHES[call.script], len(call.keys), *call.keys, *call.arguments)
                )
            if replicas and not is_empty:  # on the same connection: WAIT is about what was written on it
                yield hiredis.pack_command(wait_command(replicas))

        with translated_errors():
            answers = self._exchange(packed())
        if replicas and answers:
            held_by.append(answers.pop())
        return answers

    def _exchange(self, commands: Iterator[bytes]) -> list[Any]:
        """The answers to packed commands, sent in pieces while the next are made; an error of the server is one of them.

        What redis-py's pipeline does, without waiting for the last command, and without its packing and callbacks in
        Python around each. Where the connection breaks, everything is sent again from the first command on, as there;
        scripts refuse what is written already. Where a command cannot be made, those sent stay sent.
        """
        pieces = iter(lambda: list(islice(commands, SENT_AT_ONCE)), [])
        first = next(pieces, None)
        if first is None:
            return []
        sent: list[list[bytes]] = []

        def kept() -> Iterator[list[bytes]]:
            for piece in chain((first,), pieces):
                sent.append(piece)
                yield piece

        fresh = kept()  # goes on where it stopped, when the others were sent again
        pool = self.client.connection_pool
        connection = pool.get_connection()

        def send_and_read() -> list[Any]:
            for number, piece in enumerate(chain(tuple(sent), fresh)):
                # A PING among them would be answered among them.
                connection.send_packed_command([b"".join(piece)], check_health=number == 0)
            return [_answer(connection) for piece in sent for _ in piece]

        try:
            return list(connection.retry.call_with_retry(send_and_read, lambda _: connection.disconnect()))
        except BaseException:
            connection.disconnect()  # answers to what was sent may still be on their way
            raise
        finally:
            pool.release(connection)

    def _load(self, names: set[str]) -> None:
        with translated_errors():
            for name in names:
                self.client.script_load(SCRIPTS[name])


def _answer(connection: Any) -> Any:
    try:
        return connection.read_response()
    except redis.ResponseError as error:
        return error


def text(value: Any) -> str:
    """An answer of the server as text. Bytes that are no UTF-8 are shown as such, never raised about."""
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)


@contextmanager
def translated_errors() -> Iterator[None]:
    """Whatever the server or the way to it does wrong becomes StoreUnavailable, without addresses or arguments."""
    try:
        yield
    except redis.RedisError as error:
        raise StoreUnavailable(described(error)) from error


def described(error: Exception) -> str:
    """An error in two words that quote nothing: its class, and the code of a server's answer (OOM, READONLY)."""
    # In a pipeline redis-py puts the whole command before it, which quotes what it was about.
    said = str(error).rpartition(" of pipeline caused error: ")[2]
    word = said.split(" ", 1)[0] if isinstance(error, redis.ResponseError) else ""
    return f"{type(error).__name__} {word if word.isupper() else ''}".strip()


def wait_command(replicas: int) -> tuple[Any, ...]:
    """The command that answers how many replicas hold what was written on its connection before it.

    WAIT, not WAITAOF: a replica with `appendfsync always` acknowledges only what it has on disk, and with `everysec`
    WAITAOF would keep every form tool waiting for up to a second.
    """
    return "WAIT", replicas, int(CONFIRM_SECONDS * 1000)


def refuse_unconfirmed(held_by: object, replicas: int) -> None:
    """Raise StoreUnavailable where fewer replicas than that hold what was written, or the server's own error."""
    if isinstance(held_by, Exception):
        raise held_by
    if int(str(held_by)) < replicas:
        raise StoreUnavailable(f"NOREPLICAS {held_by} of {replicas} replicas confirmed")


def leaving_a_former_primary(connection_class: Any) -> Any:
    """That class of connections to a primary, which redis-py makes leave on READONLY, leaving on NOREPLICAS too.

    And what is sent after leaving goes to whatever the Sentinels name then. By itself a connection that was left is made
    again to the address it had (redis 8.1, `send_packed_command`), and kombu's transactions, which begin anew on a lost
    connection for ever, would turn on a former primary until it is demoted.
    """

    class Leaving(connection_class):  # type: ignore[misc]
        def send_packed_command(self, *arguments: Any, **named: Any) -> None:
            if self._sock is None:
                self.connect()
            super().send_packed_command(*arguments, **named)

        def read_response(self, *arguments: Any, **named: Any) -> Any:
            try:
                return super().read_response(*arguments, **named)
            except redis.ResponseError as error:
                if not str(error).startswith("NOREPLICAS"):
                    raise
                self.disconnect()
                raise redis.ConnectionError("NOREPLICAS: another server may be primary now") from None

    return Leaving


def is_of_a_former_primary(away: StoreUnavailable) -> bool:
    """Whether the server spoke as one does that was primary before a failover."""
    return any(word in str(away) for word in ("NOREPLICAS", "READONLY"))


def keepalive(url: str) -> dict[str, Any]:
    """TCP keep-alive for an address that is reached by TCP; redis-py refuses the option for a unix socket."""
    return {} if url.startswith("unix:") else {"socket_keepalive": True}


def login_options(address: SentinelAddress) -> dict[str, Any]:
    """What a connection to the primary needs besides the host and port that a Sentinel tells."""
    tls = {"ssl": True, **address.tls_options} if address.is_tls else {}
    return {"db": address.db, "username": address.username, "password": address.password, **tls}


def sentinel_options(address: SentinelAddress, retry: Any = None) -> dict[str, Any]:
    """What a connection to a Sentinel needs. One that is down costs its timeout once: the others know as much."""
    tls = {"ssl": True, **address.tls_options} if address.is_tls else {}
    return {
        "username": address.sentinel_username,
        "password": address.sentinel_password,
        "socket_timeout": SENTINEL_TIMEOUT,
        "socket_connect_timeout": SENTINEL_TIMEOUT,
        "retry": retry or Retry(NoBackoff(), 0),
        "protocol": 2,
        **tls,
    }


def connect(url: str, *, answer_timeout: float = ANSWER_TIMEOUT) -> "redis.Redis":
    """A client of the server at `url`, or of the primary that its Sentinels name. Nothing is sent yet.

    Raises ValueError for an address that is none. After a failover a connection that breaks, or hears READONLY,
    is made again to whatever the Sentinels name then.
    """
    options: dict[str, Any] = {
        "socket_connect_timeout": CONNECT_TIMEOUT,
        "socket_timeout": answer_timeout,
        **keepalive(url),
        "health_check_interval": HEALTH_CHECK_SECONDS,
        # A connection that broke is made again. A silent server is not asked again: redis-py nests the retries of
        # a command and of its connection, and nine times the timeout is far too long to know of an outage.
        # One that became a replica is left: its name, or a Sentinel, leads to the new primary.
        "retry": Retry(
            ExponentialBackoff(cap=0.5, base=0.05),
            2,
            supported_errors=(redis.ConnectionError, redis.ReadOnlyError),
        ),
        "client_name": "speed-to-lead",
        "protocol": 2,  # one shape of answers, whatever the server's age
    }
    address = sentinel_address(url)
    if address is None:
        return redis.Redis.from_url(url, **options)
    new_sentinels: Any = Sentinel  # redis-py leaves it without types
    sentinels = new_sentinels(address.sentinels, sentinel_kwargs=sentinel_options(address))
    client: redis.Redis = sentinels.master_for(address.service, **login_options(address), **options)
    return client
