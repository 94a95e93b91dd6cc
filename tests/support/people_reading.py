"""Any frame of the people protocol, read: a node itself asks each body by its kind, where it is heard."""

from p2pswarm.wire.people.dictionary import PeopleMessage
from p2pswarm.wire.people.finding import Find, Found, Put, Referral, Rejected, Stored, Unknown
from p2pswarm.wire.people.hello import Bye, Hello, Ping, Pong, Refuse, Welcome
from p2pswarm.wire.people.relaying import Meet, Ready, Relay, Swarm
from p2pswarm.wire.people.ringing import Answer, Cancel, Decline, Prove, Proved, Ring, Rung
from p2pswarm.wire.people.slots import (
    Differs,
    Digest,
    Gossip,
    Gossiped,
    Part,
    Revoked,
    Seat,
    Slot,
)
from p2pswarm.wire.supernode.frames import Frame

__all__ = ["MESSAGES", "read_frame"]

MESSAGES: list[type[PeopleMessage]] = [
    *(Hello, Welcome, Refuse, Bye, Ping, Pong),
    *(Prove, Proved, Ring, Rung, Answer, Decline, Cancel),
    *(Relay, Ready, Swarm, Meet),
    *(Find, Found, Referral, Unknown, Put, Stored, Rejected),
    *(Seat, Slot, Gossip, Gossiped, Digest, Differs, Revoked, Part),
]
_READERS = {message.kind: message for message in MESSAGES}


def read_frame(frame: Frame) -> PeopleMessage | None:
    """What it says; None for a kind of tomorrow. Raises RemoteProtocolError."""
    reader = _READERS.get(frame.kind)
    return None if reader is None else reader.read(frame.body)
