"""docs/ways-in.md is true: its examples run as they stand, and what they add becomes leads."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from redis import Redis
from tests.web.conftest import place_of

import speed_to_lead
from speed_to_lead import flow
from speed_to_lead.store.redis_store import RedisStore

pytestmark = pytest.mark.real

DOCUMENT = Path(speed_to_lead.__file__).parents[2] / "docs" / "ways-in.md"
STREAM = DOCUMENT.read_text().partition("## The stream")[2]


def example(language: str, key_prefix: str) -> str:
    """The example of that language, which writes to the stream of this test."""
    (found,) = re.findall(rf"^```{language}\n(.*?)^```$", STREAM, re.MULTILINE | re.DOTALL)
    assert len(found.split("\n")) - found.count("\n\n") - 1 == 5
    return str(found).replace("{stl}", f"{{{key_prefix}}}")


def run(command: list[str], url: str, **more: str) -> None:
    """Run a program twice, as one that heard no answer would."""
    for _ in range(2):
        subprocess.run(
            command, check=True, timeout=60, capture_output=True, env={**os.environ, "REDIS_URL": url, **more}
        )


def is_one_lead(store: RedisStore, lead_id: str, email: str) -> None:
    """What was added twice is one lead of that id."""
    while flow.route(place_of(store), "router-1").settled:
        pass
    leads, _ = store.leads.newest(10)
    assert [(lead_id, email, "demo_request")] == [
        (lead.id, lead.lead.fields["email"], lead.source) for lead in leads
    ]
    ledger = store.operations.ledger()
    assert (1, 1, 0) == (ledger.leads, ledger.duplicates, ledger.difference)


def test_the_example_in_python(server_url: str, key_prefix: str, redis_store: RedisStore) -> None:
    """Run by an interpreter of its own."""
    run([sys.executable, "-c", example("python", key_prefix)], server_url)
    is_one_lead(redis_store, "crm-4711", "sam@example.com")


def test_the_example_for_a_shell(
    server_url: str, key_prefix: str, redis_store: RedisStore, tmp_path: Path
) -> None:
    """Run by a shell with whichever client is here; where none is, its words go to the server as the shell splits them."""
    text = example("sh", key_prefix)
    found = shutil.which("redis-cli") or shutil.which("valkey-cli")
    if found:
        run(["/bin/sh", "-ec", text.replace("redis-cli", found)], server_url)
    else:
        (tmp_path / "redis-cli").write_text("#!/bin/sh\nprintf '%s\\0' \"$@\"\n")
        (tmp_path / "redis-cli").chmod(0o755)
        path = f"{tmp_path}:{os.environ['PATH']}"
        said = subprocess.run(
            ["/bin/sh", "-ec", text],
            check=True,
            capture_output=True,
            env={"PATH": path, "REDIS_URL": server_url},
        ).stdout
        words = said.decode().split("\0")[2:-1]
        with Redis.from_url(server_url) as client:
            for _ in range(2):
                client.execute_command(*words)
    is_one_lead(redis_store, "crm-4713", "lee@example.com")


def test_the_example_in_node(
    server_url: str, key_prefix: str, redis_store: RedisStore, tmp_path: Path
) -> None:
    """Run by Node, with the package where NODE_PATH has it, else with one that hands the entry to the server just so."""
    node = shutil.which("node")
    if node is None:
        pytest.skip("there is no Node here")
    packages = [Path(place) / "redis" for place in os.environ.get("NODE_PATH", "").split(os.pathsep) if place]
    package = next((place for place in packages if place.is_dir()), None)
    if package is not None:
        (tmp_path / "node_modules").symlink_to(package.parent)
    else:
        stand_in = tmp_path / "node_modules" / "redis"
        stand_in.mkdir(parents=True)
        (stand_in / "package.json").write_text('{"name":"redis","type":"module","exports":"./redis.js"}')
        (stand_in / "redis.js").write_text(STAND_IN)
    (tmp_path / "example.mjs").write_text(example("js", key_prefix))
    said = tmp_path / "said.json"
    run([node, str(tmp_path / "example.mjs")], server_url, SAID=str(said))
    if package is None:
        stream, entry_id, entry = json.loads(said.read_text())
        with Redis.from_url(server_url) as client:
            for _ in range(2):
                client.xadd(stream, entry, id=entry_id)
    is_one_lead(redis_store, "crm-4712", "kim@example.com")


#: Notes what the package would send.
STAND_IN = """
import { writeFileSync } from "node:fs";
export const createClient = ({ url }) => ({
  async connect() { if (!url.startsWith("redis")) throw new Error("no address"); return this; },
  async xAdd(...given) { writeFileSync(process.env.SAID, JSON.stringify(given)); return "1-0"; },
  async close() {},
});
"""
