"""`speed-to-lead web` and `speed-to-lead watchdog`: one process each. The Celery ones are started by `celery`."""

from typing import Annotated

import typer

from speed_to_lead.cli.connect import opened_store
from speed_to_lead.cli.output import say
from speed_to_lead.logs import set_up_logs
from speed_to_lead.settings import load_settings
from speed_to_lead.tracing import set_up_tracing
from speed_to_lead.workplace import DESTINATION_SECRETS, FORM_SECRETS, open_workplace_or_exit


def web() -> int:
    """Run the web process: hooks, API, metrics, health. Ends with SIGTERM or Ctrl-C."""
    from speed_to_lead.web.serve import serve  # noqa: PLC0415  each command loads only what it runs
    from speed_to_lead.worker.app import app  # noqa: PLC0415
    from speed_to_lead.worker.hints import publish_hint  # noqa: PLC0415

    settings = load_settings()
    set_up_logs(settings.log_level, settings.log_format)
    set_up_tracing("web")
    place = open_workplace_or_exit(lambda: (FORM_SECRETS,))
    return serve(place, settings, lambda: publish_hint(app, "route"))


def watchdog(
    *,
    once: Annotated[
        bool,
        typer.Option(
            "--once", help="Look once and end: 0 all is well, 1 with a line for each problem, 2 no server."
        ),
    ] = False,
) -> int:
    """Run the watchdog: it tells the fallback destination when a part stops working.

    With STL_DEADMAN_URL it also POSTs there, each minute, while all is well. A service that raises the alarm when it
    hears nothing then also covers the loss of the watchdog itself.
    """
    from speed_to_lead import watchdog as watching  # noqa: PLC0415
    from speed_to_lead.destinations import DeadMan, new_http_client  # noqa: PLC0415

    settings = load_settings()
    if once:
        with opened_store() as store:
            problems = watching.problems_of(store.operations.health())
        for problem in problems:
            say(problem)
        return 1 if problems else 0
    set_up_logs(settings.log_level, settings.log_format)
    pulse = None
    if url := settings.deadman_url.get_secret_value():
        pulse = watching.Pulse(DeadMan(new_http_client(), url).ping, settings.deadman_seconds)
    watching.run(open_workplace_or_exit(lambda: (DESTINATION_SECRETS,)), pulse)
    return 0
