"""A table scan a minute in SQLite: one UPDATE … RETURNING finds and marks what is due, the alerts go in with it."""

import sqlite3
import time
from contextlib import closing
from pathlib import Path

from benchmarks.peers.scans import DOCUMENT, INDEX, TABLES


class SqliteScan:
    """A file with so many open leads; write-ahead log, and on disk before a commit returns, as our server is."""

    def __init__(self, path: Path, leads: int, *, indexed: bool) -> None:
        self._leads = leads
        self._connection = sqlite3.connect(path, isolation_level=None)
        self._connection.execute("PRAGMA journal_mode = WAL")
        self._connection.execute("PRAGMA synchronous = FULL")
        for table in TABLES:
            self._connection.execute(table)
        self._connection.execute("BEGIN")
        self._connection.executemany(
            "INSERT INTO leads VALUES (?, 'open', ?, 'inbound', 'ana', 1, ?)",
            ((number, 10_000_000_000 + number, DOCUMENT) for number in range(leads)),
        )
        self._connection.execute("COMMIT")
        if indexed:
            self._connection.execute(INDEX)
        self._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        self._round = 0

    def scan(self, due: int) -> float:
        """Let so many come due, and scan for them; the seconds of the scan alone."""
        self._round += 1
        first = (self._round * 7919) % max(self._leads - due, 1)
        self._connection.execute(
            "UPDATE leads SET due_at = ?, state = 'open' WHERE id >= ? AND id < ?",
            (self._round, first, first + due),
        )
        began = time.perf_counter()
        with closing(self._connection.cursor()) as cursor:
            cursor.execute("BEGIN IMMEDIATE")
            found = cursor.execute(
                "UPDATE leads SET state = 'breached', version = version + 1 WHERE state = 'open' AND due_at <= ?"
                " RETURNING id",
                (self._round,),
            ).fetchall()
            cursor.executemany(
                "INSERT OR IGNORE INTO alerts VALUES (?, ?, 'managers', 'waiting')",
                ((lead_id, f"100%-{self._round}") for (lead_id,) in found),
            )
            cursor.executemany(
                "INSERT INTO history VALUES (?, ?, 'breached')", ((i, self._round) for (i,) in found)
            )
            cursor.execute("COMMIT")
        seconds = time.perf_counter() - began
        assert len(found) == due, f"{len(found)} of {due} were found"
        return seconds

    def close(self) -> None:
        """Close the file."""
        self._connection.close()
