"""What the directory is asked by UDP: a magic, and a frame's kind and body, without its length.

Whoever asks may lie about where it is, so a request is padded to `REQUEST_SIZE` and no answer is longer than
that: nobody floods a victim through us. A body begins with eight bytes that come back with the answer and
that only the asked one saw. The padding is zeros; a body ends with the `e` of its dictionary.

The one hard thing: none of these may look like another guest's of the port (`wire/sniff`). Byte 16, where
Gnutella has its type, is the first letter of the dictionary's first key, and no such letter is one of its
types; bytes 4 to 7 are never STUN's cookie, because no kind is 0x21.
"""

from p2pswarm.errors import LocalProtocolError, RemoteProtocolError
from p2pswarm.wire.people.frames import PeopleFrame, PeopleKind
from p2pswarm.wire.supernode.frames import Frame

__all__ = ["MAGIC", "REQUEST_SIZE", "TOKEN_SIZE", "pack_datagram", "read_datagram"]

MAGIC = b"P2PD"
TOKEN_SIZE = 8
REQUEST_SIZE = 1200
_HEAD_SIZE = len(MAGIC) + 1
_QUESTIONS = frozenset(
    (
        PeopleKind.FIND,
        PeopleKind.PUT,
        PeopleKind.SEAT,
        PeopleKind.GOSSIP,
        PeopleKind.DIGEST,
        PeopleKind.REVOKED,
    )
)


def pack_datagram(frame: Frame, *, request: bool = False) -> bytes:
    """A request with its padding, or an answer. Raises LocalProtocolError for one that is too long."""
    data = MAGIC + bytes((frame.kind,)) + frame.body
    if len(data) > REQUEST_SIZE:
        raise LocalProtocolError(f"{frame!r} does not fit into a datagram")
    return data.ljust(REQUEST_SIZE, b"\0") if request else data


def read_datagram(data: bytes) -> PeopleFrame:
    """Its kind and body, of a kind of tomorrow as well. Raises RemoteProtocolError; also for a question that
    is not padded, for whoever lies about where it is would gain by asking."""
    body = data[_HEAD_SIZE:].rstrip(b"\0")
    if not data.startswith(MAGIC) or len(data) > REQUEST_SIZE or len(body) <= TOKEN_SIZE:
        raise RemoteProtocolError(f"a datagram of {len(data)} bytes that is none of ours")
    if data[4] in _QUESTIONS and len(data) < REQUEST_SIZE:
        raise RemoteProtocolError(f"a question of {len(data)} bytes, whose answer may be longer")
    return PeopleFrame(data[4], body)
