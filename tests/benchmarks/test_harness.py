"""`python -m benchmarks` on toys: what it prints, writes and answers."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from benchmarks import needs, registry
from benchmarks.__main__ import main
from benchmarks.finding import Check, Contender, Finding, Row, in_turns, ratio
from benchmarks.guard import Bound
from benchmarks.report.blocks import filled, has_block
from benchmarks.report.document import Measured, UnreadableReport, read_report, report_of, write_report
from benchmarks.report.machine import Machine, conditions, this_machine
from benchmarks.report.numbers import exact, figure, spread
from benchmarks.report.page import page
from benchmarks.report.table import print_measured, ratio_to_first
from rich.console import Console
from tests.benchmarks.conftest import toy

ROOT = Path(__file__).parents[2]
MACHINE = Machine(2, "A processor", 8.0, "Linux 6", "3.11.7", "valkey-9.1")
Toys = dict[str, Callable[[], Finding]]


def report(*findings: Finding) -> Any:
    return report_of(MACHINE, [Measured(one, conditions(3, is_small=False)) for one in findings])


def test_a_ratio_is_the_median_of_the_ratios_of_each_round() -> None:
    """A machine that is slow for one round slows both, and the ratio stays."""
    ours, theirs = Row("ours", (10.0, 100.0, 30.0)), Row("theirs", (5.0, 20.0, 15.0))
    assert 2.0 == ratio(ours, theirs)


def test_contenders_take_turns_and_those_that_cannot_run_say_why() -> None:
    """Ours begins one round and ends the next."""
    order: list[str] = []

    def runner(name: str) -> Callable[[], float]:
        def run() -> float:
            order.append(name)
            return 1.0

        return run

    rows = in_turns(
        [Contender("a", runner("a")), Contender("b", runner("b")), Contender("c", runner("c"), "c")], 2
    )
    assert ["a", "b", "b", "a"] == order
    assert [(1.0, 1.0), (1.0, 1.0), ()] == [row.figures for row in rows]


def test_a_report_is_read_back_as_it_was_written(tmp_path: Path) -> None:
    """Rows, checks, plots, notes and conditions survive JSON; figures keep six digits."""
    written = report(toy(missing="pip install a-library"))
    write_report(written, tmp_path / "report.json")
    found = read_report(tmp_path / "report.json")
    expected = replace(written.measured[0].finding, figures={"leads": 12345.7})
    assert (MACHINE, expected) == (found.machine, found.measured[0].finding)
    assert written.measured[0].conditions == found.measured[0].conditions


@pytest.mark.parametrize(
    "text", ["", "[]", "{}", '{"version": 99}', '{"version": 1, "machine": {}, "findings": []}']
)
def test_what_is_no_report_is_refused_in_a_sentence(tmp_path: Path, text: str) -> None:
    """Nobody sees a stack trace for a wrong file."""
    (tmp_path / "other.json").write_text(text)
    with pytest.raises(UnreadableReport, match=r"other\.json"):
        read_report(tmp_path / "other.json")


def test_merging_replaces_what_was_measured_again_and_refuses_another_machine() -> None:
    """A comparison is never put together from two runs, nor a report from two machines."""
    old, new = report(toy("deadlines", 1.0), toy("memory", 2.0)), report(toy("deadlines", 3.0))
    merged = old.with_newer(new)
    found = [(one.finding.name, one.finding.checks[0].found) for one in merged.measured]
    assert [("deadlines", 3.0), ("memory", 2.0)] == found
    with pytest.raises(UnreadableReport, match="cores"):
        old.with_newer(replace(new, machine=replace(MACHINE, cores=64)))


def test_the_page_stands_alone_and_says_everything() -> None:
    """No script and no address in it; names are escaped; what was not run says what to install."""
    shown = page(report(toy(missing="pip install a-library"), toy("memory", 99.0)))
    for words in (
        "How long does one &lt;deadline&gt; take?",
        "pip install a-library",
        "✗ not held",
        "✓ holds",
        "<svg",
    ):
        assert words in shown
    for words in ("<script", "http://", "https://", "<deadline>", "src=", "@import"):
        assert words not in shown


def test_a_terminal_shows_contenders_and_budgets() -> None:
    """The ratio beside a contender is how many times as good ours is."""
    console = Console(record=True, width=160, file=open("/dev/null", "w"))  # noqa: PTH123, SIM115
    print_measured(console, Measured(toy(), conditions(3, is_small=True)))
    shown = console.export_text()
    for words in ("minute by minute", "holds", "small sizes: not for publishing", "at most 10"):
        assert words in shown
    console.file.close()


@pytest.mark.parametrize(
    ("more_is_better", "ours", "theirs", "times"), [(True, 20.0, 5.0, "4"), (False, 5.0, 20.0, "4")]
)
def test_times_as_good_knows_which_way_is_better(
    more_is_better: bool, ours: float, theirs: float, times: str
) -> None:
    """Four times as many leads, or a quarter of the time."""
    rows = (Row("ours", (ours,)), Row("theirs", (theirs,)))
    finding = Finding("toy", "?", "s", more_is_better, rows)
    assert ["", times] == [ratio_to_first(finding, row) for row in rows]


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (12345.0, "12,300"),
        (123.4, "123"),
        (9.116, "9.12"),
        (0.6421, "0.642"),
        (0.00001234, "1.2e-05"),
        (0.0, "0"),
    ],
)
def test_figures_have_three_digits(value: float, shown: str) -> None:
    """More would be noise."""
    assert shown == figure(value)


def test_limits_stand_as_they_were_written() -> None:
    """And rounds say how far they lie apart."""
    assert ("8", "0.6", "1,500") == (exact(8.0), exact(0.6), exact(1500))
    assert ("±20 %", "") == (spread(Row("a", (10.0, 12.0, 9.0))), spread(Row("a", (10.0,))))


def test_exit_codes_say_whether_the_budgets_hold(
    registered: Toys, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """0 all hold; 1 one does not, or a benchmark failed, and the others were measured all the same."""
    json_file, html = tmp_path / "mine.json", tmp_path / "mine.html"
    assert 0 == main(["deadlines", "--quick", "--json", str(json_file), "--html", str(html)])
    assert ("deadlines", 2, True) == registry.calls[-1]  # type: ignore[attr-defined]
    assert "How fast is speed-to-lead?" in html.read_text()
    assert [True] == [one["holds"] for one in json.loads(json_file.read_text())["findings"][0]["checks"]]

    registered["deadlines"] = lambda: toy(found=11.0)
    assert 1 == main(["deadlines", "--rounds", "3"])
    registered["deadlines"] = toy
    registered["memory"] = lambda: 1 / 0  # type: ignore[assignment, return-value]
    capsys.readouterr()
    assert 1 == main(["memory", "hook", "deadlines", "--rounds", "1", "--json", str(json_file), "--merge"])
    said = capsys.readouterr().out
    for words in ("memory failed", "ZeroDivisionError", "hook cannot run", "1 of 1 budgets hold"):
        assert words in said


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["deadline"], "did you mean deadlines?"),
        (["deadlines", "--merge"], "--merge needs --json FILE"),
        (["deadlines", "--json", "/nowhere/report.json"], "cannot be written"),
        (["--from", "/nowhere/report.json"], "No such file"),
        (["deadlines", "--from", "report.json"], "takes no names"),
    ],
)
def test_wrong_usage_is_told_before_anything_is_measured(
    registered: Toys, arguments: list[str], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """In one sentence, with exit code 2."""
    assert 2 == main(arguments)
    assert words in capsys.readouterr().err
    assert [] == registry.calls  # type: ignore[attr-defined]


def test_a_report_is_shown_again_without_measuring(registered: Toys, tmp_path: Path) -> None:
    """The page and the README's block are drawn from the JSON alone."""
    write_report(report(toy(found=3.21)), tmp_path / "report.json")
    readme, html = tmp_path / "README.md", tmp_path / "page.html"
    block = "<!-- figures: {} -->\nold\n<!-- end of figures -->"
    readme.write_text(f"# before\n{block.format('budgets')}\nbetween\n{block.format('deadlines')}\nafter\n")
    assert 0 == main(["--from", str(tmp_path / "report.json"), "--html", str(html), "--fill", str(readme)])
    assert [] == registry.calls  # type: ignore[attr-defined]
    shown = readme.read_text()
    assert "| one deadline, µs | ≤ 10 | 3.21 |" in shown
    assert "| minute by minute | 4.5 | ±122 % | 2 |" in shown
    assert "old" not in shown
    assert ("# before\n<!-- figures: budgets -->", "after\n") == (shown[:34], shown[-6:])
    readme.write_text("no marks")
    assert 2 == main(["--from", str(tmp_path / "report.json"), "--fill", str(readme)])


def test_what_is_written_down_is_what_the_report_says() -> None:
    """Figures nobody measured cannot stand in the README or in docs, nor old ones."""
    found = read_report(ROOT / "benchmarks" / "report.json")
    texts = {
        path: path.read_text(encoding="utf-8")
        for path in (ROOT / "README.md", *(ROOT / "docs").rglob("*.md"))
    }
    with_figures = {path: text for path, text in texts.items() if has_block(text)}
    assert {ROOT / "README.md", ROOT / "docs" / "scaling.md"} <= with_figures.keys()
    assert [] == [path.name for path, text in with_figures.items() if filled(text, found) != text]


def test_the_committed_page_is_drawn_from_the_committed_report() -> None:
    """Whoever changes one draws the other."""
    committed = ROOT / "benchmarks" / "report.json"
    drawn = (ROOT / "benchmarks" / "report.html").read_text(encoding="utf-8")
    assert page(read_report(committed)) == drawn


def test_what_peers_need_is_told_with_the_command_that_brings_it(tmp_path: Path) -> None:
    """From the extra of pyproject.toml, so that the two cannot differ."""
    pyproject = tmp_path / "pyproject.toml"
    pyproject.write_text('[project.optional-dependencies]\nbenchmarks = ["pytest>=8", "no-such-thing>=1"]\n')
    missing = needs.missing_peers(pyproject)
    assert "no-such-thing (pip install -e '.[benchmarks]')" in missing
    assert [] == [line for line in missing if line.startswith("pytest")]


def test_the_machine_has_no_name() -> None:
    """A report may be published: no host, no user, no path."""
    told = str(this_machine())
    assert "/" not in told
    assert this_machine().cores > 0


@pytest.mark.parametrize(
    ("bound", "check", "slowness", "holds"),
    [
        (Bound("hook", 2, ""), Check("x", 0.31, 0.6, at_least=True), 1.0, True),
        (Bound("hook", 2, ""), Check("x", 0.29, 0.6, at_least=True), 3.0, False),
        (Bound("memory", 1.1, ""), Check("x", 1340, 1229, at_least=False), 1.0, True),
        (Bound("memory", 1.1, ""), Check("x", 1360, 1229, at_least=False), 1.0, False),
        (Bound("rules", 3, "", is_time=True), Check("x", 500, 100, at_least=False), 2.0, True),
        (Bound("rules", 3, "", is_time=True), Check("x", 500, 100, at_least=False), 1.0, False),
    ],
)
def test_a_bound_is_a_ratio_and_a_time_is_taken_in_units_of_this_machine(
    bound: Bound, check: Check, slowness: float, holds: bool
) -> None:
    """A slow machine gets more microseconds, and no worse a ratio."""
    assert holds is bound.holds(check, slowness)


def test_the_guard_fails_what_misses_its_bound_twice(
    registered: Toys, capsys: pytest.CaptureFixture[str]
) -> None:
    """Once may be a neighbour's burst."""
    findings = [toy(found=99999.0), toy(found=0.1)]
    registered["deadlines"] = lambda: findings.pop(0)
    assert 0 == main(["--guard", "deadlines"])
    registered["deadlines"] = lambda: toy(found=99999.0)
    assert 1 == main(["--guard", "deadlines"])
    assert "twice in a row" in capsys.readouterr().out
    registered["deadlines"] = lambda: replace(toy(), checks=())
    assert 1 == main(["--guard", "deadlines"])  # a guard that compares nothing guards nothing


@pytest.mark.parametrize("name", registry.BENCHMARKS)
def test_every_benchmark_of_the_registry_can_be_called(name: str) -> None:
    """What stands in the list can be run, and says what it is."""
    pytest.importorskip(registry.BENCHMARKS[name], exc_type=ModuleNotFoundError)
    assert callable(registry.measure_of(name))
    assert registry.about(name)
