"""Zapier and Make: what their "Webhooks POST" step sends, JSON or a form, flat or nested, one lead or a list.

Neither signs anything, so the form has a `token_env`: a header, Basic Auth or `?token=…`.
https://zapier.com/apps/webhook/integrations

Selectors in `intake.toml`: `key:<name>` or the plain name; a dotted path reaches into nested JSON.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from speed_to_lead.core.submission import Form, ParsedSubmission, Submission, lead_field_named
from speed_to_lead.forms import generic, reading, titles
from speed_to_lead.forms.provider import WebhookRequest

kept_headers: tuple[str, ...] = ("idempotency-key",)
selectors: tuple[str, ...] = generic.selectors

#: Under what a step nests the lead itself. Any other path may be somebody else's: `manager__email` is no lead's.
_LEAD_ITSELF = frozenset({
    "lead", "contact", "person", "customer", "user", "data", "body", "payload", "fields", "form", "answers",
    "submission", "properties", "utm", "name",
})  # fmt: skip


def refusal(request: WebhookRequest, secret: str, now: datetime) -> str | None:
    """Zapier and Make sign nothing."""
    del request, secret, now
    return "Zapier signs nothing, nor does Make; use token_env in intake.toml"


def items(submission: Submission) -> list[Any]:
    """The leads of a list ("Wrap Request In Array", an aggregator of Make)."""
    return reading.list_in(submission)


def parse(submission: Submission, form: Form) -> ParsedSubmission:
    """The lead in a step's data. Blank texts are missing values; `a__b` is how Zapier writes what was nested."""
    given = dict(generic.given_in(submission))
    chosen = {selector.removeprefix("key:") for selector in form.fields.values()}
    for name, value in list(given.items()):
        for path, inner in _paths(str(name), value):
            field = _field_at(path)
            if field is None or inner in (None, "") or not chosen.isdisjoint((name, ".".join(path))):
                continue
            if given.get(field) in (None, ""):
                given[field] = inner
                if not isinstance(value, Mapping):
                    del given[name]  # not under custom a second time
    return generic.lead_in(given, form, submission.headers.get("idempotency-key"))


def _paths(name: str, value: Any) -> list[tuple[list[str], Any]]:
    """What is nested under a name, each with its path; of a flat value nothing, unless its name is a path."""
    steps = name.split("__")
    if isinstance(value, Mapping):
        return [
            ([*steps, *path], inner)
            for key, content in value.items()
            for path, inner in (_paths(str(key), content) or [([str(key)], content)])
        ]
    return [(steps, value)] if len(steps) > 1 else []


def _field_at(path: list[str]) -> str | None:
    """The lead's field at a path, where every step to it leads to the lead itself."""
    *outer, last = path
    if not outer or any(step.strip().casefold() not in _LEAD_ITSELF for step in outer):
        return None
    if outer[-1].casefold() == "utm":
        return lead_field_named(f"utm_{last}")
    if outer[-1].casefold() == "name":
        return {"first": "first_name", "last": "last_name", "full": "name"}.get(last.casefold())
    return lead_field_named(last) or titles.field_asked_for(last.replace("_", " "))
