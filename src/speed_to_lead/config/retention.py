"""retention.toml → how long each kind of thing is kept; for ever where nothing is said."""

from speed_to_lead.config.shapes import KEEP
from speed_to_lead.config.table import Table
from speed_to_lead.core.retention import Retention
from speed_to_lead.core.sla import parse_duration

_EXPECTED = 'a duration in quotes, such as "90d", or the line left out to keep it for ever'


def read_retention(file: Table) -> Retention:
    """What `[keep]` says."""
    file.refuse_keys_except("keep")
    table = file.table("keep", "a table: write [keep]")
    if table is None:
        return Retention()
    table.refuse_keys_except(*KEEP)
    ages = {}
    for name in KEEP:
        text = table.text(name, _EXPECTED)
        try:
            ages[name] = parse_duration(text) if text is not None else None
        except ValueError as error:
            table.mistake(f"{name}: {error}")
    return Retention(**ages)
