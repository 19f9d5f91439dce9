"""What the checker reads: the journal as it was written, and answers that are all of one moment."""

from pathlib import Path
from typing import Any

import pytest
from benchmarks.chaos import evidence
from benchmarks.chaos.evidence import Document, Fault, gather, read_journal
from benchmarks.chaos.journal import Journal
from tests.chaos.history import T, iso, sound_run


def test_the_journal_is_read_as_it_was_written(tmp_path: Path) -> None:
    """Posts, deeds and receipts by their kind; a fault from its beginning to its end, or to the end of the journal."""
    journal = Journal(tmp_path / "journal.jsonl")
    journal.write("post", submission="s1", kind="lead", status=200, answer="a1")
    journal.write("respond", lead="a1", status=200)
    journal.write("receipt", key="a1:0%:head")
    journal.write("note", text="something")
    details = {"target": "server", "step": -3.5}
    journal.write("fault", name="clock-of-server", phase="begin", details=details)
    journal.write("fault", name="kill-web", phase="begin", details={"target": "web"})
    journal.write("fault", name="clock-of-server", phase="end", details=details)
    journal.write("receipt", key="a1:50%:head")
    journal.close()

    found = read_journal(journal.path)

    assert (1, 1, 2) == (len(found.posts), len(found.responds), len(found.receipts))
    clock, web = found.faults
    assert ("clock-of-server", "server", -3500) == (clock.name, clock.target, clock.step)
    assert ("kill-web", 0) == (web.name, web.step)
    assert found.receipts[-1]["at"] == web.end >= clock.end >= clock.begin


class MovingFaces:
    """Public faces of the sound run, where a lead comes due while the first questions are asked."""

    def __init__(self, journal: Journal) -> None:
        self.journal = journal
        self.looks = 0
        self.sound = sound_run()

    def leads(self) -> dict[str, Document]:
        self.looks += 1
        self.journal.write("receipt", key=f"a1:{self.looks}:head")
        next_at = iso(60_500) if self.looks == 1 else None
        return {name: {**lead, "next_at": next_at} for name, lead in self.sound.leads.items()}

    def status(self) -> Document:
        return {"now": iso(60_000 + 1_000 * self.looks), "quarantined": 0}

    def load(self) -> Any:
        return self.sound.load

    def command(self, words: str) -> Any:
        lists = {"dead-letters": {"dead_letters": self.sound.dead_letters}, "alerts": {"alerts": []}}
        return self.sound.ledger if words == "ledger" else lists[words.split(maxsplit=1)[0]]


def test_it_asks_again_where_something_moved_meanwhile(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Records and counts of two moments contradict each other though nothing is wrong."""
    journal = Journal(tmp_path / "journal.jsonl")
    faces = MovingFaces(journal)
    monkeypatch.setattr(evidence, "PublicFaces", lambda *_given: faces)
    monkeypatch.setattr("benchmarks.chaos.evidence.time.sleep", lambda _seconds: None)

    found = gather(
        tmp_path / "journal.jsonl", "http://nowhere", "a-key", {"CHAOS_HEAD_URL": "http://x/a-secret"}
    )

    journal.close()
    assert 2 == faces.looks
    assert ["a1:1:head", "a1:2:head"] == [receipt["key"] for receipt in found.receipts]
    assert (T + 61_000, ("a-secret",)) == (found.checked_at, found.secrets)


def test_an_aftermath_is_part_of_a_fault() -> None:
    """What a fault did may last after its end, but never reaches back before its beginning."""
    found = sound_run()
    found.faults = [Fault("kill-courier", T, T + 1_000)]
    assert found.struck(T + 5_000, T + 6_000, "kill-", aftermath=10_000)
    assert not found.struck(T + 5_000, T + 6_000, "kill-", aftermath=0)
    assert not found.struck(T + 5_000, T + 6_000, "server-", aftermath=10_000)
    assert not found.struck(T - 5_000, T - 1, "kill-", aftermath=10_000)
