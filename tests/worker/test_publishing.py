"""`config apply` with every process at work: all of them switch at once, none moves a running clock, a crash leaves one or the other."""

import json
import subprocess
import time
from pathlib import Path

import httpx
import pytest
from tests.processes import runnable
from tests.servers import wait_until
from tests.worker.rules import write_rules
from tests.worker.site import Site, nothing_is_lost_or_doubled

from speed_to_lead.config.files import digest_of

pytestmark = pytest.mark.real

SECOND_FORM = '[forms.second]\nprovider = "generic"\nauth = "none"\nsource = "demo_request"\n'


def command(site: Site, *words: str) -> "subprocess.CompletedProcess[str]":
    """One command line beside the processes."""
    return subprocess.run(
        runnable(f"speed-to-lead config {' '.join(words)}"),
        env=site.fleet._environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def rules(directory: Path, respond_within: str, more_intake: str = "") -> Path:
    """The rules of this site with another SLA, and maybe a form more."""
    write_rules(directory, respond_within)
    intake = directory / "intake.toml"
    intake.write_text(intake.read_text() + more_intake)
    return directory


def test_all_processes_switch_at_once_and_running_clocks_go_on(site: Site, tmp_path: Path) -> None:
    """Two routers, a clock, a courier, web and watchdog: each lead after apply has the new rules, each before it the old."""
    running = site.start("web", "router", "router", "clock", "courier", "beat", "beat", "watchdog")
    wait_until(lambda: {"web", "watchdog"} <= site.stages(), "web and watchdog at work", 60)
    before = site.submit(20)
    wait_until(lambda: len(site.leads()) == 20, "the first are routed")

    applied = command(site, "apply", str(rules(tmp_path / "new", "6s", SECOND_FORM)), "--by", "ana", "--json")
    after = site.submit(20)
    posted = httpx.post(
        f"http://127.0.0.1:{site.port}/hooks/second", json={"email": "new@example.com"}, trust_env=False
    )

    assert applied.returncode == 0, applied
    said = json.loads(applied.stdout)
    idle = [name for name in said["rollout"]["behind"] if not name.startswith("router@")]
    assert (idle, said["rollout"]["refusing"]) == ([], [])  # of two routers one may have nothing to do
    assert len(said["rollout"]["processes"]) >= 5
    assert posted.status_code == 200, posted.text
    ids = [*before, *after, posted.json()["id"]]
    wait_until(lambda: len(site.leads()) == 41, "all are routed")
    leads = {lead.id: lead for lead in site.leads()}
    spans = {lead_id: (lead.deadline - lead.received_at).total_seconds() for lead_id, lead in leads.items()}
    assert {spans[lead_id] for lead_id in before} == {4.0}
    assert {spans[lead_id] for lead_id in ids if lead_id not in before} == {6.0}
    assert {leads[lead_id].config_digest for lead_id in after} == {said["version"]["digest"]}
    site.wait_until_done(41)
    nothing_is_lost_or_doubled(site, ids)  # also: every breach was at the deadline the lead was given
    assert all(process.is_running for process in running.values())
    status = command(site, "history", "--json")
    assert [one["by"] for one in json.loads(status.stdout)["versions"]] == ["ana"]


def test_a_process_without_the_secret_refuses_and_says_so(site: Site, tmp_path: Path) -> None:
    """The courier has no such variable, so it keeps the old config, and everybody is told; the router needs none."""
    site.start("router", "courier", "beat")
    assert command(site, "apply", str(rules(tmp_path / "one", "4s"))).returncode == 0
    more = tmp_path / "two"
    rules(more, "5s")
    alerts = more / "alerts.toml"
    alerts.write_text(
        alerts.read_text()
        + '[destinations.new]\ntype = "webhook"\nurl_env = "NOT_SET_HERE"\nsecret_env = "SINK_SECRET"\n'
    )

    applied = command(site, "apply", str(more))

    assert applied.returncode == 1, applied
    assert "REFUSED by courier@" in applied.stdout
    assert "which works with version 1: NOT_SET_HERE is not set here" in applied.stdout
    assert "1 of 2 processes work with it" in applied.stdout
    [courier] = [process for process in site.fleet.processes if process.log.name.endswith("courier.log")]
    assert "config.refused" in courier.output
    site.wait_for_alert(site.submit(1)[0])
    back = command(site, "rollback", "1", "--json")
    assert (back.returncode, json.loads(back.stdout)["rollout"]["refusing"]) == (0, [])


def test_apply_killed_at_any_moment_leaves_the_old_or_the_new(site: Site, tmp_path: Path) -> None:
    """Kill -9 anywhere between its first instruction and its last: what is live is whole, and one of the two."""
    candidates = [rules(tmp_path / f"c{number}", f"{number + 2}s") for number in range(2)]
    digests = {digest_of({path.name: path.read_bytes() for path in one.iterdir()}) for one in candidates}
    assert command(site, "apply", str(candidates[0])).returncode == 0
    began = time.monotonic()
    assert command(site, "apply", str(candidates[1])).returncode == 0
    takes = time.monotonic() - began
    seen = set()
    for number in range(12):
        process = subprocess.Popen(
            runnable(f"speed-to-lead config apply {candidates[number % 2]} --wait 5"),
            env=site.fleet._environment | {"PYTHONDONTWRITEBYTECODE": "1"},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        time.sleep(takes * (0.5 + number / 20))  # where in its life it dies, not a wait for a result
        process.kill()
        process.wait(10)
        live = site.store.configs.current()
        assert live is not None
        texts = site.store.configs.texts(live.digest)
        assert texts is not None
        assert digest_of(texts) == live.digest
        assert live.digest in digests
        assert [one.number for one in site.store.configs.history(100)] == list(range(live.number, 0, -1))
        seen.add(live.number)
    router = site.start("router", "beat")["router"]
    site.submit(1)
    wait_until(lambda: bool(site.leads()), "a router works with it")
    live = site.store.configs.current()
    assert live is not None
    assert site.leads()[0].config_digest == live.digest
    assert router.is_running


def test_a_router_killed_while_it_loads_begins_with_what_is_live(site: Site, tmp_path: Path) -> None:
    """Its successor has the new rules from its first lead on, whatever its directory says."""
    router = site.start("router", "beat")["router"]
    assert command(site, "apply", str(rules(tmp_path / "new", "6s")), "--wait", "0").returncode == 0
    router.kill()
    lead_id = site.submit(1)[0]
    site.start("router")
    wait_until(lambda: bool(site.leads()), "it is routed")
    [lead] = site.leads()
    assert (lead.id, (lead.deadline - lead.received_at).total_seconds()) == (lead_id, 6.0)


def test_a_directory_that_is_broken_stops_nobody_once_something_is_published(
    site: Site, tmp_path: Path
) -> None:
    """An editor's half-written file on one host is a draft, not an outage."""
    assert command(site, "apply", str(rules(tmp_path / "new", "6s"))).returncode == 0
    directory = Path(site.fleet._environment["STL_CONFIG_DIR"])
    (directory / "routing.toml").write_text("[default")
    site.start("router", "clock", "courier", "beat", "web")
    site.wait_for_alert(site.submit(1)[0])
    status = subprocess.run(
        runnable("speed-to-lead status"),
        env=site.fleet._environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert "differs from version 1, which is live" in status.stdout


def test_a_shadow_is_decided_beside_live_traffic(site: Site, tmp_path: Path) -> None:
    """The router counts what the candidate would do with every new lead, and each lead has the live rules."""
    site.start("router", "beat")
    candidate = rules(tmp_path / "candidate", "9s")
    assert command(site, "shadow", str(candidate), "--by", "ana").returncode == 0
    ids: list[str] = []

    def counted() -> bool:
        ids.extend(site.submit(1))
        return site.store.shadow.report(1)[0].get("different", 0) >= 3

    wait_until(counted, "the shadow differs", 60)
    report = command(site, "shadow", "report", "--json")
    said = json.loads(report.stdout)
    assert (report.returncode, said["same"], said["by_kind"]["deadline"]) == (1, 0, said["different"])
    wait_until(lambda: len(site.leads()) == len(ids), "all are routed")
    assert {(lead.deadline - lead.received_at).total_seconds() for lead in site.leads()} == {4.0}
