"""What the checker judges by: the journal of the run, and what speed-to-lead's public faces say afterwards."""

import json
import re
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import httpx
import redis

from benchmarks.chaos.business_time import ms_of
from benchmarks.chaos.journal import events
from benchmarks.chaos.story import Story, story_of
from benchmarks.chaos.tools import MARK

Document = Mapping[str, Any]

#: After a fault has ended, what it did may last so long: backlogs, leases, reconnections.
AFTERMATH_MS: Final = 25_000
#: A stepped clock is noticed within a second or two.
STEP_NOTICED_MS: Final = 3_000
#: How often everything is asked, until nothing moved meanwhile; and how long a step and its alerts are on their way.
LOOKS: Final = 12
SETTLING_MS: Final = 10_000
_ROOT: Final = Path(__file__).parents[2]


@dataclass(frozen=True, slots=True)
class Fault:
    """One fault of the run, between two instants of this machine's clock."""

    name: str
    begin: int
    end: int
    target: str = ""
    step: int = 0


@dataclass(frozen=True, slots=True)
class Submitted:
    """All tries of one submission: the posts of one business key."""

    key: str
    posts: tuple[Document, ...]

    @property
    def kind(self) -> str:
        """lead, test, unreadable or forged."""
        return str(self.posts[0]["kind"])

    @property
    def form(self) -> str:
        """The form it was sent to."""
        return str(self.posts[0]["form"])

    @property
    def answers(self) -> set[str]:
        """The ids that were answered with a 200."""
        return {post["answer"] for post in self.posts if post["status"] == 200}

    @property
    def is_taken(self) -> bool:
        """Whether one of its tries was answered with a 200."""
        return bool(self.answers)


@dataclass(frozen=True, slots=True)
class Place:
    """Where a submission was found: a lead, or a touch of one."""

    key: str
    lead: str
    submission: str
    form: str


@dataclass(slots=True)
class Evidence:
    """Everything that is known about one run. `checked_at` is the server's own time when it was asked."""

    posts: list[Document] = field(default_factory=list)
    responds: list[Document] = field(default_factory=list)
    receipts: list[Document] = field(default_factory=list)
    faults: list[Fault] = field(default_factory=list)
    leads: dict[str, Document] = field(default_factory=dict)
    ledger: Document = field(default_factory=dict)
    dead_letters: list[Document] = field(default_factory=list)
    waiting_alerts: list[Document] = field(default_factory=list)
    dead_alerts: list[Document] = field(default_factory=list)
    quarantined: int = 0
    load: Mapping[str, int] = field(default_factory=dict)
    log_lines: Iterable[tuple[str, str]] = ()
    secrets: tuple[str, ...] = ()
    checked_at: int = 0
    _submitted: dict[str, Submitted] | None = None
    _places: dict[str, list[Place]] | None = None
    _stories: dict[str, Story] | None = None
    _of_wrong_clock: dict[str, bool] = field(default_factory=dict)

    @property
    def stories(self) -> dict[str, Story]:
        """The story of each lead, by its id."""
        if self._stories is None:
            self._stories = {lead["id"]: story_of(lead) for lead in self.leads.values()}
        return self._stories

    @property
    def submitted(self) -> dict[str, Submitted]:
        """Every submission by its business key."""
        if self._submitted is None:
            found: defaultdict[str, list[Document]] = defaultdict(list)
            for post in self.posts:
                found[post["submission"]].append(post)
            self._submitted = {key: Submitted(key, tuple(posts)) for key, posts in found.items()}
        return self._submitted

    @property
    def places(self) -> dict[str, list[Place]]:
        """Where each business key was found."""
        if self._places is None:
            found: defaultdict[str, list[Place]] = defaultdict(list)
            for lead in self.leads.values():
                for place in _places_in(lead):
                    found[place.key].append(place)
            self._places = dict(found)
        return self._places

    def struck(self, begin: int, end: int, *names: str, aftermath: int = AFTERMATH_MS) -> bool:
        """Whether a fault of one of these names (as they begin; none given: any) may have been felt in this span."""
        return any(
            fault.begin <= end
            and fault.end + aftermath >= begin
            and (not names or fault.name.startswith(names))
            for fault in self.faults
        )

    def may_be_same(self, outside: int, inside: int, tolerance: int = 0) -> bool:
        """Whether an instant of this machine's clock may be that instant of the server's, whose clock may have stepped."""
        return any(abs(outside + offset - inside) <= tolerance for offset in self.offsets(outside))

    def offsets(self, at: int) -> list[int]:
        """What the server's clock may have been ahead of ours, in milliseconds."""
        steps = [
            fault.step
            for fault in self.faults
            if fault.step and fault.begin - STEP_NOTICED_MS <= at <= fault.end + STEP_NOTICED_MS
        ]
        return [0, *steps]

    def clock_stepped_during(self, lead: Document) -> bool:
        """Whether one of a lead's instants was taken, or may have been, while the server's clock was wrong."""
        if lead["id"] not in self._of_wrong_clock:
            instants = [ms_of(entry["at"]) for entry in lead["history"]] + [ms_of(lead["received_at"])]
            self._of_wrong_clock[lead["id"]] = any(map(self.is_of_wrong_clock, instants))
        return self._of_wrong_clock[lead["id"]]

    def is_of_wrong_clock(self, inside: int) -> bool:
        """Whether this instant of the server's clock may have been taken while that clock was wrong."""
        return any(
            fault.begin + ahead - STEP_NOTICED_MS <= inside <= fault.end + ahead + STEP_NOTICED_MS
            for fault in self.faults
            if fault.step
            for ahead in (0, fault.step)
        )


def _places_in(lead: Document) -> list[Place]:
    places = [Place(str(lead["custom"].get(MARK, "")), lead["id"], lead["id"], lead["form"])]
    places += [
        Place(str(touch["custom"].get(MARK, "")), lead["id"], touch["submission_id"], touch["form"])
        for touch in lead["touches"]
    ]
    return places


# --- gathering it ----------------------------------------------------------------------------------------------


def read_journal(path: Path, evidence: Evidence | None = None) -> Evidence:
    """What the world outside saw, added to what is known."""
    evidence = evidence or Evidence()
    begun: dict[tuple[str, str], Document] = {}
    last = 0
    for event in events(path):
        last = max(last, event["at"])
        match event["event"]:
            case "post":
                evidence.posts.append(event)
            case "respond":
                evidence.responds.append(event)
            case "receipt":
                evidence.receipts.append(event)
            case "fault":
                name = (event["name"], json.dumps(event["details"], sort_keys=True))
                if event["phase"] == "begin":
                    begun[name] = event
                elif name in begun:
                    evidence.faults.append(_fault(begun.pop(name), event["at"]))
    evidence.faults += [_fault(event, last) for event in begun.values()]
    return evidence


def _fault(begun: Document, end: int) -> Fault:
    details = begun["details"]
    is_server_clock = begun["name"] == "clock-of-server"
    step = round(details.get("step", 0) * 1000) if is_server_clock else 0
    return Fault(begun["name"], begun["at"], end, str(details.get("target", "")), step)


class PublicFaces:
    """HTTP, the command line, and the documented keys: nothing else is asked."""

    def __init__(self, base_url: str, api_key: str, environment: Mapping[str, str]) -> None:
        self._http = httpx.Client(
            base_url=base_url, headers={"authorization": f"Bearer {api_key}"}, timeout=20.0, trust_env=False
        )
        self._environment = dict(environment)

    def leads(self) -> dict[str, Document]:
        """Every lead with its history, by id."""
        ids: list[str] = []
        cursor = ""
        while True:
            page = self._get("/v1/leads", {"limit": "200"} | ({"cursor": cursor} if cursor else {}))
            ids += [lead["id"] for lead in page["leads"]]
            cursor = page["next"]
            if not cursor:
                break
        with ThreadPoolExecutor(4) as readers:
            return dict(zip(ids, readers.map(lambda lead: self._get(f"/v1/leads/{lead}"), ids), strict=True))

    def status(self) -> Document:
        """Depths, and the server's time."""
        status: Document = self._get("/v1/status")
        return status

    def command(self, words: str) -> Any:
        """What a command says with --json."""
        done = subprocess.run(
            [sys.executable, "-m", "speed_to_lead.cli", *words.split(), "--json"],
            env=self._environment,
            cwd=_ROOT,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        try:
            return json.loads(done.stdout)
        except ValueError:
            raise RuntimeError(f"`speed-to-lead {words} --json` said no JSON: {done.stderr[-500:]}") from None

    def load(self) -> dict[str, int]:
        """Open leads by rep, as docs/redis-keys.md says where it stands."""
        prefix = self._environment.get("STL_KEY_PREFIX", "stl")
        with redis.Redis.from_url(self._environment["REDIS_URL"], decode_responses=True) as client:
            counts: Any = client.hgetall(f"{{{prefix}}}:load")
        return {rep: int(count) for rep, count in counts.items()}

    def _get(self, path: str, params: Mapping[str, str] | None = None) -> Any:
        for tries in range(5):
            try:
                answer = self._http.get(path, params=params)
                answer.raise_for_status()
                return answer.json()
            except httpx.HTTPError:
                if tries == 4:
                    raise
        return None


#: The most the command line lists at once.
_ALL: Final = 10_000
_SECRET_NAME: Final = re.compile(r"(SECRET|TOKEN|URL|KEYS?)$")


def gather(journal_path: Path, base_url: str, api_key: str, environment: Mapping[str, str]) -> Evidence:
    """Everything there is to know about a run that has come to rest."""
    faces = PublicFaces(base_url, api_key, environment)
    for _ in range(LOOKS):
        evidence = Evidence()
        _look(evidence, faces)
        # Last, for the sink writes on: what is noted as delivered by now stands in it.
        read_journal(journal_path, evidence)
        if not _may_have_moved(evidence, ms_of(faces.status()["now"])):
            break
        time.sleep(5)
    evidence.log_lines = _lines_of(journal_path.parent)
    evidence.secrets = tuple(
        value.rpartition("/")[2] if name.endswith("URL") else value
        for name, value in environment.items()
        if name.startswith(("CHAOS_", "STL_API_KEYS")) and _SECRET_NAME.search(name)
    )
    return evidence


def _look(evidence: Evidence, faces: PublicFaces) -> None:
    """Ask everything once, the time first."""
    evidence.checked_at = ms_of(faces.status()["now"])
    evidence.leads = faces.leads()
    evidence.load = faces.load()
    evidence.ledger = faces.command("ledger")
    evidence.dead_letters = faces.command(f"dead-letters list --limit {_ALL}")["dead_letters"]
    evidence.waiting_alerts = faces.command(f"alerts list --limit {_ALL}")["alerts"]
    evidence.dead_alerts = faces.command(f"alerts list --dead --limit {_ALL}")["alerts"]
    evidence.quarantined = faces.status()["quarantined"]


def _may_have_moved(evidence: Evidence, now: int) -> bool:
    """Whether something came due while we asked, so that the answers are not all of one moment.

    Some deadlines are minutes away when a run ends: their calendar is closed.
    """
    nexts = [ms_of(lead["next_at"]) for lead in evidence.leads.values() if lead["next_at"]]
    return any(evidence.checked_at - SETTLING_MS < at <= now for at in nexts) or bool(evidence.waiting_alerts)


def _lines_of(directory: Path) -> Iterable[tuple[str, str]]:
    """Every line of every log, with the file's name."""
    for file in sorted(directory.rglob("*.log")):
        with file.open(encoding="utf-8", errors="replace") as lines:
            for line in lines:
                yield file.name, line
