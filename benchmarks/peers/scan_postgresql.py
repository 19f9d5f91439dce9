"""A table scan a minute in PostgreSQL: SELECT … FOR UPDATE SKIP LOCKED, so that several pollers may run, and one statement.

A server of its own, on a socket in a directory of its own, not as root (PostgreSQL refuses that), ended by its handle.
Its durability is the default: a commit is on disk before it is answered.
"""

import importlib
import os
import pwd
import shutil
import subprocess
import tempfile
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

from benchmarks.peers.scans import DOCUMENT, INDEX, TABLES

psycopg: Any = None
with suppress(ImportError):
    psycopg = importlib.import_module("psycopg")

_SCAN = """
WITH due AS (
  SELECT id FROM leads WHERE state = 'open' AND due_at <= %(now)s ORDER BY due_at FOR UPDATE SKIP LOCKED
), marked AS (
  UPDATE leads SET state = 'breached', version = version + 1 FROM due WHERE leads.id = due.id RETURNING leads.id
), told AS (
  INSERT INTO alerts SELECT id, %(step)s, 'managers', 'waiting' FROM marked ON CONFLICT DO NOTHING
)
INSERT INTO history SELECT id, %(now)s, 'breached' FROM marked
"""


def binaries() -> Path | None:
    """Where the newest server is, or None: Debian keeps it off the PATH."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: int(path.parts[-3]))
    if found:
        return found[-1].parent
    on_path = shutil.which("initdb")
    return Path(on_path).resolve().parent if on_path else None


def missing() -> str:
    """What would have to be installed; "" where it is."""
    if binaries() is None:
        return "apt-get install postgresql"
    return "pip install 'psycopg[binary]'" if psycopg is None else ""


class PostgresqlScan:
    """A server with so many open leads."""

    def __init__(self, leads: int, *, indexed: bool) -> None:
        self._leads = leads
        self._round = 0
        self._directory = Path(tempfile.mkdtemp(prefix="peer-postgresql-", dir="/tmp"))
        self._user: str | None = None
        if os.getuid() == 0:
            self._user = "postgres" if any(u.pw_name == "postgres" for u in pwd.getpwall()) else "nobody"
            owner = pwd.getpwnam(self._user)
            os.chown(self._directory, owner.pw_uid, owner.pw_gid)
        where = binaries()
        assert where is not None, missing()
        data = self._directory / "data"
        options: dict[str, Any] = {
            "user": self._user,
            "cwd": self._directory,
            "env": {"PATH": os.environ["PATH"]},
        }
        subprocess.run(
            [where / "initdb", "-D", data, "-A", "trust", "-U", "bench", "--encoding=UTF8", "--locale=C"],
            check=True,
            stdout=subprocess.DEVNULL,
            **options,
        )
        with (self._directory / "server.log").open("ab") as log:
            self._server = subprocess.Popen(
                [
                    where / "postgres",
                    "-D",
                    data,
                    "-k",
                    self._directory,
                    "-c",
                    "listen_addresses=",
                    "-c",
                    "shared_buffers=512MB",
                    "-c",
                    "max_wal_size=4GB",
                ],
                stdout=log,
                stderr=log,
                **options,
            )
        self._connection = self._connected()
        with self._connection.cursor() as cursor:
            for table in TABLES:
                cursor.execute(table)
            cursor.execute(
                "INSERT INTO leads SELECT n, 'open', 10000000000 + n, 'inbound', 'ana', 1, %s"
                " FROM generate_series(0, %s) AS n",
                (DOCUMENT, leads - 1),
            )
            if indexed:
                cursor.execute(INDEX)
            cursor.execute("VACUUM ANALYZE leads")

    def scan(self, due: int) -> float:
        """Let so many come due, and scan for them; the seconds of the scan alone."""
        self._round += 1
        first = (self._round * 7919) % max(self._leads - due, 1)
        with self._connection.cursor() as cursor:
            cursor.execute(
                "UPDATE leads SET due_at = %s, state = 'open' WHERE id >= %s AND id < %s",
                (self._round, first, first + due),
            )
            began = time.perf_counter()
            cursor.execute(_SCAN, {"now": self._round, "step": f"100%-{self._round}"})
            seconds = time.perf_counter() - began
            assert cursor.rowcount == due, f"{cursor.rowcount} of {due} were found"
        return seconds

    def close(self) -> None:
        """End the server, and remove what it kept."""
        self._connection.close()
        self._server.terminate()
        try:
            self._server.wait(30)
        except subprocess.TimeoutExpired:
            self._server.kill()
            self._server.wait()
        shutil.rmtree(self._directory, ignore_errors=True)

    def _connected(self) -> Any:
        limit = time.monotonic() + 30
        while True:
            try:
                return psycopg.connect(
                    host=str(self._directory), user="bench", dbname="postgres", autocommit=True
                )
            except psycopg.OperationalError:
                if time.monotonic() > limit or self._server.poll() is not None:
                    raise
            time.sleep(0.1)
