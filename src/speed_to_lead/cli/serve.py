"""`speed-to-lead web` and `speed-to-lead watchdog`: one process each. The Celery ones are started by `celery`."""

from speed_to_lead.logs import set_up_logs
from speed_to_lead.settings import load_settings
from speed_to_lead.tracing import set_up_tracing
from speed_to_lead.workplace import open_workplace_or_exit


def web() -> int:
    """Run the web process: hooks, API, health. Ends with SIGTERM or Ctrl-C."""
    from speed_to_lead.web.serve import serve  # noqa: PLC0415  each command loads only what it runs
    from speed_to_lead.worker.app import app  # noqa: PLC0415
    from speed_to_lead.worker.hints import send_hint  # noqa: PLC0415

    settings = load_settings()
    set_up_logs(settings.log_level, settings.log_format)
    set_up_tracing("web")
    place = open_workplace_or_exit()
    return serve(place, settings, lambda: send_hint(app, place.store, "route"))


def watchdog() -> int:
    """Run the watchdog: it tells the fallback destination when a part stops working."""
    from speed_to_lead import watchdog as watching  # noqa: PLC0415

    settings = load_settings()
    set_up_logs(settings.log_level, settings.log_format)
    watching.run(open_workplace_or_exit())
    return 0
