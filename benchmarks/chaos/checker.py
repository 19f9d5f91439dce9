"""The independent checker: after a run, was anything lost, doubled, late, or told wrongly?

    evidence            the journal, and what the public faces say
    story               what a lead's history amounts to, by the checker's own reading of the rules
    business_time       deadlines, by its own arithmetic
    check_submissions   nothing lost, doubled or invented
    check_leads         route, deadline, rep, history, load
    check_alerts        heard, once, under one name, never after an answer
    check_logs          no personal data, no secrets

It imports nothing of speed-to-lead and believes nothing it cannot see from outside. A new check joins by a line in the
CHECKS of its file.
"""

from collections.abc import Mapping
from pathlib import Path

from benchmarks.chaos import check_alerts, check_leads, check_logs, check_submissions
from benchmarks.chaos.evidence import Evidence, gather
from benchmarks.chaos.verdict import Check, Finding, Findings

__all__ = ["CHECKS", "Evidence", "Finding", "Findings", "check", "judge"]

CHECKS: tuple[Check, ...] = (
    *check_submissions.CHECKS,
    *check_leads.CHECKS,
    *check_alerts.CHECKS,
    *check_logs.CHECKS,
)


def check(journal_path: Path, base_url: str, api_key: str, environment: Mapping[str, str]) -> Findings:
    """What a run that has come to rest broke. `environment` is that of somebody at the command line."""
    return judge(gather(journal_path, base_url, api_key, environment))


def judge(evidence: Evidence) -> Findings:
    """What this evidence proves broken."""
    return Findings([one.run(evidence) for one in CHECKS])
