"""Deliveries to read: `submission` makes one of bytes, text or an object; `sample` is each tool's own in tests/forms/samples."""

import json
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from speed_to_lead.core.submission import Submission

MakeSubmission = Callable[..., Submission]


def _submission(
    body: Any, content_type: str = "application/json", headers: Mapping[str, str] | None = None
) -> Submission:
    if isinstance(body, str):
        body = body.encode()
    if not isinstance(body, bytes):
        body = json.dumps(body).encode()
    return Submission("s1", "demo", datetime(2026, 3, 2, 9, tzinfo=UTC), body, content_type, headers or {})


@pytest.fixture(scope="session")
def submission() -> MakeSubmission:
    """Makes a submission of a body."""
    return _submission


@pytest.fixture(scope="session")
def sample() -> Callable[[str], dict[str, Any]]:
    """A fresh copy of a form tool's sample delivery."""

    def of(provider: str) -> dict[str, Any]:
        path = Path(__file__).parent / "samples" / f"{provider}.json"
        loaded: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        return loaded

    return of
