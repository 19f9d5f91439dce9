"""Texts made small: Zstandard with a dictionary of what every record says, so that a lead costs a fifth of its JSON.

A packed text begins with one byte that names its dictionary; no JSON begins with it, so a text that is not packed is
read as it is. A dictionary is for ever: without it nothing that was packed with it can be read. One that serves
better is added under the next number, and the old one stays. benchmarks/dictionary.py made it.
"""

import hashlib
import threading
from importlib.resources import files

import zstandard

#: What a packed text begins with.
MARK = b"\x01"
#: Level 5 would be a tenth smaller, and take twice as long.
LEVEL = 3
#: No packed text is longer: of a damaged one the length it claims is not believed, and no such memory asked for. The
#: longest record, of touches full of characters that JSON writes as six, is half of it.
LONGEST = 256 * 1024 * 1024
DIGEST = "b3ca01d94acf6754991fcfd0354182fea5390f9ec2f705e521aecbdaa8a6ee2e"


def _dictionary() -> bytes:
    words = files("speed_to_lead.store").joinpath("dictionary-1.zstd").read_bytes()
    found = hashlib.sha256(words).hexdigest()
    if found != DIGEST:
        raise RuntimeError(
            f"store/dictionary-1.zstd is not the one that records were packed with (SHA-256 {found[:12]}…, "
            f"expected {DIGEST[:12]}…); install this release again"
        )
    return words


#: Without magic number and dictionary id: our mark says both. With a checksum: of damaged texts every second one would
#: be read as another text, and a fifth as other JSON.
_FORMAT = zstandard.FORMAT_ZSTD1_MAGICLESS
_PARAMETERS = zstandard.ZstdCompressionParameters.from_level(
    LEVEL, format=_FORMAT, write_content_size=True, write_checksum=True, write_dict_id=False
)
_WORDS = zstandard.ZstdCompressionDict(_dictionary())
_WORDS.precompute_compress(compression_params=_PARAMETERS)


class _Packer(threading.local):
    """One for each thread: they hold what they are working on."""

    def __init__(self) -> None:
        self.pack = zstandard.ZstdCompressor(dict_data=_WORDS, compression_params=_PARAMETERS).compress
        self.unpack = zstandard.ZstdDecompressor(dict_data=_WORDS, format=_FORMAT).decompress


_packer = _Packer()


def packed(text: str) -> bytes:
    """The text, packed where that makes it smaller. It must not begin with the mark, as no JSON does."""
    raw = text.encode()
    if len(raw) > LONGEST:
        return raw
    small = MARK + _packer.pack(raw)
    return small if len(small) < len(raw) else raw


def unpacked(stored: bytes) -> bytes:
    """The UTF-8 of the text. Raises ValueError for what was packed and then damaged."""
    if not stored.startswith(MARK):
        return stored
    small = stored[1:]
    try:
        length = zstandard.get_frame_parameters(small, format=_FORMAT).content_size
        if not 0 < length <= LONGEST:
            raise ValueError(f"it is packed, and damaged: it claims to be {'endless' if length else 'empty'}")
        return _packer.unpack(small, allow_extra_data=False)
    except zstandard.ZstdError as error:
        raise ValueError(f"it is packed, and damaged: {error}") from None
