"""One peer in the swarm of a feed: it is told what we know of the feed, and has no pieces."""

from typing import Protocol

from typing_extensions import override

from p2pswarm.errors import RemoteProtocolError
from p2pswarm.formats.ids import Address, PieceIndex
from p2pswarm.swarm.extensions import ExtensionHome, Extensions
from p2pswarm.swarm.greeting import Greeted
from p2pswarm.swarm.metadata_peer import KEEP_ALIVE, MOST_UNSENT, SILENCE
from p2pswarm.wire.extension.feed import FeedMessage, read_feed
from p2pswarm.wire.extension.handshake import ExtendedHandshake
from p2pswarm.wire.extension.numbers import FEED, NUMBERS
from p2pswarm.wire.peer import Extended, HaveNone, KeepAlive, Requests

__all__ = ["FeedHome", "FeedPeer"]


class FeedHome(ExtensionHome, Protocol):
    """What it needs of its swarm."""

    def peer_speaks(self, peer: "FeedPeer") -> None: ...
    def peer_said(self, peer: "FeedPeer", message: FeedMessage) -> None: ...
    def peer_gone(self, peer: "FeedPeer") -> None: ...


class FeedPeer:
    """One connection, from its handshake to its end."""

    def __init__(self, who: Greeted, home: FeedHome) -> None:
        self.who = who
        self.stream = who.stream
        self.address = who.stream.remote  # where it listens, once it said so
        self.upload_only = False
        self.extensions = Extensions(self, home)
        self.speaks = False  # of feeds
        self._home = home
        self._heard_at = self._spoke = home.clock()

    def start(self) -> None:
        """Raises nothing; a peer that cannot speak of feeds is dropped when it says so."""
        if self.who.reserved.fast:
            self.send(HaveNone().encode())
        if self.who.reserved.extended:
            self.send(self.extensions.introduction())

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

    def introduced(self, hello: ExtendedHandshake) -> None:
        """Raises RemoteProtocolError."""
        if hello.port is not None and not self.who.outgoing:
            self.address = Address(self.stream.remote.host, hello.port)
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

    def send(self, *buffers: bytes | memoryview) -> bool:
        self._spoke = self._home.clock()
        return self.stream.send(*buffers)

    def has_lost(self, piece: PieceIndex) -> None:
        """Nobody was offered to say this."""

    def tick(self, now: float) -> None:
        """Once a second."""
        if now - self._heard_at > SILENCE:
            self.close(RemoteProtocolError(f"silent for {SILENCE:.0f} s"))
            return
        if now - self._spoke > KEEP_ALIVE:
            self.send(KeepAlive().encode())
        self.extensions.tick(now)

    def caught_up(self) -> None:
        self._heard_at = self._home.clock()

    def drained(self) -> None:
        """Nothing here waits for that."""

    def closed(self, reason: Exception | None) -> None:
        self.extensions.closed()
        self._home.peer_gone(self)

    def close(self, reason: Exception | None = None) -> None:
        self.stream.close(reason)

    @override
    def __repr__(self) -> str:
        return f"<FeedPeer {self.address}>"
