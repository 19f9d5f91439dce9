"""Stored first, read later: what cannot be read is kept, told with its place, and routed once its form is mended."""

from dataclasses import replace

import pytest
from tests.web.conftest import Web, route_all, typeform_signature


@pytest.mark.parametrize("mended", [True, False])
def test_a_replayed_dead_letter_has_its_first_receipt(
    web: Web, monkeypatch: pytest.MonkeyPatch, mended: bool
) -> None:
    """200 at once; a dead letter with the error; after the form's fields are mended a lead, received when it came."""
    before = web.store.now()
    answer = web.http.post("/hooks/open", content=b'{"contact": {"at": "kim@example.com"}}')
    after = web.store.now()
    route_all(web.place)
    submission_id = answer.json()["id"]
    letter = web.store.queue.dead_letter(submission_id)
    assert letter is not None
    assert (200, True) == (answer.status_code, "neither an email address nor a phone number" in letter.error)
    if mended:
        form = replace(web.place.config.forms["open"], fields={"email": "contact.at"})
        forms = {**web.place.config.forms, "open": form}
        monkeypatch.setattr(web.place, "config", replace(web.place.config, forms=forms))
    web.store.queue.replay(submission_id)
    route_all(web.place)
    lead = web.store.leads.get(submission_id)
    ledger = web.store.operations.ledger()
    assert (mended, 0) == (lead is not None, ledger.difference)
    if lead is not None:
        assert before.replace(microsecond=0) <= lead.received_at <= after


def test_the_error_says_where_the_body_breaks(web: Web) -> None:
    """The signature is good, so it is kept as it came: byte for byte."""
    body = b'{"event_id": "a",\n "form_response": {"token": }}'
    answer = web.http.post("/hooks/website-demo", content=body, headers=typeform_signature(body))
    route_all(web.place)
    letter = web.store.queue.dead_letter(answer.json()["id"])
    assert letter is not None
    assert (200, body) == (answer.status_code, letter.submission.body)
    assert "not JSON" in letter.error
    assert "line 2, column 29" in letter.error
