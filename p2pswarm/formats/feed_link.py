"""The link to a publisher's feed: a magnet that names a key instead of a torrent (BEP 46).

`magnet:?xs=urn:btpk:KEY&s=SALT`, both in hexadecimal digits; we add peers to begin with (`x.pe`), as other
magnets have them.
"""

import re
from dataclasses import dataclass
from typing import Self
from urllib.parse import parse_qsl, quote

from typing_extensions import override

from p2pswarm.errors import FormatError
from p2pswarm.formats.feed import FeedName
from p2pswarm.formats.ids import Address

__all__ = ["FeedLink"]

_SCHEME = "magnet:?"
_URN = "urn:btpk:"
_MAX = 64 << 10  # characters
_MAX_FIELDS = 200
_MAX_PEERS = 100
_KEY = re.compile(r"[0-9a-fA-F]{64}\Z")
_SALT = re.compile(r"(?:[0-9a-fA-F]{2}){0,64}\Z")


@dataclass(frozen=True, slots=True)
class FeedLink:
    """Which feed, and peers that may have it."""

    feed: FeedName
    peers: tuple[Address, ...] = ()

    @classmethod
    def parse(cls, text: str) -> Self:
        """Of a link, or a public key in hexadecimal digits alone. Raises FormatError."""
        text = text.strip()
        if _KEY.match(text):
            return cls(FeedName(bytes.fromhex(text)))
        if text[: len(_SCHEME)].lower() != _SCHEME or len(text) > _MAX:
            raise FormatError("neither a magnet link with a public key nor such a key")
        try:
            pairs = parse_qsl(text[len(_SCHEME) :], max_num_fields=_MAX_FIELDS, errors="replace")
        except ValueError as error:
            raise FormatError("a magnet link of too many parts") from error
        keys = [v[len(_URN) :] for k, v in pairs if k == "xs" and v.lower().startswith(_URN)]
        salts = [value for key, value in pairs if key == "s"]
        if not keys or not _KEY.match(keys[0]):
            raise FormatError("a magnet link that names no public key (xs=urn:btpk:…)")
        if not all(map(_SALT.match, salts)):
            raise FormatError("the salt of this link is no hexadecimal number of up to 64 bytes")
        salt = bytes.fromhex(salts[0]) if salts else b""
        peers = (_peer(value) for key, value in pairs if key == "x.pe")
        known = dict.fromkeys(peer for peer in peers if peer is not None)
        return cls(FeedName(bytes.fromhex(keys[0]), salt), tuple(known)[:_MAX_PEERS])

    @override
    def __str__(self) -> str:
        key, salt = self.feed
        parts = [f"xs={_URN}{key.hex()}"] + ([f"s={salt.hex()}"] if salt else [])
        parts += [f"x.pe={quote(str(peer), safe=':[]')}" for peer in self.peers]
        return _SCHEME + "&".join(parts)


def _peer(text: str) -> Address | None:
    """Host names are left out: each costs somebody a look-up."""
    try:
        address = Address.parse(text).normal
    except FormatError:
        return None
    return address if address.dialable else None
