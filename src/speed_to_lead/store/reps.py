"""Reps in Redis: whose turn it is, what they have and were given, who is away; and the leads that wait for one of them."""

import json
from collections.abc import Iterable
from datetime import date

from speed_to_lead.core.assignment import Rotation, Tally, Turns
from speed_to_lead.core.clock import from_ms, to_ms
from speed_to_lead.core.reps import Absence, Given
from speed_to_lead.store.documents import dump
from speed_to_lead.store.server import Server, text, translated_errors


class RedisReps:
    """What assignment asks about reps, on a Redis or Valkey server."""

    def __init__(self, server: Server) -> None:
        self._client = server.client
        self._keys = server.keys

    def tally(self, teams: Iterable[str]) -> Tally:
        """What a pick in these teams is made on, in one round trip."""
        names, keys = list(teams), self._keys
        with translated_errors():
            pipe = self._client.pipeline(transaction=False)
            for key in (keys.load, keys.given, keys.away, *map(keys.rotation, names)):
                pipe.hgetall(key)
            load, given, away, *rotations = pipe.execute()
        return Tally(
            {name: rotation_of(fields) for name, fields in zip(names, rotations, strict=True)},
            {text(rep): int(n) for rep, n in load.items()},
            {text(rep): given_from(text(stored)) for rep, stored in given.items()},
            {text(rep): _absence(stored) for rep, stored in away.items()},
        )

    def absences(self) -> dict[str, Absence]:
        """Who was set away, those included whose time is over."""
        with translated_errors():
            found = self._client.hgetall(self._keys.away)
        return {text(rep): _absence(stored) for rep, stored in found.items()}

    def set_away(self, rep: str, absence: Absence) -> None:
        """That rep is away."""
        until = None if absence.until is None else to_ms(absence.until)
        document = {
            "by": absence.by,
            "since": to_ms(absence.since),
            "until": until,
            "back_by": absence.back_by,
        }
        with translated_errors():
            self._client.hset(self._keys.away, rep, dump(document))

    def waiting(self, limit: int, skip: int = 0) -> list[tuple[str, str]]:
        """Leads without a rep, nearest deadline first, with their teams."""
        keys = self._keys
        with translated_errors():
            ids = self._client.zrange(keys.waiting, skip, skip + limit - 1)
            teams = self._client.hmget(keys.waiting_teams, ids) if ids else []
        return [(text(lead_id), text(team or b"")) for lead_id, team in zip(ids, teams, strict=True)]

    def forget_waiting(self, lead_id: str) -> None:
        """That lead waits for nobody any more, or is gone."""
        with translated_errors():
            pipe = self._client.pipeline(transaction=True)
            pipe.zrem(self._keys.waiting, lead_id)
            pipe.hdel(self._keys.waiting_teams, lead_id)
            pipe.execute()


def rotation_of(fields: dict[bytes, bytes]) -> Rotation:
    """The rotation of a stored hash: `turn:<rep>`, and in a group `clock:<group>` and `turn:<group>/<rep>`."""
    clocks: dict[str, int] = {}
    turns: dict[str, dict[str, int]] = {"": {}}
    picked: dict[str, dict[str, int]] = {"": {}}
    for raw, value in fields.items():
        kind, _, name = text(raw).partition(":")
        if kind == "clock":
            clocks[name] = int(value)
        elif kind == "turn":
            group, _, rep = name.rpartition("/")  # no rep's id has a slash
            turn, _, at = value.partition(b" ")  # releases before the first that wrote when: only the turn
            turns.setdefault(group, {})[rep] = int(turn)
            if at:
                picked.setdefault(group, {})[rep] = int(at)
    groups = {
        group: Turns(clocks.get(group, 0), members, picked.get(group, {}))
        for group, members in turns.items()
        if group
    }
    return Rotation(int(fields.get(b"version", 0)), clocks.get("", 0), turns[""], picked[""], groups)


def given_text(given: Given | None) -> str | bool:
    """What a rep was given, as it is stored; False for nothing."""
    return f"{given.day.isoformat()} {given.count} {to_ms(given.last)}" if given is not None else False


def given_from(stored: str) -> Given:
    """What a stored text says."""
    day, count, last = stored.split()
    return Given(date.fromisoformat(day), int(count), from_ms(int(last)))


def _absence(stored: bytes) -> Absence:
    document = json.loads(stored)
    until = document.get("until")
    return Absence(
        document["by"],
        from_ms(document["since"]),
        None if until is None else from_ms(until),
        document.get("back_by", ""),
    )
