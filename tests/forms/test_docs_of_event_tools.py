"""docs/forms/: what each page shows can be configured, and its curl is taken and read, through the ASGI application."""

import argparse
import asyncio
import re
import subprocess
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpx
import pytest

import speed_to_lead
from speed_to_lead.core.submission import Form, Submission
from speed_to_lead.forms import ASK_BACK, read
from speed_to_lead.web.failures import Failures
from speed_to_lead.web.hooks import Hooks
from speed_to_lead.workplace import read_config

ROOT = Path(speed_to_lead.__file__).parents[2]
PAGES = (
    "chili_piper", "cloudevents", "google_ads", "hubspot", "intercom", "linkedin", "meta", "segment",
    "standard_webhooks", "zapier",
)  # fmt: skip
#: Those whose page sends ids only.
IDS_ONLY = ("linkedin", "meta")
SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"


def block(page: str, language: str) -> str:
    """The one block of that language on a page."""
    text = (ROOT / "docs" / "forms" / f"{page}.md").read_text(encoding="utf-8")
    (found,) = re.findall(rf"^```{language}\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    return str(found)


@pytest.fixture(scope="module")
def forms() -> dict[str, Form]:
    """The forms of all pages, read as intake.toml is."""
    texts = {path.name: path.read_bytes() for path in (ROOT / "config").glob("*.toml")}
    texts["intake.toml"] = "\n".join(block(page, "toml") for page in PAGES).encode()
    return dict(read_config(texts, datetime(2026, 11, 23, tzinfo=UTC)).forms)


def curl_of(script: str, environment: dict[str, str]) -> httpx.Request:
    """The request that a page's curl would make."""
    saying = 'curl() { printf "%s\\0" "$@"; }\n'
    ran = subprocess.run(
        ["bash", "-euc", saying + script],
        env={"PATH": "/usr/bin:/bin", **environment},
        capture_output=True,
        check=True,
    )
    parser = argparse.ArgumentParser()
    parser.add_argument("url")
    parser.add_argument("-sS", action="store_true")
    parser.add_argument("-H", action="append", default=[])
    parser.add_argument("-d", default="")
    given = parser.parse_args(ran.stdout.decode().split("\0")[:-1])
    headers = dict(header.split(": ", 1) for header in given.H)
    return httpx.Request("POST", given.url, headers=headers, content=given.d.encode())


class _Intake:
    """Keeps what would be stored."""

    def __init__(self) -> None:
        self.stored: list[Submission] = []

    async def now(self) -> datetime:
        return datetime.now(UTC)

    async def store(self, submission: Submission, pace: object) -> None:
        assert pace is None
        self.stored.append(submission)


@pytest.mark.parametrize("page", PAGES)
def test_the_curl_of_a_page_works(page: str, forms: dict[str, Form]) -> None:
    """200, and a lead with a key; of tools that send ids only, one whose data is to be asked for."""
    form = next(form for form in forms.values() if form.provider == page)
    names = (form.secret_env, form.token_env, form.verify_token_env, form.api_token_env)
    environment = {name: SECRET for name in names if name}
    request = curl_of(block(page, "sh"), environment)
    intake: Any = _Intake()
    place: Any = SimpleNamespace(config=SimpleNamespace(forms=forms))
    hooks: Any = Hooks(place, intake, "https://leads.example.com", environment, Failures())

    async def send() -> httpx.Response:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(hooks)) as client:
            return await client.send(request)

    answer = asyncio.run(send())
    assert (answer.status_code, answer.json().get("status")) == (200, "stored")
    (submission,) = intake.stored
    parsed = read(submission, form)
    assert parsed.same_submission_key
    assert parsed.is_incomplete == (page in IDS_ONLY)
    assert parsed.lead.get("email") == (None if page in IDS_ONLY else "ana.ruiz@example.com")


def test_tools_that_are_asked_say_so() -> None:
    """Their pages name the token for their API."""
    assert all("api_token_env" in block(page, "toml") for page in ASK_BACK)
