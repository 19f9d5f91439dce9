"""Re-encryption: everything under the first key, while the work goes on. Each rewrite is refused where the text has changed."""

import json
from collections.abc import Iterator, Sequence
from contextlib import suppress
from typing import Any

from speed_to_lead.store.contract import Held, HeldKind, Resealed
from speed_to_lead.store.documents import FREE_TEXT_DETAILS, PERSONAL, resealed
from speed_to_lead.store.encryption import MissingKey, UnusableKeys, Vault
from speed_to_lead.store.everything import Walk
from speed_to_lead.store.packing import packed, unpacked
from speed_to_lead.store.records import document_of, with_version
from speed_to_lead.store.server import ScriptCall, Server, translated_errors

#: A record that changes under every rewrite is left to the next run.
TRIES = 5


class Resealing:
    """Rewrites records under the first key."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._client = server.client
        self._keys = server.keys
        self._vault = server.vault

    def run(self) -> Iterator[Resealed]:
        """Bring everything under the first key; each batch's counts. What is under it already is passed over."""
        if not self._vault.seals:
            raise UnusableKeys("STL_ENCRYPTION_KEYS is not set, so there is no key to encrypt with; set it")
        for batch in Walk(self._server).everything():
            done = Resealed(looked_at=batch.keys)
            for held in batch.held:
                done += self._reseal_one(held)
            yield done

    def _reseal_one(self, held: Held) -> Resealed:
        # What waits for its form tool's answer is in flight too: it comes back into the queue, or goes within days.
        is_in_flight = held.kind is HeldKind.INCOMING or held.name.startswith("fetch:")
        if held.is_locked or is_in_flight:
            return Resealed(locked=held.is_locked, in_flight=is_in_flight)
        try:
            for _ in range(TRIES):
                call = self._reseal_call(held)
                if call is None:
                    return Resealed()
                if self._server.run([call])[0] == b"applied":
                    return Resealed(rewritten=1)
        except MissingKey:
            return Resealed(locked=1)
        except (ValueError, TypeError):
            return Resealed(unreadable=1)
        return Resealed(contended=1)

    def _reseal_call(self, held: Held) -> ScriptCall | None:
        """The rewrite of one thing as it is now; None where there is nothing to do."""
        keys, vault = self._keys, self._vault
        with translated_errors():
            match held.kind:
                case HeldKind.LEAD:
                    key = keys.lead(held.name)
                    record = self._client.lindex(key, 0)
                    version, found = document_of(record) if record else (0, b"{}")
                    new = resealed(found, PERSONAL, vault)
                    return (
                        ScriptCall("rewrite_lines", [key], [0, record, with_version(version, new)])
                        if new
                        else None
                    )
                case HeldKind.ALERT:
                    found = self._client.hget(keys.alerts, held.name)
                    new = resealed(found, ("note",), vault) if found else None
                    return (
                        ScriptCall("rewrite_fields", [keys.alerts], [held.name, found, new]) if new else None
                    )
                case HeldKind.HISTORY:
                    key = keys.lead(held.name)
                    arguments: list[Any] = []
                    for number, line in enumerate(self._client.lrange(key, 1, -1), start=1):
                        new = self._resealed_line(unpacked(line))
                        arguments += [number, line, packed(new)] if new else []
                    return ScriptCall("rewrite_lines", [key], arguments) if arguments else None
                case HeldKind.DEAD_LETTER:
                    return self._reseal_letter(keys.dead_letter(held.name))
                case _:
                    return None

    def _resealed_line(self, line: bytes) -> str | None:
        document = json.loads(line)
        needs = "sealed" in document or _has_free_text(document)
        return resealed(line, ("details",), self._vault) if needs else None

    def _reseal_letter(self, key: str) -> ScriptCall | None:
        fields, vault = self._client.hgetall(key), self._vault
        body = fields.get(b"body", b"")
        if not fields or (fields.get(b"sealed") and vault.is_current(body)):
            return None
        new: dict[bytes, Any] = {}
        for name in (b"body", b"headers"):
            if name in fields:
                plain = vault.open(fields[name]) if fields.get(b"sealed") else fields[name]
                new[name] = vault.seal(plain)
                if name == b"body":
                    new[b"same_by"] = vault.digest(plain)
        new[b"sealed"] = 1
        arguments = [part for name, value in new.items() for part in (name, fields.get(name, b""), value)]
        return ScriptCall("rewrite_fields", [key], arguments)


def sealed_again(line: str, personal: Sequence[str], vault: Vault) -> str:
    """A rewritten line of history, or an alert, as it is stored: sealed where its kind is.

    What is left of a damaged one is no JSON; it stays as it is, less what was taken out.
    """
    with suppress(ValueError):
        if vault.seals and _has_free_text(json.loads(line)):
            return resealed(line, personal, vault) or line
    return line


def _has_free_text(document: Any) -> bool:
    details = document.get("details") if isinstance(document, dict) else None
    if isinstance(details, dict):
        return not FREE_TEXT_DETAILS.isdisjoint(details)
    return "note" in document
