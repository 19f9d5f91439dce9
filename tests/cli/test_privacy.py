"""`leads export`, `erase`, `erasures`, `reencrypt`, on a real server."""

import json
import os
from pathlib import Path
from typing import Any

import pytest
from cryptography.fernet import Fernet
from tests.cli.conftest import Run, Running
from tests.servers import RealServer

from speed_to_lead.core.submission import Submission
from speed_to_lead.store.redis_store import open_store
from speed_to_lead.workplace import open_workplace_or_exit

SAID: Any = {"email": "kim@example.com", "message": "top secret"}


def test_erase_and_its_record(running: Running) -> None:
    """It says what went, proves it, names what is out of reach, and keeps a line that does not say who."""
    running.routed(**SAID)
    running.routed(b"broken kim@example.com")
    finished = running("leads", "erase", "Kim@example.com", "--yes", "--by", "ana", "--reference", "R-17")
    assert finished.code == 0, finished.err
    for fragment in ("1 lead", "1 dead letter", "0 hits", "Out of reach", "append-only file", "backups"):
        assert fragment in finished.out
    (line,) = running("leads", "erasures", "--json").json["erasures"]
    assert (line["by"], line["reference"], line["proven"], line["counts"]["leads"]) == (
        "ana",
        "R-17",
        True,
        1,
    )
    assert "kim" not in running("leads", "erasures").out
    assert running("ledger").code == 0
    again = running("leads", "erase", "kim@example.com", "--yes", "--json").json
    assert (again["counts"], again["proven"], again["hits"]) == ({}, True, 0)
    assert again["keys_looked_at"] > 3


def test_erase_asks_first(running: Running) -> None:
    """Where nobody can be asked and --yes is not given, nothing is erased; --dry-run needs no yes."""
    lead_id = running.routed(**SAID)
    assert running("leads", "erase", "kim@example.com").code == 2
    counts = running("leads", "erase", "kim@example.com", "--dry-run", "--json").json["counts"]
    assert counts["leads"] == 1
    assert running.place.store.leads.get(lead_id) is not None


@pytest.mark.parametrize(
    "arguments", [("kim",), ("kim@example.com", "--yes", "--reference", "of kim@example.com")]
)
def test_erase_refuses(running: Running, arguments: tuple[str, ...]) -> None:
    """Nobody named, or the person named in the line that stays: wrong usage."""
    finished = running("leads", "erase", *arguments)
    assert (finished.code, "--reference" in finished.err or "e-mail address" in finished.err) == (2, True)


def test_export(running: Running, tmp_path: Path) -> None:
    """One JSON document, on stdout or in a file only its owner may read."""
    lead_id = running.routed(**SAID)
    (lead,) = running("leads", "export", "kim@example.com").json["leads"]
    assert (lead["id"], lead["fields"]["message"]) == (lead_id, "top secret")
    file = tmp_path / "kim.json"
    file.touch(mode=0o644)
    assert running("leads", "export", "kim@example.com", "--file", str(file)).code == 0
    assert [lead_id] == [one["id"] for one in json.loads(file.read_text())["leads"]]
    assert file.stat().st_mode & 0o077 == 0


def test_reencrypt(running: Running) -> None:
    """Plain records become encrypted ones; without the key, listing, doctor and start say what is missing."""
    lead_id = running.routed(**SAID)
    key = {"STL_ENCRYPTION_KEYS": Fernet.generate_key().decode()}
    assert running("leads", "reencrypt", "--json", env=key).json["complete"] is True
    assert "top secret" in running("leads", "show", lead_id, env=key).out
    without = running("leads", "show", lead_id)
    assert (without.code, "STL_ENCRYPTION_KEYS" in without.err) == (2, True)
    doctor = running("doctor", "--skip-processes")
    assert "encryption: 1 record of the newest 100 needs a key that is not set" in doctor.out
    broken = running("leads", "list", env={"STL_ENCRYPTION_KEYS": "short"})
    assert (broken.code, "Fernet.generate_key" in broken.err) == (2, True)


def test_a_process_without_the_key_does_not_start(
    running: Running, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """It would put every lead aside as unreadable; with the key it starts."""
    running.routed(**SAID)
    key = Fernet.generate_key().decode()
    assert running("leads", "reencrypt", env={"STL_ENCRYPTION_KEYS": key}).code == 0
    with pytest.raises(SystemExit) as ended:
        open_workplace_or_exit()
    assert ended.value.code == 2
    assert "STL_ENCRYPTION_KEYS" in capfd.readouterr().err
    monkeypatch.setenv("STL_ENCRYPTION_KEYS", key)
    open_workplace_or_exit().store.close()  # type: ignore[attr-defined]


def test_what_no_replica_holds_is_not_proven(running: Running) -> None:
    """With replicas to confirm and none there, an erasure is not proven and a re-encryption not complete; both say why."""
    running.routed(**SAID)
    env = {"STL_CONFIRM_REPLICAS": "1", "STL_ENCRYPTION_KEYS": Fernet.generate_key().decode()}
    done = running("leads", "reencrypt", "--json", env=env)
    assert (done.code, done.json["complete"], done.json["rewritten"] > 0) == (1, False, True)
    said = running("leads", "reencrypt", env=env)
    assert ("0 of 1 replicas" in said.out, "may be taken out" in said.out) == (True, False)
    erased = running("leads", "erase", "kim@example.com", "--yes", env=env)
    assert (erased.code, "0 of 1 replicas" in erased.out, "Proof" in erased.out) == (1, True, False)
    assert [False] == [one["proven"] for one in running("leads", "erasures", "--json").json["erasures"]]
    again = running(
        "leads", "erase", "kim@example.com", "--yes", "--json", env=env | {"STL_CONFIRM_REPLICAS": "0"}
    )
    assert (again.code, again.json["proven"], again.json["unconfirmed"]) == (0, True, "")


def test_reencrypt_without_keys(running: Running) -> None:
    """There is nothing to encrypt with, and it says so."""
    finished = running("leads", "reencrypt")
    assert (finished.code, "STL_ENCRYPTION_KEYS is not set" in finished.err) == (2, True)


@pytest.mark.real
@pytest.mark.parametrize("is_at_it", [False, True])
def test_the_servers_files_hold_nothing(
    run: Run, config_dir: Path, restartable_server: RealServer, *, is_at_it: bool
) -> None:
    """Once the append-only file is rewritten, no file has the address; a rewriting begun before that is waited for."""
    store = open_store(restartable_server.url)
    body = json.dumps(SAID).encode()
    store.queue.add(Submission("s1", "api", store.now(), body, "application/json"))
    if is_at_it:
        client = store.server.client
        client.config_set("rdb-key-save-delay", 4_000_000)  # microseconds for each key
        client.bgrewriteaof()
        client.config_set("rdb-key-save-delay", 0)
        assert store.privacy.rewrite_log() == "busy"
    store.close()

    def files_with_kim() -> list[str]:
        files = (path for path in restartable_server.directory.rglob("*") if path.is_file())
        return [os.fspath(path) for path in files if b"kim@example.com" in path.read_bytes()]

    assert files_with_kim() != []
    env = {"REDIS_URL": restartable_server.url, "STL_CONFIG_DIR": str(config_dir)}
    finished = run("leads", "erase", "kim@example.com", "--yes", "--json", env=env)
    assert (finished.code, finished.json["append_only_file"]) == (0, "rewritten"), finished
    assert files_with_kim() == []
