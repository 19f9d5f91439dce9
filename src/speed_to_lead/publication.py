"""The published config, as one process follows it: look before each batch, load beside the work, switch between batches.

What is published in the server counts, and a directory only as long as nothing ever was. A look is one command. A
version that this process cannot work with (of a newer release, or one that names a secret which is not set here) is
refused loudly, and the process goes on with the one it has: leads must not wait for somebody to mend a file.
"""

import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from math import inf
from typing import NamedTuple

import structlog

from speed_to_lead.config import Configuration
from speed_to_lead.destinations import Channel
from speed_to_lead.store import ConfigVersion, StoreUnavailable
from speed_to_lead.store.contract import Configs, RunningConfig, UnreadableRecord

log = structlog.get_logger()

#: A batch waits so long for the config that was published before it: the shipped rules load in a tenth of it. Thousands
#: of rules take seconds, and until they are loaded the batches go on with what they have.
PATIENCE = 0.5
#: A process that starts and cannot work with the live version takes the newest it can, so many back at the most.
LOOK_BACK = 10
#: What a process works with is forgotten after a day, so it says so again; and what it refuses it does not say once only.
SAY_AGAIN_SECONDS = 3600.0
COMPLAIN_AGAIN_SECONDS = 60.0


class Unusable(Exception):
    """This process cannot work with a published version; the text says why, and what to do."""


class Usable(NamedTuple):
    """A config, checked and ready to use, and the way to its destinations."""

    config: Configuration
    channel: Callable[[str], Channel]


#: Makes a config of what its files say, for a process that runs another one (None: at its start). Raises Unusable.
Load = Callable[[Mapping[str, bytes], Configuration | None], Usable]


@dataclass
class Follower:
    """Follows what is published, for the process `host:pid`. Any of its threads may look."""

    configs: Configs
    load: Load
    process: str
    _version: int = 0  # that this process works with; 0 is its directory's
    _refused: int = 0
    _why: str = ""
    _known: ConfigVersion | None = None  # live when we last looked, and taken or refused since
    _has_looked: bool = False
    _loading: "_Loading | None" = None
    _said_at: float = -inf
    _complained_at: float = -inf
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def first(self) -> Usable | None:
        """What a process begins with: the live version, else the newest before it that can be used; None: nothing is published.

        Raises Unusable where none of the last LOOK_BACK can be, and StoreUnavailable.
        """
        try:
            live = self.configs.current()
        except UnreadableRecord as error:
            raise Unusable(str(error)) from None
        self._has_looked = True
        if live is None:
            return None
        self._known = live
        why = ""
        for number in range(live.number, max(live.number - LOOK_BACK, 0), -1):
            outcome = _outcome(self.configs, self.load, number, None)
            if isinstance(outcome, Usable):
                self._version = number
                if why:
                    self._refuse(live, why)
                return outcome
            if isinstance(outcome, StoreUnavailable):
                raise outcome
            why = why or str(outcome)
        raise Unusable(f"version {live.number} of the config, which is live, cannot be used here: {why}")

    def look(self, running: Configuration, switch: Callable[[Usable], None], *, wait: bool = False) -> None:
        """Have the live version switched to, where it is another one, can be used, and is loaded.

        With `wait` return only when it is; else its loading is waited for once, for PATIENCE. The first look of a
        process that found no server at its start waits too: nothing may be decided on a directory that does not count.
        Raises StoreUnavailable.
        """
        with self._lock:
            try:
                live = self.configs.current()
            except UnreadableRecord as error:
                self._complain(0, str(error))
                return
            if live is not None and live != self._known:
                self._load(live, running, switch, wait=wait or not self._has_looked)
            elif self._refused:
                self._complain(self._refused, self._why)
            self._has_looked = True
            if time.monotonic() - self._said_at >= SAY_AGAIN_SECONDS and self._loading is None:
                self._say(running.rulebook.digest)

    def _load(
        self, live: ConfigVersion, running: Configuration, switch: Callable[[Usable], None], *, wait: bool
    ) -> None:
        patience = 0.0
        if self._loading is None or self._loading.version != live:
            self._loading = _Loading(self.configs, self.load, live, running)
            patience = PATIENCE
        outcome = self._loading.outcome_within(None if wait else patience)
        if outcome is None:
            return
        self._loading = None
        if isinstance(outcome, StoreUnavailable):
            raise outcome
        self._known = live
        if isinstance(outcome, Usable):
            self._version, self._refused, self._why = live.number, 0, ""
            switch(outcome)
            log.info("config.taken", version=live.number, digest=live.digest)
            self._say(live.digest)
        else:
            self._refuse(live, str(outcome))
            self._say(running.rulebook.digest)

    def _refuse(self, live: ConfigVersion, why: str) -> None:
        self._refused, self._why = live.number, why
        self._complained_at = -inf
        self._complain(live.number, why)

    def _complain(self, version: int, why: str) -> None:
        if time.monotonic() - self._complained_at >= COMPLAIN_AGAIN_SECONDS:
            self._complained_at = time.monotonic()
            log.error("config.refused", version=version, why=why, keeps=self._version)

    def _say(self, digest: str) -> None:
        """Let the command line know. A store that is away hears it later."""
        self._said_at = -inf
        with suppress(StoreUnavailable):
            said = RunningConfig(self._version, digest, self._refused, self._why)
            self.configs.note_running(self.process, said)
            self._said_at = time.monotonic()


class _Loading:
    """One version on its way, in a thread beside the work."""

    def __init__(self, configs: Configs, load: Load, version: ConfigVersion, running: Configuration) -> None:
        self.version = version
        self._outcome: Usable | Exception | None = None
        arguments = (configs, load, version.number, running)
        self._thread = threading.Thread(target=self._run, args=arguments, name="config", daemon=True)
        self._thread.start()

    def _run(self, configs: Configs, load: Load, number: int, running: Configuration) -> None:
        self._outcome = _outcome(configs, load, number, running)

    def outcome_within(self, seconds: float | None) -> Usable | Exception | None:
        """What came of it; None where it is not done in that time."""
        self._thread.join(seconds)
        return None if self._thread.is_alive() else self._outcome


def _outcome(configs: Configs, load: Load, number: int, running: Configuration | None) -> Usable | Exception:
    """The version ready to use, or why it is not: Unusable, or StoreUnavailable."""
    try:
        version = configs.version(number)
        texts = configs.texts(version.digest) if version is not None else None
        if texts is None:
            return Unusable("what it says is not in the server any more; publish it again")
        return load(texts, running)
    except (Unusable, StoreUnavailable) as error:
        return error
    except UnreadableRecord as error:
        return Unusable(str(error))
    except Exception as error:
        log.exception("config.failed", version=number)
        return Unusable(f"{type(error).__name__} while loading it, which is a bug; publish another one")
