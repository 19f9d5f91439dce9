"""docs/redis-keys.md is the whole truth: every key of a used store matches one of its rows, and every row says its bound."""

import re
from dataclasses import replace
from datetime import timedelta
from functools import cached_property
from pathlib import Path

import tests.test_privacy as life
from tests.core.builders import rep, rulebook, team
from tests.flow.scene import REFUSED, Scene, new_scene
from tests.servers import ManualClock
from tests.store.builders import taken

import speed_to_lead
from speed_to_lead import flow
from speed_to_lead.core.assignment import WhenNobody
from speed_to_lead.core.audit import Finding
from speed_to_lead.core.delivery import Trouble
from speed_to_lead.core.lead import Alert, AlertKind
from speed_to_lead.core.reps import Absence
from speed_to_lead.core.rules import KeepWith
from speed_to_lead.core.settlement import Await
from speed_to_lead.core.storm import DigestTerms
from speed_to_lead.spellings import SPELLINGS
from speed_to_lead.store.contract import (
    AlertSettlement,
    ConfigVersion,
    Disabled,
    Erasure,
    Reconciliation,
    RunningConfig,
    ShadowConfig,
)
from speed_to_lead.store.keys import Keys
from speed_to_lead.store.redis_store import RedisStore

DOCUMENT = Path(speed_to_lead.__file__).parents[2] / "docs" / "redis-keys.md"
#: Keys that only a process of ours makes, and that no store method writes.
MADE_ELSEWHERE = {"celery:*", "rate:<form>", "repeats:<key>"}


def documented_rows() -> dict[str, list[str]]:
    """The cells of each row of the table of keys, by the key's name."""
    rows = re.findall(r"^\| `([^`]+)` \|(.*)\|$", DOCUMENT.read_text().split("Counters in")[0], re.MULTILINE)
    return {name: [cell.strip() for cell in rest.split("|")] for name, rest in rows}


def matches(row: str, name: str) -> bool:
    """Whether a key's name is of that row: `<…>` stands for one part, `*` for anything."""
    pattern = re.sub(r"<[^>]+>", "\0", row)
    pattern = re.escape(pattern).replace("\0", "[^:]+").replace(r"\*", ".*")
    return re.fullmatch(pattern, name) is not None


def waiting_and_paced(scene: Scene) -> None:
    """Nobody is there, so a lead waits; somebody with a cooldown speaks its language, and is set away."""
    paced = replace(
        rep("cy", attributes={"language": ("de",)}, notify="ana-slack"), cooldown=timedelta(minutes=5)
    )
    members = team(
        paced, "dan", match={"language": "custom.language"}, when_nobody=WhenNobody.QUEUE, name="others"
    )
    others = scene.with_rules(rulebook(teams=[members]))
    others.submit(custom={"language": "de"}, email=f"lea-{len(others.leads())}@example.com")
    others.route()
    others.store.reps.set_away("cy", Absence("kim", scene.clock()))
    others.submit(custom={"language": "de"}, email=f"lea-{len(others.leads())}@example.com")
    others.route()


def used_keys(store: RedisStore) -> set[str]:
    """The keys of a store in which everything has happened at some time."""
    scene, seen = new_scene(store, ManualClock()), set[str]()
    start = store.server.keys.incoming.removesuffix("leads:incoming")

    def look() -> None:
        seen.update(key.decode().removeprefix(start) for key in store.server.client.scan_iter(f"{start}*"))

    waiting_and_paced(scene)
    lead = scene.routed()
    scene.people["ana-slack"].always = scene.people["ben-slack"].always = REFUSED
    life.a_life_of_kim(scene)
    scene.submit()
    scene.route()
    look()
    (destination, *_) = flow.destinations_due(scene.place)
    claimed = store.outbox.claim(destination, scene.clock(), flow.LEASE, at_once=4)
    assert claimed is not None
    refused = Trouble(scene.clock(), scene.clock())
    store.outbox.settle(claimed, AlertSettlement("retry", scene.clock(), trouble=refused))
    store.outbox.note_sent(destination, DigestTerms(1, timedelta(minutes=1)), scene.clock())
    look()
    store.outbox.claim(destination, scene.clock(), flow.LEASE, at_once=4)
    plain = rulebook(spellings=SPELLINGS)
    by_company = replace(plain, default=replace(plain.default, keep_with=KeepWith.COMPANY))
    scene.with_rules(by_company).routed(email="lee@acme.example")
    store.leads.quarantine(lead.id, "damaged")
    store.outbox.disable(destination, Disabled(scene.clock(), scene.clock() + timedelta(hours=1), "gone"))
    store.operations.beat("router@host:1", scene.clock())
    store.operations.claim_hint("route")
    told = Alert(lead.id, "audit.overdue.2026-01-05", "console", AlertKind.CONTRADICTION, scene.clock())
    store.audit.tell(Finding.OVERDUE, 1, told, timedelta(days=1))
    store.privacy.note_erasure(Erasure(scene.clock(), "ana", "R-1", {}, proven=True))
    store.configs.publish(ConfigVersion(1, "d", "ana", scene.clock()), {})
    store.shadow.begin(ShadowConfig("s1", "d", "ana", scene.clock()), {})
    store.shadow.note("s1", {"leads": 1}, ["{}"])
    now = scene.clock()
    store.reconciliations.note(None, Reconciliation("demo", now, now))
    store.configs.note_running("host:1", RunningConfig(1, "d"))
    entry, now = taken(store), store.now()
    store.queue.settle([Await(entry.entry_id, entry.submission, "name", now, now)])
    look()
    return seen


def test_every_key_is_documented(redis_store: RedisStore) -> None:
    """A key that no row describes has no known bound; a row that no key matches describes nothing."""
    rows, used = documented_rows(), used_keys(redis_store)
    assert [name for name in sorted(used) if not any(matches(row, name) for row in rows)] == []
    assert {row for row in rows if not any(matches(row, name) for name in used)} == MADE_ELSEWHERE
    assert all(cells[2] for cells in rows.values())


def test_every_name_is_documented() -> None:
    """So is every name that keys.py can make."""
    rows, keys = documented_rows(), Keys("stl")
    made = []
    for name, member in vars(Keys).items():
        if not name.startswith("_") and name not in ("prefix", "start", "broker"):
            made.append(
                getattr(keys, name) if isinstance(member, cached_property) else getattr(keys, name)("x")
            )
    undocumented = [key for key in made if not any(matches(row, key.removeprefix("{stl}:")) for row in rows)]
    assert undocumented == []
    assert len(made) > 20


def test_the_check_can_fail() -> None:
    """A name that is no row's is seen."""
    assert not matches("lead:<id>", "lead:a:history")
    assert not matches("load", "loads")
    assert matches("celery:*", "celery:route:x")
