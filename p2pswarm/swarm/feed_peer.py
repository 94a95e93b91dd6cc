"""One peer in the swarm of a feed: it is told what we know of the feed, and has no pieces."""

from typing import Protocol

from typing_extensions import override

from p2pswarm.errors import RemoteProtocolError
from p2pswarm.swarm.greeting import Greeted
from p2pswarm.swarm.pieceless import MOST_UNSENT, PiecelessHome, PiecelessPeer
from p2pswarm.wire.extension.feed import FeedMessage, read_feed
from p2pswarm.wire.extension.handshake import ExtendedHandshake
from p2pswarm.wire.extension.numbers import FEED, NUMBERS
from p2pswarm.wire.peer import Extended, Requests

__all__ = ["FeedHome", "FeedPeer"]


class FeedHome(PiecelessHome, Protocol):
    """What it needs of its swarm."""

    def peer_speaks(self, peer: "FeedPeer") -> None: ...
    def peer_said(self, peer: "FeedPeer", message: FeedMessage) -> None: ...


class FeedPeer(PiecelessPeer[FeedHome]):
    """One connection, from its handshake to its end."""

    def __init__(self, who: Greeted, home: FeedHome) -> None:
        super().__init__(who, home)
        self.speaks = False  # of feeds

    def got(self, message: object) -> None:
        """Raises RemoteProtocolError when the peer broke the rules."""
        if isinstance(message, Requests):
            raise RemoteProtocolError("a request in the swarm of a feed")
        if not isinstance(message, Extended):
            return
        if message.id != NUMBERS[FEED]:
            self.extensions.got(message)
            return
        self.extensions.count(len(message.payload))
        said = read_feed(message.payload)
        if said is not None and self.speaks:
            self._home.peer_said(self, said)

    @override
    def introduced(self, hello: ExtendedHandshake) -> None:
        """Who cannot speak of feeds is dropped when it says so. Raises RemoteProtocolError."""
        super().introduced(hello)
        if not hello.number(FEED):
            raise RemoteProtocolError("in the swarm of a feed, and speaks not of feeds")
        if not self.speaks:
            self.speaks = True
            self._home.peer_speaks(self)

    def say(self, message: FeedMessage) -> None:
        if self.stream.unsent > MOST_UNSENT:
            self.close(RemoteProtocolError("does not read what we send"))
        elif not self.stream.over:
            self.extensions.say(FEED, message.encode())

    def tick(self, now: float) -> None:
        """Once a second."""
        if not self.is_silent(now):
            self.keep_alive(now)
            self.extensions.tick(now)

    def caught_up(self) -> None:
        self.note_heard()

    @override
    def __repr__(self) -> str:
        return f"<FeedPeer {self.address}>"
