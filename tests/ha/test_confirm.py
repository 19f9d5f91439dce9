"""STL_CONFIRM_REPLICAS: what a failover loses without it, and that with it nobody hears of what could be lost."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from tests.flow.scene import Scene, new_scene
from tests.ha.cluster import Cluster
from tests.servers import BINARIES, ManualClock, directory_of_a_server, wait_until
from tests.store.builders import LEASE, admitted, following, new_submission
from tests.web.conftest import AUTHORIZED, web_on

from speed_to_lead import flow
from speed_to_lead.core.lead import Alert, AlertKind, Lead
from speed_to_lead.core.response import close_lead
from speed_to_lead.store import server as server_module
from speed_to_lead.store.contract import Result, StoreUnavailable
from speed_to_lead.store.redis_store import RedisStore, open_store

pytestmark = pytest.mark.real


@pytest.fixture(params=BINARIES, scope="module")
def pair(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """A primary with two replicas, no Sentinels, of each kind of server in turn; a test joins up what it cuts off."""
    with directory_of_a_server(tmp_path_factory.mktemp("pair")) as directory:
        opened = Cluster(Path(directory), BINARIES[request.param])
        try:
            opened.start(sentinels=False)
            yield opened
        finally:
            opened.end()


@pytest.fixture
def confirmed(pair: Cluster, key_prefix: str) -> Iterator[RedisStore]:
    """A store whose writes two replicas must hold."""
    store = open_store(pair.url_of(0), key_prefix, confirm_replicas=2)
    yield store
    store.close()


@pytest.fixture
def scene(confirmed: RedisStore) -> Scene:
    """A workplace on that store."""
    return new_scene(confirmed, ManualClock())


@pytest.fixture(autouse=True)
def patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """Replicas that are there confirm on a busy machine too: how soon is no part of these tests. Less than an answer takes."""
    monkeypatch.setattr(server_module, "CONFIRM_SECONDS", 1.5)


@contextmanager
def cut_off(cluster: Cluster, primary: int) -> Iterator[None]:
    """The replicas hear of nothing while the block runs, and are not waited for long."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(server_module, "CONFIRM_SECONDS", 0.1)
        cluster.cut_off(primary)
        yield
    cluster.join_up(primary)


def added(store: RedisStore, name: str) -> bool:
    """Whether a submission could be added for good."""
    try:
        store.queue.add(new_submission(store, name))
    except StoreUnavailable:
        return False
    return True


@pytest.mark.parametrize("confirm", [0, 1])
def test_a_failover_loses_what_was_answered_200_unless_it_was_confirmed(
    cluster: Cluster, confirm: int
) -> None:
    """The replicas hear nothing of a submission, and the primary dies: it was answered 200, or with confirmation 503."""
    with web_on(cluster.url, "stl", confirm_replicas=confirm) as web:
        before = web.http.post("/hooks/open", content=b"before").status_code
        primary = cluster.primary()
        with cluster.client(primary) as client:
            assert client.wait(2, 2000) == 2

        with cut_off(cluster, primary):
            hook = web.http.post("/hooks/open", content=b"lost")
            ready = web.http.get("/readyz")
            on_primary = [entry[b"body"] for entry in web.stored()]
            cluster.servers[primary].stop(kill=True)
        cluster.wait_for_another_primary(primary)
        wait_until(lambda: web.http.get("/readyz").status_code == 200, "it is ready again")

        assert before == 200
        assert on_primary == [b"before", b"lost"]
        assert [entry[b"body"] for entry in web.stored()] == [b"before"]
        assert [hook.status_code, ready.status_code] == ([503, 503] if confirm else [200, 200])
        if confirm:
            assert hook.headers["retry-after"] == "5"
            assert "NOREPLICAS 0 of 1 replicas confirmed" in ready.json()["error"]
        again = web.http.post("/hooks/open", content=b"lost").status_code
        assert again == 200
        assert [entry[b"body"] for entry in web.stored()] == [b"before", b"lost"]


def test_a_planned_failover_is_followed_by_whoever_is_connected(cluster: Cluster) -> None:
    """SENTINEL FAILOVER, as before a restart of the primary: the store and the web write to the new one in seconds."""
    with web_on(cluster.url, "stl", confirm_replicas=1) as web:
        web.http.post("/hooks/open", content=b"before")
        primary = cluster.primary()
        cluster.fail_over()
        cluster.wait_for_another_primary(primary)
        began = time.monotonic()
        wait_until(
            lambda: web.http.post("/hooks/open", content=b"after").status_code == 200, "the web follows"
        )
        wait_until(lambda: added(web.store, "s1"), "the store follows")
        assert time.monotonic() - began < 6  # the old primary believes for ten seconds that it still is one
        with cluster.client(cluster.primary()) as client:
            bodies = [fields[b"body"] for _, fields in client.xrange("{stl}:leads:incoming")]
        assert {b"before", b"after", new_submission(web.store).body} == set(bodies)


def test_a_submission_answered_503_for_want_of_replicas_and_sent_again_is_one_lead(
    pair: Cluster, key_prefix: str
) -> None:
    """It was stored all the same, so the retry is a duplicate; meanwhile /readyz says why."""
    with web_on(pair.url_of(0), key_prefix, confirm_replicas=1) as web:
        lead = {"email": "kim@example.com", "source": "demo_request"}
        headers = {**AUTHORIZED, "idempotency-key": "k1"}
        web.http.post("/v1/leads", json={"email": "first@example.com"}, headers=AUTHORIZED)
        with cut_off(pair, 0):
            refused = [web.http.post("/v1/leads", json=lead, headers=headers).status_code for _ in range(2)]
            ready = web.http.get("/readyz").status_code
        pair.wait_for_replicas(0, 2)
        again = web.http.post("/v1/leads", json=lead, headers=headers).status_code
        while flow.route(web.place, "r").settled:
            pass

        ledger = web.store.operations.ledger()
        assert (refused, ready, again) == ([503, 503], 503, 200)
        assert (ledger.received, ledger.leads, ledger.duplicates, ledger.difference) == (4, 2, 2, 0)


def test_nobody_is_told_of_a_lead_that_a_failover_could_take_back(pair: Cluster, scene: Scene) -> None:
    """Routed while the replicas are away, its rep hears of it when they are back, and the wait counts as no attempt."""
    with cut_off(pair, 0):
        with pytest.raises(StoreUnavailable, match="NOREPLICAS 0 of 2"):
            scene.submit(source="demo_request")  # it is on the primary, though nobody may be told so
        scene.route()
        for _ in range(12):  # more often than an alert is tried
            with pytest.raises(StoreUnavailable, match="NOREPLICAS 0 of 2"):
                scene.deliver()
        unheard = scene.heard()
        (waiting, _), *_ = scene.store.outbox.waiting(9)
    pair.wait_for_replicas(0, 2)
    scene.deliver()

    assert (unheard, waiting.attempts, waiting.unknown_attempts) == ({}, 0, 0)
    assert sum(len(messages) for messages in scene.heard().values()) == 1


def test_whoever_answers_a_lead_is_told_so_only_when_it_stays_answered(
    pair: Cluster, confirmed: RedisStore, scene: Scene
) -> None:
    """Refused while the replicas are away, also when it is said again; then the same call is answered, changing nothing."""
    lead = admitted(confirmed)

    def close() -> tuple[Lead, bool]:
        return flow.change_lead(scene.place, lead.id, lambda lead, now: close_lead(lead, "spam", "ana", now))

    with cut_off(pair, 0):
        for _ in range(2):
            with pytest.raises(StoreUnavailable, match="NOREPLICAS 0 of 2"):
                close()
    pair.wait_for_replicas(0, 2)
    closed, is_new = close()

    assert (closed.is_open, closed.version, is_new) == (False, 2, False)


def test_what_was_read_is_confirmed_only_as_it_was_read(confirmed: RedisStore) -> None:
    """A lead that changed meanwhile is to be read again; an alert whose lease passed on is not sent."""
    outbox, leads = confirmed.outbox, confirmed.leads
    lead = admitted(confirmed)
    for step in ("a", "b"):
        outbox.add(Alert(lead.id, step, "managers", AlertKind.BREACHED, lead.received_at), lead.received_at)
    now = confirmed.now()
    claimed = outbox.claim("managers", now, LEASE, at_once=9)
    assert claimed is not None

    until = now + LEASE
    assert (leads.confirm(lead), outbox.confirm(claimed, until)) == (Result.APPLIED, (Result.APPLIED, lead))
    assert outbox.confirm(replace(claimed, token="another courier's"), until)[0] is Result.GONE
    assert leads.confirm(following(lead)) is Result.STALE
    assert leads.confirm(replace(lead, id="nobody")) is Result.STALE
