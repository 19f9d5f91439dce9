"""`config check`: every mistake at once, then what deserves a second look."""

from pathlib import Path

from tests.cli.conftest import Run


def test_good(run: Run, config_dir: Path) -> None:
    """A good config is summed up in one line."""
    finished = run("config", "check", "--config", str(config_dir))
    assert finished.code == 0
    assert (
        "config is good: 1 rule, 2 teams, 3 reps, 2 SLAs, 2 sources, 1 calendar, 1 form, 2 destinations"
        in finished.out
    )


def test_all_mistakes_at_once(run: Run, config_dir: Path) -> None:
    """Mistakes of several files come together, one on each line, and nothing else is on stdout."""
    for name, right, wrong in (
        ("routing.toml", 'team = "inbound"', 'team = "inbond"'),
        ("teams.toml", 'timezone = "America/New_York"', 'timezone = "America/New_Yrok"'),
        ("slas.toml", '"5m"', '"5 minutes"'),
    ):
        path = config_dir / name
        path.write_text(path.read_text().replace(right, wrong))
    finished = run("config", "check", "--config", str(config_dir))
    assert finished.code == 1
    lines = finished.out.splitlines()
    assert {"routing.toml", "teams.toml", "slas.toml"} == {line.partition(":")[0] for line in lines}
    assert len(lines) == 3
    assert 'did you mean "inbound"?' in finished.out
    assert "3 mistakes in" in finished.err


def test_json(run: Run, config_dir: Path) -> None:
    """Programs get mistakes and warnings as objects."""
    good = run("config", "check", "--json", env={"STL_CONFIG_DIR": str(config_dir)})
    assert (good.code, good.json["good"], good.json["rules"]) == (0, True, 1)
    assert {"file", "place", "problem"} == set(good.json["warnings"][0])
    (config_dir / "routing.toml").write_text("[default\n")
    bad = run("config", "check", "--json", "--config", str(config_dir))
    assert (bad.code, bad.json["good"]) == (1, False)
    assert [mistake["file"] for mistake in bad.json["mistakes"]] == ["routing.toml"]


def test_warnings_do_not_fail(run: Run, config_dir: Path) -> None:
    """A doubt is told, and the exit code stays good."""
    finished = run("config", "check", "--config", str(config_dir))
    assert (finished.code, "warning: sources.toml: sources.referral" in finished.out) == (0, True)


def test_the_coming_two_weeks(run: Run, config_dir: Path) -> None:
    """From --at on: the hours without anybody, and the longest wait of each team; the same answer on any day."""
    first = run("config", "check", "--config", str(config_dir), "--at", "2026-01-05T14:00:00Z")
    assert first == run("config", "check", "--config", str(config_dir), "--at", "2026-01-05T09:00:00-05:00")
    assert first.code == 0
    assert "Mon 5 Jan 17:00 - Tue 6 Jan 09:00 America/New_York; " in first.out
    table = [
        line.split() for line in first.out.splitlines() if line.startswith(("TEAM", "inbound", "referrals"))
    ]
    assert table[0] == ["TEAM", "SLA", "WAIT", "RECEIVED", "DUE"]
    assert [row[:2] for row in table[1:]] == [["inbound", "inbound-5m"], ["referrals", "same-day"]]
    as_json = run(
        "config", "check", "--config", str(config_dir), "--at", "2026-01-05T14:00:00Z", "--json"
    ).json
    assert as_json["at"] == "2026-01-05T14:00:00Z"
    assert as_json["longest_waits"][0] == {
        "team": "inbound",
        "sla": "inbound-5m",
        "received_at": "2026-01-05T14:00:00Z",
        "deadline": "2026-01-05T14:05:00Z",
        "seconds": 300,
    }
    assert {"team", "from", "until", "is_awaited", "is_leave", "text"} == set(as_json["gaps"][0])
    assert as_json["unrouted_sources"] == ["referral"]


def test_a_time_that_is_none(run: Run, config_dir: Path) -> None:
    """A time without an offset is refused, and so is the end of all years."""
    for time in ("tomorrow", "2026-01-05T14:00:00", "9999-12-31T00:00:00Z"):
        finished = run("config", "check", "--config", str(config_dir), "--at", time)
        assert (finished.code, "--at" in finished.err) == (2, True), time


def test_an_hour_planted_in_the_shipped_shifts_is_found(run: Run, tmp_path: Path) -> None:
    """Asia goes home an hour early: each day has an hour in which a demo request waits and nobody is there."""
    shipped = Path(__file__).parents[2] / "config"
    for file in shipped.glob("*.toml"):
        (tmp_path / file.name).write_text(file.read_text())
    teams = tmp_path / "teams.toml"
    asia = '[calendars.shift-asia]\ntimezone = "Asia/Singapore"\nhours    = { mon-sun = ["06:00-'
    assert f"{asia}14:30" in teams.read_text()
    teams.write_text(teams.read_text().replace(f"{asia}14:30", f"{asia}13:00"))
    finished = run("config", "check", "--config", str(tmp_path), "--at", "2026-11-22T12:00:00Z")
    [inbound, enterprise] = [line for line in finished.out.splitlines() if line.startswith("warning: ")]
    assert inbound.startswith(
        'warning: teams.toml: teams.inbound: SLA "inbound-5m" runs day and night, and nobody of'
    )
    assert (
        "14 times in the coming two weeks, 14 h in all: Mon 23 Nov 00:00 - Mon 23 Nov 01:00 America/New_York"
        in inbound
    )
    assert "teams.enterprise" in enterprise


def test_an_address_that_can_never_work(run: Run, config_dir: Path) -> None:
    """What is set here is looked at: a retired connector is a mistake with its reason; what is not set here is none."""
    (config_dir / "alerts.toml").write_text(
        (config_dir / "alerts.toml").read_text()
        + '[destinations.chat]\ntype = "teams"\nurl_env = "TEAMS_URL"\n'
    )
    arguments = ("config", "check", "--config", str(config_dir))
    assert run(*arguments).code == 0
    retired = {"TEAMS_URL": "https://x.webhook.office.com/webhookb2/SECRET"}
    finished = run(*arguments, env=retired)
    assert finished.code == 1
    assert (
        "alerts.toml: destinations.chat: environment variable TEAMS_URL holds the address of an"
        in finished.out
    )
    assert "Workflows" in finished.out
    assert "SECRET" not in finished.out
    (mistake,) = run(*arguments, "--json", env=retired).json["mistakes"]
    assert "destinations.chat" == mistake["place"]
    assert run(*arguments, env={"TEAMS_URL": "https://a.logic.azure.com/workflows/x?sig=SECRET"}).code == 0
