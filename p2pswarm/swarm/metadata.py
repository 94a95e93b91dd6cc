"""A magnet's swarm, until its info dictionary is here: peers asked for it, and kept for the torrent.

It seeks like a torrent (`Finding`) and greets like one, but has nothing and wants one thing. What its peers
say beside that is kept (`Heard`): when the torrent is there, `hand_over` gives it every connection, and it
asks for blocks in the same moment.

The one hard thing: nothing that a peer says can be checked yet. What it costs is bounded by `Heard` and by
`Assembly`, which also finds the liars.
"""

import asyncio
import logging
from collections.abc import Callable

from typing_extensions import override

from p2pswarm.discovery.source import Progress
from p2pswarm.errors import HostError, P2PSwarmError, RemoteProtocolError
from p2pswarm.formats.ids import Address
from p2pswarm.formats.metainfo import MAX_PIECES
from p2pswarm.swarm.assembly import Assembly
from p2pswarm.swarm.dialer import Surroundings
from p2pswarm.swarm.entrance import TWICE, why_not
from p2pswarm.swarm.extensions import Talker
from p2pswarm.swarm.finding import Finding
from p2pswarm.swarm.greeting import Greeted, Name, Rival
from p2pswarm.swarm.heard import MOST_PIECES
from p2pswarm.swarm.metadata_peer import OFFERED, MetadataPeer
from p2pswarm.swarm.pieceless import no_blocks
from p2pswarm.swarm.status import MetadataStatus
from p2pswarm.wire.extension.holepunch import Holepunch
from p2pswarm.wire.extension.numbers import PEX
from p2pswarm.wire.extension.pex import PexFlag
from p2pswarm.wire.peer import PeerFramer, longest_message

__all__ = ["MetadataSwarm"]

log = logging.getLogger(__name__)

TICK = 1.0  # seconds
HUNGRY_EVERY = 15.0  # seconds between the times that more peers are wished for
USELESS_AFTER = 30.0  # seconds that a peer without the info keeps a place others could have
CLOSE_TIME = 0.5  # seconds that dials and searches may take to end
# What is left, while nobody knows it: not 0, which would make us a seed. libtorrent says the same.
UNKNOWN_LEFT = 16 << 10


class MetadataSwarm:
    """Made and closed by a `Node`; `found_info` waits for what it is about."""

    def __init__(self, name: str, finding: Finding, node: Surroundings) -> None:
        self.info_hash = finding.names.swarms[0]
        self.finding = finding
        self.peers: dict[Name, MetadataPeer] = {}
        self.assembly = Assembly(finding.names)
        self.most_pieces = MAX_PIECES if finding.names.v1 is None else MOST_PIECES
        self.clock = node.clock
        self.up = node.up
        self.info: memoryview | None = None  # for others, who have to wait for the torrent
        self.offered = OFFERED if node.pex else OFFERED - {PEX}
        self.upload_only = False
        self.hides = node.encryption != "off"
        self._name = name
        self._node = node
        self._loop = asyncio.get_running_loop()
        self._found: asyncio.Future[bytes] = self._loop.create_future()
        self._alarm: asyncio.TimerHandle | None = None
        self._hungry = self.clock() + HUNGRY_EVERY
        self._over = False

    def start(self) -> None:
        """Look for peers, and ask them, until `hand_over` or `close`."""
        self.finding.begin(self)
        self._tick()

    async def found_info(self) -> bytes:
        """The info dictionary, verified; however long it takes."""
        return await asyncio.shield(self._found)

    def status(self) -> MetadataStatus:
        done, total = self.assembly.progress
        return MetadataStatus(
            name=self._name or str(self.info_hash),
            info_hash=self.info_hash,
            peers=len(self.peers),
            givers=sum(self.assembly.is_giver(peer) for peer in self.peers.values()),
            done=done,
            total=total,
            trackers=self.finding.tracker_status(),
        )

    # What extensions ask of their home

    @property
    def port(self) -> int:
        return self._node.port.number

    def found(self, address: Address) -> None:
        """A peer names another."""
        self.finding.found(address)

    def neighbours(self) -> dict[Address, PexFlag]:
        """Who can be told of is told of by the torrent."""
        return {}

    def hole_punched(self, peer: Talker, message: Holepunch) -> None:
        """Nobody was offered to say this."""

    def seen_as(self, voter: Address, ip: bytes) -> None:
        self._node.ranking.seen_as(voter, ip)

    # The end, one way or the other

    def hand_over(self, welcome: Callable[[Greeted], object]) -> None:
        """Every connection goes on with the torrent, in the state it is in."""
        self._rest()
        peers, self.peers = list(self.peers.values()), {}
        self._node.places.taken -= len(peers)
        for peer in peers:
            welcome(peer.handed_on())

    async def close(self, *, replaced: bool = False) -> None:
        """The magnet is given up, because its torrent is here already if `replaced`; may be called twice."""
        self._rest()
        for peer in list(self.peers.values()):
            peer.close(HostError("not wanted any more"))
        self.finding.rest()
        if self.finding.tasks:
            await asyncio.wait(self.finding.tasks, timeout=CLOSE_TIME)
        await self.finding.leave(replaced=replaced)

    def _rest(self) -> None:
        self._over = True
        if not self._found.done():
            self._fail(HostError("the search for its metadata was given up"))
        if self._alarm is not None:
            self._alarm.cancel()
            self._alarm = None

    def only_private(self) -> None:
        """The torrent is private (BEP 27): who did not come from its trackers, or the user, has to go."""
        self.offered -= {PEX}
        self.finding.only_trackers()
        for peer in list(self.peers.values()):
            if not self.finding.book.is_private(peer.address):
                peer.close(RemoteProtocolError("the torrent is private"))
            else:
                peer.withdraw()

    # What peers say

    def convict(self, guilty: frozenset[object]) -> None:
        """They gave metadata that is another torrent's, or none."""
        for peer in guilty:
            assert isinstance(peer, MetadataPeer)
            log.warning("%s: %s gave false metadata, banned", self._name, peer.address)
            self.finding.book.ban(peer.address, peer.who.peer_id)
            peer.close(RemoteProtocolError("gave false metadata"))

    def look(self) -> None:
        """Something came in: perhaps the last of it."""
        if self.assembly.info is not None and not self._found.done():
            self._found.set_result(self.assembly.info)

    # Peers come and go

    def welcome(self, who: Greeted) -> bool:
        """A peer that completed its handshake; False when there is no place for it."""
        rival = self.peers.get(who.name)
        refusal = self._why_not(who, rival)
        if refusal is not None:
            who.stream.close(RemoteProtocolError(refusal))
            return False
        if rival is not None:
            rival.close(RemoteProtocolError(TWICE))
        peer = self.peers[who.name] = MetadataPeer(who, self)
        self._node.places.taken += 1
        peer.start()
        most = longest_message(self.most_pieces)
        who.stream.switch(PeerFramer(no_blocks, self._node.port.scratch, most), peer)
        return True

    def _why_not(self, who: Greeted, rival: MetadataPeer | None) -> str | None:
        if self._over:
            return "not wanted any more"
        if rival is None and len(self.peers) >= self._node.max_peers:
            return "no place for more peers"
        other = None if rival is None else Rival(rival.who.stream, rival.who.outgoing)
        return why_not(who, other, self.finding.book, self._node.me)

    def peer_gone(self, peer: MetadataPeer) -> None:
        if self.peers.get(peer.who.name) is peer:
            del self.peers[peer.who.name]
            self._node.places.taken -= 1
            self.assembly.gone(peer)
            self.finding.book.left(peer.address, self.clock(), useful=True)

    def connected(self) -> set[Address]:
        return {peer.address for peer in self.peers.values()}

    def progress(self) -> Progress:
        return Progress(0, 0, UNKNOWN_LEFT)

    def unreached(self, address: Address) -> None:
        """Its peers are not asked to introduce anybody: what they know of others is kept for the torrent."""

    def dialing(self) -> None:
        """It ticks anyway."""

    def stop(self, error: Exception) -> None:
        """A bug of ours, or a source that cannot go on."""
        while isinstance(error, ExceptionGroup) and len(error.exceptions) == 1:
            error = error.exceptions[0]
        if not isinstance(error, P2PSwarmError):
            log.error("%s: a bug in p2pswarm", self._name, exc_info=error)
        if not self._found.done():
            self._fail(error)

    def _fail(self, error: Exception) -> None:
        self._found.set_exception(error)
        self._found.exception()  # perhaps nobody waits any more

    # Once a second

    def _tick(self) -> None:
        self._alarm = None
        try:
            self._do_what_is_due(self.clock())
        except Exception as error:  # noqa: BLE001 - nobody waits for a timer: this is where a bug shows
            self.stop(error)
        else:
            self._alarm = self._loop.call_later(TICK, self._tick)

    def _do_what_is_due(self, now: float) -> None:
        for peer in list(self.peers.values()):
            peer.tick(now)
        if now >= self._hungry and self.assembly.info is None:
            self._hungry = now + HUNGRY_EVERY
            self.finding.need_more()
        if len(self.peers) >= self._node.max_peers:
            self._drop_useless(now)
        self.finding.dial_more()

    def _drop_useless(self, now: float) -> None:
        """All places are taken: one that does not have the info goes, and others are tried."""
        for peer in self.peers.values():
            if not self.assembly.is_giver(peer) and now - peer.since > USELESS_AFTER:
                peer.close(RemoteProtocolError("has no metadata, and others wait"))
                return

    @override
    def __repr__(self) -> str:
        return f"<MetadataSwarm {self.info_hash} peers {len(self.peers)}>"
