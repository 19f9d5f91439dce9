"""`config/*.toml` → core objects, strictly: every mistake at once, each with its place and the nearest valid word.

files.py       the directory, TOML, the digest
table.py       one strict read of one key
sources.py teams.py calendars.py slas.py routing.py conditions.py scoring.py intake.py alerts.py retention.py    one part each
load.py        the order of the parts, and what they come to
warnings.py    what loads and still deserves a second look
"""

from speed_to_lead.config.load import Configuration, load_config
from speed_to_lead.config.mistakes import ConfigError, Mistake
from speed_to_lead.config.warnings import warnings_of

__all__ = ["ConfigError", "Configuration", "Mistake", "load_config", "warnings_of"]
