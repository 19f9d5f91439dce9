"""Real routers in a flood: who is in a hurry overtakes, and a kill -9 at any moment loses and doubles nothing."""

import json
import random
import time
from pathlib import Path

import pytest
from tests.servers import wait_until
from tests.worker.site import Site

from speed_to_lead import flow
from speed_to_lead.core.submission import Submission
from speed_to_lead.flow.routing import FLOOD, LOOK_AHEAD, PATIENT_SHARE, ROUTE_BATCH
from speed_to_lead.store.queue import stream_fields

pytestmark = pytest.mark.real


@pytest.fixture
def flooded(site: Site) -> Site:
    """A site where a campaign called demo is due in a minute, and all else in eight hours."""
    rules = Path(site.fleet._environment["STL_CONFIG_DIR"])
    with (rules / "slas.toml").open("a") as slas:
        slas.write('[slas.slow]\nrespond_within = "8h"\n[slas.soon]\nrespond_within = "60s"\n')
    (rules / "routing.toml").write_text(
        '[[rules]]\nname = "Demo"\nwhen.campaign = "demo"\nteam = "all"\nsla = "soon"\n'
        '[default]\nteam = "all"\nsla = "slow"\n'
    )
    return site


def flood(site: Site, count: int, urgent_each: int) -> list[str]:
    """Put so many submissions into the stream at once, every so-manyth urgent, the last one too; their ids."""
    ids = []
    pipe = site.store.server.client.pipeline(transaction=False)
    for number in range(1, count + 1):
        now = site.store.now()
        lead_id = flow.new_submission_id(now)
        campaign = "demo" if number % urgent_each == 0 else "list"
        body = json.dumps({"email": f"p{number}@example.com", "campaign": campaign}).encode()
        submission = Submission(lead_id, "demo", now, body, "application/json")
        pipe.xadd(site.store.server.keys.incoming, stream_fields(submission))
        ids.append(lead_id)
    pipe.execute()
    return ids


def test_the_last_demo_of_a_flood_is_routed_before_most_of_those_who_can_wait(flooded: Site) -> None:
    """As the hints and ticks of Celery make routers work, with nobody told to drain anything."""
    ids = flood(flooded, 15_000, 30)
    flooded.start("router", "beat")
    wait_until(lambda: flooded.store.operations.ledger().leads == 15_000, "all are routed", 180)

    routed_at = {one: flooded.store.leads.history(one)[0].at for one in ids}
    urgent = ids[29::30]
    last_urgent = max(routed_at[one] for one in urgent)
    before_it = sum(at < last_urgent for at in routed_at.values()) - len(urgent)
    in_order = FLOOD + FLOOD // ROUTE_BATCH * PATIENT_SHARE  # of those put off, a share goes with each batch
    assert before_it < in_order + LOOK_AHEAD, "the urgent ones waited for more than is settled in their order"
    assert flooded.health().patient == 0
    assert flooded.store.operations.ledger().difference == 0


def test_routers_killed_in_a_flood_lose_and_double_nothing(flooded: Site) -> None:
    """Two at work, one killed after the other while entries are read, moved and settled."""
    ids = flood(flooded, 15_000, 20)
    dice = random.Random(20261123)
    running = [flooded.fleet.start("router") for _ in range(2)]
    flooded.fleet.start("beat")
    wait_until(lambda: flooded.health().patient > 0, "some are put off", 60)
    for number in range(6):
        running[number % 2].kill()
        running[number % 2] = flooded.fleet.start("router")
        time.sleep(dice.uniform(0.1, 1.5))  # an instant for a blow to fall, not a wait for anything
    wait_until(lambda: flooded.store.operations.ledger().in_flight == 0, "nothing waits", 240)

    ledger = flooded.store.operations.ledger()
    assert (ledger.leads, ledger.touches, ledger.dead_letters, ledger.difference) == (15_000, 0, 0, 0)
    leads = [flooded.store.leads.get(one) for one in ids]
    assert len({lead.lead.get("email") for lead in leads if lead is not None}) == 15_000
