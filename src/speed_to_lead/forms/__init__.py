"""Form tools: what each sends, how it proves itself, and what its answers mean. One file each; the registry is here.

`refusal_of` asks whether a request is genuine (the web, before it is stored); `read` asks who is in it (the router,
afterwards), `body_to_store` what is kept in between. A new form tool is its file, its line in `PROVIDERS` and its sample in `tests/forms/samples`.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime

from speed_to_lead.core.submission import (
    DELIVERY_HEADER,
    FETCH_HEADER,
    ITEM_HEADER,
    LISTED_HEADER,
    PHONE_E164,
    RECONCILED,
    Form,
    ParsedSubmission,
    Submission,
    UnreadableSubmission,
    content_key,
    digits_of,
    valid_submission_id,
)
from speed_to_lead.forms import (
    calendly,
    chili_piper,
    cloudevents,
    elementor,
    fluent,
    formstack,
    generic,
    google_ads,
    gravity,
    hubspot,
    intercom,
    jotform,
    linkedin,
    meta,
    reading,
    salesforce_web_to_lead,
    segment,
    signatures,
    standard_webhooks,
    tally,
    typeform,
    unbounce,
    webflow,
    zapier,
)
from speed_to_lead.forms.fetches import AsksBack
from speed_to_lead.forms.handshakes import Handshakes, Welcome
from speed_to_lead.forms.lists import KeepsList
from speed_to_lead.forms.provider import Provider, SendsSeveral, WebhookRequest
from speed_to_lead.spellings import country_code, phone_number

__all__ = [
    "ASK_BACK",
    "HANDSHAKES",
    "LISTS",
    "PROVIDERS",
    "SEVERAL",
    "Provider",
    "Refusal",
    "WebhookRequest",
    "Welcome",
    "body_to_store",
    "read",
    "refusal_of",
    "split",
    "welcome_for",
]

PROVIDERS: Mapping[str, Provider] = {
    "calendly": calendly,
    "chili_piper": chili_piper,
    "cloudevents": cloudevents,
    "elementor": elementor,
    "fluent": fluent,
    "formstack": formstack,
    "generic": generic,
    "google_ads": google_ads,
    "gravity": gravity,
    "hubspot": hubspot,
    "intercom": intercom,
    "jotform": jotform,
    "linkedin": linkedin,
    "make": zapier,
    "meta": meta,
    "salesforce_web_to_lead": salesforce_web_to_lead,
    "segment": segment,
    "standard_webhooks": standard_webhooks,
    "tally": tally,
    "typeform": typeform,
    "unbounce": unbounce,
    "webflow": webflow,
    "zapier": zapier,
}

#: Those that ask something before they send: is this address ours, and does it know a secret?
HANDSHAKES: Mapping[str, Handshakes] = {"cloudevents": cloudevents, "linkedin": linkedin, "meta": meta}
#: Those that may put several items into one POST.
SEVERAL: Mapping[str, SendsSeveral] = {
    "cloudevents": cloudevents,
    "hubspot": hubspot,
    "make": zapier,
    "meta": meta,
    "segment": segment,
    "zapier": zapier,
}
#: Those that send ids only, always or sometimes: the rest is asked for at their API.
ASK_BACK: Mapping[str, AsksBack] = {"hubspot": hubspot, "linkedin": linkedin, "meta": meta}
#: Those that can be asked what was sent to a form, to find what the webhook never brought.
LISTS: Mapping[str, KeepsList] = {
    "calendly": calendly,
    "hubspot": hubspot,
    "jotform": jotform,
    "linkedin": linkedin,
    "meta": meta,
    "tally": tally,
    "typeform": typeform,
    "webflow": webflow,
}

#: Meta sends a thousand changes at the most; an aggregator of Zapier or Make what it was told to gather. As many as /v1/leads
#: takes: the store's script has written them after 70 ms.
MAX_ITEMS = 10_000


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a request is not taken, safe to log. `ours`: our set-up is at fault, so the tool should try again (503)."""

    reason: str
    ours: bool


def refusal_of(
    request: WebhookRequest, form: Form, environment: Mapping[str, str], now: datetime
) -> Refusal | None:
    """Why this request may not be stored as a submission of this form; None where it may.

    What is not configured refuses: a form without its secret takes nothing. During rotation the environment variable
    holds both secrets, separated by a blank or a comma.
    """
    if form.auth == "none":
        return None
    variable = form.token_env if form.auth == "token" else form.secret_env
    secret = environment.get(variable, "").strip() if variable else ""
    if not secret:
        return Refusal(
            f"form {form.name}: the environment variable {variable or '(none named)'} is not set", ours=True
        )
    if form.auth == "token":
        reason = signatures.token_refusal(request, secret)
    elif form.auth == "standard-webhooks" or form.provider == "standard_webhooks":
        if not any(signatures.standard_webhooks_key(key) for key in signatures.secrets_in(secret)):
            return Refusal(f"form {form.name}: {variable} is not a base64 secret (whsec_…)", ours=True)
        reason = signatures.standard_webhooks_refusal(request, secret, now)
    elif form.auth == "signature" and form.provider in PROVIDERS:
        reason = PROVIDERS[form.provider].refusal(request, secret, now)
    else:
        return Refusal(f"form {form.name}: {form.auth} of {form.provider} is not known here", ours=True)
    return Refusal(reason, ours=False) if reason else None


def welcome_for(
    request: WebhookRequest, form: Form, environment: Mapping[str, str]
) -> Welcome | Refusal | None:
    """What a tool wants to hear before it sends anything, or why it does not; None where this is no such question."""
    tool = HANDSHAKES.get(form.provider)
    if tool is None:
        return None
    variable = form.secret_env or form.token_env
    secret = environment.get(variable, "").strip() if variable else ""
    verify_token = environment.get(form.verify_token_env or "", "").strip()
    answer = tool.handshake(request, secret, verify_token)
    if not isinstance(answer, str):
        return answer
    if variable and not secret:
        return Refusal(f"form {form.name}: the environment variable {variable} is not set", ours=True)
    return Refusal(answer, ours=False)


def split(submission: Submission, form: Form) -> tuple[Submission, ...]:
    """Each item of a delivery that holds several, as a submission of its own; nothing where it holds one.

    Each has an id made of the delivery's and its number, so that the same split gives the same ids, and says in headers
    which of how many it is, and of what. Raises UnreadableSubmission where nothing of it can be read.
    """
    tool = SEVERAL.get(form.provider)
    if tool is None or FETCH_HEADER in submission.headers or ITEM_HEADER in submission.headers:
        return ()
    try:
        items = tool.items(submission)
    except (UnreadableSubmission, MemoryError):
        raise
    except Exception as error:  # noqa: BLE001 - as in `read`
        raise UnreadableSubmission(
            f"the items of the delivery have a shape the {form.provider} reader does not know ({type(error).__name__})"
        ) from None
    if len(items) > MAX_ITEMS:
        raise UnreadableSubmission(
            f"the delivery holds {len(items)} items; at most {MAX_ITEMS} are read. Have the tool send fewer at a time, or "
            f"post them to /v1/leads in requests of up to {MAX_ITEMS}; this delivery can be discarded then"
        )
    if len(items) < 2:
        return ()
    delivery = content_key(submission)
    return tuple(
        replace(
            submission,
            id=valid_submission_id(f"{submission.id}-{number}"),
            body=json.dumps(item, ensure_ascii=False).encode("utf-8", "replace"),
            content_type="application/json",
            headers={
                **submission.headers,
                ITEM_HEADER: f"{number} of {len(items)}",
                DELIVERY_HEADER: delivery,
            },
        )
        for number, item in enumerate(items, start=1)
    )


def body_to_store(request: WebhookRequest, form: Form) -> bytes:
    """The body, byte for byte, but for what proved the request: a form tool may repeat its own address in it, Google its key."""
    if form.provider == "google_ads":
        request = replace(request, body=google_ads.without_key(request.body))
    return signatures.without_tokens(request) if form.auth == "token" or request.query else request.body


def read(submission: Submission, form: Form) -> ParsedSubmission:
    """The lead in a stored submission. Raises UnreadableSubmission, and nothing else, where there is none to be read."""
    provider = PROVIDERS.get(form.provider)
    if provider is None:
        raise UnreadableSubmission(f"form {form.name}: provider {form.provider} is not known here")
    try:
        parsed = _with_number_read(provider.parse(submission, form))
        if LISTED_HEADER in submission.headers:
            parsed = _marked_as_reconciled(parsed)
        _refuse_to_guess(parsed, form)
        key = parsed.same_submission_key
        whole = reading.whole_text(key) if key else None
        return parsed if whole == key else replace(parsed, same_submission_key=whole)
    except UnreadableSubmission as error:
        item = submission.headers.get(ITEM_HEADER)
        if item is None:
            raise
        raise UnreadableSubmission(f"item {item}: {error}") from None
    except MemoryError:
        raise
    except Exception as error:  # noqa: BLE001 - one delivery of an unforeseen shape must not stop the others (promise 7)
        # Only the type: the text of an error may quote the person's data.
        raise UnreadableSubmission(
            f"the delivery has a shape the {form.provider} reader does not know ({type(error).__name__})"
        ) from None


def _refuse_to_guess(parsed: ParsedSubmission, form: Form) -> None:
    if parsed.is_incomplete and not form.api_token_env:
        raise UnreadableSubmission(
            f"the delivery holds ids only, and form {form.name} has no api_token_env: name the variable that holds the "
            f"token for the API of {form.provider} in intake.toml, and replay this"
        )


def _marked_as_reconciled(parsed: ParsedSubmission) -> ParsedSubmission:
    """The same; the lead says that its webhook never brought it."""
    custom = {RECONCILED: True, **parsed.lead.custom}
    return replace(parsed, lead=replace(parsed.lead, custom=custom))


def _with_number_read(parsed: ParsedSubmission) -> ParsedSubmission:
    """The same; a lead that only its phone tells from others has its number in E.164 too, beside what was written.

    Kept with the lead, because a person's key must be the same for as long as the lead is: the list of the world's numbers
    changes every month.
    """
    lead = parsed.lead
    phone = lead.fields.get("phone")
    if phone is None or "email" in lead.fields:
        return parsed
    number = phone_number(str(phone), country_code(str(lead.fields.get("country") or "")))
    if not number or (
        digits_of(number) == digits_of(phone) and ";" not in number
    ):  # it would be the same key
        return parsed
    return replace(parsed, lead=replace(lead, fields={**lead.fields, PHONE_E164: number}))
