"""Two networks of one node: each fetches and pushes for itself, both give from one exchange."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from p2pswarm.formats.ids import Address
from p2pswarm.formats.urns import base32
from p2pswarm.overlay.files.exchange import Exchange
from p2pswarm.overlay.files.transfers import Transfers
from p2pswarm.overlay.query import Hit
from tests.support.moving import SHA1, Begun, Place, exchanging, nobody
from tests.support.servent import PORT, dial, listening, value
from tests.support.world import World, simulate

ONE, TWO = b"\x01" * 16, b"\x02" * 16
TARGET = "/uri-res/N2R?urn:sha1:CEIRCEIRCEIRCEIRCEIRCEIRCEIRCEIR"


class Network:
    """As far as files need one."""

    def __init__(self, exchange: Exchange, name: str, guid: bytes) -> None:
        self.place = Place(exchange.port.host, guid)
        self.transfers = Transfers(exchange, self.place, nobody, network=name)
        self._life: asyncio.Task[None] | None = None

    async def join(self) -> None:
        self.transfers.open()
        self._life = asyncio.ensure_future(self.transfers.run())
        await asyncio.sleep(0.1)

    async def leave(self) -> None:
        self.transfers.close()
        if self._life is not None:
            self._life.cancel()
            await asyncio.wait([self._life])


class Node:
    """One port, one exchange, two networks."""

    def __init__(self, exchange: Exchange) -> None:
        self.exchange = exchange
        self.here = Address(exchange.port.host, PORT)
        self.one, self.two = Network(exchange, "one", ONE), Network(exchange, "two", TWO)
        self.both = self.one, self.two

    @classmethod
    @asynccontextmanager
    async def of(cls, world: World) -> AsyncIterator["Node"]:
        node = cls(await exchanging(world))
        life = asyncio.ensure_future(node.exchange.run())
        for network in node.both:
            await network.join()
        yield node
        for network in node.both:
            await network.leave()
        life.cancel()
        await asyncio.wait([life])
        await node.exchange.port.close()


def hit(network: str, servent: bytes = bytes(16), **more: object) -> Hit:
    known = {"sha1": SHA1, "nick": servent.hex(), "index": 7, "firewalled": True, **more}
    return Hit("blue moon.ogg", 1000, network, **known)  # type: ignore[arg-type]


def test_each_network_is_fetched_from_and_the_exchange_is_one(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        async with Node.of(world) as node, Node.of(world) as taker:
            end = node.one.transfers.lend(Begun())
            for network in taker.both:
                got = bytearray()
                told = hit("any", host=node.here, firewalled=False)

                def sink(data: bytes, got: bytearray = got) -> bool:
                    got.extend(data)
                    return len(got) < 10

                assert await network.transfers.fetch(told, 0, sink) == 10
                assert network.transfers.answers(node.here)
                assert bytes(got) == b"x" * 10
            end()

    simulate(tmp_path, story)


def test_a_giv_goes_to_the_network_that_asked_for_that_servent(tmp_path: Path) -> None:
    """Both push at once, and each gets whom it has asked for."""

    async def story(world: World) -> None:
        async with Node.of(world) as giver, Node.of(world) as taker:
            end = giver.two.transfers.lend(Begun())
            got: dict[str, bytearray] = {"one": bytearray(), "two": bytearray()}

            async def fetch(name: str, mine: Network, theirs: Network) -> None:
                def way(servent: bytes, index: int, address: Address) -> bool:
                    theirs.transfers.pushed(servent, index, address, taker.here)
                    return True

                def sink(data: bytes) -> bool:
                    got[name].extend(data)
                    return len(got[name]) < 10

                mine.place.way = way
                await mine.transfers.fetch(hit(name, theirs.place.guid), 0, sink)
                assert mine.place.pushes == [(theirs.place.guid, 7, taker.here)]

            await asyncio.gather(
                fetch("one", taker.one, giver.one), fetch("two", taker.two, giver.two)
            )
            assert got == {"one": b"x" * 10, "two": b"x" * 10}
            end()

    simulate(tmp_path, story)


def test_a_push_for_the_other_network_is_none(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        async with Node.of(world) as node, listening(world) as (address, came):
            node.one.transfers.pushed(TWO, 7, address, address)
            await asyncio.sleep(1)
            assert came.empty()
            node.two.transfers.pushed(TWO, 7, address, address)
            await asyncio.sleep(1)
            assert (await (await came.get()).line()).startswith(f"GIV 7:{TWO.hex()}/")

    simulate(tmp_path, story)


def test_a_giv_that_nobody_waits_for_is_hung_up_on(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        async with Node.of(world) as node:
            guest = await dial(world, node.here)
            guest.say(f"GIV 7:{'99' * 16}/file\n\n")
            await guest.hung_up()

    simulate(tmp_path, story)


def test_a_push_proxy_asks_each_network(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        async with Node.of(world) as node:
            node.two.place.leaves.add(bytes(16))
            guest = await dial(world, node.here)
            assert guest.stream is not None
            asker = Address(guest.stream.local.host, 99)
            for servent, code in ((bytes(16), "202"), (b"\x07" * 16, "410")):
                target = f"/gnutella/push-proxy?ServerId={base32(servent)}"
                assert code in (await guest.ask(target, f"X-Node: {asker}"))[0]
            passed = [(bytes(16), asker), (b"\x07" * 16, asker)]
            assert node.one.place.passed == node.two.place.passed == passed

    simulate(tmp_path, story)


def test_what_one_network_gives_goes_on_when_the_other_is_left(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        async with Node.of(world) as node:
            end = node.one.transfers.lend(Begun())
            guest = await dial(world, node.here)
            assert "206" in (await guest.ask(TARGET))[0]
            await node.two.leave()
            assert "206" in (await guest.ask(TARGET))[0]
            await node.one.leave()
            await guest.hung_up()
            await node.one.join()
            again = await dial(world, node.here)
            assert "206" in (await again.ask(TARGET))[0]
            end()

    simulate(tmp_path, story)


def test_one_network_alone_lets_others_browse(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        async with Node.of(world) as node:
            guest = await dial(world, node.here)
            assert "403" in (await guest.ask("/"))[0]
            await node.two.leave()
            node.two.transfers.listing = lambda files: b"all"
            await node.two.join()
            assert "404" in (await guest.ask("/"))[0]  # nothing is shared
            await node.two.leave()
            assert "403" in (await guest.ask("/"))[0]

    simulate(tmp_path, story)


def test_one_network_goes_to_whom_an_asker_names_the_one_that_fetches(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        async with Node.of(world) as node:
            end = node.two.transfers.lend(Begun())
            guest = await dial(world, node.here)
            head, _ = await guest.ask(TARGET, "X-Alt: 10.0.9.9:99")
            assert value(head, "X-Available-Ranges") == "bytes 0-9"
            assert not node.one.transfers.others(hit("one"))
            (other,) = node.two.transfers.others(hit("two"))
            assert (other.host, other.network) == (Address("10.0.9.9", 99), "two")
            end()

    simulate(tmp_path, story)
