"""A peer that neither gives nor takes pieces: of a magnet, whose metadata is not there, or of a feed.

What such peers do is said in extensions; here is what every conversation of theirs owes the other side.
"""

from typing import Any, Generic, Protocol, TypeVar

from p2pswarm.errors import RemoteProtocolError
from p2pswarm.formats.ids import Address, PieceIndex
from p2pswarm.swarm.extensions import ExtensionHome, Extensions
from p2pswarm.swarm.greeting import Greeted
from p2pswarm.wire.extension.handshake import ExtendedHandshake
from p2pswarm.wire.peer import HaveNone, KeepAlive

__all__ = ["MOST_UNSENT", "PiecelessHome", "PiecelessPeer", "no_blocks"]

KEEP_ALIVE = 60.0  # seconds without sending
SILENCE = 120.0  # seconds without a byte
MOST_UNSENT = 1 << 20  # bytes that wait for a peer to read


class PiecelessHome(ExtensionHome, Protocol):
    """What it needs of its swarm."""

    def peer_gone(self, peer: Any) -> None: ...


Home = TypeVar("Home", bound=PiecelessHome)


class PiecelessPeer(Generic[Home]):
    """One connection, from its handshake to its end."""

    def __init__(self, who: Greeted, home: Home) -> None:
        self.who = who
        self.stream = who.stream
        self.address = who.stream.remote  # where it listens, once it said so
        self.upload_only = False
        self.extensions = Extensions(self, home)
        self.since = home.clock()
        self._home = home
        self._heard_at = self._spoke = self.since

    def start(self) -> None:
        """Its bitfield is not due from one that has nothing, but BEP 6 wants to hear even that."""
        if self.who.reserved.fast:
            self.send(HaveNone().encode())
        if self.who.reserved.extended:
            self.send(self.extensions.introduction())

    def introduced(self, hello: ExtendedHandshake) -> None:
        """All its extended handshakes together. May raise RemoteProtocolError."""
        if hello.port is not None and not self.who.outgoing:
            self.address = Address(self.stream.remote.host, hello.port)

    def send(self, *buffers: bytes | memoryview) -> bool:
        self._spoke = self._home.clock()
        return self.stream.send(*buffers)

    def has_lost(self, piece: PieceIndex) -> None:
        """Nobody was offered to say this."""

    def note_heard(self) -> None:
        """Bytes came."""
        self._heard_at = self._home.clock()

    def is_silent(self, now: float) -> bool:
        """Whether nothing came for so long that it is closed."""
        silent = now - self._heard_at > SILENCE
        if silent:
            self.close(RemoteProtocolError(f"silent for {SILENCE:.0f} s"))
        return silent

    def keep_alive(self, now: float) -> None:
        if now - self._spoke > KEEP_ALIVE:
            self.send(KeepAlive().encode())

    def drained(self) -> None:
        """Nothing here waits for that."""

    def closed(self, reason: Exception | None) -> None:
        self.extensions.closed()
        self._home.peer_gone(self)

    def close(self, reason: Exception | None = None) -> None:
        self.stream.close(reason)


def no_blocks(piece: int, begin: int, blocks: list[memoryview]) -> None:
    """For the framer of a peer that is asked for none."""
    raise RemoteProtocolError("a block that nobody asked for")
