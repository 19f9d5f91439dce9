"""The connection to the server: explicit timeouts, few retries, scripts loaded by hash, errors in one class."""

import hashlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.resources import files
from typing import Any

import redis
from redis.backoff import ExponentialBackoff
from redis.exceptions import NoScriptError
from redis.retry import Retry

from speed_to_lead.store.contract import StoreUnavailable
from speed_to_lead.store.encryption import PLAIN, Vault
from speed_to_lead.store.keys import Keys

#: Without these a silent server holds a process for ever; redis-py alone would retry ten times.
CONNECT_TIMEOUT = 3.0
ANSWER_TIMEOUT = 5.0
HEALTH_CHECK_SECONDS = 15

SCRIPTS = {
    file.name.removesuffix(".lua"): file.read_text(encoding="utf-8")
    for file in files("speed_to_lead.store").joinpath("scripts").iterdir()
    if file.name.endswith(".lua")
}
#: Under which the server keeps each script once it was loaded.
HASHES = {
    name: hashlib.sha1(source.encode(), usedforsecurity=False).hexdigest() for name, source in SCRIPTS.items()
}


@dataclass(frozen=True, slots=True)
class ScriptCall:
    """One call of a script: its name, the keys it declares, its arguments."""

    script: str
    keys: Sequence[str]
    arguments: Sequence[Any]


class Server:
    """One client, its key names, its loaded scripts, and the vault for what is personal."""

    def __init__(self, client: "redis.Redis", keys: Keys, vault: Vault = PLAIN) -> None:
        # redis-py's types answer unions of every protocol and of its asynchronous twin; ours is one of them.
        self.client: Any = client
        self.keys = keys
        self.vault = vault

    def run(self, calls: Sequence[ScriptCall]) -> list[Any]:
        """The answers of the scripts, sent in one pipeline. Each is atomic by itself. Raises StoreUnavailable.

        A server that is new or was restarted does not know the scripts; they are loaded and the refused calls
        repeated. Those that ran are not repeated.
        """
        answers: list[Any] = [None] * len(calls)
        waiting = list(range(len(calls)))
        for _ in range(3):
            if not waiting:
                break
            with translated_errors():
                pipe = self.client.pipeline(transaction=False)
                for number in waiting:
                    call = calls[number]
                    pipe.evalsha(HASHES[call.script], len(call.keys), *call.keys, *call.arguments)
                for number, answer in zip(waiting, pipe.execute(raise_on_error=False), strict=True):
                    answers[number] = answer
            waiting = [number for number in waiting if isinstance(answers[number], NoScriptError)]
            self._load({calls[number].script for number in waiting})
        with translated_errors():
            for answer in answers:
                if isinstance(answer, Exception):
                    raise answer
        return answers

    def run_one(self, script: str, keys: Sequence[str], arguments: Sequence[Any]) -> Any:
        """The answer of one script."""
        return self.run([ScriptCall(script, keys, arguments)])[0]

    def _load(self, names: set[str]) -> None:
        with translated_errors():
            for name in names:
                self.client.script_load(SCRIPTS[name])


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
    word = str(error).split(" ", 1)[0] if isinstance(error, redis.ResponseError) else ""
    return f"{type(error).__name__} {word if word.isupper() else ''}".strip()


def keepalive(url: str) -> dict[str, Any]:
    """TCP keep-alive for an address that is reached by TCP; redis-py refuses the option for a unix socket."""
    return {} if url.startswith("unix:") else {"socket_keepalive": True}


def connect(url: str, *, answer_timeout: float = ANSWER_TIMEOUT) -> "redis.Redis":
    """A client of the server at `url`. Nothing is sent yet. Raises ValueError for an address that is none."""
    return redis.Redis.from_url(
        url,
        socket_connect_timeout=CONNECT_TIMEOUT,
        socket_timeout=answer_timeout,
        **keepalive(url),
        health_check_interval=HEALTH_CHECK_SECONDS,
        # A connection that broke is made again. A silent server is not asked again: redis-py nests the retries of
        # a command and of its connection, and nine times the timeout is far too long to know of an outage.
        retry=Retry(ExponentialBackoff(cap=0.5, base=0.05), 2, supported_errors=(redis.ConnectionError,)),
        client_name="speed-to-lead",
        protocol=2,  # one shape of answers, whatever the server's age
    )
