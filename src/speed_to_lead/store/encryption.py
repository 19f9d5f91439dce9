"""Encryption at rest: what is personal in a record becomes one Fernet token; what scripts and indexes need stays plain.

`STL_ENCRYPTION_KEYS` lists the keys: the first encrypts, all of them decrypt. To rotate, give every process `OLD,NEW`
and restart all; then `NEW,OLD` and restart all; run `speed-to-lead leads reencrypt`, then take the old key away. A
process that meets what it has no key for leaves it to one that has (`contract.LockedRecord`). Without keys everything
is plain, and plain records stay readable once there are keys.
"""

import hashlib
import hmac
from collections.abc import Sequence
from typing import Any


class MissingKey(ValueError):
    """The record is encrypted with a key that is not set."""


class UnusableKeys(ValueError):
    """STL_ENCRYPTION_KEYS cannot be used; the text says why and what to do."""


def looks_sealed(token: str | bytes) -> bool:
    """Whether some key may open it: a Fernet token begins with its version and a time in this century or the next."""
    return (token if isinstance(token, bytes) else token.encode()).startswith(b"gAAAA")


class Vault:
    """Seals and opens personal texts. With no keys it seals nothing and opens nothing."""

    def __init__(self, keys: Sequence[str] = ()) -> None:
        """Raises UnusableKeys for a key that is none, or where the package for it is not installed."""
        self._first: Any = None
        self._all: Any = None
        self._invalid: tuple[type[Exception], ...] = ()
        self._digest_key = b""
        if keys:
            self._load(keys)

    @property
    def seals(self) -> bool:
        """Whether personal texts are encrypted before they are stored."""
        return self._first is not None

    def seal(self, text: str | bytes) -> str:
        """The text as a token under the first key."""
        raw = text.encode("utf-8", "surrogatepass") if isinstance(text, str) else text
        token: bytes = self._first.encrypt(raw)
        return token.decode("ascii")

    def open(self, token: str | bytes) -> bytes:
        """What was sealed. Raises MissingKey."""
        if self._all is None:
            raise MissingKey("it is encrypted, and STL_ENCRYPTION_KEYS is not set")
        try:
            opened: bytes = self._all.decrypt(token)
        except self._invalid:
            raise MissingKey(
                "it is encrypted with a key that STL_ENCRYPTION_KEYS does not list (or it was damaged)"
            ) from None
        return opened

    def is_current(self, token: str | bytes) -> bool:
        """Whether the token was sealed with the first key."""
        try:
            self._first.decrypt(token)
        except self._invalid:
            return False
        return True

    def digest(self, body: bytes) -> str:
        """Tells whether two bodies are one, where each is kept as a token that never comes twice."""
        return hmac.new(self._digest_key, body, hashlib.sha256).hexdigest()[:32]

    def _load(self, keys: Sequence[str]) -> None:
        try:
            from cryptography.fernet import Fernet, InvalidToken, MultiFernet  # noqa: PLC0415 - an extra
        except ImportError:
            raise UnusableKeys(
                "STL_ENCRYPTION_KEYS is set, and the package that encrypts is not installed; "
                "pip install 'speed-to-lead[encryption]', or unset the variable"
            ) from None
        try:
            fernets = [Fernet(key) for key in keys]
        except ValueError:
            raise UnusableKeys(
                "STL_ENCRYPTION_KEYS: every key is 32 bytes in URL-safe Base64, separated by commas; make one with "
                '`python -c "from cryptography.fernet import Fernet; print(Fernet.generate_key().decode())"`'
            ) from None
        self._first, self._all, self._invalid = (
            fernets[0],
            MultiFernet(fernets),
            (InvalidToken, TypeError, ValueError),
        )
        self._digest_key = hashlib.sha256(b"speed-to-lead body\0" + keys[0].encode()).digest()


#: Seals nothing: how records are written and read where no keys are set.
PLAIN = Vault()
