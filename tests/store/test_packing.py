"""Packed texts: whatever goes in comes out, and what was damaged is an error of one kind."""

import contextlib
import hashlib
import itertools
import json
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.store.builders import new_lead
from tests.store.test_documents import ANYTHING, LEADS, QUICK

from speed_to_lead.core.lead import Lead
from speed_to_lead.core.same_person import MAX_TOUCHES
from speed_to_lead.forms import reading
from speed_to_lead.store import packing
from speed_to_lead.store.contract import UnreadableRecord
from speed_to_lead.store.documents import dump, lead_document
from speed_to_lead.store.packing import MARK, packed, unpacked
from speed_to_lead.store.records import read_record, record_of

#: For ever: without this dictionary no record that was packed with it can be read. See `packing.py`.
FROZEN = "b3ca01d94acf6754991fcfd0354182fea5390f9ec2f705e521aecbdaa8a6ee2e"

LEAD = new_lead(datetime(2026, 11, 23, tzinfo=UTC))


def test_the_dictionary_is_frozen() -> None:
    """Whoever changes a byte of it makes every record unreadable; a better one gets the next number."""
    assert hashlib.sha256(packing._dictionary()).hexdigest() == packing.DIGEST == FROZEN


def test_what_was_packed_once_is_read_for_ever() -> None:
    """Bytes as a release wrote them."""
    stored = bytes.fromhex("012048c50000c34002dd431104bee845901304fc3c70565283b8ba8f1905")
    assert json.loads(unpacked(stored)) == {
        "id": "1a20e14e4a0b689a9ab00f7",
        "version": 1,
        "state": "open",
        "form": "api",
    }


def test_a_dictionary_that_was_damaged_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """A release without the right one reads nothing and writes nothing: it says so, instead of packing with it."""
    monkeypatch.setattr(packing, "DIGEST", "0" * 64)
    with pytest.raises(RuntimeError, match=r"dictionary-1\.zstd is not the one .* expected 000000000000"):
        packing._dictionary()


@settings(max_examples=200, deadline=None)
@given(st.dictionaries(st.text(), ANYTHING, max_size=4) | ANYTHING)
def test_any_json_comes_back(value: Any) -> None:
    """Halves of surrogate pairs, nothing, and whatever is nested; and it is never larger."""
    text = dump(value)
    assert (text.encode(), value) == (unpacked(packed(text)), json.loads(unpacked(packed(text))))
    assert len(packed(text)) <= len(text.encode())


def test_what_packs_badly_stands_as_it_is() -> None:
    """Nothing, and the shortest JSON; hand-written records are read as they were written."""
    assert [b"", b"{}", b'{"x":7}'] == [packed(""), packed("{}"), packed('{"x":7}')]
    assert unpacked(b'{"id":"by hand"}') == b'{"id":"by hand"}'


def test_a_record_is_a_fraction_of_its_document() -> None:
    """What every record says is in the dictionary."""
    assert len(record_of(LEAD)) < len(lead_document(LEAD)) / 2


@QUICK
@given(LEADS, st.data())
def test_a_damaged_record_is_an_answer(lead: Lead, data: st.DataObject) -> None:
    """Cut off, lengthened, or with a byte changed: a lead, or an unreadable record; never an exception."""
    record = record_of(lead)
    at = data.draw(st.integers(0, len(record) - 1))
    other = data.draw(st.integers(0, 255))
    for damaged in (record[:at], record + bytes([other]), record[:at] + bytes([other]) + record[at + 1 :]):
        assert isinstance(read_record(damaged), (Lead, UnreadableRecord))
    assert isinstance(read_record(record[:-1]), UnreadableRecord) or MARK not in record


def test_a_record_whose_version_is_another_is_unreadable() -> None:
    """Scripts look at the digits before it; a lead whose document says something else would never change again."""
    record = record_of(LEAD)
    assert str(read_record(b"2" + record[1:])) == "the record says version 2, its document 1"


def test_what_claims_to_be_endless_is_refused_unread() -> None:
    """Of a damaged text no memory is asked for that only its header speaks of."""
    claims = MARK + b"\xe0" + (2**40).to_bytes(8, "little") + packed(dump({"id": "a" * 300}))[2:]
    with pytest.raises(ValueError, match="claims to be endless"):
        unpacked(claims)


def test_what_claims_to_be_empty_is_refused() -> None:
    """Nothing is ever packed that is; zstandard alone would not look at what follows."""
    with pytest.raises(ValueError, match="claims to be empty"):
        unpacked(MARK + b"\x20\x00" + packed(dump({"id": "a" * 300}))[4:])


def test_no_damaged_byte_makes_another_text() -> None:
    """Whatever one byte becomes: it is refused, or says what it said. Else an erasure would look into what was never written."""
    text = dump({"fields": {"email": "kim@example.com", "message": "call me at noon"}, "state": "open"})
    stored = packed(text)
    found: set[str] = set()
    for at, was in itertools.product(range(1, len(stored)), range(256)):
        with contextlib.suppress(ValueError):
            found.add(unpacked(stored[:at] + bytes([was]) + stored[at + 1 :]).decode())
    assert {text} == found


def test_what_is_too_long_to_be_read_back_is_not_packed(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is written as it is: a record that can be written can be read."""
    monkeypatch.setattr(packing, "LONGEST", 1000)
    for length in (900, 2000):
        text = dump({"id": "a" * length})
        assert text.encode() == unpacked(packed(text))


def test_the_longest_record_there_can_be_is_packed() -> None:
    """A lead and its touches, each a whole body of characters that JSON writes as six."""
    assert 6 * reading.MAX_BODY_BYTES * (1 + MAX_TOUCHES) < packing.LONGEST


def test_threads_pack_side_by_side() -> None:
    """What is copied for each text is shared between threads."""
    texts = [dump({"id": str(number), "state": "open", "form": "api" * number}) for number in range(200)]
    with ThreadPoolExecutor(8) as threads:
        assert [text.encode() for text in texts] == list(
            threads.map(lambda text: unpacked(packed(text)), texts)
        )
