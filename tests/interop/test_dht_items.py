"""Items, samples and scrapes between libtorrent's DHT and ours, both ways."""

import asyncio

import pytest

from p2pswarm.discovery.dht.items import ImmutableItem, Item, MutableItem, target_of
from p2pswarm.discovery.dht.publishing import get, put
from p2pswarm.discovery.dht.samples import INTERVAL
from p2pswarm.discovery.dht.surveys import sample, scrape
from p2pswarm.formats.ids import InfoHash
from p2pswarm.formats.signing import SigningKey
from p2pswarm.wire.krpc import NodeId
from tests.interop.table import GIVES, TAKES, part
from tests.support.foreign_dht import StartDht, libtorrent, ours

HOSTS = pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
WITH = pytest.mark.parametrize("client", [libtorrent])
KEY, SALT = SigningKey(b"\7" * 32), b"salt"
VALUE = {b"list": [1, b"two"], b"number": -3}
SWARM = InfoHash(b"\x12" * 20)


@part("DHT items (BEP 44)", GIVES)
@WITH
@HOSTS
async def test_what_it_puts_is_got(client: StartDht, host: str) -> None:
    async with ours(host) as here:
        there = await asyncio.to_thread(client, here.address)
        here.dht.ping(there.address)
        target = await asyncio.to_thread(there.put, VALUE)
        item = await get(here.dht, target)
        assert item is not None
        assert item.value == VALUE
        await asyncio.to_thread(there.put_as, KEY, b"text", SALT)
        assert len(here.keeping.shelves) == 2
        mutable = await get(here.dht, target_of(KEY.public, SALT), SALT)
        assert isinstance(mutable, MutableItem)
        assert (mutable.value, mutable.sequence) == (b"text", 1)


@part("DHT items (BEP 44)", TAKES)
@WITH
@HOSTS
async def test_what_we_put_it_gets(client: StartDht, host: str) -> None:
    def next_one(newest: Item | None) -> Item:
        number = newest.sequence if isinstance(newest, MutableItem) else 0
        return MutableItem.signed(KEY, VALUE, number + 1, SALT)

    async with ours(host) as here:
        there = await asyncio.to_thread(client, here.address)
        here.dht.ping(there.address)
        item = ImmutableItem.of(VALUE)
        assert await put(here.dht, item.target, lambda newest: item) == (item, 1)
        assert await asyncio.to_thread(there.get, item.target) == VALUE
        for _ in range(2):
            _, took = await put(here.dht, target_of(KEY.public, SALT), next_one, SALT)
            assert took == 1
        assert await asyncio.to_thread(there.get_of, KEY.public, SALT) == (VALUE, 2)
        await asyncio.to_thread(there.put_as, KEY, b"newer", SALT)
        mutable = await get(here.dht, target_of(KEY.public, SALT), SALT)
        assert isinstance(mutable, MutableItem)
        assert (mutable.value, mutable.sequence) == (b"newer", 3)


@part("DHT scrape (BEP 33)", GIVES)
@WITH
async def test_it_counts_what_was_announced(client: StartDht) -> None:
    async with ours() as here:
        there = await asyncio.to_thread(client, here.address)
        here.dht.ping(there.address)
        assert await here.dht.announce(SWARM, 5555, lambda peer: None, seed=True) == 1
        size = await scrape(here.dht, SWARM)
        assert (size.seeds, size.others, size.nodes) == (1, 0, 1)


@part("DHT samples (BEP 51)", GIVES)
@WITH
async def test_it_names_samples(client: StartDht) -> None:
    async with ours() as here:
        there = await asyncio.to_thread(client, here.address)
        here.dht.ping(there.address)
        assert await here.dht.announce(SWARM, 5555, lambda peer: None) == 1
        named: list[InfoHash] = []
        survey = await sample(here.dht, NodeId(bytes(20)), named.append)
        assert (named, survey.known, survey.nodes) == ([SWARM], 1, 1)


@part("DHT samples (BEP 51)", TAKES)
@WITH
async def test_it_is_named_samples(client: StartDht) -> None:
    async with ours() as here:
        there = await asyncio.to_thread(client, here.address)
        here.dht.store.add(SWARM, there.address, here.dht._clock(), seed=False)
        assert await asyncio.to_thread(there.sample, here.address) == ([SWARM], 1, INTERVAL)
