"""A sound run, made by hand: what happened outside, and what speed-to-lead's public faces would say of it."""

from typing import Any

from benchmarks.chaos.evidence import Document, Evidence, Fault
from benchmarks.chaos.rules import SLAS
from benchmarks.chaos.tools import MARK

#: 2026-11-22T10:00:00Z, when both leads came.
T = 1_795_341_600_000

SAM = "sam@people.example.com"
KIM = "kim@people.example.com"
LOU = "lou@people.example.com"


def iso(at: int) -> str:
    """An instant as the API writes it: `at` milliseconds after T."""
    from datetime import UTC, datetime, timedelta

    instant = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=T + at)
    return instant.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def sound_run() -> Evidence:
    """A lead that was touched and answered, one that nobody answered, and some noise; all of it in order.

    The answered person comes back to their rep, and one touch is due sooner than its lead was.
    """
    posts: list[Document] = [
        post("s1", "typeform-demo", SAM, "a1"),
        post("s2", "open-page", SAM, "a-touch", at=900),
        post("s1", "typeform-demo", SAM, "a-again", at=2_000),
        post("s3", "signed-signup", KIM, "", status=503, at=-500),
        post("s3", "signed-signup", KIM, "b1"),
        post("s4", "token-list", "x@people.example.com", "t1", kind="test"),
        post("s5", "token-list", "y@people.example.com", "d1", kind="unreadable"),
        post("s6", "hubspot-referral", "z@people.example.com", "", kind="forged", status=401),
        post("s7", "token-list", LOU, "c1"),
        post("s8", "typeform-demo", LOU, "c-touch", at=1_000),
        post("s10", "typeform-demo", SAM, "a2", at=10_000),
    ]
    answered, waiting = _answered_lead(), _waiting_lead()
    return Evidence(
        posts=posts,
        responds=[response("a1", "connected", "r1"), response("a1", "connected", "r1", result="already_recorded")],
        receipts=[*_receipts_of_answered(), *_receipts_of_waiting(), *_receipts_of_hurried()],
        faults=[],
        leads={"a1": answered, "b1": waiting, "c1": _hurried_lead(), "a2": _lead_that_came_back()},
        ledger={
            "received": 9, "leads": 4, "touches": 2, "duplicates": 1, "tests": 1, "dead_letters": 1,
            "in_flight": 0, "difference": 0,
        },
        dead_letters=[{"id": "d1", "form": "token-list", "error": "neither an email address nor a phone number"}],
        dead_alerts=[{"key": "b1:+6s:gamma-desk"}],
        load={"guy": 1},
        log_lines=[("web.log", '{"event": "submission.stored", "lead_id": "a1"}')],
        secrets=("a-secret",),
        checked_at=T + 60_000,
    )  # fmt: skip


def post(
    key: str, form: str, person: str, answer: str, *, kind: str = "lead", status: int = 200, at: int = 0
) -> dict[str, Any]:
    """One try of a form tool: sent 30 ms before `at`, answered 10 ms after it."""
    return {
        "at": T + at + 10, "sent": T + at - 30, "form": form, "submission": key, "person": person, "kind": kind,
        "status": status, "answer": answer, "tries": 1, "source": "",
    }  # fmt: skip


def response(
    lead: str, kind: str, evidence: str, *, action: str = "responses", **more: Any
) -> dict[str, Any]:
    """One deed of a responder."""
    told = {
        "at": T + 4_010, "sent": T + 3_990, "lead": lead, "of": lead, "action": action, "kind": kind, "by": "ada",
        "evidence": evidence, "rep": "", "status": 200, "result": "recorded",
    }  # fmt: skip
    return told | more


def receipt(
    lead: str, step: str, destination: str, kind: str, at: int, outcome: str = "heard", **data: Any
) -> dict[str, Any]:
    """One alert at the sink. `data` is what it says, for destinations that are told it."""
    return {
        "at": T + at + 5, "started": T + at, "key": f"{lead}:{step}:{destination}", "type": kind, "lead": lead,
        "step": step, "destination": destination, "outcome": outcome, "answer": "ok", "data": data,
    }  # fmt: skip


def fault(name: str, begin: int, end: int, **more: Any) -> Fault:
    """A fault between two instants, in milliseconds after T."""
    return Fault(name, T + begin, T + end, **more)


def _said(rep: str, deadline: int, decided: int, late: float, *skipped: str) -> dict[str, Any]:
    return {
        "rep": rep, "deadline": iso(deadline), "decided_at": iso(decided), "late_seconds": late,
        "skipped_steps": list(skipped), "is_signed": True,
    }  # fmt: skip


def line(at: int, event: str, **details: Any) -> dict[str, Any]:
    """One line of history. `to_` and `from_` stand for the words Python keeps."""
    return {
        "at": iso(at),
        "event": event,
        "details": {name.rstrip("_"): value for name, value in details.items()},
    }


def _steps(sla: str, instants: list[int], done: list[str]) -> list[dict[str, Any]]:
    return [
        {
            "name": step.at, "at": iso(at), "tell": list(step.tell), "remind": list(step.remind),
            "alert": list(step.alert), "reassign": step.reassign, "done": step.at in done,
        }
        for step, at in zip(SLAS[sla].steps, instants, strict=True)
    ]  # fmt: skip


def _record(lead_id: str, **given: Any) -> dict[str, Any]:
    empty: dict[str, Any] = {
        "received_at": iso(0), "breached_at": None, "reps_before": [], "responses": [], "touches": [],
        "trace": [],
    }  # fmt: skip
    return {"id": lead_id} | empty | given


def _answered_lead() -> dict[str, Any]:
    """Sam of alpha, under `fast`: told at once, reminded after 3 s, connected after 4 s."""
    return _record(
        "a1",
        form="typeform-demo",
        state="answered",
        version=4,
        source="demo",
        team="alpha",
        rep="ada",
        sla="fast",
        deadline=iso(6_000),
        steps=_steps("fast", [0, 3_000, 6_000, 10_000, 15_000], ["0%", "50%"]),
        fields={"email": " Sam@people.example.com"},
        custom={MARK: "s1"},
        touches=[
            {
                "submission_id": "a-touch",
                "form": "open-page",
                "custom": {MARK: "s2"},
                "received_at": iso(900),
                "source": "newsletter",
            }
        ],
        responses=[{"evidence": "r1"}],
        history=[
            line(20, "lead.routed", team="alpha", rep="ada", sla="fast"),
            line(120, "alert.delivered", step="0%", to="alpha-desk", attempt=1),
            line(920, "lead.touched", submission="a-touch"),
            line(3_050, "step.decided", step="50%", skipped=[], told=["alpha-desk", "duty"]),
            line(3_150, "alert.delivered", step="50%", to="alpha-desk", attempt=1),
            line(3_160, "alert.delivered", step="50%", to="duty", attempt=1),
            line(4_000, "lead.connected", by="ada"),
            line(4_130, "alert.delivered", step="moved-4", to="duty", attempt=1),
        ],
    )


def _receipts_of_answered() -> list[dict[str, Any]]:
    return [
        receipt("a1", "0%", "alpha-desk", "lead.assigned", 90, **_said("ada", 6_000, 20, 0.02)),
        receipt("a1", "50%", "alpha-desk", "sla.reminder", 3_120, **_said("ada", 6_000, 3_050, 0.05)),
        receipt("a1", "50%", "duty", "", 3_130, incident="a1", action="trigger"),
        receipt("a1", "", "duty", "incident", 4_100, incident="a1", action="resolve"),
    ]


def _hurried_lead() -> dict[str, Any]:
    """Lou of gamma, under `plain`; a demo request after a second is due sooner, and connected after five."""
    steps = _steps("fast", [1_000, 4_000, 7_000, 11_000, 16_000], ["50%"])[1:]
    told, hurried = _steps("plain", [0, 10_000], ["0%"])[0], _steps("plain", [1_000, 0], ["0%"])[0]
    hurried |= {"name": "sooner-1", "tell": [], "remind": ["rep"], "done": True}
    return _record(
        "c1",
        form="token-list",
        state="answered",
        version=4,
        source="list",
        team="gamma",
        rep="gail",
        sla="fast",
        deadline=iso(7_000),
        steps=[told, hurried, *steps],
        fields={"email": LOU},
        custom={MARK: "s7"},
        touches=[
            {
                "submission_id": "c-touch", "form": "typeform-demo", "custom": {MARK: "s8"}, "received_at": iso(1_000),
                "source": "demo",
            }
        ],
        history=[
            line(20, "lead.routed", team="gamma", rep="gail", sla="plain"),
            line(120, "alert.delivered", step="0%", to="gamma-desk", attempt=1),
            line(1_020, "lead.touched", submission="c-touch"),
            line(
                1_020, "lead.due_sooner", submission="c-touch", sla="fast", before=iso(10_000), deadline=iso(7_000),
                steps=["50%", "100%", "+4s", "+9s"], told={"gamma-desk": "sooner-1"},
            ),
            line(1_120, "alert.delivered", step="sooner-1", to="gamma-desk", attempt=1),
            line(4_050, "step.decided", step="50%", skipped=[], told=["gamma-desk", "duty"]),
            line(4_150, "alert.delivered", step="50%", to="gamma-desk", attempt=1),
            line(4_160, "alert.delivered", step="50%", to="duty", attempt=1),
            line(5_000, "lead.connected", by="gail"),
            line(5_130, "alert.delivered", step="moved-4", to="duty", attempt=1),
        ],
    )  # fmt: skip


def _lead_that_came_back() -> dict[str, Any]:
    """Sam once more, six seconds after the answer: with the rep who gave it."""
    return _record(
        "a2",
        received_at=iso(10_000),
        form="typeform-demo",
        state="answered",
        version=2,
        source="demo",
        team="alpha",
        rep="ada",
        sla="fast",
        deadline=iso(16_000),
        steps=_steps("fast", [10_000, 13_000, 16_000, 20_000, 25_000], ["0%"]),
        fields={"email": SAM},
        custom={MARK: "s10"},
        history=[
            line(10_020, "lead.routed", team="alpha", rep="ada", sla="fast"),
            line(10_120, "alert.delivered", step="0%", to="alpha-desk", attempt=1),
            line(11_000, "lead.connected", by="ada"),
        ],
    )


def _receipts_of_hurried() -> list[dict[str, Any]]:
    return [
        receipt("c1", "0%", "gamma-desk", "lead.assigned", 90, **_said("gail", 10_000, 20, 0.02)),
        receipt("c1", "sooner-1", "gamma-desk", "sla.reminder", 1_090, **_said("gail", 7_000, 1_020, 0.02)),
        receipt("c1", "50%", "gamma-desk", "sla.reminder", 4_120, **_said("gail", 7_000, 4_050, 0.05)),
        receipt("c1", "50%", "duty", "", 4_130, incident="c1", action="trigger"),
        receipt("c1", "", "duty", "incident", 5_100, incident="c1", action="resolve"),
        receipt("a2", "0%", "alpha-desk", "lead.assigned", 10_090, **_said("ada", 16_000, 10_020, 0.02)),
    ]


def _waiting_lead() -> dict[str, Any]:
    """Kim of gamma, under `steady`: nobody answers, and the whole ladder is climbed."""
    return _record(
        "b1",
        form="signed-signup",
        state="open",
        version=5,
        source="signup",
        team="gamma",
        rep="guy",
        sla="steady",
        deadline=iso(16_000),
        breached_at=iso(16_000),
        reps_before=["gail", "gus"],
        steps=_steps("steady", [0, 11_000, 16_000, 22_000, 28_000], ["0%", "-5s", "100%", "+6s", "+12s"]),
        fields={"email": KIM},
        custom={MARK: "s3"},
        history=[
            line(20, "lead.routed", team="gamma", rep="gail", sla="steady"),
            line(100, "alert.delivered", step="0%", to="gamma-desk", attempt=1),
            line(110, "alert.delivered", step="0%", to="head", attempt=1),
            line(11_050, "step.decided", step="-5s", skipped=[], told=["gamma-desk"]),
            line(11_150, "alert.delivered", step="-5s", to="gamma-desk", attempt=1),
            line(16_040, "lead.breached", rep="gail"),
            line(16_040, "lead.reassigned", from_="gail", to_="gus", because=["…"]),
            line(16_040, "step.decided", step="100%", skipped=[], told=["gamma-mail", "head", "gamma-desk"]),
            line(16_140, "alert.delivered", step="100%", to="head", attempt=1),
            line(16_145, "alert.delivered", step="100%", to="gamma-desk", attempt=1),
            line(16_150, "alert.failed", step="100%", to="gamma-mail", attempt=1, why="SMTP 450"),
            line(17_200, "alert.delivered", step="100%", to="gamma-mail", attempt=2),
            line(22_050, "lead.reassigned", from_="gus", to_="guy", because=["…"]),
            line(22_050, "step.decided", step="+6s", skipped=[], told=["gamma-desk", "gamma-mail"]),
            line(22_140, "alert.delivered", step="+6s", to="gamma-mail", attempt=1),
            line(
                22_150, "alert.given_up", step="+6s", to="gamma-desk", why="HTTP 400", fallback="gamma-mail"
            ),
            line(22_400, "alert.delivered", step="+6s~gamma-desk", to="gamma-mail", attempt=1),
            line(28_060, "lead.kept", from_="guy", to_="guy", because=["nobody else is left"]),
            line(28_060, "step.decided", step="+12s", skipped=[], told=["head"]),
            line(28_160, "alert.delivered", step="+12s", to="head", attempt=1),
        ],
    )


def _receipts_of_waiting() -> list[dict[str, Any]]:
    return [
        receipt("b1", "0%", "gamma-desk", "lead.assigned", 80, **_said("gail", 16_000, 20, 0.02)),
        receipt("b1", "0%", "head", "lead.assigned", 85, **_said("gail", 16_000, 20, 0.02)),
        receipt("b1", "-5s", "gamma-desk", "sla.reminder", 11_100, **_said("gail", 16_000, 11_050, 0.05)),
        receipt("b1", "100%", "head", "sla.breached", 16_120, **_said("gus", 16_000, 16_040, 0.04)),
        receipt("b1", "100%", "gamma-desk", "lead.reassigned", 16_125, **_said("gus", 16_000, 16_040, 0.04)),
        receipt("b1", "100%", "gamma-mail", "", 16_120, "refused", possible_repeat=False),
        receipt("b1", "100%", "gamma-mail", "", 17_180, possible_repeat=False),
        receipt(
            "b1",
            "+6s",
            "gamma-desk",
            "lead.reassigned",
            22_120,
            "refused",
            **_said("guy", 16_000, 22_050, 0.05),
        ),
        receipt("b1", "+6s", "gamma-mail", "", 22_120, possible_repeat=False),
        receipt("b1", "+6s~gamma-desk", "gamma-mail", "", 22_350, possible_repeat=False),
        receipt("b1", "+12s", "head", "sla.breached", 28_140, **_said("guy", 16_000, 28_060, 0.06)),
    ]
