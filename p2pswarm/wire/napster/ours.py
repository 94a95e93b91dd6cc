"""Messages of our own, for what Napster has no field for (docs/protocols/napster.md).

They are sent to nobody who did not name p2pswarm at login, so foreign programs never see one.
"""

import re
from dataclasses import dataclass

from p2pswarm.wire.napster.frames import Message, Text

__all__ = ["Greeting", "HashSearch", "HitNote", "ShareNote", "is_torrent_name", "torrent_name"]


class Greeting(Text):
    """The server speaks p2pswarm's extension; `p2pswarm/VERSION 1`."""

    number = 0x7000


@dataclass(slots=True)
class ShareNote(Message):
    """More about a file just shared; hexadecimal, `-` for what is not known."""

    number = 0x7001
    layout = '"name" sha1 info_hash'

    name: str
    sha1: str
    info_hash: str


@dataclass(slots=True)
class HitNote(Message):
    """The same about the result that follows, and where its host speaks BitTorrent."""

    number = 0x7002
    layout = 'nick "name" sha1 info_hash #port'

    nick: str
    name: str
    sha1: str
    info_hash: str
    port: int


@dataclass(slots=True)
class HashSearch(Message):
    """Search by hash, `sha1` or `btih`; answered like `Search`."""

    number = 0x7003
    layout = "kind digest"

    kind: str
    digest: str


_TORRENT = re.compile(r"p2pswarm:btih:[0-9a-f]{40}\.torrent")


def torrent_name(info_hash: bytes) -> str:
    """Under which name our own hosts send a .torrent, beside the files they share."""
    return f"p2pswarm:btih:{info_hash.hex()}.torrent"


def is_torrent_name(name: str) -> bool:
    return _TORRENT.fullmatch(name) is not None
