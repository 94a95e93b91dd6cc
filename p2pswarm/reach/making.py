"""Streams of a meeting are made in every way at once: dialed, punched, by uTP where datagrams get, relayed.

TCP first, by both sides; uTP as soon as the checks found a direct way, by the side that leads; a relay when
nothing was there within half a second, by both sides. A relayed stream ends none of the others: the first
direct one takes its place.

The one hard thing: two who dial each other from behind their NATs have to do it in the same moments. So each
tries for some seconds, and a refusal is no news until then.
"""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Iterator, Sequence
from contextlib import suppress
from random import Random
from typing import Any

from p2pswarm.errors import NetworkError, RemoteError
from p2pswarm.formats.ids import Address
from p2pswarm.net.port import Port
from p2pswarm.net.stream import Stream
from p2pswarm.reach.offers import CandidateKind, Offer, RelayAt, fitting
from p2pswarm.reach.paths import Relaying
from p2pswarm.reach.streams import Offered, StreamKind, Streams
from p2pswarm.wire.framer import Framer
from p2pswarm.wire.reaching import GreetingFramer

__all__ = ["Making"]

MOST_DIALED, MOST_PUNCHED = 6, 2
DIAL_TIME = 5.0  # seconds
PUNCH_TIME = 3.5
TRIED_FOR = 8.0
DIAL_PAUSES = (0.4, 0.8, 1.6, 3.2)
MOST_PUNCHES = 40
UTP_TIME, UTP_TRIES = 4.0, 3
DIRECT_TIME = 15.0  # seconds until a direct way for datagrams is not waited for any more
RELAY_HEAD_START = 0.5  # seconds
RELAY_STAGGER = 1.0  # seconds from one relay to the next
RELAY_PAUSES = (1.0, 2.0, 4.0, 8.0)
_Make = Callable[[Framer, Offered], Coroutine[Any, Any, Stream]]


class Making:
    """One meeting's. `once` makes what can be made, and ends when a direct stream is in use."""

    def __init__(
        self,
        port: Port,
        relaying: Relaying | None,
        streams: Streams,
        offers: tuple[Offer, Offer],
        relays: Sequence[RelayAt],
        barred: frozenset[str],
        number: int,
        dice: Random,
    ) -> None:
        self._dice = dice
        self._port, self._relaying, self._streams, self._relays = port, relaying, streams, relays
        self._number = number
        ours, self._theirs = offers
        self._peer = ours.to
        self._before: Offered | None = None
        named = self._theirs.candidates.tcp
        fits = fitting(named, self._theirs.candidates, ours.candidates)
        every = [address for address in fits if address.host not in barred]
        hosts = {address.normal for kind, address in named if kind == CandidateKind.HOST}
        self._dialed = [each for each in every if each in hosts][:MOST_DIALED]
        self._punched = [each for each in every if each not in hosts][:MOST_PUNCHED]

    async def once(
        self,
        direct_way: Callable[[], Awaitable[Address]],
        relay: Callable[[], RelayAt | None],
    ) -> None:
        """`direct_way` waits for an address to which datagrams get; `relay` is the one that carries them."""
        self._before = self._streams.used
        ways = [self._dial(address) for address in self._dialed]
        if self._number:
            ways += [self._punch(address) for address in self._punched]
        if self._streams.leads and self._port.speaks_utp:
            ways.append(self._utp(direct_way))
        if self._relaying is not None:
            ways.append(self._by_relays(relay))
        async with asyncio.TaskGroup() as tasks:
            running = [tasks.create_task(way) for way in ways]
            enough = tasks.create_task(self._enough(running))
            if running:
                await asyncio.wait(running)
            enough.cancel()

    async def _enough(self, running: Sequence["asyncio.Task[None]"]) -> None:
        """Until a direct stream is in use; then the rest need not be made."""
        while not (self.done and self._streams.direct):  # noqa: ASYNC110 - streams end by themselves
            await asyncio.sleep(0.1)
        for each in running:
            each.cancel()

    @property
    def done(self) -> bool:
        """Whether a stream was taken since this round began."""
        return self._streams.used is not self._before

    async def _dial(self, address: Address) -> None:
        async def make(framer: Framer, offered: Offered) -> Stream:
            return await self._port.dial(address, framer, offered)

        await self._repeatedly(make, DIAL_TIME, DIAL_PAUSES)

    async def _punch(self, address: Address) -> None:
        async def make(framer: Framer, offered: Offered) -> Stream:
            return await self._port.dial_from(self._number, address, framer, offered)

        await self._repeatedly(make, PUNCH_TIME, self._punch_pauses(), crossing=True)

    def _punch_pauses(self) -> Iterator[float]:
        """By chance, or two whose routers refuse at once would miss each other again and again."""
        for _ in range(MOST_PUNCHES):
            yield 0.05 + 0.3 * self._dice.random()

    async def _repeatedly(
        self, make: _Make, seconds: float, pauses: Iterable[float], *, crossing: bool = False
    ) -> None:
        """The other side may begin later: until then it does not know what meeting is meant."""
        loop = asyncio.get_running_loop()
        until = loop.time() + TRIED_FOR
        for pause in pauses:
            try:
                offered = self._streams.offer(StreamKind.TCP, crossing=crossing)
            except NetworkError:
                return
            if await self._make(offered, make, seconds) or loop.time() + pause > until:
                return
            await asyncio.sleep(pause)

    async def _utp(self, direct_way: Callable[[], Awaitable[Address]]) -> None:
        with suppress(TimeoutError, NetworkError):
            async with asyncio.timeout(DIRECT_TIME):
                await direct_way()
            for _ in range(UTP_TRIES):
                address = await direct_way()

                async def make(framer: Framer, offered: Offered, to: Address = address) -> Stream:
                    return await self._port.dial_utp(to, framer, offered)

                if await self._make(self._streams.offer(StreamKind.UTP), make, UTP_TIME):
                    return

    async def _by_relays(self, carries: Callable[[], RelayAt | None]) -> None:
        """One after the other, for both sides have to come to the same.

        What waits to be taken may be lost before it is, if one of us stands still for seconds; so this goes
        on until one is taken, if one is wanted.
        """
        await asyncio.sleep(RELAY_HEAD_START if self._before is None else 0.0)
        for pause in RELAY_PAUSES:
            async with asyncio.TaskGroup() as tasks:
                for relay in self._best_first(carries()):
                    waiting = self._streams.waiting
                    if self.done or (waiting and not self._streams.wanted()):
                        return
                    if waiting:
                        break
                    trying = tasks.create_task(self._relay(relay))
                    await asyncio.wait([trying], timeout=RELAY_STAGGER)
            await asyncio.sleep(pause)

    def _best_first(self, carries: RelayAt | None) -> list[RelayAt]:
        """The one that carries datagrams works; the one that carried the last stream perhaps does not."""
        last = None if self._before is None else self._before.relay
        return sorted(self._relays, key=lambda each: (each != carries, each == last))

    async def _relay(self, relay: RelayAt) -> None:
        relaying = self._relaying
        assert relaying is not None

        async def make(framer: Framer, offered: Offered) -> Stream:
            return await relaying.stream(relay, self._theirs.session, self._peer, framer, offered)

        with suppress(NetworkError):
            offered = self._streams.offer(StreamKind.RELAY, relay, crossing=True)
            await self._make(offered, make, None)

    async def _make(self, offered: Offered, make: _Make, seconds: float | None) -> bool:
        """Whether there is a stream that both sides know."""
        try:
            async with asyncio.timeout(seconds):
                offered.begin(await make(GreetingFramer(self._port.scratch), offered))
        except (OSError, TimeoutError, RemoteError):
            self._streams.gone(offered)
            return False
        except BaseException:
            offered.close()
            raise
        await offered.settled.wait()
        return offered.greeted
