"""Searching iteratively: the plan of `guess`, carried out by datagrams.

The asker does the work here, not the network: each search counts what it cost, both ways.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, replace
from random import Random

from p2pswarm.formats.ids import Address
from p2pswarm.overlay.gnutella.udp.datagrams import Datagrams, Heard
from p2pswarm.overlay.gnutella.udp.guess import USUAL_HOSTS, AskKey, Guess, Visit
from p2pswarm.overlay.gnutella.udp.guess_hosts import GuessHosts
from p2pswarm.wire.gnutella.descriptor import Descriptor, Guid, Kind, new_guid
from p2pswarm.wire.gnutella.hit import QueryHit
from p2pswarm.wire.gnutella.pings import GUESS_VERSION, Ping, Pong
from p2pswarm.wire.gnutella.query import Query

__all__ = ["Cost", "Found", "Guessing"]

FIRST_HOSTS = 100  # of those we know, to begin with

Found = Callable[[Descriptor, QueryHit, Address], None]
"""A hit and who sent it: the servent itself, or (hops of 1 or more) its ultrapeer. May not raise."""


@dataclass(slots=True)
class Cost:
    """What one search took: datagrams and their bytes without those of IP, ultrapeers asked, why it ended."""

    messages_out: int = 0
    messages_in: int = 0
    bytes_out: int = 0
    bytes_in: int = 0
    visited: int = 0
    results: int = 0
    ended: str = ""


class Guessing:
    """Searches by UDP. `port` is ours when we are an ultrapeer, so that those we ask may tell of us."""

    def __init__(
        self,
        datagrams: Datagrams,
        hosts: GuessHosts,
        is_us: Callable[[Address], bool],
        clock: Callable[[], float],
        dice: Random,
    ) -> None:
        self.datagrams, self.hosts, self.is_us = datagrams, hosts, is_us
        self.clock, self.dice = clock, dice
        self.port = 0
        self._searches: dict[Guid, _Search] = {}

    async def search(
        self,
        query: Query,
        guid: Guid,
        wanted: int,
        found: Found,
        *,
        most: int = USUAL_HOSTS,
        cost: Cost | None = None,
    ) -> Cost:
        """Until there is enough or nobody is left. Cancel it to stop; `cost` is then what it was.

        Raises LocalProtocolError for a query that cannot be said, and for too many searches at once.
        """
        cost = cost or Cost()
        plan = Guess(wanted, self.clock(), most=most)
        search = self._searches[guid] = _Search(self, plan, query, guid, found, cost)
        try:
            await search.run()
        finally:
            search.close()
            del self._searches[guid]
        return cost

    def found_elsewhere(self, guid: Guid, count: int) -> None:
        """Results of this search came over another way (out-of-band): so many fewer are wanted."""
        search = self._searches.get(guid)
        if search is not None:
            search.found_elsewhere(count)


class _Search:
    """One search while it runs."""

    def __init__(
        self, rooms: Guessing, plan: Guess, query: Query, guid: Guid, found: Found, cost: Cost
    ) -> None:
        self._rooms, self._plan, self._query = rooms, plan, query
        self._guid, self._found, self._cost = guid, found, cost
        self._ping_guid = new_guid(rooms.dice)
        self._news = asyncio.Event()
        ping = Ping.asking(hosts=True, key=True)
        if rooms.port:  # GUESS 0.2, 10: an introduction
            told = bytes([GUESS_VERSION]) + rooms.port.to_bytes(2, "little")
            ping = Ping({**ping.ggep, "GUE": told})
        self._ping = Descriptor(self._ping_guid, Kind.PING, 1, 0, ping.encode())

    async def run(self) -> None:
        rooms, plan = self._rooms, self._plan
        rooms.datagrams.expect(self._guid, self._heard)
        rooms.datagrams.expect(self._ping_guid, self._heard)
        for address in rooms.hosts.known(FIRST_HOSTS):
            self._learn(address)
        while (ended := plan.over(rooms.clock())) is None:
            while (step := plan.step(rooms.clock())) is not None:
                self._do(step)
            self._drop_silent()
            await self._rest(plan.due - rooms.clock())
        self._cost.ended = ended

    def close(self) -> None:
        self._rooms.datagrams.forget(self._guid)
        self._rooms.datagrams.forget(self._ping_guid)
        self._cost.visited, self._cost.results = len(self._plan.visited), self._plan.results

    def found_elsewhere(self, count: int) -> None:
        self._plan.results += count
        self._news.set()

    async def _rest(self, seconds: float) -> None:
        """Until something has come, or for so long."""
        self._news.clear()
        try:
            async with asyncio.timeout(max(seconds, 0.0)):
                await self._news.wait()
        except TimeoutError:
            pass

    def _do(self, step: AskKey | Visit) -> None:
        message = self._ping
        if isinstance(step, Visit):
            query = replace(self._query, ggep={**self._query.ggep, "SCP": b"", "QK": step.key})
            message = Descriptor(self._guid, Kind.QUERY, 1, 0, query.encode())
        self._cost.messages_out += 1
        self._cost.bytes_out += self._rooms.datagrams.send(message, step.address)

    def _drop_silent(self) -> None:
        for address in self._plan.silent:
            self._rooms.hosts.silent(address)
        self._plan.silent.clear()

    def _learn(self, address: Address) -> None:
        if not self._rooms.is_us(address):
            self._plan.learn(address, self._rooms.hosts.key(address, self._rooms.clock()))

    # What comes with one of our two GUIDs

    def _heard(self, heard: Heard) -> bool:
        taken = False
        if heard.head.kind == Kind.PONG:
            taken = self._pong(heard, Pong.read(heard.head.payload))
        elif heard.head.kind == Kind.HIT and heard.head.guid == self._guid:
            taken = self._hit(heard, QueryHit.read(heard.head.payload))
        if taken:
            self._cost.messages_in += 1
            self._cost.bytes_in += heard.size
            self._news.set()
        return taken

    def _pong(self, heard: Heard, pong: Pong) -> bool:
        plan, address, key = self._plan, heard.address, pong.key
        if key is not None and plan.got_key(address, key, heard.now):
            self._rooms.hosts.answered(address, heard.now, key)
        elif heard.head.guid == self._guid and plan.acknowledged(address, heard.now):
            self._rooms.hosts.answered(address, heard.now)
        else:
            return False
        others = [pong.address] if pong.guess is not None else []
        for other in [*others, *pong.hosts]:
            if self._rooms.hosts.told(other, address.host):
                self._learn(other.normal)
        return True

    def _hit(self, heard: Heard, hit: QueryHit) -> bool:
        """From who was asked. Its own hit names its own address; a leaf's has made a hop."""
        own = heard.head.hops == 0 and not hit.push
        if own and hit.address.host != heard.address.host:
            return False
        if not self._plan.got_results(heard.address, len(hit.results), heard.now):
            return False
        self._found(heard.head, hit, heard.address)
        return True
