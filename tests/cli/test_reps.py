"""`reps`: who is available, who was set away and by whom, on a real server."""

import pytest
from tests.cli.conftest import Running


def test_away_and_back(running: Running) -> None:
    """Away, the list says who said so and until when, and leads go to others; back, they get leads again."""
    away = running("reps", "away", "ana", "--until", "2999-01-01T00:00:00Z", "--by", "kim")
    assert (away.code, away.err) == (0, "")
    assert "ana is away until " in away.out
    ana = next(one for one in running("reps", "list", "--json").json["reps"] if one["id"] == "ana")
    assert (False, "kim", "2999-01-01T00:00:00Z") == (
        ana["available"],
        ana["away"]["by"],
        ana["away"]["until"],
    )
    lead_id = running.routed()
    trace = running("leads", "show", lead_id, "--json").json
    assert trace["rep"] == "ben"
    assert any("ana: away, says kim, back" in line for line in trace["trace"])
    header, *rows = running("reps", "list").out.splitlines()
    assert ["REP", "AVAILABLE", "WHY", "OPEN", "TODAY", "TEAMS", "SET", "AWAY"] == header.split()
    assert ["ana", "ben", "cleo"] == [row.split()[0] for row in rows]
    back = running("reps", "back", "ana", "--json")
    assert {"rep": "ana", "away": False, "changed": True} == back.json
    assert "Nothing changed" in running("reps", "back", "ana").out


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["away", "anna"], 'teams.toml has no rep "anna"'),
        (["back", "anna"], 'teams.toml has no rep "anna"'),
        (["away", "ana", "--until", "2020-01-01T00:00:00Z"], "which is past"),
        (["away", "ana", "--until", "noon"], "--until"),
        (["away", "ana", "--by", " "], "it is empty"),
    ],
)
def test_what_cannot_be(running: Running, words: list[str], says: str) -> None:
    """A rep nobody knows, a time that is past or none: exit 2, one sentence."""
    finished = running("reps", *words)
    assert finished.code == 2
    assert says in finished.err
