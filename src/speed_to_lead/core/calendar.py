"""When a team is open: spans of local days, holidays, and open time as exact UTC milliseconds.

`Span` and `parse_weekdays` read what config says; `Calendar` answers every question about it. Local time exists
only in this file: each span is converted to UTC once, when the table of its year is built, and all arithmetic
after that is on integers. A question then costs two binary searches, however long the answer lies ahead.
"""

import re
from bisect import bisect_right
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from difflib import get_close_matches
from typing import Final
from zoneinfo import ZoneInfo, available_timezones

from speed_to_lead.core.clock import MILLISECOND, from_ms, to_iso, to_ms
from speed_to_lead.core.open_table import HORIZON, BusinessDay, OpenTable, table_of

MINUTES_A_DAY: Final = 1440

_WEEKDAYS: Final = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
