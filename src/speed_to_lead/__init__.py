"""Speed-to-lead: no sales lead waits longer than it should.

    core/           the decisions, pure
    forms/          what each form tool sends             →  store/queue
    flow.py         receive → route → sweep → deliver → respond → audit: start reading there
    store/          the only package that knows Redis
    destinations/   the only package that talks to people
    config/         config/*.toml → core objects
    worker/         the only package that knows Celery
    web/  cli/      HTTP and command line in
    watchdog.py     is anybody still working?
"""

__version__ = "0.1.0"
