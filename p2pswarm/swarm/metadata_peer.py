"""One peer of a magnet: asked for the info dictionary, and remembered for everything else that it says.

It offers what a magnet can use (`OFFERED`), the rest is said with the torrent's own handshake. Peers that
have pieces are told at once that we are interested, so that they unchoke us while we ask.
"""

from dataclasses import replace
from typing import Protocol

from typing_extensions import override

from p2pswarm.errors import FormatError, RemoteProtocolError
from p2pswarm.formats.ids import Address, PieceIndex
from p2pswarm.swarm.assembly import Assembly
from p2pswarm.swarm.extensions import ExtensionHome, Extensions
from p2pswarm.swarm.greeting import Greeted
from p2pswarm.swarm.heard import Heard
from p2pswarm.wire.extension.handshake import ExtendedHandshake
from p2pswarm.wire.extension.metadata import (
    MetadataPiece,
    MetadataReject,
    MetadataRequest,
    read_metadata,
)
from p2pswarm.wire.extension.numbers import METADATA, NUMBERS, PEX
from p2pswarm.wire.peer import Extended, HaveNone, Interested, KeepAlive

__all__ = [
    "KEEP_ALIVE",
    "MOST_UNSENT",
    "OFFERED",
    "SILENCE",
    "MetadataHome",
    "MetadataPeer",
    "no_blocks",
]

OFFERED = frozenset({METADATA, PEX})
KEEP_ALIVE = 60.0  # seconds without sending
SILENCE = 120.0  # seconds without a byte
MOST_UNSENT = 1 << 20  # bytes that wait for a peer to read


class MetadataHome(ExtensionHome, Protocol):
    """What it needs of its magnet."""

    assembly: Assembly
    most_pieces: int  # that the torrent may have

    def convict(self, guilty: frozenset[object]) -> None: ...
    def look(self) -> None: ...
    def stop(self, error: Exception) -> None: ...
    def peer_gone(self, peer: "MetadataPeer") -> None: ...


class MetadataPeer:
    """One connection: asks for the info, and remembers everything else that it hears."""

    def __init__(self, who: Greeted, home: MetadataHome) -> None:
        self.who = who
        self.stream = who.stream
        self.address = who.stream.remote  # where it listens, once it said so
        self.heard = Heard(home.most_pieces)
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

    def got(self, message: object) -> None:
        """Raises RemoteProtocolError when the peer broke the rules."""
        if not isinstance(message, Extended):
            self.heard.got(message)
        elif message.id == NUMBERS[METADATA]:
            self._got_metadata(message.payload)
        else:
            self.extensions.got(message)

    def withdraw(self) -> None:
        """Of a private torrent peers tell nothing but their pieces: what was offered is not any more."""
        if self.who.reserved.extended:
            self.send(Extended(0, ExtendedHandshake(dict.fromkeys(OFFERED, 0)).encode()).encode())

    def introduced(self, hello: ExtendedHandshake) -> None:
        """All its extended handshakes together; there may be another one, when it has the info."""
        self.heard.hello = hello
        if hello.port is not None and not self.who.outgoing:
            self.address = Address(self.stream.remote.host, hello.port)
        if hello.metadata_size and hello.number(METADATA):
            self._home.assembly.gives(self, hello.metadata_size)

    def _got_metadata(self, payload: bytes) -> None:
        assembly = self._home.assembly
        match read_metadata(payload):
            case MetadataPiece() as piece:
                self._got_piece(piece)
            case MetadataReject(piece=number):
                assembly.rejected(self, number, self._home.clock())
            case MetadataRequest(piece=number):
                self.extensions.info.asked(number)  # which refuses: there is none
            case None:
                pass

    def _got_piece(self, piece: MetadataPiece) -> None:
        try:
            guilty = self._home.assembly.got(self, piece)
        except FormatError as error:  # whoever wrote the link is to blame
            self._home.stop(error)
        else:
            self._home.convict(guilty)
            self._home.look()

    def caught_up(self) -> None:
        self._heard_at = self._home.clock()
        if self.heard.has_any and not self.heard.interested:
            self.heard.interested = True
            self.send(Interested().encode())
        self.ask()

    def ask(self) -> None:
        if not self.stream.over:
            for piece in self._home.assembly.ask(self, self._home.clock()):
                self.extensions.say(METADATA, MetadataRequest(piece).encode())

    def send(self, *buffers: bytes | memoryview) -> bool:
        self._spoke = self._home.clock()
        return self.stream.send(*buffers)

    def has_lost(self, piece: PieceIndex) -> None:
        """Nobody was offered to say this."""

    def tick(self, now: float) -> None:
        """Once a second."""
        if now - self._heard_at > SILENCE:
            self.close(RemoteProtocolError(f"silent for {SILENCE:.0f} s"))
        elif self.stream.unsent > MOST_UNSENT:
            self.close(RemoteProtocolError("does not read what we send"))
        else:
            if now - self._spoke > KEEP_ALIVE:
                self.send(KeepAlive().encode())
            self.ask()

    def drained(self) -> None:
        """Nothing here waits for that."""

    def closed(self, reason: Exception | None) -> None:
        self.extensions.closed()
        self._home.peer_gone(self)

    def close(self, reason: Exception | None = None) -> None:
        self.stream.close(reason)

    def handed_on(self) -> Greeted:
        """The connection, and what was said on it."""
        return replace(self.who, heard=self.heard)

    @override
    def __repr__(self) -> str:
        return f"<MetadataPeer {self.address}>"


def no_blocks(piece: int, begin: int, blocks: list[memoryview]) -> None:
    """For the framer of a peer that is asked for none."""
    raise RemoteProtocolError("a block that nobody asked for")
