"""Who comes to a node's port and speaks BitTorrent: which of our swarms takes him in.

Which one he means, only his handshake says, and that may be hidden in noise. So the answer is prepared for
anybody, and the swarm is looked for when its name is known: a torrent's, or that of a magnet or a feed, which
has no pieces.

The one hard thing: a full node takes nobody, except where one host has several of a torrent's places and may
have to give one up. That the torrent decides itself.
"""

from collections.abc import Callable, Iterable
from random import Random
from typing import TYPE_CHECKING, Any, Union

from p2pswarm.config import Settings
from p2pswarm.errors import RemoteProtocolError
from p2pswarm.formats.ids import InfoHash, PeerId
from p2pswarm.net.port import Port
from p2pswarm.net.slices import Slices
from p2pswarm.net.stream import Stream
from p2pswarm.roster import Roster
from p2pswarm.swarm.dialer import Places
from p2pswarm.swarm.greeting import Answering, Greeted, Host
from p2pswarm.swarm.torrent import Torrent
from p2pswarm.wire.peer import HandshakeFramer
from p2pswarm.wire.sniff import Guest

if TYPE_CHECKING:
    from p2pswarm.swarm.feed import FeedSwarm
    from p2pswarm.swarm.metadata import MetadataSwarm

__all__ = ["Pieceless", "Welcoming"]

Pieceless = Union["MetadataSwarm", "FeedSwarm"]


class Welcoming:
    """Of a node: its port calls `greet…` with every guest of these kinds."""

    def __init__(
        self,
        settings: Settings,
        port: Port,
        me: PeerId,
        dice: Random,
        places: Places,
        torrents: Roster[Torrent],
        pieceless: Callable[[], Iterable[Roster[Pieceless]]],
        is_open: Callable[[], bool],
    ) -> None:
        """Nobody may come while we are not open."""
        self._settings, self._port, self._me, self._dice = settings, port, me, dice
        self._places = places
        self._torrents = torrents
        self._pieceless = pieceless
        self._is_open = is_open
        self._slices = Slices()  # in which hidden handshakes are answered

    def route(self) -> None:
        """Have them come here, as far as they are wanted."""
        if self._settings.encryption != "require":
            self._port.route(Guest.PEER_WIRE, self._greet)
        if self._settings.encryption != "off":
            self._port.route(Guest.OBFUSCATED, self._greet_obfuscated)

    def _greet(self, stream: Stream) -> None:
        """Somebody speaks BitTorrent; what about, its handshake will say."""
        stream.switch(HandshakeFramer(self._port.scratch), self._answering(stream))

    def greet_relayed(self, stream: Stream) -> None:
        """Somebody came through a relay, which is to see nothing but noise."""
        self._port.stand(stream)
        self._greet_obfuscated(stream, "require")

    def _greet_obfuscated(self, stream: Stream, encryption: str = "") -> None:
        """Somebody says noise: a handshake may be hidden in it."""
        from p2pswarm.swarm.obfuscation import answer_obfuscated

        encryption, scratch = encryption or self._settings.encryption, self._port.scratch
        answering = self._answering(stream)
        answer_obfuscated(
            stream, answering, self._revealed, encryption, self._dice, scratch, self._slices
        )

    def _answering(self, stream: Stream) -> Answering:
        """Raises RemoteProtocolError while we leave, and listen still."""
        if not self._is_open():
            raise RemoteProtocolError("we leave")
        return Answering(
            stream,
            self._me,
            self._host_of(stream),
            lambda _: self._port.admitted(stream),
            dht=self._settings.dht,
        )

    def _revealed(self, mark: bytes) -> InfoHash | None:
        """The swarm of ours that a hidden handshake means."""
        rosters: list[Roster[Any]] = [self._torrents, *self._pieceless()]
        return next((name for each in rosters if (name := each.revealed(mark))), None)

    def _host_of(self, stream: Stream) -> Callable[[InfoHash], Host | None]:
        def find(info_hash: InfoHash) -> Host | None:
            torrent, free = self._torrents.get(info_hash), self._places.free
            if torrent is not None and torrent.ready:
                return welcome_to(torrent) if free or torrent.crowded else None
            found = (swarms.get(info_hash) for swarms in self._pieceless())
            swarm = next((swarm for swarm in found if swarm is not None), None)
            return welcome_to(swarm) if swarm is not None and free else None

        def welcome_to(host: Torrent | Pieceless) -> Host:
            def welcome(who: Greeted) -> None:
                self._port.admitted(stream)
                host.welcome(who)

            return Host(welcome, host.finding.names.short)

        return find
