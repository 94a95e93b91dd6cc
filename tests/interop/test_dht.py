"""Peers by the DHT between libtorrent and us, both ways, in either network.

Nobody is asked in a loop: who asks libtorrent more than five times a second is not heard for five minutes.
"""

import asyncio

import libtorrent as lt
import pytest

from p2pswarm.discovery.dht.dht import Dht
from p2pswarm.formats.ids import Address, InfoHash
from p2pswarm.wire.krpc import GET_PEERS, Contact, Query, Reply
from tests.interop.table import GIVES, TAKES, part
from tests.support.foreign_dht import StartDht, libtorrent, ours
from tests.support.patience import PATIENCE

WITH = pytest.mark.parametrize("client", [libtorrent])
HOSTS = pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
SWARM = InfoHash(b"\x12" * 20)


async def knows(dht: Dht, nodes: int) -> None:
    async with asyncio.timeout(PATIENCE):
        while sum(network.nodes for network in dht.status().networks.values()) < nodes:
            await asyncio.sleep(0)


@part("DHT peers (BEP 5, 32)", GIVES)
@WITH
@HOSTS
async def test_what_it_announces_we_find(client: StartDht, host: str) -> None:
    """It is announced to us and to another libtorrent, which we told it of; and that one is asked."""
    told: dict[Address, set[Address]] = {}

    def heard(contact: Contact, reply: Reply) -> None:
        told[contact.address] = set(reply.values or ())

    announced = Address(host, 5555)
    async with ours(host) as here:
        one = await asyncio.to_thread(client, here.address)
        other = await asyncio.to_thread(client, here.address)
        await knows(here.dht, 2)
        one.announce(SWARM, announced.port)
        await asyncio.to_thread(other.wait_for, lt.dht_announce_alert)
        await here.dht.lookup(Query(method=GET_PEERS, info_hash=SWARM), heard)
        assert told[other.address] == {announced}
        found: set[Address] = set()
        await here.dht.peers(SWARM, found.add)
        assert found == {announced}


@part("DHT peers (BEP 5, 32)", TAKES)
@WITH
@HOSTS
async def test_what_we_announce_it_finds(client: StartDht, host: str) -> None:
    async with ours(host) as here:
        one = await asyncio.to_thread(client, here.address)
        other = await asyncio.to_thread(client, here.address)
        await knows(here.dht, 2)
        assert await here.dht.announce(SWARM, 5555, lambda peer: None) == 2
        for node in (one, other):
            assert await asyncio.to_thread(node.peers, SWARM) == {Address(host, 5555)}


@part("DHT peers (BEP 5, 32)", TAKES)
@WITH
async def test_peers_of_ours_find_each_other_by_it(client: StartDht) -> None:
    """Two of ours know one libtorrent, and nothing of each other."""
    async with ours() as here:
        between = await asyncio.to_thread(client, here.address)
        async with ours(bootstrap=[between.address]) as there:
            await knows(here.dht, 1)
            await knows(there.dht, 1)
            assert await here.dht.announce(SWARM, 5555, lambda peer: None, implied_port=True) >= 1
            found: set[Address] = set()
            await there.dht.peers(SWARM, found.add)
            assert found == {here.address}
