"""Reps who answer: they read in the journal which leads came in, and respond to a part of them, sometimes twice."""

import json
import random
import threading
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from heapq import heappop, heappush
from itertools import count
from typing import Any, Final

import httpx

from benchmarks.chaos.journal import Journal, now_ms
from benchmarks.chaos.rules import TEAMS

#: Shares of the leads that are answered, passed on, closed; the others wait until their ladders end.
ANSWERED, PASSED_ON, CLOSED = 0.55, 0.10, 0.05
#: Seconds between hearing of a lead and doing something about it.
SOONEST, LATEST = 0.3, 22.0
#: Tries of one deed; a lead may not be routed yet, or the server be away.
TRIES: Final = 12
_KINDS: Final = ("attempted", "connected", "meeting_booked")
_REPS: Final = tuple(rep.id for team in TEAMS.values() for rep in team.reps)


@dataclass(frozen=True, slots=True)
class _Deed:
    """What somebody does about one lead: `action` is "responses", "reassign" or "close"."""

    lead: str
    action: str
    body: dict[str, Any]


class Responders:
    """They act until stopped."""

    def __init__(self, journal: Journal, base_urls: str | Sequence[str], api_key: str, seed: int) -> None:
        self._journal = journal
        self._urls = (base_urls,) if isinstance(base_urls, str) else tuple(base_urls)
        self._dice = random.Random(seed)
        self._numbers = count(1)
        self._known: set[str] = set()
        self._waiting: list[tuple[float, int, _Deed, int]] = []
        self._lock = threading.Lock()
        self._stopping = threading.Event()
        self._http = httpx.Client(
            headers={"authorization": f"Bearer {api_key}"}, timeout=5.0, trust_env=False
        )
        self._hands = ThreadPoolExecutor(8, thread_name_prefix="responder")
        self._threads = [
            threading.Thread(target=work, daemon=True) for work in (self._listen, self._dispatch)
        ]

    def start(self) -> None:
        """Begin."""
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """Do nothing more; return when what is under way has ended."""
        self._stopping.set()
        for thread in self._threads:
            thread.join()
        self._hands.shutdown(wait=True, cancel_futures=True)
        self._http.close()

    def _listen(self) -> None:
        """Every new lead in the journal, as it is written there."""
        with self._journal.path.open(encoding="utf-8") as file:
            rest = ""
            while not self._stopping.is_set():
                rest += file.read()
                *lines, rest = rest.split("\n")
                for line in lines:
                    self._hear(json.loads(line))
                self._stopping.wait(0.1)

    def _hear(self, event: dict[str, Any]) -> None:
        lead = ""
        if event["event"] == "post" and event["kind"] == "lead":
            lead = event["answer"]
        elif event["event"] == "receipt":
            lead = event["lead"]
        if lead and lead not in self._known:
            self._known.add(lead)
            for seconds, deed in self._plans(lead):
                self._act_at(seconds, deed, 1)

    def _plans(self, lead: str) -> list[tuple[float, _Deed]]:
        dice = self._dice
        lot, at = dice.random(), dice.uniform(SOONEST, LATEST)
        plans: list[tuple[float, _Deed]] = []
        if lot < ANSWERED:
            if dice.random() < 0.3:
                plans.append((at * dice.random(), self._response(lead, "acknowledged")))
            answer = self._response(lead, dice.choice(_KINDS))
            plans += [(at + dice.uniform(0, 1), answer)] * (1 if dice.random() < 0.8 else 2)
            if dice.random() < 0.1:  # somebody else answers as well, at the same time
                plans.append((at, self._response(lead, dice.choice(_KINDS))))
        elif lot < ANSWERED + PASSED_ON:
            body = {"rep": dice.choice(_REPS), "by": "chaos-lead"}
            plans.append((at, _Deed(lead, "reassign", body)))
            if dice.random() < 0.5:
                plans.append((at + dice.uniform(0, 8), self._response(lead, "connected")))
        elif lot < ANSWERED + PASSED_ON + CLOSED:
            plans += [(at, _Deed(lead, "close", {"reason": "spam", "by": "chaos-lead"}))] * dice.choice(
                (1, 2)
            )
        return plans

    def _response(self, lead: str, kind: str) -> _Deed:
        evidence = f"r{next(self._numbers)}-{self._dice.randrange(16**6):06x}"
        return _Deed(lead, "responses", {"kind": kind, "by": self._dice.choice(_REPS), "evidence": evidence})

    def _act_at(self, seconds: float, deed: _Deed, tries: int) -> None:
        with self._lock:
            heappush(self._waiting, (time.monotonic() + seconds, next(self._numbers), deed, tries))

    def _dispatch(self) -> None:
        while not self._stopping.wait(0.02):
            with self._lock:
                due = []
                while self._waiting and self._waiting[0][0] <= time.monotonic():
                    due.append(heappop(self._waiting))
            for _, _, deed, tries in due:
                self._hands.submit(self._act, deed, tries)

    def _act(self, deed: _Deed, tries: int) -> None:
        url = random.choice(self._urls)  # which web answers is chance
        sent = now_ms()
        status, result, of = 0, "", ""
        try:
            answer = self._http.post(f"{url}/v1/leads/{deed.lead}/{deed.action}", json=deed.body)
            status = answer.status_code
            if status == 200:
                said = answer.json()
                result, of = said["result"], said["lead"]["id"]
        except (httpx.HTTPError, ValueError, RuntimeError):
            pass
        self._journal.write(
            "respond",
            lead=deed.lead,
            of=of,
            action=deed.action,
            kind=deed.body.get("kind", deed.action),
            by=deed.body["by"],
            evidence=deed.body.get("evidence", ""),
            rep=deed.body.get("rep", ""),
            status=status,
            result=result,
            sent=sent,
        )
        if status in (0, 404, 500, 502, 503) and tries < TRIES and not self._stopping.is_set():
            self._act_at(1.0, deed, tries + 1)
