"""From an address to a peer that has introduced itself: connect, shake hands, hand it on.

What a torrent needs of its node is written here too, because dialing needs most of it.
"""

import asyncio
import logging
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from math import inf
from random import Random
from typing import Any

from p2pswarm.errors import RemoteProtocolError
from p2pswarm.formats.ids import Address, InfoHash, PeerId
from p2pswarm.net.port import Port
from p2pswarm.net.rate import Limiter
from p2pswarm.swarm.addresses import AddressBook
from p2pswarm.swarm.blocks import BufferPool
from p2pswarm.swarm.greeting import HANDSHAKE_TIME, Asking, Greeted
from p2pswarm.swarm.ranking import Ranking
from p2pswarm.wire.peer import HandshakeFramer

__all__ = ["Dialer", "Places", "Surroundings", "Turns"]

log = logging.getLogger(__name__)

MOST_DIALING = 30  # at a time, and a second: libtorrent's connection speed
CONNECT_TIME = 10.0  # seconds


@dataclass(slots=True)
class Places:
    """How many connections the torrents of a node have together, and may have."""

    most: int
    taken: int = 0

    @property
    def free(self) -> bool:
        return self.taken < self.most


@dataclass(slots=True)
class Turns:
    """One after the other, so many a second."""

    a_second: float
    _next: float = -inf

    def wait(self, now: float) -> float:
        """Seconds until the turn of whoever asks."""
        turn = max(now, self._next)
        self._next = turn + 1 / self.a_second
        return turn - now


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What a torrent needs of its node: shared limits, memory, the port, and who we are."""

    port: Port
    me: PeerId
    down: Limiter
    up: Limiter
    pieces: BufferPool
    reads: BufferPool
    dice: Random
    clock: Callable[[], float]
    upload_slots: int
    max_peers: int
    places: Places
    turns: Turns  # of seeds that start, to announce themselves
    torrents: Callable[[], int]  # how many the node has
    ranking: Ranking
    pex: bool  # whether peers exchange addresses


class Dialer:
    """Dials what the address book has due, as far as there are places; one torrent's."""

    def __init__(
        self,
        book: AddressBook,
        node: Surroundings,
        info_hash: InfoHash,
        welcome: Callable[[Greeted], bool],
    ) -> None:
        self._book = book
        self._node = node
        self._info_hash = info_hash
        self._welcome = welcome
        self._dialing = 0

    @property
    def busy(self) -> bool:
        return self._dialing > 0

    def dial_more(
        self, connected: set[Address], spawn: Callable[[Coroutine[Any, Any, None]], None]
    ) -> None:
        """Start what may be started now; the tasks are `spawn`'s."""
        room = min(MOST_DIALING, self._node.max_peers - len(connected)) - self._dialing
        if room <= 0 or not self._node.places.free:
            return
        for address in self._book.due(self._node.clock(), room, self._node.ranking.of):
            if address in connected:
                self._book.greeted(address)
            else:
                self._dialing += 1
                spawn(self._dial(address))

    async def _dial(self, address: Address) -> None:
        try:
            who = await self._greet(address)
        except (OSError, TimeoutError, RemoteProtocolError) as error:
            log.debug("no peer at %s: %s", address, error)
            self._book.failed(address, self._node.clock())
        else:
            if self._welcome(who) and not who.stream.over:
                self._book.greeted(address)
            else:
                self._book.failed(address, self._node.clock())
        finally:
            self._dialing -= 1

    async def _greet(self, address: Address) -> Greeted:
        """Raises OSError, TimeoutError, RemoteProtocolError; then nothing is left open."""
        greeted: asyncio.Future[Greeted] = asyncio.get_running_loop().create_future()
        asking = Asking(
            self._info_hash,
            self._node.me,
            lambda who: None if greeted.done() else greeted.set_result(who),
            lambda why: None if greeted.done() else greeted.set_exception(_lost(why)),
        )
        port = self._node.port
        async with asyncio.timeout(CONNECT_TIME):
            stream = await port.dial(address, HandshakeFramer(port.scratch), asking)
        asking.begin(stream)
        try:
            async with asyncio.timeout(HANDSHAKE_TIME):
                return await greeted
        except BaseException:
            stream.close()
            raise


def _lost(why: Exception | None) -> Exception:
    if isinstance(why, (OSError, RemoteProtocolError)):
        return why
    return RemoteProtocolError("closed the connection")
