"""A token in an address, and in the body that repeats the address: in no log, no dead letter, no stored body, no answer."""

import json
from dataclasses import replace
from urllib.parse import quote, urlencode

import pytest
import structlog
from tests.store.builders import picture
from tests.web.conftest import AUTHORIZED, Web, route_all

from speed_to_lead.core.submission import Form

TOKEN = "typeform-secret"  # of the environment of all tests of the web
BOUNDARY = "----jotform"


def multipart(**parts: str) -> bytes:
    lines = "".join(
        f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'
        for name, value in parts.items()
    )
    return f"{lines}--{BOUNDARY}--\r\n".encode()


ADDRESS = f"https://leads.example.com/hooks/jot?token={TOKEN}"
RAW = json.dumps({"q3_email": "ana@example.com", "webhookURL": ADDRESS}).replace("/", "\\/")
BODIES = {
    "a lead": multipart(
        formID="1", submissionID="5", rawRequest=RAW, webhookURL=ADDRESS, path=quote(ADDRESS)
    ),
    "nobody": multipart(formID="1", submissionID="6", rawRequest="{}", webhookURL=ADDRESS),
    "not JSON": multipart(formID="1", submissionID="7", rawRequest=f"{{{ADDRESS}", webhookURL=ADDRESS),
    "broken off": multipart(formID="1", webhookURL=ADDRESS)[:-20],
    "a form": urlencode({"q3_email": "ana@example.com", "webhookURL": quote(ADDRESS, safe="")}).encode(),
    "the token as a name": multipart(**{"formID": "1", TOKEN: "x", "rawRequest": f'{{"{TOKEN}": 1}}'}),
}


@pytest.mark.parametrize("body", BODIES.values(), ids=BODIES)
@pytest.mark.parametrize("is_ours", [True, False])
def test_it_is_kept_nowhere(web: Web, monkeypatch: pytest.MonkeyPatch, body: bytes, is_ours: bool) -> None:
    """Taken or refused, routed or a dead letter, shown over HTTP: the word stands nowhere, in no spelling a tool uses."""
    form = Form("jot", "jotform", "token", token_env="TYPEFORM_SECRET", source="demo_request")
    forms = {**web.place.config.forms, "jot": form}
    monkeypatch.setattr(web.place, "config", replace(web.place.config, forms=forms))
    token = TOKEN if is_ours else TOKEN + "x"
    headers = {"content-type": f"multipart/form-data; boundary={BOUNDARY}"}
    with structlog.testing.capture_logs() as logs:
        answer = web.http.post(f"/hooks/jot?token={token}&x=1", content=body, headers=headers)
        stored = str(web.stored())
        route_all(web.place)
        shown = [web.http.get(path, headers=AUTHORIZED).text for path in ("/v1/leads", "/metrics", "/")]
        asked = web.http.get(f"/hooks/jot?token={token}")
        unknown = web.http.post(f"/hooks/jo?token={token}", content=body)
    assert (answer.status_code, unknown.status_code) == (200 if is_ours else 401, 400)
    letters = web.store.queue.dead_letters(10)
    everything = (answer.text, asked.text, unknown.text, stored, shown, logs, letters, picture(web.store))
    assert TOKEN not in str(everything).casefold()
    assert len(web.stored()) == 0
    assert bool(letters or web.store.leads.newest(5)[0]) == is_ours
