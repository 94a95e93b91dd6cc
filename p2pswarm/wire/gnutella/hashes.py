"""How a message names a file's content: URNs, or the same in GGEP.

`urn:sha1:<base32>` and `urn:bitprint:<base32>.<base32>` (HUGE 0.94), GGEP H with a first byte that tells
which of the two follows, GGEP u with a URN that lost its `urn:`. A bitprint is a SHA-1 and a tiger tree root.
"""

from collections.abc import Iterable
from typing import NamedTuple

from p2pswarm.errors import FormatError
from p2pswarm.formats.urns import read_urn
from p2pswarm.wire.gnutella.ggep import Ggep

__all__ = ["Hashes", "hashes_of"]

_H_SHA1, _H_BITPRINT = 1, 2


class Hashes(NamedTuple):
    """What is known of a content; each may be missing."""

    sha1: bytes | None = None
    tth: bytes | None = None


def hashes_of(urns: Iterable[str], ggep: Ggep) -> Hashes:
    """The first word of each kind counts; what cannot be read says nothing."""
    found = [_from_urn(urn) for urn in urns]
    found.append(_from_h(ggep.get("H", b"")))
    if "u" in ggep:
        found.append(_from_urn("urn:" + ggep["u"].decode("latin-1")))
    sha1 = next((hashes.sha1 for hashes in found if hashes.sha1), None)
    tth = next((hashes.tth for hashes in found if hashes.tth), None)
    return Hashes(sha1, tth)


def _from_urn(urn: str) -> Hashes:
    try:
        named = read_urn(urn)
    except FormatError:
        return Hashes()
    return Hashes(named.sha1, named.tth)


def _from_h(value: bytes) -> Hashes:
    if value[:1] == bytes([_H_SHA1]) and len(value) >= 21:
        return Hashes(value[1:21])
    if value[:1] == bytes([_H_BITPRINT]) and len(value) >= 45:
        return Hashes(value[1:21], value[21:45])
    return Hashes()
