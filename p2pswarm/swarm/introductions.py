"""Peers that a super node introduces: both dial by uTP in one moment, and a relay joins them if that fails.

Two super nodes introduce the same two, so what both say of one peer goes together, and both sides begin with
the same relay. What a relay sees is noise: the handshake is hidden, RC4 is required, and who obfuscates
nothing is never relayed. While a relay works both are introduced again, every two minutes, and dial; the
connection that comes of it takes the relay's place (`greeting`).

The one hard thing: a super node could have us send packets to anybody. So whom we dial is bounded as in BEP
55 (`Encounters`); a relay harms nobody, but costs others, so that whoever was relayed to us in vain waits
longer each time.
"""

import asyncio
import logging
from collections import OrderedDict
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Any

from p2pswarm.discovery.introducing import Introduction, RelayDial
from p2pswarm.errors import RemoteError
from p2pswarm.formats.ids import Address
from p2pswarm.net.binding import family_of
from p2pswarm.net.stream import Conversation, Stream
from p2pswarm.swarm.addresses import AddressBook
from p2pswarm.swarm.dialer import Dialer, Surroundings
from p2pswarm.swarm.meeting import AGAIN, Encounters
from p2pswarm.wire.framer import Framer, KeepingFramer

__all__ = ["Introductions"]

log = logging.getLogger(__name__)

PUNCH_TIME = 4.0  # seconds for two to get through to each other, before a relay joins them
GATHER_TIME = 1.0  # seconds for others to introduce the same peer, where nothing is dialed
MOST_MEETING = 20  # peers that we are introduced to at a time
MOST_WAYS = 2  # relays that are tried to reach one peer
MOST_RELAYING = 4  # at a time
RELAYED_AGAIN = 100.0  # seconds between dials to a host that a relay joins us with,
MOST_DIALS = 3  # of which the others wait as long as for anybody
PAUSE = 30.0  # seconds until a relay may bring the same peer again, doubled with each time
LONGEST_PAUSE = 600.0
MOST_REMEMBERED = 200

Spawn = Callable[[Coroutine[Any, Any, None]], object]
Connected = Callable[[], set[Address]]
"""Who need not be dialed; everybody, when nobody is wanted any more."""


@dataclass(slots=True)
class _Relayed:
    """A peer that came by a relay."""

    stream: Stream
    times: int
    again: float
    dials: int = 0  # of ours since, at where it says to be

    def take_dial(self, there: Address | None) -> bool:
        """Whether one more is ours: it says to be where it said when the relay joined us, and few were."""
        self.dials += 1
        same = there is not None and there.host == self.stream.remote.host
        return same and self.dials <= MOST_DIALS


class Introductions:
    """Of one torrent; `heard` for each."""

    def __init__(self, node: Surroundings, book: AddressBook, dialer: Dialer) -> None:
        self._node, self._book, self._dialer = node, book, dialer
        self._encounters = Encounters()
        self._meeting: dict[bytes, list[Introduction]] = {}  # by the peers' names there
        self._relayed: OrderedDict[bytes, _Relayed] = OrderedDict()
        self._relaying = 0

    def heard(self, to: Introduction, connected: Connected, spawn: Spawn) -> None:
        """Somebody dials us in this moment; the work is `spawn`'s."""
        families = self._node.port.families
        there = next((each for each in to.addresses if family_of(each.host) in families), None)
        relayed = self._is_relayed(to.who)
        if there is not None and (
            self._book.is_banned(there) or (there in connected() and not relayed)
        ):
            return
        if to.who in self._meeting:
            self._meeting[to.who].append(to)
        elif len(self._meeting) < MOST_MEETING and (relayed or self._may_come(to.who)):
            self._meeting[to.who] = [to]
            spawn(self._reach(to.who, there, connected))

    def _is_relayed(self, who: bytes) -> bool:
        last = self._relayed.get(who)
        return last is not None and not last.stream.over

    def _may_come(self, who: bytes) -> bool:
        last = self._relayed.get(who)
        return last is None or (last.stream.over and last.again <= self._node.clock())

    async def _reach(self, who: bytes, there: Address | None, connected: Connected) -> None:
        relayed = self._is_relayed(who)
        try:
            again = RELAYED_AGAIN if relayed and self._relayed[who].take_dial(there) else AGAIN
            await self._punch(there, self._meeting[who][0].third, again)
        finally:
            ways = sorted(self._meeting.pop(who), key=lambda each: each.third)
        if relayed:
            return
        for to in ways[:MOST_WAYS]:
            if there is not None and there in connected():
                return
            if await self._be_relayed(to, there):
                return

    async def _punch(self, there: Address | None, third: Address, again: float) -> None:
        now = self._node.clock()
        if there is None or not self._encounters.begin(there, third.host, now, again=again):
            await asyncio.sleep(GATHER_TIME)
        else:
            self._book.met(there, now)
            await self._dialer.meet(there, PUNCH_TIME)

    async def _be_relayed(self, to: Introduction, there: Address | None) -> bool:
        """Whether a relay joined us; `there` is where the other one is, as far as that is known."""
        if to.relay is None or self._relaying >= MOST_RELAYING or self._node.encryption == "off":
            return False
        self._relaying += 1
        try:
            stream = await self._join(to, to.relay, there or to.third)
        except (OSError, TimeoutError, RemoteError) as error:
            log.debug("no relay at %s: %s", to.third, error)
            return False
        finally:
            self._relaying -= 1
        self._note(to.who, stream)
        return True

    async def _join(self, to: Introduction, relay: RelayDial, there: Address) -> Stream:
        """Raises OSError, TimeoutError, RemoteError."""

        async def dial(address: Address, framer: Framer, conversation: Conversation) -> Stream:
            try:
                stream = await relay(framer, conversation)
            except RemoteError as error:
                raise OSError(str(error)) from error
            stream.remote, stream.relayed = address, True
            return stream

        if to.speaks:
            return await self._dialer.hidden(dial, there)
        stream = await dial(there, KeepingFramer(self._node.port.scratch), _Nobody())
        self._node.relayed(stream)
        return stream

    def _note(self, who: bytes, stream: Stream) -> None:
        last = self._relayed.pop(who, None)
        times = 1 if last is None else last.times + 1
        pause = min(PAUSE * 2.0 ** min(times - 1, 10), LONGEST_PAUSE)
        self._relayed[who] = _Relayed(stream, times, self._node.clock() + pause)
        if len(self._relayed) > MOST_REMEMBERED:
            self._relayed.popitem(last=False)


class _Nobody:
    """Who hears a stream of which somebody else will take care at once."""

    def got(self, message: object) -> None:
        """Nothing is understood yet."""

    def caught_up(self) -> None:
        """Nor is anything answered."""

    def drained(self) -> None:
        """Nothing was sent."""

    def closed(self, reason: Exception | None) -> None:
        """It shows when it is taken over."""
