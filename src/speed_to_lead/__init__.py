"""Speed-to-lead: no sales lead waits longer than it should.

- `flow/`          receive → route → sweep → deliver → respond: start reading there
- `core/`          the decisions: pure functions over plain values
- `forms/`         what each form tool sends
- `store/`         the only package that knows Redis
- `destinations/`  the only package that talks to people
- `crm/`           the only package that talks to CRMs: whose is this lead?
- `config/`        config/*.toml → core objects
- `spellings/`     countries, phone numbers, addresses, domains: one meaning, many spellings
- `address.py`     the server's address, Sentinels included
- `publication.py`  the config that is published, as one process follows it
- `shadow.py`      what would a candidate make of the leads that come now?
- `workplace.py`   store, rules and destinations, opened once in each process
- `worker/`        the only package that knows Celery
- `web/`, `cli/`   HTTP and command line in
- `auditor.py`     does anything contradict the promises?
- `burials.py`     submissions that could not be read are told of, a flood of them once
- `arrivals.py`    has a form or a source fallen silent?
- `watchdog.py`    is anybody still working?
"""

__version__ = "0.1.0"
