"""`config/*.toml` → core objects, strictly: every mistake at once, each with its place and the nearest valid word.

files.py       the directory, TOML, the digest
table.py       one strict read of one key
sources.py teams.py calendars.py slas.py routing.py lookups.py conditions.py scoring.py intake.py alerts.py retention.py    one part each
load.py        the order of the parts, and what they come to
findings.py    what loads and still deserves a second look; it lists the files that look
shapes.py      which keys every table takes; schema.py makes JSON Schemas of it
expectations.py    what the rules must do with which lead
"""

from speed_to_lead.config.findings import Findings, findings_of, warnings_of
from speed_to_lead.config.load import Configuration, load_config
from speed_to_lead.config.mistakes import ConfigError, Mistake

__all__ = [
    "ConfigError",
    "Configuration",
    "Findings",
    "Mistake",
    "findings_of",
    "load_config",
    "warnings_of",
]
