"""What the processes wrote down: no name, no address, no secret (promise 14)."""

from benchmarks.chaos.evidence import Evidence
from benchmarks.chaos.people import PERSONAL
from benchmarks.chaos.verdict import Check, Tally


def logs_hold_nothing_personal(evidence: Evidence, tally: Tally) -> None:
    """No line of any log holds what a person wrote, or a secret."""
    for file, line in evidence.log_lines:
        tally.saw()
        if PERSONAL.search(line):
            tally.broken(f"{file} holds personal data: {_shown(line)}")
        if any(secret in line for secret in evidence.secrets):
            tally.broken(f"{file} holds a secret: {_shown(line)}")


def _shown(line: str) -> str:
    return line.strip()[:160]


CHECKS = (Check("logs", "14", "no personal data and no secret in any log", logs_hold_nothing_personal),)
