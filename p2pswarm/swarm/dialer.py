"""From an address to a peer that has introduced itself: connect, shake hands, hand it on.

There are several ways to one address. TCP is tried first; uTP follows when TCP failed, or was given a head
start and is not through (some are reached by one of them only), and whichever is connected first stays.
Then the handshake: obfuscated, unless the last one there was plain. A peer that takes the connection and
hangs up without introducing itself wants the other kind, which is tried once, on a connection of its own.
Who says nothing may wait for the other kind, too: that comes first when the address is due again.

A hybrid torrent (BEP 52) is asked for by its name in version 1, with an offer to speak version 2, and where
peers of the swarm of version 2 are, by that name. Who hangs up on that is asked the simpler way: libtorrent
does so on every offer where it does not know the torrent to be a hybrid. And where it does, it overlooks an
offer that comes hidden, and offers the same: then it is asked again, by the second name.

The one hard thing: an address may be a lie, and all of this one attempt at whoever is there. So nothing is
tried again but where somebody did answer the call.

What a torrent needs of its node is written here too, because dialing needs most of it.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Coroutine, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from math import inf
from random import Random
from typing import TYPE_CHECKING, Any, NamedTuple, Self

from p2pswarm.errors import RemoteProtocolError
from p2pswarm.formats.ids import Address, InfoHash, PeerId
from p2pswarm.formats.names import Names
from p2pswarm.net.port import Port
from p2pswarm.net.racing import first_of
from p2pswarm.net.rate import Limiter
from p2pswarm.net.stream import Conversation, Stream
from p2pswarm.swarm.addresses import AddressBook
from p2pswarm.swarm.blocks import BufferPool
from p2pswarm.swarm.greeting import HANDSHAKE_TIME, Asking, Greeted
from p2pswarm.swarm.ranking import Ranking
from p2pswarm.wire.framer import Framer
from p2pswarm.wire.peer import HandshakeFramer

if TYPE_CHECKING:
    from p2pswarm.swarm.obfuscation import ObfuscatedAsking

__all__ = ["Dial", "Dialer", "Places", "Surroundings", "Turns"]

log = logging.getLogger(__name__)

MOST_DIALING = 30  # at a time for one torrent: libtorrent's connection speed
MOST_HALF_OPEN = 100  # at a time for a node: anacrolix's; each is an open file
CONNECT_TIME = 10.0  # seconds
RELAY_TIME = 40.0  # seconds until a relay has joined us: the other side may come later than we do
HEAD_START = 0.3  # seconds that one way of connecting has before the next one is tried beside it

Dial = Callable[[Address, Framer, Conversation], Awaitable[Stream]]
"""One way to connect. Raises OSError."""


@dataclass(slots=True)
class Places:
    """How many connections the torrents of a node have together, and may have; and how many they dial."""

    most: int
    taken: int = 0
    dialing: int = 0

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
    dials: Sequence[Dial]  # what is tried first comes first
    encryption: str  # prefer, require, off
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
    relayed: Callable[[Stream], None]  # takes in who comes through a relay
    dht: Callable[[Address], None] | None = None  # to be told of nodes of the DHT, if we are one


class Dialer:
    """Dials what the address book has due, as far as there are places; one torrent's."""

    def __init__(
        self,
        book: AddressBook,
        node: Surroundings,
        names: Names,
        welcome: Callable[[Greeted], bool],
        unreached: Callable[[Address], None],
    ) -> None:
        self.names = names  # the torrent's, as far as they are known
        self._book = book
        self._node = node
        self._welcome = welcome
        self._unreached = unreached
        self._dialing = 0

    @property
    def busy(self) -> bool:
        return self._dialing > 0

    def dial_more(
        self,
        connected: set[Address],
        spawn: Callable[[Coroutine[Any, Any, None]], asyncio.Task[None]],
    ) -> None:
        """Start what may be started now; the tasks are `spawn`'s."""
        places = self._node.places
        room = min(MOST_DIALING, self._node.max_peers - len(connected)) - self._dialing
        room = min(room, MOST_HALF_OPEN - places.dialing)
        if room <= 0 or not places.free:
            return
        for address in self._book.due(self._node.clock(), room, self._node.ranking.of):
            if address in connected:
                self._book.greeted(address)
            else:
                self._count(1)
                # One that is cancelled before it began never comes to a `finally` of its own.
                spawn(self._dial(address)).add_done_callback(lambda _: self._count(-1))

    def _count(self, more: int) -> None:
        self._dialing += more
        self._node.places.dialing += more

    async def _dial(self, address: Address) -> None:
        try:
            who = await self._greet(address)
        except (OSError, TimeoutError, RemoteProtocolError) as error:
            log.debug("no peer at %s: %s", address, error)
            self._book.failed(address, self._node.clock())
            if isinstance(error, _SilentError):
                self._book.silent(address)
            if isinstance(error, RemoteProtocolError):
                self._book.refused(address)
            else:
                self._unreached(address)
        else:
            self._book.note_mode(address, plain=not who.obfuscated, v2=who.v2)
            if self._welcome(who) and not who.stream.over:
                self._book.greeted(address)
            else:
                self._book.failed(address, self._node.clock())

    async def meet(self, address: Address, patience: float = CONNECT_TIME) -> None:
        """By uTP, in the moment in which it dials us: each opens the way for the other (BEP 55)."""
        dials = [self._node.port.dial_utp]
        self._count(1)
        try:
            opening = self._openings(address)[0]
            who = await self._introduce(address, dials, opening, patience=patience)
        except (OSError, TimeoutError, RemoteProtocolError) as error:
            log.debug("did not meet %s: %s", address, error)
        else:
            if self._welcome(who) and not who.stream.over:
                self._book.greeted(address)
        finally:
            self._count(-1)

    async def _greet(self, address: Address) -> Greeted:
        """Raises OSError, TimeoutError, RemoteProtocolError; then nothing is left open."""
        *first, last = self._openings(address)
        dials = self._node.dials
        for opening in first:
            try:
                who = await self._introduce(address, dials, opening)
            except _HungUpError as error:
                log.debug("%s %s, trying the other handshake", address, error)
            else:
                return await self._taken_over(address, who, opening)
        return await self._introduce(address, dials, last)

    async def _taken_over(self, address: Address, who: Greeted, opening: "_Opening") -> Greeted:
        """To version 2, if it overlooked our offer and made one of its own: libtorrent 2.1 takes offers in
        the clear only, hidden ones never. On a new connection; the old one would be a second of one peer."""
        if who.v2 or not who.reserved.v2 or opening.v2 is None:
            return who
        who.stream.close()
        self._book.greeted(address)
        log.debug("%s speaks version 2 where that is asked for by its name", address)
        by_name = opening._replace(info_hash=opening.v2)
        return await self._introduce(address, self._node.dials, by_name)

    def _openings(self, address: Address) -> Sequence["_Opening"]:
        modes = _modes(self._node.encryption, was_plain=self._book.was_plain(address))
        return _openings(self.names, modes, v2=self._book.is_v2(address))

    async def hidden(self, dial: Dial, address: Address) -> Stream:
        """By this one way, which somebody may look into: the handshake is hidden, and RC4 is required.

        Raises OSError, TimeoutError, RemoteProtocolError.
        """
        sealed = replace(self._node, encryption="require")
        opening = self._openings(address)[0]._replace(obfuscated=True)
        who = await self._introduce(address, [dial], opening, patience=RELAY_TIME, node=sealed)
        if self._welcome(who) and not who.stream.over:
            self._book.greeted(address)
        return who.stream

    async def _introduce(
        self,
        address: Address,
        dials: Sequence[Dial],
        opening: "_Opening",
        *,
        patience: float = CONNECT_TIME,
        node: Surroundings | None = None,
    ) -> Greeted:
        """On a connection of its own."""

        def ways() -> Iterator[Callable[[], Coroutine[Any, Any, _Introduction]]]:
            for dial in dials:
                new = _Introduction(node or self._node, opening)
                yield partial(new.connect, dial, address)

        async with asyncio.timeout(patience):
            introduction = await first_of(list(ways()), HEAD_START, _Introduction.close)
        try:
            async with asyncio.timeout(HANDSHAKE_TIME):
                return await introduction.result()
        except TimeoutError as error:
            introduction.close()
            raise _SilentError("took the connection and says nothing") from error
        except BaseException:
            introduction.close()
            raise


def _modes(encryption: str, *, was_plain: bool) -> Sequence[bool]:
    """Whether to obfuscate our handshake, and what to do when it is not taken."""
    if encryption == "prefer":
        return (False, True) if was_plain else (True, False)
    return (encryption == "require",)


class _Opening(NamedTuple):
    """How we introduce ourselves: the name of what we want, and its other name if that may be answered."""

    obfuscated: bool
    info_hash: InfoHash
    v2: InfoHash | None


def _openings(names: Names, modes: Sequence[bool], *, v2: bool) -> Sequence[_Opening]:
    """One for each mode; and of a torrent with two names two at least, the second simpler than the first."""
    short = names.short
    if names.v1 is None or short is None:
        return [_Opening(mode, names.swarms[0], short) for mode in modes]
    offer = names.v1, short
    first, second = ((short, short), offer) if v2 else (offer, (names.v1, None))
    return [_Opening(modes[0], *first), _Opening(modes[-1], *second)]


class _HungUpError(RemoteProtocolError):
    """The other side took the connection and closed it without introducing itself."""


class _SilentError(TimeoutError):
    """It took the connection, and did not introduce itself in time."""


def _hide(asking: Asking, node: Surroundings) -> "ObfuscatedAsking":
    # Here, because it brings a library along that a node may do without.
    from p2pswarm.swarm.obfuscation import ObfuscatedAsking

    return ObfuscatedAsking(asking, node.encryption, node.dice, node.port.scratch)


class _Introduction:
    """A connection that we make and the handshake on it."""

    def __init__(self, node: Surroundings, opening: _Opening) -> None:
        obfuscated, info_hash, v2 = opening
        dht = node.dht is not None
        asking = Asking(info_hash, node.me, self._greeted, self._lost, dht=dht, v2=v2)
        self._asking: Asking | ObfuscatedAsking = asking
        self._framer: Framer = HandshakeFramer(node.port.scratch)
        if obfuscated:
            hidden = self._asking = _hide(asking, node)
            self._framer = hidden.framer
        self._stream: Stream | None = None
        self._over = asyncio.Event()
        self._who: Greeted | None = None
        self._why: Exception = _HungUpError("hung up")

    async def connect(self, dial: Dial, address: Address) -> Self:
        """Raises OSError."""
        self._stream = await dial(address, self._framer, self._asking)
        return self

    async def result(self) -> Greeted:
        """Introduce us and wait for the other side. Raises OSError, RemoteProtocolError."""
        assert self._stream is not None
        self._asking.begin(self._stream)
        await self._over.wait()
        if self._who is None:
            raise self._why
        return self._who

    def close(self) -> None:
        if self._stream is not None:
            self._stream.close()

    def _greeted(self, who: Greeted) -> None:
        self._who = who
        self._over.set()

    def _lost(self, why: Exception | None) -> None:
        if isinstance(why, RemoteProtocolError):
            self._why = why
        elif self._asking.heard:
            self._why = why or RemoteProtocolError("closed the connection")
        self._over.set()
