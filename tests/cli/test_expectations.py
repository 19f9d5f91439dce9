"""`config test`: the shipped expectations hold, and one that does not says what, and why."""

from pathlib import Path

from tests.cli.conftest import Run

SHIPPED = Path(__file__).parents[2] / "config"
EXPECTATION = """
[[tests]]
name = "Demos are inbound's"
received_at = "2026-01-05T14:00:00Z"
lead = { email = "kim@example.com", source = "book a demo" }
expect = { team = "inbound", deadline = "+5m" }
[[tests]]
name = "Everything else is not"
received_at = "2026-01-05T14:00:00Z"
lead = { email = "kim@example.com" }
expect = { team = "inbound", rule = "default" }
"""


def write(config_dir: Path, text: str) -> None:
    (config_dir / "tests").mkdir()
    (config_dir / "tests" / "rules.toml").write_text(text)


def test_the_shipped_rules_do_what_is_expected_of_them(run: Run) -> None:
    """Every expectation in the box holds, whatever day it is."""
    finished = run("config", "test", "--config", str(SHIPPED), "--json")
    assert (finished.code, finished.json["good"], finished.json["failed"]) == (0, True, 0)
    assert finished.json["passed"] > 20


def test_a_failure_says_what_was_expected_and_why_it_is_not_so(run: Run, config_dir: Path) -> None:
    """Expected and found, then the whole trace; what holds is only counted."""
    write(config_dir, EXPECTATION)
    finished = run("config", "test", "--config", str(config_dir))
    assert finished.code == 1
    lines = finished.out.splitlines()
    assert lines[:3] == [
        'tests/rules.toml: tests[2] "Everything else is not" does not hold',
        '  team: expected "inbound", found "referrals"',
        "  why",
    ]
    assert '    no rule matches, so the default applies: team "referrals", SLA "same-day"' in lines
    assert lines[-1] == "1 of 2 expectations does not hold"


def test_json_has_a_verdict_for_each(run: Run, config_dir: Path) -> None:
    """Programs get the differences as objects, and the trace of what failed."""
    write(config_dir, EXPECTATION)
    finished = run("config", "test", "--config", str(config_dir), "--json")
    assert (finished.code, finished.json["good"], finished.json["passed"], finished.json["failed"]) == (
        1,
        False,
        1,
        1,
    )
    held, failed = finished.json["tests"]
    assert held == {
        "file": "tests/rules.toml",
        "place": "tests[1]",
        "name": "Demos are inbound's",
        "good": True,
    }
    assert failed["differences"] == [{"key": "team", "expected": "inbound", "found": "referrals"}]
    assert any("the default applies" in line for line in failed["trace"])


def test_expect_and_explain_say_the_same(run: Run, config_dir: Path) -> None:
    """A lead nobody could answer is told as `config explain` tells it."""
    write(config_dir, EXPECTATION.replace('email = "kim@example.com" }', 'city = "Ulm" }'))
    finished = run("config", "test", "--config", str(config_dir))
    assert finished.code == 1
    assert (
        "the lead cannot be routed: neither email nor phone" in finished.out
        or "nobody to answer" in finished.out
    )


def test_mistakes_are_told_before_anything_is_asked(run: Run, config_dir: Path) -> None:
    """Mistakes in expectations, and mistakes in the rules, with the exit code of `config check`."""
    write(config_dir, EXPECTATION.replace("team =", "teem ="))
    finished = run("config", "test", "--config", str(config_dir))
    assert (finished.code, finished.out.count('did you mean "team"?')) == (1, 2)
    as_json = run("config", "test", "--config", str(config_dir), "--json")
    assert (as_json.code, len(as_json.json["mistakes"])) == (1, 2)
    (config_dir / "routing.toml").write_text("[default\n")
    broken = run("config", "test", "--config", str(config_dir))
    assert (broken.code, broken.out.startswith("routing.toml: ")) == (1, True)
    assert run("config", "test", "--config", "nowhere").code == 2


def test_without_expectations_it_says_so(run: Run, config_dir: Path) -> None:
    """Nothing failed, and nobody may believe that something was tested."""
    finished = run("config", "test", "--config", str(config_dir))
    assert (finished.code, finished.out) == (0, "")
    assert "there are no expectations" in finished.err
    as_json = run("config", "test", "--config", str(config_dir), "--json")
    assert (as_json.code, as_json.json["tests"], as_json.json["passed"]) == (0, [], 0)
