"""A small config that loads, and a way to write and load changed copies of it."""

from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

from speed_to_lead.config import ConfigError, Configuration, load_config
from speed_to_lead.core.delivery import KindOptions

NOW = datetime(2026, 11, 22, 9, 0, tzinfo=UTC)
PROVIDERS = {
    "typeform": ("ref", "id", "title", "type", "hidden", "variable"),
    "hubspot": ("property",),
    "generic": ("key",),
    "zapier": ("key",),
}

KINDS = {
    "console": KindOptions(),
    "slack": KindOptions(ways=(("url_env",), ("token_env", "channel"))),
    "webhook": KindOptions(required=("url_env", "secret_env")),
    "email": KindOptions(required=("to",), optional=("from", "smtp_url_env")),
}

SMALL = {
    "sources.toml": """
[sources.demo_request]
motion = "inbound"
aliases = ["Book a demo"]
[sources.paid_search]
label = "Paid search"
motion = "inbound"
[sources.customer_referral]
motion = "referral"
[[detect]]
when.utm_medium = ["cpc", "paid*"]
source = "paid_search"
""",
    "teams.toml": """
[calendars.london]
timezone = "Europe/London"
hours = { mon-thu = ["09:00-12:00", "13:00-17:30"], fri = "09:00-16:00" }
holidays = { country = "GB", subdivision = "ENG", add = ["2026-12-24"], remove = [2026-12-28] }
[calendars.always]
timezone = "UTC"
hours = { mon-sun = ["00:00-24:00"] }
[teams.inbound]
calendar = "always"
manager = "managers"
[[teams.inbound.reps]]
id = "ana"
name = "Ana Ruiz"
notify = "desk"
weight = 2
max_open = 25
away = ["2026-12-20..2027-01-02", 2027-02-01]
[[teams.inbound.reps]]
id = "ben"
[teams.triage]
calendar = "london"
manager = "console"
assignment = "least_open"
[[teams.triage.reps]]
id = "cleo"
calendar = "always"
""",
    "slas.toml": """
[slas.fast]
respond_within = "5m"
steps = [
  { at = "0%", tell = "rep" },
  { at = "100%", alert = ["manager", "desk"], reassign = true, name = "late" },
]
[slas.same-day]
respond_by = "close_of_business"
cutoff = "16:00"
""",
    "routing.toml": """
[[rules]]
name = "Big demo"
when.source = "demo_request"
when.employees = { at_least = 500 }
when.custom.plan = "pro"
unless.email = { domain = "gmail.com" }
team = "inbound"
sla = "fast"
[[rules]]
name = "Referral"
when.motion = "referral"
team = "inbound"
sla = "same-day"
[default]
team = "triage"
sla = "same-day"
""",
    "intake.toml": """
[forms.website-demo]
provider = "typeform"
secret_env = "TYPEFORM_SECRET"
source = "demo_request"
fields = { company = "ref:company_name", custom = { plan = "ref:plan" } }
[forms.import]
provider = "generic"
token_env = "IMPORT_TOKEN"
""",
    "alerts.toml": """
[destinations.managers]
type = "slack"
url_env = "SLACK_URL"
[destinations.desk]
type = "email"
to = ["desk@example.com"]
""",
}


def load(directory: Path, now: datetime = NOW) -> Configuration:
    return load_config(directory, providers=PROVIDERS, kinds=KINDS, now=now)


class ConfigDirectory:
    """A directory with the small config, to be changed by a test."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        for name, text in SMALL.items():
            (directory / name).write_text(text)

    def replace(self, file: str, old: str, new: str) -> None:
        path = self.directory / file
        text = path.read_text()
        assert old in text, f"{old!r} is not in {file}"
        path.write_text(text.replace(old, new, 1))

    def append(self, file: str, text: str) -> None:
        path = self.directory / file
        path.write_text(f"{path.read_text()}\n{text}\n")

    def write(self, files: Mapping[str, bytes]) -> None:
        for name, content in files.items():
            (self.directory / name).write_bytes(content)

    def load(self, now: datetime = NOW) -> Configuration:
        return load(self.directory, now)

    def mistakes(self) -> list[str]:
        try:
            self.load()
        except ConfigError as error:
            return [str(mistake) for mistake in error.mistakes]
        return []
