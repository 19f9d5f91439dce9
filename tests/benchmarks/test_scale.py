"""The scale benchmark and its loader: what is loaded is what the product writes, and the audit finds nothing wrong with it."""

import time
from datetime import timedelta
from pathlib import Path

import pytest
from benchmarks.loader import load, load_due, workplace
from benchmarks.scale import measure_leads
from benchmarks.site import Site

from speed_to_lead import flow
from speed_to_lead.auditor import Auditor


def test_it_runs_at_a_tiny_size(tmp_path: Path) -> None:
    """Memory by family adds up to what the server says, and every restart has a figure."""
    finding = measure_leads(1, tmp_path, 300)
    figures = dict(finding.figures)
    whole = figures["memory in all, bytes for each lead"]
    families = [size for name, size in figures.items() if name.startswith("memory of ")]
    assert pytest.approx(whole, rel=0.2) == sum(families)
    assert [1, 1, 1, 1] == [len(row.figures) for row in finding.rows]


def test_what_is_loaded_does_not_contradict_itself(tmp_path: Path) -> None:
    """Leads of both kinds are open with a rep, told once, in step with every index, count and ledger; nothing is under way."""
    site = Site(tmp_path)
    try:
        load(site.server.url, site.rules, 450)
        at = site.store.now() + timedelta(minutes=1)
        ids = load_due(site.store, site.rules, 5, at, timedelta(seconds=1))
        health, ledger = site.store.operations.health(), site.store.operations.ledger()
        assert (455, 455, 0, 0) == (health.open_leads, health.scheduled, health.outbox, health.queued)
        assert (0, 455) == (ledger.difference, ledger.leads)
        assert 455 == sum(site.store.leads.load().values())
        due = site.store.leads.indexed_at(ids)
        assert [at + timedelta(milliseconds=200 * number) for number in range(5)] == due
        place = workplace(site.store, site.rules)
        auditor = Auditor(place)
        for _ in range(2):
            auditor.tick(20.0, time.monotonic)
        assert ({}, {}) == (dict(auditor.suspicions), dict(auditor.acted_on))
        assert 0 == flow.sweep(place).decided
    finally:
        site.end()
