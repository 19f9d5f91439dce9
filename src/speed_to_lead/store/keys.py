"""Every key name, in one place. All carry one hash tag, so that a script may touch any of them in a cluster.

`docs/redis-keys.md` says what each holds.
"""

from dataclasses import dataclass
from functools import cached_property


@dataclass(frozen=True)
class Keys:
    """Key names under one prefix: `Keys("stl").due` is `{stl}:leads:due`."""

    prefix: str = "stl"

    @cached_property
    def _tag(self) -> str:
        return f"{{{self.prefix}}}"

    def _key(self, *parts: str) -> str:
        return ":".join((self._tag, *parts))

    @cached_property
    def start(self) -> str:
        """What every key begins with."""
        return self._key("")

    @cached_property
    def incoming(self) -> str:
        """Stream: submissions waiting to be routed."""
        return self._key("leads", "incoming")

    @cached_property
    def patient(self) -> str:
        """Stream: submissions put off in a flood, because their deadline is far away."""
        return self._key("leads", "patient")

    @cached_property
    def due(self) -> str:
        """Sorted set: lead id by the UTC ms of its next instant. A hint; the record decides."""
        return self._key("leads", "due")

    @cached_property
    def all_leads(self) -> str:
        """Sorted set: lead id by the UTC ms of its receipt."""
        return self._key("leads", "all")

    @cached_property
    def open_leads(self) -> str:
        """Set: ids of the leads nobody has answered or closed."""
        return self._key("leads", "open")

    @cached_property
    def quarantine(self) -> str:
        """Hash: lead id → why its record cannot be worked on."""
        return self._key("leads", "quarantine")

    @cached_property
    def load(self) -> str:
        """Hash: rep id → number of open leads."""
        return self._key("load")

    @cached_property
    def load_changes(self) -> str:
        """Hash: rep id → how often that rep's count was changed, so that the auditor knows whether it counted in peace."""
        return self._key("load", "changes")

    @cached_property
    def given(self) -> str:
        """Hash: rep id → what assignment gave them lately, for caps a day and cooldowns."""
        return self._key("reps", "given")

    @cached_property
    def away(self) -> str:
        """Hash: rep id → who said that they are away, since when, until when."""
        return self._key("reps", "away")

    @cached_property
    def waiting(self) -> str:
        """Sorted set: open lead without a rep by the UTC ms of its deadline. A hint; the record decides."""
        return self._key("leads", "waiting")

    @cached_property
    def waiting_teams(self) -> str:
        """Hash: open lead without a rep → its team."""
        return self._key("leads", "waiting", "teams")

    @cached_property
    def ledger(self) -> str:
        """Hash: counter → count."""
        return self._key("ledger")

    @cached_property
    def metrics(self) -> str:
        """Hash: count for /metrics → number (`core/metrics.py` names the fields)."""
        return self._key("metrics")

    @cached_property
    def alerts(self) -> str:
        """Hash: alert key → document, for alerts not yet delivered and for dead ones."""
        return self._key("alerts")

    @cached_property
    def attempts(self) -> str:
        """Hash: alert key → `attempts:unknown attempts:lease token`."""
        return self._key("alerts", "attempts")

    @cached_property
    def dead_alerts(self) -> str:
        """Sorted set: alert key by the UTC ms at which it was given up."""
        return self._key("alerts", "dead")

    def disabled(self, destination: str) -> str:
        """String: why a destination is sent nothing; it expires when it is to be tried again."""
        return self._key("disabled", destination)

    @cached_property
    def outboxes(self) -> str:
        """Set: names of destinations that have had an alert."""
        return self._key("outboxes")

    @cached_property
    def dead_letters(self) -> str:
        """Sorted set: submission id by the UTC ms at which it was buried."""
        return self._key("dead-letters")

    @cached_property
    def fetches(self) -> str:
        """Sorted set: submission of ids only by the UTC ms at which its form tool is asked next."""
        return self._key("fetches")

    @cached_property
    def fetches_overdue(self) -> str:
        """Sorted set: the same by the UTC ms at which it is routed by what is known; those that were are not in it."""
        return self._key("fetches", "overdue")

    @cached_property
    def reconciliations(self) -> str:
        """Hash: form → how far its tool's list was compared with what arrived, and when it will be again."""
        return self._key("reconciliations")

    @cached_property
    def erasures(self) -> str:
        """List: one JSON line for each erasure of a person, without a word about who it was."""
        return self._key("erasures")

    @cached_property
    def config_versions(self) -> str:
        """List: one JSON line for each published version of the config, oldest first; the last one is live."""
        return self._key("config", "versions")

    @cached_property
    def config_contents(self) -> str:
        """Hash: digest → the files of a published config, deflated."""
        return self._key("config", "contents")

    @cached_property
    def config_shadow(self) -> str:
        """Hash with expiry: the config that routers decide by beside the live one, assigning nothing."""
        return self._key("config", "shadow")

    @cached_property
    def config_shadow_counts(self) -> str:
        """Hash with expiry: how often the shadow agreed with the live config, and how often it differed in what."""
        return self._key("config", "shadow", "counts")

    @cached_property
    def config_shadow_examples(self) -> str:
        """List with expiry: one JSON line for each of the newest leads that the shadow would have routed otherwise."""
        return self._key("config", "shadow", "examples")

    @cached_property
    def heartbeats(self) -> str:
        """Sorted set: `stage@host:pid` by the UTC ms of its last sign of life."""
        return self._key("heartbeats")

    @cached_property
    def readiness(self) -> str:
        """String with expiry: written by the web process to find out whether the server would store a lead."""
        return self._key("readiness")

    @cached_property
    def broker(self) -> str:
        """Prefix of everything Celery keeps."""
        return self._key("celery", "")

    def config_running(self, process: str) -> str:
        """String with expiry: the config that the process `host:pid` works with, and the one it refuses."""
        return self._key("config", "running", process.replace(":", "/"))  # one part of a name has no colon

    def told(self, finding: str) -> str:
        """String with expiry: that kind of contradiction, or that silence, was told of, and not long ago."""
        return self._key("audit", "told", finding)

    def hint(self, stage: str) -> str:
        """String with expiry: a hint to that stage is on its way."""
        return self._key("hint", stage)

    def lead(self, lead_id: str) -> str:
        """List: the record of one lead, then one line for each thing that happened to it (`records.py`)."""
        return self._key("lead", lead_id)

    def person(self, digest: str) -> str:
        """String: the newest lead of a person."""
        return self._key("person", digest)

    def company(self, digest: str) -> str:
        """String: the newest lead of a company; only where a rule asks who has the company."""
        return self._key("company", digest)

    def seen(self, key: str) -> str:
        """String with expiry: the lead a submission became, for recognising it again."""
        return self._key("seen", key)

    def rotation(self, team: str) -> str:
        """Hash: `version`, `clock` and `turn:<rep>` of a team's rotation."""
        return self._key("rotation", team)

    def outbox(self, destination: str) -> str:
        """Sorted set: alert key by the UTC ms of its next attempt."""
        return self._key("outbox", destination)

    def leased(self, destination: str) -> str:
        """Sorted set: alert key by the UTC ms at which its courier's lease ends."""
        return self._key("outbox", destination, "leased")

    def trouble(self, destination: str) -> str:
        """String with expiry: since when a destination has taken nothing, and until when it wants to be left alone."""
        return self._key("outbox", destination, "trouble")

    def storm(self, destination: str) -> str:
        """String with expiry: how many alerts a destination with a digest was to get, and since when."""
        return self._key("outbox", destination, "storm")

    def fetch(self, name: str) -> str:
        """Hash: a submission of ids only, and how often its form tool was asked."""
        return self._key("fetch", name)

    def repeats(self, key: str) -> str:
        """Sorted set with expiry: short hashes of the submissions that said the same, by their place."""
        return self._key("repeats", key)

    def rate(self, form: str) -> str:
        """String with expiry: UTC ms at which the bucket of a form with a rate limit will be full again."""
        return self._key("rate", form)

    def dead_letter(self, submission_id: str) -> str:
        """Hash: a submission that could not be read, with its error."""
        return self._key("dead-letter", submission_id)


#: An entry of the patient lane is called by this and its id there: two streams may give the same id.
_PATIENT = "patient/"


def entry_name(keys: Keys, stream: str, own_id: str) -> str:
    """What an entry of that stream is called everywhere outside of the store."""
    return f"{_PATIENT}{own_id}" if stream == keys.patient else own_id


def place_of(keys: Keys, entry_name: str) -> tuple[str, str]:
    """The stream an entry waits in, and its id there."""
    own_id = entry_name.removeprefix(_PATIENT)
    return (keys.incoming if own_id == entry_name else keys.patient), own_id
