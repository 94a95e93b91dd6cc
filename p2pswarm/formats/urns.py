"""The names that networks and magnet links give a file by its hash: read in any case, written in one way.

HUGE 0.94 (`urn:sha1:`, `urn:bitprint:`), THEX (`urn:tree:tiger:`, also with a slash, and `urn:ttroot:` of
older programs), BEP 9 (`urn:btih:`). Base32 is that of RFC 4648, without padding.
"""

import re
from base64 import b32decode, b32encode
from typing import NamedTuple

from p2pswarm.errors import FormatError
from p2pswarm.formats.ids import InfoHash

__all__ = [
    "Named",
    "base32",
    "btih_urn",
    "read_base32",
    "read_urn",
    "sha1_urn",
]

_SHA1, _TIGER = 20, 24  # bytes
_BASE32 = re.compile(r"[A-Za-z2-7]*")
_MAX = 256  # characters; the longest that we know has 85


class Named(NamedTuple):
    """What a URN tells of a file's bytes; at least one of them."""

    sha1: bytes | None = None
    tth: bytes | None = None
    info_hash: InfoHash | None = None


def read_urn(text: str) -> Named:
    """Raises FormatError, also for a URN that names something else."""
    scheme, _, rest = text[:_MAX].strip().partition(":")
    kind, _, value = rest.partition(":")
    if scheme.lower() != "urn" or len(text) > _MAX:
        raise FormatError(f"{text[:_MAX]!r} is not a URN")
    match kind.lower():
        case "sha1":
            return Named(sha1=read_base32(value, _SHA1))
        case "bitprint":
            sha1, dot, tth = value.partition(".")  # some write the first half alone
            root = read_base32(tth, _TIGER) if dot else None
            return Named(read_base32(sha1, _SHA1), root)
        case "tree" if value[:5].lower() == "tiger" and value[5:6] in (":", "/"):
            return Named(tth=read_base32(value[6:].removeprefix(":"), _TIGER))
        case "ttroot":
            return Named(tth=read_base32(value, _TIGER))
        case "btih":
            return Named(info_hash=_info_hash(value))
        case _:
            raise FormatError(f"{text!r} names no file by its hash")


def _info_hash(value: str) -> InfoHash:
    try:
        raw = bytes.fromhex(value) if len(value) == 2 * _SHA1 else read_base32(value, _SHA1)
    except (ValueError, FormatError) as error:
        raise FormatError(
            f"{value!r} is not an info-hash: that has 40 hexadecimal digits, or 32 of base32"
        ) from error
    return InfoHash(raw)


def read_base32(text: str, size: int) -> bytes:
    """A hash of `size` bytes. Raises FormatError."""
    if len(text) != -(-size * 8 // 5) or not _BASE32.fullmatch(text):
        raise FormatError(f"{text!r} is not base32 of {size} bytes")
    return b32decode(text + "=" * (-len(text) % 8), casefold=True)


def base32(value: bytes) -> str:
    return b32encode(value).decode("ascii").rstrip("=")


def sha1_urn(sha1: bytes) -> str:
    return f"urn:sha1:{base32(sha1)}"


def btih_urn(info_hash: InfoHash) -> str:
    return f"urn:btih:{info_hash.hex()}"
