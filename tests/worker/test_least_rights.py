"""The server's user of docs/security.md may do what our processes need, and nothing that empties or opens the server."""

import re
from pathlib import Path

import httpx
import pytest
import redis
from redis.exceptions import NoPermissionError
from tests.servers import wait_until
from tests.worker.site import Site

from speed_to_lead.store import open_store

DOCUMENT = Path(__file__).parents[2] / "docs" / "security.md"
PASSWORD = "of-the-least-rights"


def documented_rights() -> str:
    """The rights as the document gives them, with a password in the place of PASSWORD."""
    [line] = re.findall(r"^user stl (on .*)$", DOCUMENT.read_text(), re.MULTILINE)
    return str(line).replace("PASSWORD", PASSWORD)


def test_every_process_works_with_the_rights_documented(site: Site) -> None:
    """A lead, from the queue through its whole ladder, and the command line's looks at it."""
    with redis.Redis.from_url(site.server.url) as admin:
        admin.execute_command("ACL", "SETUSER", "stl", *documented_rights().split())
        address = site.server.url.replace("redis://", f"redis://stl:{PASSWORD}@")
        site.fleet._environment["REDIS_URL"] = address
        site.start("web", "router", "clock", "courier", "beat", "watchdog")
        address_of_hook = f"http://127.0.0.1:{site.port}/hooks/demo"
        wait_until(lambda: answers(address_of_hook), "the web process answers")
        posted = httpx.post(address_of_hook, json={"email": "ana@example.com"}, trust_env=False)
        assert posted.status_code == 200, posted.text
        ids = [*site.submit(3), posted.json()["id"]]
        site.wait_until_done(4)
        assert sorted(ids) == sorted(lead.id for lead in site.leads())
        refused = [
            entry for entry in admin.execute_command("ACL", "LOG") or [] if b"stl" in repr(entry).encode()
        ]
        assert refused == []
        store = open_store(address)
        assert store.operations.policy().append_only is True
        assert store.operations.health().outbox == 0
        store.close()
        with redis.Redis.from_url(address) as limited:
            assert limited.ping()
            assert limited.bgrewriteaof()
            for command in (
                "FLUSHALL",
                "FLUSHDB",
                "KEYS *",
                "CONFIG SET dir /tmp",
                "SHUTDOWN NOSAVE",
                "REPLICAOF NO ONE",
                "ACL LIST",
                "MONITOR",
                "GET other",
                "SET other x",
                "PUBLISH x y",
                "MODULE LIST",
            ):
                with pytest.raises(NoPermissionError):
                    limited.execute_command(*command.split())


def answers(address: str) -> bool:
    """Whether anybody listens there yet."""
    try:
        return httpx.get(address, trust_env=False).status_code == 200
    except httpx.TransportError:
        return False
