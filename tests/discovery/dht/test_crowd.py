"""Items, counts and samples among many nodes of ours, in virtual time."""

import asyncio
from collections.abc import Awaitable, Callable
from random import Random
from typing import TYPE_CHECKING

import pytest

from p2pswarm.discovery.dht.items import ImmutableItem, Item, MutableItem, target_of
from p2pswarm.discovery.dht.keeping import Keeping
from p2pswarm.discovery.dht.publishing import get, put
from p2pswarm.discovery.dht.surveys import sample, scrape
from p2pswarm.formats.ids import Address, InfoHash
from p2pswarm.formats.signing import SigningKey
from p2pswarm.lab.dht.network import DhtNet
from p2pswarm.lab.loop import play
from p2pswarm.wire.krpc import Family, NodeId

if TYPE_CHECKING:
    from p2pswarm.discovery.dht.dht import Dht

KEY = SigningKey(bytes(32))
SWARM = InfoHash(b"\x12" * 20)
BOTH = (Family.IPV4, Family.IPV6)


class Crowd(DhtNet):
    """Nodes that know each other and keep items."""

    def __init__(self) -> None:
        super().__init__(delay=0.02)
        self.members: list[tuple[Dht, Address]] = []
        self.keeping: list[Keeping] = []

    async def grow(self, count: int) -> None:
        for number in range(count):
            first = self.members[0][1] if self.members else None
            families = BOTH if number % 4 == 0 else (Family.IPV4,)
            member = self.node([first] if first else [], families=families)
            self.members.append(member)
            self.keeping.append(
                Keeping(member[0], clock=self.loop.time, dice=Random(self.dice.random()))
            )
            await asyncio.sleep(0.5)
        await asyncio.sleep(10)

    @property
    def holders(self) -> list[int]:
        return [at for at, each in enumerate(self.keeping) if len(each.shelves)]


def told(story: Callable[[Crowd], Awaitable[None]], count: int = 24) -> None:
    async def tell(_: object) -> None:
        crowd = Crowd()
        try:
            await crowd.grow(count)
            await story(crowd)
        finally:
            await crowd.close()

    play(tell)


def next_one(value: bytes) -> Callable[[Item | None], Item]:
    def make(newest: Item | None) -> Item:
        number = newest.sequence if isinstance(newest, MutableItem) else 0
        return MutableItem.signed(KEY, value, number + 1)

    return make


def test_an_item_outlives_half_of_those_that_took_it() -> None:
    async def story(crowd: Crowd) -> None:
        item = ImmutableItem.of(b"hello")
        _, took = await put(crowd.members[1][0], item.target, lambda newest: item)
        assert took == len(crowd.holders) == 8
        for at in crowd.holders[::2]:
            crowd.leave(crowd.members[at][1])
        reader, _ = crowd.members[2]
        assert await get(reader, item.target) == item

    told(story)


def test_who_has_left_is_not_waited_for_when_an_immutable_item_is_there() -> None:
    async def story(crowd: Crowd) -> None:
        item = ImmutableItem.of(b"hello")
        reader, _ = crowd.members[1]
        assert (await put(reader, item.target, lambda newest: item))[1] == 3
        crowd.leave(crowd.members[2][1])
        began = crowd.loop.time()
        assert await get(reader, item.target) == item
        assert crowd.loop.time() - began < 1

    told(story, 4)


def test_the_newest_is_found_whoever_put_it_last() -> None:
    async def story(crowd: Crowd) -> None:
        target = target_of(KEY.public)
        for at in (1, 5, 9):
            _, took = await put(crowd.members[at][0], target, next_one(b"%d" % at))
            assert took == 8
        item = await get(crowd.members[2][0], target)
        assert isinstance(item, MutableItem)
        assert (item.value, item.sequence) == (b"9", 3)

    told(story)


def test_a_swarm_is_counted_and_named_without_joining_it() -> None:
    async def story(crowd: Crowd) -> None:
        for at, (member, _) in enumerate(crowd.members[:15]):
            await member.announce(SWARM, 5000, lambda peer: None, seed=at < 5)
        reader, _ = crowd.members[22]
        size = await scrape(reader, SWARM)
        assert (size.seeds, size.others) == pytest.approx((5, 10), abs=2)
        named: list[InfoHash] = []
        survey = await sample(reader, NodeId(SWARM), named.append)
        assert named == [SWARM]
        assert survey.known >= 8

    told(story)
