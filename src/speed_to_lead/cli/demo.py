"""The demo's people: invented leads posted through the real hooks, and reps who answer some of them.

Runs beside the real processes (`speed-to-lead up --demo`) and reaches them over HTTP only, as a form tool would.
"""

import base64
import hashlib
import hmac
import json
import os
import random
import signal
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from typing import Any

from speed_to_lead.core.access import first_plain_key

PEOPLE = (
    "Ada Example",
    "Bo Sample",
    "Cy Muster",
    "Di Prova",
    "Eli Exemple",
    "Fay Ejemplo",
    "Gus Proov",
    "Hana Rei",
)
COMPANIES = ("Example Ltd", "Sample Inc", "Muster GmbH", "Prova SpA", "Exemple SARL", "Ejemplo SA")
WISHES = (
    "Can we see it this week?",
    "We have 40 reps and no routing.",
    "What does it cost?",
    "Does it do round robin?",
)

#: Seconds between leads; the first few come at once, so that there is something to see.
PAUSE = 4.0
#: Of ten leads, so many are answered in time, and so many only after the breach; nobody answers the rest.
ANSWERED_IN_TIME, ANSWERED_LATE = 5, 2


class Demo:
    """Posts leads and answers some, until stopped."""

    def __init__(self, address: str, environment: Mapping[str, str], stopping: threading.Event) -> None:
        self._address = address
        self._environment = environment
        self._stopping = stopping
        self._dice = random.Random(7)  # noqa: S311  the same story every time
        self._count = 0

    def run(self) -> None:
        """Wait for the web process, then post and answer."""
        while not self._stopping.is_set() and not self._is_up():
            self._stopping.wait(0.2)
        kinds: tuple[Callable[[dict[str, str]], str | None], ...] = (
            self._typeform,
            self._hubspot,
            self._generic,
        )
        while not self._stopping.is_set():
            person = self._person()
            lead_id = kinds[self._count % len(kinds)](person)
            if lead_id:
                threading.Thread(target=self._maybe_answer, args=(lead_id, self._count), daemon=True).start()
            self._count += 1
            self._stopping.wait(PAUSE if self._count > len(kinds) else 0.3)

    def _person(self) -> dict[str, str]:
        name = self._dice.choice(PEOPLE)
        mailbox = f"{name.split()[0].lower()}.{self._count}@example.com"
        company, wish = self._dice.choice(COMPANIES), self._dice.choice(WISHES)
        return {"name": name, "email": mailbox, "company": company, "message": wish}

    def _typeform(self, person: dict[str, str]) -> str | None:
        answers: list[dict[str, Any]] = [
            {
                "type": "text",
                "text": person["name"],
                "field": {"id": "1", "type": "short_text", "ref": "name"},
            },
            {
                "type": "email",
                "email": person["email"],
                "field": {"id": "2", "type": "email", "ref": "email"},
            },
            {
                "type": "text",
                "text": person["company"],
                "field": {"id": "3", "type": "short_text", "ref": "company_name"},
            },
            {
                "type": "text",
                "text": person["message"],
                "field": {"id": "4", "type": "long_text", "ref": "message"},
            },
        ]
        titles = [
            {"id": a["field"]["id"], "ref": a["field"]["ref"], "title": a["field"]["ref"]} for a in answers
        ]
        body = json.dumps(
            {
                "event_id": f"demo-{self._count}",
                "event_type": "form_response",
                "form_response": {
                    "form_id": "demo",
                    "token": f"demo-{os.getpid()}-{self._count}-{time.time_ns()}",
                    "submitted_at": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
                    "definition": {"fields": titles},
                    "answers": answers,
                },
            }
        ).encode()
        digest = hmac.new(self._environment["TYPEFORM_SECRET"].encode(), body, hashlib.sha256).digest()
        signature = f"sha256={base64.b64encode(digest).decode()}"
        return self._post("/hooks/website-demo", body, {"Typeform-Signature": signature})

    def _hubspot(self, person: dict[str, str]) -> str | None:
        first, _, last = person["name"].partition(" ")
        properties = {
            "email": person["email"],
            "firstname": first,
            "lastname": last,
            "company": person["company"],
        }
        body = json.dumps(
            {
                "vid": 1000 + self._count,
                "portal-id": 1,
                "properties": {name: {"value": value} for name, value in properties.items()},
                "form-submissions": [
                    {"conversion-id": f"c{time.time_ns()}", "timestamp": int(time.time() * 1000)}
                ],
            }
        ).encode()
        path, stamp = "/hooks/referrals", str(int(time.time() * 1000))
        signed = b"POST" + f"{self._address}{path}".encode() + body + stamp.encode()
        digest = hmac.new(
            self._environment["HUBSPOT_CLIENT_SECRET"].encode(), signed, hashlib.sha256
        ).digest()
        headers = {
            "X-HubSpot-Signature-v3": base64.b64encode(digest).decode(),
            "X-HubSpot-Request-Timestamp": stamp,
        }
        return self._post(path, body, headers)

    def _generic(self, person: dict[str, str]) -> str | None:
        source = self._dice.choice(("outbound", "whitepaper", "demo request"))
        body = json.dumps({**person, "source": source, "utm_campaign": "autumn"}).encode()
        token = {"Authorization": f"Bearer {self._environment['LEADS_INTAKE_TOKEN']}"}
        return self._post("/hooks/anything", body, token)

    def _maybe_answer(self, lead_id: str, number: int) -> None:
        fate = (number * 7 + 8) % 10  # nobody answers the first, so that its whole ladder is seen early
        if fate >= ANSWERED_IN_TIME + ANSWERED_LATE:
            return
        self._stopping.wait(self._dice.uniform(2, 8) if fate < ANSWERED_IN_TIME else 26)
        if self._stopping.is_set():
            return
        answer = {"kind": "connected" if fate % 2 else "attempted", "by": "demo rep", "via": "phone"}
        key = first_plain_key(self._environment["STL_API_KEYS"])
        self._post(
            f"/v1/leads/{lead_id}/responses", json.dumps(answer).encode(), {"Authorization": f"Bearer {key}"}
        )

    def _post(self, path: str, body: bytes, headers: Mapping[str, str]) -> str | None:
        headers = {"Content-Type": "application/json", **headers}
        request = urllib.request.Request(f"{self._address}{path}", body, headers)  # noqa: S310  our own address
        try:
            with urllib.request.urlopen(request, timeout=5) as answer:  # noqa: S310
                answered: dict[str, Any] = json.loads(answer.read())
        except urllib.error.HTTPError as error:
            with error:
                print(f"POST {path} answered {error.code}: {error.read().decode()[:200]}", flush=True)
            return None
        except OSError as error:
            print(f"POST {path}: {error.__class__.__name__}; trying on", flush=True)
            return None
        if path.startswith("/hooks/"):
            print(f"sent a lead to {path}", flush=True)
        else:
            print(f"answered lead {path.split('/')[3]}", flush=True)
        return str(answered.get("id") or "")

    def _is_up(self) -> bool:
        try:
            with urllib.request.urlopen(f"{self._address}/readyz", timeout=1) as answer:  # noqa: S310
                return bool(answer.status == 200)
        except OSError:
            return False


def main() -> None:
    """Run the demo until SIGTERM."""
    stopping = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stopping.set())
    host = os.environ.get("STL_HOST", "127.0.0.1")
    Demo(f"http://{host}:{os.environ['PORT']}", os.environ, stopping).run()
    sys.exit(0)


if __name__ == "__main__":
    main()
