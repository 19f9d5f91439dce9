"""The API does what its description says, whatever is sent: schemathesis makes requests of the whole of it.

It checks that no answer is 5xx, that each status, content type and body is one described, that what the schema forbids is
refused and what it allows is not, and that no key means no answer.
"""

from collections.abc import Iterator
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis import GenerationMode
from tests.web.conftest import AUTHORIZED, LEAD, Web, route_all, web_on

OPERATIONS = (
    "POST /v1/leads",
    "GET /v1/leads",
    "GET /v1/leads/{lead_id}",
    "POST /v1/leads/{lead_id}/responses",
    "POST /v1/leads/{lead_id}/reassign",
    "POST /v1/leads/{lead_id}/close",
    "GET /v1/reps",
    "POST /v1/reps/{rep}/away",
    "POST /v1/reps/{rep}/back",
    "GET /v1/ledger",
    "GET /v1/status",
)
#: Of each operation, good ones and bad ones each: half a minute on a busy machine.
EXAMPLES = 15


@pytest.fixture(scope="module")
def described(server_url: str) -> Iterator[Web]:
    """An application of its own, with one lead in it."""
    with web_on(server_url, "contract") as web:
        web.http.post("/v1/leads", json=LEAD, headers=AUTHORIZED)
        route_all(web.place)
        yield web


@pytest.fixture(scope="module")
def api(described: Web) -> Any:
    """The description, as schemathesis reads it."""
    loaded = schemathesis.openapi.from_dict(described.http.get("/openapi.json", headers=AUTHORIZED).json())
    loaded.config.update(base_url=described.url)
    return loaded


def excluded(case: Any) -> list[Any]:
    """Checks that ask for something else than is promised."""
    # It asks again without a key, but this test sends one each time; test_guard.py asks every path without one.
    found = [schemathesis.checks.ignored_auth]
    if case.operation.label == "POST /v1/leads":
        # Leads are read generously: what is certainly taken is described, and much else is taken too.
        found.append(schemathesis.checks.negative_data_rejection)
        if case.media_type != "application/json":  # no schema says that each line of a text is a lead
            found.append(schemathesis.checks.positive_data_acceptance)
    return found


def operations(api: Any) -> dict[str, Any]:
    """Each operation by its name, such as `GET /v1/leads`."""
    return {found.ok().label: found.ok() for found in api.get_all_operations()}


@pytest.mark.parametrize("mode", GenerationMode)
@pytest.mark.parametrize("label", OPERATIONS)
def test_the_api_is_as_described(api: Any, label: str, mode: GenerationMode) -> None:
    """Requests as described, and requests that break the description in one place."""

    @given(case=operations(api)[label].as_strategy(generation_mode=mode))
    @settings(
        max_examples=EXAMPLES,
        deadline=None,
        derandomize=True,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    def check(case: Any) -> None:
        case.call_and_validate(headers=AUTHORIZED, timeout=20, excluded_checks=excluded(case))

    check()


def test_every_operation_is_tested(api: Any) -> None:
    """A new operation joins the list above."""
    assert set(OPERATIONS) == set(operations(api))
