"""What a benchmark found: figures of contenders that took turns in one run, and the budgets they are held against.

Machines are noisy, so contenders are run in turns (ours first in one round, last in the next) and compared within
each round: a ratio is the median of the rounds' ratios, not the ratio of two medians taken minutes apart.
"""

import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

#: Rounds of a run whose figures may be published.
ROUNDS = 5


@dataclass(frozen=True, slots=True)
class Contender:
    """One way to do the job. `run` does it once and answers the figure; `missing` says what would have to be installed."""

    name: str
    run: Callable[[], float]
    missing: str = ""


@dataclass(frozen=True, slots=True)
class Row:
    """A contender's figures, one for each round; `missing` where it could not run."""

    name: str
    figures: tuple[float, ...] = ()
    missing: str = ""

    @property
    def median(self) -> float:
        """The figure that is told."""
        return statistics.median(self.figures)


@dataclass(frozen=True, slots=True)
class Check:
    """A budget held against what was found: `found` is a ratio or a figure, in the budget's own words and unit."""

    budget: str
    found: float
    limit: float
    at_least: bool

    @property
    def holds(self) -> bool:
        """Whether the budget is kept."""
        return self.found >= self.limit if self.at_least else self.found <= self.limit


@dataclass(frozen=True, slots=True)
class Series:
    """Points for a plot: `points` are (x, y), `label` names the line."""

    label: str
    points: tuple[tuple[float, float], ...]


@dataclass(frozen=True, slots=True)
class Plot:
    """Lines in one picture, with the words for its axes."""

    title: str
    x: str
    y: str
    series: tuple[Series, ...]


@dataclass(frozen=True, slots=True)
class Finding:
    """What one benchmark found. `rows` hold ours first; `notes` say how it was measured, in whole sentences."""

    name: str
    question: str
    unit: str
    more_is_better: bool
    rows: tuple[Row, ...]
    checks: tuple[Check, ...] = ()
    plots: tuple[Plot, ...] = ()
    notes: tuple[str, ...] = ()
    figures: Mapping[str, float] = field(default_factory=dict)  # further figures, by name with unit


def in_turns(contenders: Sequence[Contender], rounds: int = ROUNDS) -> tuple[Row, ...]:
    """Run those that can run, in turns, forwards and backwards by turns."""
    figures: dict[str, list[float]] = {one.name: [] for one in contenders}
    able = [one for one in contenders if not one.missing]
    for number in range(rounds):
        for one in able if number % 2 == 0 else able[::-1]:
            figures[one.name].append(one.run())
    return tuple(Row(one.name, tuple(figures[one.name]), one.missing) for one in contenders)


def ratio(ours: Row, theirs: Row) -> float:
    """Ours over theirs: the median of the rounds' ratios."""
    return statistics.median(a / b for a, b in zip(ours.figures, theirs.figures, strict=True))
