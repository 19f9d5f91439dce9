"""What stands under a lead's key: a list, its record first, then its history, a line for each thing that happened.

A record is the lead's version in digits, a space, and its packed document: scripts compare the digits and look no
further. One key for both saves a tenth of a lead's memory.
"""

import json
from collections.abc import Sequence

from speed_to_lead.core.lead import HistoryEntry, Lead, LeadState
from speed_to_lead.store.contract import LockedRecord, UnreadableRecord
from speed_to_lead.store.documents import history_entry, history_line, lead_document, lead_from
from speed_to_lead.store.encryption import PLAIN, MissingKey, Vault
from speed_to_lead.store.packing import packed, unpacked


def record_of(lead: Lead, vault: Vault = PLAIN) -> bytes:
    """The record of a lead."""
    return with_version(lead.version, lead_document(lead, vault))


def with_version(version: int, document: str) -> bytes:
    """The record that holds this document."""
    return b"%d %b" % (version, packed(document))


def document_of(record: bytes) -> tuple[int, bytes]:
    """The version and the JSON of a record. Raises ValueError for what is none."""
    version, _, document = record.partition(b" ")
    if not version.isdigit():
        raise ValueError("it does not begin with its version")
    return int(version), unpacked(document)


def read_record(record: bytes | None, vault: Vault = PLAIN) -> Lead | UnreadableRecord | None:
    """The lead of a stored record; a record that is none is answered as an error value."""
    if record is None:
        return None
    try:
        version, document = document_of(record)
        lead = lead_from(document, vault)
    except MissingKey as error:
        is_open = json.loads(document).get("state") == LeadState.OPEN
        return LockedRecord(f"the record cannot be read: {error}", is_open=is_open)
    except (ValueError, KeyError, TypeError, AttributeError, OverflowError, RecursionError) as error:
        return UnreadableRecord(f"the record cannot be read: {type(error).__name__}")
    if lead.version != version:  # no change of it would ever be taken
        return UnreadableRecord(f"the record says version {version}, its document {lead.version}")
    return lead


def known_record(found: bytes | int | None, vault: Vault = PLAIN) -> Lead | UnreadableRecord | None:
    """The same of one answer of `read_leads.lua`."""
    return UnreadableRecord("the record is not a list") if found == 0 else read_record(found, vault)  # type: ignore[arg-type]


def line_of(entry: HistoryEntry, vault: Vault = PLAIN) -> bytes:
    """One line of a history."""
    return packed(history_line(entry, vault))


def read_history(lines: Sequence[bytes], vault: Vault = PLAIN) -> list[HistoryEntry]:
    """What the lines say. Raises ValueError, KeyError or TypeError where one is none."""
    return [history_entry(unpacked(line), vault) for line in lines]
