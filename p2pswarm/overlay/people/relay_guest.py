"""The conversation with one that wants to be relayed, until its bytes are another's.

It proves its key or has a ticket, says once whom it wants, and then nothing but PING until the other one is
there.
"""

import asyncio
from collections.abc import Callable
from typing import Protocol

from p2pswarm.errors import NetworkError, RemoteProtocolError
from p2pswarm.formats.ids import Address
from p2pswarm.net.stream import Stream
from p2pswarm.overlay.limits import Tokens
from p2pswarm.wire.people.dictionary import PeopleMessage
from p2pswarm.wire.people.frames import PeopleKind
from p2pswarm.wire.people.hello import Ping, Pong, Reason, Refuse
from p2pswarm.wire.people.relaying import Relay
from p2pswarm.wire.people.ringing import Prove, Proved
from p2pswarm.wire.supernode.frames import Frame

__all__ = ["RelayGuest"]

PINGS = (1.0, 20.0)  # a second, and saved up; ours come twice a minute
PATIENCE = 15.0  # seconds in which a guest has to say what it wants
MOST_UNREAD = 4 << 10  # bytes
LINGER = 2.0  # seconds for the last word to leave


class Desk(Protocol):
    """Who decides."""

    def prove(self, proof: Prove, nonce: bytes, local: Address) -> bytes:
        """The key that is proved, at this end of ours. Raises RemoteError."""

    def asked(self, guest: "RelayGuest", wish: Relay) -> None:
        """It is joined, or waits, or is refused."""

    def left(self, guest: "RelayGuest") -> None:
        """It waits no more. May be called twice."""


class RelayGuest:
    """`refuse` it, or join it; `ended` is what to do when a guest joined by datagrams has left."""

    ended: Callable[[], object]

    def __init__(self, desk: Desk, stream: Stream, nonce: bytes, now: float) -> None:
        self.stream = stream
        self.key, self.ended = b"", _nothing
        self._desk, self._nonce, self._since = desk, nonce, now
        self._asked = self._parting = False
        self._pings = Tokens(*PINGS, now)

    def say(self, message: PeopleMessage) -> None:
        self.stream.send(message.encode().encode())

    def is_late(self, now: float) -> bool:
        return not self._asked and now - self._since >= PATIENCE

    def refuse(self, reason: Reason, text: str) -> None:
        """Say why, and hang up when that has left."""
        if not self._parting and not self.stream.over:
            self._parting = True
            self._desk.left(self)
            self.say(Refuse(reason, text))
            asyncio.get_running_loop().call_later(LINGER, self.stream.close, NetworkError(text))

    def got(self, message: object) -> None:
        """Raises RemoteError."""
        assert isinstance(message, Frame)
        if self._parting:
            return
        match message.kind:
            case PeopleKind.PROVE if not self.key and not self._asked:
                shown, local = Prove.read(message.body), self.stream.local
                self.key = self._desk.prove(shown, self._nonce, local)
                self.say(Proved())
            case PeopleKind.RELAY if not self._asked:
                self._asked = True
                self._desk.asked(self, Relay.read(message.body))
            case PeopleKind.PING:
                self._pinged(Ping.read(message.body))
            case _:
                raise RemoteProtocolError("it says what nobody says to a relay")

    def _pinged(self, ping: Ping) -> None:
        """Answered, unless it reads nothing of what it is answered. Raises RemoteProtocolError."""
        if (
            not self._pings.take(asyncio.get_running_loop().time())
            or self.stream.unsent > MOST_UNREAD
        ):
            raise RemoteProtocolError("it says more than it reads")
        self.say(Pong())

    def caught_up(self) -> None:
        """Each frame is answered when it comes."""

    def drained(self) -> None:
        """Nothing large is sent."""

    def closed(self, reason: Exception | None) -> None:
        self._desk.left(self)
        self.ended()


def _nothing() -> None:
    """It is not joined."""
