"""One peer of a magnet: asked for the info dictionary, and remembered for everything else that it says.

It offers what a magnet can use (`OFFERED`), the rest is said with the torrent's own handshake. Peers that
have pieces are told at once that we are interested, so that they unchoke us while we ask.
"""

from dataclasses import replace
from typing import Protocol

from typing_extensions import override

from p2pswarm.errors import FormatError, RemoteProtocolError
from p2pswarm.swarm.assembly import Assembly
from p2pswarm.swarm.greeting import Greeted
from p2pswarm.swarm.heard import Heard
from p2pswarm.swarm.pieceless import MOST_UNSENT, PiecelessHome, PiecelessPeer
from p2pswarm.wire.extension.handshake import ExtendedHandshake
from p2pswarm.wire.extension.metadata import (
    MetadataPiece,
    MetadataReject,
    MetadataRequest,
    read_metadata,
)
from p2pswarm.wire.extension.numbers import METADATA, NUMBERS, PEX
from p2pswarm.wire.peer import Extended, Interested

__all__ = ["OFFERED", "MetadataHome", "MetadataPeer"]

OFFERED = frozenset({METADATA, PEX})


class MetadataHome(PiecelessHome, Protocol):
    """What it needs of its magnet."""

    assembly: Assembly
    most_pieces: int  # that the torrent may have

    def convict(self, guilty: frozenset[object]) -> None: ...
    def look(self) -> None: ...
    def stop(self, error: Exception) -> None: ...


class MetadataPeer(PiecelessPeer[MetadataHome]):
    """One connection: asks for the info, and remembers everything else that it hears."""

    def __init__(self, who: Greeted, home: MetadataHome) -> None:
        super().__init__(who, home)
        self.heard = Heard(home.most_pieces)

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

    @override
    def introduced(self, hello: ExtendedHandshake) -> None:
        """There may be another one, when it has the info."""
        super().introduced(hello)
        self.heard.hello = hello
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
        self.note_heard()
        if self.heard.has_any and not self.heard.interested:
            self.heard.interested = True
            self.send(Interested().encode())
        self.ask()

    def ask(self) -> None:
        if not self.stream.over:
            for piece in self._home.assembly.ask(self, self._home.clock()):
                self.extensions.say(METADATA, MetadataRequest(piece).encode())

    def tick(self, now: float) -> None:
        """Once a second."""
        if self.is_silent(now):
            return
        if self.stream.unsent > MOST_UNSENT:
            self.close(RemoteProtocolError("does not read what we send"))
            return
        self.keep_alive(now)
        self.ask()

    def handed_on(self) -> Greeted:
        """The connection, and what was said on it."""
        return replace(self.who, heard=self.heard)

    @override
    def __repr__(self) -> str:
        return f"<MetadataPeer {self.address}>"
