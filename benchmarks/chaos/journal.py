"""What happened, as the world outside saw it: one JSON line per event, written at once.

Form tools, responders, the sink and the faults write it while the run lasts; the checker reads it afterwards. Nothing
in it comes from inside speed-to-lead. `at` is UTC milliseconds of this machine's clock.

    post       a form tool sent a submission: form, submission (the tool's own id), person, source, kind (lead, test,
               unreadable, forged), tries (which one this is), status (HTTP, or 0 where no answer came), answer (the
               hook's id, "" where there is none), sent (UTC ms; `at` is when the answer came)
    respond    a responder did something about a lead: lead (the id it knew), of (the lead that was answered), action
               (responses, reassign, close), kind, by, evidence, rep, status, result, sent
    receipt    the sink was sent an alert: key, type, lead, step, destination, outcome (heard, refused, unknown), answer
               (the way it answered), started (when it had been read; `at` is when it was answered), data
    fault      a fault began or ended: name, phase (begin, end), details
    note       anything worth knowing in the report: text
"""

import json
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any


class Journal:
    """Appends events to a file; safe to use from any thread."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._file = path.open("a", encoding="utf-8", buffering=1)
        self._lock = threading.Lock()

    def write(self, event: str, **fields: Any) -> None:
        """Note one event, now."""
        line = json.dumps({"at": now_ms(), "event": event, **fields}, ensure_ascii=False)
        with self._lock:
            self._file.write(line + "\n")

    def close(self) -> None:
        """End the file."""
        self._file.close()


def events(path: Path) -> Iterator[dict[str, Any]]:
    """Every event of a finished run, in the order it was noted."""
    with path.open(encoding="utf-8") as file:
        for line in file:
            yield json.loads(line)


def now_ms() -> int:
    """This machine's clock, UTC milliseconds."""
    return time.time_ns() // 1_000_000
