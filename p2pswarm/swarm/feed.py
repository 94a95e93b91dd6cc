"""The swarm of a feed: its followers and its publisher, who tell each other of entries and nothing else.

It seeks like a torrent (`Finding`) and greets like one, under an info-hash made of the key, so that
trackers' and DHT's ways of finding peers serve it too, and others take it for a torrent that nobody has.
What is said there is decided in `feed_sync`; this room joins it to connections.
"""

import asyncio
import logging
from collections.abc import Callable

from typing_extensions import override

from p2pswarm.discovery.source import Progress
from p2pswarm.errors import HostError, P2PSwarmError, RemoteProtocolError
from p2pswarm.formats.feed import FeedName
from p2pswarm.formats.feed_log import Log
from p2pswarm.formats.ids import Address
from p2pswarm.swarm.dialer import Surroundings
from p2pswarm.swarm.entrance import TWICE, why_not
from p2pswarm.swarm.extensions import Talker
from p2pswarm.swarm.feed_peer import FeedPeer
from p2pswarm.swarm.feed_sync import FeedSync, Said
from p2pswarm.swarm.finding import Finding
from p2pswarm.swarm.greeting import Greeted, Name, Rival
from p2pswarm.swarm.pieceless import no_blocks
from p2pswarm.wire.extension.feed import FeedMessage
from p2pswarm.wire.extension.holepunch import Holepunch
from p2pswarm.wire.extension.numbers import FEED, PEX
from p2pswarm.wire.extension.pex import PexFlag
from p2pswarm.wire.peer import PeerFramer, longest_message

__all__ = ["FeedSwarm"]

log = logging.getLogger(__name__)

TICK = 1.0  # seconds
HUNGRY_EVERY = 60.0  # seconds between the times that more peers are wished for
MOST_PEERS = 20  # what is said here is little: some neighbours are enough for it to reach everybody
ENOUGH_PEERS = 5  # that we look for ourselves
CLOSE_TIME = 0.5  # seconds that dials and searches may take to end
# Bytes, as magnets say: who wants nothing would be told of nobody who has all.
NOTHING_LEFT = 16 << 10


class FeedSwarm:
    """Made and closed by a node. `changed` is called whenever the log was."""

    def __init__(
        self, known: Log, finding: Finding, node: Surroundings, changed: Callable[[], None]
    ) -> None:
        self.sync = FeedSync(known)
        self.finding = finding
        self.peers: dict[Name, FeedPeer] = {}
        self.clock = node.clock
        self.up = node.up
        self.info: memoryview | None = None
        self.offered = frozenset({FEED, PEX} if node.pex else {FEED})
        self.hides = node.encryption != "off"
        self.upload_only = False
        self._node = node
        self._changed = changed
        self._loop = asyncio.get_running_loop()
        self._alarm: asyncio.TimerHandle | None = None
        self._hungry = self.clock() + HUNGRY_EVERY
        self._over = False

    @property
    def feed(self) -> FeedName:
        return self.sync.log.feed

    @property
    def log(self) -> Log:
        return self.sync.log

    def start(self) -> None:
        """Look for others, until `close`."""
        self.finding.begin(self)
        self._tick()

    def tell(self) -> None:
        """The log has an entry of our own: everybody hears of it."""
        self._say(self.sync.tell(self.clock()))

    async def close(self) -> None:
        """May be called twice."""
        self._over = True
        if self._alarm is not None:
            self._alarm.cancel()
            self._alarm = None
        for peer in list(self.peers.values()):
            peer.close(HostError("the feed is not followed any more"))
        self.finding.rest()
        if self.finding.tasks:
            await asyncio.wait(self.finding.tasks, timeout=CLOSE_TIME)
        await self.finding.leave()

    # What extensions ask of their home

    @property
    def port(self) -> int:
        return self._node.port.number

    def found(self, address: Address) -> None:
        """A peer names another."""
        self.finding.found(address)

    def neighbours(self) -> dict[Address, PexFlag]:
        return {peer.address: PexFlag(0) for peer in self.peers.values() if peer.speaks}

    def hole_punched(self, peer: Talker, message: Holepunch) -> None:
        """Nobody was offered to say this."""

    def seen_as(self, voter: Address, ip: bytes) -> None:
        self._node.ranking.seen_as(voter, ip)

    # What peers say

    def peer_speaks(self, peer: FeedPeer) -> None:
        self._say(self.sync.joined(peer))

    def peer_said(self, peer: FeedPeer, message: FeedMessage) -> None:
        """Raises RemoteProtocolError; who gives entries that the publisher did not sign is banned."""
        before = self._known
        try:
            self._say(self.sync.got(peer, message, self.clock()))
        except RemoteProtocolError:
            log.warning("%s gave false entries of a feed, banned", peer.address)
            self.finding.book.ban(peer.address, peer.who.peer_id)
            raise
        if before != self._known:
            self._changed()

    @property
    def _known(self) -> object:
        return self.log.newest, len(self.log.entries), self.log.proof, self.sync.knows

    def _say(self, said: Said) -> None:
        for peer, message in list(said):
            assert isinstance(peer, FeedPeer)
            peer.say(message)

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
        peer = self.peers[who.name] = FeedPeer(who, self)
        self._node.places.taken += 1
        peer.start()
        framer = PeerFramer(no_blocks, self._node.port.scratch, longest_message(0))
        who.stream.switch(framer, peer)
        return True

    def _why_not(self, who: Greeted, rival: FeedPeer | None) -> str | None:
        if self._over:
            return "not followed any more"
        if rival is None and len(self.peers) >= MOST_PEERS:
            return "no place for more peers"
        other = None if rival is None else Rival(rival.who.stream, rival.who.outgoing)
        return why_not(who, other, self.finding.book, self._node.me)

    def peer_gone(self, peer: FeedPeer) -> None:
        self.sync.gone(peer)
        if self.peers.get(peer.who.name) is peer:
            del self.peers[peer.who.name]
            self._node.places.taken -= 1
            self.finding.book.left(peer.address, self.clock(), useful=peer.speaks)

    def connected(self) -> set[Address]:
        return {peer.address for peer in self.peers.values()}

    def progress(self) -> Progress:
        return Progress(0, 0, NOTHING_LEFT)

    def unreached(self, address: Address) -> None:
        """Nobody is asked to introduce anybody."""

    def dialing(self) -> None:
        """It ticks anyway."""

    def stop(self, error: Exception) -> None:
        """A bug of ours, or a source that cannot go on: the others do."""
        if not isinstance(error, P2PSwarmError):
            log.error("%s: a bug in p2pswarm", self, exc_info=error)

    # Once a second

    def _tick(self) -> None:
        self._alarm = self._loop.call_later(TICK, self._tick)
        now = self.clock()
        for peer in list(self.peers.values()):
            peer.tick(now)
        self._say(self.sync.due(now))
        if now >= self._hungry and len(self.peers) < ENOUGH_PEERS:
            self._hungry = now + HUNGRY_EVERY
            self.finding.need_more()
        if len(self.peers) < ENOUGH_PEERS:
            self.finding.dial_more()

    @override
    def __repr__(self) -> str:
        return f"<FeedSwarm {self.feed.info_hash} peers {len(self.peers)}>"
