"""How far the lists of form tools were compared with what arrived: one short text for each form."""

from collections.abc import Sequence

from speed_to_lead.core.clock import from_ms, to_ms
from speed_to_lead.store.contract import Reconciliation, Result
from speed_to_lead.store.server import Server, text, translated_errors


class RedisReconciliations:
    """How far each form's list was compared, on a Redis or Valkey server."""

    def __init__(self, server: Server) -> None:
        self._server = server

    def of(self, forms: Sequence[str]) -> dict[str, Reconciliation]:
        """Those of these forms that were ever noted."""
        if not forms:
            return {}
        with translated_errors():
            found = self._server.client.hmget(self._server.keys.reconciliations, list(forms))
        return {
            form: _read(form, text(value))
            for form, value in zip(forms, found, strict=True)
            if value is not None
        }

    def note(self, before: Reconciliation | None, after: Reconciliation) -> Result:
        """Keep this in place of that."""
        seen = _written(before) if before is not None else ""
        arguments = [after.form, seen, _written(after)]
        answer = self._server.run_one("swap_field", [self._server.keys.reconciliations], arguments)
        return Result(text(answer))


def _written(one: Reconciliation) -> str:
    return f"{to_ms(one.since)} {to_ms(one.next_at)} {one.attempts}"


def _read(form: str, value: str) -> Reconciliation:
    since, next_at, attempts = map(int, value.split())
    return Reconciliation(form, from_ms(since), from_ms(next_at), attempts)
