"""The pages of docs/forms: their config loads, and their `curl` lines do what they say, typed as they stand."""

import re
import subprocess
import tomllib
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime

import pytest
import structlog
from tests.forms.test_docs_of_event_tools import PAGES as EVENT_TOOLS
from tests.web.conftest import CONFIG, Web, place_of, running, settings_of, stored_in

from speed_to_lead.config.shapes import UNSIGNED
from speed_to_lead.core.submission import Submission
from speed_to_lead.forms import PROVIDERS, read
from speed_to_lead.store.intake import Intake
from speed_to_lead.store.redis_store import open_store
from speed_to_lead.web import create_app
from speed_to_lead.workplace import read_config

DOCS = CONFIG.parent / "docs" / "forms"
ALL_PAGES = {path.stem for path in DOCS.glob("*.md")} - {"README"}
#: Those of tools that send events, and have no address on this machine to try, are run by tests/forms.
PAGES = {
    page: (DOCS / f"{page}.md").read_text(encoding="utf-8") for page in sorted(ALL_PAGES - set(EVENT_TOOLS))
}
ADDRESS = "http://127.0.0.1:8000"
NOW = datetime(2026, 11, 23, tzinfo=UTC)


def block(page: str, language: str) -> str:
    """The one block of this language on the page."""
    (found,) = re.findall(rf"^```{language}\n(.*?)^```$", PAGES[page], re.MULTILINE | re.DOTALL)
    return str(found)


def secrets_of(page: str) -> dict[str, str]:
    """What the page exports before it calls."""
    return dict(re.findall(r"(?:export |(?<=\d) )([A-Z_]+)=(\S+)", block(page, "sh")))


@pytest.fixture(scope="module")
def documented(server_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Web]:
    """An application with the forms of all pages, and the secrets they export."""
    directory = tmp_path_factory.mktemp("documented")
    for path in CONFIG.glob("*.toml"):
        (directory / path.name).write_bytes(path.read_bytes())
    (directory / "intake.toml").write_text("\n".join(block(page, "toml") for page in PAGES), encoding="utf-8")
    store = open_store(server_url, "documented", 0)
    place = replace(place_of(store), config=read_config(directory, NOW))
    environment = {name: value for page in PAGES for name, value in secrets_of(page).items()}
    app = create_app(
        place, settings_of(server_url, "documented"), Intake(server_url, "documented", 0), None, environment
    )
    with running(app) as port:
        yield Web(f"http://127.0.0.1:{port}", port, place, store, None)  # type: ignore[arg-type]
    store.close()


@pytest.mark.parametrize("page", PAGES)
def test_the_curl_of_a_page_sends_a_lead(documented: Web, page: str) -> None:
    """Each call is answered with 200 and stored; the lead in it is who the page says, and no log or body holds its token."""
    store = documented.store
    store.server.client.delete(store.server.keys.incoming)
    script = block(page, "sh").replace(ADDRESS, documented.url)
    with structlog.testing.capture_logs() as logs:
        done = subprocess.run(
            ["bash", "-euc", script], capture_output=True, text=True, timeout=30, check=True
        )
    entries = stored_in(store)
    answers = re.findall(r'\{"status":"stored","id":"[^"]+"\}', done.stdout)
    assert done.stdout == "".join(answers)
    assert len(answers) == len(entries) == script.count("curl ")
    for entry in entries:
        form = documented.place.config.forms[entry[b"form"].decode()]
        body, kind = entry[b"body"], entry[b"content_type"].decode()
        parsed = read(Submission("s1", form.name, NOW, body, kind), form)
        assert parsed.lead.get("email") == "ana@example.com"
        assert parsed.lead.display_name.startswith("Ana")
        assert not any(secret in str((entry, logs)) for secret in secrets_of(page).values())


@pytest.mark.parametrize("page", PAGES)
def test_a_page_shows_the_forms_it_sends_to(page: str) -> None:
    """Its provider is the page's name, and its proof is one the tool can give."""
    forms = tomllib.loads(block(page, "toml"))["forms"]
    assert {form["provider"] for form in forms.values()} == {page}
    assert set(re.findall(r"/hooks/([a-z_-]+)", block(page, "sh"))) >= set(forms)
    assert page not in UNSIGNED or not any("secret_env" in form for form in forms.values())
    assert all(f"`{kind}:" in PAGES[page] for kind in PROVIDERS[page].selectors)


def test_the_list_of_pages_is_whole() -> None:
    """Each page is a provider's, and is in the table; each of them is run by one test."""
    listed = re.findall(
        r"\]\(([a-z_]+)\.md\) \| `([a-z_]+)`", (DOCS / "README.md").read_text(encoding="utf-8")
    )
    assert {page: page for page in ALL_PAGES} == dict(listed)
    assert set(PROVIDERS) >= ALL_PAGES >= set(EVENT_TOOLS)
