"""Packed texts: whatever goes in comes out, and what was damaged is an error of one kind."""

import hashlib
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
from speed_to_lead.store import packing
from speed_to_lead.store.contract import UnreadableRecord
from speed_to_lead.store.documents import dump, lead_document
from speed_to_lead.store.packing import MARK, legible, packed, unpacked
from speed_to_lead.store.records import read_record, record_of

#: For ever: without this dictionary no record that was packed with it can be read. See `packing.py`.
FROZEN = "581a1341c11d91313648c17ba3714e5ea4f13bda0636d5fe089404f7e2374d05"

LEAD = new_lead(datetime(2026, 11, 23, tzinfo=UTC))


def test_the_dictionary_is_frozen() -> None:
    """Whoever changes a byte of it makes every record unreadable; a better one gets the next number."""
    assert hashlib.sha256(packing._dictionary()).hexdigest() == packing.DIGEST == FROZEN


def test_what_was_packed_once_is_read_for_ever() -> None:
    """Bytes as a release wrote them."""
    stored = bytes.fromhex("0143343f0c520d4d524d120d92cc2c2c132d13930c0cd2cc896e92d40200")
    assert json.loads(unpacked(stored)) == {
        "id": "1a20e14e4a0b689a9ab00f7",
        "version": 1,
        "state": "open",
        "form": "api",
    }


def test_a_dictionary_that_was_damaged_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """A release without the right one reads nothing and writes nothing: it says so, instead of packing with it."""
    monkeypatch.setattr(packing, "DIGEST", "0" * 64)
    with pytest.raises(RuntimeError, match=r"dictionary-1\.txt is not the one .* expected 000000000000"):
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
        assert isinstance(legible(damaged), bytes)
    assert isinstance(read_record(record[:-1]), UnreadableRecord) or MARK not in record


def test_a_record_whose_version_is_another_is_unreadable() -> None:
    """Scripts look at the digits before it; a lead whose document says something else would never change again."""
    record = record_of(LEAD)
    assert str(read_record(b"2" + record[1:])) == "the record says version 2, its document 1"


def test_the_beginning_of_a_damaged_text_is_legible() -> None:
    """So that somebody who is named in it is found, and can be erased."""
    text = dump({"email": "kim@example.com", "message": "Hello there, this goes on for a while"})
    assert b"kim@example.com" in legible(packed(text)[:-3])
    assert legible(b"1 no record") == b"1 no record"


def test_threads_pack_side_by_side() -> None:
    """What is copied for each text is shared between threads."""
    texts = [dump({"id": str(number), "state": "open", "form": "api" * number}) for number in range(200)]
    with ThreadPoolExecutor(8) as threads:
        assert [text.encode() for text in texts] == list(
            threads.map(lambda text: unpacked(packed(text)), texts)
        )
