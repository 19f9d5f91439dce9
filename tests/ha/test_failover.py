"""The primary dies, and another one falls silent and comes back: work goes on, nothing is lost, nobody is told twice."""

import sys
import time
from collections import Counter
from pathlib import Path

import pytest
from tests.ha.cluster import Cluster
from tests.ha.site import Site, Stream, promises_broken
from tests.servers import wait_until

pytestmark = pytest.mark.real

#: From the blow until a web answers 200 again: 1.5 s until the Sentinels are sure, an election, and our own timeouts.
OUTAGE_SECONDS = 15.0


def test_work_goes_on_when_the_primary_dies_and_when_it_falls_silent(
    tmp_path: Path, cluster: Cluster
) -> None:
    """Kill -9, then SIGSTOP of the next primary, which comes back and believes it still is one; with one confirmation."""
    site = Site(tmp_path, cluster, confirm_replicas=1)
    stream = Stream(site.webs, a_second=20)
    try:
        site.start()
        stream.start()
        stream.wait_for_answers(time.monotonic(), 20)

        first, killed_at = cluster.primary(), time.monotonic()
        cluster.servers[first].stop(kill=True)
        second = cluster.wait_for_another_primary(first)
        back_at = stream.wait_for_answers(time.monotonic())
        sys.stdout.write(f"killed: 200 again after {back_at - killed_at:.1f} s\n")
        assert back_at - killed_at < OUTAGE_SECONDS

        cluster.start_server(first, second)
        cluster.wait_for_replicas(second, 2)
        frozen_at = time.monotonic()
        cluster.servers[second].freeze()
        third = cluster.wait_for_another_primary(second)
        back_at = stream.wait_for_answers(time.monotonic())
        sys.stdout.write(f"frozen: 200 again after {back_at - frozen_at:.1f} s\n")
        assert back_at - frozen_at < OUTAGE_SECONDS
        cluster.servers[second].thaw()
        assert cluster.role(second) == "master"
        wait_until(lambda: cluster.role(second) == "slave", "the stale primary is made a replica", 30)
        assert third == cluster.primary()
        stream.wait_for_answers(time.monotonic())
        stream.stop()
        site.wait_until_done()

        statuses = Counter(status for _, status in stream.answers)
        sys.stdout.write(
            f"{stream.sent} people, answers {dict(statuses)}, {site.store.operations.ledger()}\n"
        )
        assert len(stream.accepted) == stream.sent
        assert promises_broken(site, stream) == []
        assert {process.process.poll() for fleet in site.fleets for process in fleet.processes} == {None}
    finally:
        stream.end()
        site.end()
