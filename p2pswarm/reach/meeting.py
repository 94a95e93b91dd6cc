"""Two who reach each other: checks find ways for datagrams, streams are made, and the path is shown.

Both sides call `stream` and get two ends of the same one; after `changed` both do it again. What was handed
out is not touched.

The one hard thing: a way that dies while somebody speaks on it. Nobody says so, answers to checks stay away;
what is sent next then takes another way, and both sides make another stream.
"""

import asyncio
from random import Random
from typing import TYPE_CHECKING, Protocol

from p2pswarm.errors import NetworkError
from p2pswarm.formats.ids import Address
from p2pswarm.net.port import Port
from p2pswarm.net.stream import Conversation, Stream
from p2pswarm.reach import stun
from p2pswarm.reach.channels import Channels, agreed
from p2pswarm.reach.checking import Out, Rank, Reaching, Secrets, Way
from p2pswarm.reach.making import Making
from p2pswarm.reach.offers import CandidateKind, Offer, RelayAt, fitting
from p2pswarm.reach.paths import Datagrams, Path, Relaying
from p2pswarm.reach.strangers import Strangers
from p2pswarm.reach.streams import Streams
from p2pswarm.wire.framer import Framer

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["Meeting", "Ways"]

STREAM_TIME = 30.0  # seconds until a stream is given up
ROUND_PAUSE = 0.2  # seconds
_RANKS = {CandidateKind.HOST: Rank.HOST, CandidateKind.REFLEXIVE: Rank.REFLEXIVE}


class Ways(Protocol):
    """What of a node its meetings use."""

    port: Port
    relaying: Relaying | None
    dice: Random
    strangers: Strangers

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
        self._ways, self._offers = ways, (ours, theirs)
        self._loop = asyncio.get_running_loop()
        self._named = _named(ours, theirs)
        self._barred = ways.strangers.barred(self._named, self._loop.time())
        relays = agreed(ours, theirs)
        self._relays = [each for each in relays if each.address.normal.host not in self._barred]
        self.checks = _checks(ours, theirs, self._barred, leads=self.leads, dice=ways.dice)
        self.streams = Streams(
            ours, theirs, leads=self.leads, clock=self._loop.time, scratch=ways.port.scratch
        )
        self._bell, self._news, self._wanted = asyncio.Event(), asyncio.Event(), asyncio.Event()
        self.streams.bell, self.streams.better = self._bell.set, self._tell
        self.streams.wanted = lambda: self._waiters > 0
        self._channels = Channels(
            ways.relaying, self._relays, (ours.session, ours.to), self.checks, ways.dice
        )
        self._channels.heard, self._channels.news = self._got_relayed, self._news.set
        self._channels.opened = lambda relay: self._proved(relay.address)
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
                        stream = self.streams.hand_out(picked, framer, conversation)
                        self._proved(
                            stream.remote if picked.relay is None else picked.relay.address
                        )
                        return stream
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

    def renew(self, ours: Offer, theirs: Offer) -> None:
        """One of the two says other places than before (`Offer.renewed`): they are tried."""
        named, now = _named(ours, theirs), self._loop.time()
        # What they say again is tried again, so it counts again; what we say makes no host of theirs new.
        tried = named if theirs is not self._offers[1] else named - self._named
        new = self._ways.strangers.barred(tried, now)
        self._barred, self._named = (self._barred & named) | new, named
        self._offers = ours, theirs
        self.checks.renew(_ranked(ours, theirs, self._barred), now)
        self._news.set()
        if not self.streams.direct:
            self._wanted.set()

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
        if isinstance(way, Address) and self.checks.knows(way):
            self._proved(way)
        self._news.set()

    def _proved(self, there: Address) -> None:
        """Somebody of ours is there."""
        self._ways.strangers.proved(there.normal.host)

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
            else:
                self._channels.send(way, data)

    # What goes on

    async def live(self) -> None:
        """Until it is cancelled."""
        self._wanted.set()
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._check())
                tasks.create_task(self._make())
                tasks.create_task(self._channels.keep())
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
        while True:
            if not self._waiters:
                await self._wanted.wait()
            self._wanted.clear()
            making = Making(
                self._ways.port,
                self._ways.relaying,
                self.streams,
                self._offers,
                self._relays,
                self._barred,
                self._ways.number,
                self._ways.dice,
            )
            async with asyncio.TaskGroup() as tasks:
                round_ = tasks.create_task(making.once(self._direct_way, self._carries))
                again = tasks.create_task(self._wanted_anew(making))
                await asyncio.wait((round_, again), return_when=asyncio.FIRST_COMPLETED)
                round_.cancel()
                again.cancel()
            await asyncio.sleep(ROUND_PAUSE)

    async def _wanted_anew(self, making: Making) -> None:
        """Until somebody wants one more, or another one, than this round has brought already, or tries.

        Or the one that there was is lost: such a round was in no hurry.
        """
        offers, before = self._offers, self.streams.used
        worked = before is not None and before.works
        while True:
            await self._wanted.wait()
            lost = worked and before is not None and not before.works
            if making.done or lost or self._offers is not offers:
                return
            self._wanted.clear()

    async def _direct_way(self) -> Address:
        while True:
            best = self.checks.best
            if best is not None and isinstance(best.way, Address):
                return best.way
            await asyncio.sleep(0.05)

    def _got_relayed(self, data: bytes, way: int) -> None:
        """Raises FormatError."""
        if data[4:8] == _COOKIE and data[:1] < b"\x40":
            self.got_stun(stun.read(data), way)
        elif self.checks.knows(way):
            self.got_media(data)

    def _carries(self) -> RelayAt | None:
        """Which relay carries datagrams, if one does."""
        best = self.checks.best
        if best is None or isinstance(best.way, Address):
            return None
        return self._channels.relay(best.way)


_COOKIE = b"\x21\x12\xa4\x42"  # RFC 8489, 5


class _Sends:
    """The datagrams of a meeting, as a call sees them."""

    def __init__(self, meeting: Meeting) -> None:
        self._meeting = meeting
        self.on_datagram: Callable[[bytes], None] = _unheard

    def send(self, data: bytes) -> None:
        self._meeting.send(data)


def _named(ours: Offer, theirs: Offer) -> set[str]:
    """Hosts that the other side alone names."""
    candidates = (*theirs.candidates.udp, *theirs.candidates.tcp)
    relays = [relay for relay in theirs.relays if relay not in ours.relays]
    addresses = [*(a for _, a in candidates), *(relay.address for relay in relays)]
    return {address.normal.host for address in addresses}


def _checks(
    ours: Offer, theirs: Offer, barred: frozenset[str], *, leads: bool, dice: Random
) -> Reaching:
    secrets = [Secrets(offer.ufrag, offer.password) for offer in (ours, theirs)]
    checks = Reaching(*secrets, leads=leads, dice=dice)
    checks.add(_ranked(ours, theirs, barred), asyncio.get_running_loop().time())
    return checks


def _ranked(ours: Offer, theirs: Offer, barred: frozenset[str]) -> list[tuple[Way, int]]:
    """Where datagrams are sent, of what the other side names."""
    kinds = {address.normal: kind for kind, address in reversed(theirs.candidates.udp)}
    ways = fitting(theirs.candidates.udp, theirs.candidates, ours.candidates)
    return [(way, _RANKS[kinds[way]]) for way in ways if way.host not in barred]


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
