"""The shadow config: a candidate that routers decide by beside the live one, what they counted, and examples."""

import json
from collections.abc import Mapping, Sequence
from datetime import timedelta

from speed_to_lead.core.clock import from_ms, to_ms
from speed_to_lead.store.configs import content_of, texts_of
from speed_to_lead.store.contract import Result, ShadowConfig
from speed_to_lead.store.server import Server, text, translated_errors

#: A shadow that nobody ends is over after so long: its examples name leads, and it takes the routers' time.
SHADOW_LASTS = timedelta(days=14)
#: Examples that are kept, the newest.
SHADOW_EXAMPLES = 200


class RedisShadow:
    """The shadow config on a Redis or Valkey server."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._client = server.client
        self._keys = server.keys

    def begin(self, shadow: ShadowConfig, texts: Mapping[str, bytes]) -> None:
        """Make this the shadow, in place of another one; nothing is counted yet."""
        fields = {
            "id": shadow.id,
            "digest": shadow.digest,
            "by": shadow.by,
            "at": to_ms(shadow.at),
            "beside": shadow.beside,
            "content": content_of(texts),
        }
        with translated_errors():
            pipe = self._client.pipeline(transaction=True)
            pipe.delete(*self._own)
            pipe.hset(self._keys.config_shadow, mapping=fields)
            pipe.pexpire(self._keys.config_shadow, SHADOW_LASTS)
            pipe.execute()

    def current(self) -> ShadowConfig | None:
        """The shadow, or None."""
        with translated_errors():
            found = self._client.hmget(self._keys.config_shadow, "id", "digest", "by", "at", "beside")
        if None in found:
            return None
        shadow_id, digest, by, at, beside = map(text, found)
        return ShadowConfig(shadow_id, digest, by, from_ms(int(at)), int(beside))

    def texts(self, shadow_id: str) -> dict[str, bytes] | None:
        """What its files say; None where it was ended, or another one was begun."""
        with translated_errors():
            found, content = self._client.hmget(self._keys.config_shadow, "id", "content")
        return texts_of(content) if found is not None and text(found) == shadow_id and content else None

    def note(self, shadow_id: str, counts: Mapping[str, int], examples: Sequence[str]) -> Result:
        """Count what it decided, and keep examples."""
        left = int(SHADOW_LASTS.total_seconds() * 1000)
        arguments = (shadow_id, json.dumps(dict(counts)), SHADOW_EXAMPLES, left, *examples)
        return Result(text(self._server.run_one("note_shadow", self._own, arguments)))

    def report(self, limit: int) -> tuple[dict[str, int], list[str]]:
        """Every count by name, and the newest examples."""
        with translated_errors():
            counts = self._client.hgetall(self._keys.config_shadow_counts)
            examples = self._client.lrange(self._keys.config_shadow_examples, 0, limit - 1)
        return {text(name): int(n) for name, n in counts.items()}, [text(line) for line in examples]

    def end(self) -> Result:
        """Have no shadow any more, and forget what it counted; GONE where there was none."""
        with translated_errors():
            pipe = self._client.pipeline(transaction=True)
            pipe.exists(self._keys.config_shadow)
            pipe.delete(*self._own)
            was_there, _ = pipe.execute()
        return Result.APPLIED if was_there else Result.GONE

    @property
    def _own(self) -> tuple[str, str, str]:
        return (
            self._keys.config_shadow,
            self._keys.config_shadow_counts,
            self._keys.config_shadow_examples,
        )
