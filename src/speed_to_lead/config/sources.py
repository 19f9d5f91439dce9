"""sources.toml → the taxonomy: every source, what else it is called, how one is recognised, and when silence is told."""

import re
from collections.abc import Mapping

from speed_to_lead.config.conditions import DETECTION_FIELDS, read_conditions
from speed_to_lead.config.mistakes import Names, quoted
from speed_to_lead.config.shapes import AUDIT, DETECTION, SOURCE, SOURCE_NAME
from speed_to_lead.config.table import Table
from speed_to_lead.core.arrivals import AuditTerms
from speed_to_lead.core.attribution import UNKNOWN_SOURCE, Detection, Motion, Source, Taxonomy
from speed_to_lead.core.sla import parse_duration


def read_taxonomy(file: Table, sources: Names) -> Taxonomy:
    """The taxonomy of sources.toml."""
    file.refuse_keys_except("sources", "detect", "audit")
    tables = dict(file.named_tables("sources"))
    found = {
        name: source for name, table in tables.items() if (source := _read_source(name, table)) is not None
    }
    _claim_words(found, tables)
    taxonomy = Taxonomy(found)
    detections = [
        detection
        for table in file.listed_tables("detect", "[[detect]]")
        if (detection := _read_detection(table, sources, taxonomy)) is not None
    ]
    return Taxonomy(found, tuple(detections))


def read_audit_terms(file: Table) -> AuditTerms:
    """What `[audit]` says, and the default of what it does not."""
    terms = AuditTerms()
    table = file.table("audit", "a table: write [audit]")
    if table is None:
        return terms
    table.refuse_keys_except(*AUDIT)
    text = table.text("quiet_after", 'a duration in quotes, such as "30d"')
    try:
        quiet_after = parse_duration(text) if text is not None else terms.quiet_after
    except ValueError as error:
        table.mistake(f"quiet_after: {error}")
        quiet_after = terms.quiet_after
    silent_at = table.whole_number("silent_at", 1, 1_000_000)
    return AuditTerms(quiet_after, terms.silent_at if silent_at is None else silent_at)


def _read_source(name: str, table: Table) -> Source | None:
    table.refuse_keys_except(*SOURCE)
    if name == UNKNOWN_SOURCE.name:
        table.mistake(
            'the source "unknown" is built in, for leads of which nothing tells the source; choose another name'
        )
        return None
    if not SOURCE_NAME.fullmatch(name):
        table.mistake(f"{quoted(name)} cannot be a source's name; use a-z, 0-9 and _")
    label = table.text("label", "a text for people to read") or name.replace("_", " ").capitalize()
    motion = table.choice("motion", [motion.value for motion in Motion], required=True)
    aliases = table.texts("aliases", 'a list of texts such as ["book a demo"]') or ()
    if motion is None:
        return None
    return Source(name, label, Motion(motion), aliases)


def _claim_words(sources: Mapping[str, Source], tables: Mapping[str, Table]) -> None:
    """One word, one source: else which of two a lead belongs to would depend on their order."""
    owners = {_folded(UNKNOWN_SOURCE.name): UNKNOWN_SOURCE.name}
    claims = [(name, name) for name in sources]  # names first: an alias cannot take another source's name
    claims += [(word, source.name) for source in sources.values() for word in (source.label, *source.aliases)]
    for word, name in claims:
        owner = owners.setdefault(_folded(word), name)
        if owner != name:
            tables[name].mistake(
                f"{quoted(word)} already means the source {quoted(owner)}; one word means one source"
            )


def _read_detection(table: Table, sources: Names, taxonomy: Taxonomy) -> Detection | None:
    table.refuse_keys_except(*DETECTION)
    source = table.reference("source", sources, "the name of a source", required=True)
    when = read_conditions(table, "when", DETECTION_FIELDS, sources, taxonomy)
    unless = read_conditions(table, "unless", DETECTION_FIELDS, sources, taxonomy)
    return Detection(source, when, unless) if source is not None else None


def _folded(word: str) -> str:
    # The fold of Taxonomy.named: what is one word to a lead must be one word here.
    return re.sub(r"[\s_-]+", " ", word.strip().casefold())
