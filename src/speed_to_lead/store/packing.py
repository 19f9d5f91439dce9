"""Texts made small: raw deflate with a dictionary of what every record says, so that a lead costs a fifth of its JSON.

A packed text begins with one byte that names its dictionary; no JSON begins with it, so a text that is not packed is
read as it is. A dictionary is for ever: without it nothing that was packed with it can be read. One that serves
better is added under the next number, and the old one stays.
"""

import hashlib
import zlib
from contextlib import suppress
from importlib.resources import files

#: What a packed text begins with.
MARK = b"\x01"
#: Half of the dictionary's 8 KiB window would lose what is rarer, all of zlib's 32 KiB costs time to set up.
WINDOW_BITS = 13
#: As small as the best, and no slower than the fastest: most of a text is one match after the other.
LEVEL = 6
#: A small table of matches is copied in a microsecond.
MEMORY_LEVEL = 6
DIGEST = "581a1341c11d91313648c17ba3714e5ea4f13bda0636d5fe089404f7e2374d05"


def _dictionary() -> bytes:
    # Lines may have been given other ends by a checkout; what was packed knows only these.
    words = files("speed_to_lead.store").joinpath("dictionary-1.txt").read_bytes().replace(b"\r\n", b"\n")
    found = hashlib.sha256(words).hexdigest()
    if found != DIGEST:
        raise RuntimeError(
            f"store/dictionary-1.txt is not the one that records were packed with (SHA-256 {found[:12]}…, "
            f"expected {DIGEST[:12]}…); install this release again"
        )
    return words


_WORDS = _dictionary()
#: Copied for each text: reading the dictionary in takes longer than most texts do.
_PACKER = zlib.compressobj(
    LEVEL, zlib.DEFLATED, -WINDOW_BITS, MEMORY_LEVEL, zlib.Z_DEFAULT_STRATEGY, zdict=_WORDS
)


def packed(text: str) -> bytes:
    """The text, packed where that makes it smaller. It must not begin with the mark, as no JSON does."""
    raw = text.encode()
    packer = _PACKER.copy()
    small = MARK + packer.compress(raw) + packer.flush()
    return small if len(small) < len(raw) else raw


def unpacked(stored: bytes) -> bytes:
    """The UTF-8 of the text. Raises ValueError for what was packed and then damaged."""
    if not stored.startswith(MARK):
        return stored
    unpacker = zlib.decompressobj(-WINDOW_BITS, _WORDS)
    try:
        raw = unpacker.decompress(stored[1:])
    except zlib.error as error:
        raise ValueError(f"it is packed, and damaged: {error}") from None
    if not unpacker.eof or unpacker.unused_data:
        raise ValueError("it is packed, and cut off or glued to something else")
    return raw


def legible(stored: bytes) -> bytes:
    """The text, or as much of a damaged one as can still be read: whoever is named in that is to be found in it."""
    _, mark, small = stored.partition(MARK)
    if not mark:
        return stored
    unpacker = zlib.decompressobj(-WINDOW_BITS, _WORDS)
    raw = b""
    with suppress(zlib.error):
        for byte in small:
            raw += unpacker.decompress(bytes([byte]))
    return raw
