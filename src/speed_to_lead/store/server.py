"""The connection to the server: explicit timeouts, few retries, scripts loaded by hash, errors in one class."""

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


@dataclass(frozen=True, slots=True)
class ScriptCall:
    """One call of a script: its name, the keys it declares, its arguments."""

    script: str
    keys: Sequence[str]
    arguments: Sequence[Any]


class Server:
    """One client, its key names and its loaded scripts."""

    def __init__(self, client: "redis.Redis", keys: Keys) -> None:
        self.client = client
        self.keys = keys
        self._hashes: dict[str, str] = {}

    def run(self, calls: Sequence[ScriptCall]) -> list[Any]:
        """The answers of the scripts, sent in one pipeline. Each is atomic by itself. Raises StoreUnavailable.

        A server that was restarted has forgotten the scripts; they are loaded again and the refused calls
        repeated. Those that ran are not: every script refuses what it has done already.
        """
        answers: list[Any] = [None] * len(calls)
        waiting = list(range(len(calls)))
        for _ in range(3):
            if not waiting:
                break
            with translated_errors():
                self._load({calls[number].script for number in waiting})
                pipe = self.client.pipeline(transaction=False)
                for number in waiting:
                    call = calls[number]
                    pipe.evalsha(self._hashes[call.script], len(call.keys), *call.keys, *call.arguments)
                for number, answer in zip(waiting, pipe.execute(raise_on_error=False), strict=True):
                    answers[number] = answer
            forgotten = [number for number in waiting if isinstance(answers[number], NoScriptError)]
            if forgotten:
                self._hashes.clear()
            waiting = forgotten
        with translated_errors():
            for answer in answers:
                if isinstance(answer, Exception):
                    raise answer
        return answers

    def run_one(self, script: str, keys: Sequence[str], arguments: Sequence[Any]) -> Any:
        """The answer of one script."""
        return self.run([ScriptCall(script, keys, arguments)])[0]

    def _load(self, names: set[str]) -> None:
        for name in names - self._hashes.keys():
            self._hashes[name] = str(self.client.script_load(SCRIPTS[name]))


@contextmanager
def translated_errors() -> Iterator[None]:
    """Whatever the server or the way to it does wrong becomes StoreUnavailable, without addresses or arguments."""
    try:
        yield
    except redis.RedisError as error:
        # The first word of a server error is its class (OOM, READONLY, LOADING); the rest may quote arguments.
        word = str(error).split(" ", 1)[0] if isinstance(error, redis.ResponseError) else ""
        raise StoreUnavailable(f"{type(error).__name__} {word}".strip()) from error


def connect(url: str) -> "redis.Redis":
    """A client of the server at `url`. Nothing is sent yet. Raises ValueError for an address that is none."""
    return redis.Redis.from_url(
        url,
        socket_connect_timeout=CONNECT_TIMEOUT,
        socket_timeout=ANSWER_TIMEOUT,
        socket_keepalive=True,
        health_check_interval=HEALTH_CHECK_SECONDS,
        retry=Retry(ExponentialBackoff(cap=0.5, base=0.05), retries=2),
        client_name="speed-to-lead",
        protocol=2,  # one shape of answers, whatever the server's age
    )
