"""The page of `config simulate`: whole in one file, says nothing of a person, bounded however much changes."""

import re
from datetime import timedelta
from html.parser import HTMLParser
from pathlib import Path

import pytest
from tests.cli.conftest import FILES, Run
from tests.cli.test_simulate import change, lead, simulated
from tests.core.builders import MONDAY, rulebook

from speed_to_lead.cli import simulation_page
from speed_to_lead.cli.past_leads import Skipped
from speed_to_lead.cli.simulation_page import page
from speed_to_lead.core.simulation import Difference, Load, Placement, Simulation


class Nesting(HTMLParser):
    """Which tags are used, and whether each is closed in its turn."""

    def __init__(self) -> None:
        super().__init__()
        self.used: set[str] = set()
        self._open: list[str] = []

    def handle_starttag(self, tag: str, attrs: object) -> None:
        self.used.add(tag)
        if tag != "meta":
            self._open.append(tag)

    def handle_startendtag(self, tag: str, attrs: object) -> None:
        self.used.add(tag)

    def handle_endtag(self, tag: str) -> None:
        assert tag == self._open.pop()

    @classmethod
    def of(cls, text: str) -> set[str]:
        parser = cls()
        parser.feed(text)
        parser.close()
        assert [] == parser._open
        return parser.used


@pytest.fixture
def candidate(tmp_path: Path) -> Path:
    """The same config in another directory, to be changed."""
    directory = tmp_path / "candidate <b>"
    directory.mkdir()
    for name, text in FILES.items():
        (directory / name).write_text(text)
    return directory


def test_the_page(run: Run, config_dir: Path, candidate: Path, tmp_path: Path) -> None:
    """Plots and changed leads, nothing fetched, nothing of what a person said, every name escaped."""
    change(candidate, "slas.toml", '"5m"', '"7m"')
    change(candidate, "routing.toml", '"demo_request"', '"referral"')
    change(candidate, "teams.toml", "cleo", "chloe")
    secret = {
        "name": "Kim Secret",
        "phone": "+44 20 7946 0958",
        "company": "Hidden Ltd",
        "message": "call me",
    }
    leads = [lead(n, source="referral", **secret) for n in range(3)] + [lead(900 * n) for n in range(1, 9)]
    leads.append(lead(9000, id="<script>alert(1)</script>"))
    file = tmp_path / "page.html"
    finished = simulated(run, config_dir, candidate, leads, "--html", str(file))
    text = file.read_text()
    assert (1, True) == (finished.code, str(file) in finished.err)
    used = Nesting.of(text)
    assert {"svg", "rect", "table", "del", "ins"} <= used
    assert set() == used & {"script", "link", "img", "iframe", "object"}
    assert [] == re.findall(r"https?://|@import|url\(", text)
    for personal in ("example.com", "Secret", "7946", "Hidden", "call me"):
        assert personal not in text
    assert "&lt;script&gt;" in text
    for heading in (
        "by what changes",
        "How far deadlines move",
        "Leads a day",
        "The leads that change",
        "assumed",
    ):
        assert heading in text


def test_no_change_is_a_page_too(run: Run, config_dir: Path, tmp_path: Path) -> None:
    """It says so, and draws no empty plots."""
    file = tmp_path / "page.html"
    assert 0 == simulated(run, config_dir, config_dir, [lead()], "--html", str(file)).code
    text = file.read_text()
    Nesting.of(text)
    assert "Nothing changes" in text
    assert "How far deadlines move" not in text


def test_the_page_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """However many leads change, it lists the first of them, and says how many there are; teams alike."""
    monkeypatch.setattr(simulation_page, "LISTED", 3)
    monkeypatch.setattr(simulation_page, "TEAMS", 2)
    simulation = Simulation(rulebook(), rulebook(), MONDAY)
    placed = Placement("s", "r", "t", None, "sla", MONDAY)
    changed = [
        Difference(
            f"l-{n}",
            None,
            MONDAY,
            ("rule",),
            placed,
            placed._replace(rule="q", deadline=MONDAY - timedelta(days=n)),
        )
        for n in range(10)
    ]
    simulation.changed = len(changed)
    for number in range(5):
        simulation.load_before[Load(MONDAY.toordinal() + number, f"team-{number}", "")] = number + 1
    configs = {name: {"directory": name, "digest": "d"} for name in ("running", "candidate")}
    text = page(simulation, changed, configs, Skipped(2, []), MONDAY)
    Nesting.of(text)
    assert ("l-2" in text, "l-3" in text, "The first 3 of 10" in text) == (True, False, True)
    assert ("<h3>team-4</h3>" in text, "<h3>team-0</h3>" in text, "3 more teams" in text) == (
        True,
        False,
        True,
    )
    assert "could not be read" in text
