"""What both table scans share: the schema, and how late a deadline is found by a scan that runs once a minute."""

#: Cron's finest pace, and what many poll with.
EVERY = 60.0
#: About as much as a lead's record holds.
DOCUMENT = '{"note": "' + "x" * 900 + '"}'

TABLES = (
    (
        "CREATE TABLE leads (id INTEGER PRIMARY KEY, state TEXT NOT NULL, due_at BIGINT NOT NULL, team TEXT NOT NULL,"
        " rep TEXT NOT NULL, version INTEGER NOT NULL, document TEXT NOT NULL)"
    ),
    (
        "CREATE TABLE alerts (lead_id INTEGER NOT NULL, step TEXT NOT NULL, destination TEXT NOT NULL, state TEXT NOT NULL,"
        " PRIMARY KEY (lead_id, step, destination))"
    ),
    "CREATE TABLE history (lead_id INTEGER NOT NULL, at BIGINT NOT NULL, event TEXT NOT NULL)",
)
#: What a competent user adds: only open leads are looked for, so only they are in it.
INDEX = "CREATE INDEX leads_due ON leads (due_at) WHERE state = 'open'"


def lag_of_scan(seconds: float, of_hundred: int = 99) -> float:
    """The lag that so many of a hundred deadlines stay under, computed.

    They fall evenly into the minute before a scan, and the scan's own time comes on top.
    """
    return EVERY * of_hundred / 100 + seconds
