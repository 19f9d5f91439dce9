"""Signs of life: each stage says that it is working, so that one that says nothing is noticed."""

import os

from speed_to_lead.workplace import Workplace

#: A stage gives a sign of life each second; one silent for this many seconds is not working.
SILENT_AFTER = 15.0


def beat(place: Workplace, stage: str) -> None:
    """Note that this process is working on `stage`."""
    place.store.operations.beat(f"{stage}@{_HOST}:{os.getpid()}", place.store.now())


_HOST = os.uname().nodename
