"""Random and mangled bodies at every form tool, in short: taken or refused, never 5xx, and every one is in the books."""

from collections.abc import Iterator
from random import Random
from typing import Any

import pytest
from benchmarks.mangled.mutations import answer, arrival
from benchmarks.mangled.run import mangle
from tests.servers import RealServer

from speed_to_lead.forms import PROVIDERS, generic
from speed_to_lead.store.intake import Intake


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RealServer]:
    """One of our own: it is emptied between the pieces."""
    server = RealServer(tmp_path_factory.mktemp("mangled"))
    server.start("--appendfsync", "no")
    yield server
    server.stop()


@pytest.mark.parametrize("provider", sorted(PROVIDERS))
def test_no_body_does_harm(provider: str, server: RealServer) -> None:
    """From the hook to the books, the form tool's API included. `python -m benchmarks.mangled` does it at length."""
    found = mangle(server.url, provider, 60, 7, server.directory)
    assert found.wrong == []
    assert found.bodies == sum(found.answers.values()) == 60
    assert found.answers[200] > 40
    assert found.books["leads"]
    assert found.books["dead_letters"]


def test_a_reader_that_fails_is_found(server: RealServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """The check can fail: a shape that a reader did not foresee is a mistake of ours, though it costs no lead."""

    def parse(*_: Any) -> Any:
        raise KeyError("kim@example.com")

    monkeypatch.setattr(generic, "parse", parse)
    found = mangle(server.url, "generic", 20, 7, server.directory)
    assert "KeyError" in found.wrong[0]


def test_a_lost_submission_is_found(server: RealServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """The check can fail: what is answered with 200 and was not stored is missing in the books."""
    monkeypatch.setattr(Intake, "submit", lambda _self, _submission, tell, _pace=None: tell(None))
    (wrong,) = mangle(server.url, "generic", 20, 7, server.directory).wrong
    assert "the books after 19 answers of 200" in wrong


def test_the_same_seed_makes_the_same_bodies() -> None:
    """So that what was found can be looked at again."""
    first, second = Random(3), Random(3)
    assert [arrival("meta", first) for _ in range(50)] == [arrival("meta", second) for _ in range(50)]
    assert answer(first) == answer(second)
