"""The published config: a line for each version, and each content once, deflated, under its digest."""

import json
import zlib
from collections.abc import Mapping, Sequence
from datetime import timedelta

from speed_to_lead.core.clock import from_ms, to_ms
from speed_to_lead.store.contract import ConfigVersion, Result, RunningConfig, UnreadableRecord
from speed_to_lead.store.server import Server, text, translated_errors

#: How long it is kept what a process works with; it says so again each hour.
RUNNING_LASTS = timedelta(days=1)
#: What deflates to less may be a bomb of another's making; ten thousand rules are 3 MB.
MAX_CONTENT = 64 * 1024 * 1024


class RedisConfigs:
    """Published versions on a Redis or Valkey server."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._client = server.client
        self._keys = server.keys
        self._last: tuple[bytes, ConfigVersion] | None = None

    def current(self) -> ConfigVersion | None:
        """The version that is live: the last of the list."""
        with translated_errors():
            line = self._client.lindex(self._keys.config_versions, -1)
        if line is None:
            return None
        last = self._last  # asked for with every batch, and hardly ever another one
        if last is None or last[0] != line:
            last = self._last = (line, version_of(line))
        return last[1]

    def version(self, number: int) -> ConfigVersion | None:
        """One version, or None."""
        if number < 1:
            return None
        with translated_errors():
            line = self._client.lindex(self._keys.config_versions, number - 1)
        return None if line is None else version_of(line)

    def history(self, limit: int) -> list[ConfigVersion]:
        """The newest versions first."""
        with translated_errors():
            lines = self._client.lrange(self._keys.config_versions, -limit, -1)
        return [version_of(line) for line in reversed(lines)]

    def texts(self, digest: str) -> dict[str, bytes] | None:
        """What the files of that content say."""
        with translated_errors():
            content = self._client.hget(self._keys.config_contents, digest)
        return None if content is None else texts_of(content)

    def publish(self, version: ConfigVersion, texts: Mapping[str, bytes]) -> Result:
        """Make this the live version."""
        answer = self._server.run_one(
            "publish_config",
            (self._keys.config_versions, self._keys.config_contents),
            (version.number, line_of(version), version.digest, content_of(texts)),
            confirmed=True,
        )
        return Result(text(answer))

    def note_running(self, process: str, running: RunningConfig) -> None:
        """Keep for a day which config the process works with."""
        said = json.dumps(
            {
                "version": running.version,
                "digest": running.digest,
                "refused": running.refused,
                "why": running.why,
            }
        )
        with translated_errors():
            self._client.set(self._keys.config_running(process), said, ex=RUNNING_LASTS)

    def running(self, processes: Sequence[str]) -> dict[str, RunningConfig]:
        """What these processes said."""
        if not processes:
            return {}
        with translated_errors():
            said = self._client.mget([self._keys.config_running(process) for process in processes])
        return {
            process: RunningConfig(**json.loads(line))
            for process, line in zip(processes, said, strict=True)
            if line is not None
        }

    def size(self) -> int:
        """Bytes of all lines and contents."""
        with translated_errors():
            lines = self._client.lrange(self._keys.config_versions, 0, -1)
            lengths = [
                self._client.hstrlen(self._keys.config_contents, digest)
                for digest in self._client.hkeys(self._keys.config_contents)
            ]
        return sum(map(len, lines)) + sum(map(int, lengths))


def line_of(version: ConfigVersion) -> bytes:
    """A version as it is kept."""
    said = {
        "number": version.number,
        "digest": version.digest,
        "by": version.by,
        "at": to_ms(version.at),
        "message": version.message,
        "restores": version.restores,
    }
    return json.dumps(said, ensure_ascii=False, separators=(",", ":")).encode()


def version_of(line: bytes) -> ConfigVersion:
    """A version from its line. Raises UnreadableRecord."""
    try:
        said = json.loads(line)
        return ConfigVersion(
            int(said["number"]),
            str(said["digest"]),
            str(said["by"]),
            from_ms(int(said["at"])),
            str(said["message"]),
            int(said["restores"]),
        )
    except (ValueError, KeyError, TypeError, OverflowError) as error:
        raise UnreadableRecord(
            f"config:versions holds a line that is no version ({type(error).__name__})"
        ) from None


def content_of(texts: Mapping[str, bytes]) -> bytes:
    """The files as they are kept: the shipped ones take a third of their size."""
    said = {name: raw.decode("utf-8", "surrogateescape") for name, raw in sorted(texts.items())}
    return zlib.compress(json.dumps(said).encode(), 9)


def texts_of(content: bytes) -> dict[str, bytes]:
    """The files of a content. Raises UnreadableRecord where it is damaged."""
    try:
        unpacker = zlib.decompressobj()
        raw = unpacker.decompress(content, MAX_CONTENT)
        if not unpacker.eof:
            raise ValueError("it is cut off")  # noqa: TRY301
        return {
            str(name): str(said).encode("utf-8", "surrogateescape") for name, said in json.loads(raw).items()
        }
    except (ValueError, AttributeError, zlib.error) as error:
        raise UnreadableRecord(
            f"a published config is damaged ({type(error).__name__}); publish it again"
        ) from None
