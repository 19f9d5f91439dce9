"""Answers in place: the page behind a signed link, Slack's buttons, and what PagerDuty says of an incident.

    GET, POST /answer/{token}     the link in an alert: GET shows and changes nothing (link scanners follow links), POST does
    POST /slack/interactions      a press on a button, signed by Slack (v0), answered at once
    POST /events/pagerduty        an incident was acknowledged or resolved by somebody, signed by PagerDuty (v1)

None needs a key: the signature is what opens it. Without its secret in the settings each refuses everybody.
"""

import asyncio
import base64
import hashlib
import hmac
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cached_property
from html import escape
from typing import Any, Final
from urllib.parse import parse_qs, urlsplit

import structlog
from fastapi import FastAPI
from starlette.background import BackgroundTask
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response

from speed_to_lead import flow
from speed_to_lead.core.answer import Answer, Asked, UnusableLink, answered_by, read_token, secrets_of
from speed_to_lead.core.lead import Lead
from speed_to_lead.core.message import span_text
from speed_to_lead.core.reps import Rep
from speed_to_lead.core.response import ImpossibleChange, was_passed_on_from
from speed_to_lead.destinations.presses import PressedMessages
from speed_to_lead.settings import Settings
from speed_to_lead.web.errors import Refused, error_answer
from speed_to_lead.web.headers import CONTENT_SECURITY_POLICY
from speed_to_lead.workplace import Workplace

log = structlog.get_logger()

#: Slack's own bound, on both sides of now.
SLACK_WINDOW: Final = timedelta(minutes=5)
#: Slack shows its reader a failure where a press is not answered within three seconds; it is noted all the same.
SLACK_SECONDS: Final = 2.0
#: A press comes with its whole message, which has some 20 KiB.
MAX_BODY_BYTES: Final = 256 * 1024
_NOT_NOTED: Final = "This could not be noted just now. Please press again in a minute."
_NOTED_BEFORE: Final = "That was noted before; nothing has changed."
ACTION_PREFIX: Final = "answer:"

_STYLE: Final = """
body { font: 18px/1.5 system-ui, sans-serif; max-width: 30rem; margin: 2rem auto; padding: 0 1rem; color: #1c1c1c; background: #fff }
h1 { font-size: 1.35rem; line-height: 1.3; margin: 0 0 .3rem }
p { margin: 0 0 1.2rem }
button { font: inherit; text-align: left; display: block; width: 100%; padding: .7rem 1rem; margin: .6rem 0; border: 1px solid #888; border-radius: .5rem; background: #f3f3f3; color: inherit; cursor: pointer }
button:first-of-type { background: #1a4fa3; border-color: #1a4fa3; color: #fff }
button b, button span { display: block }
button span, footer { font-size: .8rem }
footer { margin-top: 1.5rem; color: #595959; overflow-wrap: anywhere }
"""
_STYLE_HASH: Final = base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()
_OWN_FORMS: Final = CONTENT_SECURITY_POLICY.replace("form-action 'none'", "form-action 'self'")
_WHAT_IT_DOES: Final[Mapping[Answer, str]] = {
    Answer.ACKNOWLEDGED: "Reminders wait a while. The clock runs on until the person is answered.",
    Answer.ATTEMPTED: "You called or wrote to the person. Stops the clock.",
    Answer.NOT_A_LEAD: "Spam, a test or a mistake. Closes it, and nobody is reminded again.",
    Answer.PASS_ON: "You cannot take it. Another rep gets it now.",
}
_NOT_FROM_HERE: Final = "This was not sent from our own page, so nothing was changed. Open the link in the alert and press the button there."
_POLICY: Final = f"{_OWN_FORMS}; style-src 'sha256-{_STYLE_HASH}'"


def add_answers(app: FastAPI, place: Workplace, settings: Settings) -> None:
    """Add the three ways to answer to the application; they are no part of the API's description."""
    answers = _Answers(
        place,
        secrets_of(settings.link_secrets.get_secret_value()),
        secrets_of(settings.slack_signing_secrets.get_secret_value()),
        secrets_of(settings.pagerduty_webhook_secrets.get_secret_value()),
    )
    app.add_route("/answer/{token}", answers.page, methods=["GET", "HEAD", "POST"])
    app.add_route("/slack/interactions", answers.slack, methods=["POST"])
    app.add_route("/events/pagerduty", answers.pagerduty, methods=["POST"])


@dataclass
class _Answers:
    place: Workplace
    link_secrets: Sequence[bytes]
    slack_secrets: Sequence[bytes]
    pagerduty_secrets: Sequence[bytes]
    clock: Callable[[], datetime] = field(default=lambda: datetime.now(UTC))

    @cached_property
    def _messages(self) -> PressedMessages:
        return PressedMessages()

    async def page(self, request: Request) -> Response:
        """The page of a link, and what is said on it."""
        token = request.path_params["token"]
        try:
            asked = read_token(token, self.link_secrets, self.clock())
        except UnusableLink as unusable:
            return _page(403, str(unusable).capitalize() + ".")
        if request.method != "POST":
            lead = await run_in_threadpool(self.place.store.leads.get, asked.lead_id)
            if lead is None:
                return _page(404, "This lead is not kept any more.")
            heading, standing = self._about(lead)
            left = tuple(Answer) if lead.is_open else ()
            return _page(200, heading, standing, left, f"Lead {lead.id}")
        if _is_from_elsewhere(request.headers, self.place.public_url):
            log.warning("answer.from_elsewhere", lead_id=asked.lead_id)
            return _page(403, _NOT_FROM_HERE)
        said = parse_qs((await _body_of(request)).decode("utf-8", "replace")).get("answer", [""])[0]
        if said not in set(Answer):
            return _page(
                400, "Nothing was said, so nothing was changed.", "Press one of the buttons.", tuple(Answer)
            )
        by = answered_by(asked, self.place.config.rulebook.teams, self.place.fallback_destination)
        told = await run_in_threadpool(self._say, asked, Answer(said), by, "link")
        left = tuple(answer for answer in Answer if answer in told.left)
        return _page(told.status, told.sentence, left=left, small=f"Lead {asked.lead_id}")

    async def slack(self, request: Request) -> Response:
        """A press: verified, noted, answered with 200; then the message is changed for everybody."""
        body = await _body_of(request)
        why_not = slack_refusal(request.headers, body, self.slack_secrets, self.clock())
        if why_not:
            log.warning("slack.refused", reason=why_not)
            return error_answer(401, why_not)
        press = _press_of(body)
        if (
            press is None
        ):  # something of the app's that is no answer: acknowledged, or Slack shows its reader a warning
            return Response()
        by = self._rep_of_slack(press.user) or f"slack:{press.user}"
        asked = Asked(press.lead_id, press.rep)
        noting = asyncio.ensure_future(
            run_in_threadpool(self._say, asked, press.answer, by, "slack", press.name, press.at)
        )
        await asyncio.wait({noting}, timeout=SLACK_SECONDS)
        if noting.done() and noting.exception() is not None:
            await noting  # Slack shows its reader that it failed
        return Response(background=BackgroundTask(self._tell_slack, press, noting))

    async def pagerduty(self, request: Request) -> Response:
        """What somebody did with an incident. What a rule or our own resolve did is no answer."""
        body = await _body_of(request)
        if not _is_of_pagerduty(request.headers, body, self.pagerduty_secrets):
            return error_answer(401, "the signature in X-PagerDuty-Signature is not ours")
        known = _incident_of(body)
        if known is None:
            return JSONResponse({"result": "ignored"})
        lead_id, said, who, name = known
        told = await run_in_threadpool(
            self._say, Asked(lead_id, ""), said, f"pagerduty:{who}", "pagerduty", name
        )
        log.info("pagerduty.told", lead_id=lead_id, answer=said.value, status=told.status)
        return JSONResponse({"result": told.sentence})

    def _say(
        self, asked: Asked, said: Answer, by: str, via: str, evidence: str = "", at: datetime | None = None
    ) -> "_Told":
        """What whoever said it is told. Raises StoreUnavailable."""
        try:
            lead, is_changed = flow.answer(self.place, asked, said, by, via, evidence, at)
        except flow.UnknownLead:
            return _Told(404, "This lead is not kept any more.")
        except ImpossibleChange as impossible:
            known = self.place.store.leads.get(asked.lead_id)
            left = frozenset(Answer) if known and known.is_open else frozenset[Answer]()
            return _Told(409, f"Not done: {impossible}.", left)
        name = self._name_of(by)
        sentences = {
            Answer.ACKNOWLEDGED: f"Noted: {name} is on it. The clock runs until it is answered.",
            Answer.ATTEMPTED: f"Noted: answered by {name}. The clock has stopped.",
            Answer.NOT_A_LEAD: f"Closed by {name}: not a lead.",
            Answer.PASS_ON: f"Passed on by {name}: {self._name_of(lead.rep or '')} has it now.",
        }
        if said is Answer.ACKNOWLEDGED and was_passed_on_from(lead, by, asked):
            sentences[said] = (
                f"Noted, but {self._name_of(lead.rep or '')} has it now, and nothing waits for {name}."
            )
        # What is passed on is asked of somebody else, in a message of its own.
        is_over = not lead.is_open or said is Answer.PASS_ON
        left = frozenset[Answer]() if is_over else frozenset(Answer) - {said}
        return _Told(200, sentences[said] if is_changed else _NOTED_BEFORE, left)

    def _about(self, lead: Lead) -> tuple[str, str]:
        """Which lead it is and how it stands: enough to know which, and nothing about the person."""
        label = self.place.config.rulebook.taxonomy.source(lead.source).label
        now = self.place.store.now()
        whose = f"{self._name_of(lead.rep)} has it" if lead.rep else "nobody has it"
        if not lead.is_open:
            return label, f"Nobody waits any more: it was {lead.state.value} meanwhile."
        left = lead.deadline - now
        due = f"{span_text(left)} left" if left > timedelta() else f"overdue by {span_text(-left)}"
        return (
            label,
            f"Waiting for {span_text(now - lead.received_at)}, {due}. {whose[0].upper()}{whose[1:]}.",
        )

    def _name_of(self, by: str) -> str:
        rep = next((rep for rep in self._reps() if rep.id == by), None)
        if rep is not None:
            return rep.name
        what, _, name = by.partition(":")
        match what:
            case "manager":
                return f"the manager of {name}"
            case "destination":
                return f"somebody at {name}"
            case _:
                return "somebody" if name or by == "link" else by

    def _rep_of_slack(self, user: str) -> str | None:
        return next((rep.id for rep in self._reps() if rep.slack_id and rep.slack_id == user), None)

    def _reps(self) -> list[Rep]:
        return [rep for team in self.place.config.rulebook.teams.values() for rep in team.reps]

    async def _tell_slack(self, press: "_Press", noting: "asyncio.Future[_Told]") -> None:
        """Change the message for everybody, once it is known what came of the press."""
        try:
            told = await noting
        except Exception as error:  # noqa: BLE001 - whatever it was, who pressed must hear that it was in vain
            log.warning("slack.not_noted", lead_id=press.lead_id, error=type(error).__name__)
            told = _Told(503, _NOT_NOTED, frozenset(Answer))
        log.info("slack.pressed", lead_id=press.lead_id, answer=press.answer.value, status=told.status)
        if told.sentence == _NOTED_BEFORE:  # the message says what it was
            return
        left = {f"{ACTION_PREFIX}{answer}" for answer in told.left}
        attempt = await run_in_threadpool(
            self._messages.change, press.response_url, press.blocks, told.sentence, self.clock(), left
        )
        log.info("slack.told", lead_id=press.lead_id, outcome=attempt.outcome.value)


@dataclass(frozen=True, slots=True)
class _Told:
    """What is said to whoever answered; `left` is what may still be said of the lead where it was said."""

    status: int
    sentence: str
    left: frozenset[Answer] = frozenset()


@dataclass(frozen=True, slots=True)
class _Press:
    """One press; `name` is the same however often Slack tells of it."""

    answer: Answer
    lead_id: str
    rep: str
    user: str
    name: str
    at: datetime | None
    response_url: str
    blocks: Sequence[Mapping[str, Any]]


async def _body_of(request: Request) -> bytes:
    """The body of a request that nobody vouches for yet. Raises Refused where it is larger than any genuine one."""
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > MAX_BODY_BYTES:
            raise Refused(413, f"a body may have at most {MAX_BODY_BYTES} bytes here")
    return bytes(body)


def slack_refusal(headers: Mapping[str, str], body: bytes, secrets: Sequence[bytes], now: datetime) -> str:
    """Why a request is not Slack's of now; "" where it is."""
    timestamp = headers.get("x-slack-request-timestamp", "")
    if not (timestamp.isascii() and timestamp.isdecimal() and len(timestamp) <= 12):
        return "the header X-Slack-Request-Timestamp is missing, or no number"
    if abs(now.timestamp() - int(timestamp)) > SLACK_WINDOW.total_seconds():
        return "X-Slack-Request-Timestamp is more than five minutes from now"
    given = headers.get("x-slack-signature", "").encode("utf-8", "replace")
    signed = f"v0:{timestamp}:".encode() + body
    expected = [f"v0={hmac.digest(secret, signed, 'sha256').hex()}".encode() for secret in secrets]
    if not any([hmac.compare_digest(one, given) for one in expected]):  # noqa: C419  all of them, in constant time
        return "the signature in X-Slack-Signature is not ours"
    return ""


def _press_of(body: bytes) -> _Press | None:
    try:
        payload = json.loads(parse_qs(body.decode())["payload"][0])
        action = payload["actions"][0]
        said = Answer(str(action["action_id"]).removeprefix(ACTION_PREFIX))
        lead_id, _, rep = str(action["value"]).partition(" ")
        user, container = str(payload["user"]["id"]), payload.get("container", {})
        name = f"{payload['team']['id']}/{container.get('message_ts', '')}/{action['action_id']}/{action['action_ts']}"
        at = datetime.fromtimestamp(float(action["action_ts"]), UTC)
        blocks = payload.get("message", {}).get("blocks", [])
        kept = [block for block in blocks if isinstance(block, dict)]
        return _Press(said, lead_id, rep, user, name, at, str(payload.get("response_url", "")), kept)
    except (ValueError, KeyError, IndexError, TypeError, AttributeError, OverflowError, RecursionError):
        return None


def _is_of_pagerduty(headers: Mapping[str, str], body: bytes, secrets: Sequence[bytes]) -> bool:
    given = [
        part.strip().encode("utf-8", "replace")
        for part in headers.get("x-pagerduty-signature", "").split(",")
    ]
    expected = [f"v1={hmac.digest(secret, body, 'sha256').hex()}".encode() for secret in secrets]
    return any([hmac.compare_digest(one, other) for one in expected for other in given])  # noqa: C419  in constant time


def _incident_of(body: bytes) -> tuple[str, Answer, str, str] | None:
    """Lead, answer, who, and the event's name; None for what is no answer of a person's."""
    answers = {"incident.acknowledged": Answer.ACKNOWLEDGED, "incident.resolved": Answer.ATTEMPTED}
    try:
        event = json.loads(body)["event"]
        said, agent = answers.get(event["event_type"]), event.get("agent") or {}
        if said is None or not str(agent.get("type", "")).startswith("user"):
            return None
        return str(event["data"]["incident_key"]), said, str(agent["id"]), str(event["id"])
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return None


def _is_from_elsewhere(headers: Mapping[str, str], public_url: str) -> bool:
    """Whether a browser says that another site's page sent the form.

    Our own page sends `Origin: null`, for it tells nobody its address (Referrer-Policy), which is its key. Where a proxy
    names another host, what the browser itself says of the two sites is right all the same.
    """
    if headers.get("sec-fetch-site", "same-origin") not in ("same-origin", "none"):
        return True
    origin = headers.get("origin", "null")
    if origin == "null":
        return False
    ours = {headers.get("host", "").lower(), urlsplit(public_url).netloc.lower()}
    return origin.partition("://")[2].lower() not in ours


def _page(
    status: int, heading: str, text: str = "", left: Sequence[Answer] = (), small: str = ""
) -> Response:
    """A page that says so, with a button for each answer that is left."""
    buttons = "".join(
        f'<button name="answer" value="{answer.value}"><b>{escape(answer.words)}</b>'
        f"<span>{escape(_WHAT_IT_DOES[answer])}</span></button>"
        for answer in left
    )
    content = (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f'<meta name="robots" content="noindex"><title>speed-to-lead</title><style>{_STYLE}</style></head>'
        f"<body><main><h1>{escape(heading)}</h1>"
        + (f"<p>{escape(text)}</p>" if text else "")
        + (f'<form method="post">{buttons}</form>' if buttons else "")
        + (f"<footer>{escape(small)}</footer>" if small else "")
        + "</main></body></html>"
    )
    return HTMLResponse(content, status, {"content-security-policy": _POLICY})
