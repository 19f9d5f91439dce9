"""Meta (Facebook and Instagram) lead ads: ids by webhook, the answers by the Graph API.

Signed with `X-Hub-Signature-256: sha256=<hex HMAC-SHA256 of the raw body with the app secret>`. When the hook is set up Meta
asks `GET ?hub.mode=subscribe&hub.verify_token=…&hub.challenge=…` and wants its challenge back.
https://developers.facebook.com/docs/graph-api/webhooks/getting-started

Its list (`/{form}/leads`) has the answers at once: an entry of it is a delivery that was asked for already.

One POST may hold a thousand changes. Selectors in `intake.toml`: `field:<name>` (field_data), `key:<name>` for ids.
"""

import json
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any
from urllib.parse import urlencode

from speed_to_lead.core.submission import (
    FETCH_HEADER,
    Form,
    GenericLead,
    ParsedSubmission,
    Submission,
    UnreadableSubmission,
    generic_lead,
    lead_field_named,
)
from speed_to_lead.forms import answers, fetches, lists, reading, signatures
from speed_to_lead.forms.handshakes import Welcome, queried
from speed_to_lead.forms.provider import WebhookRequest

kept_headers: tuple[str, ...] = ()
selectors: tuple[str, ...] = ("field", "key")
api_url = "https://graph.facebook.com/v23.0"
list_scope = "leads_retrieval"

_PAGE = 100

#: What Meta's own tool for test leads fills in.
_DUMMY = "<test lead:"
#: The lead that the "Test" button beside a webhook's subscription sends: nobody could ever be asked for it.
_DUMMY_ID = "444444444444"
#: What is not asked for is not answered. Campaigns and ads take a token for ads, too: without it everything would be refused.
_ASKED_OF_A_LEAD = (
    "id",
    "created_time",
    "field_data",
    "custom_disclaimer_responses",
    "is_organic",
    "platform",
)
_LONGEST_ID = 100
_IDS = ("leadgen_id", "page_id", "form_id", "adgroup_id", "ad_id")


def refusal(request: WebhookRequest, secret: str, now: datetime) -> str | None:
    """Why the request does not carry Meta's signature of its body."""
    del now  # Meta signs no time
    given = request.headers.get("x-hub-signature-256", "").strip()
    if not given:
        return "the header X-Hub-Signature-256 is missing"
    matches = signatures.any_matches(
        (given.lower(),), secret, lambda key: (f"sha256={signatures.hmac_hex(key, request.body)}",)
    )
    return None if matches else "X-Hub-Signature-256 does not match"


def handshake(request: WebhookRequest, secret: str, verify_token: str) -> Welcome | str | None:
    """The challenge, for who knows the verify token (where none is set, the secret); a text says why not."""
    query = queried(request)
    if request.method != "GET" or "hub.mode" not in query:
        return None
    given, challenge = query.get("hub.verify_token", ""), query.get("hub.challenge", "")
    if not signatures.any_matches((given,), verify_token or secret, lambda configured: (configured,)):
        return "hub.verify_token is not ours"
    return Welcome(challenge.encode("utf-8", "replace"), "text/plain; charset=utf-8")


def items(submission: Submission) -> list[Any]:
    """Each change as the delivery it would be alone."""
    return list(_changes_apart(reading.mapping_or_nothing(reading.json_in(submission))))


def questions(submission: Submission, form: Form, token: str) -> list[fetches.Question]:
    """The lead by its id, with what a token that may read leads may read of it, and what the form asks for."""
    value, _ = _change_in(reading.json_in(submission))
    leadgen_id = _id_in(value)
    chosen = (
        selector.removeprefix("key:") for selector in form.fields.values() if selector.startswith("key:")
    )
    fields = ",".join(dict.fromkeys([*_ASKED_OF_A_LEAD, *(name for name in chosen if name not in _IDS)]))
    return [fetches.Question(f"/{leadgen_id}?{urlencode({'fields': fields, 'access_token': token})}")]


def parse(submission: Submission, form: Form) -> ParsedSubmission:
    """The lead of one change; without the Graph API's answer, its ids.

    Whatever else a page tells is counted only, as is a change that says nothing: Meta's page says to skip both.
    """
    delivery, answered = fetches.delivery_and_answers(submission)
    value, field = _change_in(delivery)
    if field != "leadgen" or not value:
        return ParsedSubmission(GenericLead(), is_test=True)
    key = _id_in(value)
    if key == _DUMMY_ID:
        return ParsedSubmission(GenericLead(), key, is_test=True)
    submitted_at = reading.instant_in(value.get("created_time"))
    ids = {name: str(value[name]) for name in _IDS if isinstance(value.get(name), (str, int))}
    if answered is None:
        return ParsedSubmission(fetches.incomplete_lead(ids), key, submitted_at, is_incomplete=True)
    answer = answered[0] if answered else {}
    payload = _payload(answer, ids, form)
    is_test = any(_DUMMY in str(one) for field in _fields(answer).values() for one in field)
    return ParsedSubmission(
        reading.lead_or_nobody(payload) if is_test else generic_lead(payload),
        key,
        reading.instant_in(answer.get("created_time")) or submitted_at,
        is_test,
    )


def listed(wanted: lists.Wanted, ask: lists.Ask) -> Iterator[lists.Listed]:
    """The leads of a form."""
    since = [{"field": "time_created", "operator": "GREATER_THAN", "value": lists.seconds(wanted.since) - 1}]

    def question(after: str) -> fetches.Question:
        about = {
            "access_token": wanted.token,
            "fields": ",".join(_ASKED_OF_A_LEAD),
            "limit": _PAGE,
            "filtering": json.dumps(since),
        }
        return fetches.Question(
            f"/{wanted.name}/leads?{urlencode({**about, **({'after': after} if after else {})})}"
        )

    def next_after(page: Mapping[str, Any]) -> str:
        paging = reading.mapping_or_nothing(page.get("paging"))
        # `next` is a whole address, with the token in it: only that there is one counts.
        after = reading.mapping_or_nothing(paging.get("cursors")).get("after")
        return str(after or "") if paging.get("next") else ""

    for page in lists.pages(ask, question, next_after):
        for entry in lists.entries_in(page, "data"):
            if not lists.is_before(entry, "created_time", wanted.since):
                yield _as_delivered(entry, wanted.name)


def _as_delivered(entry: Any, form_id: str) -> lists.Listed:
    lead = reading.mapping_or_nothing(entry)
    value = {
        "leadgen_id": lead.get("id"),
        "form_id": form_id,
        "created_time": lead.get("created_time"),
    }
    change = {"field": "leadgen", "value": value}
    body = {"delivery": {"object": "page", "entry": [{"changes": [change]}]}, "answers": [entry]}
    at = reading.instant_in(lead.get("created_time"))
    return lists.Listed(fetches.id_in(lead.get("id")), body, at, {FETCH_HEADER: "complete"})


def _changes_apart(delivery: Mapping[str, Any]) -> Iterator[Any]:
    around = _short_ones(delivery, "object")
    entries = delivery.get("entry")
    for entry in entries if isinstance(entries, list) else ():
        changes = entry.get("changes") if isinstance(entry, Mapping) else None
        if not isinstance(changes, list):
            yield {**around, "entry": [entry]}
            continue
        page = _short_ones(entry, "id", "time")
        yield from ({**around, "entry": [{**page, "changes": [change]}]} for change in changes)


def _short_ones(given: Mapping[str, Any], *names: str) -> dict[str, Any]:
    """What stands around the changes, as Meta documents it. Nothing else: each of a thousand repeats it."""
    return {
        name: given[name]
        for name in names
        if isinstance(given.get(name), (str, int)) and len(str(given[name])) <= _LONGEST_ID
    }


def _change_in(delivery: Any) -> tuple[Mapping[str, Any], str]:
    """The value and the field of the one change in a delivery. Raises UnreadableSubmission for a value of another shape."""
    entries = reading.mapping_in(delivery, "the body").get("entry")
    entry = reading.mapping_in(entries[0] if isinstance(entries, list) and entries else None, "entry[0]")
    if "messaging" in entry or "standby" in entry:  # a conversation, in a page's inbox
        return {}, "messaging"
    changes = entry.get("changes")
    found = changes[0] if isinstance(changes, list) and changes else None
    change = reading.mapping_in(found, "entry[0].changes[0]")
    field, value = str(change.get("field")), change.get("value")
    if field != "leadgen" or value is None:
        return {}, field
    return reading.mapping_in(value, "entry[0].changes[0].value"), field


def _id_in(value: Mapping[str, Any]) -> str:
    leadgen_id = fetches.id_in(value.get("leadgen_id"))
    if not leadgen_id:
        raise UnreadableSubmission(
            "entry[0].changes[0].value.leadgen_id is no id, so nobody can be asked for"
        )
    return leadgen_id


def _payload(answer: Mapping[str, Any], ids: Mapping[str, str], form: Form) -> dict[str, Any]:
    given = _fields(answer)
    payload: dict[str, Any] = {"campaign": answer.get("campaign_name")}
    custom: dict[str, Any] = dict(ids)
    for name in ("platform", "ad_name", "adset_name", "campaign_id", "is_organic"):
        if answer.get(name) not in (None, ""):
            custom[name] = answer[name]
    for name, values in given.items():
        if not {f"field:{name}", name}.isdisjoint(form.fields.values()):
            continue
        value = _one(values)
        known = lead_field_named(name) or answers.field_asked_for(name.replace("_", " "), value)
        if known is None or payload.get(known) not in (None, ""):
            custom[name] = value
        else:
            payload[known] = value
    for box in reading.items_in(answer.get("custom_disclaimer_responses")):
        if box.get("checkbox_key"):
            custom[f"disclaimer.{box['checkbox_key']}"] = box.get("is_checked") in (True, 1, "1", "true")
    payload["custom"] = custom

    def selected(kind: str, name: str) -> Any:
        return (ids.get(name) or answer.get(name)) if kind == "key" else _one(given.get(name, []))

    reading.place_fields(payload, form, selected)
    return payload


def _fields(answer: Mapping[str, Any]) -> dict[str, list[Any]]:
    fields = reading.items_in(answer.get("field_data"))
    return {
        str(field.get("name")): [value for value in values if value not in (None, "")]
        for field in fields
        if isinstance(values := field.get("values"), list) and field.get("name")
    }


def _one(values: list[Any]) -> Any:
    return values[0] if len(values) == 1 else values or None
