"""Peers by the DHT between libtorrent and us, both ways, in either network."""

import asyncio

import pytest

from p2pswarm.formats.ids import Address, InfoHash
from p2pswarm.wire.krpc import GET_PEERS, Contact, Query, Reply
from tests.interop.table import GIVES, TAKES, part
from tests.support.foreign_dht import LibtorrentDht, libtorrent, ours

WITH = pytest.mark.parametrize("client", [libtorrent])
HOSTS = pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
SWARM = InfoHash(b"\x12" * 20)


@part("DHT peers (BEP 5, 32)", GIVES)
@WITH
@HOSTS
async def test_what_it_announces_we_find(client: type[LibtorrentDht], host: str) -> None:
    """It is announced to us and to another libtorrent, which we are told of; and that one is asked."""
    told: dict[Address, set[Address]] = {}

    def heard(contact: Contact, reply: Reply) -> None:
        told[contact.address] = set(reply.values or ())

    async with ours(host) as here, client(here.address) as one, client(here.address) as other:
        one.announce(SWARM, 5555)
        announced = Address(host, 5555)
        async with asyncio.timeout(20):
            while told.get(other.address) != {announced}:
                await here.dht.lookup(Query(method=GET_PEERS, info_hash=SWARM), heard)
        found: set[Address] = set()
        await here.dht.peers(SWARM, found.add)
        assert found == {announced}
        assert len(here.dht.store) == 1, "we are one of those who are told"


@part("DHT peers (BEP 5, 32)", TAKES)
@WITH
@HOSTS
async def test_what_we_announce_it_finds(client: type[LibtorrentDht], host: str) -> None:
    async with ours(host) as here, client(here.address) as one, client(here.address) as other:
        async with asyncio.timeout(20):
            while await here.dht.announce(SWARM, 5555, lambda peer: None) < 2:
                await asyncio.sleep(0)
        for node in (one, other):
            assert await node.peers(SWARM) == {Address(host, 5555)}


@part("DHT peers (BEP 5, 32)", TAKES)
@WITH
async def test_peers_of_ours_find_each_other_by_it(client: type[LibtorrentDht]) -> None:
    """Two of ours know one libtorrent, and nothing of each other."""
    async with (
        ours() as here,
        client(here.address) as between,
        ours(bootstrap=[between.address]) as there,
        asyncio.timeout(20),
    ):
        found: set[Address] = set()
        while here.address not in found:
            await here.dht.announce(SWARM, 5555, lambda peer: None, implied_port=True)
            await there.dht.peers(SWARM, found.add)
