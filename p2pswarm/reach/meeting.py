"""Two who reach each other: checks find ways for datagrams, streams are made, and the path is shown.

Both sides call `stream` and get two ends of the same one; after `changed` both do it again. What was handed
out is not touched.

The one hard thing: a relay that dies while somebody speaks through it. So two relays carry checks all the
time, unless a direct way does, and what is sent next takes another way.
"""

import asyncio
from itertools import count
from random import Random
from typing import TYPE_CHECKING, Protocol

from p2pswarm.errors import NetworkError, RemoteError
from p2pswarm.formats.ids import Address
from p2pswarm.formats.zones import zone_of
from p2pswarm.net.port import Port
from p2pswarm.net.stream import Conversation, Stream
from p2pswarm.reach import stun
from p2pswarm.reach.checking import Out, Rank, Reaching, Secrets, Way
from p2pswarm.reach.making import Making
from p2pswarm.reach.offers import MAX_RELAYS, CandidateKind, Offer, RelayAt, farthest, fitting
from p2pswarm.reach.paths import Channel, Datagrams, Path, Relaying
from p2pswarm.reach.streams import Streams
from p2pswarm.wire.framer import Framer

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["Meeting", "Ways"]

STREAM_TIME = 30.0  # seconds until a stream is given up
RELAYS_AT_ONCE = 2
RELAY_PATIENCE = 3.0  # seconds for those before there is one relay more
ROUND_PAUSE = 0.2  # seconds
RELAY_AGAIN, RELAY_LAST_AGAIN = 1.0, 30.0  # seconds
_RANKS = {CandidateKind.HOST: Rank.HOST, CandidateKind.REFLEXIVE: Rank.REFLEXIVE}


class Ways(Protocol):
    """What of a node its meetings use."""

    port: Port
    relaying: Relaying | None
    dice: Random

    @property
    def number(self) -> int:
        """The TCP number from which super nodes saw us; 0 for none."""


class Meeting:
    """Made by `Reach.begin`, which runs `live` and ends it."""

    def __init__(self, ways: Ways, ours: Offer, theirs: Offer) -> None:
        self.session, self.ufrag = ours.session, ours.ufrag
        self.leads = theirs.to < ours.to
        """Whose key is the smaller one chooses ways, and is the client of TLS."""
        self.changed: Callable[[], None] = _nothing
        """A better stream can be had, or the path is lost: `stream` gives another one, to both."""
        self.moved: Callable[[], None] = _nothing
        """`path` is another one, to be shown."""
        self.ended: Callable[[], None] = _nothing
        """For whoever runs it."""
        self._ways, self._offers, self._relays = ways, (ours, theirs), _agreed(ours, theirs)
        self._loop = asyncio.get_running_loop()
        self.checks = _checks(ours, theirs, leads=self.leads, dice=ways.dice)
        self.streams = Streams(
            ours, theirs, leads=self.leads, clock=self._loop.time, scratch=ways.port.scratch
        )
        self._bell, self._news, self._wanted = asyncio.Event(), asyncio.Event(), asyncio.Event()
        self.streams.bell, self.streams.better = self._bell.set, self._tell
        self.streams.wanted = lambda: self._waiters > 0
        self._numbers = count(1)
        self._channels: dict[int, tuple[RelayAt, Channel]] = {}
        self._sends = _Sends(self)
        self._shown: tuple[bool, Way | None] = (False, None)
        self._waiters = 0  # for a stream
        self._over = False

    # What a call may do

    async def stream(self, framer: Framer, conversation: Conversation) -> Stream:
        """By the best way there is; both sides ask. Raises NetworkError when none was found in time."""
        self._wanted.set()
        self._waiters += 1
        try:
            async with asyncio.timeout(STREAM_TIME):
                while not self._over:
                    picked = self.streams.pick()
                    if picked is None:
                        self._bell.clear()
                        await self._bell.wait()
                    elif not self.leads or await self.streams.confirm(picked):
                        return self.streams.hand_out(picked, framer, conversation)
        except TimeoutError as error:
            raise NetworkError("no way to the other side was found") from error
        finally:
            self._waiters -= 1
        raise NetworkError("the meeting is over")

    @property
    def datagrams(self) -> Datagrams | None:
        """Direct or through a relay; None while there is no way, or only one for streams: see `moved`."""
        return None if self.checks.best is None else self._sends

    @property
    def path(self) -> Path | None:
        """None until there is one."""
        ours, theirs = (offer.candidates.nat for offer in self._offers)
        best, used = self.checks.best, self.streams.used
        if best is not None:
            return Path(self._carries(), best.rtt, udp=True, ours=ours, theirs=theirs)
        if used is not None and used.works:
            return Path(used.relay, used.rtt, udp=False, ours=ours, theirs=theirs)
        return None

    def close(self) -> None:
        """Gives up its ways, not the streams that were handed out. May be called twice."""
        if not self._over:
            self._over = True
            self._bell.set()
            self.streams.close()
            self.ended()

    # What comes

    def got_stun(self, message: stun.Message, way: Way) -> None:
        """Raises FormatError."""
        self._send(self.checks.got(message, way, self._loop.time()))
        self._news.set()

    def got_media(self, data: bytes) -> None:
        """By a way that is known to be the other side's."""
        self._sends.on_datagram(data)

    def send(self, data: bytes) -> None:
        """By the best way for datagrams, or not at all."""
        if self.checks.best is not None:
            self._send([(self.checks.best.way, data)])

    def _send(self, out: Out) -> None:
        for way, data in out:
            if isinstance(way, Address):
                self._ways.port.send_datagram(data, way)
            elif way in self._channels:
                self._channels[way][1].send(data)

    # What goes on

    async def live(self) -> None:
        """Until it is cancelled."""
        self._wanted.set()
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._check())
                tasks.create_task(self._make())
                for number, relay in enumerate(self._relays if self._ways.relaying else ()):
                    tasks.create_task(self._keep_relay(number, relay, self._ways.relaying))
        finally:
            self.close()

    async def _check(self) -> None:
        while True:
            now = self._loop.time()
            self._news.clear()
            self._send(self.checks.tick(now))
            self.streams.tick(now)
            self._notice()
            await _rings(self._news, self.checks.wait(now))

    def _notice(self) -> None:
        """Another path is told, and a direct one for datagrams is used for a stream as well."""
        best, (was_direct, before) = self.checks.best, self._shown
        direct = best is not None and best.rank != Rank.RELAY
        self._shown = (direct, None if best is None else best.way)
        if self._shown == (was_direct, before):
            return
        self.moved()
        if direct and not self.streams.direct and self.streams.used is not None:
            self._wanted.set()
        if before is not None and not self.checks.knows(before):
            self._tell()

    def _tell(self) -> None:
        """Whoever waits for a stream gets the one that this is about."""
        if not self._over and not self._waiters:
            self.changed()

    async def _make(self) -> None:
        """Streams, when somebody wants one."""
        making = Making(
            self._ways.port,
            self._ways.relaying,
            self.streams,
            self._offers,
            self._relays,
            self._ways.number,
            self._ways.dice,
        )
        while True:
            if not self._waiters:
                await self._wanted.wait()
            self._wanted.clear()
            async with asyncio.TaskGroup() as tasks:
                round_ = tasks.create_task(making.once(self._direct_way, self._carries))
                again = tasks.create_task(self._wanted_anew(making))
                await asyncio.wait((round_, again), return_when=asyncio.FIRST_COMPLETED)
                round_.cancel()
                again.cancel()
            await asyncio.sleep(ROUND_PAUSE)

    async def _wanted_anew(self, making: Making) -> None:
        """Until somebody wants one more, or another one, than this round has brought already."""
        while True:
            await self._wanted.wait()
            if making.done:
                return
            self._wanted.clear()

    async def _direct_way(self) -> Address:
        while True:
            best = self.checks.best
            if best is not None and isinstance(best.way, Address):
                return best.way
            await asyncio.sleep(0.05)

    async def _keep_relay(self, number: int, relay: RelayAt, relaying: Relaying | None) -> None:
        """A channel for datagrams: of the first ones at once, of others when those do not carry."""
        assert relaying is not None
        pause = RELAY_AGAIN
        while True:
            if number >= RELAYS_AT_ONCE:
                await asyncio.sleep(RELAY_PATIENCE)
                if self._carrying >= RELAYS_AT_ONCE:
                    continue
            try:
                channel = await relaying.channel(relay, self.session, self._offers[0].to)
            except (OSError, RemoteError):
                await asyncio.sleep(pause * (0.5 + self._ways.dice.random()))
                pause = min(2 * pause, RELAY_LAST_AGAIN)
                continue
            pause = RELAY_AGAIN
            await self._use(relay, channel)

    async def _use(self, relay: RelayAt, channel: Channel) -> None:
        """Until it is closed."""
        way, closed = next(self._numbers), asyncio.Event()
        self._channels[way] = (relay, channel)
        channel.on_closed = closed.set
        channel.on_datagram = lambda data: self._got_relayed(data, way)
        self.checks.add([(way, Rank.RELAY)], self._loop.time())
        self._news.set()
        try:
            await closed.wait()
        finally:
            del self._channels[way]
            self.checks.drop(way)
            self._news.set()
            channel.close()

    def _got_relayed(self, data: bytes, way: int) -> None:
        """Raises FormatError."""
        if data[4:8] == _COOKIE and data[:1] < b"\x40":
            self.got_stun(stun.read(data), way)
        elif self.checks.knows(way):
            self.got_media(data)

    @property
    def _carrying(self) -> int:
        return sum(map(self.checks.knows, self._channels))

    def _carries(self) -> RelayAt | None:
        """Which carries datagrams, if one does."""
        best = self.checks.best
        return (
            None if best is None or isinstance(best.way, Address) else self._channels[best.way][0]
        )


_COOKIE = b"\x21\x12\xa4\x42"  # RFC 8489, 5


class _Sends:
    """The datagrams of a meeting, as a call sees them."""

    def __init__(self, meeting: Meeting) -> None:
        self._meeting = meeting
        self.on_datagram: Callable[[bytes], None] = _unheard

    def send(self, data: bytes) -> None:
        self._meeting.send(data)


def _checks(ours: Offer, theirs: Offer, *, leads: bool, dice: Random) -> Reaching:
    secrets = [Secrets(offer.ufrag, offer.password) for offer in (ours, theirs)]
    checks = Reaching(*secrets, leads=leads, dice=dice)
    kinds = {address.normal: kind for kind, address in reversed(theirs.candidates.udp)}
    ways = fitting(theirs.candidates.udp, theirs.candidates, ours.candidates)
    now = asyncio.get_running_loop().time()
    checks.add([(way, _RANKS[kinds[way]]) for way in ways], now)
    return checks


def _agreed(ours: Offer, theirs: Offer) -> list[RelayAt]:
    """The relays of both in an order that both find: the first of each, then the second.

    None of theirs is nearer to us than they can be; then there is one less here.
    """
    most = farthest(theirs.candidates, ours.candidates)
    first, second = (ours, theirs) if theirs.to < ours.to else (theirs, ours)
    rows = [offer.relays for offer in (first, second)]
    mixed = [row[n] for n in range(MAX_RELAYS) for row in rows if n < len(row)]
    fits = [each for each in mixed if each in ours.relays or zone_of(each.address.host) <= most]
    return list({relay.node: relay for relay in fits}.values())[:MAX_RELAYS]


async def _rings(bell: asyncio.Event, seconds: float) -> None:
    """Until it does, but not longer than this."""
    try:
        async with asyncio.timeout(seconds):
            await bell.wait()
    except TimeoutError:
        """That is as good."""


def _nothing() -> None:
    """Nobody wants to know."""


def _unheard(data: bytes) -> None:
    """Nobody listens yet."""
