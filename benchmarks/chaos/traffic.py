"""A steady stream of submissions of every form tool, sent again as each tool does, with all that really happens.

Most are new people. Some come back through another form, some press twice, some tools send what was taken already
once more, some submissions are tests, some cannot be read, some are forged. Each try is noted with what was heard.
"""

import contextlib
import random
import threading
import time
from collections import deque
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from heapq import heappop, heappush
from itertools import count
from typing import Final

import httpx

from benchmarks.chaos.journal import Journal, now_ms
from benchmarks.chaos.people import Person, new_person
from benchmarks.chaos.rules import SOURCES
from benchmarks.chaos.tools import TOOLS, Submission, Tool

#: Senders at once: form tools wait for slow answers, and others send meanwhile.
SENDERS: Final = 32
#: After stop(), seconds in which what was not taken yet is sent again.
LAST_TRIES: Final = 90.0


@dataclass(frozen=True, slots=True)
class _Parcel:
    """One submission as its tool sends it: the same bytes each time."""

    tool: Tool
    submission: Submission
    body: bytes


class Traffic:
    """Submissions at `rate` per second, until stopped. Every number drawn follows from the seed."""

    def __init__(
        self, journal: Journal, base_urls: str | Sequence[str], seed: int, rate: float, api_key: str
    ) -> None:
        self._journal = journal
        self._urls = (base_urls,) if isinstance(base_urls, str) else tuple(base_urls)
        self._rate = rate
        self._api_key = api_key
        self._dice = random.Random(seed)
        self._numbers = count(1)
        self._people: deque[Person] = deque(maxlen=200)
        self._taken: deque[_Parcel] = deque(maxlen=40)
        self._waiting: list[tuple[float, int, _Parcel, int]] = []
        self._order = count()
        self._changed = threading.Condition()
        self._busy = 0
        self._stopping = False
        self._over = threading.Event()
        self._http = httpx.Client(
            limits=httpx.Limits(max_connections=SENDERS * 2, keepalive_expiry=2), trust_env=False
        )
        self._senders = ThreadPoolExecutor(SENDERS, thread_name_prefix="form-tool")
        self._threads = [
            threading.Thread(target=self._invent, name="people", daemon=True),
            threading.Thread(target=self._dispatch, name="retries", daemon=True),
        ]

    def start(self) -> None:
        """Begin."""
        for thread in self._threads:
            thread.start()

    def stop(self, last_tries: float = LAST_TRIES) -> None:
        """No new submissions; return when each was taken or given up, or after so many seconds."""
        self._stopping = True
        limit = time.monotonic() + last_tries
        with self._changed:
            while (self._waiting or self._busy) and time.monotonic() < limit:
                self._changed.wait(0.2)
            left = len(self._waiting)
        self._over.set()
        with self._changed:
            self._changed.notify_all()
        self._senders.shutdown(wait=True, cancel_futures=True)
        self._http.close()
        if left:
            self._journal.write(
                "note", text=f"{left} submissions were still to be sent again when traffic stopped"
            )

    # --- who sends what ----------------------------------------------------------------------------------------

    def _invent(self) -> None:
        """Submissions, one after the other, as time goes on."""
        begun, sent = time.monotonic(), 0
        while not self._stopping:
            for parcel in self._next_parcels():
                self._send_at(0.0, parcel, 1)
                sent += 1
            self._over.wait(max(begun + sent / self._rate - time.monotonic(), 0.0))

    def _next_parcels(self) -> list[_Parcel]:
        dice = self._dice
        lot = dice.random()
        if lot < 0.05 and self._taken:  # the tool did not hear our 200, or somebody pressed "send again"
            return [dice.choice(self._taken)]
        if lot < 0.10:
            kinds = sorted({kind for tool in TOOLS for kind in tool.kinds})
            return [self._parcel(dice.choice(kinds), self._new_person())]
        if lot < 0.25 and self._people:  # somebody comes back
            return [self._parcel("lead", dice.choice(self._people))]
        person = self._new_person()
        if lot < 0.30:  # pressed twice: the same submission, twice at the same time
            return [self._parcel("lead", person)] * 2
        if lot < 0.35:  # two forms of one person at the same time
            return [self._parcel("lead", person), self._parcel("lead", person)]
        return [self._parcel("lead", person)]

    def _new_person(self) -> Person:
        person = new_person(next(self._numbers), self._dice)
        self._people.append(person)
        return person

    def _parcel(self, kind: str, person: Person) -> _Parcel:
        dice = self._dice
        tool = dice.choice([tool for tool in TOOLS if kind in tool.kinds])
        source = tool.source or dice.choice(SOURCES)
        key = f"s{next(self._order)}-{dice.randrange(16**8):08x}"
        submission = Submission(
            key, person.key, person.fields(dice), source, kind, source_written=not tool.source
        )
        return _Parcel(tool, submission, tool.body(submission))

    # --- sending, and sending again ----------------------------------------------------------------------------

    def _send_at(self, seconds: float, parcel: _Parcel, tries: int) -> None:
        with self._changed:
            heappush(self._waiting, (time.monotonic() + seconds, next(self._order), parcel, tries))
            self._changed.notify_all()

    def _dispatch(self) -> None:
        while not self._over.is_set():
            with self._changed:
                wait = self._waiting[0][0] - time.monotonic() if self._waiting else 0.5
                if wait > 0:
                    self._changed.wait(min(wait, 0.5))
                    continue
                _, _, parcel, tries = heappop(self._waiting)
                self._busy += 1
            with contextlib.suppress(RuntimeError):  # shut down meanwhile
                self._senders.submit(self._try, parcel, tries)

    def _try(self, parcel: _Parcel, tries: int) -> None:
        wait = None
        try:
            status, retry_after = self._post(parcel, tries)
            is_done = status == 200 or parcel.submission.kind == "forged"
            if status == 200 and parcel.submission.kind == "lead":
                self._taken.append(parcel)
            wait = None if is_done else parcel.tool.wait_after(tries, status, retry_after)
        finally:
            if wait is not None:
                self._send_at(wait, parcel, tries + 1)
            with self._changed:
                self._busy -= 1
                self._changed.notify_all()

    def _post(self, parcel: _Parcel, tries: int) -> tuple[int, str]:
        """One try: the status (0 where no answer came) and Retry-After."""
        tool, submission = parcel.tool, parcel.submission
        url = random.choice(self._urls)  # which web answers is chance, not part of the plan
        headers = tool.headers(parcel.body, submission)
        if tool.provider == "api":
            headers["authorization"] = f"Bearer {self._api_key}"
        sent = now_ms()
        status, answer, retry_after = 0, "", ""
        try:
            response = self._http.post(
                url + tool.path, content=parcel.body, headers=headers, timeout=httpx.Timeout(tool.patience)
            )
            status, retry_after = response.status_code, response.headers.get("retry-after", "")
            if status == 200:
                answer = str(response.json().get("id", ""))
        except (httpx.HTTPError, ValueError):
            pass  # no answer, or half of one
        self._journal.write(
            "post",
            form=tool.form,
            submission=submission.key,
            person=submission.person,
            source=submission.source,
            kind=submission.kind,
            tries=tries,
            status=status,
            answer=answer,
            sent=sent,
        )
        return status, retry_after
