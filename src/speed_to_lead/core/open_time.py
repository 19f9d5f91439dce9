"""The open time of some years as sorted integers, so that any question about it is a binary search or two."""

from bisect import bisect_left, bisect_right
from dataclasses import dataclass
from itertools import accumulate


@dataclass(frozen=True, slots=True)
class BusinessDay:
    """A local day with its spans as pairs of UTC milliseconds; `closes` is the last close among them."""

    ordinal: int
    spans: tuple[tuple[int, int], ...]
    closes: int


class OpenTime:
    """All that is open from `since` until `until` (UTC milliseconds, excluded), in the shape a binary search wants.

    `opens` and `closes` are the spans merged where they meet or overlap, and cut at both ends of the table;
    `open_ms_by_close[i]` is the open time up to the i-th close, `open_ms` up to the end of the table. `days`,
    `day_opens` and `day_spans` keep the spans apart, since close of business asks whose day it is;
    `latest_close[i]` is the last close among the spans up to the i-th.
    """

    __slots__ = (
        "closes",
        "day_opens",
        "day_spans",
        "days",
        "latest_close",
        "open_ms",
        "open_ms_by_close",
        "opens",
        "since",
        "until",
    )

    def __init__(self, since: int, until: int, days: list[BusinessDay]) -> None:
        self.since = since
        self.until = until
        self.days = days
        # (opens, index of the day, closes): where two days open at one instant, the earlier comes first.
        self.day_spans = sorted((o, index, c) for index, day in enumerate(days) for o, c in day.spans)
        self.day_opens = [opens for opens, _, _ in self.day_spans]
        self.latest_close = list(accumulate((closes for _, _, closes in self.day_spans), max))
        self.opens: list[int] = []
        self.closes: list[int] = []
        self.open_ms_by_close: list[int] = []
        self.open_ms = 0
        self._merge()

    def _merge(self) -> None:
        for span_opens, _, span_closes in self.day_spans:
            opens, closes = max(span_opens, self.since), min(span_closes, self.until)
            if self.closes and opens <= self.closes[-1]:
                self.closes[-1] = max(self.closes[-1], closes)
            elif opens < closes:
                self.opens.append(opens)
                self.closes.append(closes)
        for opens, closes in zip(self.opens, self.closes, strict=True):
            self.open_ms += closes - opens
            self.open_ms_by_close.append(self.open_ms)

    def open_ms_until(self, at: int) -> int:
        """The open time from the beginning of the table until `at`."""
        index = bisect_right(self.opens, at) - 1
        if index < 0:
            return 0
        return self.open_ms_by_close[index] - max(self.closes[index] - at, 0)

    def earliest_with(self, open_ms: int) -> int:
        """The first instant by which there were `open_ms` of open time; it must be in the table, and not zero."""
        index = bisect_left(self.open_ms_by_close, open_ms)
        return self.closes[index] - (self.open_ms_by_close[index] - open_ms)

    def business_day_at(self, at: int) -> int | None:
        """The index in `days` of the first day of which a span holds `at`, else of the day whose span opens next.

        None where the table ends before that opening.
        """
        after = bisect_right(self.day_opens, at)
        held_by = None
        for index in range(after - 1, -1, -1):
            if self.latest_close[index] <= at:
                break  # all spans from here back are over
            _, day, closes = self.day_spans[index]
            if at < closes and (held_by is None or day < held_by):
                held_by = day
        if held_by is not None:
            return held_by
        if after < len(self.day_opens) and self.day_opens[after] < self.until:
            return self.day_spans[after][1]
        return None
