"""The channels of a meeting through relays: two carry checks all the time, so that one is at hand when the
other one, or the direct way, dies.

The one hard thing: both sides have to come to the same relays. So they put the relays of both offers in the
same order, begin with the first two, and go on to others when those do not carry.
"""

import asyncio
from collections.abc import Callable, Sequence
from itertools import count
from random import Random

from p2pswarm.errors import RemoteError
from p2pswarm.formats.zones import zone_of
from p2pswarm.reach.checking import Rank, Reaching
from p2pswarm.reach.offers import MAX_RELAYS, Offer, RelayAt, farthest
from p2pswarm.reach.paths import Channel, Relaying

__all__ = ["Channels", "agreed"]

AT_ONCE = 2
PATIENCE = 3.0  # seconds for those before there is one relay more
AGAIN, LAST_AGAIN = 1.0, 30.0  # seconds until a relay is asked again


def agreed(ours: Offer, theirs: Offer) -> list[RelayAt]:
    """The relays of both in an order that both find: the first of each, then the second.

    None of theirs is nearer to us than they can be; then there is one less here.
    """
    most = farthest(theirs.candidates, ours.candidates)
    first, second = (ours, theirs) if theirs.to < ours.to else (theirs, ours)
    rows = [offer.relays for offer in (first, second)]
    mixed = [row[n] for n in range(MAX_RELAYS) for row in rows if n < len(row)]
    fits = [each for each in mixed if each in ours.relays or zone_of(each.address.host) <= most]
    return list({relay.node: relay for relay in fits}.values())[:MAX_RELAYS]


class Channels:
    """Ways with numbers for `checks`. `keep` runs until it is cancelled."""

    def __init__(
        self,
        relaying: Relaying | None,
        relays: Sequence[RelayAt],
        who: tuple[bytes, bytes],
        checks: Reaching,
        dice: Random,
    ) -> None:
        """`who` is the session and the key of the other side."""
        self._relaying, self._relays, self._who = relaying, relays, who
        self._checks, self._dice = checks, dice
        self._numbers = count(1)
        self._open: dict[int, tuple[RelayAt, Channel]] = {}
        self.heard: Callable[[bytes, int], None] = _unheard
        """Told what comes, and by which way."""
        self.news: Callable[[], None] = _nothing
        """Called when there is one more, or one less."""
        self.opened: Callable[[RelayAt], None] = lambda relay: None
        """Told of each relay that relays."""

    def relay(self, way: int) -> RelayAt:
        """Whose channel it is."""
        return self._open[way][0]

    def send(self, way: int, data: bytes) -> None:
        """Dropped when it is closed."""
        if way in self._open:
            self._open[way][1].send(data)

    async def keep(self) -> None:
        relaying = self._relaying
        if relaying is not None:
            async with asyncio.TaskGroup() as tasks:
                for number, relay in enumerate(self._relays):
                    tasks.create_task(self._keep(number, relay, relaying))

    async def _keep(self, number: int, relay: RelayAt, relaying: Relaying) -> None:
        pause = AGAIN
        while True:
            await self._wanted(number)
            try:
                channel = await relaying.channel(relay, *self._who)
            except (OSError, RemoteError):
                pause = min(2 * pause, LAST_AGAIN)
            else:
                pause = AGAIN
                await self._use(relay, channel)
            await asyncio.sleep(pause * (0.5 + self._dice.random()))

    async def _wanted(self, number: int) -> None:
        """The first ones at once, others while those do not carry."""
        while number >= AT_ONCE:
            await asyncio.sleep(PATIENCE)
            if sum(map(self._checks.knows, self._open)) < AT_ONCE:
                return

    async def _use(self, relay: RelayAt, channel: Channel) -> None:
        """Until it is closed."""
        way, closed = next(self._numbers), asyncio.Event()
        self._open[way] = (relay, channel)
        self.opened(relay)
        channel.on_closed = closed.set
        channel.on_datagram = lambda data: self.heard(data, way)
        self._checks.add([(way, Rank.RELAY)], asyncio.get_running_loop().time())
        self.news()
        try:
            await closed.wait()
        finally:
            self._checks.drop(way)
            del self._open[way]
            self.news()
            channel.close()


def _unheard(data: bytes, way: int) -> None:
    """Nobody listens yet."""


def _nothing() -> None:
    """Nobody wants to know."""
