"""/metrics: who may read it, what it says, in which format; labels that stay few; a store that is away."""

import asyncio
import json
import random
import secrets
import time
from collections import Counter
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta

import httpx
import pytest
from prometheus_client import CollectorRegistry
from prometheus_client.metrics_core import Metric as Family
from prometheus_client.openmetrics.parser import text_string_to_metric_families as open_metrics
from prometheus_client.parser import text_string_to_metric_families as plain_text
from starlette.types import Message, Scope
from tests.servers import ManualClock, RealServer
from tests.web.conftest import AUTHORIZED, LEAD, Web, place_of, route_all, typeform_signature

from speed_to_lead import flow
from speed_to_lead.core.metrics import HISTOGRAMS
from speed_to_lead.core.submission import Submission
from speed_to_lead.store.intake import Intake
from speed_to_lead.store.memory import MemoryStore
from speed_to_lead.web.failures import Failures
from speed_to_lead.web.hooks import Hooks
from speed_to_lead.web.metrics import METRICS, PREFIX, Reading, Scrape, read_store
from speed_to_lead.workplace import Workplace

#: What Prometheus 2.42 and 3 ask for.
ASKED = (
    "application/openmetrics-text;version=1.0.0;q=0.5,application/openmetrics-text;version=0.0.1;q=0.4,"
    "text/plain;version=0.0.4;q=0.3,*/*;q=0.2"
)
ORDER = (*dict.fromkeys(label for metric in METRICS for label in metric.labels), "le")
Samples = dict[tuple[str, tuple[str, ...]], float]


def samples_of(families: Iterable[Family]) -> Samples:
    """Every value of ours by name (without the prefix) and label values."""
    return {
        (
            sample.name.removeprefix(PREFIX),
            tuple(sample.labels[n] for n in ORDER if n in sample.labels),
        ): sample.value
        for family in families
        for sample in family.samples
        if sample.name.startswith(PREFIX)
    }


def scraped(web: Web) -> Samples:
    """What /metrics says now."""
    answer = web.http.get("/metrics", headers=AUTHORIZED)
    assert answer.status_code == 200
    return samples_of(plain_text(answer.text))


def scrape_of(place: Workplace, reading: Reading | None, answers: Counter[tuple[str, int]]) -> Samples:
    """What a scrape of this reading says."""
    registry = CollectorRegistry()
    registry.register(Scrape(place.config, reading, answers))
    return samples_of(registry.collect())


@pytest.mark.parametrize("headers", [{}, {"authorization": "Bearer of-nothing-at-all-0123"}])
def test_without_a_key_nothing_is_told(web: Web, headers: dict[str, str]) -> None:
    """Depths and names of teams are nobody's but ours."""
    answers = [web.http.get(path, headers=headers) for path in ("/metrics", "/metrics/", "/metrics?x")]
    assert [answer.status_code for answer in answers] == [401, 401, 401]
    assert "speed_to_lead" not in answers[0].text


def test_one_lead_from_receipt_to_answer(web: Web) -> None:
    """Each stage counts it, and the ages and depths are those of `status`."""
    lead_id = web.http.post("/v1/leads", json=LEAD, headers=AUTHORIZED).json()["id"]
    before = scraped(web)
    route_all(web.place)
    flow.deliver(web.place, "console")
    flow.beat(web.place, "router")
    web.http.post("/hooks/open", content=b"not json")
    route_all(web.place)
    web.http.post(
        f"/v1/leads/{lead_id}/responses", json={"kind": "attempted", "by": "ana"}, headers=AUTHORIZED
    )
    after = scraped(web)
    lead = web.store.leads.get(lead_id)
    assert lead is not None
    assert (1, 0) == (before["queue_depth", ("incoming",)], before["open_leads", ()])
    expected: Samples = {
        ("queue_depth", ("incoming",)): 0,
        ("queue_depth", ("patient",)): 0,
        ("store_up", ()): 1,
        ("open_leads", ()): 0,
        ("submissions_received_total", ("api",)): 1,
        ("submissions_received_total", ("open",)): 1,
        ("submissions_settled_total", ("api", "lead")): 1,
        ("submissions_settled_total", ("open", "dead_letter")): 1,
        ("leads_routed_total", (lead.team, lead.sla, lead.source)): 1,
        ("leads_answered_total", (lead.team, "true")): 1,
        ("responses_total", (lead.team, "attempted")): 1,
        ("leads_breached_total", (lead.team,)): 0,
        ("routing_lag_seconds_count", ()): 1,
        ("response_time_seconds_count", (lead.team,)): 1,
        ("response_time_seconds_bucket", (lead.team, "60.0")): 1,
        ("dead_letters", ()): 1,
        ("ledger_submissions", ("received",)): 2,
        ("ledger_difference", ()): 0,
        ("stage_processes", ("router",)): 1,
        ("stage_processes", ("clock",)): 0,
        ("server_append_only", ()): 1,
    }
    assert expected == {name: after.get(name) for name in expected}
    assert ("stage_silent_seconds", ("clock",)) not in after
    assert after["routing_lag_seconds_sum", ()] > 0


def test_hook_answers_are_counted_by_form_and_status(web: Web) -> None:
    """Also those that never reach the store: a wrong signature, a form nobody has."""
    before = scraped(web)
    body = json.dumps({"event_id": "e", "form_response": {}}).encode()
    form = next(f.name for f in web.place.config.forms.values() if f.provider == "typeform")
    web.http.post(f"/hooks/{form}", content=body, headers=typeform_signature(body))
    web.http.post(f"/hooks/{form}", content=body)
    for path in ("/hooks/who-am-i", "/hooks/open/x", "/HOOKS/open", "/hooks/"):
        web.http.post(path, content=b"{}")
    after = scraped(web)
    grown = {
        key: value - before.get(key, 0) for key, value in after.items() if key[0] == "hook_answers_total"
    }
    assert {key[1]: n for key, n in grown.items() if n} == {
        (form, "200"): 1,
        (form, "401"): 1,
        ("other", "400"): 4,
    }


def test_both_formats_hold_the_same(web: Web) -> None:
    """OpenMetrics where the scraper asks for it, and it parses strictly; plain text for everybody else."""
    route_all(web.place)
    asked = web.http.get("/metrics", headers=AUTHORIZED | {"accept": ASKED})
    plain = web.http.get("/metrics", headers=AUTHORIZED)
    kinds = [answer.headers["content-type"].partition(";")[0] for answer in (asked, plain)]
    assert kinds == ["application/openmetrics-text", "text/plain"]
    assert asked.text.endswith("# EOF\n")
    names = [set(samples_of(parse)) for parse in (open_metrics(asked.text), plain_text(plain.text))]  # type: ignore[no-untyped-call]
    assert names[0] == names[1]
    assert asked.headers["cache-control"] == "no-store"


def test_what_is_exported_is_what_is_declared(web: Web) -> None:
    """Name, type and labels of METRICS, and nothing beside them."""
    web.http.post("/v1/leads", json=LEAD, headers=AUTHORIZED)
    web.http.post("/hooks/open", content=b"{}")
    route_all(web.place)
    flow.beat(web.place, "router")
    text = web.http.get("/metrics", headers=AUTHORIZED).text
    found = {
        family.name.removeprefix(PREFIX): (
            family.type,
            {label for s in family.samples for label in s.labels if label != "le"},
        )
        for family in plain_text(text)
        if family.name.startswith(PREFIX)
    }
    assert found == {m.name.removesuffix("_total"): (m.type, set(m.labels)) for m in METRICS}
    assert {f.name for f in plain_text(text) if not f.name.startswith(PREFIX)} >= {"process_open_fds"}


def test_strangers_cannot_make_a_single_series(web: Web) -> None:
    """10,000 submissions of made-up forms, sources and junk leave the number of series as it is."""
    clock = ManualClock()
    store = MemoryStore(clock)
    place = replace(place_of(web.store), store=store)
    dice = random.Random(7)
    answers: Counter[tuple[str, int]] = Counter()

    def submit(form: str, body: bytes) -> None:
        now = store.now()
        store.queue.add(Submission(flow.new_submission_id(now), form, now, body))

    def lead(source: str) -> bytes:
        return json.dumps({"email": f"{secrets.token_hex(4)}@example.com", "source": source}).encode()

    # Every source once, so that what comes after finds its combination of team, SLA and source.
    for source in (*place.config.rulebook.taxonomy.sources, "nobody's"):
        submit("open", lead(source))
    while flow.route(place, "r").settled:
        pass
    store.operations.beat("router@a:1", store.now())
    series = set(scrape_of(place, read_store(place), answers))
    for number in range(10_000):
        name = secrets.token_hex(6)
        match number % 4:
            case 0:
                submit(name, lead(name))
            case 1:
                submit("open", lead(dice.choice([name, f'"{name}\n', "", "|team=x|"])))
            case 2:
                submit("open", secrets.token_bytes(20))
            case _:
                submit(f"open|{name}", b"{}")
    while flow.route(place, "r").settled:
        pass
    store.operations.beat(f"{secrets.token_hex(4)}@{secrets.token_hex(4)}:1", store.now())
    grown = set(scrape_of(place, read_store(place), answers)) - series
    assert grown == {("stage_silent_seconds", ("other",)), ("stage_processes", ("other",))}
    assert store.operations.ledger().received > 10_000


def test_hooks_of_strangers_make_one_series(web: Web) -> None:
    """However many names somebody tries."""

    def answers() -> set[tuple[str, ...]]:
        return {labels for name, labels in scraped(web) if name == "hook_answers_total"}

    web.http.post("/hooks/first", content=b"")
    before = answers()
    for _ in range(300):
        web.http.post(f"/hooks/{secrets.token_hex(5)}", content=b"")
    assert answers() == before


def test_names_of_strangers_are_not_even_kept(web: Web) -> None:
    """Whoever tries names without end must not fill this process's memory either."""
    hooks = Hooks(web.place, Intake("redis://127.0.0.1:1/0", "none"), "", {}, Failures())

    async def try_names() -> None:
        async def receive() -> Message:
            return {"type": "http.request", "body": b""}

        async def send(_message: Message) -> None:
            pass

        for number in range(50):
            scope: Scope = {"type": "http", "method": "POST", "path": f"/hooks/{number}", "headers": []}
            await hooks(scope, receive, send)

    asyncio.run(try_names())
    assert hooks.answers == {("other", 400): 50}


def test_name_that_left_config_is_other(web: Web) -> None:
    """The dead are added up, so that a renamed team does not stay for ever; the oldest of them counts as oldest."""
    place = place_of(web.store)
    clock = ManualClock()
    store = MemoryStore(clock)
    now = store.now()
    reading = replace(
        read_store(replace(place, store=store)),
        counts={
            "leads_breached|team=gone": 2,
            "leads_breached|team=lost": 3,
            "delivery_lag_seconds|destination=gone|le=5": 1,
            "delivery_lag_seconds|destination=lost|le=0.1": 2,
            "delivery_lag_seconds|destination=lost|le=sum": 1500,
            "of_a_later_release|team=gone": 1,
            "leads_routed|sla=x": 1,
        },
    )
    found = scrape_of(place, reading, Counter())
    assert found["leads_breached_total", ("other",)] == 5
    assert found["leads_routed_total", ("other", "other", "other")] == 1
    assert [found["delivery_lag_seconds_bucket", ("other", le)] for le in ("0.05", "0.1", "5.0", "+Inf")] == [
        0,
        2,
        3,
        3,
    ]
    assert (
        found["delivery_lag_seconds_count", ("other",)],
        found["delivery_lag_seconds_sum", ("other",)],
    ) == (
        3,
        1.5,
    )
    assert now == clock.now


def test_configured_names_begin_at_zero(web: Web) -> None:
    """The first breach of a team is then an increase, and "no submissions" is a number that can be compared."""
    found = scraped(web)
    config = web.place.config
    assert {("submissions_received_total", (form,)) for form in config.forms} <= set(found)
    assert {("leads_breached_total", (team,)) for team in config.rulebook.teams} <= set(found)
    assert {("outbox_oldest_age_seconds", (name,)) for name in config.destinations} <= set(found)
    assert {("delivery_lag_seconds_count", (name,)) for name in config.destinations} <= set(found)
    assert all((f"{name}_bucket", ()) not in found for name in HISTOGRAMS)


@pytest.mark.real
def test_store_that_is_away_or_silent_is_told_not_failed(
    frozen_web: Web, restartable_server: RealServer
) -> None:
    """200 within Prometheus' ten seconds, `store_up 0`, and what this process knows; nothing jumps to zero."""
    frozen_web.http.post("/hooks/open", content=b"{}")
    assert scraped(frozen_web)["store_up", ()] == 1
    restartable_server.freeze()
    with ThreadPoolExecutor(1) as pool:
        begun = time.monotonic()
        scrape = pool.submit(scraped, frozen_web)
        alive = []
        while not scrape.done():
            answered = time.monotonic()
            httpx.get(f"{frozen_web.url}/healthz", timeout=20, trust_env=False)
            alive.append(time.monotonic() - answered)
        silent, took = scrape.result(), time.monotonic() - begun
    restartable_server.thaw()
    restartable_server.stop(kill=True)
    away = scraped(frozen_web)
    restartable_server.start()
    assert took < 8
    assert max(alive) < 3  # nobody else waits for the scrape
    for found in (silent, away):
        assert found["store_up", ()] == 0
        assert found["hook_answers_total", ("open", "200")] == 1
        assert {name for name, _ in found} == {"build_info", "store_up", "hook_answers_total"}
    assert scraped(frozen_web)["submissions_received_total", ("open",)] == 0


def test_every_process_tells_the_same_counts(web: Web) -> None:
    """Counts are the store's, so that it does not matter who is asked or who died."""
    for number in range(5):
        web.http.post("/v1/leads", json=LEAD | {"email": f"p{number}@example.com"}, headers=AUTHORIZED)
    route_all(web.place)
    place = place_of(web.store)
    elsewhere = scrape_of(place, read_store(place), Counter())
    here = scraped(web)
    assert here["submissions_settled_total", ("api", "lead")] == 5
    drifting = ("age_seconds", "silent_seconds", "ahead_seconds", "hook_answers_total", "stage_processes")
    same = {key for key in elsewhere if not key[0].endswith(drifting)}
    assert {key: here[key] for key in same} == {key: elsewhere[key] for key in same}


def test_late_clock_shows(web: Web) -> None:
    """A sweep that comes late is in the buckets above five seconds."""
    clock = ManualClock()
    store = MemoryStore(clock)
    place = replace(place_of(web.store), store=store)
    body = json.dumps(LEAD).encode()
    store.queue.add(Submission("s1", "open", store.now(), body))
    flow.route(place, "r")
    lead = store.leads.get("s1")
    assert lead is not None
    clock.advance(lead.deadline - clock.now + timedelta(seconds=40))
    flow.sweep(place)
    found = scrape_of(place, read_store(place), Counter())
    total = found["detection_lag_seconds_count", ()]
    assert (total, found["detection_lag_seconds_bucket", ("5.0",)]) == (1, 0)
    assert found["leads_breached_total", (lead.team,)] == 1


def test_posting_is_not_scraping(client: httpx.Client) -> None:
    """405, as everywhere."""
    assert client.post("/metrics", headers=AUTHORIZED).status_code == 405
