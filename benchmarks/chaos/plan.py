"""Which fault strikes whom, when, for how long: drawn before the run, a function of the seed alone.

Faults are drawn as from a deck of cards: every kind has struck once before any strikes again, and a short run meets
as many kinds as it has time for. They overlap, except those of one group (two things done to the server at once
would undo each other).
"""

import random
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

#: Seconds at the start in which nothing breaks, so that a first lead has been through everything.
CALM_START = 3.0
#: Seconds between two faults, on average: in a long run, and at least.
USUAL_GAP, LEAST_GAP = 5.0, 1.0
#: Between two faults of one group.
GROUP_PAUSE = 1.5
#: One fault lasts at most this share of the run.
LONGEST_SHARE = 0.3


@dataclass(frozen=True, slots=True)
class Blow:
    """One fault of one run. `amount`, from 0 to 1, is what the fault makes of it: how far, how much, a seed."""

    at: float
    fault: str
    target: str
    seconds: float
    amount: float


@dataclass(frozen=True, slots=True)
class Fault:
    """One kind of fault.

    `strike(world, blow, over)` does it, waits `blow.seconds` on `over` (set early where the run is ended), and
    undoes it before it returns. `targets` are those it may be drawn for, `seconds` from how short to how long it lasts.
    """

    strike: Callable[[Any, Blow, threading.Event], None]
    targets: tuple[str, ...]
    seconds: tuple[float, float]
    group: str = ""


def make_plan(seed: int, seconds: float, faults: Mapping[str, Fault]) -> list[Blow]:
    """The blows of a run of so many seconds, in order; each is over when the run is."""
    dice = random.Random(seed)
    usual = min(USUAL_GAP, max(LEAST_GAP, (seconds - CALM_START) / len(faults)))
    free_at: dict[str, float] = {}
    deck: list[str] = []
    blows: list[Blow] = []
    at = CALM_START
    while at < seconds:
        if not deck:
            deck = sorted(faults)
            dice.shuffle(deck)
        name = deck.pop()
        fault = faults[name]
        begin = max(at, free_at.get(fault.group, 0.0)) if fault.group else at
        shortest, longest = fault.seconds
        length = min(dice.uniform(shortest, longest), max(shortest, seconds * LONGEST_SHARE))
        blow = Blow(round(begin, 3), name, dice.choice(fault.targets), round(length, 3), dice.random())
        if begin + shortest <= seconds:
            if fault.group:
                free_at[fault.group] = begin + length + GROUP_PAUSE
            blows.append(_within(blow, seconds))
        at += min(dice.expovariate(1 / usual), 3 * usual)
    return sorted(blows, key=lambda blow: blow.at)


def _within(blow: Blow, seconds: float) -> Blow:
    length = min(blow.seconds, max(seconds - blow.at, 0.0))
    return Blow(blow.at, blow.fault, blow.target, round(length, 3), blow.amount)
