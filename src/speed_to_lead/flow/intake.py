"""Receive: is it genuine? Web asks; the answer is a submission, which it stores before it answers the form tool."""

import os
from collections import deque
from collections.abc import Mapping
from datetime import datetime

from speed_to_lead import forms
from speed_to_lead.core.clock import to_ms
from speed_to_lead.core.submission import Form, Submission


def receive(
    request: forms.WebhookRequest,
    form: Form,
    environment: Mapping[str, str],
    now: datetime,
    traceparent: str = "",
) -> Submission | forms.Refusal:
    """The submission to store, or why the delivery is refused. Nothing of the body is read yet: store first.

    `traceparent` names our own span, never the sender's.
    """
    refusal = forms.refusal_of(request, form, environment, now)
    if refusal is not None:
        return refusal
    kept = forms.PROVIDERS[form.provider].kept_headers
    headers = {name: request.headers[name] for name in kept if name in request.headers}
    if traceparent:
        headers["traceparent"] = traceparent
    return Submission(
        id=new_submission_id(now),
        form=form.name,
        received_at=now,
        body=forms.body_to_store(request, form),
        content_type=request.headers.get("content-type", ""),
        headers=headers,
    )


def new_submission_id(now: datetime) -> str:
    """An id that sorts by time and that nobody can guess, made before the first write so that a replay is known."""
    try:
        unguessable = _drawn.pop()
    except IndexError:
        digits = os.urandom(6 * 512).hex()
        _drawn.extend(digits[start : start + 12] for start in range(12, len(digits), 12))
        unguessable = digits[:12]
    return f"{to_ms(now):011x}{unguessable}"


#: Drawn for the next ids: the system is asked once for 512, because asking costs a thirtieth of taking a submission.
_drawn: deque[str] = deque()
os.register_at_fork(after_in_child=_drawn.clear)  # or both would give out the same
