"""p2p_feed: entries of a publisher's feed, from follower to follower (`docs/protocols/feed.md`).

Our own extension. Entries travel as they were signed, each a string in the message's dictionary; what is in
them, `formats/feed.py` reads. Who has nothing says nothing.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from p2pswarm.errors import RemoteProtocolError
from p2pswarm.formats import bencode
from p2pswarm.formats.feed import MAX_ENTRIES, MAX_ENTRY
from p2pswarm.wire.extension.body import read_body

__all__ = [
    "MOST_ENTRIES",
    "FeedAsk",
    "FeedEntries",
    "FeedHead",
    "FeedMessage",
    "FeedProof",
    "read_feed",
]

MOST_ENTRIES = 32  # in a message
_MAX_MESSAGE = MOST_ENTRIES * (MAX_ENTRY + 5) + 100  # bytes
_MAX_TOKENS = MOST_ENTRIES + 20  # values


@dataclass(slots=True)
class FeedHead:
    """The last entry that the sender knows of: it is signed, so nobody can promise what there is not."""

    entry: bytes

    def encode(self) -> bytes:
        return bencode.encode({b"msg_type": 0, b"entry": self.entry})


@dataclass(slots=True)
class FeedAsk:
    """The sender wants the entries from this number on, as many as fit."""

    first: int

    def encode(self) -> bytes:
        return bencode.encode({b"msg_type": 1, b"from": self.first})


@dataclass(slots=True)
class FeedEntries:
    """What was asked for; none where the sender does not have them."""

    entries: Sequence[bytes]

    def encode(self) -> bytes:
        return bencode.encode({b"msg_type": 2, b"entries": list(self.entries)})


@dataclass(slots=True)
class FeedProof:
    """Two entries that cannot both be in one chain: the publisher told two stories."""

    entries: tuple[bytes, bytes]

    def encode(self) -> bytes:
        return bencode.encode({b"msg_type": 3, b"entries": list(self.entries)})


FeedMessage = FeedHead | FeedAsk | FeedEntries | FeedProof


def read_feed(payload: bytes) -> FeedMessage | None:
    """What a peer sent; None for a kind that is newer than we. Raises RemoteProtocolError."""
    body, _ = read_body("p2p_feed", payload, most=_MAX_MESSAGE, tokens=_MAX_TOKENS, depth=3)
    match _number(body.get(b"msg_type")):
        case 0:
            return FeedHead(_entry(body.get(b"entry")))
        case 1:
            return FeedAsk(_first(body))
        case 2:
            return FeedEntries(_entries(body, MOST_ENTRIES))
        case 3 if len(entries := _entries(body, 2)) == 2:
            return FeedProof((entries[0], entries[1]))
        case 3:
            raise RemoteProtocolError("p2p_feed: a proof is two entries")
        case _:
            return None


def _first(body: dict[bytes, Any]) -> int:
    first = _number(body.get(b"from"))
    if not 0 < first <= MAX_ENTRIES:
        raise RemoteProtocolError(f"p2p_feed: asks for entry {first}")
    return first


def _entries(body: dict[bytes, Any], most: int) -> list[bytes]:
    entries = body.get(b"entries")
    if not isinstance(entries, list) or len(entries) > most:
        raise RemoteProtocolError("p2p_feed: no list of entries, or too long a one")
    return [_entry(each) for each in entries]


def _entry(value: object) -> bytes:
    if not isinstance(value, bytes) or not 0 < len(value) <= MAX_ENTRY:
        raise RemoteProtocolError("p2p_feed: an entry is missing, or too long")
    return value


def _number(value: object) -> int:
    if not isinstance(value, int) or value < 0:
        raise RemoteProtocolError("p2p_feed: a number is missing or odd")
    return value
