"""One lookup in both networks at once: whoever answers names nodes of either.

It is driven by the answers themselves; whoever wants the result waits for one future.
"""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

from p2pswarm.discovery.dht.asking import Answered, Outcome
from p2pswarm.discovery.dht.lookup import Lookup
from p2pswarm.discovery.dht.network import near_enough
from p2pswarm.wire.krpc import Contact, Family, Query, Reply

__all__ = ["Ask", "Found", "Heard", "Holder", "LookupCost", "Walk"]

Ask = Callable[[Contact, Query, Answered, Callable[[], None]], None]
Heard = Callable[[Contact, Reply], object]
"""One reply. True: that was what was looked for, nobody else need be asked."""

# Seconds for those that did not answer within one, when nobody else is left; libtorrent waits for fifteen,
# which in a network of a few nodes is how long one that has left would hold up everybody.
_PATIENCE = 3.0
_MOST_NAMED = 16  # nodes by one node; eight are asked for


@dataclass(frozen=True, slots=True)
class LookupCost:
    """`hops`: by how many nodes, one after the other, the nearest was found."""

    asked: int
    answered: int
    hops: int
    seconds: float


class Holder(NamedTuple):
    """A node near a target that gave us a token: it stores what we send."""

    contact: Contact
    token: bytes


class Found(NamedTuple):
    """`nearest` are nodes that answered, `holders` those among the near ones that may be told something."""

    cost: LookupCost
    nearest: list[Contact]
    holders: list[Holder]


class Walk:
    """`lookups` know where to begin; every reply is given to `heard`."""

    def __init__(
        self, query: Query, lookups: Mapping[Family, Lookup], ask: Ask, heard: Heard
    ) -> None:
        self._query, self._lookups, self._ask, self._heard = query, lookups, ask, heard
        self._loop = asyncio.get_running_loop()
        self._done: asyncio.Future[None] = self._loop.create_future()
        self._patience: asyncio.TimerHandle | None = None

    async def run(self) -> None:
        """To its end. Who cancels it hears no more."""
        self._go_on()
        try:
            await self._done
        finally:
            self.stop()

    def stop(self) -> None:
        self._wait_no_more()
        if not self._done.done():
            self._done.set_result(None)

    def _wait_no_more(self) -> None:
        """Whoever was waited for has answered, or nobody is waited for any more."""
        if self._patience is not None:
            self._patience.cancel()
            self._patience = None

    def found(self, seconds: float) -> Found:
        lookups = self._lookups.values()
        cost = LookupCost(
            asked=sum(each.asked for each in lookups),
            answered=sum(each.answers for each in lookups),
            hops=max((each.hops for each in lookups), default=0),
            seconds=seconds,
        )
        nearest = [contact for each in lookups for contact in each.nearest()]
        return Found(cost, nearest, [Holder(*pair) for each in lookups for pair in each.holders()])

    def _go_on(self) -> None:
        for lookup in self._lookups.values():
            for contact in lookup.next():
                answered = partial(self._answered, lookup, contact)
                self._ask(contact, self._query, answered, partial(self._slow, lookup, contact))
        self._wait_no_more()
        if all(each.over for each in self._lookups.values()):
            self.stop()
        elif all(each.over or each.stuck for each in self._lookups.values()):
            self._patience = self._loop.call_later(_PATIENCE, self.stop)

    def _answered(self, lookup: Lookup, contact: Contact, outcome: Outcome) -> None:
        if self._done.done():
            return
        if isinstance(outcome, Reply):
            lookup.answered(contact, outcome.token)
            self._name(outcome, contact)
            if self._heard(contact, outcome) is True:
                self.stop()
                return
        else:
            lookup.failed(contact)
        self._go_on()

    def _slow(self, lookup: Lookup, contact: Contact) -> None:
        if not self._done.done():
            lookup.slow(contact)
            self._go_on()

    def _name(self, reply: Reply, namer: Contact) -> None:
        for family, nodes in ((Family.IPV4, reply.nodes), (Family.IPV6, reply.nodes6)):
            lookup = self._lookups.get(family)
            if lookup is not None and nodes:
                near = [each for each in nodes if near_enough(each.address, namer.address)]
                lookup.add(near[:_MOST_NAMED], namer)
