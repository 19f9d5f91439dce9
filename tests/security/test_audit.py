"""The gate's look at known vulnerabilities: it fails on one, and does not pretend to have looked where it could not."""

import json
import runpy
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

AUDIT = Path(__file__).parents[2] / ".ci" / "audit"
GOOD = {"name": "httpx", "version": "0.28.1", "vulns": []}
BAD = {"name": "old", "version": "1", "vulns": [{"id": "PYSEC-1", "fix_versions": ["2"]}]}
UNKNOWN = {"name": "httpx", "skip_reason": "Dependency not found"}


@pytest.mark.parametrize(
    ("answers", "code", "says"),
    [
        ([[GOOD]], 0, "pypi knows 1 of 1 packages; 0 with"),
        ([[GOOD, BAD]], 1, "old 1: PYSEC-1; mended in 2"),
        ([[UNKNOWN], [GOOD, BAD]], 1, "osv knows 2 of 2 packages; 1 with"),
        ([None, [GOOD]], 0, "osv knows 1 of 1"),
        ([[UNKNOWN], None], 0, "NOT DONE"),
        ([None, None], 0, "NOT DONE"),
    ],
)
def test_what_the_audit_comes_to(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    answers: list[list[dict[str, Any]] | None],
    code: int,
    says: str,
) -> None:
    """A vulnerability is exit 1; a service that cannot be asked is said to be one, and the next is asked."""
    left = iter(answers)

    def run(*_: Any, **__: Any) -> Any:
        found = next(left)
        text = "Traceback …" if found is None else json.dumps({"dependencies": found})
        return subprocess.CompletedProcess((), 1, text, "")

    main: Callable[[], int] = runpy.run_path(str(AUDIT))["main"]
    monkeypatch.setattr(subprocess, "run", run)
    assert code == main()
    assert says in capsys.readouterr().out
