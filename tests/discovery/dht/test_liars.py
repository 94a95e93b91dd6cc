"""A crowd with liars in it: they do not send us against a victim, keep us, or hide what others have."""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from random import Random

from p2pswarm.discovery.dht.items import ImmutableItem, MutableItem, target_of
from p2pswarm.discovery.dht.keeping import Keeping
from p2pswarm.discovery.dht.publishing import get, put
from p2pswarm.formats.ids import Address
from p2pswarm.formats.signing import SigningKey
from p2pswarm.lab.dht.network import DhtNet
from p2pswarm.lab.loop import play
from p2pswarm.wire.krpc import Contact, NodeId, Query, Reply, read_message

KEY = SigningKey(bytes(32))
ITEM = ImmutableItem.of(b"hello")


Lie = Callable[["Town", Query], dict[str, object]]
"""The fields of an answer."""


class Liar:
    """Answers whatever is asked, in its own way."""

    def __init__(self, net: "Town", address: Address, own: NodeId) -> None:
        self.net, self.address, self.id = net, address, own

    def got(self, data: bytes, sender: Address) -> None:
        query = read_message(data)
        if isinstance(query, Query):
            reply = self.net.lie(self.net, query)
            answer = Reply(
                **{"transaction": query.transaction, "id": self.id, "token": b"lie", **reply}  # type: ignore[arg-type]
            )
            self.net._send(answer.encode(), (self.address,), sender)

    def close(self) -> None:
        pass


class Town(DhtNet):
    """Honest nodes that keep items, and liars nearer to the target than any of them."""

    def __init__(self, target: NodeId, lie: Lie) -> None:
        super().__init__(delay=0.02)
        self.target, self.lie = target, lie
        self.heard: Counter[str] = Counter()
        self.away = 1 << 24

    async def grow(self, honest: int, liars: int) -> None:
        first: list[Address] = []
        for _ in range(honest):
            dht, address = self.node(first)
            Keeping(dht, clock=self.loop.time, dice=Random(1))
            first = first or [address]
            await asyncio.sleep(0.5)
        self.reader = dht
        for number in range(liars):
            address = self.address()
            own = self.near(number)
            self.nodes[address] = Liar(self, address, own)  # type: ignore[assignment]
            self.reader.ping(address)
        await asyncio.sleep(10)
        for task in self._running.values():  # nobody asks anything by itself from now on
            task.cancel()
        self.heard.clear()

    def near(self, number: int) -> NodeId:
        return NodeId(self.target[:18] + (number + 1).to_bytes(2))

    def made_up(self, addresses: Sequence[Address], *, there: bool = False) -> tuple[Contact, ...]:
        """Each nearer to the target than anybody before; where they are `there`, they lie, too."""
        named = []
        for address in addresses:
            self.away -= 1
            place = int.from_bytes(self.target) ^ self.away
            contact = Contact(NodeId(place.to_bytes(20)), address)
            named.append(contact)
            if there and address not in self.nodes:
                self.nodes[address] = Liar(self, address, contact.id)  # type: ignore[assignment]
        return tuple(named)

    @property
    def liars(self) -> list[Liar]:
        return [each for each in self.nodes.values() if isinstance(each, Liar)]

    def _send(self, data: bytes, ours: tuple[Address, ...], to: Address) -> None:
        self.heard[to.host] += 1
        super()._send(data, ours, to)


def told(
    target: NodeId,
    lie: Lie,
    story: Callable[[Town], Awaitable[None]],
    liars: int = 6,
) -> None:
    async def tell(_: object) -> None:
        town = Town(target, lie)
        try:
            await town.grow(12, liars)
            await story(town)
        finally:
            await town.close()

    play(tell)


def test_a_victim_that_all_liars_name_hears_one_question() -> None:
    def lie(town: Town, query: Query) -> dict[str, object]:
        ports = [Address("45.67.89.10", town.dice.randint(1, 65535)) for _ in range(8)]
        return {"nodes": town.made_up(ports)}

    async def story(town: Town) -> None:
        await get(town.reader, ITEM.target)
        assert town.heard["45.67.89.10"] <= 1

    told(ITEM.target, lie, story)


def test_nodes_without_end_are_not_asked_without_end() -> None:
    def lie(town: Town, query: Query) -> dict[str, object]:
        hosts = [f"45.{town.dice.randrange(256)}.{town.dice.randrange(256)}.1" for _ in range(16)]
        return {"nodes": town.made_up([Address(host, 6881) for host in hosts], there=True)}

    async def story(town: Town) -> None:
        began = town.loop.time()
        await get(town.reader, ITEM.target)
        assert sum(town.heard[each.address.host] for each in town.liars) <= 100
        assert town.loop.time() - began < 60

    told(ITEM.target, lie, story)


def test_hosts_of_our_own_network_are_not_asked_for_strangers() -> None:
    near = [Address(host, 80) for host in ("127.0.0.1", "10.0.0.1", "192.168.1.1", "169.254.1.1")]

    def lie(town: Town, query: Query) -> dict[str, object]:
        return {"nodes": town.made_up(near)}

    async def story(town: Town) -> None:
        await get(town.reader, ITEM.target)
        assert not [each.host for each in near if town.heard[each.host]]

    told(ITEM.target, lie, story)


def test_what_honest_nodes_have_is_found_among_lies() -> None:
    target = target_of(KEY.public)
    other = SigningKey(b"\1" * 32)

    def lie(town: Town, query: Query) -> dict[str, object]:
        forged = MutableItem.signed(other, b"lies", 99).fields
        return {**forged, "key": KEY.public}

    async def story(town: Town) -> None:
        item, took = await put(
            town.reader, target, lambda newest: MutableItem.signed(KEY, b"truth", 1)
        )
        assert took == 8, "the liars say that they have taken it"
        assert await get(town.reader, target) == item

    told(target, lie, story)
