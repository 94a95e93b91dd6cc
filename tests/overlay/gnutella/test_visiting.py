"""Iterative searches in two tiers: ultrapeers with leaves, asked by UDP by somebody who has no link."""

import asyncio
from random import Random
from typing import TYPE_CHECKING

from p2pswarm.formats.ids import Address
from p2pswarm.overlay.gnutella.place.slots import Wish
from p2pswarm.overlay.gnutella.udp.claims import Claims
from p2pswarm.overlay.gnutella.udp.datagrams import Datagrams
from p2pswarm.overlay.gnutella.udp.guess_hosts import GuessHosts
from p2pswarm.overlay.gnutella.udp.guess_server import GuessServer, Way
from p2pswarm.overlay.gnutella.udp.guessing import Guessing
from p2pswarm.overlay.gnutella.udp.keys import Keys
from p2pswarm.overlay.gnutella.udp.offers import Offers
from p2pswarm.overlay.gnutella.udp.out_of_band import OutOfBand
from p2pswarm.overlay.gnutella.udp.probing import Probing
from p2pswarm.wire.gnutella.descriptor import Descriptor, Kind, new_guid
from p2pswarm.wire.gnutella.pings import Pong
from p2pswarm.wire.gnutella.push import Push
from p2pswarm.wire.gnutella.query import Query
from p2pswarm.wire.sniff import DatagramGuest
from tests.support.gnutella import PORT, Mesh, Servent, play
from tests.support.gnutella_udp import hit_of

if TYPE_CHECKING:
    from p2pswarm.wire.gnutella.hit import QueryHit


class ByDatagram:
    """The rooms for datagrams of a servent of the mesh."""

    def __init__(self, servent: Servent) -> None:
        clock, router = servent.loop.time, servent.router
        self.servent = servent
        self.keys = Keys(clock(), servent.dice.randbytes)
        self.udp = Datagrams(servent.port.send_datagram, clock)
        Probing(self.udp, self, self.keys, clock, servent.dice)
        self.hosts = GuessHosts()
        self.guessing = Guessing(
            self.udp, self.hosts, lambda host: host == servent.address, clock, servent.dice
        )
        GuessServer(self.udp, self, self.keys, self.spread)
        self.offers = Offers(self.udp.send, clock())
        claims = Claims(self.keys, self.udp.send)
        OutOfBand(
            self.udp,
            self.offers,
            claims,
            lambda *_: None,
            lambda push, sender: servent.pushes.append(push),
            servent.guid,
            router.leaf_of,
        )
        servent.port.route_datagrams(DatagramGuest.GNUTELLA, self.udp.got)

    @property
    def ultrapeer(self) -> bool:
        return self.servent.router.role.name == "ULTRAPEER"

    def pong(self, asker: Address) -> Pong:
        return self.servent.router.pong(self.servent.address.host)

    def ultrapeers(self, n: int, *, guess: bool) -> list[Address]:
        return [link.remote._replace(port=PORT) for link in self.servent.router.peers()][:n]

    def told(self, address: Address, teller: Address, *, guess: bool) -> None:
        """Nothing is kept."""

    def spread(self, head: Descriptor, query: Query, way: Way) -> bool:
        router = self.servent.router
        if not router.visit(head, query, way):
            return False
        mine = [name for name in self.servent.names if query.text in name]
        if mine:
            router.answer(head, hit_of(self.servent.address, mine, self.servent.guid))
        return True


def test_leaves_are_found_through_their_ultrapeers_and_pushes_find_the_way_back() -> None:
    async def story(mesh: Mesh) -> None:
        above = [mesh.servent(f"above blue{n}.ogg") for n in range(4)]
        rooms = []
        for number, servent in enumerate(above):
            await servent.open(Wish.ULTRAPEER, [other.address for other in above[:number]])
            rooms.append(ByDatagram(servent))
            await servent.port.open_datagrams()
        await mesh.until(lambda: all(len(s.router.links) == 3 for s in above))
        below = [mesh.servent(f"blue moon leaf{n}.mp3") for n in range(8)]
        for number, servent in enumerate(below):
            await servent.open(Wish.LEAF, [above[number % 4].address], goal=1)
        await mesh.until(lambda: all(len(s.router.links) == 1 for s in below))
        await asyncio.sleep(5)
        asker = mesh.servent()
        await asker.open(Wish.LEAF)
        room = ByDatagram(asker)
        await asker.port.open_datagrams()
        room.hosts.told(above[0].address, "10.0.0.1")
        found: list[tuple[Descriptor, QueryHit, Address]] = []
        cost = await room.guessing.search(
            Query("blue"), new_guid(Random(4)), 100, lambda *heard: found.append(heard)
        )
        names = sorted(result.name for _, hit, _ in found for result in hit.results)
        assert names == sorted(name for servent in [*above, *below] for name in servent.names)
        assert (cost.visited, cost.results) == (4, 12)
        assert all(len(servent.queries) == 1 for servent in below)
        assert all(head.hops == 1 for head, hit, sender in found if hit.address != sender)
        hit, sender = next(
            (hit, sender) for _, hit, sender in found if hit.servent == below[5].guid
        )
        push = Push(hit.servent, 0, asker.address)
        room.udp.send(Descriptor(new_guid(Random(5)), Kind.PUSH, 1, 0, push.encode()), sender)
        await asyncio.sleep(1)
        assert below[5].pushes == [push]

    play(story)
