"""Iterative searches over the virtual network, with real sockets of the world, and what liars do to them."""

import asyncio
from collections.abc import Awaitable, Callable
from random import Random

from p2pswarm.formats.ids import Address
from p2pswarm.net.port import Port
from p2pswarm.overlay.gnutella.udp.guessing import Cost
from p2pswarm.wire.gnutella.descriptor import Descriptor, Guid, Kind, new_guid
from p2pswarm.wire.gnutella.hit import QueryHit
from p2pswarm.wire.gnutella.pings import Pong, pong_ggep
from p2pswarm.wire.gnutella.query import Query
from p2pswarm.wire.sniff import DatagramGuest
from tests.support.gnutella_udp import PORT, Servent, hit_of
from tests.support.world import Host, VirtualLoop, virtual_loop


class Mesh:
    """Ultrapeers that know the next ones, and one who searches."""

    def __init__(self, loop: VirtualLoop) -> None:
        self.loop, self.dice = loop, Random(3)
        self.ports: list[Port] = []
        self.sent: list[tuple[float, Descriptor]] = []

    async def servent(self, *, ultrapeer: bool = True) -> Servent:
        name = f"10.0.0.{len(self.loop.hosts) + 1}"
        self.loop.hosts[name] = Host(name)
        port = Port(name, PORT)
        dice = Random(self.dice.random())
        servent = Servent(
            self.loop.time, port.send_datagram, Address(name, PORT), dice, ultrapeer=ultrapeer
        )
        port.route_datagrams(DatagramGuest.GNUTELLA, servent.udp.got)
        await port.open()
        self.ports.append(port)
        return servent

    async def ring(self, count: int, names: dict[int, list[str]]) -> list[Servent]:
        """Each knows the next three."""
        all_ = [await self.servent() for _ in range(count)]
        for number, servent in enumerate(all_):
            servent.names = names.get(number, [])
            servent.answering = [all_[(number + n) % count].address for n in (1, 2, 3)]
        return all_

    async def close(self) -> None:
        for port in self.ports:
            await port.close()


def play(story: Callable[[Mesh], Awaitable[None]]) -> None:
    async def whole(loop: VirtualLoop) -> None:
        mesh = Mesh(loop)
        try:
            async with asyncio.timeout(3600):
                await story(mesh)
        finally:
            await mesh.close()

    with virtual_loop() as loop:
        asyncio.set_event_loop(loop)
        try:
            loop.run_until_complete(whole(loop))
        finally:
            asyncio.set_event_loop(None)
        assert not loop.complaints


async def search(
    servent: Servent, text: str, wanted: int, guid: Guid | None = None, most: int = 1000
) -> tuple[Cost, list[tuple[QueryHit, Address]]]:
    found: list[tuple[QueryHit, Address]] = []
    cost = await servent.guessing.search(
        Query(text),
        guid or new_guid(Random(9)),
        wanted,
        lambda head, hit, sender: found.append((hit, sender)),
        most=most,
    )
    return cost, found


def test_a_search_goes_from_one_to_the_next_until_nobody_is_left() -> None:
    async def story(mesh: Mesh) -> None:
        ring = await mesh.ring(20, {17: ["the blue moon"], 4: ["blue sky"]})
        asker = await mesh.servent(ultrapeer=False)
        asker.hosts.told(ring[0].address, "10.0.0.1")
        began = mesh.loop.time()
        cost, found = await search(asker, "blue", 100)
        assert sorted(hit.results[0].name for hit, _ in found) == ["blue sky", "the blue moon"]
        assert (cost.visited, cost.results, cost.ended) == (20, 2, "nobody left")
        # For each: a ping, a pong with the key, the query, its acknowledgement; and two hits.
        assert (cost.messages_out, cost.messages_in) == (40, 42)
        assert cost.bytes_out == asker.udp.bytes_out
        assert cost.bytes_in == asker.udp.bytes_in
        assert 19 * 0.2 <= mesh.loop.time() - began < 8
        assert all(len(servent.asked) == 1 for servent in ring)

    play(story)


def test_what_is_common_is_found_with_few_messages() -> None:
    async def story(mesh: Mesh) -> None:
        ring = await mesh.ring(20, {n: [f"blue {k}" for k in range(10)] for n in range(20)})
        asker = await mesh.servent(ultrapeer=False)
        asker.hosts.told(ring[0].address, "10.0.0.1")
        cost, found = await search(asker, "blue", 30)
        assert (cost.visited, cost.ended) == (3, "enough")
        assert sum(len(hit.results) for hit, _ in found) == 30

    play(story)


def test_the_query_that_reaches_leaves_has_nothing_that_was_for_the_ultrapeer() -> None:
    async def story(mesh: Mesh) -> None:
        (only,) = await mesh.ring(1, {})
        asker = await mesh.servent(ultrapeer=False)
        asker.hosts.told(only.address, "10.0.0.1")
        await search(asker, "blue", 30)
        ((head, query, way),) = only.asked
        assert (head.ttl, head.hops, way.address) == (1, 0, asker.address)
        assert query == Query.read(head.payload)
        assert (query.text, query.ggep) == ("blue", {})

    play(story)


def test_a_second_search_needs_no_second_key() -> None:
    async def story(mesh: Mesh) -> None:
        ring = await mesh.ring(5, {})
        asker = await mesh.servent(ultrapeer=False)
        asker.hosts.told(ring[0].address, "10.0.0.1")
        first, _ = await search(asker, "blue", 30)
        second, _ = await search(asker, "blue", 30, new_guid(Random(10)))
        assert (first.messages_out, second.messages_out) == (10, 5)

    play(story)


def test_an_old_key_is_replaced_on_the_way() -> None:
    async def story(mesh: Mesh) -> None:
        ring = await mesh.ring(3, {2: ["blue"]})
        asker = await mesh.servent(ultrapeer=False)
        asker.hosts.told(ring[0].address, "10.0.0.1")
        await search(asker, "blue", 30)
        await asyncio.sleep(1500)
        cost, found = await search(asker, "blue", 30, new_guid(Random(10)))
        assert (cost.visited, len(found), cost.messages_out) == (3, 1, 6)

    play(story)


def test_nobody_asks_itself() -> None:
    async def story(mesh: Mesh) -> None:
        asker = await mesh.servent()
        asker.hosts.told(asker.address, "10.0.0.9")
        cost, _ = await search(asker, "blue", 30)
        assert (cost.messages_out, cost.ended) == (0, "nobody left")

    play(story)


def test_who_is_gone_is_left_and_the_search_goes_on() -> None:
    async def story(mesh: Mesh) -> None:
        ring = await mesh.ring(6, {5: ["blue"]})
        mesh.loop.hosts[ring[1].address.host].online = False
        asker = await mesh.servent(ultrapeer=False)
        asker.hosts.told(ring[0].address, "10.0.0.1")
        cost, found = await search(asker, "blue", 30)
        assert (cost.visited, len(found)) == (5, 1)
        assert ring[1].address not in asker.hosts.known(10)

    play(story)


def test_with_losses_the_search_still_ends() -> None:
    async def story(mesh: Mesh) -> None:
        ring = await mesh.ring(20, {})
        asker = await mesh.servent(ultrapeer=False)
        mesh.loop.hosts[asker.address.host].loss = 0.3
        for servent in ring:
            asker.hosts.told(servent.address, "10.0.0.1")
        cost, _ = await search(asker, "blue", 30)
        assert 3 < cost.visited < 20
        assert cost.ended == "nobody left"

    play(story)


def test_a_search_that_is_cancelled_tells_its_cost_and_hears_nothing_more() -> None:
    async def story(mesh: Mesh) -> None:
        ring = await mesh.ring(20, {})
        asker = await mesh.servent(ultrapeer=False)
        asker.hosts.told(ring[0].address, "10.0.0.1")
        cost = Cost()
        guid = new_guid(Random(9))
        task = asyncio.create_task(
            asker.guessing.search(Query("blue"), guid, 9, lambda *_: None, cost=cost)
        )
        await asyncio.sleep(1)
        task.cancel()
        await asyncio.wait([task])
        assert 1 < cost.visited < 20
        assert not asker.udp._expected

    play(story)


def test_what_is_found_elsewhere_ends_a_search() -> None:
    async def story(mesh: Mesh) -> None:
        ring = await mesh.ring(20, {})
        asker = await mesh.servent(ultrapeer=False)
        asker.hosts.told(ring[0].address, "10.0.0.1")
        guid = new_guid(Random(9))
        task = asyncio.create_task(search(asker, "blue", 30, guid))
        await asyncio.sleep(1)
        asker.guessing.found_elsewhere(guid, 30)
        asker.guessing.found_elsewhere(new_guid(Random(8)), 30)
        cost, _ = await task
        assert (cost.ended, cost.results) == ("enough", 30)
        assert cost.visited < 8
        asker.guessing.found_elsewhere(guid, 30)

    play(story)


def test_hits_of_who_was_not_asked_or_names_another_are_not_taken() -> None:
    async def story(mesh: Mesh) -> None:
        (only,) = await mesh.ring(1, {})
        asker, liar = await mesh.servent(ultrapeer=False), await mesh.servent()
        asker.hosts.told(only.address, "10.0.0.1")
        guid = new_guid(Random(9))
        task = asyncio.create_task(search(asker, "blue", 30, guid))
        await asyncio.sleep(1)

        def say(who: Servent, hit: QueryHit, hops: int) -> None:
            who.udp.send(Descriptor(guid, Kind.HIT, 1, hops, hit.encode()), asker.address)

        victim = Address("10.0.0.99", PORT)
        say(liar, hit_of(liar.address, ["blue"]), 0)
        say(only, hit_of(victim, ["blue"]), 0)
        leaf, pushed = hit_of(victim, ["leaf"]), hit_of(victim, ["pushed"], push=True)
        say(only, leaf, 1)
        say(only, pushed, 0)
        _, found = await task
        assert sorted(hit.results[0].name for hit, _ in found) == ["leaf", "pushed"]

    play(story)


def test_a_liar_who_names_victims_costs_each_a_small_ping() -> None:
    async def story(mesh: Mesh) -> None:
        (liar,) = await mesh.ring(1, {})
        victims = [Address("10.0.0.77", port) for port in range(1, 11)]
        liar.answering = [*victims, Address("127.0.0.1", 80)]
        asker = await mesh.servent(ultrapeer=False)
        asker.hosts.told(liar.address, "10.0.0.1")
        cost, _ = await search(asker, "blue", 30)
        assert cost.visited == 1
        assert cost.messages_out <= 2 + len(victims)
        assert cost.bytes_out < 150 + 40 * len(victims)

    play(story)


def test_an_ultrapeer_that_searches_introduces_itself() -> None:
    async def story(mesh: Mesh) -> None:
        (only,) = await mesh.ring(1, {})
        asker = await mesh.servent()
        asker.guessing.port = PORT
        asker.hosts.told(only.address, "10.0.0.1")
        await search(asker, "blue", 30)
        assert only.tellings == [(asker.address, asker.address, True)]

    play(story)


def test_a_pong_of_another_name_is_learnt_only_when_it_answers_queries() -> None:
    async def story(mesh: Mesh) -> None:
        ring = await mesh.ring(2, {})
        asker = await mesh.servent(ultrapeer=False)
        ring[0].answering = []
        asker.hosts.told(ring[0].address, "10.0.0.1")
        guid = new_guid(Random(9))
        task = asyncio.create_task(search(asker, "blue", 30, guid))
        await asyncio.sleep(0.5)
        for ggep in ({}, pong_ggep(guess=True)):
            pong = Pong(ring[1].address, 0, 0, ggep)
            ring[0].udp.send(Descriptor(guid, Kind.PONG, 1, 0, pong.encode()), asker.address)
            await asyncio.sleep(0.5)
            assert len(ring[1].asked) == bool(ggep)
        await task

    play(story)
